"""A blob while it is written: its name, its bytes, and when both are durable. What the names mean: `store.blobs.store`."""

import contextlib
import errno
import logging
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from events.identifiers import BlobId
from store.disk_errors import DiskErrors

logger = logging.getLogger(__name__)

NOWHERE = 0  # instead of the number of a folder, which is never 0: in the names of files that are not kept
FILE_MODE = 0o600  # for our user alone, whatever the umask is
_AREA = DiskErrors("the storage area")


def folder_number(blob: BlobId) -> int:
    """Return the number of the leased folder that a blob lies in."""
    return int.from_bytes(blob[:6], "big")


def is_kept(blob: BlobId) -> bool:
    """Tell whether there is, or was, a file of that name; without StoreDicom there is none."""
    return folder_number(blob) != NOWHERE


def make_blob_id(folder: int, place: int) -> BlobId:
    """Draw a new identifier for a place in a leased folder."""
    return BlobId(folder.to_bytes(6, "big") + place.to_bytes(2, "big") + secrets.token_bytes(8))


def parse_blob_name(name: str) -> BlobId | None:
    """Return the identifier in a file's name, None if the name is no blob's."""
    digits = name.replace("-", "")
    try:
        return BlobId(bytes.fromhex(digits)) if len(name) == 36 and len(digits) == 32 else None
    except ValueError:
        return None


def sync_path(path: Path) -> None:
    """Make a file's bytes durable, or the names in a folder. Raises OSError. A pipe is not waited for."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class BlobWriter:
    """One file being written. Not thread-safe."""

    def __init__(self, path: Path, blob: BlobId) -> None:
        """Create the file. Raises StorageFull, StorageFailed."""
        self.blob = blob
        self.path = path
        self.size_bytes = 0
        self.is_name_durable = False  # set by the thread that has synced the folder since
        with _AREA:
            self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes. Raises StorageFull, StorageFailed."""
        view = memoryview(data)
        with _AREA:
            while view.nbytes:
                written = os.write(self._fd, view)
                self.size_bytes += written
                view = view[written:]

    def truncate(self, size_bytes: int) -> None:
        """Leave out what lies beyond a size; nothing is written afterwards. Raises StorageFailed."""
        with _AREA:
            os.ftruncate(self._fd, size_bytes)
        self.size_bytes = size_bytes

    @property
    def folder(self) -> int:
        """The number of the folder it lies in."""
        return folder_number(self.blob)

    def fileno(self) -> int:
        return self._fd

    def commit(self, *, sync: bool) -> None:
        """Make the file and its name durable and close it. Raises StorageFull, StorageFailed."""
        try:
            with _AREA:
                if (
                    self._fd >= 0 and not os.fstat(self._fd).st_nlink
                ):  # removed by somebody since it was made ready: it would be lost
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                if sync:
                    os.fsync(self._fd)
                    if not self.is_name_durable:
                        sync_path(self.path.parent)
        finally:
            self._close()

    def discard(self) -> bool:
        """Close and remove the file; tells whether it is gone: one that a failing disk keeps is left to a sweep."""
        self._close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError as exc:
            logger.error("blobs.cannot-discard error=%s", exc.strerror)
            return False
        return True

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # what a network file system could not write; the sync has told, or will
                os.close(fd)


def open_private(path: Path) -> BinaryIO:
    """Create or empty a file that only our user may read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE), "wb")
