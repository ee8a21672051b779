"""The ZIP format (PKWARE APPNOTE 6.3), written from front to back.

A member whose compressed size is known has it in its header, as Orthanc writes all of them; a large one has it behind its data (bit 3 of the
flags). Forms of ZIP64 are used where a size or a place needs them, and nowhere else. The directory at the end grows by some 100 bytes a
member, so it waits in a file once it is large.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from struct import Struct, pack
from tempfile import SpooledTemporaryFile
from typing import Final

from store.disk_errors import DiskErrors

COMMENT: Final = b"Created by Sinogram"
HEADER_BYTES: Final = 30

_LOCAL: Final = Struct("<IHHHHHIIIHH")
_CENTRAL: Final = Struct("<IHHHHHHIIIHHHHHII")
_END: Final = Struct("<IHHHHIIH")
_END64: Final = Struct("<IQHHIIQQQQ")
_LOCATOR: Final = Struct("<IIQI")
_DEFLATED: Final = 8
_VERSION, _VERSION64 = 20, 45
_SIZES_BEHIND, _UTF8 = 1 << 3, 1 << 11
_MAX32, _MAX16 = 0xFFFFFFFF, 0xFFFF
# What does not shrink grows by a few bytes, so the form is decided by less than what fits.
_LARGE_BYTES: Final = _MAX32 - (1 << 24)
_MEMORY_BYTES: Final = 2 << 20
_COPIED_BYTES: Final = 1 << 18
_SCRATCH: Final = DiskErrors("TemporaryDirectory")


@dataclass(slots=True)
class _Member:
    """The member that is being written."""

    name: bytes
    flags: int
    offset: int
    is_large: bool


class ZipStream:
    """Makes the bytes of one archive, in order; whoever calls it sends them."""

    def __init__(self, at: datetime, scratch: Path) -> None:
        """`at` is the local time that all members bear; `scratch` a folder for a large directory."""
        self.written_bytes = 0
        self.members = 0
        self._date = (max(at.year, 1980) - 1980) << 9 | at.month << 5 | at.day
        self._time = at.hour << 11 | at.minute << 5 | at.second // 2
        self._directory = SpooledTemporaryFile(_MEMORY_BYTES, dir=str(scratch))  # noqa: SIM115  # closed with the stream
        self._member = _Member(b"", 0, 0, is_large=False)

    def whole(self, name: str, crc: int, size_bytes: int, packed: bytes) -> tuple[bytes, bytes]:
        """Return a small member: its header, and its compressed content."""
        header = self._begin(name, crc, size_bytes, len(packed))
        self._end(crc, size_bytes, len(packed))
        self.written_bytes += len(packed)
        return header, packed

    def begin(self, name: str, size_bytes: int) -> bytes:
        """Return the header of a member whose pieces follow."""
        return self._begin(name, 0, size_bytes, None)

    def piece(self, packed: bytes) -> bytes:
        """Count a piece of the member that has begun."""
        self.written_bytes += len(packed)
        return packed

    def end(self, crc: int, size_bytes: int) -> bytes:
        """Return what follows the last piece."""
        member = self._member
        start = member.offset + HEADER_BYTES + len(member.name) + (20 if member.is_large else 0)
        packed_bytes = self.written_bytes - start
        self._end(crc, size_bytes, packed_bytes)
        form = "<IIQQ" if member.is_large else "<IIII"
        return self._count(pack(form, 0x08074B50, crc, packed_bytes, size_bytes))

    def finish(self) -> Iterator[bytes]:
        """Iterate over the directory, which ends the archive. Raises StorageFull, StorageFailed."""
        start, size_bytes = self.written_bytes, self._directory.tell()
        with _SCRATCH:
            self._directory.seek(0)
            while copied := self._directory.read(_COPIED_BYTES):
                yield self._count(copied)
        end = b""
        if self.members >= _MAX16 or start >= _MAX32 or size_bytes >= _MAX32:
            count = self.members
            end = _END64.pack(0x06064B50, 44, _VERSION64, _VERSION64, 0, 0, count, count, size_bytes, start)
            end += _LOCATOR.pack(0x07064B50, 0, self.written_bytes, 1)
        count, shown_bytes, place = min(self.members, _MAX16), min(size_bytes, _MAX32), min(start, _MAX32)
        yield self._count(end + _END.pack(0x06054B50, 0, 0, count, count, shown_bytes, place, len(COMMENT)) + COMMENT)

    def close(self) -> None:
        """Let go of what is kept for the directory."""
        self._directory.close()

    def _begin(self, name: str, crc: int, size_bytes: int, packed_bytes: int | None) -> bytes:
        raw = name.encode()
        flags = (0 if name.isascii() else _UTF8) | (_SIZES_BEHIND if packed_bytes is None else 0)
        is_large = packed_bytes is None and size_bytes >= _LARGE_BYTES
        self._member = _Member(raw, flags, self.written_bytes, is_large)
        sizes = (_MAX32, _MAX32) if is_large else (packed_bytes or 0, 0 if packed_bytes is None else size_bytes)
        extra = pack("<HHQQ", 1, 16, 0, 0) if is_large else b""
        version = _VERSION64 if is_large else _VERSION
        when = self._time, self._date
        head = _LOCAL.pack(0x04034B50, version, flags, _DEFLATED, *when, crc, *sizes, len(raw), len(extra))
        return self._count(head + raw + extra)

    def _end(self, crc: int, size_bytes: int, packed_bytes: int) -> None:
        """Put a member into the directory. Raises StorageFull, StorageFailed."""
        member = self._member
        values = (size_bytes, packed_bytes, member.offset)
        wide = b"".join(pack("<Q", value) for value in values if value >= _MAX32)
        extra = pack("<HH", 1, len(wide)) + wide if wide else b""
        size, packed, offset = (min(value, _MAX32) for value in values)
        version = _VERSION64 if wide or member.is_large else _VERSION
        head = (0x02014B50, version, version, member.flags, _DEFLATED, self._time, self._date, crc, packed, size)
        with _SCRATCH:
            self._directory.write(
                _CENTRAL.pack(*head, len(member.name), len(extra), 0, 0, 0, 0, offset) + member.name + extra
            )
        self.members += 1

    def _count(self, made: bytes) -> bytes:
        self.written_bytes += len(made)
        return made
