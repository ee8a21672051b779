"""A file of the storage area: what it holds and how it lies there, declared once for events, rows and readers."""

from dataclasses import dataclass
from enum import IntEnum

from events.event import personal
from events.identifiers import BlobId


class Compression(IntEnum):
    """How the bytes of a file are kept; the numbers are stored."""

    NONE = 0
    ZLIB = 1  # as Orthanc keeps them: the size of the content in 8 bytes, little endian, then a zlib stream (RFC 1950)


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """What an event, a row or an instance says of its file. A base of dataclasses, without slots so that it may stand beside others."""

    __slots__ = ()

    blob: BlobId
    size_bytes: int  # of the content; > 0
    md5: bytes = personal()  # of the content, 16 bytes; b"" where hashing is off
    # Of a compressed file alone; absent, so without cost, where the file is its content.
    compression: int = Compression.NONE
    packed_bytes: int = 0
    packed_md5: bytes = personal(default=b"")

    @property
    def disk_bytes(self) -> int:
        """The size of the file as it lies there."""
        return self.packed_bytes if self.compression else self.size_bytes

    @property
    def disk_md5(self) -> bytes:
        """The MD5 of the file as it lies there; b"" where hashing is off."""
        return self.packed_md5 if self.compression else self.md5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFile(StoredFile):
    """These facts and nothing else."""
