"""DCMTK's `storescu` as it comes, one folder an association: what most senders in the field behave like.

Its start and its association count, as they do for the modality that waits; single files are not timed.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tools.bench.senders import Outcome


def find_storescu() -> str | None:
    return shutil.which("storescu")


def write_folders(files: Sequence[bytes], folder: Path, parts: int) -> list[Path]:
    """Write `files` into `parts` folders, in turns; names sort in the order of the files."""
    folders = [folder / str(part) for part in range(parts)]
    for each in folders:
        each.mkdir(parents=True)
    for number, file in enumerate(files):
        (folders[number % parts] / f"{number:06d}.dcm").write_bytes(file)
    return folders


def run_storescu(host: str, port: int, aet: str, folders: Sequence[Path], *, no_delay: bool) -> Outcome:
    """Send each folder with a `storescu` of its own, all at once."""
    environment = os.environ | ({"TCP_NODELAY": "1"} if no_delay else {})
    counts = [sum(1 for _ in folder.iterdir()) for folder in folders]
    command = [find_storescu() or "storescu", "-aec", aet, "-aet", "SINOBENCH", "+sd", host, str(port)]
    started = time.monotonic()
    running = [
        subprocess.Popen([*command, str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment)
        for folder in folders
    ]
    errors = [process.communicate()[1] for process in running]
    seconds = time.monotonic() - started
    failures = [
        error.decode(errors="replace")[-500:]
        for process, error in zip(running, errors, strict=True)
        if process.returncode
    ]
    sent = sum(count for count, process in zip(counts, running, strict=True) if not process.returncode)
    return Outcome(count=sent, seconds=seconds, failures=failures)
