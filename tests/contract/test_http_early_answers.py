"""Answers that do not wait for the body: the client can read them, and goes on on the same connection."""

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.contract.early_answers import BODIES, LINES, ROUNDS, Body, refuse
from tests.contract.http_serving import DEADLINE_S, connect, serving


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(refuse, threads=4, silence_s=20) as address:
        yield address


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_the_answer_is_read_and_the_next_request_works(address: tuple[str, int], line: str, body: Body) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=DEADLINE_S)) as client:
        client.connect()
        connection = client.sock
        for _ in range(ROUNDS):
            headers = {} if body.is_chunked else {"Content-Length": str(len(body))}
            client.request("POST", f"/{line[:3]}", iter(body), headers, encode_chunked=body.is_chunked)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (int(line[:3]), b"answer")
            client.request("GET", "/next")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"answer")
        assert client.sock is connection, "the connection was closed in between"


def test_who_waits_for_leave_is_refused_without_it(address: tuple[str, int]) -> None:
    head = b"POST /401 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n"
    with connect(address, head) as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_who_waits_for_the_answer_before_the_body_gets_it(address: tuple[str, int]) -> None:
    with connect(address, b"POST /401 HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n") as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
        client.sendall(bytes(60) + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
