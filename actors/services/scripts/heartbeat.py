"""A sign of life that another process can see.

Lua's hook ends a script that loops, but not a C function that takes for ever (`string.find` with a pathological pattern, a read from a
pipe). The interpreter's process therefore writes what it does into 128 bytes of shared memory, and its parent kills it when the
deadline of the callback is long past. Between callbacks the thread that runs them says so, too, and has little time for it. Times are
of the monotonic clock, which all processes of a machine share.

The interpreter's thread writes all of this. A process in which no thread runs any more (one holds Python's lock for good) is known
by its ticks: a thread of its own counts seconds.
"""

import mmap
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SIZE_BYTES = 128
_ROW = struct.Struct("<QdddB79p")  # version (odd while it is written), beat, started, deadline, waiting, name
_TICKS = struct.Struct("<Q")
_TICKS_AT = SIZE_BYTES - _TICKS.size
TICK_S = 1.0
BETWEEN = "(between callbacks)"

_TRIES = 1000  # some hundred microseconds; a row takes one to write


class Pulse(Protocol):
    """What an interpreter tells about itself."""

    def started(self, name: str, deadline_s: float) -> None: ...
    def beat(self, now_s: float) -> None: ...
    def waits(self, waiting: bool) -> None: ...
    def ended(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    name: str  # of the callback under way, "" if there is none
    started_s: float
    beat_s: float  # when Lua's hook last ran
    deadline_s: float  # inf: no limit
    waiting: bool  # in a function of ours, which looks at the deadline itself

    def is_stuck(self, now_s: float, grace_s: float, waiting_grace_s: float) -> bool:
        """Tell whether the callback has passed its deadline and did not even notice, nor did a function of ours."""
        return bool(self.name) and now_s > self.deadline_s + (waiting_grace_s if self.waiting else grace_s)


class Heartbeat:
    """The writer's and the reader's side. One writer. `memory` is shared by both (an anonymous mmap before a fork, or a file's)."""

    def __init__(self, memory: mmap.mmap, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = memory
        self._clock = clock
        self._version = 0
        self._stack: list[tuple[str, float, float]] = []  # callbacks within callbacks
        self._patience_s = 0.0  # of what is lowest, when it is no callback
        self._ticks = 0
        self._beat_s = 0.0
        self._waiting = False

    def started(self, name: str, deadline_s: float) -> None:
        self._beat_s = self._clock()
        self._stack.append((name, self._beat_s, deadline_s))
        self._waiting = False
        self._write()

    def between(self, patience_s: float) -> None:
        """Say that something is done around callbacks, each part of which takes no longer than this; ended by `ended`."""
        self._patience_s = patience_s
        self.started(BETWEEN, self._clock() + patience_s)

    def beat(self, now_s: float) -> None:
        self._beat_s = now_s
        self._write()

    def waits(self, waiting: bool) -> None:
        self._waiting = waiting
        self._write()

    def ended(self) -> None:
        self._stack.pop()
        self._waiting = bool(self._stack)  # its caller is in a host function
        if len(self._stack) == 1 and self._stack[0][0] == BETWEEN:
            now_s = self._clock()
            self._stack[0] = (BETWEEN, now_s, now_s + self._patience_s)
        self._write()

    def tick(self) -> None:
        """Say that this process lives; for a thread that does nothing else, every `TICK_S`."""
        self._ticks += 1
        _TICKS.pack_into(self._memory, _TICKS_AT, self._ticks)

    def ticks(self) -> int:
        """Return how often the other process has ticked; 0 is not yet."""
        (count,) = _TICKS.unpack_from(self._memory, _TICKS_AT)
        return int(count)

    def _write(self) -> None:
        name, started_s, deadline_s = self._stack[-1] if self._stack else ("", 0.0, 0.0)
        row = (self._beat_s, started_s, deadline_s, self._waiting, name.encode()[-78:])  # of a path, the end
        _ROW.pack_into(self._memory, 0, self._version + 1, *row)
        self._version += 2
        struct.pack_into("<Q", self._memory, 0, self._version)

    def clear(self) -> None:
        """Clear the record of a process that is gone."""
        self._stack.clear()
        struct.pack_into("<Q", self._memory, 0, 0)  # it may have died while it was writing
        self._version = 0
        _TICKS.pack_into(self._memory, _TICKS_AT, 0)
        self._write()

    def read(self) -> Activity:
        """Read what the other process does. A row that is being written is read again; one whose writer died is nothing."""
        for _ in range(_TRIES):
            version, beat_s, started_s, deadline_s, waiting, name = _ROW.unpack_from(self._memory, 0)
            if version % 2 == 0 and struct.unpack_from("<Q", self._memory, 0)[0] == version:
                return Activity(
                    name=name.decode(errors="replace"),
                    started_s=started_s,
                    beat_s=beat_s,
                    deadline_s=deadline_s,
                    waiting=bool(waiting),
                )
        return Activity(name="", started_s=0.0, beat_s=0.0, deadline_s=0.0, waiting=False)
