"""The options Ssl…: read, and tried out at the start, so that no client is the first to meet a bad certificate."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from api.rest.https import HttpsSettings, https_context
from events.errors import BadConfiguration


def read_https(
    value: Callable[[str], Any], texts: Callable[[str], Sequence[str]], path: Callable[[str], Path]
) -> HttpsSettings | None:
    """Return the settings if SslEnabled; `path` makes a file's option absolute."""
    if not value("SslEnabled"):
        return None
    return HttpsSettings(
        certificate=path("SslCertificate"),
        trusted=path("SslTrustedClientCertificates") if value("SslVerifyPeers") else None,
        minimum_version=value("SslMinimumProtocolVersion"),
        ciphers=tuple(texts("SslCiphersAccepted")),
    )


def check_https(settings: HttpsSettings | None) -> None:
    """Load the certificates and ciphers. Raises BadConfiguration, which names option and file."""
    if settings is None:
        return
    try:
        https_context(settings)
    except BadConfiguration as exc:
        raise BadConfiguration(f"HTTPS: {exc}") from exc
