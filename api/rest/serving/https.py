"""HTTPS: from Orthanc's options `Ssl…` to what the `ssl` module needs."""

import ssl
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from events.errors import BadConfiguration
from events.options import File, Option, Texts, Whole, filled_by

# SslMinimumProtocolVersion. SSL 2 and 3, which 0 and 1 would add for Orthanc, are no part of OpenSSL any more.
_MINIMUM: Final = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)
_WITH_SHA_1: Final = "@SECLEVEL=0"  # without it OpenSSL 3 offers nothing below TLS 1.2
_OF_1_3: Final = "TLS_"  # how names begin that `ssl` cannot choose among: TLS 1.3 has all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsSettings:
    """The options Ssl…"""

    # Certificate and key in one PEM file.
    certificate: Path = filled_by(Option("SslCertificate", File(), "certificate.pem"))
    trusted: Path | None = None  # if SslVerifyPeers: clients must show one of these certificates or of their issue
    minimum_version: int = filled_by(Option("SslMinimumProtocolVersion", Whole(0, 5), 4))
    # OpenSSL's names; empty: what Python holds for safe.
    ciphers: tuple[str, ...] = filled_by(Option("SslCiphersAccepted", Texts(one=True)))


@lru_cache(maxsize=2)
def https_context(settings: HttpsSettings) -> ssl.SSLContext:
    """Return what accepts connections. Raises BadConfiguration for what cannot be read or used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1, which the operator asks for
        context.minimum_version = _MINIMUM[settings.minimum_version]
    context.set_alpn_protocols(["http/1.1"])
    _set_ciphers(context, settings)
    _check_readable("SslCertificate", settings.certificate)
    try:
        # An encrypted key would ask for its password at the terminal.
        context.load_cert_chain(settings.certificate, password="")
    except (OSError, ValueError) as exc:  # ssl.SSLError among them
        raise BadConfiguration(
            f"SslCertificate: {settings.certificate} does not hold a certificate and its key in PEM: {exc}"
        ) from exc
    if settings.trusted is not None:
        _load_trusted(context, settings.trusted)
    return context


def _set_ciphers(context: ssl.SSLContext, settings: HttpsSettings) -> None:
    names = [name for name in settings.ciphers if not name.startswith(_OF_1_3)]
    if settings.ciphers and not names:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    is_old = context.minimum_version < ssl.TLSVersion.TLSv1_2
    try:
        if names or is_old:
            context.set_ciphers(":".join([*(names or ["DEFAULT"]), *([_WITH_SHA_1] if is_old else [])]))
    except ssl.SSLError as exc:
        raise BadConfiguration(f"SslCiphersAccepted: OpenSSL has none of {', '.join(names)}") from exc


def _load_trusted(context: ssl.SSLContext, trusted: Path) -> None:
    _check_readable("SslTrustedClientCertificates", trusted)
    try:
        context.load_verify_locations(trusted)
    except OSError as exc:
        raise BadConfiguration(f"SslTrustedClientCertificates: {trusted} holds no PEM certificates: {exc}") from exc
    context.verify_mode = ssl.CERT_REQUIRED
    # A client's own certificate may stand in the file instead of its signer's.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


def _check_readable(option: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as exc:
        raise BadConfiguration(f"{option}: {path} cannot be read: {exc.strerror}") from exc
