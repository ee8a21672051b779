"""`bench lua`: what Lua scripts cost, the same scripts in every server.

    without     no script
    filter      ReceivedInstanceFilter that accepts everything
    event       OnStoredInstance that does nothing
    routing     OnStoredInstance that sends to a modality and then deletes

Each script and round has a server of its own with a fresh archive. Measured are:

- `ingest-1`, `ingest-4`: C-STORE over one association and over four, while callbacks are called
- `told` (event): instances from the first C-STORE until the last callback has ended
- `backlog` (event): callbacks of instances that are stored already; the first one waits at a named pipe until all are
- `routed` (routing): instances from the first C-STORE until the archive is empty

How far callbacks are is asked of `/lua/status`, which only this server has: `told` and `backlog` are its alone.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from events.errors import PeerFailed
from tools.bench.cstore_load import cstores
from tools.bench.ingest import Supply, in_turns
from tools.bench.results import Run, run_of
from tools.bench.senders import Outcome, run_senders
from tools.bench.sending import STORESCP, storescp
from tools.bench.targets import Target, start

ASSOCIATIONS: Final = (1, 4)
DRAIN_TIMEOUT_S: Final = 600.0
POLL_S: Final = 0.02
_PIPE: Final = "gate"

_SCRIPTS: Final = {
    "without": None,
    "filter": "function ReceivedInstanceFilter(dicom, origin, info) return true end",
    "event": "function OnStoredInstance(instanceId, tags, metadata, origin) end",
    "backlog": """
        local isFirst = true
        function OnStoredInstance(instanceId, tags, metadata, origin)
          if isFirst then
            isFirst = false
            io.open('%s'):close()
          end
        end
    """,
    "routing": f"""
        function OnStoredInstance(instanceId, tags, metadata, origin)
          Delete(SendToModality(instanceId, '{STORESCP}'))
        end
    """,
}


@dataclass(frozen=True, slots=True)
class Program:
    """A server that can be started; `is_own` if it has `/lua/status`."""

    name: str
    command: Sequence[str]
    is_own: bool


def measure_scripts(
    programs: Sequence[Program], supply: Supply, *, rounds: int, count: int, folder: Path
) -> Iterator[Run]:
    """Run every script in every program, round after round, `count` files a run. Raises PeerFailed."""
    with storescp() as sink:
        modalities = {} if sink is None else {STORESCP: [sink.aet, sink.host, sink.port]}
        for number in range(1, rounds + 1):
            for script in _SCRIPTS:
                if script == "routing" and sink is None:
                    continue
                files = {parts: supply.take(count) for parts in ASSOCIATIONS}
                for program in in_turns(programs, number):
                    if script == "backlog" and not program.is_own:
                        continue
                    print(f"round {number}: {script}, {program.name}", file=sys.stderr)
                    place = folder / f"{number}-{script}-{program.name}"
                    with _started(program, script, place, modalities) as target:
                        yield from _measure(program, target, script, number, files, place / _PIPE)


@contextmanager
def _started(program: Program, script: str, folder: Path, modalities: dict[str, Any]) -> Iterator[Target]:
    folder.mkdir(parents=True)
    options: dict[str, Any] = {"DicomModalities": modalities, "JobsHistorySize": 10}
    text = _SCRIPTS[script]
    if text is not None:
        os.mkfifo(folder / _PIPE)
        (folder / "script.lua").write_text(text % (folder / _PIPE) if "%s" in text else text)
        options["LuaScripts"] = ["script.lua"]
    with start(program.name, program.command, folder, options) as target:
        yield target


def _measure(
    program: Program, target: Target, script: str, number: int, files: dict[int, list[bytes]], pipe: Path
) -> Iterator[Run]:
    def run(name: str, outcome: Outcome) -> Run:
        return run_of(name, program.name, number, outcome, target.rss_anon_bytes())

    if script == "backlog":
        yield run(script, _empty_backlog(target, files[max(ASSOCIATIONS)], pipe))
        return
    for associations in ASSOCIATIONS:
        began_s = time.monotonic()
        outcome = _send(target, files[associations], associations)
        yield run(f"ingest-{associations} {script}", outcome)
        if script == "routing":
            ended_s = _wait(target, _count_instances)
            yield run(f"routed-{associations}", Outcome(count=outcome.count, seconds=ended_s - began_s))
        elif script == "event" and program.is_own:
            ended_s = _wait(target, _lag)
            yield run(f"told-{associations}", Outcome(count=outcome.count, seconds=ended_s - began_s))


def _send(target: Target, files: Sequence[bytes], associations: int) -> Outcome:
    assert target.dicom is not None
    return run_senders(cstores(*target.dicom, target.aet, files, associations))


def _empty_backlog(target: Target, files: Sequence[bytes], pipe: Path) -> Outcome:
    outcome = _send(target, files, max(ASSOCIATIONS))
    began_s = time.monotonic()
    os.close(os.open(pipe, os.O_WRONLY))  # the callback that waits at the other end goes on
    seconds = _wait(target, _lag) - began_s
    return Outcome(count=outcome.count, seconds=seconds, failures=outcome.failures)


def _lag(target: Target) -> int:
    return int(target.get("/lua/status")["Events"]["Lag"])


def _count_instances(target: Target) -> int:
    return target.count_instances()


def _wait(target: Target, count_left: Callable[[Target], int]) -> float:
    """Wait until nothing is left; returns the time. Raises PeerFailed."""
    deadline_s = time.monotonic() + DRAIN_TIMEOUT_S
    while left := count_left(target):
        if time.monotonic() > deadline_s:
            raise PeerFailed(f"{target.name}: {left} are left after {DRAIN_TIMEOUT_S:.0f} s")
        time.sleep(POLL_S)
    return time.monotonic()
