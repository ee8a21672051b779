"""The supervisor and what interpreters of scripts leave behind on their boards."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from actors.lua.board import Board
from actors.lua.settings import LUA_MAIN
from tools.children import Child
from tools.process import Order
from tools.serve import Supervisor


class Watching(Supervisor):
    """One that watches a child of the test's, and starts nothing."""

    def __init__(self, child: Child, board: Board) -> None:
        self._first = child
        self._children = [child]
        self._watched = {LUA_MAIN: board}
        self._restarts = []
        self.spawned: list[Order] = []

    def _spawn(self, order: Order) -> Child:
        self.spawned.append(order)
        return Child(order, self._first.process, -1)


@pytest.fixture
def child() -> Iterator[Child]:
    read_fd, write_fd = os.pipe()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
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


def test_one_that_waits_in_a_function_of_ours_is_left_alone(child: Child) -> None:
    board = Board()
    board.heartbeat.started("OnStoredInstance", deadline_s=0.0)
    board.heartbeat.waits(True)
    Watching(child, board)._end_stuck()
    assert child.process.poll() is None
    os.close(child.status_fd)
