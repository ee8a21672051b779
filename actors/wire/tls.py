"""DICOM TLS, for both directions: from options to what the `ssl` module needs (PS3.15 Annex B, BCP 195).

Peers are known by who signed their certificates, not by host names: a modality's certificate names it as it likes.
What the options mean was observed on Orthanc 1.12.7, but for BCP 195: it takes TLS 1.0 there, which RFC 8996 (part of
today's BCP 195) forbids.
"""

import ssl
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from events.errors import BadConfiguration
from events.options import Boolean, File, Option, Texts, Whole, filled_by

BCP_195: Final = 0  # DicomTlsMinimumProtocolVersion: TLS 1.2 and up, ciphers with forward secrecy alone
_MINIMUM: Final = {
    BCP_195: ssl.TLSVersion.TLSv1_2,
    1: ssl.TLSVersion.TLSv1,  # SSL 3 for Orthanc, which OpenSSL no longer has
    2: ssl.TLSVersion.TLSv1,
    3: ssl.TLSVersion.TLSv1_1,
    4: ssl.TLSVersion.TLSv1_2,
    5: ssl.TLSVersion.TLSv1_3,
}
_BCP_195_CIPHERS: Final = "ECDHE+AESGCM:DHE+AESGCM:ECDHE+CHACHA20:!aNULL"  # of TLS 1.2
_BELOW_1_2: Final = range(1, 4)
_ANY_CIPHERS: Final = "ALL:!aNULL:!eNULL"
_WITH_SHA_1: Final = "@SECLEVEL=0"  # without it OpenSSL 3 offers nothing below TLS 1.2
_OF_1_3: Final = frozenset(  # names that `ssl` cannot choose among: TLS 1.3 has all of them
    {
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """The options DicomTls…"""

    certificate: Path = filled_by(Option("DicomTlsCertificate", File()))  # ours, PEM
    private_key: Path = filled_by(Option("DicomTlsPrivateKey", File()))
    trusted: Path | None = filled_by(Option("DicomTlsTrustedCertificates", File()))  # of peers, or of who signed theirs
    # False: peers' certificates are not asked for and, as of a server, not checked.
    is_remote_certificate_required: bool = filled_by(
        Option("DicomTlsRemoteCertificateRequired", Boolean(), default=True)
    )
    minimum_version: int = filled_by(Option("DicomTlsMinimumProtocolVersion", Whole(0, 5), BCP_195))
    # OpenSSL's names; empty: all; not for BCP 195.
    ciphers: tuple[str, ...] = filled_by(Option("DicomTlsCiphersAccepted", Texts(one=True)))


@lru_cache(maxsize=4)
def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return what accepts connections. Raises BadConfiguration for what cannot be read or used."""
    context = _create_context(ssl.PROTOCOL_TLS_SERVER, settings)
    context.num_tickets = 0  # sessions are never resumed: tickets would be wasted bytes
    context.options |= ssl.OP_NO_TICKET
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
    # A connection whose reading side is shut, by us when we stop, can still be told of the end: OpenSSL would send an
    # alert instead. Nothing can be cut off unnoticed: a message is whole with its last fragment, not with the stream.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1, which the operator asks for
        context.minimum_version = _MINIMUM[settings.minimum_version]
    _set_ciphers(context, settings)
    _load_identity(context, settings)
    _load_trusted(context, settings)
    return context


def _set_ciphers(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Choose the ciphers below TLS 1.3; where only those of TLS 1.3 are accepted, nothing below it is."""
    if settings.minimum_version == BCP_195:
        context.set_ciphers(_BCP_195_CIPHERS)
        return
    older = [name for name in settings.ciphers if name not in _OF_1_3]
    for name in older:
        _check_cipher(context, name)
    if settings.ciphers and not older:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    context.set_ciphers(":".join(older) or _ANY_CIPHERS)
    if settings.minimum_version in _BELOW_1_2:
        context.set_ciphers(f"{':'.join(older) or _ANY_CIPHERS}:{_WITH_SHA_1}")


def _check_cipher(context: ssl.SSLContext, name: str) -> None:
    try:
        context.set_ciphers(name)
    except ssl.SSLError as exc:
        raise BadConfiguration(f"DicomTlsCiphersAccepted: OpenSSL has no cipher suite {name}") from exc


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
