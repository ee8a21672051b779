"""Files that are made of the archive's content and can be made again: beside the index, for all processes, without events.

A file belongs to a series and to a digest of all that it was made of, which names it; so what has changed is never found. One that is cut short, or
was lost by a power cut, is as good as none. Of more than `limit_bytes` those that were used longest ago go. Those of a series that is gone, or has lost an
instance, go with the files of its instances, for they say what these said.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import Struct
from typing import Final

from isal import isal_zlib

from events.identifiers import Ref
from store.disk_errors import explain

METADATA: Final = "dicomweb"  # the folder of metadata, below that of the index
MOST_BYTES: Final = 1 << 30
CHECK_BYTES: Final = 16 << 20  # written between two looks at how large the folder is
_HEADER: Final = Struct("<4sIQ")  # mark, CRC-32 and size of what follows
_MARK: Final = b"SDF1"
_UNFINISHED: Final = ".part"


class DerivedFiles:
    """One folder of them. Thread-safe; processes may share it. What cannot be written is not kept, and that is no error."""

    def __init__(self, folder: Path, limit_bytes: int = MOST_BYTES, *, read_only: bool = False) -> None:
        self._folder = folder
        self._read_only = read_only
        self._limit_bytes = limit_bytes
        self._unseen_bytes = CHECK_BYTES  # written since the last look: the first write looks

    def read(self, series: Ref, digest: bytes) -> bytes | None:
        """Return what was written of a series and this digest, None where there is nothing of it."""
        path = self._path(series, digest)
        try:
            found = path.read_bytes()
            if not self._read_only:
                os.utime(path)
        except OSError:
            return None
        if len(found) < _HEADER.size:
            return None
        mark, checksum, size = _HEADER.unpack_from(found)
        content = found[_HEADER.size :]
        is_whole = mark == _MARK and size == len(content) and checksum == isal_zlib.crc32(content)
        return content if is_whole else None

    def write(self, series: Ref, digest: bytes, content: bytes) -> str:
        """Keep content; returns why that was not possible, "" if it was."""
        if self._read_only:
            return "the archive is not to be changed"
        path = self._path(series, digest)
        unfinished = path.with_name(f"{path.name}-{secrets.token_hex(4)}{_UNFINISHED}")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(
                os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
            ) as file:
                file.write(_HEADER.pack(_MARK, isal_zlib.crc32(content), len(content)) + content)
            unfinished.rename(path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            return explain(exc)
        self._unseen_bytes += len(content)
        if self._unseen_bytes >= CHECK_BYTES:
            self._unseen_bytes = 0
            self._make_room()
        return ""

    def forget_gone(self, is_there: Callable[[Ref], bool]) -> None:
        """Remove the files of series that are not there as they were."""
        known: dict[int, bool] = {}
        for entry in self._entries():
            number, _, _ = entry.name.partition("-")
            with contextlib.suppress(ValueError, OSError):
                ref = int(number, 16)
                if ref not in known:
                    known[ref] = is_there(Ref(ref))
                if not known[ref]:
                    Path(entry.path).unlink(missing_ok=True)

    def _make_room(self) -> None:
        files = []
        for entry in self._entries():
            with contextlib.suppress(OSError):
                status = entry.stat()
                files.append((status.st_mtime_ns, entry.path, status.st_size))
        excess = sum(size for *_, size in files) - self._limit_bytes
        for _, path, size in sorted(files):
            if excess <= 0:
                return
            with contextlib.suppress(OSError):
                Path(path).unlink(missing_ok=True)
                excess -= size

    def _entries(self) -> Iterator["os.DirEntry[str]"]:
        try:
            with os.scandir(self._folder) as entries:
                yield from entries
        except OSError:  # no folder yet
            return

    def _path(self, series: Ref, digest: bytes) -> Path:
        return self._folder / f"{series:x}-{digest.hex()}"
