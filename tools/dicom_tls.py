"""The options DicomTls…: read, and tried out at the start, so that no association is the first to meet a bad certificate."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from actors.wire.tls import BCP_195, TlsSettings, client_context, server_context
from events.errors import BadConfiguration

FILES: Final = ("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates")


def tls_problems(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    """Say what of the options does not go together; as Orthanc does, but at the start and with the option's name."""
    problems = []
    certificate, key, trusted = (bool(given.get(name)) for name in FILES)
    required = given.get("DicomTlsRemoteCertificateRequired", True)
    if given.get("DicomTlsEnabled"):
        if not certificate or not key:
            missing = [name for name in FILES[:2] if not given.get(name)]
            problems.append(f"{origin['DicomTlsEnabled']}: DicomTlsEnabled: {' and '.join(missing)} must be given")
        if required and not trusted:
            reason = "must be given, or DicomTlsRemoteCertificateRequired be false"
            problems.append(f"{origin['DicomTlsEnabled']}: DicomTlsTrustedCertificates: {reason}")
    elif certificate != key:
        name, other = FILES[:2] if certificate else (FILES[1], FILES[0])
        problems.append(f"{origin[name]}: {name}: {other} must be given too")
    if given.get("DicomTlsCiphersAccepted") and given.get("DicomTlsMinimumProtocolVersion", BCP_195) == BCP_195:
        reason = "cannot be chosen with the BCP 195 profile; DicomTlsMinimumProtocolVersion must be 1 to 5"
        problems.append(f"{origin['DicomTlsCiphersAccepted']}: DicomTlsCiphersAccepted: {reason}")
    return problems


def read_tls(
    value: Callable[[str], Any], texts: Callable[[str], Sequence[str]], path: Callable[[str], Path]
) -> TlsSettings | None:
    """Return the settings if there is a certificate; `path` makes a file's option absolute."""
    if not value(FILES[0]) or not value(FILES[1]):
        return None
    return TlsSettings(
        certificate=path(FILES[0]),
        private_key=path(FILES[1]),
        trusted=path(FILES[2]) if value(FILES[2]) else None,
        is_remote_certificate_required=value("DicomTlsRemoteCertificateRequired"),
        minimum_version=value("DicomTlsMinimumProtocolVersion"),
        ciphers=tuple(texts("DicomTlsCiphersAccepted")),
    )


def check_tls(settings: TlsSettings | None) -> None:
    """Load the certificates and ciphers. Raises BadConfiguration, which names option and file."""
    if settings is None:
        return
    try:
        client_context(settings)
        server_context(settings)
    except BadConfiguration as exc:
        raise BadConfiguration(f"DICOM TLS: {exc}") from exc
