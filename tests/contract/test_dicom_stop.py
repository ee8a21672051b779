"""How the server stops: idle associations at once, requests in progress within the grace, nothing left behind."""

import socket
import threading
import time

from actors.wire.dicom.pdu import encode_p_data
from api.dicom.server import DicomServer
from api.dicom.settings import DicomSettings
from tests.contract.dicom_fakes import FakeUpload
from tests.contract.dicom_scu import Aborted, Closed, Response, Scu, make_dataset, store_command
from tests.contract.dicom_server import open_descriptors, serve

STORE = encode_p_data(3, store_command(), is_command=True, is_last=True)


def test_idle_associations_are_aborted_at_once() -> None:
    with serve() as server, Scu(server.port) as connected, Scu(server.port) as associated, Scu(server.port) as used:
        associated.associate()
        used.associate()
        assert isinstance(used.echo(), Response)
        server.stop(60)
        for scu in (connected, associated, used):
            assert scu.receive() in {Aborted(0, 0), Closed()}
        assert not _is_accepting(server.port)


def test_a_request_in_progress_is_still_answered() -> None:
    entered, durable = threading.Event(), threading.Event()

    def wait(_: FakeUpload) -> None:
        entered.set()
        assert durable.wait(20)

    with serve() as server, Scu(server.port) as scu:
        server.ingest.on_store = wait
        scu.associate()
        scu.send(STORE)
        scu.send_dataset(make_dataset())
        assert entered.wait(20)
        stopper = threading.Thread(target=server.stop, args=(60,))
        stopper.start()
        while _is_accepting(server.port):
            pass
        durable.set()
        answer = scu.receive()
        assert isinstance(answer, Response)
        assert answer.status == 0
        assert scu.receive() in {Aborted(0, 0), Closed()}
        stopper.join()
    assert len(server.ingest.stored) == 1


def _is_accepting(port: int) -> bool:
    try:
        Scu(port).socket.close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


def test_a_request_that_does_not_end_is_broken_after_the_grace() -> None:
    opened = threading.Event()
    with serve(DicomSettings(scp_timeout_s=0)) as server, Scu(server.port) as scu:
        server.ingest.on_write = lambda _: opened.set()
        scu.associate()
        scu.send(STORE)
        assert opened.wait(20)
        before = time.monotonic()
        server.stop(0.1)
        assert time.monotonic() - before < 10
        assert server.ingest.uploads[0].is_left.is_set()
        assert not server.ingest.stored


def test_a_server_without_any_peer_stops() -> None:
    before = open_descriptors()
    server = DicomServer(socket.create_server(("127.0.0.1", 0)), (), DicomSettings)
    server.start()
    server.stop()
    assert open_descriptors() <= before


def test_two_servers_may_share_a_socket() -> None:
    """As gateways do: when one stops, the other goes on."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    one, other = (DicomServer(sock, (), DicomSettings) for sock in (listener.dup(), listener))
    one.start()
    other.start()
    one.stop()
    for _ in range(5):
        with Scu(port) as scu:
            scu.associate()
    other.stop()


def test_connections_come_and_go_without_leaving_anything() -> None:
    with serve() as server:
        with Scu(server.port) as scu:
            scu.associate()
        before = threading.active_count()
        for _ in range(100):
            with Scu(server.port) as scu:
                scu.associate()
                assert isinstance(scu.echo(), Response)
                scu.release()
                assert scu.receive() == Closed()
        assert threading.active_count() <= before + 1
