"""The state of an interpreter that every process can see without asking it: 4 kB of shared memory.

It says which callbacks exist, so that a callback which no script defines costs a look at one byte. It says what the interpreter is
doing, so that its parent can tell when it is stuck (`heartbeat`). It says which event the interpreter was dealing with when it died,
for the process that replaces it. The memory belongs to the supervisor and outlives the interpreter's process. One writer: the
interpreter's thread.
"""

import mmap
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from actors.services.scripts import callbacks
from actors.services.scripts.heartbeat import Heartbeat
from actors.wire.board import create_memory

SIZE_BYTES: Final = 4096
_DEFINED: Final = 128  # a byte a callback, in the order of `callbacks.ALL`
_UNDER_WAY: Final = 256
_MEMORY: Final = 320
_EVENT: Final = struct.Struct(
    "<QIIB"
)  # seq of the event, number of the callback it causes, deaths, whether it was killed
_KILLED: Final = 384
_NAME: Final = struct.Struct("80s")
_U64: Final = struct.Struct("<Q")
_CALLS: Final = 1024  # a row a callback, in the order of `callbacks.ALL`
_ROW: Final = struct.Struct("<QQdd")
_PLACE: Final = {name: _DEFINED + place for place, name in enumerate(callbacks.ALL)}


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The delivery of an event that has begun and not ended."""

    seq: int
    number: int  # which of the callbacks the event causes
    deaths: int  # how often the interpreter's process has ended during it
    was_killed: bool  # the last time by the watchdog


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTimes:
    """How often a callback was called since the server's start, and how long that took."""

    calls: int
    failed: int  # of them
    seconds: float  # of all together
    longest_s: float


class Board:
    """See the module's text."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        """Without memory: one for this process alone."""
        self._memory = mmap.mmap(-1, SIZE_BYTES) if memory is None else memory
        self.heartbeat = Heartbeat(self._memory)

    def publish(self, defined: Collection[str]) -> None:
        """Publish which callbacks exist; called before the request that may have changed that is answered."""
        for name, place in _PLACE.items():
            self._memory[place] = name in defined

    def defines(self, name: str) -> bool:
        return bool(self._memory[_PLACE[name]])

    def defined(self) -> list[str]:
        return [name for name in callbacks.ALL if self.defines(name)]

    # -- the event under way --------------------------------------------------------------------------------------------

    def begin(self, seq: int, number: int, deaths: int = 0) -> None:
        _EVENT.pack_into(self._memory, _UNDER_WAY, seq, number, deaths, 0)

    def end(self) -> None:
        _EVENT.pack_into(self._memory, _UNDER_WAY, 0, 0, 0, 0)

    def mark_killed(self, callback: str) -> None:
        """Note that the interpreter is about to be killed for being stuck in a callback; by its parent."""
        self._memory[_UNDER_WAY + _EVENT.size - 1] = 1
        _NAME.pack_into(self._memory, _KILLED, callback.encode()[: _NAME.size])

    def take_killed(self) -> str:
        """Return the callback in which the process before this one was stuck and killed, "" if there was none; once."""
        (name,) = _NAME.unpack_from(self._memory, _KILLED)
        _NAME.pack_into(self._memory, _KILLED, b"")
        return bytes(name).rstrip(b"\0").decode(errors="replace")

    def left_behind(self) -> UnderWay | None:
        """Return the event during which the process before this one died, if it did."""
        seq, number, deaths, was_killed = _EVENT.unpack_from(self._memory, _UNDER_WAY)
        return UnderWay(seq, number, deaths, bool(was_killed)) if seq else None

    # -- how long callbacks take ----------------------------------------------------------------------------------------

    def note_call(self, name: str, seconds: float, *, failed: bool) -> None:
        """Count a call of a callback that has ended; 1 µs."""
        row = _CALLS + callbacks.ALL.index(name) * _ROW.size
        calls, failures, spent_s, longest_s = _ROW.unpack_from(self._memory, row)
        _ROW.pack_into(self._memory, row, calls + 1, failures + failed, spent_s + seconds, max(longest_s, seconds))

    def call_times(self) -> dict[str, CallTimes]:
        """Return what was counted of each callback that was called."""
        rows = (
            (name, _ROW.unpack_from(self._memory, _CALLS + place * _ROW.size))
            for place, name in enumerate(callbacks.ALL)
        )
        return {
            name: CallTimes(calls=calls, failed=failed, seconds=seconds, longest_s=longest_s)
            for name, (calls, failed, seconds, longest_s) in rows
            if calls
        }

    # -- memory -----------------------------------------------------------------------------------------------------------

    def note_memory(self, used_bytes: int) -> None:
        _U64.pack_into(self._memory, _MEMORY, used_bytes)

    @property
    def memory_bytes(self) -> int:
        """What the scripts' values took when the last callback had ended."""
        (used,) = _U64.unpack_from(self._memory, _MEMORY)
        return int(used)


def create_lua_board_fd(role: str) -> int:
    """Return a descriptor of memory for a board, to hand to children; the caller closes it."""
    return create_memory(role, SIZE_BYTES)


def open_board(fd: int) -> Board:
    return Board(mmap.mmap(fd, SIZE_BYTES))
