"""Deflated datasets, inflated in bounded memory (PS3.5 §A.5: raw deflate, no header).

A small one becomes bytes. A larger one goes to a file without a name, as it comes out of the inflater, and is read through a
memory map: who looks at its headers has those pages in memory and no others. The file vanishes with the map. A process has
two such files at a time, of at most `Limits.inflated_bytes` each.
"""

import mmap
import threading
import zlib
from collections.abc import Iterator
from itertools import chain
from typing import Final, Self

from events.errors import Busy, InvalidDicom
from store.dicom.limits import INFLATED_AT_ONCE, LARGE_INFLATED_BYTES, WAIT_S, BeyondLimits, limits
from store.dicom.mapped import LET_GO_BYTES, lay_down, let_go

_INPUT_BYTES: Final = 1 << 14  # what deflate makes at most 16 MB of
_OUTPUT_BYTES: Final = 1 << 18
_room: Final = threading.BoundedSemaphore(INFLATED_AT_ONCE)


class InflatedFile(mmap.mmap):
    """A memory map of an inflated dataset; its place among those of the process is freed with its last user."""

    _has_room = False

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """Map a file of the process's budget; the map gives its place back."""
        mapped = cls(descriptor, 0, access=mmap.ACCESS_READ)
        mapped._has_room = True
        return mapped

    def __del__(self) -> None:
        if self._has_room:
            self._has_room = False
            _room.release()


def inflate(file: bytes | memoryview | mmap.mmap, start: int) -> bytes | mmap.mmap:
    """Inflate the dataset that begins at `start`; what follows the compressed stream is padding.

    Raises: InvalidDicom, if it is none, is cut short or beyond the limit; Busy, if others do not finish; StorageFull.
    """
    parts = _inflated_parts(file, start)
    head, size = [], 0
    for part in parts:
        head.append(part)
        size += len(part)
        if size > LARGE_INFLATED_BYTES:
            break
    else:
        return b"".join(head)
    if not _room.acquire(timeout=WAIT_S):
        raise Busy(f"a large deflated dataset: others have been at work for {WAIT_S:.0f} s, try again later")
    try:
        with lay_down(chain(head, parts)) as whole:
            return InflatedFile.of(whole.fileno())
    except BaseException:
        _room.release()
        raise


def deflate(data: bytes | memoryview | mmap.mmap, start: int, end: int) -> bytes:
    """Deflate the dataset that lies in this part of a buffer: raw, and of even length."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    view, parts, held = memoryview(data), [], start
    for place in range(start, end, _OUTPUT_BYTES):
        parts.append(stream.compress(view[place : min(place + _OUTPUT_BYTES, end)]))
        if place - held >= LET_GO_BYTES:
            let_go(view)
            held = place
    packed = b"".join([*parts, stream.flush()])
    return packed + bytes(len(packed) & 1)


def _inflated_parts(file: bytes | memoryview | mmap.mmap, start: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    limit = limits().inflated_bytes
    size, position = 0, start
    try:
        while not stream.eof:
            pending = stream.unconsumed_tail
            if not pending:
                pending = bytes(file[position : position + _INPUT_BYTES])
                position += len(pending)
            part = stream.decompress(pending, _OUTPUT_BYTES)
            if not part and not stream.eof and position >= len(file) and not stream.unconsumed_tail:
                raise InvalidDicom("the deflated dataset is cut short")
            size += len(part)
            if size > limit:
                raise BeyondLimits(
                    f"the deflated dataset has more than {limit >> 20} MB; MaximumInflatedSizeMB sets the limit"
                )
            if part:
                yield part
    except zlib.error as exc:
        raise InvalidDicom("the dataset cannot be inflated") from exc
