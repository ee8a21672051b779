"""The order of those that wait for a codec process."""

import threading
from collections.abc import Callable

import pytest

from actors.services.codecs import turns
from actors.services.codecs.turns import Turns
from tests.fault.servers import wait_for


class Gone(Exception):
    pass


def nothing() -> None:
    pass


def waiter(held: Turns, what: Callable[[], object], check: Callable[[], None] = nothing) -> threading.Thread:
    """A thread that waits for a turn already."""
    before = len(held._waiting)

    def wait() -> None:
        with held.turn(check):
            what()

    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: len(held._waiting) > before, "the thread to wait")
    return thread


def test_who_comes_back_waits_behind_those_that_came_before() -> None:
    held, seen = Turns(1), list[str]()
    with held.turn(nothing):
        threads = [waiter(held, lambda name=name: seen.append(name)) for name in ("first", "second")]  # type: ignore[misc]
    with held.turn(nothing):
        seen.append("again")
    for thread in threads:
        thread.join()
    assert seen == ["first", "second", "again"]


def test_as_many_have_a_turn_as_there_are() -> None:
    held = Turns(2)
    with held.turn(nothing), held.turn(nothing):
        assert held._free == 0
    with held.turn(nothing):
        assert held._free == 1


def test_who_is_wanted_no_more_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "CHECK_S", 0.01)
    held, is_gone = Turns(1), threading.Event()
    seen: list[str] = []

    def check() -> None:
        if is_gone.is_set():
            raise Gone

    def leave() -> None:
        with pytest.raises(Gone), held.turn(check):
            seen.append("one that has left")

    with held.turn(nothing):
        leaving = threading.Thread(target=leave)
        leaving.start()
        wait_for(lambda: held._waiting, "the thread to wait")
        other = waiter(held, lambda: seen.append("other"))
        is_gone.set()
        leaving.join()
    other.join()
    assert seen == ["other"]
    with pytest.raises(Gone), held.turn(check):
        pass
    assert held._free == 1


def test_a_turn_that_comes_to_one_who_gives_up_goes_to_the_next() -> None:
    held = Turns(1)
    mine = threading.Event()
    with held.turn(nothing):
        held._waiting.append(mine)
    assert mine.is_set()
    seen: list[str] = []
    next_one = waiter(held, lambda: seen.append("next"))
    held._give_up(mine)
    next_one.join()
    assert seen == ["next"]
    assert held._free == 1
