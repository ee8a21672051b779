"""Records facts of an interpreter's process in the index, and lets the interpreter wait as little as possible.

One transaction under way at a time, so that they are recorded in their order: the next is begun when the last is durable.
"""

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.messages.commands.command import Command
from actors.messages.commands.plain import Together, to_plain
from actors.messages.commands.scripts import RecordCallbackFailure
from actors.services.scripts.errors import ScriptFailed
from events.errors import SinogramError

log = logging.getLogger(__name__)

Begin = Callable[[Command], Callable[[], Any]]  # sends a command off; what is returned waits until it is durable
MOST_WAITING: Final = 1000  # failures of filters that are not recorded yet
MESSAGE_CHARACTERS: Final = 1000
# Of each callback, so that a filter that fails for each request does not fill the log of events at the pace of traffic.
MOST_RECORDED: Final = 10
WINDOW_S: Final = 60.0


class Recorder:
    """Records transactions in their order; for one thread. What was refused stays first in the queue."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._queue: deque[Command] = deque()
        self._pending: Callable[[], Any] | None = None  # of the first in the queue

    def record(self, commands: Sequence[Command]) -> None:
        """Send commands off that take effect together, once those before are durable.

        Raises SinogramError of those before; these are not lost then.
        """
        is_single = len(commands) == 1
        self._queue.append(commands[0] if is_single else Together(commands=[to_plain(each) for each in commands]))
        self.advance(keep=1)

    def advance(self, *, keep: int = 0) -> None:
        """Wait until at most `keep` transactions are not durable, of which one is under way. Raises SinogramError."""
        while self._queue:
            if self._pending is None:
                self._pending = self._begin(self._queue[0])
            if len(self._queue) <= keep:
                return
            pending, self._pending = self._pending, None
            pending()
            self._queue.popleft()


class FailureRecorder:
    """Records failures of callbacks that somebody waits for: those are told at once, the log afterwards.

    Of each callback `MOST_RECORDED` in `WINDOW_S`; the next that is recorded says how many were not.
    """

    def __init__(self, begin: Begin, clock: Callable[[], float] = time.monotonic) -> None:
        self._begin = begin
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._waiting: queue.Queue[Command | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="lua-failures", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def on_failed(self, callback: str, failure: ScriptFailed) -> None:
        window = self._windows.setdefault(callback, _Window(self._clock()))
        if self._clock() >= window.began_s + WINDOW_S:
            window.began_s, window.recorded = self._clock(), 0
        if window.recorded >= MOST_RECORDED:
            window.left_out += 1
            return
        window.recorded += 1
        left_out, window.left_out = window.left_out, 0
        note = f"; {left_out} more failures were not recorded" if left_out else ""
        try:
            self._waiting.put_nowait(failure_command(callback, failure, note=note))
        except queue.Full:
            log.warning("lua.failure-not-recorded callback=%s: too many at once", callback)

    def _run(self) -> None:
        while (command := self._waiting.get()) is not None:
            try:
                self._begin(command)()
            except SinogramError as exc:
                log.warning("lua.failure-not-recorded: %s", exc)


@dataclass(slots=True)
class _Window:
    """What was recorded of one callback since a moment."""

    began_s: float
    recorded: int = 0
    left_out: int = 0


def failure_command(
    callback: str,
    failure: ScriptFailed,
    *,
    cause_seq: int = 0,
    number: int = 0,
    attempt: int = 1,
    delay_ms: int = 0,
    note: str = "",
) -> RecordCallbackFailure:
    """`cause_seq` 0: no event of the log caused the call; `delay_ms` 0: it will not be repeated; `note` follows the message."""
    return RecordCallbackFailure(
        cause_seq=cause_seq,
        number=number,
        callback=callback,
        attempt=attempt,
        delay_ms=delay_ms,
        cause=failure.cause.value,
        message=failure.message[:MESSAGE_CHARACTERS] + note,
    )
