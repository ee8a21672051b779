"""The options DicomTls…, and what of them goes together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from actors.wire.tls import BCP_195, TlsSettings
from events.options import Boolean, Option
from tools.configuration.values import Values

ENABLED: Final = Option("DicomTlsEnabled", Boolean(), default=False)  # as a server
OPTIONS: Final = (ENABLED,)
FILES: Final = ("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates")


def tls_problems(given: Mapping[str, Any], origin: Mapping[str, Path]) -> list[str]:
    """Say which options do not go together; as Orthanc does, but at the start and with the option's name."""
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


def read_tls(values: Values) -> TlsSettings | None:
    """Return the settings, of both directions, if there is a certificate."""
    settings = values.fill(TlsSettings)
    return settings if settings.certificate and settings.private_key else None
