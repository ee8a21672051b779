"""The options DicomTls…: what stops the start, and with which words."""

import json
import shutil
from pathlib import Path

import pytest

from events.errors import BadConfiguration
from tests.contract.certificates import Certificates, make_certificates
from tools.configuration import load
from tools.server.composition import ServerSettings, server_settings
from tools.server.logging_setup import LogOptions

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def good(certificates: Certificates) -> dict[str, object]:
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(certificates.server.certificate),
        "DicomTlsPrivateKey": str(certificates.server.key),
        "DicomTlsTrustedCertificates": str(certificates.trusted),
    }


def start(folder: Path, options: dict[str, object]) -> ServerSettings:
    file = folder / "sinogram.json"
    file.write_text(json.dumps(options))
    return server_settings(load([file]), LogOptions())


def refusal(folder: Path, options: dict[str, object]) -> str:
    with pytest.raises(BadConfiguration) as raised:
        start(folder, options)
    return str(raised.value)


def test_good_certificates_are_for_both_directions(tmp_path: Path, good: dict[str, object]) -> None:
    settings = start(tmp_path, good)
    assert settings.dicom.tls is not None
    assert settings.scu.tls == settings.dicom.tls


def test_without_the_option_the_server_takes_plain_tcp(tmp_path: Path, good: dict[str, object]) -> None:
    settings = start(tmp_path, good | {"DicomTlsEnabled": False})
    assert settings.dicom.tls is None
    assert settings.scu.tls is not None


def test_files_are_relative_to_the_configurations_folder(tmp_path: Path, certificates: Certificates) -> None:
    for source in (certificates.server.certificate, certificates.server.key, certificates.trusted):
        shutil.copy(source, tmp_path)
    options = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": "server.crt",
        "DicomTlsPrivateKey": "server.key",
        "DicomTlsTrustedCertificates": "authority.crt",
    }
    settings = start(tmp_path, options)
    assert settings.dicom.tls is not None
    assert settings.dicom.tls.certificate == tmp_path / "server.crt"


@pytest.mark.parametrize("name", ["DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"])
def test_what_a_server_with_tls_needs_is_named(tmp_path: Path, good: dict[str, object], name: str) -> None:
    del good[name]
    assert name in refusal(tmp_path, good)


def test_none_need_be_trusted_if_none_are_asked(tmp_path: Path, good: dict[str, object]) -> None:
    del good["DicomTlsTrustedCertificates"]
    assert start(tmp_path, good | {"DicomTlsRemoteCertificateRequired": False}).dicom.tls is not None


@pytest.mark.parametrize("is_enabled", [True, False])
@pytest.mark.parametrize("name", ["DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"])
def test_a_missing_file_is_named(tmp_path: Path, good: dict[str, object], name: str, is_enabled: bool) -> None:
    text = refusal(tmp_path, good | {name: "/nowhere/x.pem", "DicomTlsEnabled": is_enabled})
    assert text == f"DICOM TLS: {name}: /nowhere/x.pem cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ["DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, good: dict[str, object], name: str) -> None:
    other = tmp_path / "other.pem"
    other.write_text("no certificate")
    text = refusal(tmp_path, good | {name: str(other)})
    assert name in text
    assert str(other) in text


def test_the_key_of_another_certificate_is_refused(
    tmp_path: Path, good: dict[str, object], certificates: Certificates
) -> None:
    text = refusal(tmp_path, good | {"DicomTlsPrivateKey": str(certificates.client.key)})
    assert str(certificates.client.key) in text


def test_half_an_identity_is_refused_without_the_option_too(tmp_path: Path, good: dict[str, object]) -> None:
    del good["DicomTlsPrivateKey"]
    assert "DicomTlsPrivateKey must be given too" in refusal(tmp_path, good | {"DicomTlsEnabled": False})


def test_ciphers_cannot_be_chosen_with_the_profile(tmp_path: Path, good: dict[str, object]) -> None:
    assert "DicomTlsCiphersAccepted" in refusal(tmp_path, good | {"DicomTlsCiphersAccepted": ["AES128-SHA"]})


def test_an_unknown_cipher_is_named(tmp_path: Path, good: dict[str, object]) -> None:
    options = good | {"DicomTlsMinimumProtocolVersion": 4, "DicomTlsCiphersAccepted": ["AES128-SHA", "ROT13"]}
    assert refusal(tmp_path, options) == "DICOM TLS: DicomTlsCiphersAccepted: OpenSSL has no cipher suite ROT13"
