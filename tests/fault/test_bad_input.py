"""Bad input of every kind: the caller hears what Orthanc's callers hear, nothing bad is stored, nothing leaks, the server goes on.

Beside each case stands what Orthanc 1.12.7 answers; where Sinogram answers otherwise, the reason stands there too.
"""

import gzip
import io
import socket
import struct
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from pydicom.dataset import Dataset

from tests.data_factory import add_pixels, dataset, encode, uid
from tests.fault.process_tree import holdings, resident_anonymous_bytes
from tests.fault.raw_association import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    ASSOCIATE_RQ,
    EXPLICIT,
    IMPLICIT,
    LAST_COMMAND,
    LAST_DATA,
    MORE_DATA,
    MR,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    Pdu,
    RawAssociation,
    associate_rq,
    command,
    p_data,
    pdu,
    store_rq,
)  # fmt: skip
from tests.peer.exchange import Request, Server
from tests.peer.servers import running, sinogram_command, wait_for

OPTIONS = """
  "DicomCheckCalledAet" : true, "DicomScpTimeout" : 2, "HttpRequestTimeout" : 2, "KeepAliveTimeout" : 1,
  "MaximumFileSizeInArchiveMB" : 8, "MaximumRequestBodySizeMB" : 64,
"""
SETTLE_S = 20.0  # until what a bad peer held must be let go; the time limits above are 2 s
ALLOWED_MEMORY_BYTES = 100 * 2**20

GOOD = encode(add_pixels(dataset(91, 1, 1, 1)))
PLAIN = encode(add_pixels(dataset(91, 1, 1, 2)))  # the file that is damaged below; never stored whole
BAD_FILE, NO_TAG = (400, 15), (404, 21)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running("sinogram", sinogram_command(), tmp_path_factory.mktemp("bad-input"), OPTIONS) as started:
        yield started


@pytest.fixture(autouse=True)
def the_server_goes_on(server: Server) -> Iterator[None]:
    """After each test the archive is as before, and a good instance is still taken and given."""
    before = _archive(server)
    yield
    _take_and_give(server)
    assert _archive(server) == before


def _archive(server: Server) -> tuple[object, object]:
    return server.get_json("/instances"), server.get_json("/statistics")


def _take_and_give(server: Server) -> None:
    """A good instance by REST and by C-STORE, deleted again."""
    answer = server.ask(Request("/instances", "POST", GOOD))
    assert answer.status == 200, answer
    with RawAssociation(server.dicom_port) as association:
        assert _store(association, _dataset_of(GOOD), uid(91, 1, 1, 1)) == 0x0000
    stored = answer.json()
    assert isinstance(stored, dict)
    assert server.get(f"/instances/{stored['ID']}/file").body == GOOD
    assert server.ask(Request(f"/instances/{stored['ID']}", "DELETE")).status == 200


def _dataset_of(file: bytes) -> bytes:
    """Without preamble and file meta information."""
    return file[file.index(b"\x08\x00\x16\x00UI") :]


def _verdict(server: Server, body: bytes, **headers: str) -> tuple[int, int | None]:
    """The HTTP status and Orthanc's number of the error."""
    answer = server.ask(
        Request("/instances", "POST", body, {name.replace("_", "-"): value for name, value in headers.items()})
    )
    parsed = answer.json() if answer.body else None
    return answer.status, parsed.get("OrthancStatus") if isinstance(parsed, dict) else None


def _change(old: bytes, new: bytes) -> bytes:
    assert PLAIN.count(old) == 1
    return PLAIN.replace(old, new)


# --- Files by HTTP ----------------------------------------------------------------------------------------------------

_NAME = b"\x10\0\x10\0PN"
_SAMPLES = b"\x28\0\x02\0US\x02\0"
_PIXELS = PLAIN[PLAIN.index(b"\xe0\x7f\x10\0OW") :][:12]

# What is wrong: (the file, Orthanc's verdict)
BAD_FILES: dict[str, tuple[bytes, tuple[int, int]]] = {
    "empty": (b"", BAD_FILE),
    "text": (b"hello, world\n" * 20, BAD_FILE),
    "a number of zero bytes that looks like elements": (bytes(128), NO_TAG),
    "zero bytes": (bytes(1001), BAD_FILE),
    "ones": (b"\xff" * 1000, BAD_FILE),
    "preamble alone": (b"\0" * 128 + b"DICM", BAD_FILE),
    "cut in the preamble": (PLAIN[:100], BAD_FILE),
    "cut in the magic word": (PLAIN[:130], BAD_FILE),
    "cut in the file meta information": (PLAIN[:170], BAD_FILE),
    "cut after the file meta information": (PLAIN[: PLAIN.index(b"\x08\0\x16\0UI")], NO_TAG),
    "cut in a tag": (PLAIN[: PLAIN.index(_NAME) + 2], BAD_FILE),
    "cut in a VR": (PLAIN[: PLAIN.index(_NAME) + 5], BAD_FILE),
    "cut in a length": (PLAIN[: PLAIN.index(_NAME) + 7], BAD_FILE),
    "cut in a value": (PLAIN[: PLAIN.index(_NAME) + 12], BAD_FILE),
    "cut between elements, before the UIDs": (PLAIN[: PLAIN.index(_NAME)], NO_TAG),
    "cut in the pixel data": (PLAIN[:-5], BAD_FILE),
    "VR of two zero bytes": (_change(b"\x10\0\x10\0PN", b"\x10\0\x10\0\0\0"), BAD_FILE),
    "VR that does not exist": (_change(b"\x10\0\x10\0PN", b"\x10\0\x10\0ZZ"), BAD_FILE),
    "a text claimed to be a sequence": (_change(b"\x10\0\x10\0PN", b"\x10\0\x10\0SQ"), BAD_FILE),
    "claims 2 GB in an element": (_change(_SAMPLES, _SAMPLES[:4] + b"OB\0\0\xff\xff\xff\x7f"), BAD_FILE),
    "claims 2 GB of pixels": (_change(_PIXELS, _PIXELS[:8] + b"\xff\xff\xff\x7f"), BAD_FILE),
    "undefined length without end": (_change(_SAMPLES, _SAMPLES[:4] + b"OB\0\0\xff\xff\xff\xff"), BAD_FILE),
    "encapsulated by its syntax, native by its bytes": (
        _change(b"1.2.840.10008.1.2.1\0\x02", b"1.2.840.10008.1.2.5\0\x02"),
        BAD_FILE,
    ),
    "explicit VR called implicit": (_change(b"1.2.840.10008.1.2.1\0\x02", b"1.2.840.10008.1.2\0\0\0\x02"), BAD_FILE),
    "no SOP Instance UID": (encode(dataset(91, 1, 1, 3, SOPInstanceUID=None)), NO_TAG),
    "no Series Instance UID": (encode(dataset(91, 1, 1, 3, SeriesInstanceUID=None)), NO_TAG),
    "no Study Instance UID": (encode(dataset(91, 1, 1, 3, StudyInstanceUID=None)), NO_TAG),
    "empty SOP Instance UID": (encode(dataset(91, 1, 1, 3, SOPInstanceUID="")), BAD_FILE),
    "gzip without its header field": (gzip.compress(PLAIN), BAD_FILE),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused(server: Server, name: str) -> None:
    file, verdict = BAD_FILES[name]
    assert _verdict(server, file) == verdict


def test_bad_gzip_is_refused(server: Server) -> None:
    packed = gzip.compress(PLAIN)
    assert _verdict(server, packed[:-40] + packed[-4:], Content_Encoding="gzip")[0] == 400  # Orthanc: 400 (15)
    assert _verdict(server, b"no gzip at all" * 20, Content_Encoding="gzip")[0] in {400, 500}  # Orthanc: 500 (-1)


def _zip(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def test_the_good_members_of_a_zip_are_stored(server: Server) -> None:
    """As Orthanc: bad members are passed over, the good ones are stored."""
    bad = [(f"{name}.dcm", file) for name, (file, _) in BAD_FILES.items()]
    worse = [(f"folder/{name}", file) for name, file in bad]
    answer = server.ask(
        Request(
            "/instances",
            "POST",
            _zip(*bad, ("good", GOOD), ("empty folder/", b""), *worse, ("inner.zip", _zip(("g", GOOD)))),
        )
    )
    assert answer.status == 200
    stored = answer.json()
    assert isinstance(stored, list)
    assert [each["Status"] for each in stored] == ["Success"]
    assert server.ask(Request(stored[0]["Path"], "DELETE")).status == 200


def test_a_damaged_zip_is_refused(server: Server) -> None:
    whole = _zip(("a", PLAIN), ("b", PLAIN))
    for cut in (4, 30, 100, len(whole) - 50, len(whole) - 1):
        assert _verdict(server, whole[:cut]) == BAD_FILE  # as Orthanc


@pytest.mark.parametrize("kind", ["zip", "gzip", "nested zip"])
def test_a_bomb_is_refused_without_the_memory_it_asks_for(server: Server, kind: str) -> None:
    """1.12.7 unpacks it whole; `MaximumFileSizeInArchiveMB` came with 1.12.11."""
    zeros = bytes(512 * 2**20)
    bomb = gzip.compress(zeros, 1) if kind == "gzip" else _zip(("bomb", zeros))
    if kind == "nested zip":
        bomb = _zip(*((f"{n}", bomb) for n in range(5)))
    del zeros
    before = resident_anonymous_bytes(server.pid)
    status, _ = _verdict(server, bomb, **({"Content_Encoding": "gzip"} if kind == "gzip" else {}))
    assert status in (
        {200, 400, 413} if kind != "gzip" else {400, 413}
    )  # a ZIP whose members are all passed over answers []
    assert resident_anonymous_bytes(server.pid) - before < ALLOWED_MEMORY_BYTES


# --- HTTP itself -------------------------------------------------------------------------------------------------------


def _http(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.http_port), timeout=SETTLE_S)


def _until_closed(link: socket.socket) -> bytes:
    received = b""
    try:
        while part := link.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize(
    "request_bytes",
    [b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"x" * 200_000, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 500,
     b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
     b"POST /instances HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n"],
    ids=["zeros", "no target", "version 9.9", "endless target", "TLS hello", "negative length", "length of letters", "bad chunk"],
)  # fmt: skip
def test_what_is_not_http_is_answered_400_or_closed(server: Server, request_bytes: bytes) -> None:
    """As Orthanc's HTTP library does."""
    with _http(server) as link:
        link.sendall(request_bytes)
        link.shutdown(socket.SHUT_WR)
        received = _until_closed(link)
    assert received == b"" or received[:12] in {
        b"HTTP/1.1 400",
        b"HTTP/1.1 414",
        b"HTTP/1.1 431",
        b"HTTP/1.0 400",
        b"HTTP/1.1 505",
    }


@pytest.mark.parametrize("sent", [0, 10, 400])
def test_a_client_that_leaves_during_its_upload_leaves_nothing(server: Server, sent: int) -> None:
    for framing in (f"Content-Length: {len(PLAIN)}", "Transfer-Encoding: chunked"):
        body = PLAIN if "Length" in framing else f"{len(PLAIN):x}\r\n".encode() + PLAIN
        with _http(server) as link:
            link.sendall(f"POST /instances HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode() + body[:sent])


def test_a_body_above_the_limit_is_refused(server: Server) -> None:
    """`MaximumRequestBodySizeMB` came with 1.12.11: 413."""
    with _http(server) as link:
        link.sendall(f"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: {2**31}\r\n\r\n".encode() + bytes(1000))
        assert link.recv(12) == b"HTTP/1.1 413"


def test_slow_clients_hold_up_nobody(server: Server) -> None:
    """Three hundred clients that never finish their request; the next one is served at once."""
    heads = (
        b"GET /system HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc",
    )
    with ExitStack() as stack:
        links = [stack.enter_context(_http(server)) for _ in range(300)]
        for number, link in enumerate(links):
            link.sendall(heads[number % 2])
        for round_ in range(3):
            for link in links:
                with suppress(OSError):  # the server may have given up on it by now
                    link.sendall(str(round_).encode())
            assert server.get("/system").status == 200
            assert server.ask(Request("/instances", "POST", b"text")).status == 400


# --- The DICOM port ----------------------------------------------------------------------------------------------------

# What is sent before there is an association: (the bytes, what Orthanc answers: a PDU type, or None for a closed connection)
NO_ASSOCIATION: dict[str, tuple[bytes, int | None]] = {
    "HTTP": (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", None),
    "zeros": (bytes(100), None),
    "unknown PDU type": (pdu(0xFF, b"abc"), None),
    "a request that claims 2 GB": (pdu(ASSOCIATE_RQ, b"x", 2**31), None),
    "data that claim 4 GB": (pdu(P_DATA, b"x", 2**32 - 1), None),
    "data before a request": (p_data(b"abc", LAST_COMMAND), ABORT),
    "release before a request": (pdu(RELEASE_RQ, bytes(4)), ABORT),
    "protocol version 0": (associate_rq().replace(b"\0\1\0\0PEER", b"\0\0\0\0PEER"), ASSOCIATE_RJ),
    "another application context": (associate_rq().replace(b"10008.3.1.1.1", b"10008.3.1.1.9"), ASSOCIATE_RJ),
    "wrong called AET": (associate_rq("OTHER"), ASSOCIATE_RJ),
    "items longer than the request": (associate_rq()[:74] + b"\x10\0\xff\xff" + associate_rq()[78:], None),
}


@pytest.mark.parametrize("name", NO_ASSOCIATION)
def test_what_is_no_association_request_is_turned_away(server: Server, name: str) -> None:
    """An A-ABORT before closing, where Orthanc only closes, is as good (PS3.8 §9.2, AA-1)."""
    sent, kind = NO_ASSOCIATION[name]
    with RawAssociation(server.dicom_port) as peer:
        peer.send(sent)
        answer = peer.read()
        assert (answer.kind if answer else None) in ({kind, ABORT} if kind is None else {kind})


def test_silent_peers_hold_up_nobody(server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(RawAssociation(server.dicom_port))
        with RawAssociation(server.dicom_port) as peer:
            answer = peer.associate(abstract=VERIFICATION)
            assert answer is not None
            assert answer.kind == ASSOCIATE_AC


# What is sent within an association; Orthanc answers each with an A-ABORT.
IN_ASSOCIATION: dict[str, bytes] = {
    "not a PDU": b"\x99" * 50,
    "a PDU above the maximum": pdu(P_DATA, struct.pack(">IBB", 400_002, 1, MORE_DATA) + bytes(400_000)),
    "data that claim 2 GB": pdu(P_DATA, b"x", 2**31),
    "a PDV longer than its PDU": pdu(P_DATA, struct.pack(">IBB", 1000, 1, LAST_COMMAND) + bytes(10)),
    "a PDV of no length": pdu(P_DATA, struct.pack(">I", 0)),
    "a presentation context never agreed": p_data(store_rq(MR, "1.2"), LAST_COMMAND, context=9),
    "a command that is none": p_data(b"\xff" * 60, LAST_COMMAND),
    "an unknown command": p_data(store_rq(MR, "1.2", field=0x0999), LAST_COMMAND),
    "a command without its fields": p_data(command((0x0100, struct.pack("<H", 1))), LAST_COMMAND),
    "a second request": associate_rq(),
    "a dataset before its command": p_data(_dataset_of(PLAIN), LAST_DATA),
}


@pytest.mark.parametrize("name", IN_ASSOCIATION)
def test_a_broken_protocol_is_aborted(server: Server, name: str) -> None:
    with RawAssociation(server.dicom_port) as peer:
        accepted = peer.associate()
        assert accepted is not None
        assert accepted.kind == ASSOCIATE_AC
        peer.send(IN_ASSOCIATION[name])
        answer = peer.read()
        assert answer is None or answer.kind == ABORT, answer


def _store(association: RawAssociation, data: bytes, sop_uid: str, *, syntax: str = EXPLICIT) -> int | None:
    """The status of a C-STORE on a new association, then released."""
    accepted = association.associate(syntax=syntax)
    assert accepted is not None
    assert accepted.kind == ASSOCIATE_AC
    response = _send(association, data, sop_uid)
    if response is None or response.kind != P_DATA:
        return None
    released = association.release()
    assert released is not None
    assert released.kind == RELEASE_RP
    return response.dimse_status


def _send(association: RawAssociation, data: bytes, sop_uid: str) -> Pdu | None:
    association.send(p_data(store_rq(MR, sop_uid), LAST_COMMAND))
    pieces = [data[start : start + 10_000] for start in range(0, len(data), 10_000)] or [b""]
    for number, piece in enumerate(pieces, start=1):
        association.send(p_data(piece, LAST_DATA if number == len(pieces) else MORE_DATA))
    return association.read()


CANNOT_UNDERSTAND = range(0xC000, 0xD000)
MISMATCH = range(0xA900, 0xAA00)
# What is sent as a dataset, the SOP Instance UID of the command, the statuses that are right, and what Orthanc does.
# Orthanc waits 30 s for more after a dataset that ends inside an element, then aborts; a status at once serves its senders better.
BAD_DATASETS: dict[str, tuple[bytes, str, range]] = {
    "empty": (b"", uid(91, 1, 1, 2), CANNOT_UNDERSTAND),  # Orthanc: 0xC000
    "text": (b"hello, world", uid(91, 1, 1, 2), CANNOT_UNDERSTAND),  # waits, aborts
    "ones": (b"\xff" * 200, uid(91, 1, 1, 2), CANNOT_UNDERSTAND),  # waits, aborts
    "cut in the pixel data": (_dataset_of(PLAIN)[:-10], uid(91, 1, 1, 2), CANNOT_UNDERSTAND),  # waits, aborts
    "cut in a tag": (
        _dataset_of(PLAIN[: PLAIN.index(_NAME) + 3]),
        uid(91, 1, 1, 2),
        CANNOT_UNDERSTAND,
    ),  # waits, aborts
    "VR that does not exist": (
        _dataset_of(BAD_FILES["VR that does not exist"][0]),
        uid(91, 1, 1, 2),
        CANNOT_UNDERSTAND,
    ),  # waits, aborts
    "claims 2 GB": (
        _dataset_of(BAD_FILES["claims 2 GB in an element"][0]),
        uid(91, 1, 1, 2),
        CANNOT_UNDERSTAND,
    ),  # waits, aborts
    "no SOP Instance UID": (
        _dataset_of(BAD_FILES["no SOP Instance UID"][0]),
        uid(91, 1, 1, 3),
        CANNOT_UNDERSTAND,
    ),  # 0xC000
    "no Study Instance UID": (
        _dataset_of(BAD_FILES["no Study Instance UID"][0]),
        uid(91, 1, 1, 3),
        CANNOT_UNDERSTAND,
    ),  # 0xA700: no storage is full
    "another SOP Instance UID than the command's": (_dataset_of(PLAIN), "1.2.3.4", MISMATCH),  # 0xA900
}


@pytest.mark.parametrize("name", BAD_DATASETS)
def test_a_bad_dataset_gets_a_failure_status(server: Server, name: str) -> None:
    data, sop_uid, statuses = BAD_DATASETS[name]
    with RawAssociation(server.dicom_port) as peer:
        assert _store(peer, data, sop_uid) in statuses


def test_explicit_bytes_sent_as_implicit_are_refused(server: Server) -> None:
    with RawAssociation(server.dicom_port) as peer:
        assert _store(peer, _dataset_of(PLAIN), uid(91, 1, 1, 2), syntax=IMPLICIT) in CANNOT_UNDERSTAND


def test_a_good_dataset_after_a_bad_one_on_the_same_association_is_stored(server: Server) -> None:
    with RawAssociation(server.dicom_port) as peer:
        peer.associate()
        bad, good = _send(peer, b"hello", uid(91, 1, 1, 1)), _send(peer, _dataset_of(GOOD), uid(91, 1, 1, 1))
    assert bad is not None
    assert bad.dimse_status in CANNOT_UNDERSTAND
    assert good is not None
    assert good.dimse_status == 0
    found = server.ask(Request("/tools/lookup", "POST", uid(91, 1, 1, 1))).json()
    assert isinstance(found, list)
    assert server.ask(Request(found[0]["Path"], "DELETE")).status == 200


@pytest.mark.parametrize("ending", ["abort", "close", "release", "silence"])
def test_an_association_that_ends_during_a_dataset_stores_nothing(server: Server, ending: str) -> None:
    """As Orthanc; silence is timed out by `DicomScpTimeout`."""
    with RawAssociation(server.dicom_port) as peer:
        peer.associate()
        peer.send(p_data(store_rq(MR, uid(91, 1, 1, 2)), LAST_COMMAND), p_data(_dataset_of(PLAIN)[:300], MORE_DATA))
        if ending == "abort":
            peer.send(pdu(ABORT, bytes(4)))
        if ending == "release":
            peer.send(pdu(RELEASE_RQ, bytes(4)))
        if ending != "close":
            answer = peer.read()
            assert answer is None or answer.kind == ABORT


def test_large_uploads_that_break_off_leave_no_file(server: Server) -> None:
    """Large enough to be written to a file while it comes."""
    large = encode(_with_pixels(32 * 2**20))
    with RawAssociation(server.dicom_port) as peer:
        peer.associate()
        peer.send(p_data(store_rq(MR, uid(91, 1, 1, 5)), LAST_COMMAND))
        data = _dataset_of(large)
        for start in range(0, len(data) - 100_000, 16_000):
            peer.send(p_data(data[start : start + 16_000], MORE_DATA))
    with _http(server) as link:
        link.sendall(
            f"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: {len(large)}\r\n\r\n".encode() + large[:-100_000]
        )
    assert _verdict(server, large[:-9]) == BAD_FILE


def _with_pixels(size: int) -> Dataset:
    """A dataset with pixel data of that many bytes."""
    made = add_pixels(dataset(91, 1, 1, 5))
    made.PixelData = bytes(size)
    return made


# --- Again and again ---------------------------------------------------------------------------------------------------


def test_nothing_leaks_however_often_it_is_repeated(server: Server) -> None:
    """Threads, descriptors, files and readers after three more rounds are what they were after the first."""
    _everything_bad(server)
    before = holdings(server.pid, server.data)
    for _ in range(3):
        _everything_bad(server)
    server.disconnect()
    wait_for(lambda: holdings(server.pid, server.data).is_no_more_than(before), f"no more than {before}", SETTLE_S)


def _everything_bad(server: Server) -> None:
    for file, _ in BAD_FILES.values():
        _verdict(server, file)
    _verdict(server, _zip(*((name, file) for name, (file, _) in BAD_FILES.items())))
    for sent in (*(sent for sent, _ in NO_ASSOCIATION.values()), associate_rq()[:50]):
        with RawAssociation(server.dicom_port) as peer:
            peer.send(sent)
    for sent in IN_ASSOCIATION.values():
        with RawAssociation(server.dicom_port) as peer:
            peer.associate()
            peer.send(sent)
            peer.read()
    for data, sop_uid, _ in BAD_DATASETS.values():
        with RawAssociation(server.dicom_port) as peer:
            _store(peer, data, sop_uid)
    with RawAssociation(server.dicom_port) as peer, _http(server) as link:
        peer.associate()
        peer.send(p_data(store_rq(MR, uid(91, 1, 1, 2)), LAST_COMMAND), p_data(_dataset_of(PLAIN)[:300], MORE_DATA))
        link.sendall(b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + PLAIN[:300])
