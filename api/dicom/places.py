"""How many associations each gateway serves: some bytes of memory that all gateways of a server share.

So the limit (`DicomMaximumAssociations`) is the server's, and a connection goes to the gateway that serves least. The memory is the
supervisor's, which frees the places of a gateway that died. A gateway writes only its own row, a word at a time, so a
reader sees the old number or the new one. Counting and adding one needs a lock: one of the kernel's, which ends with its process.

Left to itself, the kernel gave 40 associations at once to four gateways as 6, 21, 5 and 8.
"""

import fcntl
import mmap
import os
import threading
from typing import Final

from actors.wire.board import create_memory

PATIENCE_STEPS: Final = 20  # looks at whether another gateway, whose turn it is, takes a connection
STEP_MS: Final = 1
_WORDS: Final = 4  # of a row: whether it serves, associations now, connections taken since the start, nothing
_SERVES, _NOW, _EVER = range(3)
_ROW_BYTES: Final = _WORDS * 4


class Places:
    """The rows of all gateways, and which of them is ours. Thread-safe."""

    def __init__(self, fd: int | None = None, number: int = 0) -> None:
        """`number` is the gateway's, from 0. Without a descriptor: of a server of one gateway."""
        self._fd = fd
        self._row = number * _WORDS
        size_bytes = _ROW_BYTES if fd is None else os.fstat(fd).st_size
        self._words = memoryview(mmap.mmap(-1 if fd is None else fd, size_bytes)).cast("I")
        self._lock = threading.Lock()

    # --- of a gateway ---

    def open(self) -> None:
        """From now on take part in whose turn it is."""
        self._words[self._row + _SERVES] = 1

    def close(self) -> None:
        self._words[self._row + _SERVES] = 0

    def take(self, limit: int) -> bool:
        """Take a place for an association; False if the server has no more than `limit`, all of them taken."""
        with self._lock:
            self._words[self._row + _EVER] = (self._words[self._row + _EVER] + 1) & 0xFFFFFFFF
            if self._fd is not None:
                fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                if sum(self._words[_NOW::_WORDS].tolist()) >= limit:
                    return False
                self._words[self._row + _NOW] += 1
            finally:
                if self._fd is not None:
                    fcntl.lockf(self._fd, fcntl.LOCK_UN)
            return True

    def give_back(self) -> None:
        with self._lock:
            self._words[self._row + _NOW] -= 1

    def is_our_turn(self) -> bool:
        """Whether no other gateway serves less; of several that serve as little, it is that which has served least."""
        words, own = self._words.tolist(), self._row
        ours = (words[own + _NOW], words[own + _EVER], own)
        return all(
            (words[row + _NOW], words[row + _EVER], row) >= ours
            for row in range(0, len(words), _WORDS)
            if words[row + _SERVES]
        )

    def taken_ever(self) -> int:
        """Return how many connections all gateways have taken so far."""
        return sum(self._words[_EVER::_WORDS].tolist())

    # --- of the supervisor ---

    def free(self, number: int) -> None:
        """Free the places of a gateway that is gone."""
        row = number * _WORDS
        self._words[row + _SERVES] = 0
        self._words[row + _NOW] = 0


def create_places_fd(gateways: int) -> int:
    """Return a descriptor of memory for so many gateways, to hand to them; the caller closes it."""
    return create_memory("places", gateways * _ROW_BYTES)
