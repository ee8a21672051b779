"""How lua-main hears that the log has grown, whatever happens on the way."""

import threading
from collections.abc import Callable, Iterator

import pytest

from actors.core.log_watch import LogWatch
from actors.messages.log_watch import LogEnd
from actors.wire.bridge.channel import Channel, open_local_channel
from events.errors import Busy
from events.identifiers import Seq
from tools.server import lua_processes
from tools.server.lua_processes import _Follower

SOON_S = 40.0


class Follower:
    """One at work, and how often it has woken its actor."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lua_processes, "AGAIN_S", 0.0)
        self.log = LogWatch()
        self.woken = threading.Semaphore(0)
        self.channel: Channel = open_local_channel(self.log.on_request)
        self.follower = _Follower(LogEnd(self.channel), self.woken.release)
        self.follower.start()
        self.passed: list[tuple[Seq, frozenset[str]]] = []

    def watch(self, seq: int, *tags: str) -> None:
        self.follower.watch(Seq(seq), frozenset(tags), lambda passed, of: self.passed.append((passed, of)))

    def was_woken(self) -> bool:
        return self.woken.acquire(timeout=SOON_S)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Follower]]:
    made: list[Follower] = []

    def make() -> Follower:
        made.append(Follower(monkeypatch))
        return made[-1]

    yield make
    for each in made:
        each.channel.close()
        each.follower.join()
        assert not each.follower._thread.is_alive()


def test_it_wakes_once_for_each_wish(stage: Callable[[], Follower]) -> None:
    made = stage()
    for head in (1, 2):
        made.watch(head - 1, "a")
        made.log.on_appended(Seq(head), {"a"})
        assert made.was_woken()
    assert made.passed == [(Seq(0), frozenset({"a"})), (Seq(1), frozenset({"a"}))]


def test_a_question_that_could_not_be_asked_is_asked_again(
    stage: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = stage()
    with monkeypatch.context() as patch:

        def no_descriptor(*_: object) -> Seq:
            raise Busy("the core of the server cannot be reached")

        patch.setattr(LogEnd, "wait_beyond", no_descriptor)
        made.watch(0, "a")
        assert made.was_woken(), "so that the actor looks, and asks again"
    made.watch(0, "a")
    made.log.on_appended(Seq(1), {"a"})
    assert made.was_woken()


def test_it_ends_although_nobody_has_asked(stage: Callable[[], Follower]) -> None:
    stage()
