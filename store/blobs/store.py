"""Files of the archive: one per stored instance, written once, under a name that is never used again.

A blob's identifier is 16 bytes: the number of its folder (6), its place in the folder (2) and 8 random ones. A folder
is leased to one process at a time by the index and takes at most `FOLDER_FILES` files. Whatever lies in a leased
folder without an event is left over from a writer that died, so a sweep after a crash reads the leased folders and no
others. A file is written in place and made durable (file, then folder) before its event is appended; until then
nothing refers to it, so it needs no other name first. Not renaming saves one commit of the file system's journal.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from events.errors import StorageFull
from events.identifiers import BlobId, format_blob_id

FOLDER_FILES = 4096
DAMAGED = "damaged"  # beside the leased folders: files that a power cut left incomplete
MARK_NAME = "archive"  # the file that tells whose blobs lie beside it
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / MARK_NAME).open("wb") as file:
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
        aside.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.path(blob).replace(aside / format_blob_id(blob))

    def make_folder(self, number: int, *, sync: bool = True) -> Path:
        """Create a leased folder, durably. Raises StorageFull, FileExistsError."""
        path = self.folder(number)
        try:
            path.mkdir(parents=True)
            if sync:
                for parent in (path.parent, self.root, self.root.parent):
                    sync_folder(parent)
        except OSError as exc:
            raise _translated(exc) from exc
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
        """Create the file. Raises StorageFull."""
        self.blob = blob
        self.path = path
        self.size_bytes = 0
        self.is_name_durable = False  # set by whoever has synced the folder since
        try:
            self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
        except OSError as exc:
            raise _translated(exc) from exc

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append bytes. Raises StorageFull."""
        view = memoryview(data)
        try:
            while view.nbytes:
                written = os.write(self._fd, view)
                self.size_bytes += written
                view = view[written:]
        except OSError as exc:
            raise _translated(exc) from exc

    @property
    def folder(self) -> int:
        """The number of the folder it lies in."""
        return folder_number(self.blob)

    def fileno(self) -> int:
        return self._fd

    def commit(self, *, sync: bool) -> None:
        """Make the file and its name durable and close it. Raises StorageFull."""
        try:
            if sync:
                os.fsync(self._fd)
                if not self.is_name_durable:
                    sync_folder(self.path.parent)
        except OSError as exc:
            raise _translated(exc) from exc
        finally:
            self._close()

    def discard(self) -> None:
        """Close and remove the file."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _translated(exc: OSError) -> Exception:
    return StorageFull("the storage area is full") if exc.errno in _FULL else exc
