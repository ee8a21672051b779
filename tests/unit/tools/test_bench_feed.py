"""The listeners of `sinogram bench feed` notice what a feed must not do."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tools.bench.feeding import Listener, Reference

HEAD = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nretry: 2000\n"


def event(seq: int, kind: bytes = b"instance-stored/2") -> bytes:
    return b"id: %d\nevent: %s\ndata: {}\n\n" % (seq, kind)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener


def failure_of(server: socket.socket, *streams: bytes) -> str:
    """Return what the last of several listeners finds wrong with what comes, a byte at a time."""
    reference, url = Reference(), f"http://127.0.0.1:{server.getsockname()[1]}"
    for stream in streams:
        listener = Listener(url, reference)
        with closing(listener.socket), closing(server.accept()[0]) as connection:
            listener.socket.setblocking(True)
            for place in range(0, len(stream), 7):
                connection.sendall(stream[place : place + 7])
                listener.read()
    return listener.failure or ("" if listener.is_at_end else "not at the end")


WHOLE = HEAD + event(1) + event(2) + event(2, b"head") + event(3)


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (WHOLE, ""),
        (HEAD + event(1) + event(1, b"head") + event(2) + event(3), ""),
        (HEAD + event(1) + event(3), "another event"),
        (HEAD + event(1) + event(1) + event(2) + event(3), "another event"),
        (HEAD + event(2) + event(1) + event(3), "another event"),
        (WHOLE + event(5), "event 5 came behind 3"),
        (WHOLE + event(3), "event 3 came behind 3"),
        (HEAD + event(1) + event(2), "not at the end"),
        (WHOLE.replace(b"200 OK", b"503 No"), "HTTP/1.0 503"),
    ],
)
def test_a_listener_notices_what_is_missing_or_comes_twice(server: socket.socket, stream: bytes, says: str) -> None:
    assert failure_of(server, WHOLE, stream).startswith(says)
    assert bool(failure_of(server, WHOLE, stream)) is bool(says)


def test_the_first_listener_notices_it_too(server: socket.socket) -> None:
    assert failure_of(server, WHOLE) == ""
    assert failure_of(server, HEAD + event(1) + event(3)) == "event 3 came behind 1"
