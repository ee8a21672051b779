"""What scripts have not been told yet, they are told after a crash: in order, and none is left out.

Callbacks lag by 500 instances and processes die during it. The position in the log becomes durable while the
next callback runs, so a crash may repeat two callbacks: the one in progress, and the one before it.
"""

import os
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.fault.scripts import MAIN, Gate, gate_in, lines_of, store_all, wait_for_lines, with_script
from tests.fault.servers import ServerUnderTest, kill, server_in, wait_for

INSTANCES = 500
REPEATED = 2  # by a crash, at most
KILLS = 2
START = "start"
SCRIPT = """
    %(functions)s
    function Initialize() note('%(lines)s', 'start') end
    function OnStoredInstance(id, tags)
      note('%(lines)s-begun', tags.InstanceNumber)
      take('%(gate)s')
      note('%(lines)s', tags.InstanceNumber)
    end
"""


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with gate_in(tmp_path) as made:
        yield made


@pytest.fixture
def server(tmp_path: Path, gate: Gate) -> Iterator[ServerUnderTest]:
    """A server whose callbacks are 500 instances behind: none has passed the gate."""
    text = SCRIPT % {"functions": Gate.LUA, "lines": tmp_path / "lines", "gate": gate.path}
    with server_in(tmp_path / "server") as made:
        with_script(made, text, GatewayProcesses=1).start()
        store_all(made, range(1, INSTANCES + 1))
        yield made


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    return tmp_path / "lines"


@pytest.fixture
def chosen() -> random.Random:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    return random.Random(seed)


def runs_of(lines: Path) -> list[list[int]]:
    """Return the numbers of instances of which scripts were told, for each life of the interpreter."""
    runs: list[list[int]] = []
    for line in lines_of(lines):
        if line == START:
            runs.append([])
        else:
            runs[-1].append(int(line))
    return runs


def check_told(lines: Path) -> None:
    """Check that all were told of in their order, and what a crash has repeated."""
    runs = runs_of(lines)
    print("told:", [(run[0], run[-1]) if run else () for run in runs])
    for run in runs:
        assert run == list(range(run[0], run[0] + len(run))) if run else True
    begun = [run for run in runs if run]
    for before, after in pairwise(begun):
        assert before[-1] + 1 - REPEATED <= after[0] <= before[-1] + 1
    assert begun[0][0] == 1
    assert begun[-1][-1] == INSTANCES


def test_all_are_told_of_after_everything_was_killed(
    server: ServerUnderTest, gate: Gate, lines: Path, chosen: random.Random
) -> None:
    let_pass = 0
    for _ in range(KILLS):
        allowed = chosen.randint(0, 120)
        gate.allow(allowed + 50)  # they go on while processes are being killed
        let_pass += allowed
        wait_for_lines(lines, let_pass)
        server.kill_all()
        gate.close()
        let_pass = len(lines_of(lines))
        server.start()
    gate.open()
    wait_for(lambda: INSTANCES in runs_of(lines)[-1], "the last callback")
    check_told(lines)
    assert server.stop() == 0


def test_all_are_told_of_after_the_interpreter_was_killed(
    server: ServerUnderTest, gate: Gate, lines: Path, chosen: random.Random
) -> None:
    let_pass = 0
    for number in range(1, KILLS + 1):
        allowed = chosen.randint(10, 120)
        gate.allow(allowed + 50)
        let_pass += allowed
        wait_for_lines(lines, let_pass)
        kill(server.named()[MAIN])
        wait_for(lambda n=number: len(runs_of(lines)) == n + 1, "its successor")  # type: ignore[misc]
        gate.close()
        let_pass = len(lines_of(lines))
    gate.open()
    wait_for(lambda: INSTANCES in runs_of(lines)[-1], "the last callback")
    check_told(lines)
    assert len(runs_of(lines)) == KILLS + 1
    assert server.stop() == 0


def test_a_callback_in_which_the_interpreter_dies_twice_is_called_later(
    server: ServerUnderTest, gate: Gate, lines: Path
) -> None:
    begun = lines.with_name("lines-begun")
    gate.allow(10)
    for number in range(1, 3):
        wait_for(lambda n=number: lines_of(begun).count("11") == n, "the callback that waits at the gate")  # type: ignore[misc]
        kill(server.named()[MAIN])
    wait_for(lambda: "died twice in this callback" in server.log, "the callback to be passed over")
    gate.open()
    wait_for(lambda: {11, INSTANCES} <= set(runs_of(lines)[-1]), "the callback that was passed over")
    told = runs_of(lines)[-1]
    assert [number for number in told if number != 11] == list(range(12, INSTANCES + 1))
    assert server.stop() == 0
