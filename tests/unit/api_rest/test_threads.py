"""Calls that an event loop hands to threads."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from api.rest.threads import Threads

DEADLINE_S = 30.0


@pytest.fixture
def threads() -> Iterator[Threads]:
    before = threading.active_count()
    threads = Threads(3, "unit")
    yield threads
    threads.close()
    assert threading.active_count() == before


def run(use: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(use(), DEADLINE_S))


def test_a_call_returns_and_raises_what_the_function_does(threads: Threads) -> None:
    async def use() -> None:
        assert await threads.run(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await threads.run(divmod, 7, 0)
        assert await threads.run(str) == ""

    run(use)


def test_no_more_threads_are_started_than_are_busy_at_a_time(threads: Threads) -> None:
    async def use() -> None:
        for _ in range(5):
            assert await threads.run(lambda: threading.current_thread().name) == "unit_0"

    run(use)


def test_calls_beyond_the_limit_wait_for_their_turn(threads: Threads) -> None:
    together = threading.Barrier(3)

    async def use() -> None:
        waiting = [threads.run(together.wait, DEADLINE_S) for _ in range(6)]
        assert sorted(await asyncio.gather(*waiting)) == [0, 0, 1, 1, 2, 2]
        assert {thread.name for thread in threads._threads} == {"unit_0", "unit_1", "unit_2"}

    run(use)


def test_a_call_that_nobody_awaits_any_more_disturbs_no_other(threads: Threads) -> None:
    go_on = threading.Event()

    async def use() -> None:
        given_up = threads.run(go_on.wait, DEADLINE_S)
        given_up.cancel()
        go_on.set()
        assert await threads.run(int, "5") == 5

    run(use)


def test_what_ends_after_the_loop_ends_quietly(threads: Threads) -> None:
    go_on = threading.Event()

    async def use() -> None:
        threads.run(go_on.wait, DEADLINE_S)

    run(use)
    go_on.set()
