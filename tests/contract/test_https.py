"""HTTPS: who is let in with which protocol and certificate, and which options stop the start."""

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from api.rest.serving.https import HttpsSettings, https_context
from events.errors import BadConfiguration
from events.options import Boolean, Option
from tests.contract.certificates import Certificates, Identity, make_certificates
from tests.contract.http_serving import DEADLINE_S, serving
from tools.configuration import load
from tools.configuration.all_options import OPTIONS
from tools.server.composition import server_settings
from tools.server.logging_setup import LogOptions

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pem(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key in one file, as Orthanc has them."""
    return together(certificates.server, tmp_path_factory.mktemp("pem") / "server.pem")


def together(identity: Identity, file: Path) -> Path:
    file.write_bytes(identity.certificate.read_bytes() + identity.key.read_bytes())
    return file


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    size = len(environ["wsgi.input"].read()) if environ["REQUEST_METHOD"] == "POST" else 0
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']} {size}".encode()]


def client(identity: Identity | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def ask(address: tuple[str, int], context: ssl.SSLContext, body: bytes = b"") -> bytes:
    with closing(http.client.HTTPSConnection(*address, timeout=DEADLINE_S, context=context)) as connection:
        connection.request("POST" if body else "GET", "/", body or None)
        return connection.getresponse().read()


REFUSED = (ssl.SSLError, ConnectionError, http.client.HTTPException)


def test_a_client_is_answered_and_large_bodies_go_through(pem: Path) -> None:
    with serving(echo, tls=https_context(HttpsSettings(certificate=pem))) as address:
        assert ask(address, client()) == b"https 127.0.0.1 0"
        assert ask(address, client(), bytes(3_000_000)) == b"https 127.0.0.1 3000000"


def test_a_client_that_leaves_is_no_warning(pem: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        serving(echo, tls=https_context(HttpsSettings(certificate=pem))) as address,
        client().wrap_socket(socket.create_connection(address, DEADLINE_S), server_hostname="server") as left,
    ):
        left.sendall(b"GET / HTTP/1.1\r\nHost: server\r\n\r\n")
        assert left.recv(4096).startswith(b"HTTP/1.1 200 ")
        left.unwrap()  # says that it goes, and waits until the server has said so, too
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


def curl(port: int, certificates: Certificates, *options: str) -> tuple[int, bytes]:
    """Return how curl has ended, 0 for well, and what it was answered."""
    known = ["--cacert", str(certificates.trusted), "--resolve", f"server:{port}:127.0.0.1"]
    command = ["curl", "-sS", "-m", str(DEADLINE_S), *known, *options, f"https://server:{port}/"]
    told = subprocess.run(command, check=False, capture_output=True)
    return told.returncode, told.stdout


ANSWERED = (0, b"https 127.0.0.1 0")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_curl_knows_the_server_by_its_authority(pem: Path, certificates: Certificates) -> None:
    with serving(echo, tls=https_context(HttpsSettings(certificate=pem))) as (_, port):
        assert curl(port, certificates) == ANSWERED


@needs_curl
def test_curl_shows_a_certificate_or_is_not_answered(pem: Path, certificates: Certificates) -> None:
    def shown(identity: Identity) -> list[str]:
        return ["--cert", str(identity.certificate), "--key", str(identity.key)]

    settings = HttpsSettings(certificate=pem, trusted=certificates.trusted)
    with serving(echo, tls=https_context(settings)) as (_, port):
        assert curl(port, certificates, *shown(certificates.client)) == ANSWERED
        assert curl(port, certificates, *shown(certificates.client), "--tls-max", "1.2") == ANSWERED
        for wrong in ([], shown(certificates.stranger)):
            for version in ("1.2", "1.3"):
                ended, answer = curl(port, certificates, *wrong, "--tls-max", version)
                assert ended != 0
                assert answer == b""


@needs_curl
@pytest.mark.parametrize(("minimum", "version", "is_answered"), [(4, "1.1", False), (4, "1.2", True), (3, "1.1", True)])
def test_curl_is_answered_by_tls_1_1_only_where_it_is_asked_for(
    pem: Path, certificates: Certificates, minimum: int, version: str, *, is_answered: bool
) -> None:
    with serving(echo, tls=https_context(HttpsSettings(certificate=pem, minimum_version=minimum))) as (_, port):
        old = ("--tlsv1.0", "--tls-max", version, "--ciphers", "DEFAULT@SECLEVEL=0")
        assert (curl(port, certificates, *old) == ANSWERED) is is_answered


def test_plain_http_is_not_served_on_the_port_of_https(pem: Path) -> None:
    with serving(echo, tls=https_context(HttpsSettings(certificate=pem))) as address:
        with socket.create_connection(address, DEADLINE_S) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eDp5\r\n\r\n")
            assert not plain.recv(1000).startswith(b"HTTP/1.1 200")
        assert ask(address, client()) == b"https 127.0.0.1 0"


def test_peers_are_known_by_who_has_signed_them(pem: Path, certificates: Certificates) -> None:
    settings = HttpsSettings(certificate=pem, trusted=certificates.trusted)
    with serving(echo, tls=https_context(settings)) as address:
        assert ask(address, client(certificates.client)) == b"https 127.0.0.1 0"
        for wrong in (None, certificates.stranger):
            with pytest.raises(REFUSED):
                ask(address, client(wrong))
        assert ask(address, client(certificates.client)) == b"https 127.0.0.1 0"


def test_a_clients_own_certificate_may_stand_among_the_trusted(pem: Path, certificates: Certificates) -> None:
    settings = HttpsSettings(certificate=pem, trusted=certificates.client.certificate)
    with serving(echo, tls=https_context(settings)) as address:
        assert ask(address, client(certificates.client)) == b"https 127.0.0.1 0"
        with pytest.raises(REFUSED):
            ask(address, client(certificates.server))


VERSIONS = {3: ssl.TLSVersion.TLSv1_1, 4: ssl.TLSVersion.TLSv1_2, 5: ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("minimum", VERSIONS)
@pytest.mark.parametrize("offered", VERSIONS)
def test_older_protocols_than_the_least_are_refused(pem: Path, minimum: int, offered: int) -> None:
    with serving(echo, tls=https_context(HttpsSettings(certificate=pem, minimum_version=minimum))) as address:
        if offered >= minimum:
            assert ask(address, client(version=VERSIONS[offered])) == b"https 127.0.0.1 0"
        else:
            with pytest.raises(REFUSED):
                ask(address, client(version=VERSIONS[offered]))


def test_the_default_refuses_what_is_older_than_tls_1_2(pem: Path) -> None:
    assert https_context(HttpsSettings(certificate=pem)).minimum_version == ssl.TLSVersion.TLSv1_2


def test_ciphers_can_be_chosen(pem: Path) -> None:
    settings = HttpsSettings(certificate=pem, ciphers=("ECDHE-RSA-AES256-GCM-SHA384", "TLS_AES_128_GCM_SHA256"))
    wrong, right = client(version=ssl.TLSVersion.TLSv1_2), client(version=ssl.TLSVersion.TLSv1_2)
    wrong.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")
    right.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    with serving(echo, tls=https_context(settings)) as address:
        assert ask(address, right) == b"https 127.0.0.1 0"
        with pytest.raises(REFUSED):
            ask(address, wrong)


def test_where_ciphers_of_tls_1_3_alone_are_chosen_nothing_below_it_is_taken(pem: Path) -> None:
    context = https_context(HttpsSettings(certificate=pem, ciphers=("TLS_AES_256_GCM_SHA384",)))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_3


# -- options ----------------------------------------------------------------------------------------------------------


def refusal(folder: Path, **options: object) -> str:
    file = folder / "sinogram.json"
    file.write_text(json.dumps({"SslEnabled": True, **options}))
    with pytest.raises(BadConfiguration) as raised:
        server_settings(load([file]), LogOptions())
    return str(raised.value)


def test_a_certificate_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    assert f"SslCertificate: {tmp_path / 'certificate.pem'} cannot be read" in refusal(tmp_path)


def test_what_is_no_certificate_with_its_key_stops_the_start(tmp_path: Path, certificates: Certificates) -> None:
    for wrong in (certificates.server.certificate, certificates.server.key):
        assert "does not hold a certificate and its key" in refusal(tmp_path, SslCertificate=str(wrong))
    mixed = tmp_path / "mixed.pem"
    mixed.write_bytes(certificates.server.certificate.read_bytes() + certificates.client.key.read_bytes())
    assert "does not hold a certificate and its key" in refusal(tmp_path, SslCertificate=str(mixed))


def test_clients_cannot_be_checked_without_trusted_certificates(tmp_path: Path, pem: Path) -> None:
    told = refusal(tmp_path, SslCertificate=str(pem), SslVerifyPeers=True)
    assert f"SslTrustedClientCertificates: {tmp_path / 'trustedClientCertificates.pem'} cannot be read" in told
    (tmp_path / "trusted").write_text("nothing")
    told = refusal(tmp_path, SslCertificate=str(pem), SslVerifyPeers=True, SslTrustedClientCertificates="trusted")
    assert "holds no PEM certificates" in told


def test_an_option_that_names_no_file_stops_the_start(tmp_path: Path, pem: Path) -> None:
    """Clients that were to be checked are not let in unchecked for it."""
    told = refusal(tmp_path, SslCertificate=str(pem), SslVerifyPeers=True, SslTrustedClientCertificates="")
    assert "SslTrustedClientCertificates: must name a file" in told
    assert "SslCertificate: must name a file" in refusal(tmp_path, SslCertificate="")


def test_files_that_nothing_needs_may_be_empty(tmp_path: Path, pem: Path) -> None:
    file = tmp_path / "sinogram.json"
    for options in ({"SslCertificate": ""}, {"SslEnabled": True, "SslCertificate": str(pem)}):
        file.write_text(json.dumps({"SslTrustedClientCertificates": "", **options}))
        assert server_settings(load([file]), LogOptions()).storage_directory.is_relative_to(tmp_path)


def test_an_unknown_cipher_stops_the_start(tmp_path: Path, pem: Path) -> None:
    told = refusal(tmp_path, SslCertificate=str(pem), SslCiphersAccepted=["NO-SUCH-CIPHER"])
    assert "SslCiphersAccepted: OpenSSL has none of NO-SUCH-CIPHER" in told


@pytest.fixture
def unkept(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an option that protects and is not kept yet."""
    monkeypatch.setitem(OPTIONS, "Guard", Option("Guard", Boolean(), default=False, since=None, protects=True))
    return "Guard"


def test_an_option_that_protects_and_is_not_kept_yet_stops_the_start(tmp_path: Path, unkept: str) -> None:
    assert f"{unkept}: protects the archive" in refusal(tmp_path, SslEnabled=False, **{unkept: True})


def test_one_that_asks_for_nothing_does_not(tmp_path: Path, unkept: str) -> None:
    file = tmp_path / "sinogram.json"
    file.write_text(json.dumps({unkept: False}))
    assert server_settings(load([file]), LogOptions()).https is None
