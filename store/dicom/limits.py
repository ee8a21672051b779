"""Limits on the cost of one dataset, and of all datasets together in a process.

A stranger's file of a megabyte can inflate to a gigabyte, or be a million elements of eight bytes, of which each costs 250 bytes
when it is held and 1 kB when it is shown. So a dataset beyond a limit is refused, and the error names the limit. A process works on
one or two large datasets at a time. The others wait; if that takes too long, the answer is that the server is busy.

The limits are the process's own: set once at its start, before any dataset is read.
"""

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from events.errors import Busy, InvalidDicom
from events.options import MB, Option, Whole, filled_by

WAIT_S: Final = 60.0  # for one's turn; a dataset at the limit takes some seconds
# Smaller ones are not counted. 50 threads that hold 20,000 elements each hold 250 MB.
LARGE_ELEMENTS: Final = 20_000
LARGE_INFLATED_BYTES: Final = 1 << 20
INFLATED_AT_ONCE: Final = 2
IDENTIFIER_ELEMENTS: Final = 10_000  # of a query or an answer to one; real ones have some dozens


class BeyondLimits(InvalidDicom):
    """A dataset costs more than it may; the text says which limit, and who can raise it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one dataset."""

    inflated_bytes: int = filled_by(Option("MaximumInflatedSizeMB", Whole(1, 1 << 20, "MB", MB), 1024))
    # Items and fragments counted, that are read as a whole: to be shown, changed or transcoded.
    elements: int = filled_by(Option("MaximumDatasetElements", Whole(1000), 500_000))
    stored_elements: int = 5_000_000  # of a file that is to be stored; proving its structure holds none of them
    folder: str | None = None  # for what is inflated; None: the system's for temporary files


class _Holding(threading.local):
    """What a thread has of a turn."""

    depth = 0  # of scopes
    is_holder = False


class _Turn:
    """A semaphore whose holder may take it again."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._semaphore = threading.BoundedSemaphore()
        self._thread = _Holding()

    def scope(self) -> Self:
        """Whatever is taken inside is given back at the end of the outermost scope."""
        return self

    def __enter__(self) -> None:
        self._thread.depth += 1

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._thread.depth -= 1
        if self._thread.is_holder and not self._thread.depth:
            self._thread.is_holder = False
            self._semaphore.release()

    def take(self) -> None:
        """Raise Busy if others do not finish. To be called in a scope."""
        if not self._thread.is_holder:
            if not self._semaphore.acquire(timeout=WAIT_S):
                raise Busy(f"{self._what}: others have been at work for {WAIT_S:.0f} s, try again later")
            self._thread.is_holder = True


class Tally:
    """Counts the elements, items and fragments of one dataset while it is read."""

    __slots__ = ("_limit", "_option", "left")

    def __init__(self, limit: int, *, is_held: bool, option: str = "") -> None:
        # The first threshold: a reader that keeps what it reads has to wait for its turn here.
        self.left = min(limit, LARGE_ELEMENTS) if is_held else limit
        self._limit = limit - self.left
        self._option = option

    def go_on(self) -> None:
        """Called where nothing is left. Raises: BeyondLimits; Busy."""
        if not self._limit:
            hint = f"; {self._option} sets the limit" if self._option else ""
            raise BeyondLimits(f"the dataset has too many elements and items{hint}")
        large_datasets.take()
        self.left, self._limit = self._limit, 0


_limits = Limits()
large_datasets: Final = _Turn("a large dataset")


def set_limits(limits: Limits) -> None:
    """For this process, at its start."""
    global _limits  # noqa: PLW0603 # one budget for all readers of a process
    _limits = limits


def limits() -> Limits:
    """Return the limits of this process."""
    return _limits


def held_tally() -> Tally:
    """For a dataset whose elements are kept."""
    return Tally(_limits.elements, is_held=True, option="MaximumDatasetElements")


def passing_tally() -> Tally:
    """For one whose structure is proved, and nothing is kept."""
    return Tally(_limits.stored_elements, is_held=False)


def identifier_tally() -> Tally:
    """For an identifier of a query, or of an answer to one."""
    return Tally(IDENTIFIER_ELEMENTS, is_held=False)
