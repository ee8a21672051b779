"""How long a client is waited for that takes little of what is ready for it, by a clock of the test's own."""

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from api.rest.serving import waiting_client
from api.rest.serving.connection import Connection
from api.rest.serving.waiting_client import UNREAD_BYTES, UNREAD_S, WaitingClient


class Clock:
    """A loop whose time passes where somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Slow:
    """The transport of a client that takes a byte every now and then, of a MB that waits for it."""

    def __init__(self, clock: Clock, pauses_s: Iterator[float]) -> None:
        self._clock, self._pauses_s = clock, pauses_s
        self._unread, self._next_s = UNREAD_BYTES + 100, next(pauses_s)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        if self._clock.now_s >= self._next_s:
            self._unread -= 1
            self._next_s = self._clock.now_s + next(self._pauses_s)
        return self._unread


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    replaced = SimpleNamespace(Event=asyncio.Event, get_running_loop=lambda: clock, sleep=clock.sleep)
    monkeypatch.setattr(waiting_client, "asyncio", replaced)
    return clock


def write(clock: Clock, pauses_s: Iterator[float]) -> None:
    async def take(_: bytes) -> None:
        pass

    request: Any = SimpleNamespace(transport=Slow(clock, pauses_s), protocol=Connection.__new__(Connection))
    response: Any = SimpleNamespace(write=take)
    threads: Any = None
    asyncio.run(WaitingClient(request, response, threads).write(b"x"))


def test_a_client_that_reads_slowly_is_served_for_as_long_as_it_reads(clock: Clock) -> None:
    write(clock, iter([UNREAD_S - 1] * 101))
    assert clock.now_s > 50 * UNREAD_S


def test_one_that_stops_reading_is_not(clock: Clock) -> None:
    with pytest.raises(TimeoutError):
        write(clock, iter([1.0] * 50 + [1e9]))
    assert 50 + UNREAD_S <= clock.now_s < 100 + UNREAD_S
