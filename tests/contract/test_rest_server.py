"""The HTTP server on a real socket: slow, silent and vanishing clients, several servers at once, stopping."""

import asyncio
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import falcon
import pytest

from api.rest.serving.body import read_chunks
from api.rest.serving.precedence import Precedence
from api.rest.serving.server import HttpServer
from api.rest.settings import RestSettings
from events.errors import InvalidRequest
from tests.contract.http_serving import DEADLINE_S, connect, serving
from tests.peer.servers import wait_for


def get(address: tuple[str, int], path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(*address, timeout=DEADLINE_S)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


@dataclass
class Reader:
    """An application that reads bodies and keeps what became of them."""

    done: threading.Event
    bodies: list[bytes | str]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            try:
                self.bodies.append(b"".join(read_chunks(falcon.Request(environ), RestSettings())))
            except InvalidRequest as exc:
                self.bodies.append(type(exc).__name__)
            self.done.set()
        return echo(environ, start_response)


@pytest.fixture
def reader() -> Reader:
    return Reader(threading.Event(), [])


def test_slow_headers_block_nobody_and_are_dropped() -> None:
    with serving(echo, threads=1) as address:
        slow = [connect(address, b"GET / HTTP/1.1\r\nHost: x\r\nX: ") for _ in range(20)]
        assert get(address, "/other") == (200, b"/other")
        for client in slow:
            with client:
                assert client.recv(100) == b""  # closed, within the deadline


def test_an_idle_connection_is_dropped() -> None:
    with serving(echo) as address, connect(address, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert client.recv(1000) == b""


def test_a_connection_is_kept_for_as_long_as_configured() -> None:
    with serving(echo, silence_s=10, keep_alive_s=0.2) as address:
        with connect(address, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            client.sendall(b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1000).endswith(b"/b")
            assert client.recv(1000) == b""  # long before the silence is over
        with connect(address, b"") as client:  # one that has asked nothing yet has the time of a header
            threading.Event().wait(0.4)
            client.sendall(b"GET /c HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(1000).endswith(b"/c")


def test_a_connection_that_is_not_kept_serves_one_request() -> None:
    with serving(echo, keep_alive_s=0) as address, connect(address, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        answer = b"".join(iter(lambda: client.recv(1000), b""))
    assert b"Connection: close" in answer
    assert answer.endswith(b"/a")


def no_delay_at_the_server(client: socket.socket) -> int:
    """The option of the server's end of a connection, which is a descriptor of this process."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as found:
            if found.getpeername() == client.getsockname():
                return found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    raise AssertionError("no such connection")


@pytest.mark.parametrize("no_delay", [True, False])
def test_small_pieces_are_held_back_if_that_is_asked_for(*, no_delay: bool) -> None:
    request = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(echo, silence_s=10, no_delay=no_delay) as address, connect(address, request) as client:
        for _ in range(2):  # for every request of a connection
            assert client.recv(1000).endswith(b"/a")
            assert bool(no_delay_at_the_server(client)) is no_delay
            client.sendall(request)


def test_silent_bodies_are_dropped_and_others_go_on(reader: Reader) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
    with serving(reader) as address, connect(address, head) as client:
        assert get(address, "/other") == (200, b"/other")
        client.recv(100)
        assert reader.done.wait(DEADLINE_S)
    assert reader.bodies == ["BodySilent"]


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
STATED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabcde"


BROKEN = {
    "a size that is no number": b"ZZZZ\r\nabc",
    "a negative size": b"-3\r\nabc\r\n",
    "a size beyond all measure": b"FFFFFFFFFFFFFFFFFF\r\nabc",
    "more bytes than the size": b"3\r\nabcdef\r\n0\r\n\r\n",
    "no end of a chunk": b"3\r\nabc0\r\n\r\n",
    "another request in its place": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("broken", BROKEN)
def test_a_body_whose_framing_breaks_is_no_body(reader: Reader, broken: str, *, is_late: bool) -> None:
    with serving(reader) as address, connect(address, CHUNKED if is_late else CHUNKED + BROKEN[broken]) as client:
        if is_late:
            wait_for_thread("http-body")
            client.sendall(BROKEN[broken])
        assert client.recv(1000).split()[1] in {b"400", b"408", b"200"}
    assert all(body in {"BodyBroken", "BodySilent"} for body in reader.bodies)


def wait_for_thread(prefix: str) -> None:
    """Wait until a thread of that name has begun; it waits for the rest of the body then."""
    deadline = time.monotonic() + DEADLINE_S
    while not any(thread.name.startswith(prefix) for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_one_silent_client_cuts_off_no_neighbour(reader: Reader) -> None:
    """Behind a proxy all clients have one address."""
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000\r\n\r\n"
    with serving(reader) as address, connect(address, STATED), connect(address, whole) as slow:
        for _ in range(40):  # 2 s in all; never silent for 0.6 s
            threading.Event().wait(0.05)
            slow.sendall(b"x" * 200)
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
    assert sorted(reader.bodies, key=str) == ["BodySilent", b"x" * 8000]


def test_slow_bodies_starve_nobody() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n"
    reader = Reader(threading.Event(), [])
    with serving(reader, threads=1, silence_s=30) as address:
        slow = [connect(address, head) for _ in range(40)]
        wait_for_thread("http-body")
        assert get(address, "/other") == (200, b"/other")
        for client in slow:
            client.close()


def test_a_chunked_body_is_read_to_its_end(reader: Reader) -> None:
    with serving(reader) as address, connect(address, CHUNKED + b"3\r\nfgh\r\n0\r\n\r\n") as client:
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert reader.bodies == [b"abcdefgh"]


@pytest.mark.parametrize("leave", [socket.socket.close, reset])
@pytest.mark.parametrize("sent", [CHUNKED, CHUNKED + b"7\r\nab", STATED])
def test_a_body_whose_client_went_away_is_no_body(
    reader: Reader, sent: bytes, leave: Callable[[socket.socket], None]
) -> None:
    with serving(reader) as address:
        leave(connect(address, sent))
        assert reader.done.wait(DEADLINE_S)
    assert reader.bodies == ["BodyBroken"]


@dataclass
class Endless:
    """An application whose answer has no end; tells when it is closed."""

    closed: threading.Event

    def __call__(self, _environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield b"x" * 65536
        finally:
            self.closed.set()


def test_an_answer_ends_when_its_reader_goes_away() -> None:
    endless = Endless(threading.Event())
    with serving(endless) as address:
        with connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            client.recv(1000)
        assert endless.closed.wait(DEADLINE_S)


def test_what_is_slow_leaves_the_threads_of_others_alone() -> None:
    go_on, answers = threading.Event(), list[tuple[int, bytes]]()

    def pieces() -> Iterator[bytes]:
        yield b"first, "
        go_on.wait(DEADLINE_S)
        yield b"second"

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Takes its time to begin with, or between two pieces."""
        path = environ["PATH_INFO"]
        if path == "/slow":
            go_on.wait(DEADLINE_S)
        start_response("200 OK", [])
        return pieces() if path == "/pieces" else [path.encode()]

    with serving(slow, threads=2, is_slow=lambda environ: environ["PATH_INFO"] != "/quick", silence_s=30) as address:
        paths = ["/slow", "/pieces"] * 3
        clients = [threading.Thread(target=lambda path=path: answers.append(get(address, path))) for path in paths]
        for client in clients:
            client.start()
        quick = [get(address, "/quick") for _ in range(20)]
        before = len(answers)
        go_on.set()
        for client in clients:
            client.join()
    assert quick == [(200, b"/quick")] * 20
    assert not before
    assert sorted(answers) == [(200, b"/slow")] * 3 + [(200, b"first, second")] * 3


def test_who_waits_for_senders_holds_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, go_on, sleep = [60.0] * 40, threading.Event(), asyncio.sleep
    answers: list[tuple[int, bytes]] = []

    async def held(seconds: float) -> None:
        while seconds == 60.0 and not go_on.is_set():
            await sleep(0.01)
        if seconds != 60.0:
            await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", held)
    monkeypatch.setattr(Precedence, "wait_s", lambda _: waits.pop() if waits else 0.0)
    with serving(echo, threads=2, is_slow=lambda environ: environ["PATH_INFO"] == "/slow", silence_s=30) as address:
        clients = [threading.Thread(target=lambda: answers.append(get(address, "/slow"))) for _ in range(len(waits))]
        for client in clients:
            client.start()
        wait_for(lambda: not waits or None, "all of them to wait", DEADLINE_S)
        assert [get(address, "/slow"), get(address, "/quick")] == [(200, b"/slow"), (200, b"/quick")]
        assert not answers
        go_on.set()
        for client in clients:
            client.join()
    assert answers == [(200, b"/slow")] * 40


def test_an_answer_ends_when_its_reader_stops_reading() -> None:
    endless = Endless(threading.Event())
    with serving(endless) as address, connect(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
        assert endless.closed.wait(DEADLINE_S)


def test_several_servers_live_in_one_interpreter() -> None:
    with serving(echo) as one, serving(echo, is_alone=False) as two:
        assert get(one, "/one") == (200, b"/one")
        assert get(two, "/two") == (200, b"/two")


def test_stopping_waits_for_what_is_under_way() -> None:
    entered, go_on, answers = threading.Event(), threading.Event(), []

    def slow(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entered.set()
        go_on.wait(DEADLINE_S)
        return echo(environ, start_response)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = HttpServer(slow, os.dup(listener.fileno()))
        server.start()
        client = threading.Thread(target=lambda: answers.append(get(listener.getsockname(), "/a")))
        client.start()
        assert entered.wait(DEADLINE_S)
        assert not server.stop(0.05)
        go_on.set()
        assert server.stop()
        client.join(DEADLINE_S)
    assert answers == [(200, b"/a")]


def test_the_environment_of_the_process_never_becomes_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_X_HTTP_METHOD_OVERRIDE", "DELETE")
    seen: list[dict[str, Any]] = []

    def keep(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ)
        return echo(environ, start_response)

    with serving(keep) as address:
        get(address, "/")
    assert "HTTP_X_HTTP_METHOD_OVERRIDE" not in seen[0]


def test_an_application_that_fails_is_answered_500() -> None:
    def fail(_environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise ZeroDivisionError

    with serving(fail) as address:
        assert get(address, "/") == (500, b"")


@pytest.mark.parametrize(
    "head", [b"Content-Length: 5000000", b"Transfer-Encoding: chunked", b"Content-Length: 90\r\nExpect: 100-continue"]
)
def test_bodies_that_drip_hold_up_neither_uploads_nor_requests(
    reader: Reader, head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.rest.serving.wsgi.WAITING_THREADS", 2)
    request = b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n"
    with serving(reader, silence_s=60) as address:
        drips = [connect(address, request) for _ in range(4)]
        for client in drips:
            client.sendall(b"5\r\n")
        wait_for_thread("http-body")
        with closing(http.client.HTTPConnection(*address, timeout=DEADLINE_S)) as uploading:
            uploading.request("POST", "/", bytes(3_000_000))
            assert uploading.getresponse().status == 200
            assert reader.bodies == [bytes(3_000_000)]
        assert get(address, "/other") == (200, b"/other")
        for client in drips:
            reset(client)


def test_paths_are_decoded_as_by_orthanc(reader: Reader) -> None:
    paths = {
        "/a+b": "/a b",
        "/a%2Bb": "/a+b",
        "/a%2bb+c": "/a+b c",
        "/a\\b": "/a/b",
        "/a%5Cb%5c": "/a/b/",
        "/%20+": "/  ",
    }
    with serving(reader) as address:
        assert [get(address, path) for path in paths] == [(200, read.encode()) for read in paths.values()]


def large(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer `/large` with more than buffers hold, piece by piece."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/large":
        return (bytes(1 << 18) for _ in range(100))
    return [b"small"]


def test_many_idle_and_slow_connections_and_slow_readers_hold_up_nobody() -> None:
    requests = {b"": 200, b"GET / HTTP/1.1\r\nX: ": 100, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n": 20}
    with serving(large, threads=2, silence_s=60) as address:
        clients = [connect(address, data) for data, count in requests.items() for _ in range(count)]
        for _ in range(20):
            assert get(address, "/small") == (200, b"small")
        status, body = get(address, "/large")
        assert (status, len(body)) == (200, 100 << 18)
        for client in clients:
            reset(client)


def test_a_stop_breaks_off_streams_and_uploads_without_a_stack(
    caplog: pytest.LogCaptureFixture, reader: Reader
) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return (reader if environ["REQUEST_METHOD"] == "POST" else large)(environ, start_response)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = HttpServer(application, os.dup(listener.fileno()), silence_s=60)
        server.start()
        address = listener.getsockname()
        requests = (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", CHUNKED, STATED, b"GET / HTTP/1.1\r\nX: ", b"")
        clients = [connect(address, data) for data in requests for _ in range(3)]
        wait_for_thread("http-body")
        assert not server.stop(0.2)
        assert server.abort()
        for client in clients:
            client.close()
    assert all(record.exc_info is None for record in caplog.records), [record.getMessage() for record in caplog.records]
    assert all(body in {"BodyBroken", "BodySilent"} for body in reader.bodies)
