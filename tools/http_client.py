"""The options about this server as a client of web services and peers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.wire.http.settings import HttpClientSettings
from events.errors import BadConfiguration


def read_http_client(value: Callable[[str], Any], path: Callable[[str], Path]) -> HttpClientSettings:
    """Return the settings; `value` gives each option or its default, `path` one that is a path, in full."""
    proxy = value("HttpProxy")
    if proxy and "://" not in proxy:  # Orthanc's form: [user:password@]host:port
        proxy = f"http://{proxy}"
    return HttpClientSettings(
        timeout_s=float(value("HttpTimeout")),
        proxy=proxy,
        verify_peers=value("HttpsVerifyPeers"),
        verbose=value("HttpVerbose"),
        ca_certificates=path("HttpsCACertificates") if value("HttpsCACertificates") else None,
    )


def check_http_client(settings: HttpClientSettings) -> None:
    """Raise BadConfiguration for certificates or a proxy that cannot be used."""
    if not settings.proxy and settings.ca_certificates is None:
        return
    from actors.wire.http.client import UrllibClient

    try:
        UrllibClient(settings)
    except OSError as exc:  # that of a file which holds no certificates, too
        raise BadConfiguration(f"HttpsCACertificates: {settings.ca_certificates}: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise BadConfiguration("HttpProxy must be [http://][user:password@]host:port") from exc
