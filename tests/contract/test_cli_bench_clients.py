"""The load generators of `sinogram bench` against small servers: they must send what they say and notice failures."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import CTImageStorage
from pynetdicom import AE, evt
from pynetdicom.events import Event

from events.errors import PeerFailed
from store.dicom.uids import MR_IMAGE_STORAGE
from tools.bench.archiving import pieces
from tools.bench.cstore_load import Association, parse_file
from tools.bench.http_load import Client, uploads
from tools.bench.results import measured
from tools.bench.samples import Samples
from tools.bench.senders import Outcome, Sender, run_senders
from tools.bench.targets import Target, process_tree

EXPLICIT = "1.2.840.10008.1.2.1"


@contextmanager
def scripted_server(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Answer the n-th request of a connection with the n-th of its answers, then close it; gives URL and requests."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for answers in connections:
                connection, _ = listening.accept()
                with connection, connection.makefile("rb") as reader:
                    for answer in answers:
                        requests.append(_read_request(reader.readline, reader.read))
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", requests
        finally:
            thread.join()


def _read_request(readline: Callable[[], bytes], read: Callable[[int], bytes]) -> bytes:
    request, length = b"", 0
    while (line := readline()) not in {b"\r\n", b""}:
        request += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return request + b"\r\n" + read(length)


def plain(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body


def test_answers_of_every_framing_are_read_on_one_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
    to_the_end = b"HTTP/1.1 200 OK\r\n\r\nrest"
    with scripted_server([plain(b"one"), chunked, to_the_end]) as (url, _):
        client = Client(url)
        assert [client.get("/a"), client.get("/b"), client.get("/c")] == [b"one", b"abc0123456789", b"rest"]
        client.close()


def test_a_connection_closed_while_idle_is_opened_anew() -> None:
    with scripted_server([plain(b"one")], [plain(b"two")]) as (url, _):
        client = Client(url)
        assert [client.get("/a"), client.get("/b")] == [b"one", b"two"]
        client.close()


def test_a_status_other_than_200_is_a_failure() -> None:
    with scripted_server([plain(b'{\n"Message": "no"}', b"400 Bad Request")]) as (url, _):
        client = Client(url)
        with pytest.raises(PeerFailed, match=r'status 400: \{ "Message": "no"\}'):
            client.get("/a")
        client.close()


def test_a_request_holds_path_host_user_and_body() -> None:
    with scripted_server([plain(b"")]) as (url, requests):
        client = Client(f"{url}/base/", ("a", "b"))
        client.exchange(client.request("POST", "/instances", b"body"))
        client.close()
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /base/instances HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Authorization: Basic YTpi" in head
    assert body == b"body"


def test_senders_share_the_files_and_report_every_exchange() -> None:
    files = [b"0", b"1", b"2"]
    senders = uploads(lambda: Client("http://127.0.0.1:1"), files, 2)
    assert len(senders) == 2  # connecting is left to their processes

    def prepare() -> Iterator[Callable[[], None]]:
        return iter([lambda: None, fail, lambda: None])

    def fail() -> None:
        raise PeerFailed("status 500")

    outcome = run_senders([Sender(prepare), Sender(prepare)])
    assert (outcome.count, len(outcome.latencies_s), outcome.seconds > 0) == (4, 4, True)
    assert outcome.failures == ["PeerFailed: status 500"] * 2


def test_a_sender_that_cannot_connect_is_told_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(PeerFailed, match="Connection refused"):
        run_senders(uploads(lambda: Client(url), [b"x"], 1))


def test_a_run_tells_what_processor_time_the_server_took_for_one_exchange() -> None:
    def work() -> Outcome:
        began = time.process_time()
        while time.process_time() - began < 0.2:
            pass
        return Outcome(5, 1.0)

    here = Target(name="here", url="http://127.0.0.1:1", pid=os.getpid())
    spent = measured("busy", here, 1, work).processor_ms
    assert spent is not None
    assert 30 < spent < 200  # 40, in ticks of 10 ms; other threads of the tests may add to it
    elsewhere = Target(name="elsewhere", url="http://127.0.0.1:1")
    assert measured("busy", elsewhere, 1, work).processor_ms is None


def test_a_process_tree_holds_its_root() -> None:
    assert os.getpid() in process_tree(os.getppid())


# -- C-STORE ----------------------------------------------------------------------------------------------------------


@contextmanager
def store_scp(answer: Callable[[Event], int], maximum_pdu: int = 16384) -> Iterator[int]:
    """Run pynetdicom's C-STORE SCP; gives its port."""
    ae = AE("ORTHANC")
    ae.maximum_pdu_size = maximum_pdu
    ae.add_supported_context(MR_IMAGE_STORAGE, EXPLICIT)
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


@pytest.mark.parametrize("maximum_pdu", [4096, 16384, 0])
def test_what_is_stored_equals_what_was_sent(maximum_pdu: int) -> None:
    received: list[bytes] = []

    def answer(event: Event) -> int:
        received.append(event.encoded_dataset(include_meta=False))
        return 0

    files = [parse_file(file) for file in Samples(7).take(2)]
    with store_scp(answer, maximum_pdu) as port:
        association = Association("127.0.0.1", port, "ORTHANC", [(MR_IMAGE_STORAGE, EXPLICIT)])
        for number, file in enumerate(files):
            association.store(association.encode(file, number + 1))
        association.release()
    assert received == [bytes(file.dataset) for file in files]


def test_a_status_that_is_not_success_is_a_failure() -> None:
    file = parse_file(Samples(7, "small").take(1)[0])
    with store_scp(lambda _: 0xA700) as port:
        association = Association("127.0.0.1", port, "ORTHANC", [(MR_IMAGE_STORAGE, EXPLICIT)])
        with pytest.raises(PeerFailed, match="0xA700"):
            association.store(association.encode(file, 1))
        association.release()


def test_a_kind_the_peer_does_not_take_is_told_before_it_is_sent() -> None:
    read = dcmread(BytesIO(Samples(7, "small").take(1)[0]))
    read.SOPClassUID = read.file_meta.MediaStorageSOPClassUID = CTImageStorage
    copy = BytesIO()
    dcmwrite(copy, read, enforce_file_format=True)
    file = parse_file(copy.getvalue())
    with store_scp(lambda _: 0) as port:
        association = Association("127.0.0.1", port, "ORTHANC", [(MR_IMAGE_STORAGE, EXPLICIT)])
        with pytest.raises(PeerFailed, match="does not accept"):
            association.encode(file, 1)
        association.release()


def test_a_client_that_leaves_has_taken_the_first_bytes_alone() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
    with scripted_server([answer], [answer], [plain(b"", b"404 Not Found")]) as (url, requests):
        target = Target(name="x", url=url)
        first = pieces(target, "/studies/1/archive")
        assert next(first)[:1] == b"a"
        first.close()
        assert b"".join(pieces(target, "/studies/1/archive")) == b"abcdef"
        with pytest.raises(PeerFailed, match="404"):
            next(pieces(target, "/studies/1/archive"))
    assert all(request.startswith(b"GET /studies/1/archive HTTP") for request in requests)
