"""`bench replay`: how fast `sinogram replay` rebuilds an archive, with and without comparing it with the live one."""

import subprocess
import sys
import time
from pathlib import Path

from store.views.snapshot import Snapshot
from tools.bench.ingest import preload
from tools.bench.results import Run, run_of
from tools.bench.samples import Samples
from tools.bench.senders import Outcome
from tools.bench.targets import OWN_COMMAND, OWN_NAME, start
from tools.replay import open_for_reading


def make_archive(folder: Path, samples: Samples, count: int) -> Path:
    """Have a server of our own store `count` instances and stop; returns its data folder."""
    with start(OWN_NAME, OWN_COMMAND, folder) as target:
        failures = preload([target], samples, count)[0].failures
    if failures:
        print("\n".join(failures), file=sys.stderr)
    return folder / "data"


def replay(data: Path, *, rounds: int) -> list[Run]:
    """Replay an archive that no server has open; a rate is instances stored a second, Python's start included."""
    with open_for_reading(data) as env, env.begin() as txn:
        count = Snapshot(txn, env.tables).statistics().instances
    runs = []
    for number in range(1, rounds + 1):
        for name, flags in (("replay", ()), ("replay --verify", ("--verify",))):
            command = (sys.executable, "-m", "sinogram", "replay", "--data", str(data), *flags)
            started = time.monotonic()
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
            seconds = time.monotonic() - started
            print(done.stdout.strip(), file=sys.stderr)
            failures = [f"exit status {done.returncode}: {done.stdout[-500:]}"] if done.returncode else []
            runs.append(run_of(name, OWN_NAME, number, Outcome(count, seconds, failures=failures)))
    return runs
