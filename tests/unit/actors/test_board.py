"""The board: what processes count in shared memory is added up, and outlives those that counted it."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from actors.wire.board import (
    LONGEST_WINDOW_S,
    ROW_WORDS,
    Age,
    Board,
    Counter,
    Gauge,
    Histogram,
    Longest,
    create_board_fd,
)


@dataclass
class Process:
    """What a process of the server declares."""

    board: Board

    def __post_init__(self) -> None:
        self.stored = Counter("stored", "", "result", ("good", "bad"), board=self.board)
        self.waiting = Gauge("waiting", "", board=self.board)
        self.seconds = Histogram("seconds", "", (0.1, 1.0), board=self.board)
        self.longest = Longest("longest", "", board=self.board)
        self.up = Age("up", "", board=self.board)


@pytest.fixture
def memory() -> Iterator[int]:
    fd = create_board_fd(3)
    yield fd
    os.close(fd)


def start(memory: int, row: int) -> Process:
    process = Process(Board())
    process.board.share(memory, row)
    return process


def shown(metric: Counter | Gauge | Histogram | Longest | Age) -> dict[str, float]:
    return {sample.suffix + "".join(value for _, value in sample.labels): sample.value for sample in metric.samples()}


def test_every_process_sees_what_all_have_counted(memory: int) -> None:
    first, second, third = (start(memory, row) for row in range(3))
    first.stored.add(2, "good")
    second.stored.add(3, "good")
    second.stored.add(1, "bad")
    first.waiting.set(4)
    second.waiting.add(-1)
    for process in (first, second, third):
        assert shown(process.stored) == {"good": 5, "bad": 1}
        assert shown(process.waiting) == {"": 3}


def test_a_successor_counts_on_and_has_nothing_under_way(memory: int) -> None:
    other, dying = start(memory, 0), start(memory, 1)
    other.waiting.set(1)
    dying.stored.add(5, "good")
    dying.waiting.set(7)
    dying.seconds.observe(0.5)
    dying.longest.observe(3)
    successor = start(memory, 1)
    successor.stored.add(1, "good")
    assert shown(other.stored) == {"good": 6, "bad": 0}
    assert shown(other.waiting) == {"": 1}
    assert shown(other.seconds)["_count"] == 1
    assert shown(other.longest) == {}


def test_a_histogram_counts_up_to_each_bound_and_the_bound_itself(memory: int) -> None:
    first, second = start(memory, 0), start(memory, 1)
    for value in (0.05, 0.1, 0.5):
        first.seconds.observe(value)
    second.seconds.observe(20)
    assert shown(first.seconds) == {
        "_bucket0.1": 2,
        "_bucket1.0": 3,
        "_bucket+Inf": 4,
        "_sum": pytest.approx(20.65),
        "_count": 4,
    }


def test_the_longest_of_ten_seconds_is_shown_until_there_is_another(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    first, second = start(memory, 0), start(memory, 1)
    assert shown(first.longest) == {}
    first.longest.observe(0.5)
    second.longest.observe(0.25)
    second.longest.observe(0.125)
    assert shown(second.longest) == {"": 500}
    clock[0] += LONGEST_WINDOW_S + 1
    assert shown(second.longest) == {"": 500}
    second.longest.observe(0.0625)
    assert shown(first.longest) == {"": 62.5}


def test_an_age_is_that_of_who_has_begun(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    core, gateway = start(memory, 0), start(memory, 1)
    assert shown(gateway.up) == {}
    core.up.begin()
    clock[0] += 42
    assert shown(gateway.up) == {"": 42}


def test_threads_of_a_process_lose_no_count(memory: int) -> None:
    process = start(memory, 2)

    def count() -> None:
        for _ in range(5_000):
            process.stored.add(1, "good")
            process.seconds.observe(0.01)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown(process.stored)["good"] == shown(process.seconds)["_count"] == 20_000


def test_a_name_is_declared_once_and_values_of_a_label_beforehand() -> None:
    process = Process(Board())
    with pytest.raises(ValueError, match="twice"):
        Counter("stored", "", board=process.board)
    with pytest.raises(KeyError):
        process.stored.add(1, "undeclared")


def test_a_board_that_is_full_says_so() -> None:
    board = Board()
    Histogram("large", "", range(ROW_WORDS - 2), board=board)
    with pytest.raises(ValueError, match="no room"):
        Counter("one more", "", board=board)
