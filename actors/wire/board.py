"""The counters of all processes of a server, in memory that they share.

    STORED = Counter("sinogram_stored_total", "…")   in `actors.wire.metrics`, which declares all of them
    STORED.add()                                     where it happens

Each process has a row of the memory, which it alone writes; a reader adds the rows up. So no process waits for another
one: a count costs a lock of the process's own threads and two looks at memory, 0.3 µs. The memory belongs to the supervisor. A row
outlives its process, and the next process goes on counting there; gauges begin at nothing. Without a supervisor a process
has memory of its own.
"""

import mmap
import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final, NamedTuple

ROW_WORDS: Final = 512  # of 8 bytes; each holds a float, exact up to 2**53
_WORD_BYTES: Final = 8
LONGEST_WINDOW_S: Final = 10.0  # as Orthanc's


class Sample(NamedTuple):
    """One line of what is shown."""

    suffix: str  # of the metric's name
    labels: tuple[tuple[str, str], ...]
    value: float


class Board:
    """The rows as one process sees them, and which of them is its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.metrics: list[Metric] = []
        self._used = 0
        self._give(mmap.mmap(-1, ROW_WORDS * _WORD_BYTES), 0)

    def _give(self, memory: mmap.mmap, row: int) -> None:
        self.all = memoryview(memory).cast("d")
        self.own = self.all[row * ROW_WORDS : (row + 1) * ROW_WORDS]

    def share(self, fd: int, row: int) -> None:
        """Write a row of shared memory from now on; gauges of the process before this one are cleared."""
        self._give(mmap.mmap(fd, os.fstat(fd).st_size), row)
        for metric in self.metrics:
            if not metric.OUTLIVES:
                for place in range(metric.first, metric.first + metric.words):
                    self.own[place] = 0.0

    def declare(self, metric: "Metric") -> int:
        """Return the first of its words. Raises ValueError where there is no room, or the name is taken."""
        if any(metric.name == other.name for other in self.metrics):
            raise ValueError(f"the metric {metric.name} is declared twice")
        first, self._used = self._used, self._used + metric.words
        if self._used > ROW_WORDS:
            raise ValueError(f"no room for the metric {metric.name}")
        self.metrics.append(metric)
        return first

    def column(self, place: int) -> Sequence[float]:
        """Return one word of all rows."""
        return self.all[place::ROW_WORDS].tolist()


_PROCESS: Final = Board()


class Metric:
    """The values that are counted under a name. Thread-safe."""

    KIND: ClassVar[str]  # of the Prometheus text format
    OUTLIVES: ClassVar[bool]  # its process

    def __init__(self, name: str, text: str, words: int, board: Board) -> None:
        """Raises ValueError where the board has no room, or the name is taken."""
        self.name = name
        self.text = text
        self.words = words
        self._board = board
        self.first = board.declare(self)

    def samples(self) -> Iterator[Sample]:
        """Yield what all processes have counted."""
        raise NotImplementedError

    def _total(self, place: int) -> float:
        return sum(self._board.column(self.first + place))


class _Labelled(Metric):
    """A number, or one for each value of a label; the values are declared."""

    def __init__(
        self, name: str, text: str, label: str = "", values: Sequence[str] = ("",), board: Board = _PROCESS
    ) -> None:
        super().__init__(name, text, len(values), board)
        self.label = label
        self._places = {value: self.first + number for number, value in enumerate(values)}

    def add(self, amount: float = 1, value: str = "") -> None:
        """Count; `value` is that of the label. Raises KeyError for a value that was not declared."""
        place = self._places[value]
        with self._board.lock:
            self._board.own[place] += amount

    def total(self) -> float:
        """Return what all processes have counted, under all values of the label."""
        return sum(self._total(number) for number in range(len(self._places)))

    def samples(self) -> Iterator[Sample]:
        for number, value in enumerate(self._places):
            yield Sample("", ((self.label, value),) if self.label else (), self._total(number))


class Counter(_Labelled):
    """What only grows."""

    KIND = "counter"
    OUTLIVES = True


class Gauge(_Labelled):
    """What there is now."""

    KIND = "gauge"
    OUTLIVES = False

    def set(self, amount: float) -> None:
        self._board.own[self.first] = amount


class Age(Metric):
    """For how many seconds something has existed; one process sets it."""

    KIND = "gauge"
    OUTLIVES = False

    def __init__(self, name: str, text: str, board: Board = _PROCESS) -> None:
        super().__init__(name, text, 1, board)

    def begin(self) -> None:
        self._board.own[self.first] = time.monotonic()  # which all processes of a machine share

    def samples(self) -> Iterator[Sample]:
        if began_s := self._total(0):
            yield Sample("", (), time.monotonic() - began_s)


class Histogram(Metric):
    """How long something took: how many times up to each bound, and the sum."""

    KIND = "histogram"
    OUTLIVES = True

    BOUNDS_S: ClassVar = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

    def __init__(self, name: str, text: str, bounds: Sequence[float] = BOUNDS_S, board: Board = _PROCESS) -> None:
        self._bounds = tuple(bounds)
        super().__init__(name, text, len(bounds) + 2, board)  # one for what is beyond them, and the sum
        self._sum = self.first + len(bounds) + 1

    def observe(self, value: float) -> None:
        place = self.first + bisect_left(self._bounds, value)
        with self._board.lock:
            self._board.own[place] += 1
            self._board.own[self._sum] += value

    def samples(self) -> Iterator[Sample]:
        count = 0.0
        for number, bound in enumerate((*map(str, self._bounds), "+Inf")):
            count += self._total(number)
            yield Sample("_bucket", (("le", bound),), count)
        yield Sample("_sum", (), self._total(len(self._bounds) + 1))
        yield Sample("_count", (), count)


class Longest(Metric):
    """The longest of what took its time within 10 s, in milliseconds: the form of Orthanc's durations. Nothing until there is one."""

    KIND = "gauge"
    OUTLIVES = False

    def __init__(self, name: str, text: str, board: Board = _PROCESS) -> None:
        super().__init__(name, text, 2, board)  # milliseconds, and when that was, on the monotonic clock

    def observe(self, value_s: float) -> None:
        now_s, value_ms = time.monotonic(), value_s * 1000
        with self._board.lock:
            if value_ms >= self._board.own[self.first] or now_s > self._board.own[self.first + 1] + LONGEST_WINDOW_S:
                self._board.own[self.first] = value_ms
                self._board.own[self.first + 1] = now_s

    def samples(self) -> Iterator[Sample]:
        found = [
            (at_s, value_ms)
            for value_ms, at_s in zip(self._board.column(self.first), self._board.column(self.first + 1), strict=True)
            if at_s
        ]
        if found:
            newest_s = max(at_s for at_s, _ in found)
            yield Sample("", (), max(value for at_s, value in found if at_s >= newest_s - LONGEST_WINDOW_S))


def create_board_fd(rows: int) -> int:
    """Return a descriptor of memory for so many processes, to hand to them; the caller closes it."""
    return create_memory("board", rows * ROW_WORDS * _WORD_BYTES)


def create_memory(name: str, size_bytes: int) -> int:
    """Return a descriptor of memory that is all zeros and that children can share."""
    fd = os.memfd_create(name, 0)
    os.ftruncate(fd, size_bytes)
    return fd


def share_board(fd: int, row: int) -> None:
    """Count in this row of the memory from now on; once, at the start of a process, before anything counts."""
    _PROCESS.share(fd, row)


def list_metrics() -> list[Metric]:
    """Return what is declared, in the order of names."""
    return sorted(_PROCESS.metrics, key=lambda metric: metric.name)
