"""The headers of a JPEG XL codestream (ISO/IEC 18181-1 §D), and the boxes that it may lie in (18181-2 §9).

Where a bare codestream ends is known to a decoder alone; the library takes one that is cut for an error. Boxes say where they end.
"""

from collections.abc import Iterator
from struct import error, unpack_from
from typing import Final

from store.dicom.pixels.codestream import Codestream, Coding, Colour
from store.dicom.pixels.description import UndecodablePixels

_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a"
_HEADER_BYTES: Final = 64  # more than all that is read of a codestream
_SIZES: Final = ((1, 9), (1, 13), (1, 18), (1, 30))  # of U32: what is added, and how many bits follow
_DEPTHS: Final = ((8, 0), (10, 0), (12, 0), (1, 6))
_COUNTS: Final = ((0, 0), (1, 0), (2, 4), (1, 12))
_ENUM: Final = ((0, 0), (1, 0), (2, 4), (18, 6))
_RATIOS: Final = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}  # of columns to rows
_SAMPLES: Final = {0: 3, 1: 1}  # colour space: RGB, gray


def read_jpeg_xl(frame: bytes) -> Codestream:
    """Read the headers of a frame. Raises UndecodablePixels."""
    try:
        head = frame if frame.startswith(_CODESTREAM) else _from_boxes(frame)
    except error as exc:
        raise UndecodablePixels("A frame of JPEG XL is cut short inside a box") from exc
    if not head.startswith(_CODESTREAM):
        raise UndecodablePixels("A frame does not begin as JPEG XL does")
    return _read(_Bits(head[2:_HEADER_BYTES]), len(frame))


def _from_boxes(frame: bytes) -> bytes:
    """The beginning of the one codestream in a container."""
    if not frame.startswith(_CONTAINER):
        return b""
    found = [(kind, start) for kind, start in _boxes(frame) if kind in {b"jxlc", b"jxlp"}]
    if len({kind for kind, _ in found}) != 1 or (found[0][0] == b"jxlc" and len(found) != 1):
        raise UndecodablePixels("A frame of JPEG XL has no codestream, or several")
    kind, start = found[0]
    return frame[start + (4 if kind == b"jxlp" else 0) :][:_HEADER_BYTES]


def _boxes(frame: bytes) -> Iterator[tuple[bytes, int]]:
    """The kind of each box, and where its content begins; the last one ends with the frame."""
    position = len(_CONTAINER)
    while position < len(frame):
        if not frame[position:].strip(b"\0"):  # what makes the length even
            return
        size, kind = unpack_from(">I4s", frame, position)
        start = position + 8
        if size == 1:
            (size,) = unpack_from(">Q", frame, start)
            start += 8
        end = position + size if size else len(frame)
        if end < start or end > len(frame):
            raise UndecodablePixels("A frame of JPEG XL is cut short inside a box")
        yield kind, start
        position = end


def _read(bits: "_Bits", size_bytes: int) -> Codestream:
    rows, columns = _size(bits)
    depth, samples, is_transformed = 8, 3, True
    if not bits.take(1):  # else all is as usual
        if bits.take(1) and (bits.take(3) or bits.take(3)):
            raise UndecodablePixels("A frame of JPEG XL is turned, animated, or has a preview")
        if bits.take(1):
            raise UndecodablePixels("A frame of JPEG XL has samples of floating point")
        depth = bits.number(_DEPTHS)
        bits.take(1)
        if bits.number(_COUNTS):
            raise UndecodablePixels("A frame of JPEG XL has other channels than colours")
        is_transformed = bool(bits.take(1))
        if not bits.take(1):
            bits.take(1)
            samples = _SAMPLES.get(bits.number(_ENUM), 0)
    if not samples:
        raise UndecodablePixels("A frame of JPEG XL is neither gray nor RGB")
    return Codestream(
        coding=Coding.MODULAR,
        rows=rows,
        columns=columns,
        samples=samples,
        bits=depth,
        colour=Colour.TRANSFORMED if is_transformed and samples == 3 else Colour.SILENT,
        size_bytes=size_bytes,
    )


def _size(bits: "_Bits") -> tuple[int, int]:
    are_eights = bits.take(1)

    def length() -> int:
        return 8 * (bits.take(5) + 1) if are_eights else bits.number(_SIZES)

    rows = length()
    ratio = bits.take(3)
    if not ratio:
        return rows, length()
    across, down = _RATIOS[ratio]
    return rows, rows * across // down


class _Bits:
    """Reads numbers whose lowest bit comes first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")
        self._count = 8 * len(data)

    def take(self, count: int) -> int:
        """The number of so many bits. Raises UndecodablePixels."""
        if count > self._count:
            raise UndecodablePixels("A frame of JPEG XL is cut short inside a header")
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        self._count -= count
        return value

    def number(self, ways: tuple[tuple[int, int], ...]) -> int:
        """A number that is written in one of four ways (U32)."""
        base, count = ways[self.take(2)]
        return base + self.take(count)
