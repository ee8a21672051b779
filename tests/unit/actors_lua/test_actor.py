"""The interpreter's thread: mutual exclusion, what is served within a callback, and what waits."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.messages.scripts import Call
from actors.services.lua import actor as module
from actors.services.lua.actor import ScriptsActor
from actors.services.lua.runtime import Interpreter
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.errors import HostError, ScriptFailed
from actors.services.scripts.limits import Limits
from events.errors import Busy
from events.identifiers import CORRELATION_BYTES

OURS = b"\x01" * 8
OTHERS = b"\x02" * 8
WAIT_S = 40.0


class Stage:
    """An actor with a script, its functions `work(name)` and `say(text)`, and what happened."""

    def __init__(self, script: str, *, limits: Limits | None = None, clock: Callable[[], float]) -> None:
        self.board = Board()
        self.said: list[str] = []
        self.failed: list[str] = []
        self.work: dict[bytes, Callable[[], Any]] = {}
        self.correlations: list[bytes] = []  # of the callbacks that have asked for work
        self.actor: ScriptsActor
        functions = {
            "work": self._work,
            "say": lambda text: self.said.append(text.decode()),
        }
        interpreter = Interpreter(functions, limits=limits)
        interpreter.load(script.encode(), "stage.lua")
        self.actor = ScriptsActor(
            "lua-test", interpreter, self.board, on_failed=lambda name, _: self.failed.append(name), clock=clock
        )
        self.client = ScriptsClient(self.board, self.actor.ask)

    def _work(self, name: bytes) -> Any:
        self.correlations.append(self.actor.correlation)
        return self.actor.run_apart(self.work[name])


@contextmanager
def running(
    script: str,
    background: Any = None,
    *,
    limits: Limits | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Stage]:
    stage = Stage(script, limits=limits, clock=clock)
    stage.actor.start(background)
    try:
        yield stage
    finally:
        stage.actor.stop()


def test_a_call_returns_what_the_callback_returns() -> None:
    with running("function IncomingHttpRequestFilter(method) return method == 'GET', 7 end") as stage:
        assert stage.client.call("IncomingHttpRequestFilter", "GET") == (True, 7)
        assert stage.client.call("IncomingHttpRequestFilter", "PUT") == (False, 7)


def test_what_is_defined_is_known_without_asking_and_changes_with_a_chunk() -> None:
    with running("function OnStoredInstance() end") as stage:
        assert stage.board.defined() == ["OnStoredInstance"]
        stage.client.execute(b"OnStoredInstance = nil function OnHeartBeat() end")
        assert stage.board.defined() == ["OnHeartBeat"]


def test_what_only_a_predecessor_defined_is_defined_no_more() -> None:
    stage = Stage("", clock=time.monotonic)
    stage.board.publish({"IncomingHttpRequestFilter"})  # by a chunk; its process has died
    stage.actor.start()
    try:
        assert stage.board.defined() == []
    finally:
        stage.actor.stop()


def test_a_chunk_returns_what_it_prints() -> None:
    with running("") as stage:
        assert stage.client.execute(b"print('a', 1) print(2)") == b"a, 1\n2\n"


def test_a_failure_is_told_to_its_caller_and_recorded() -> None:
    with running("function OutgoingFindRequestFilter() error('broken') end") as stage:
        with pytest.raises(ScriptFailed, match=r"stage\.lua:1: broken"):
            stage.client.call("OutgoingFindRequestFilter")
        assert stage.failed == ["OutgoingFindRequestFilter"]


def test_a_chunk_that_fails_is_no_failure_of_a_callback() -> None:
    with running("") as stage:
        with pytest.raises(ScriptFailed, match="boom"):
            stage.client.execute(b"error('boom')")
        assert stage.failed == []


def test_initialize_comes_first_and_finalize_last() -> None:
    with running("function Initialize() say('up') end function Finalize() say('down') end") as stage:
        stage.client.execute(b"say('between')")
    assert stage.said == ["up", "between", "down"]


def test_an_error_in_initialize_does_not_stop_the_others() -> None:
    with running("function Initialize() error('no') end") as stage:
        assert stage.client.execute(b"print(1)") == b"1\n"
    assert stage.failed == ["Initialize"]


def test_an_interpreter_that_has_nothing_to_do_does_nothing() -> None:
    looks = itertools.count()

    def clock() -> float:
        next(looks)
        return time.monotonic()

    with running("", clock=clock) as stage:
        for _ in range(50):
            stage.client.execute(b"")
    assert next(looks) < 1000  # it looked some 100,000 times when it waited for nothing for no time


def test_what_a_callback_has_caused_is_served_within_it() -> None:
    script = """
        function OutgoingFindRequestFilter() say('outer') work('query') say('outer ends') end
        function IncomingFindRequestFilter() say('inner') return 5 end
    """
    with running(script) as stage:
        answers: list[Any] = []
        stage.work[b"query"] = lambda: answers.append(stage.client.call("IncomingFindRequestFilter", correlation=OURS))
        stage.client.call("OutgoingFindRequestFilter", correlation=OURS)
    assert answers == [(5,)]
    assert stage.said == ["outer", "inner", "outer ends"]


def test_what_a_callback_has_caused_is_answered_even_if_nobody_waits_for_it() -> None:
    script = "function OutgoingFindRequestFilter() work('query') end function IncomingFindRequestFilter() end"
    with running(script) as stage:
        answered = threading.Semaphore(0)
        request = Call("IncomingFindRequestFilter", [], OURS)
        stage.work[b"query"] = lambda: stage.actor.request(request, lambda *_: answered.release())
        for _ in range(200):  # it is found before the work is over, or after
            stage.client.call("OutgoingFindRequestFilter", correlation=OURS)
            assert answered.acquire(timeout=WAIT_S)


def test_jobs_are_filtered_in_the_middle_of_a_callback_that_may_wait_for_them() -> None:
    script = """
        function OutgoingFindRequestFilter() work('job') say('ends') end
        function OutgoingCStoreInstanceFilter() say('filters') return true end
    """
    with running(script) as stage:
        stage.work[b"job"] = lambda: stage.client.call("OutgoingCStoreInstanceFilter", correlation=OTHERS)
        stage.client.call("OutgoingFindRequestFilter", correlation=OURS)
    assert stage.said == ["filters", "ends"]


def test_what_others_ask_meanwhile_waits_for_the_end_of_the_callback() -> None:
    script = """
        function OutgoingFindRequestFilter() say('begins') work('wait') say('ends') end
        function IncomingFindRequestFilter() say('other') end
    """
    with running(script) as stage:
        has_begun, may_end = threading.Event(), threading.Event()

        def wait() -> None:
            has_begun.set()
            assert may_end.wait(WAIT_S)

        stage.work[b"wait"] = wait
        outer = threading.Thread(target=lambda: stage.client.call("OutgoingFindRequestFilter", correlation=OURS))
        outer.start()
        assert has_begun.wait(WAIT_S)
        answered = threading.Event()
        stage.actor.request(Call("IncomingFindRequestFilter", [], OTHERS), lambda *_: answered.set())
        stage.actor.request(Call("IncomingFindRequestFilter", []), lambda *_: None)
        assert not answered.is_set()
        may_end.set()
        assert answered.wait(WAIT_S)
        outer.join()
    assert stage.said[:3] == ["begins", "ends", "other"]


def test_nesting_works_to_a_depth_that_is_stated_and_then_fails() -> None:
    script = "function OutgoingFindRequestFilter(depth) say('in') return work('deeper') end"
    with running(script) as stage:
        reached: list[str] = []

        def deeper() -> None:
            try:
                stage.client.call("OutgoingFindRequestFilter", correlation=OURS)
            except ScriptFailed as exc:
                reached.append(exc.message)

        stage.work[b"deeper"] = deeper
        stage.client.call("OutgoingFindRequestFilter", correlation=OURS)
    assert len(stage.said) == module.MAX_DEPTH
    assert reached == [f"more than {module.MAX_DEPTH} callbacks within each other"]


def test_an_error_of_a_function_reaches_the_script() -> None:
    with running("function OnHeartBeat() local ok, message = pcall(work, 'fail') say(message) end") as stage:

        def fail() -> None:
            raise HostError("no such luck")

        stage.work[b"fail"] = fail
        stage.client.call("OnHeartBeat")
    assert stage.said == ["no such luck"]


def test_a_callback_without_time_left_does_not_wait_for_a_function() -> None:
    script = "function OnHeartBeat() work('for ever') end"
    with running(script, limits=Limits(timeout_s=0.2)) as stage:
        is_over = threading.Event()
        stage.work[b"for ever"] = lambda: is_over.wait(WAIT_S)
        with pytest.raises(ScriptFailed, match=r"no time left|stopped after"):
            stage.client.call("OnHeartBeat")
        is_over.set()


def test_who_has_given_up_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.0)
    with running("function OnHeartBeat() say('called') end") as stage, pytest.raises(Busy):
        stage.client.call("OnHeartBeat")
    assert stage.said == []


def test_what_the_last_callback_has_caused_is_still_served_while_others_are_told_of_the_stop() -> None:
    script = """
        function OutgoingFindRequestFilter() work('query') end
        function IncomingFindRequestFilter() say('inner') return 5 end
    """
    with running(script) as stage:
        stops = threading.Thread(target=stage.actor.stop)

        def query() -> None:
            stops.start()
            with stage.actor._changed:
                assert stage.actor._changed.wait_for(lambda: stage.actor._is_stopping, WAIT_S)
            with pytest.raises(Busy, match="stopping"):
                stage.client.call("IncomingFindRequestFilter", correlation=OTHERS)
            stage.client.call("IncomingFindRequestFilter", correlation=OURS)

        stage.work[b"query"] = query
        stage.client.call("OutgoingFindRequestFilter", correlation=OURS)
        stops.join()
    assert stage.said == ["inner"]


def test_after_the_stop_everybody_is_told() -> None:
    with running("") as stage:
        pass
    with pytest.raises(Busy, match="stopping"):
        stage.client.execute(b"print(1)")


class _Backlog:
    """A background that always has more to do."""

    def __init__(self) -> None:
        self.steps = 0
        self.has_stepped = threading.Event()

    def step(self) -> float:
        self.steps += 1
        self.has_stepped.set()
        return 0.0

    def on_defined(self) -> None:
        """Nothing to note."""


def test_neither_requests_nor_events_starve() -> None:
    backlog = _Backlog()
    with running("function OnHeartBeat() end", backlog) as stage:
        assert backlog.has_stepped.wait(WAIT_S)
        for _ in range(50):  # requests get through while there is always another event
            stage.client.call("OnHeartBeat")
        done = threading.Semaphore(0)
        before = backlog.steps
        many = 40 * module.REQUESTS_IN_A_ROW
        for _ in range(many):
            stage.actor.request(Call("OnHeartBeat", []), lambda *_: done.release())
        for _ in range(many):
            assert done.acquire(timeout=WAIT_S)
        assert backlog.steps - before >= 20  # and events while there is always another request


def test_a_background_with_a_defect_is_tried_again_and_requests_go_on() -> None:
    class Defective:
        def step(self) -> float:
            raise ValueError("defect")

        def on_defined(self) -> None:
            """Nothing to note."""

    with running("function OnHeartBeat() return 1 end", Defective()) as stage:
        assert stage.client.call("OnHeartBeat") == (1,)


def test_a_callback_whose_cause_has_no_correlation_has_one_of_its_own() -> None:
    script = """
        function OutgoingFindRequestFilter() work('query') end
        function IncomingFindRequestFilter() say('inner') end
    """
    with running(script) as stage:
        stage.work[b"query"] = lambda: stage.client.call("IncomingFindRequestFilter", correlation=stage.correlations[0])
        stage.client.call("OutgoingFindRequestFilter")
    assert stage.said == ["inner"]
    assert len(stage.correlations[0]) == CORRELATION_BYTES
