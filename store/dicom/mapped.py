"""Large datasets that lie in files, not in memory, so that a process holds little of them.

Pages that are read or written through a memory map count as memory of the process until the kernel takes them back. A dataset of a
gigabyte that is sent or copied in order needs only some megabytes at a time.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, BinaryIO, Final, Self

from events.errors import StorageFull
from store.dicom.limits import limits

LET_GO_BYTES: Final = 16 << 20  # after so many, those behind are let go
GATHERED_BYTES: Final = 64 << 20  # a larger dataset lies in a file
_PIECE_BYTES: Final = 1 << 20


def let_go(view: memoryview) -> None:
    """Release the pages of a view's memory map from this process's memory; their content stays in the file."""
    if isinstance(view.obj, mmap.mmap):  # ours are all shared: what a private one has changed would be lost
        view.obj.madvise(mmap.MADV_DONTNEED)


class MappedFile(mmap.mmap):
    """A memory map of a file without a name, which can be opened once more as long as the map is there."""

    _descriptor = -1

    @classmethod
    def of(cls, descriptor: int) -> Self:
        mapped = cls(descriptor, 0, access=mmap.ACCESS_READ)
        mapped._descriptor = os.dup(descriptor)
        return mapped

    def reopen(self) -> BinaryIO:
        return Path(f"/proc/self/fd/{self._descriptor}").open("rb")

    def __del__(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def gather(parts: Iterable[bytes | memoryview]) -> memoryview:
    """Return the parts as one: in memory, or, where they are large, in a file without a name. Raises StorageFull."""
    kept = list(parts)
    if sum(map(len, kept)) <= GATHERED_BYTES:
        return memoryview(b"".join(kept))
    with lay_down(kept) as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def lay_down(parts: Iterable[bytes | memoryview]) -> IO[bytes]:
    """Return an open file without a name, in the folder for temporary files, that holds the parts.

    Raises StorageFull, and what `parts` raises.
    """
    try:
        file = tempfile.TemporaryFile(prefix="sinogram-dataset-", dir=limits().folder, buffering=0)  # noqa: SIM115 # returned open
    except OSError as exc:
        raise _no_room(exc) from exc
    try:
        for part in parts:
            _write(file.fileno(), memoryview(part))
    except BaseException:
        file.close()
        raise
    return file


def _write(descriptor: int, part: memoryview) -> None:
    written = held = 0
    try:
        while written < len(part):
            written += os.write(descriptor, part[written : written + _PIECE_BYTES])
            if written - held >= LET_GO_BYTES:
                let_go(part)
                held = written
    except OSError as exc:
        raise _no_room(exc) from exc
    let_go(part)


def _no_room(exc: OSError) -> StorageFull:
    return StorageFull(f"no room for a large dataset in the folder for temporary files: {exc.strerror}")
