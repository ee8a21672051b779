"""What breaks the protocol is answered as PS3.8 says, nothing of it is stored, and the server goes on."""

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from actors.wire.dicom.command import Element, encode_command
from actors.wire.dicom.pdu import encode_p_data
from api.dicom.settings import DicomSettings
from tests.contract.dicom_fakes import FakeUpload
from tests.contract.dicom_scu import (
    ABORT,
    CT,
    RELEASE_RQ,
    VERIFICATION,
    Aborted,
    Accepted,
    Answer,
    Closed,
    ReleaseReply,
    Response,
    Scu,
    associate_request,
    echo_command,
    item,
    make_dataset,
    store_command,
)
from tests.contract.dicom_server import RunningServer, serve

UNRECOGNIZED, UNEXPECTED, UNEXPECTED_PARAMETER, INVALID = Aborted(2, 1), Aborted(2, 2), Aborted(2, 5), Aborted(2, 6)
BY_USER = Aborted(0, 0)
STORE = encode_p_data(3, store_command(), is_command=True, is_last=True)
ECHO = encode_p_data(1, echo_command(), is_command=True, is_last=True)
WITHOUT: dict[str, dict[Element, int | str]] = {
    "no class": {Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3", Element.DATA_SET_TYPE: 1},
    "no instance": {Element.AFFECTED_SOP_CLASS_UID: CT, Element.DATA_SET_TYPE: 1},
    "no dataset": {
        Element.AFFECTED_SOP_CLASS_UID: CT,
        Element.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
        Element.DATA_SET_TYPE: 0x0101,
    },
}


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with serve() as running:
        yield running
        with Scu(running.port) as scu:  # whatever happened, the next one is served
            scu.associate()
            assert isinstance(scu.echo(), Response)
            assert scu.release() == ReleaseReply()
        assert not running.ingest.stored


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def p_data(fragments: bytes) -> bytes:
    return pdu(4, fragments)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", UNRECOGNIZED),
        (bytes(6), UNRECOGNIZED),
        (b"\xff" * 100, UNRECOGNIZED),
        (pdu(1, b"", length=0xFFFFFFFF), INVALID),
        (pdu(1, bytes(67)), INVALID),
        (pdu(1, bytes(68)), INVALID),
        (pdu(1, bytes(68) + item(0x20, b"\1\0\0\0" + item(0x30, b"1.2"))), INVALID),
        (pdu(1, bytes(68) + b"\x20\0\xff\xff"), INVALID),
        (associate_request([]), INVALID),
        (associate_request([(1, VERIFICATION, [])]), INVALID),
        (ECHO, UNEXPECTED),
        (RELEASE_RQ, UNEXPECTED),
        (pdu(2, bytes(68)), UNEXPECTED),
        (ABORT, Closed()),
    ],
)
def test_instead_of_a_request(server: RunningServer, data: bytes, expected: Answer) -> None:
    with Scu(server.port) as scu:
        assert scu.ask(data) == expected
        assert scu.receive() == Closed()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pdu(9, bytes(4)), UNRECOGNIZED),
        (b"garbage garbage garbage", UNRECOGNIZED),
        (associate_request(), UNEXPECTED),
        (pdu(2, bytes(68)), UNEXPECTED),
        (pdu(3, bytes(4)), UNEXPECTED),
        (pdu(6, bytes(4)), UNEXPECTED),
        (pdu(4, b"", length=0x7FFFFFFF), INVALID),
        (pdu(4, b"", length=16385), INVALID),
        (p_data(b"\0\0\0"), INVALID),
        (p_data(struct.pack(">IBB", 0, 1, 3)), INVALID),
        (p_data(struct.pack(">IBB", 1, 1, 3)), INVALID),
        (p_data(struct.pack(">IBB", 0xFFFFFFFF, 1, 3)), INVALID),
        (p_data(struct.pack(">IBB", 100, 1, 3)), INVALID),
        (encode_p_data(99, echo_command(), is_command=True, is_last=True), INVALID),
        (encode_p_data(1, b"garbage garbage", is_command=True, is_last=True), INVALID),
        (encode_p_data(1, b"", is_command=True, is_last=True), INVALID),
        (encode_p_data(1, bytes(16000), is_command=True, is_last=False) * 5, INVALID),
        (encode_p_data(1, echo_command(), is_command=False, is_last=True), UNEXPECTED_PARAMETER),
        (STORE + STORE, UNEXPECTED_PARAMETER),
        (STORE + encode_p_data(5, b"\0\0", is_command=False, is_last=True), UNEXPECTED_PARAMETER),
        (STORE + encode_p_data(3, b"\0\0", is_command=False, is_last=False) + ECHO, UNEXPECTED_PARAMETER),
        (STORE + RELEASE_RQ, UNEXPECTED),
        (STORE + encode_p_data(3, b"\0\0", is_command=False, is_last=False) + RELEASE_RQ, UNEXPECTED),
        (encode_p_data(1, echo_command()[:-4], is_command=True, is_last=False) + RELEASE_RQ, UNEXPECTED),
        (encode_p_data(1, echo_command().replace(b"\x30\0", b"\x77\x77"), is_command=True, is_last=True), BY_USER),
        (ABORT, Closed()),
        (STORE + ABORT, Closed()),
    ],
)
def test_inside_an_association(server: RunningServer, data: bytes, expected: Answer) -> None:
    with Scu(server.port) as scu:
        scu.associate()
        assert scu.ask(data) == expected
        assert scu.receive() == Closed()


@pytest.mark.parametrize("missing", WITHOUT)
def test_a_store_without_something_is_answered_by_an_abort(server: RunningServer, missing: str) -> None:
    fixed: dict[Element, int | str] = {Element.COMMAND_FIELD: 1, Element.MESSAGE_ID: 1, Element.PRIORITY: 0}
    with Scu(server.port) as scu:
        scu.associate()
        command = encode_command(fixed | WITHOUT[missing])
        assert scu.ask(encode_p_data(3, command, is_command=True, is_last=True)) == BY_USER
    assert not server.ingest.uploads


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize(
    "part", [b"", encode_p_data(3, make_dataset(), is_command=False, is_last=False), b"\4\0\0\0\1"]
)
def test_a_peer_that_goes_inside_a_dataset_leaves_nothing(
    server: RunningServer, part: bytes, *, is_reset: bool
) -> None:
    opened = threading.Event()
    server.ingest.on_write = lambda _: opened.set()
    with Scu(server.port) as scu:
        scu.associate()
        scu.send(STORE + part)
        assert opened.wait(20)
        if is_reset:
            scu.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    (upload,) = server.ingest.uploads
    assert upload.is_left.wait(20)
    assert not upload.is_stored


def test_a_peer_that_goes_before_the_answer_harms_nobody(server: RunningServer) -> None:
    gone = threading.Event()
    entered = threading.Event()

    def wait(upload: FakeUpload) -> None:
        entered.set()
        assert gone.wait(20)
        raise KeyError(str(upload.origin))  # so that nothing counts as stored

    server.ingest.on_store = wait
    with Scu(server.port) as scu:
        scu.associate()
        scu.send(STORE)
        scu.send_dataset(make_dataset())
        assert entered.wait(20)
        scu.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.set()
    assert server.ingest.uploads[0].is_left.wait(20)


# --- silence ---


def test_a_peer_that_says_nothing_is_sent_away() -> None:
    with serve(DicomSettings(artim_timeout_s=0.2)) as server, Scu(server.port) as scu:
        assert scu.receive() == BY_USER
        assert scu.receive() == Closed()


def test_a_request_that_drips_is_not_waited_for() -> None:
    """Each byte comes in time, the whole does not."""
    with serve(DicomSettings(artim_timeout_s=0.3)) as server, Scu(server.port) as scu:
        scu.socket.settimeout(0.02)
        answer: Answer | None = None
        for byte in associate_request()[:200]:
            scu.send(bytes((byte,)))
            try:
                answer = scu.receive()
                break
            except TimeoutError:
                continue
        assert answer == BY_USER


@pytest.mark.parametrize("begun", [b"", b"\4\0\0", STORE])
def test_an_association_may_be_silent_for_so_long(begun: bytes) -> None:
    with serve(DicomSettings(scp_timeout_s=0.2)) as server, Scu(server.port) as scu:
        scu.associate()
        assert scu.ask(begun) == BY_USER
        assert scu.receive() == Closed()


def test_the_limit_of_the_request_is_not_that_of_the_association() -> None:
    with serve(DicomSettings(artim_timeout_s=0.2, scp_timeout_s=0)) as server, Scu(server.port) as scu:
        scu.associate()
        scu.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            scu.receive()
        scu.socket.settimeout(20)
        assert isinstance(scu.echo(), Response)


# --- too many ---


def test_more_associations_than_allowed_are_told_to_come_back() -> None:
    with serve(DicomSettings(maximum_associations=2)) as server:
        with Scu(server.port) as first, Scu(server.port) as second:
            first.associate()
            second.associate()
            with Scu(server.port) as third:
                assert third.ask(associate_request()) == (2, 3, 2)
            assert isinstance(first.echo(), Response)
            assert first.release() == ReleaseReply()
            assert first.receive() == Closed()
        with Scu(server.port) as scu:
            while not isinstance(answer := scu.ask(associate_request()), Accepted):
                assert answer == (2, 3, 2)  # the two above are still ending
                scu.socket.close()
                scu.__init__(server.port)  # type: ignore[misc] # the next try


def test_far_too_many_connections_are_closed() -> None:
    with serve(DicomSettings(maximum_associations=0, artim_timeout_s=20)) as server:
        waiting = [Scu(server.port) for _ in range(16)]
        with Scu(server.port) as scu:
            assert scu.receive() == Closed()
        for one in waiting:
            assert one.ask(associate_request()) == (2, 3, 2)
            one.socket.close()
