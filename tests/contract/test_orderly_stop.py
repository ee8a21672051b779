"""SIGTERM or SIGINT while a server works: it ends with status 0 and one line that says so, and complains of nothing."""

import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.fault.checks import files_of
from tests.fault.instances import Instance
from tests.fault.raw_association import RawAssociation
from tests.fault.receiver import Receiver, receive
from tests.fault.senders import StoreScu
from tests.fault.servers import AET, ServerUnderTest, server_in, wait_for

SPILLED = 2_000_000  # bytes of pixels: such an instance goes to its file as it comes
IMAGES = [Instance(number, "STOPPED", 1, 1, 200) for number in range(1, 4)]
Work = Callable[[ServerUnderTest, Receiver], AbstractContextManager[Callable[[], None]]]  # gives what ends the work


def _large_files(server: ServerUnderTest) -> int:
    return sum(path.stat().st_size > SPILLED / 2 for path in files_of(server))


@contextmanager
def nothing(_server: ServerUnderTest, _receiver: Receiver) -> Iterator[Callable[[], None]]:
    yield lambda: None


@contextmanager
def a_request(server: ServerUnderTest, _receiver: Receiver) -> Iterator[Callable[[], None]]:
    """An upload without its last byte."""
    body = Instance(9, "STOPPED", 1, 1, SPILLED).file()
    with socket.create_connection(("127.0.0.1", server.http_port), 20) as client:
        there = _large_files(server)
        client.sendall(b"POST /instances HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        client.sendall(body[:-1])
        wait_for(lambda: _large_files(server) > there, "the upload")

        def finish() -> None:
            client.sendall(body[-1:])
            assert b" 200 " in client.recv(100)

        yield finish


@contextmanager
def a_kept_connection(server: ServerUnderTest, _receiver: Receiver) -> Iterator[Callable[[], None]]:
    with contextlib.closing(server.connect_http()) as client:
        client.request("GET", "/system")
        client.getresponse().read()
        yield lambda: None


@contextmanager
def an_association(server: ServerUnderTest, _receiver: Receiver) -> Iterator[Callable[[], None]]:
    with RawAssociation(server.dicom_port) as association:
        assert association.associate(AET) is not None
        yield lambda: None


@contextmanager
def a_c_store(server: ServerUnderTest, _receiver: Receiver) -> Iterator[Callable[[], None]]:
    """One without its last byte."""
    sent = Instance(8, "STOPPED", 1, 1, SPILLED)
    with StoreScu(server.dicom_port) as association:
        there = _large_files(server)  # of the tests before
        association.begin(sent)
        wait_for(lambda: _large_files(server) > there, "the dataset")

        def finish() -> None:
            assert association.finish(sent) == 0

        yield finish


@contextmanager
def a_job(server: ServerUnderTest, receiver: Receiver) -> Iterator[Callable[[], None]]:
    """One whose destination does not answer."""
    receiver.allow(0)
    asked = {"Resources": [image.id for image in IMAGES], "Asynchronous": True}
    answer = server.request("POST", "/modalities/sink/store", json.dumps(asked).encode())
    assert answer.status == 200
    receiver.wait_for(1)
    yield receiver.allow


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receive() as receiving:
        yield receiving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[ServerUnderTest]:
    modalities = {"sink": ["SINK", "127.0.0.1", receiver.port]}
    options = {"GatewayProcesses": 1, "ConcurrentJobs": 1, "DicomModalities": modalities}
    with server_in(tmp_path_factory.mktemp("stopped"), **options) as made:
        yield made


@pytest.mark.parametrize(
    ("number", "work"),
    [
        pytest.param(signal.SIGTERM, nothing, marks=pytest.mark.nightly),
        pytest.param(signal.SIGINT, nothing, marks=pytest.mark.nightly),
        (signal.SIGTERM, a_request),
        (signal.SIGINT, a_kept_connection),
        (signal.SIGINT, a_c_store),
        (signal.SIGTERM, an_association),
        (signal.SIGTERM, a_job),
    ],
)
def test_a_server_that_is_told_to_stop_has_nothing_to_complain_of(
    server: ServerUnderTest, receiver: Receiver, number: signal.Signals, work: Work
) -> None:
    server.start()
    for image in IMAGES:
        assert server.request("POST", "/instances", image.file()).status == 200
    with work(server, receiver) as finish:
        server.signal(number)
        finish()
        assert server.wait() == 0
    said = [line for line in server.log.splitlines() if not line.startswith("  ")]
    assert len(said) == 2
    assert "is ready" in said[0]
    assert said[1] == "Sinogram has stopped"
