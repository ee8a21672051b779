"""HTTP load over raw keep-alive sockets: requests are bytes made in advance, answers are read and not looked at.

A request costs this generator some 20 µs, so it does not become what is measured below about 20,000 requests/s; 100 MB of an answer cost 30 ms
(they took 250 when they were kept).
"""

import base64
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from events.errors import PeerFailed
from tools.bench.senders import Sender

TIMEOUT_S: Final = 120.0
RECEIVE_BYTES: Final = 1 << 18


class Client:
    """One keep-alive connection; connects when it must."""

    def __init__(self, url: str, user: tuple[str, str] | None = None) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._path = parts.path.rstrip("/")
        self._headers = f" HTTP/1.1\r\nHost: {self._address[0]}:{self._address[1]}\r\n"
        if user:
            self._headers += f"Authorization: Basic {base64.b64encode(':'.join(user).encode()).decode()}\r\n"
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._received = memoryview(bytearray(RECEIVE_BYTES))

    def connect(self) -> None:
        self.close()
        self._socket = socket.create_connection(self._address, TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None
        self._buffer.clear()

    def request(self, method: str, path: str, body: bytes = b"", accept: str = "") -> bytes:
        """Make the bytes of a request."""
        length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
        length += f"Accept: {accept}\r\n" if accept else ""
        return f"{method} {self._path}{path}{self._headers}{length}\r\n".encode() + body

    def get(self, path: str) -> bytes:
        """Ask for `path` and return the body. Raises: PeerFailed unless the status is 200."""
        return self.exchange(self.request("GET", path))

    def exchange(self, request: bytes, *, keeps: bool = True) -> bytes:
        """Send a request, read the answer, of which a body of known length is kept if somebody wants it. Raises: PeerFailed unless the status is 200, OSError."""
        if self._socket is None:
            self.connect()
        try:
            status, body = self._exchange(request, keeps=keeps)
        except (ConnectionError, EOFError):  # an idle connection was closed
            self.connect()
            status, body = self._exchange(request, keeps=keeps)
        if status != 200:
            raise PeerFailed(f"status {status}: {' '.join(body[:300].decode(errors='replace').split())}")
        return body

    def _exchange(self, request: bytes, *, keeps: bool) -> tuple[int, bytes]:
        assert self._socket
        self._socket.sendall(request)
        head = self._read_until(b"\r\n\r\n").lower()
        status = int(head[9:12])
        if (place := head.find(b"\r\ncontent-length:")) >= 0:
            size = int(head[place + 17 : head.index(b"\r\n", place + 17)])
            body = self._read(size) if keeps or status != 200 else self._skip(size)
        elif b"\r\ntransfer-encoding: chunked" in head:
            body = self._read_chunks()
        else:
            body = self._read_to_end()
        if b"\r\nconnection: close" in head:
            self.close()
        return status, body

    def _fill(self) -> None:
        self._buffer += self._received[: self._receive(RECEIVE_BYTES)]

    def _receive(self, most: int) -> int:
        assert self._socket
        # A server that sends the head and the body of an answer apart would else wait 40 ms for an acknowledgement.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        count = self._socket.recv_into(self._received, most)
        if not count:
            raise EOFError("the server closed the connection")
        return count

    def _read_until(self, mark: bytes) -> bytes:
        while (place := self._buffer.find(mark)) < 0:
            self._fill()
        return self._take(place + len(mark))

    def _read(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        return self._take(count)

    def _skip(self, count: int) -> bytes:
        count -= len(self._take(min(count, len(self._buffer))))
        while count:
            count -= self._receive(min(count, RECEIVE_BYTES))
        return b""

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self._read_until(b"\r\n").partition(b";")[0], 16):
            body += self._read(size)
            self._read(2)
        self._read_until(b"\r\n")
        return bytes(body)

    def _read_to_end(self) -> bytes:
        try:
            while True:
                self._fill()
        except EOFError:
            return self._take(len(self._buffer))

    def _take(self, count: int) -> bytes:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data


def uploads(make_client: Callable[[], Client], files: Sequence[bytes], clients: int) -> list[Sender]:
    """Send `files` with POST /instances from `clients` connections, each every n-th file."""
    return [Sender(partial(_prepare_uploads, make_client, files[first::clients])) for first in range(clients)]


def stream_of_uploads(make_client: Callable[[], Client], files: Callable[[], Iterable[bytes]]) -> Sender:
    """Send files that are made on the way, where there are too many to keep."""
    return Sender(partial(_prepare_stream, make_client, files))


Asked = tuple[str, str, bytes] | tuple[str, str, bytes, str]  # method, path, body, Accept


def asking(make_client: Callable[[], Client], requests: Sequence[Sequence[Asked]]) -> list[Sender]:
    """Send requests, one list for each client."""
    return [Sender(partial(_prepare, make_client, each)) for each in requests]


def gets(make_client: Callable[[], Client], paths: Sequence[Sequence[str]]) -> list[Sender]:
    """Ask for paths, one list for each client."""
    return asking(make_client, [[("GET", path, b"") for path in each] for each in paths])


def _prepare_uploads(make_client: Callable[[], Client], files: Sequence[bytes]) -> Iterator[Callable[[], None]]:
    client = make_client()
    client.connect()
    return iter(_exchanges(client, [client.request("POST", "/instances", file) for file in files]))


def _prepare_stream(
    make_client: Callable[[], Client], files: Callable[[], Iterable[bytes]]
) -> Iterator[Callable[[], None]]:
    client = make_client()
    client.connect()
    return (partial(_exchange, client, client.request("POST", "/instances", file)) for file in files())


def _prepare(make_client: Callable[[], Client], requests: Sequence[Asked]) -> Iterator[Callable[[], None]]:
    client = make_client()
    client.connect()
    return iter(_exchanges(client, [client.request(*request) for request in requests]))


def _exchanges(client: Client, requests: Sequence[bytes]) -> list[Callable[[], None]]:
    return [partial(_exchange, client, request) for request in requests]


def _exchange(client: Client, request: bytes) -> None:
    client.exchange(request, keeps=False)
