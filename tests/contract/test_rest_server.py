"""The HTTP server on a real socket: slow, silent and vanishing clients, several servers at once, stopping."""

import http.client
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import falcon
import pytest

from api.rest.body import read_chunks
from api.rest.front import Application
from api.rest.server import HttpServer
from api.rest.settings import RestSettings
from events.errors import InvalidRequest

SILENCE_S = 0.6
DEADLINE_S = 10.0


@contextmanager
def serving(application: Application, *, threads: int = 2, is_alone: bool = True) -> Iterator[tuple[str, int]]:
    """Run a server; gives its address. Nothing of it is left at the end."""
    before = set(threading.enumerate())
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = HttpServer(application, os.dup(listener.fileno()), threads=threads, silence_s=SILENCE_S)
        server.start()
        try:
            yield listener.getsockname()
        finally:
            assert server.stop()
    if is_alone:
        assert set(threading.enumerate()) <= before


def connect(address: tuple[str, int], data: bytes) -> socket.socket:
    client = socket.create_connection(address, timeout=DEADLINE_S)
    client.sendall(data)
    return client


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


def test_silent_bodies_are_dropped_and_others_go_on(reader: Reader) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"
    with serving(reader) as address, connect(address, head) as client:
        assert get(address, "/other") == (200, b"/other")
        client.recv(100)
        assert reader.done.wait(DEADLINE_S)
    assert reader.bodies == ["BodySilent"]


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
STATED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabcde"


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
