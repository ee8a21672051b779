"""Small file systems to fill: a tmpfs of its own for each test, where the system lets us mount one."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


@cache
def can_mount() -> bool:
    """Tell whether a tmpfs can be mounted: that needs root, and a container may forbid it even then."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
        if mounted.returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


@contextmanager
def tmpfs(path: Path, options: str) -> Iterator[Path]:
    """An empty file system at `path`, gone afterwards."""
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)  # whatever still holds a file of it


def fill(folder: Path, left_bytes: int = 0) -> Path:
    """Take all space but so much with one file, and return it."""
    path = folder / "filler"
    stat = os.statvfs(folder)
    missing = stat.f_bavail * stat.f_frsize - left_bytes
    if missing > 0:
        with path.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), missing)
    return path
