"""Requests whose end a proxy may see elsewhere: refused before anybody acts on them, and nothing behind them is a request."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import falcon
import pytest

from api.rest.serving.body import read_chunks
from api.rest.settings import RestSettings
from tests.contract.http_serving import connect, serving

HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\n"
BEHIND = b"GET /behind HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"\r\n0\r\n\r\n"

REFUSED = {
    "a length and chunks": HEAD + b"Content-Length: 5\r\n" + CHUNKED + END,
    "chunks and a length": HEAD + CHUNKED + b"Content-Length: 4\r\n" + END,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, 40\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a blank before the colon of a length": HEAD + b"Content-Length : 0\r\n\r\n",
    "a blank before the colon of an encoding": HEAD + b"Transfer-Encoding : chunked\r\n" + END,
    "an unknown encoding and a length": HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n" + END,
    "chunks that are not last": HEAD + CHUNKED + b"Transfer-Encoding: identity\r\n" + END,
    "chunked twice": HEAD + b"Transfer-Encoding: chunked, chunked\r\n" + END,
    "a vertical tab before the encoding": HEAD + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 5\r\n" + END,
    "a folded header": HEAD + b"X: a\r\n Content-Length: 40\r\n\r\n",
    "a folded encoding": HEAD + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n" + END,
    "line feeds alone": b"POST /a HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
    "a line feed before the encoding": HEAD + b"X: a\n" + CHUNKED + b"Content-Length: 5\r\n" + END,
    "a NUL in a header": HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "two hosts": HEAD + b"Host: y\r\nContent-Length: 0\r\n\r\n",
}
BROKEN_CHUNKS = {
    "a prefix": b"0x2\r\nab",
    "a blank": b" 2\r\nab",
    "line feeds alone": b"2\nab\n0\n\n",
    "an extension that ends with a line feed": b"2;a\nab",
}


@pytest.fixture
def seen() -> list[tuple[str, bytes | None]]:
    return []


@pytest.fixture
def address(seen: list[tuple[str, bytes | None]]) -> Iterator[tuple[str, int]]:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            body = b"".join(read_chunks(falcon.Request(environ), RestSettings()))
        except Exception:
            seen.append((environ["PATH_INFO"], None))
            raise
        seen.append((environ["PATH_INFO"], body))
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with serving(application) as address:
        yield address


def statuses(address: tuple[str, int], data: bytes) -> list[bytes]:
    answer = b""
    with connect(address, data) as client:
        while piece := client.recv(10_000):
            answer += piece
    assert b"aiohttp" not in answer
    return re.findall(rb"HTTP/1.[01] (\d+) ", answer)


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_of_two_meanings_has_none(
    address: tuple[str, int], seen: list[tuple[str, bytes | None]], case: str
) -> None:
    assert statuses(address, REFUSED[case] + BEHIND) == [b"400"]
    assert seen == []


@pytest.mark.parametrize("case", BROKEN_CHUNKS)
def test_what_stands_behind_a_broken_chunk_is_no_request(
    address: tuple[str, int], seen: list[tuple[str, bytes | None]], case: str
) -> None:
    statuses(address, HEAD + CHUNKED + b"\r\n" + BROKEN_CHUNKS[case] + END + BEHIND)
    assert all(body is None and path == "/a" for path, body in seen)


@pytest.mark.parametrize("extension", [b"", b";a", b";a=b", b';a="b;c"', b";" + b"a" * 100_000])
def test_extensions_of_chunks_mean_nothing(
    address: tuple[str, int], seen: list[tuple[str, bytes | None]], extension: bytes
) -> None:
    assert statuses(address, HEAD + CHUNKED + b"\r\n2" + extension + b"\r\nab" + END + BEHIND) == [b"200", b"200"]
    assert seen == [("/a", b"ab"), ("/behind", b"")]


def test_nothing_is_served_behind_chunks_of_http_1_0(
    address: tuple[str, int], seen: list[tuple[str, bytes | None]]
) -> None:
    head = b"POST /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n"
    assert statuses(address, head + CHUNKED + END + BEHIND) == [b"200"]
    assert seen == [("/a", b"")]
