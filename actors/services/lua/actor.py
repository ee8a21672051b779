"""The thread that runs one interpreter: callbacks in mutual exclusion, and within a callback what that callback has caused.

Not a pykka actor, because its mailbox is read selectively. While a callback waits in a function of ours (a REST call, a
request to a web service), the work is done by another thread, and this one serves those requests of its mailbox that carry
the correlation of the callback: a REST call that sends a query meets OutgoingFindRequestFilter. It also serves every
OutgoingCStoreInstanceFilter: a callback that waits for a job would else wait for jobs that take all slots and wait for it.
Everything else waits until the callback has ended, and is answered Busy after `PATIENCE_S`.

Requests come before the deliveries of events, but for one delivery in so many requests, so that neither starves the other.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, assert_never

from actors.messages.scripts import Call, Execute, ScriptRequest
from actors.services.lua.apart import Apart
from actors.services.lua.background import Background
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.board import Board
from actors.services.scripts.errors import HostError, ScriptFailed
from actors.services.scripts.settings import PATIENCE_S
from actors.wire.reply import Reply, stopping, wait_for_reply
from events.errors import Busy
from events.identifiers import new_correlation

log = logging.getLogger(__name__)

MAX_DEPTH: Final = 16  # callbacks within callbacks; each has a stack of its own in Lua and in two threads
REQUESTS_IN_A_ROW: Final = 8  # while events wait
BETWEEN_S: Final = 90.0  # for what is done around a callback, such as recording it: the index is given 60 s to answer

OnFailed = Callable[[str, ScriptFailed], None]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Request:
    what: ScriptRequest
    reply: Reply
    expires_s: float

    @property
    def correlation(self) -> bytes:
        return self.what.correlation


class ScriptsActor:
    """One interpreter with its mailbox. Only `request`, `ask`, `wake`, `stop` and `break_off` are for other threads."""

    def __init__(
        self,
        name: str,
        interpreter: Interpreter,
        board: Board,
        *,
        on_failed: OnFailed,
        has_life_cycle: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_failed` is told of every callback that did not end well and whose caller was told so.

        With `has_life_cycle`, `Initialize` is the first callback and `Finalize` the last.
        """
        self._interpreter = interpreter
        self._board = board
        self._on_failed = on_failed
        self._has_life_cycle = has_life_cycle
        self._clock = clock
        self._background: Background | None = None
        self._mailbox: deque[_Request] = deque()
        self._changed = threading.Condition()
        self._is_woken = False
        self._is_stopping = False
        self._is_broken_off = False
        self._correlations: list[bytes] = []  # of the callbacks under way, the innermost last
        self._deadlines_s: list[float] = []
        self._defined: frozenset[str] | None = (
            None  # as the board has it; unknown at first: an earlier process may have written there
        )
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, background: Background | None = None) -> None:
        """Run from now on; the scripts are loaded."""
        self._background = background
        self._publish()
        self._thread.start()

    def stop(self) -> None:
        """Let the callback under way end, with the requests it causes, and refuse all others."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._thread.join()

    def break_off(self) -> None:
        """End the callback under way, because the server stops; requests that it waits for are about to be broken off, too."""
        self._is_broken_off = True
        self._interpreter.break_off()

    @property
    def is_broken_off(self) -> bool:
        return self._is_broken_off

    def wake(self) -> None:
        """Make the thread look at its background work."""
        with self._changed:
            self._is_woken = True
            self._changed.notify_all()

    # -- asking -------------------------------------------------------------------------------------------------------

    def request(self, what: ScriptRequest, reply: Reply) -> None:
        """Queue a request; `reply` is called once."""
        with self._changed:
            is_caused = what.correlation and what.correlation in self._correlations
            if not self._is_stopping or is_caused:  # the last callback needs it
                self._mailbox.append(_Request(what, reply, self._clock() + PATIENCE_S))
                self._changed.notify_all()
                return
        reply(None, stopping())

    def ask(self, what: ScriptRequest, timeout_s: float) -> Any:
        """Ask from within this process and wait. Raises Busy."""
        return wait_for_reply(lambda reply: self.request(what, reply), timeout_s, _busy())

    # -- for the background and the functions of scripts, on the interpreter's thread ------------------------------

    def deliver(self, name: str, arguments: tuple[Any, ...], correlation: bytes) -> None:
        """Call the callback of an event. Raises ScriptFailed."""
        try:
            self._nested(correlation, lambda: self._call(name, arguments))
        finally:
            self._publish()

    @property
    def correlation(self) -> bytes:
        """That of the callback under way."""
        return self._correlations[-1] if self._correlations else b""

    def run_apart(self, work: Callable[[], T]) -> T:
        """Do slow work in another thread. Meanwhile serve requests that must not wait until the callback under way has ended.

        Raises whatever `work` raises; HostError when the callback has no time left, while `work` goes on and its result is lost.
        """
        if threading.current_thread() is not self._thread:  # a script that is being loaded
            return work()
        apart: Apart[T] = Apart(work, self._notify)
        threading.Thread(target=apart.run, name="lua-function", daemon=True).start()
        deadline_s = self._deadlines_s[-1] if self._deadlines_s else float("inf")
        while True:
            request = None
            with self._changed:
                while not apart.is_done and (request := self._take_urgent()) is None:
                    left_s = deadline_s - self._clock()
                    if left_s <= 0 or not self._changed.wait(min(left_s, threading.TIMEOUT_MAX)):
                        raise HostError("the callback has no time left to wait for this")
            if request is None:
                return apart.result()
            self._answer(request)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take_urgent(self) -> _Request | None:
        """Take the first request out of the mailbox that a callback under way has caused, or that a job makes.

        Jobs, because a callback may wait for one that waits for its turn, behind others that ask for a filter.
        """
        for request in self._mailbox:
            is_caused = request.correlation and request.correlation in self._correlations
            if is_caused or _callback_of(request.what) == callbacks.OUTGOING_C_STORE:
                self._mailbox.remove(request)
                return request
        return None

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._call_at_the_edge(callbacks.INITIALIZE)
        due_s, in_a_row = self._clock(), 0
        while (request := self._next(due_s, in_a_row)) is not _STOP:
            self._board.heartbeat.between(BETWEEN_S)
            if isinstance(request, _Request):
                self._answer(request)
                in_a_row += 1
            elif self._background is not None:
                in_a_row = 0
                pause_s = self._step(self._background)
                due_s = self._clock() + (threading.TIMEOUT_MAX if pause_s is None else pause_s)
            self._board.heartbeat.ended()
        self._interpreter.go_on()
        self._call_at_the_edge(callbacks.FINALIZE)
        with self._changed:
            left, self._mailbox = self._mailbox, deque()
        for late in left:
            late.reply(None, stopping())

    def _next(self, due_s: float, in_a_row: int) -> Any:
        """Wait for something to do: a request, None for the background, or _STOP."""
        with self._changed:
            while True:
                if self._is_stopping:
                    return _STOP
                is_due = self._background is not None and (self._is_woken or self._clock() >= due_s)
                if self._mailbox and not (is_due and in_a_row >= REQUESTS_IN_A_ROW):
                    return self._mailbox.popleft()
                if is_due:
                    self._is_woken = False
                    return None
                pause_s = threading.TIMEOUT_MAX if self._background is None else max(due_s - self._clock(), 0.0)
                self._changed.wait(min(pause_s, threading.TIMEOUT_MAX))

    def _step(self, background: Background) -> float | None:
        try:
            return background.step()
        except Exception:  # a defect; deliveries that stop for good would be worse than one that is tried again
            log.exception("lua.background-failed")
            return 1.0

    def _call_at_the_edge(self, name: str) -> None:
        if not self._has_life_cycle or not self._interpreter.defines(name):
            return
        try:
            self.deliver(name, (), b"")
        except ScriptFailed as exc:
            self._report(name, exc)

    # -- answering ----------------------------------------------------------------------------------------------------

    def _answer(self, request: _Request) -> None:
        if self._clock() >= request.expires_s:  # who asked has given up
            request.reply(None, _busy())
            return
        if len(self._correlations) >= MAX_DEPTH:
            request.reply(["failed", f"more than {MAX_DEPTH} callbacks within each other", "error"], None)
            return
        try:
            answer = ["done", self._nested(request.correlation, lambda: self._carry_out(request.what))]
        except ScriptFailed as exc:
            answer = ["failed", exc.message, exc.cause.value]
            if name := _callback_of(request.what):
                self._report(name, exc)
        except Exception:  # a defect must not end the thread
            log.exception("lua.request-failed")
            answer = ["failed", "Internal error", "error"]
        self._publish()
        request.reply(answer, None)

    def _carry_out(self, what: ScriptRequest) -> Any:
        match what:
            case Call(name=name, arguments=arguments):
                if not self._interpreter.defines(name):  # removed by a script since it was looked up
                    raise ScriptFailed(f"no function {name}")
                return list(self._call(name, arguments))
            case Execute(source=source):
                return self._interpreter.execute(source)
            case _:
                assert_never(what)

    def _call(self, name: str, arguments: Sequence[Any]) -> tuple[Any, ...]:
        began_s, has_failed = time.perf_counter(), True
        try:
            results = self._interpreter.call(name, *arguments)
            has_failed = False
            return results
        finally:
            self._board.note_call(name, time.perf_counter() - began_s, failed=has_failed)

    def _nested(self, correlation: bytes, run: Callable[[], T]) -> T:
        # One of its own where its cause has none: else its requests could not be told from those of others.
        self._correlations.append(correlation or new_correlation())
        self._deadlines_s.append(self._interpreter.limits.deadline_s(self._clock()))
        try:
            return run()
        finally:
            self._correlations.pop()
            self._deadlines_s.pop()

    def _report(self, name: str, failure: ScriptFailed) -> None:
        log_failure(name, failure)
        self._on_failed(name, failure)

    def _publish(self) -> None:
        """Before anybody is answered: what is defined may have changed."""
        defined = frozenset(self._interpreter.defined(callbacks.ALL))
        if defined != self._defined:
            self._defined = defined
            self._board.publish(defined)
            if self._background is not None:
                self._background.on_defined()
                self._is_woken = True
        self._board.note_memory(self._interpreter.memory_bytes)


_STOP: Final = object()


def log_failure(name: str, failure: ScriptFailed) -> None:
    """Log how a callback failed, with the script's file and line."""
    log.error("Error in the Lua callback %s: %s", name, failure.message)
    if failure.trace:
        log.info("%s", failure.trace)


def _busy() -> Busy:
    return Busy("the Lua interpreter is busy with another callback")


def _callback_of(what: ScriptRequest) -> str:
    return what.name if isinstance(what, Call) else ""
