"""`bench recycle`: what it costs that each patient who comes has an older one recycled, beside the same without a limit.

    rest-1, dicom-4                  one instance a patient, no limit
    … recycling                      the same with MaximumPatientCount, which is reached before the first one is sent

Each round has servers of its own with fresh archives, and ends once a server does no more work: what it removes later counts.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tools.bench.cstore_load import cstores
from tools.bench.http_load import uploads
from tools.bench.ingest import Supply, in_turns
from tools.bench.results import Run, run_of
from tools.bench.scripting import Program
from tools.bench.senders import Outcome, run_senders
from tools.bench.targets import Target, start

IDLE_S: Final = 1.0  # so long with less than 2 % of a processor: its work is done
IDLE_TIMEOUT_S: Final = 120.0
_IDLE_SHARE: Final = 0.02

Send = Callable[[Target, Sequence[bytes]], Outcome]


def _rest(target: Target, files: Sequence[bytes]) -> Outcome:
    return run_senders(uploads(target.client, files, 1))


def _dicom(target: Target, files: Sequence[bytes]) -> Outcome:
    assert target.dicom is not None
    return run_senders(cstores(*target.dicom, target.aet, files, 4))


WAYS: Final[dict[str, Send]] = {"rest-1": _rest, "dicom-4": _dicom}


def recycle(
    programs: Sequence[Program], supply: Supply, *, rounds: int, count: int, kept: int, folder: Path
) -> list[Run]:
    """Send `count` instances of as many patients in each way, with a limit of `kept` patients and without. Raises PeerFailed."""
    runs = []
    for number in range(1, rounds + 1):
        files = {name: supply.take(count) for name in WAYS}
        for limit in (0, kept):
            first = supply.take(kept)
            for program in in_turns(programs, number):
                print(f"round {number}: {program.name}, {limit or 'any number of'} patients", file=sys.stderr)
                place = folder / f"{number}-{limit}-{program.name}"
                with start(program.name, program.command, place, {"MaximumPatientCount": limit}) as target:
                    _rest(target, first)
                    runs += [_run(name, target, number, files[name], limit) for name in WAYS]
    return runs


def _run(name: str, target: Target, number: int, files: Sequence[bytes], limit: int) -> Run:
    _wait_until_idle(target)
    before_s, patients = target.processor_s() or 0, _count_patients(target)
    outcome = WAYS[name](target, files)
    _wait_until_idle(target)
    after_s = target.processor_s() or 0
    run = run_of(f"{name}{' recycling' if limit else ''}", target.name, number, outcome, target.rss_anon_bytes())
    run = replace(run, processor_ms=round((after_s - before_s) * 1000 / max(1, outcome.count), 3))
    expected, found = limit or patients + len(files), _count_patients(target)
    if found == expected and run.count == len(files):
        return run
    text = f"{len(files)} sent, {run.count} acknowledged, {found} patients instead of {expected}"
    return replace(run, failures=[*run.failures, text])


def _count_patients(target: Target) -> int:
    return int(target.get("/statistics")["CountPatients"])


def _wait_until_idle(target: Target) -> None:
    end = time.monotonic() + IDLE_TIMEOUT_S
    before = target.processor_s() or 0.0
    while time.monotonic() < end:
        time.sleep(IDLE_S)
        now = target.processor_s() or 0.0
        if now - before < IDLE_S * _IDLE_SHARE:
            return
        before = now
