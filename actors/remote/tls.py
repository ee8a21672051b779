"""DICOM TLS, for both directions: from options to what the `ssl` module needs (PS3.15 Annex B, BCP 195).

Peers are known by who signed their certificates, not by host names: a modality's certificate names it as it likes.
"""

import ssl
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from events.errors import BadConfiguration

BCP_195: Final = 0  # DicomTlsMinimumProtocolVersion: TLS 1.2 and up, ciphers with forward secrecy
_MINIMUM: Final = {
    BCP_195: ssl.TLSVersion.TLSv1_2,
    1: ssl.TLSVersion.TLSv1,  # Orthanc's SSL 3, which OpenSSL no longer has
    2: ssl.TLSVersion.TLSv1,
    3: ssl.TLSVersion.TLSv1_1,
    4: ssl.TLSVersion.TLSv1_2,
    5: ssl.TLSVersion.TLSv1_3,
}
_BCP_195_CIPHERS: Final = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20:!aNULL"  # of TLS 1.2; those of 1.3 are all good


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """The options DicomTls…"""

    certificate: Path  # DicomTlsCertificate: ours, PEM
    private_key: Path  # DicomTlsPrivateKey
    trusted: Path | None = None  # DicomTlsTrustedCertificates: those of peers, or of who signed them
    is_remote_certificate_required: bool = True  # DicomTlsRemoteCertificateRequired
    minimum_version: int = BCP_195  # DicomTlsMinimumProtocolVersion, 0 to 5
    ciphers: tuple[str, ...] = ()  # DicomTlsCiphersAccepted: OpenSSL's names; empty: as the minimum version has them


@lru_cache(maxsize=4)
def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return what accepts connections. Raises BadConfiguration for what cannot be read or used."""
    context = _create_context(ssl.PROTOCOL_TLS_SERVER, settings)
    # A certificate that is not asked for is not checked: what the option says since Orthanc 1.12.4.
    context.verify_mode = ssl.CERT_REQUIRED if settings.is_remote_certificate_required else ssl.CERT_NONE
    return context


@lru_cache(maxsize=4)
def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return what opens connections. Raises BadConfiguration for what cannot be read or used."""
    context = _create_context(ssl.PROTOCOL_TLS_CLIENT, settings)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if settings.is_remote_certificate_required else ssl.CERT_NONE
    return context


def _create_context(protocol: int, settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1, which the operator asks for
        context.minimum_version = _MINIMUM[settings.minimum_version]
    _set_ciphers(context, settings)
    _load_identity(context, settings)
    _load_trusted(context, settings)
    return context


def _set_ciphers(context: ssl.SSLContext, settings: TlsSettings) -> None:
    ciphers = ":".join(settings.ciphers)
    if not ciphers and settings.minimum_version == BCP_195:
        ciphers = _BCP_195_CIPHERS
    if not ciphers:
        return
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError as exc:
        raise BadConfiguration(f"DicomTlsCiphersAccepted: OpenSSL knows none of {ciphers}") from exc


def _load_identity(context: ssl.SSLContext, settings: TlsSettings) -> None:
    _check_readable("DicomTlsCertificate", settings.certificate)
    _check_readable("DicomTlsPrivateKey", settings.private_key)
    try:
        # An encrypted key would ask for its password at the terminal.
        context.load_cert_chain(settings.certificate, settings.private_key, password="")
    except (OSError, ValueError) as exc:  # ssl.SSLError among them
        raise BadConfiguration(
            f"DicomTlsCertificate, DicomTlsPrivateKey: {settings.certificate} and {settings.private_key} "
            f"are no PEM certificate with its key: {exc}"
        ) from exc


def _load_trusted(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if settings.trusted is None:
        return
    _check_readable("DicomTlsTrustedCertificates", settings.trusted)
    try:
        context.load_verify_locations(settings.trusted)
    except OSError as exc:
        raise BadConfiguration(
            f"DicomTlsTrustedCertificates: {settings.trusted} holds no PEM certificates: {exc}"
        ) from exc
    # A peer's own certificate may stand in the file instead of its signer's.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


def _check_readable(option: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as exc:
        raise BadConfiguration(f"{option}: {path} cannot be read: {exc.strerror}") from exc
