"""A DICOMweb server of the test's own: it stores, tells and gives what it has, and answers oddly where a test wants that."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from pydicom import dcmread

from actors.wire.http.peer import Peer

JSON = "application/dicom+json"
RELATED = 'multipart/related; type="application/dicom"; boundary=edge'
WAIT_S = 60.0
Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass
class DicomWebPeer:
    """What it has by SOP Instance UID, what it was asked, and how it is to answer."""

    port: int = 0
    has: dict[str, bytes] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    answer: Callable[[Seen], Reply | None] = lambda _: None  # None: as a good server does
    streams: Callable[[Seen], Iterator[bytes] | None] = lambda _: None  # the raw answer, with its head
    may_answer: threading.Event = field(default_factory=threading.Event)
    answered_anyway: int = 1 << 30  # so many requests, whether or not it may answer

    def known(self, **values: Any) -> Peer:
        return Peer(name="there", url=f"http://127.0.0.1:{self.port}/base/", **values)

    def stored(self) -> list[list[str]]:
        """The UIDs that each request has brought."""
        return [list(map(uid_of, files_in(seen.body))) for seen in self.seen if seen.method == "POST"]

    def reply(self, seen: Seen) -> Reply:
        path, _, _ = seen.path.partition("?")
        if seen.method == "POST":
            files = files_in(seen.body)
            self.has |= {uid_of(file): file for file in files}
            return 200, {"Content-Type": JSON}, stow_answer([uid_of(file) for file in files])
        if path.endswith("/instances"):
            matches = [match_of(file) for file in self.has.values() if "offset=0" in seen.path]
            return 200, {"Content-Type": JSON}, json.dumps(matches).encode()
        named = [file for uid, file in self.has.items() if "/instances/" not in path or path.endswith("/" + uid)]
        return (200, {"Content-Type": RELATED}, multipart(named)) if named else (404, {}, b"")


def uid_of(file: bytes) -> str:
    return str(dcmread(BytesIO(file)).SOPInstanceUID)


def match_of(file: bytes) -> dict[str, Any]:
    known = dcmread(BytesIO(file))
    uids = {"0020000E": str(known.SeriesInstanceUID), "00080018": str(known.SOPInstanceUID)}
    return {tag: {"vr": "UI", "Value": [uid]} for tag, uid in uids.items()}


def multipart(files: list[bytes], boundary: bytes = b"edge") -> bytes:
    """A body by hand, so that it is not ours that is read (RFC 2046)."""
    parts = [b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files]
    return b"".join(parts) + b"--" + boundary + b"--\r\n"


def files_in(body: bytes) -> list[bytes]:
    """The parts of a body, found by their own boundary."""
    edge = body.partition(b"\r\n")[0]
    assert body.endswith(b"\r\n" + edge + b"--\r\n")
    parts = body.split(edge)[1:-1]
    assert all(part.endswith(b"\r\n") for part in parts)
    return [part[:-2].partition(b"\r\n\r\n")[2] for part in parts]


def stow_answer(stored: list[str], refused: dict[str, int] | None = None) -> bytes:
    """PS3.18 §10.5.3.2: 0008,1199 what is stored, 0008,1198 what is not."""
    answer = {
        "00081199": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": [uid]}} for uid in stored]},
        "00081198": {
            "vr": "SQ",
            "Value": [
                {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [reason]}}
                for uid, reason in (refused or {}).items()
            ],
        },
    }
    return json.dumps({tag: sequence for tag, sequence in answer.items() if sequence["Value"]}).encode()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        peer: DicomWebPeer = self.server.peer  # type: ignore[attr-defined]
        seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self._read())
        peer.seen.append(seen)
        self.close_connection = True  # so that no thread outlives a test
        if len(peer.seen) > peer.answered_anyway:
            peer.may_answer.wait(WAIT_S)
        try:
            if (raw := peer.streams(seen)) is not None:
                for piece in raw:
                    self.wfile.write(piece)
                return
            status, headers, body = peer.answer(seen) or peer.reply(seen)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the client is gone

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = bytearray()
        while size := int(self.rfile.readline() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # the standard library's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def dicomweb_peer(*files: bytes) -> Iterator[DicomWebPeer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = False
    peer = DicomWebPeer(server.server_port, {uid_of(file): file for file in files})
    peer.may_answer.set()
    server.peer = peer  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield peer
    finally:
        peer.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()
