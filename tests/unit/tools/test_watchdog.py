"""The supervisor and what interpreters of scripts leave behind on their boards."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.services.scripts.board import Board
from actors.services.scripts.settings import LUA_MAIN
from tools.server.children import Child
from tools.server.process import Order
from tools.server.serve import Supervisor
from tools.server.watchdog import GRACE_S, STILL_LOOKS, WAITING_GRACE_S, Watchdog


class Watching(Supervisor):
    """One that watches a child of the test's, and starts nothing."""

    def __init__(self, child: Child, board: Board) -> None:
        self._first = child
        self._children = [child]
        self._watchdog = Watchdog({LUA_MAIN: board})
        self._restarts = []
        self.spawned: list[Order] = []

    def _spawn(self, order: Order) -> Child:
        self.spawned.append(order)
        return Child(order, self._first.process, -1)


@pytest.fixture
def child() -> Iterator[Child]:
    read_fd, write_fd = os.pipe()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0) as process:
        os.close(write_fd)
        yield Child(Order(LUA_MAIN, LUA_MAIN, None), process, read_fd)
        process.kill()


def test_the_successor_of_one_that_was_killed_is_not_taken_for_stuck(child: Child) -> None:
    board = Board()
    board.heartbeat.started("OnStoredInstance", deadline_s=0.0)  # long past
    board.begin(7, 0)
    supervisor = Watching(child, board)
    child.process.kill()  # by somebody else
    assert supervisor._on_death(child) is None
    assert supervisor.spawned == [child.order]
    assert board.heartbeat.read().name == ""
    left = board.left_behind()
    assert left is not None
    assert not left.was_killed


def test_one_that_is_stuck_is_killed_and_its_event_says_so(child: Child) -> None:
    board = Board()
    board.heartbeat.started("OnStoredInstance", deadline_s=0.0)
    board.begin(7, 0)
    Watching(child, board)._end_stuck()
    assert child.process.returncode == -9
    left = board.left_behind()
    assert left is not None
    assert left.was_killed
    assert [board.take_killed() for _ in range(2)] == ["OnStoredInstance", ""]
    os.close(child.status_fd)


def test_what_its_scripts_have_started_dies_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"import os; os.system('sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait')"
    read_fd, write_fd = os.pipe()
    with subprocess.Popen([sys.executable, "-c", script], process_group=0) as process:
        os.close(write_fd)
        child = Child(Order(LUA_MAIN, LUA_MAIN, None), process, read_fd)
        while not pid.exists():
            assert process.poll() is None
            select.select([], [], [], 0.01)
        handle = os.pidfd_open(int(pid.read_text()))
        child.kill()
        assert select.select([handle], [], [], 10)[0]  # its end
    os.close(handle)
    os.close(read_fd)


# -- what is stuck, by what the board says ------------------------------------------------------------------------------


def found(board: Board, now_s: float) -> list[str]:
    return [what for _, what in Watchdog({LUA_MAIN: board}).find_stuck(now_s)]


def test_one_that_waits_in_a_function_of_ours_is_stuck_somewhat_later() -> None:
    board = Board()
    board.heartbeat.started("OnStoredInstance", deadline_s=100.0)
    board.heartbeat.waits(True)
    assert found(board, 100 + GRACE_S + 1) == []
    assert found(board, 100 + WAITING_GRACE_S + 1) == ["OnStoredInstance"]


def test_one_may_be_stuck_between_callbacks() -> None:
    board = Board()
    board.heartbeat.between(90.0)
    deadline_s = board.heartbeat.read().deadline_s
    assert found(board, deadline_s) == []
    assert found(board, deadline_s + WAITING_GRACE_S + 1) == ["(between callbacks)"]


@pytest.mark.parametrize("doing", ["nothing", "a callback without a limit", "a function of ours"])
def test_one_of_which_no_thread_runs_is_stuck_whatever_it_does(doing: str) -> None:
    board = Board()
    board.heartbeat.tick()
    if doing != "nothing":
        board.heartbeat.started("OnStoredInstance", deadline_s=float("inf"))
        board.heartbeat.waits(doing == "a function of ours")
    watchdog = Watchdog({LUA_MAIN: board})
    looks = [list(watchdog.find_stuck(float(second))) for second in range(STILL_LOOKS + 1)]
    assert [bool(look) for look in looks] == [False] * STILL_LOOKS + [True]


def test_a_machine_that_was_stopped_for_an_hour_makes_nobody_stuck() -> None:
    board = Board()
    watchdog = Watchdog({LUA_MAIN: board})
    for second in [*range(20), *range(3600, 3620)]:
        board.heartbeat.tick() if second != 3600 else None
        assert not list(watchdog.find_stuck(float(second)))


def test_one_that_has_not_begun_to_tick_is_being_started() -> None:
    watchdog = Watchdog({LUA_MAIN: Board()})
    assert not [second for second in range(200) if list(watchdog.find_stuck(float(second)))]


def test_the_successor_of_a_still_one_is_given_its_time() -> None:
    board = Board()
    board.heartbeat.tick()
    watchdog = Watchdog({LUA_MAIN: board})
    for second in range(STILL_LOOKS):
        assert not list(watchdog.find_stuck(float(second)))
    watchdog.forget(LUA_MAIN)
    board.heartbeat.tick()
    assert not list(watchdog.find_stuck(float(STILL_LOOKS)))
