"""Answers that do not wait for the body: the client can read them, and goes on on the same connection."""

import http.client
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
import urllib3

from tests.contract.http_serving import DEADLINE_S, connect, serving

ROUNDS = int(os.environ.get("SINOGRAM_EARLY_ANSWERS", "1"))  # of each case
LINES = (
    "401 Unauthorized",
    "404 Not Found",
    "405 Method Not Allowed",
    "413 Content Too Large",
    "501 Not Implemented",
    "503 Service Unavailable",
)
SIZES = (60, 200_000, 3_000_000)
LATE_S = 0.3


def refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the status that the path names; nothing reads the body."""
    line = next((line for line in LINES if line.startswith(environ["PATH_INFO"][1:4])), "200 OK")
    start_response(line, [("Content-Length", "6")])
    return [b"answer"]


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with serving(refuse, threads=4, silence_s=20) as address:
        yield address


def pieces(size: int, *, is_late: bool) -> Iterator[bytes]:
    """A body in pieces; a late one comes when the answer has been there for long."""
    if is_late:
        threading.Event().wait(LATE_S)
    for start in range(0, size, 65_536):
        yield bytes(min(65_536, size - start))


CASES = list(itertools.product(LINES[:4], SIZES, [False, True], [False, True]))


@pytest.mark.parametrize(("line", "size", "is_chunked", "is_late"), CASES)
def test_the_answer_is_read_and_the_next_request_works(
    address: tuple[str, int], line: str, size: int, *, is_chunked: bool, is_late: bool
) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=DEADLINE_S)) as client:
        client.connect()
        connection = client.sock
        for _ in range(ROUNDS):
            headers = {} if is_chunked else {"Content-Length": str(size)}
            client.request("POST", f"/{line[:3]}", pieces(size, is_late=is_late), headers, encode_chunked=is_chunked)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (int(line[:3]), b"answer")
            client.request("GET", "/next")
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"answer")
        assert client.sock is connection, "the connection was closed in between"


@pytest.mark.parametrize("line", LINES)
def test_urllib3_reads_the_answer(address: tuple[str, int], line: str) -> None:
    with urllib3.HTTPConnectionPool(*address, maxsize=1, retries=False, timeout=DEADLINE_S) as pool:
        for size in SIZES:
            answer = pool.request("POST", f"/{line[:3]}", body=bytes(size))
            assert (answer.status, answer.data) == (int(line[:3]), b"answer")
        assert pool.num_connections == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "extra", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]], ids=["stated", "chunked", "no Expect"]
)
def test_curl_reads_the_answer(address: tuple[str, int], extra: list[str], tmp_path: Any) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(3_000_000))
    url = "http://{}:{}".format(*address)
    command = [
        "curl",
        "-sS",
        "-m",
        "10",
        "-w",
        "%{http_code} ",
        *extra,
        "--data-binary",
        f"@{body}",
        f"{url}/401",
        f"{url}/404",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "answer401 answer404 "


def test_who_waits_for_leave_is_refused_without_it(address: tuple[str, int]) -> None:
    head = b"POST /401 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n"
    with connect(address, head) as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")


def test_who_waits_for_the_answer_before_the_body_gets_it(address: tuple[str, int]) -> None:
    with connect(address, b"POST /401 HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n") as client:
        assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
        client.sendall(bytes(60) + b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
