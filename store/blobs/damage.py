"""Kinds of damage to the file of an instance, and how they are found. A compressed file is looked at as it lies there.

The size is compared whenever a file is opened: one fstat. The digest is computed when a whole file up to `DIGEST_BYTES`
is read, as long as nothing better is known (`store.blobs.remembered`): 170 kB took 0.29 ms of processor time the first time, 0.04 ms from
then on. Larger files are checked by `sinogram fsck`.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from io import FileIO
from pathlib import Path
from typing import Any

from events.identifiers import BlobId
from events.stored_file import StoredFile

DIGEST_BYTES = 16 << 20


class Kind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    EMPTIED = "emptied"
    TRUNCATED = "truncated"
    OVERLONG = "overlong"
    ALTERED = "altered"  # its size is right, its digest is not
    NO_FILE = "no-file"  # a folder, a device or the like stands in its place
    UNREADABLE = "unreadable"  # the disk or the rights do not let it be read


@dataclass(frozen=True, slots=True)
class Damage:
    """What was found."""

    blob: BlobId
    kind: Kind
    found_bytes: int | None = None


class Damaged(Exception):  # passes from where it is found to where it is told
    """A file is not what was stored."""

    def __init__(self, damage: Damage) -> None:
        super().__init__(damage.kind)
        self.damage = damage


# This process or machine is short of something: these errors say nothing about the file.
_SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_NO_FILE = frozenset({errno.ENXIO, errno.ELOOP, errno.ENODEV, errno.EISDIR})


def open_file(path: Path, file: StoredFile) -> FileIO:
    """Open a file of the right size for reading. Raises Damaged; OSError where nothing can be said of it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in its place would be waited for
        opened = FileIO(fd)
    except OSError as exc:
        raise_damaged(exc, file.blob)
        raise
    try:
        status = os.fstat(fd)
        kind = _judge(status, file.disk_bytes)
    except BaseException:
        opened.close()
        raise
    if kind is not None:
        opened.close()
        raise Damaged(Damage(file.blob, kind, None if kind is Kind.NO_FILE else status.st_size))
    return opened


def raise_damaged(exc: OSError, blob: BlobId) -> None:
    """Raise Damaged unless the error says nothing of the file."""
    if exc.errno in _SHORTAGE:
        return
    if exc.errno in _GONE:
        raise Damaged(Damage(blob, Kind.MISSING)) from exc
    raise Damaged(Damage(blob, Kind.NO_FILE if exc.errno in _NO_FILE else Kind.UNREADABLE)) from exc


def _judge(status: os.stat_result, size_bytes: int) -> Kind | None:
    if not stat.S_ISREG(status.st_mode):
        return Kind.NO_FILE
    if status.st_size == size_bytes:
        return None
    if status.st_size > size_bytes:
        return Kind.OVERLONG
    return Kind.TRUNCATED if status.st_size else Kind.EMPTIED


def check(path: Path, file: StoredFile, *, digest: bool) -> Damage | None:
    """Return what is wrong with a file, looked at from end to end with `digest`. Raises OSError, as `open_file`."""
    try:
        with open_file(path, file) as opened:
            if digest and file.disk_md5:
                check_digest(opened, file)
    except Damaged as exc:
        return exc.damage
    return None


def check_digest(opened: FileIO, file: StoredFile) -> None:
    """Read a file from its beginning to its end. Raises Damaged, OSError."""
    try:
        found = hashlib.file_digest(opened, _md5).digest()
    except OSError as exc:
        raise_damaged(exc, file.blob)
        raise
    if found != file.disk_md5:
        raise Damaged(Damage(file.blob, Kind.ALTERED, file.disk_bytes))


def check_bytes(data: bytes, file: StoredFile) -> None:
    """Compare what was read of a file as it lies there. Raises Damaged."""
    if len(data) != file.disk_bytes:  # it was cut between two looks
        raise Damaged(Damage(file.blob, Kind.TRUNCATED, len(data)))
    if file.disk_md5 and hashlib.md5(data, usedforsecurity=False).digest() != file.disk_md5:
        raise Damaged(Damage(file.blob, Kind.ALTERED, len(data)))


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
