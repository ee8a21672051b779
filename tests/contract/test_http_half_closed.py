"""A client that closes its half of the connection behind its request is answered, as by Orthanc 1.12.7; one that has left is not waited for.

And a body that can be seen to be broken is told so at once, not when the time for silence is over.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import falcon
import pytest

from api.rest.serving.body import read_chunks
from api.rest.serving.client_gone import IS_CLIENT_GONE
from api.rest.settings import RestSettings
from events.errors import InvalidRequest
from tests.contract.http_serving import DEADLINE_S, connect, serving

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
STATED = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
SILENCE_S = 60.0  # so that nothing here ends by silence
LARGE = 40 << 20


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the path and the body, or with what is wrong with it."""
    try:
        body = b"".join(read_chunks(falcon.Request(environ), RestSettings()))
    except InvalidRequest as exc:
        start_response("400 Bad Request", [])
        return [type(exc).__name__.encode()]
    if environ["PATH_INFO"] == "/large":
        start_response("200 OK", [])
        return (bytes(1 << 18) for _ in range(LARGE >> 18))
    if environ["PATH_INFO"] == "/slow":
        threading.Event().wait(0.5)
    start_response("200 OK", [])
    return [b"<" + environ["PATH_INFO"].encode() + b":" + body + b">"]


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(application, silence_s=SILENCE_S) as address:
        yield address


def answers(address: tuple[str, int], data: bytes) -> bytes:
    """Send, close this half, and read to the end."""
    with connect(address, data) as client:
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(1 << 18), b""))


@pytest.mark.parametrize(
    ("data", "bodies"),
    {
        "a GET": (GET, [b"</a:>"]),
        "a body": (STATED, [b"</b:abcde>"]),
        "chunks": (CHUNKED, [b"</c:abcde>"]),
        "a slow answer": (GET.replace(b"/a", b"/slow"), [b"</slow:>"]),
        "several requests": (GET + STATED + CHUNKED + GET, [b"</a:>", b"</b:abcde>", b"</c:abcde>", b"</a:>"]),
        "a large body": (STATED.replace(b": 5", b": 3000000") + bytes(2_999_995), [b"</b:abcde\0"]),
        "a body that is cut": (STATED[:-1], [b"BodyBroken"]),
        "chunks that are cut": (CHUNKED[:-1], [b"BodyBroken"]),
        "a cut body behind a request": (GET + CHUNKED[:-7], [b"</a:>", b"BodyBroken"]),
        "a header that is cut": (GET[:-2], []),
        "nothing": (b"", []),
    }.values(),
)
def test_who_has_closed_its_half_is_answered(address: tuple[str, int], data: bytes, bodies: list[bytes]) -> None:
    answer = answers(address, data)
    assert answer.count(b"HTTP/1.1 ") == len(bodies)
    places = [answer.find(body) for body in bodies[:3]]
    assert -1 not in places
    assert places == sorted(places)


def test_a_large_answer_is_sent_whole(address: tuple[str, int]) -> None:
    """Longer than the time in which an answer has to begin."""
    with connect(address, GET.replace(b"/a", b"/large")) as client:
        client.shutdown(socket.SHUT_WR)
        received = len(client.recv(100))
        threading.Event().wait(2.5)
        while piece := client.recv(1 << 20):
            received += len(piece)
    assert received > LARGE


def test_a_client_whose_half_was_closed_while_it_waited_is_answered(address: tuple[str, int]) -> None:
    with connect(address, GET.replace(b"/a", b"/slow")) as client:
        threading.Event().wait(0.2)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1000).endswith(b"</slow:>")
        assert client.recv(1000) == b""


def test_who_has_left_is_known_to_be_gone_soon() -> None:
    entered, gone_after = threading.Event(), []

    def wait(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        entered.set()
        began = time.monotonic()
        while not environ[IS_CLIENT_GONE]() and time.monotonic() - began < DEADLINE_S:
            threading.Event().wait(0.05)
        gone_after.append(time.monotonic() - began)
        start_response("200 OK", [])
        return [b""]

    with serving(wait, silence_s=SILENCE_S) as address, closing(connect(address, GET)):
        assert entered.wait(DEADLINE_S)
    assert gone_after[0] < 5


@pytest.mark.parametrize("broken", [b"ZZ\r\nabc", b"-3\r\nabc\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", GET])
def test_a_chunk_that_is_none_is_told_while_its_body_is_awaited(
    address: tuple[str, int], broken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is in the hands of a thread by then."""
    monkeypatch.setattr("api.rest.serving.incoming_body.GATHERED_S", 0.05)
    head = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
    with connect(address, head) as client:
        threading.Event().wait(0.3)
        client.sendall(broken)
        answer = client.recv(1000)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"BodyBroken")
        assert client.recv(1000) == b""
