"""Answers that the event loop makes: what a client that takes nothing costs, and that it costs nobody else."""

import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from api.rest.serving import waiting_client
from api.rest.serving.loop_answer import LoopAnswer
from api.rest.serving.waiting_client import WaitingClient
from tests.contract.http_serving import DEADLINE_S, connect, serving

PIECE = b"x" * (1 << 16)
END = b"0\r\n\r\n"  # of a chunked answer that is whole
MOST_KERNEL_BYTES = 64 << 20  # of both ends of a connection, generously


class Endless(LoopAnswer):
    """Writes pieces for as long as the client takes them."""

    def __init__(self, pause: Callable[[], bool] = lambda: False) -> None:
        self.written = 0
        self.error: BaseException | None = None
        self.closed = threading.Event()
        self._is_over = pause

    async def send(self, client: WaitingClient) -> None:
        try:
            while not self._is_over():
                await client.write(PIECE)
                self.written += 1
        except BaseException as exc:
            self.error = exc
            raise

    def close(self) -> None:
        self.closed.set()


def applications(*answers: LoopAnswer) -> Callable[..., Iterable[bytes]]:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return answers[int(environ["PATH_INFO"][1:])]

    return answer


def read_all(client: socket.socket) -> bytes:
    """Return what comes to the end of a connection, broken or not."""
    data = b""
    try:
        while piece := client.recv(1 << 18):
            data += piece
    except ConnectionResetError:
        pass
    return data


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_client, "UNREAD_S", 0.5)


def test_a_client_that_does_not_read_is_hung_up_and_its_memory_is_bounded() -> None:
    silent, other = Endless(), Endless(lambda: other.written >= 100)
    with serving(applications(silent, other), silence_s=DEADLINE_S) as address:
        with connect(address, b"GET /0 HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            assert silent.closed.wait(DEADLINE_S)
            assert isinstance(silent.error, TimeoutError)
            assert silent.written * len(PIECE) < MOST_KERNEL_BYTES
            assert not read_all(client).endswith(END)
        with connect(address, b"GET /1 HTTP/1.0\r\n\r\n") as client:
            assert read_all(client).partition(b"\r\n\r\n")[2] == PIECE * 100


def test_one_that_takes_nothing_keeps_nobody_waiting() -> None:
    silent, other = Endless(), Endless(lambda: other.written >= 100)
    with (
        serving(applications(silent, other), silence_s=DEADLINE_S) as address,
        connect(address, b"GET /0 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ):
        with connect(address, b"GET /1 HTTP/1.0\r\n\r\n") as client:
            assert read_all(client).endswith(PIECE * 100)
        assert silent.closed.wait(DEADLINE_S)


def test_an_answer_that_fails_breaks_the_connection_and_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    broken = Endless(lambda: bool(1 // 0))
    with serving(applications(broken)) as address:
        with connect(address, b"GET /0 HTTP/1.1\r\nHost: x\r\n\r\n") as client:
            assert not read_all(client).endswith(END)
        assert broken.closed.wait(DEADLINE_S)
    assert "http.answer-broken-off" in caplog.text


class Alarms(Endless):
    """Waits for one alarm after the other."""

    async def send(self, client: WaitingClient) -> None:
        for _ in range(100):
            client.ring_in(0.001)
            assert not client.is_due
            await client.wait()
            assert client.is_due
        await client.write(b"all")


def test_who_is_woken_by_an_alarm_knows_it_though_timers_run_early() -> None:
    with (
        serving(applications(Alarms()), silence_s=DEADLINE_S) as address,
        connect(address, b"GET /0 HTTP/1.0\r\n\r\n") as client,
    ):
        assert read_all(client).endswith(b"\r\n\r\nall")
