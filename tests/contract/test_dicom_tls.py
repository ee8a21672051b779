"""DICOM TLS, in and out: our server with DCMTK's and rude clients, our client with DCMTK's and rude servers."""

import shutil
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actors.services.remote import echo_scu
from actors.services.remote.requestor import open_association
from actors.services.remote.target import Target
from actors.wire.errors import Interrupted, RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from actors.wire.tls import TlsSettings
from api.dicom.settings import DicomSettings
from tests.contract.certificates import Certificates, Identity, make_certificates
from tests.contract.dicom_scu import Aborted, Accepted, Closed, Response, Scu, associate_request
from tests.contract.dicom_server import RunningServer, serve
from tests.contract.remote_peer import Peer, PeerServer, peer
from tests.data_factory import dataset, encode
from tests.peer.servers import wait_for
from tests.ports import free_port

TOOL_TIMEOUT_S = 60

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
needs_dcmtk = pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed (Debian: dcmtk)")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def settings_of(identity: Identity, certificates: Certificates, **values: object) -> TlsSettings:
    made = TlsSettings(certificate=identity.certificate, private_key=identity.key, trusted=certificates.trusted)
    return replace(made, **values)  # type: ignore[arg-type]


def server_settings(certificates: Certificates, **values: object) -> DicomSettings:
    return DicomSettings(tls=settings_of(certificates.server, certificates, **values))


def target(port: int, tls: TlsSettings | None, *, timeout_s: int = 20) -> Target:
    return Target(host="127.0.0.1", port=port, called_aet="PEER", calling_aet="OURS", timeout_s=timeout_s, tls=tls)


def echo(port: int, tls: TlsSettings | None, *, timeout_s: int = 20) -> None:
    where = target(port, tls, timeout_s=timeout_s)
    with open_association(where, [echo_scu.PROPOSAL], Interruption()) as association:
        echo_scu.echo(association)


def tool(name: str, identity: Identity | None, certificates: Certificates, port: int, *arguments: str) -> int:
    """The exit status of a DCMTK client; without an identity it shows no certificate."""
    who = ("+tla",) if identity is None else ("+tls", str(identity.key), str(identity.certificate))
    command = [name, *who, "+cf", str(certificates.trusted), "127.0.0.1", str(port), *arguments]
    return subprocess.run(command, capture_output=True, timeout=TOOL_TIMEOUT_S, check=False).returncode


# --- our server ---


@needs_dcmtk
def test_a_client_with_a_known_certificate_is_served(certificates: Certificates, tmp_path: Path) -> None:
    made = dataset(1, 1, 1, 1)
    made.add_new(0x7FE00010, "OW", bytes(range(256)) * 4000)
    (tmp_path / "one.dcm").write_bytes(encode(made))
    with serve(server_settings(certificates)) as running:
        assert tool("echoscu", certificates.client, certificates, running.port) == 0
        assert tool("storescu", certificates.client, certificates, running.port, str(tmp_path / "one.dcm")) == 0
    (upload,) = running.ingest.stored
    assert bytes(range(256)) * 4000 in upload.dataset


@needs_dcmtk
def test_clients_without_a_known_certificate_are_refused(certificates: Certificates) -> None:
    with serve(server_settings(certificates)) as running:
        assert tool("echoscu", None, certificates, running.port) != 0
        assert tool("echoscu", certificates.stranger, certificates, running.port) != 0
        echo(running.port, settings_of(certificates.client, certificates))


@needs_dcmtk
def test_certificates_of_clients_can_be_left_alone(certificates: Certificates) -> None:
    with serve(server_settings(certificates, is_remote_certificate_required=False, trusted=None)) as running:
        assert tool("echoscu", None, certificates, running.port) == 0
        assert tool("echoscu", certificates.stranger, certificates, running.port) == 0


def test_a_client_without_tls_is_refused(certificates: Certificates) -> None:
    with serve(server_settings(certificates)) as running:
        with Scu(running.port) as scu:
            scu.send(associate_request())
            assert wait_until_closed(scu.socket)
        with pytest.raises(RemoteFailed) as raised:
            echo(running.port, None)
        assert raised.value.trouble in {Trouble.UNREACHABLE, Trouble.FINAL}
        echo(running.port, settings_of(certificates.client, certificates))


def wait_until_closed(sock: socket.socket) -> bool:
    """Whether the connection has ended; what still comes (an alert) is read over."""
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_whoever_does_not_finish_the_handshake_holds_up_nobody(certificates: Certificates, beginning: bytes) -> None:
    settings = replace(server_settings(certificates), artim_timeout_s=1)
    with serve(settings) as running, Scu(running.port) as first, Scu(running.port) as second:
        first.send(beginning)
        second.send(beginning)
        for _ in range(3):
            echo(running.port, settings_of(certificates.client, certificates))
        assert wait_until_closed(first.socket)
        assert wait_until_closed(second.socket)


def test_the_server_stops_while_somebody_shakes_hands(certificates: Certificates) -> None:
    with serve(server_settings(certificates)) as running, Scu(running.port) as scu:
        scu.send(b"\x16\x03")
        running.stop()
        assert wait_until_closed(scu.socket)


def test_the_server_stops_between_two_requests(certificates: Certificates) -> None:
    with serve(server_settings(certificates)) as running, secure(running, certificates) as scu:
        assert isinstance(scu.ask(associate_request()), Accepted)
        assert isinstance(scu.echo(), Response)
        running.stop()
        assert isinstance(scu.receive(), Aborted | Closed)


class SecureScu(Scu):
    """A client that goes on over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket)


def client_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(certificates.trusted)
    context.load_cert_chain(certificates.client.certificate, certificates.client.key)
    return context


@contextmanager
def secure(running: RunningServer, certificates: Certificates) -> Iterator[SecureScu]:
    with SecureScu(running.port, client_context(certificates)) as scu:
        yield scu


def test_a_request_that_comes_byte_by_byte_is_put_together(certificates: Certificates) -> None:
    with serve(server_settings(certificates)) as running, secure(running, certificates) as scu:
        for byte in associate_request():
            scu.send(bytes((byte,)))
        assert isinstance(scu.receive(), Accepted)


def speaks(port: int, context: ssl.SSLContext) -> bool:
    """Whether the server goes on with a client that offers no more than this context does."""
    try:
        with SecureScu(port, context) as scu:
            return isinstance(scu.ask(associate_request()), Accepted)
    except OSError:
        return False


def only(certificates: Certificates, version: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    context = client_context(certificates)
    context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    return context


V1, V1_1, V1_2, V1_3 = (
    ssl.TLSVersion.TLSv1,
    ssl.TLSVersion.TLSv1_1,
    ssl.TLSVersion.TLSv1_2,
    ssl.TLSVersion.TLSv1_3,
)


@pytest.mark.parametrize(
    ("minimum", "accepted"),
    [(0, {V1_2, V1_3}), (2, {V1, V1_1, V1_2, V1_3}), (3, {V1_1, V1_2, V1_3}), (4, {V1_2, V1_3}), (5, {V1_3})],
)
def test_the_minimum_version_holds(certificates: Certificates, minimum: int, accepted: set[ssl.TLSVersion]) -> None:
    with serve(server_settings(certificates, minimum_version=minimum)) as running:
        assert {v for v in (V1, V1_1, V1_2, V1_3) if speaks(running.port, only(certificates, v))} == accepted


@pytest.mark.parametrize(
    ("minimum", "ciphers", "accepted"),
    [
        (0, (), {"ECDHE-RSA-AES256-GCM-SHA384"}),  # forward secrecy and authenticated encryption alone
        (4, (), {"ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA"}),
        (4, ("AES128-SHA",), {"AES128-SHA"}),
        (4, ("TLS_AES_256_GCM_SHA384", "AES128-SHA"), {"AES128-SHA"}),
        (4, ("TLS_AES_256_GCM_SHA384",), set()),
    ],
)
def test_ciphers_are_chosen(
    certificates: Certificates, minimum: int, ciphers: tuple[str, ...], accepted: set[str]
) -> None:
    with serve(server_settings(certificates, minimum_version=minimum, ciphers=ciphers)) as running:
        offered = ("ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA")
        assert {c for c in offered if speaks(running.port, only(certificates, V1_2, c))} == accepted
        assert speaks(running.port, only(certificates, V1_3))


# --- our client ---


@contextmanager
def storescp(folder: Path, *arguments: str) -> Iterator[int]:
    """DCMTK's server; gives its port."""
    port = free_port()
    process = subprocess.Popen(
        ["storescp", *arguments, str(port)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: process.poll() is not None or is_listening(port), "storescp")
        yield port
    finally:
        process.terminate()
        process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def tls_arguments(identity: Identity) -> tuple[str, ...]:
    return ("+tls", str(identity.key), str(identity.certificate))


@needs_dcmtk
def test_a_server_with_a_known_certificate_is_asked(certificates: Certificates, tmp_path: Path) -> None:
    arguments = (*tls_arguments(certificates.server), "+cf", str(certificates.trusted))
    with storescp(tmp_path, *arguments) as port:
        echo(port, settings_of(certificates.client, certificates))


@needs_dcmtk
def test_a_server_with_an_unknown_certificate_is_not_asked(certificates: Certificates, tmp_path: Path) -> None:
    arguments = (*tls_arguments(certificates.stranger), "-ic")
    with storescp(tmp_path, *arguments) as port:
        with pytest.raises(RemoteFailed, match="certificate is not trusted") as raised:
            echo(port, settings_of(certificates.client, certificates))
        assert (raised.value.code, raised.value.trouble) == (9, Trouble.FINAL)
        echo(port, settings_of(certificates.client, certificates, is_remote_certificate_required=False))


@needs_dcmtk
def test_a_server_that_does_not_know_our_certificate(certificates: Certificates, tmp_path: Path) -> None:
    arguments = (*tls_arguments(certificates.server), "+cf", str(certificates.trusted))
    with storescp(tmp_path, *arguments) as port, pytest.raises(RemoteFailed) as raised:
        echo(port, settings_of(certificates.stranger, certificates))
    assert raised.value.code == 9


@needs_dcmtk
def test_a_server_without_tls(certificates: Certificates, tmp_path: Path) -> None:
    with storescp(tmp_path) as port, pytest.raises(RemoteFailed) as raised:
        echo(port, settings_of(certificates.client, certificates))
    assert 'connecting to AET "PEER"' in raised.value.details


def test_a_server_that_is_silent_in_the_handshake_ends_by_the_timeout(certificates: Certificates) -> None:
    def script(peer: Peer, _: PeerServer) -> None:
        while peer.socket.recv(4096):
            pass

    with peer(script) as server, pytest.raises(RemoteFailed) as raised:
        echo(server.port, settings_of(certificates.client, certificates), timeout_s=1)
    assert raised.value.trouble is Trouble.TIMEOUT


def test_an_interruption_ends_the_handshake(certificates: Certificates) -> None:
    interruption = Interruption()

    def script(peer: Peer, _: PeerServer) -> None:
        assert peer.socket.recv(1)
        interruption.interrupt()
        while peer.socket.recv(4096):
            pass

    tls = settings_of(certificates.client, certificates)
    with peer(script) as server, pytest.raises(Interrupted):
        open_association(target(server.port, tls, timeout_s=0), [echo_scu.PROPOSAL], interruption)


def test_an_interruption_ends_a_wait_over_tls(certificates: Certificates) -> None:
    interruption = Interruption()
    with serve(server_settings(certificates)) as running:
        tls = settings_of(certificates.client, certificates)
        association = open_association(target(running.port, tls, timeout_s=0), [echo_scu.PROPOSAL], interruption)
        timer = threading.Timer(0, interruption.interrupt)
        timer.start()
        with pytest.raises(Interrupted):
            association.receive()
        timer.join()
        association.release()


def test_the_two_of_us_exchange_large_messages(certificates: Certificates) -> None:
    data = bytes(range(256)) * (1 << 14)  # 4 MB, of the file's bytes
    with serve(server_settings(certificates)) as running, secure(running, certificates) as scu:
        assert isinstance(scu.ask(associate_request()), Accepted)
        assert isinstance(scu.store(data), Response)
    assert running.ingest.uploads[0].dataset == data
