"""Compressed files, as Orthanc 1.12.7 keeps them: the size of the content in 8 bytes, little endian, then a zlib stream.

No content at all is a file of no bytes. ISA-L makes and reads the streams: an MR image of 170 kB takes 0.5 ms in, 0.3 ms out, and lets
other threads run meanwhile. What comes out is bounded by what the index says of the file. A stream that ends early, does not fit
its checksum, holds more than that, or has something behind it is damage.
"""

from collections.abc import Callable, Generator, Iterator
from io import SEEK_CUR, SEEK_SET, RawIOBase, UnsupportedOperation
from struct import Struct
from typing import Final, Protocol

from isal import isal_zlib

from events.stored_file import StoredFile
from store.blobs.damage import Damage, Damaged, Kind, raise_damaged
from store.dicom.elements import Buffer
from store.dicom.mapped import LET_GO_BYTES, let_go

LEVEL: Final = 2  # of 0 to 3: two percent smaller than 1 for a tenth more time; figures in docs/performance.md
PIECE_BYTES: Final = 1 << 18  # of content, made or read at once
_READ_BYTES: Final = 1 << 16
_FIRST_BYTES: Final = 1 << 12  # read first: enough for most heads
_SIZE: Final = Struct("<Q")


class Readable(Protocol):
    """An open file, or bytes that can be read like one."""

    def read(self, size: int, /) -> bytes | None: ...


def pack(content: Buffer) -> Generator[bytes]:
    """Yield a file of this content, compressed; the pages of a memory map are let go behind the reader. Close it before a map."""
    if not len(content):
        return
    stream = isal_zlib.compressobj(LEVEL)
    with memoryview(content) as view:
        yield _SIZE.pack(len(view))
        held = 0
        for start in range(0, len(view), PIECE_BYTES):
            yield stream.compress(view[start : start + PIECE_BYTES])
            if start - held >= LET_GO_BYTES:
                let_go(view)
                held = start
    yield stream.flush()


def unpack(packed: Readable, file: StoredFile, end: int | None = None) -> Iterator[bytes]:
    """Yield the content of a file in pieces, the whole of it or up to `end`. Raises Damaged, OSError."""
    wanted = file.size_bytes if end is None else min(end, file.size_bytes)
    is_whole = wanted == file.size_bytes
    if not file.packed_bytes:
        _insist(file, is_so=not file.size_bytes)
        return
    _insist(file, is_so=_read(packed, file, _SIZE.size) == _SIZE.pack(file.size_bytes))
    stream = isal_zlib.decompressobj()
    step = _READ_BYTES if is_whole else _FIRST_BYTES
    while not stream.eof and (wanted or is_whole):
        data = stream.unconsumed_tail or _read(packed, file, step)
        try:
            piece = stream.decompress(data, min(PIECE_BYTES, wanted + is_whole))  # one byte more shows what is too long
        except isal_zlib.error as exc:  # type: ignore[misc]  # its stub takes the class for an instance
            raise _altered(file) from exc
        wanted -= len(piece)
        _insist(file, is_so=wanted >= 0 and (bool(data) or bool(piece) or stream.eof))
        if piece:
            yield piece
        step = _READ_BYTES
    if is_whole:
        _insist(file, is_so=not (wanted or stream.unused_data or _read(packed, file, 1)))


def _read(packed: Readable, file: StoredFile, size: int) -> bytes:
    try:
        return packed.read(size) or b""
    except OSError as exc:
        raise_damaged(exc, file.blob)
        raise


def _insist(file: StoredFile, *, is_so: bool) -> None:
    if not is_so:
        raise _altered(file)


def _altered(file: StoredFile) -> Damaged:
    return Damaged(Damage(file.blob, Kind.ALTERED, file.packed_bytes))


class UnpackedFile(RawIOBase):
    """The content of a compressed file, read as a stream: nothing of it is kept. Going back means reading from the beginning again."""

    def __init__(self, packed: RawIOBase, file: StoredFile, tell: Callable[[Damage], Exception]) -> None:
        """Takes over the open file; `tell` is told of damage, and returns what a reader gets for it."""
        self._packed = packed
        self._file = file
        self._tell = tell
        self._begin()

    def _begin(self) -> None:
        self._damage: Damage | None = None
        self._packed.seek(0)
        self._pieces = unpack(self._packed, self._file)
        self._piece = memoryview(b"")
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Raises DamagedFile, which has been reported then, and ValueError."""
        if whence not in {SEEK_SET, SEEK_CUR}:
            raise UnsupportedOperation("a compressed file is not sought from its end")
        target = offset + (self._position if whence == SEEK_CUR else 0)
        if target < self._position:
            self._begin()
        while self._position < target and self._fill():
            self._take(target - self._position)
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]  # what readers pass
        """Raises DamagedFile, which has been reported then."""
        part = self._take(len(buffer)) if self._fill() else memoryview(b"")
        buffer[: len(part)] = part
        return len(part)

    def _fill(self) -> bool:
        """Have a piece at hand; returns whether there is one."""
        if not self._piece:
            try:
                self._piece = memoryview(next(self._pieces, b""))
            except Damaged as exc:
                self._damage = exc.damage
            if self._damage is not None:  # for good: an end would look like that of the content
                raise self._tell(self._damage)
        return bool(self._piece)

    def _take(self, most: int) -> memoryview:
        part, self._piece = self._piece[:most], self._piece[most:]
        self._position += len(part)
        return part

    def close(self) -> None:
        self._packed.close()
        super().close()
