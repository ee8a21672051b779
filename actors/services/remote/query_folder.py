"""How much room the answers of queries take together, and which of them are removed when it is too much."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

from events.errors import StorageFull

UNFINISHED: Final = ".part"  # ends the name of a file that is being written, or read by the one request it is for


def make_room(folder: Path, limit_bytes: int) -> None:
    """Remove the queries that were used longest ago, as many as it takes. Raises StorageFull if that is not enough.

    Files in use stay, unless their process is gone: then no process holds their lock.
    """
    with os.scandir(folder) as entries:
        files = [
            (not entry.name.endswith(UNFINISHED), status.st_mtime_ns, entry.path, status.st_size)
            for entry in entries
            if (status := _status_of(entry))
        ]
    excess = sum(size for *_, size in files) - limit_bytes
    for is_kept, _, path, size in sorted(files):
        if excess <= 0:
            return
        if size and (is_kept or _is_abandoned(path)):  # one without bytes may not be locked yet
            Path(path).unlink(missing_ok=True)
            excess -= size
    if excess > 0:
        raise StorageFull(
            "the answers of queries take more than MaximumQueryFolderSizeMB; try again when others are done"
        )


def _status_of(entry: "os.DirEntry[str]") -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError):
        return entry.stat()
    return None


def _is_abandoned(path: str) -> bool:
    with contextlib.suppress(FileNotFoundError, BlockingIOError), open(path, "rb") as file:  # noqa: PTH123 # of a DirEntry
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
