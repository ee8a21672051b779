"""Turns the operating system's errors about disks into ours, with a sentence for the operator.

A full disk and a failing disk are different errors: a deletion helps against the first, an operator has to look at the second.
Neither is the fault of the bytes that came, so a sender keeps its instance and sends it again.
"""

import errno
import os
from types import TracebackType

from events.errors import SinogramError, StorageFailed, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def translated(exc: OSError, what: str) -> SinogramError:
    """Return StorageFull or StorageFailed; `what` begins the sentence: "the storage area"."""
    if exc.errno in _FULL:
        return StorageFull(f"{what} is full")
    return StorageFailed(f"{what} fails: {explain(exc)}")


def explain(exc: OSError) -> str:
    """Return the error's text without the path, which the caller need not know."""
    return type(exc).__name__ if exc.errno is None else os.strerror(exc.errno)


class DiskErrors:
    """Raises StorageFull or StorageFailed for an OSError in its `with` block. Not for code that talks to the network.

    One can be entered many times, from many threads. A class, because entering a generator takes 1 µs of each write.
    """

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(exc, OSError):
            raise translated(exc, self._what) from exc
