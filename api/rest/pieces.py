"""Files that a form brings in pieces: requests with `X-File-Name` and `X-File-Size` carry the next piece of that file each.

Observed on Orthanc 1.12.7: pieces are put together in the order in which they come, and the file is stored with the piece that makes
it whole; the requests before are answered alike. Unlike there, a file is told apart by its size and sender, too, and what goes
beyond its size is an error. Processes share a folder, for each request may come to another.

Limits: 100 files at a time, `MaximumRequestBodySizeMB` for one; one of which nothing has come for an hour is given up.
"""

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from api.errors import BodyTooLarge
from api.rest.settings import RestSettings
from events.errors import Busy, InvalidRequest, StorageFailed
from store.disk_errors import DiskErrors

MAXIMUM_FILES: Final = 100
GIVEN_UP_S: Final = 3600.0
_MIB: Final = 1 << 20
_DIGITS: Final = 18  # of a size
_DISK: Final = DiskErrors("the temporary directory")


@dataclass(frozen=True, slots=True)
class PiecedFile:
    """A file that comes in pieces."""

    key: str  # what tells it from all others
    size_bytes: int


def parse_pieced(environ: Mapping[str, Any], sender: str) -> PiecedFile | None:
    """Return the file of which a request brings a piece, None if it brings whole ones. Raises InvalidRequest."""
    name, size = environ.get("HTTP_X_FILE_NAME"), environ.get("HTTP_X_FILE_SIZE")
    if name is None and size is None:
        return None
    if name is None or size is None:
        raise InvalidRequest(
            f"HTTP header X-File-{'Size' if size is None else 'Name'} is missing: X-File-Name and X-File-Size come together"
        )
    size = size.strip()
    if not (size.isascii() and size.isdigit() and len(size) <= _DIGITS):
        raise InvalidRequest("HTTP header X-File-Size is not a number of bytes")
    text = f"{sender}\0{name}\0{size}".encode("utf-8", "surrogateescape")
    return PiecedFile(hashlib.sha256(text).hexdigest(), int(size))


class Pieces:
    """The files that are on their way. Thread-safe, and safe beside other processes."""

    def __init__(self, settings: RestSettings) -> None:
        self._folder = settings.temporary_directory / f"sinogram-pieces-{os.geteuid()}-{settings.http_port}"
        self._limit = settings.maximum_request_body_size_mb * _MIB

    def add(self, file: PiecedFile, chunks: Iterator[bytes]) -> IO[bytes] | None:
        """Add the next piece; returns the file once it is whole, None before.

        Raises InvalidRequest, and forgets the file, where its pieces are more than its size; BodyTooLarge; Busy.
        """
        if self._limit and file.size_bytes > self._limit:
            raise BodyTooLarge
        with _DISK:
            self._make_room(file)
            held = self._open(self._folder / file.key)
        try:
            is_whole = self._append(held, file, chunks)
        except BaseException:  # a piece was added in part: the client cannot know what to send next
            self._forget(file)
            held.close()
            raise
        if is_whole:
            return held
        held.close()
        return None

    def _append(self, held: IO[bytes], file: PiecedFile, chunks: Iterator[bytes]) -> bool:
        for chunk in chunks:
            with _DISK:
                held.write(chunk)
                held.flush()
            if held.tell() > file.size_bytes:
                self._forget(file)
                raise InvalidRequest(
                    f"The pieces are more than the {file.size_bytes} bytes of X-File-Size: begin again"
                )
        if held.tell() < file.size_bytes:
            return False
        self._forget(file)
        held.seek(0)
        return True

    def _forget(self, file: PiecedFile) -> None:
        with _DISK, suppress(FileNotFoundError):
            (self._folder / file.key).unlink()

    def _open(self, path: Path) -> IO[bytes]:
        """Open a file for its next piece; another request with a piece of it waits for its turn."""
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                held = os.fdopen(fd, "r+b")
                held.seek(0, os.SEEK_END)
                return held
            os.close(fd)  # another request has completed it

    def _make_room(self, file: PiecedFile) -> None:
        with suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        found = self._folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():  # in a folder where every user may write
            raise StorageFailed("The folder for files in pieces belongs to another user: remove it")
        count = 0
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > GIVEN_UP_S:
                    path.unlink()
                else:
                    count += path.name != file.key
        if count >= MAXIMUM_FILES:
            raise Busy(f"{MAXIMUM_FILES} files are on their way in pieces already")
