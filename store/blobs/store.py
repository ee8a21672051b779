"""Files of the archive: one per stored instance, written once, under a name that is never used again.

A blob's identifier is 16 bytes: the number of its folder (6), its place in the folder (2) and 8 random ones. A folder
is leased to one process at a time by the index and takes at most `FOLDER_FILES` files. Whatever lies in a leased
folder without an event is left over from a writer that died, so a sweep after a crash reads the leased folders and no
others. A file is written in place and made durable (file, then folder) before its event is appended; until then
nothing refers to it, so it needs no other name first. Not renaming saves one commit of the file system's journal.
"""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from events.identifiers import BlobId, format_blob_id
from store.disk_errors import DiskErrors

logger = logging.getLogger(__name__)

FOLDER_FILES = 4096
DAMAGED = "damaged"  # beside the leased folders: files that a power cut left incomplete
MARK_NAME = "archive"  # the file that tells whose blobs lie beside it
FOLDER_MODE = 0o700  # nobody else's, whatever the umask is
FILE_MODE = 0o600
_AREA = DiskErrors("the storage area")


class BlobStore:
    """Where the blobs of one archive lie."""

    def __init__(self, root: Path) -> None:
        self.root = root / "blobs"

    def owner(self) -> bytes | None:
        """Return the mark of the archive whose files these are, None where there is none."""
        try:
            return (self.root / MARK_NAME).read_bytes() or None
        except FileNotFoundError:
            return None

    def mark(self, archive: bytes) -> None:
        """Mark the files as an archive's, durably. Raises OSError."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with open_private(self.root / MARK_NAME) as file:
            file.write(archive)
            file.flush()
            os.fsync(file.fileno())
        for folder in (self.root, self.root.parent):
            sync_folder(folder)

    def folder(self, number: int) -> Path:
        """Return a leased folder; at most 4,096 lie side by side."""
        return self.root / f"{number >> 12:09x}" / f"{number & 0xFFF:03x}"

    def path(self, blob: BlobId) -> Path:
        return self.folder(folder_number(blob)) / format_blob_id(blob)

    def open(self, blob: BlobId) -> BinaryIO:
        """Open a blob for reading. Raises FileNotFoundError if its instance was deleted meanwhile."""
        return self.path(blob).open("rb")

    def remove(self, blob: BlobId) -> None:
        """Remove a blob; one that is gone already is as good."""
        self.path(blob).unlink(missing_ok=True)

    def sync(self, blob: BlobId) -> None:
        """Make a file and its name durable. Raises OSError, FileNotFoundError if it was removed meanwhile."""
        path = self.path(blob)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(path.parent)
        path.stat()

    def lay_aside(self, blob: BlobId) -> None:
        """Move a damaged file out of the archive, for somebody to look at; nothing, if it is not there."""
        aside = self.root / DAMAGED
        aside.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path(blob).replace(aside / format_blob_id(blob))

    def make_folder(self, number: int, *, sync: bool = True) -> Path:
        """Create a leased folder, durably. Raises StorageFull, StorageFailed, FileExistsError."""
        path = self.folder(number)
        with _AREA:
            for above in (self.root, path.parent):
                above.mkdir(mode=FOLDER_MODE, exist_ok=True)
            try:
                path.mkdir(mode=FOLDER_MODE)
            except FileExistsError:
                is_new = False
            else:
                is_new = True
                if sync:
                    for parent in (path.parent, self.root, self.root.parent):
                        sync_folder(parent)
        if not is_new:
            raise FileExistsError(path)
        return path

    def sync_folder(self, number: int) -> None:
        """Make durable which files a folder holds, and which no longer; one that is gone is as good."""
        with contextlib.suppress(FileNotFoundError):
            sync_folder(self.folder(number))

    def list_folder(self, number: int) -> Iterator[tuple[str, BlobId | None]]:
        """Iterate over the names in a folder, each with its blob's identifier (None for a stranger)."""
        try:
            names = os.listdir(self.folder(number))  # noqa: PTH208  # names are all that is wanted
        except FileNotFoundError:
            return
        for name in names:
            yield name, parse_blob_name(name)


def folder_number(blob: BlobId) -> int:
    return int.from_bytes(blob[:6], "big")


def make_blob_id(folder: int, place: int) -> BlobId:
    return BlobId(folder.to_bytes(6, "big") + place.to_bytes(2, "big") + secrets.token_bytes(8))


def parse_blob_name(name: str) -> BlobId | None:
    digits = name.replace("-", "")
    try:
        return BlobId(bytes.fromhex(digits)) if len(name) == 36 and len(digits) == 32 else None
    except ValueError:
        return None


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
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
        self.is_name_durable = False  # set by whoever has synced the folder since
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
                if sync:
                    os.fsync(self._fd)
                    if not self.is_name_durable:
                        sync_folder(self.path.parent)
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
    """Create or empty a file that nobody else may read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE), "wb")
