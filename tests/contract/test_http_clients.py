"""The clients that people use read an answer that does not wait for their body, and their next request is answered.

Some of them hang up on such an answer and connect again, so what counts is what the client says, not the connection.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import urllib3

from tests.contract.early_answers import BODIES, LATE_S, LINES, ROUNDS, Body, refuse
from tests.contract.http_serving import DEADLINE_S, serving

Answer = tuple[int, bytes]
Ask = Callable[[str, Body | None], Answer]  # POST with a body, GET without

MISSING = "not installed: make test installs what the tests need"
FETCH = Path(__file__).with_name("early_answers.mjs")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(refuse, threads=4, silence_s=20) as address:
        yield "http://{}:{}".format(*address)


def stated(body: Body) -> dict[str, str]:
    return {} if body.is_chunked else {"Content-Length": str(len(body))}


@contextmanager
def by_urllib3() -> Iterator[Ask]:
    with urllib3.PoolManager(maxsize=1, retries=False, timeout=DEADLINE_S) as pool:

        def ask(url: str, body: Body | None) -> Answer:
            if body is None:
                answer = pool.request("GET", url)
            else:
                answer = pool.request("POST", url, body=iter(body), headers=stated(body), chunked=body.is_chunked)
            return answer.status, answer.data

        yield ask


@contextmanager
def by_requests() -> Iterator[Ask]:
    requests = pytest.importorskip("requests", reason=MISSING)
    with requests.Session() as session:

        def ask(url: str, body: Body | None) -> Answer:
            if body is None:
                answer = session.get(url, timeout=DEADLINE_S)
            else:  # it asks what has a length for it, and sends chunks of what has none
                data = iter(body) if body.is_chunked else body
                answer = session.post(url, data=data, timeout=DEADLINE_S)
            return answer.status_code, answer.content

        yield ask


@contextmanager
def by_httpx() -> Iterator[Ask]:
    httpx = pytest.importorskip("httpx", reason=MISSING)
    with httpx.Client(timeout=DEADLINE_S) as client:

        def ask(url: str, body: Body | None) -> Answer:
            answer = client.get(url) if body is None else client.post(url, content=iter(body), headers=stated(body))
            return answer.status_code, answer.content

        yield ask


@pytest.mark.parametrize("client", [by_urllib3, by_requests, by_httpx])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_libraries_read_the_answer(url: str, client: Callable[[], AbstractContextManager[Ask]], body: Body) -> None:
    with client() as ask:
        for line in LINES[:4] * ROUNDS:
            assert ask(f"{url}/{line[:3]}", body) == (int(line[:3]), b"answer")
            assert ask(f"{url}/next", None) == (200, b"answer")


def curl(url: str, body: Body, status: str, *options: str) -> str:
    """Return what both requests have brought, and with which status."""
    told = ["-sS", "-m", str(DEADLINE_S), "-w", " %{http_code} "]
    sent = ["-X", "POST", "-T", "-"] if body.is_chunked or body.is_late else ["--data-binary", "@-"]
    length = [] if body.is_chunked else ["-H", f"Content-Length: {len(body)}", "-H", "Transfer-Encoding:"]
    command = ["curl", *told, *sent, *length, *options, f"{url}/{status}", "--next", *told, f"{url}/next"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if body.is_late:
            threading.Event().wait(LATE_S)
        out, _ = process.communicate(bytes(len(body)), timeout=3 * DEADLINE_S)
    return out.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("options", [(), ("-H", "Expect:")], ids=["curl", "curl without Expect"])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_curl_reads_the_answer(url: str, body: Body, options: tuple[str, ...]) -> None:
    for line in LINES[:4] * ROUNDS:
        assert curl(url, body, line[:3], *options) == f"answer {line[:3]} answer 200 "


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed (Debian: nodejs)")
def test_fetch_of_node_reads_the_answer(url: str) -> None:
    """It sends whole buffers with a length and streams as chunks; there is no third way."""
    bodies = [body for body in BODIES if body.is_chunked or not body.is_late]
    statuses = [int(line[:3]) for _ in bodies for line in LINES[:4] * ROUNDS]
    cases = [
        {"status": line[:3], "bytes": len(body), "chunked": body.is_chunked, "lateMs": LATE_S * 1000 * body.is_late}
        for body in bodies
        for line in LINES[:4] * ROUNDS
    ]
    told = subprocess.run(["node", FETCH, url], input=json.dumps(cases), capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == [[status, "answer", 200, "answer"] for status in statuses]
