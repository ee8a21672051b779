"""Large datasets that lie in files, not in memory, so that a process holds little of them.

Pages that are read or written through a memory map count as memory of the process until the kernel takes them back. A dataset of a
gigabyte that is sent or copied in order needs only some megabytes at a time.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable
from typing import Final

from events.errors import StorageFull
from store.dicom.limits import limits

LET_GO_BYTES: Final = 16 << 20  # after so many, those behind are let go
GATHERED_BYTES: Final = 64 << 20  # a larger dataset lies in a file
_PIECE_BYTES: Final = 1 << 20


def let_go(view: memoryview) -> None:
    """Release the pages of a view's memory map from this process's memory; their content stays in the file."""
    if isinstance(view.obj, mmap.mmap):  # ours are all shared: what a private one has changed would be lost
        view.obj.madvise(mmap.MADV_DONTNEED)


def gather(parts: Iterable[bytes | memoryview]) -> memoryview:
    """Return the parts as one: in memory, or, where they are large, in a file without a name. Raises StorageFull."""
    kept = list(parts)
    if sum(map(len, kept)) <= GATHERED_BYTES:
        return memoryview(b"".join(kept))
    try:
        with tempfile.TemporaryFile(prefix="sinogram-dataset-", dir=limits().folder, buffering=0) as file:
            for part in kept:
                _write(file.fileno(), memoryview(part))
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as exc:
        raise StorageFull(f"no room for a large dataset in the folder for temporary files: {exc.strerror}") from exc


def _write(descriptor: int, part: memoryview) -> None:
    written = held = 0
    while written < len(part):
        written += os.write(descriptor, part[written : written + _PIECE_BYTES])
        if written - held >= LET_GO_BYTES:
            let_go(part)
            held = written
    let_go(part)
