"""The header of an RLE frame: how many byte planes it has, and where (PS3.5 §G)."""

from struct import unpack_from
from typing import Final

from store.dicom.pixels.codestream import Codestream, Coding
from store.dicom.pixels.description import PixelDescription, UndecodablePixels

_HEADER_BYTES: Final = 64


def read_rle(frame: bytes, described: PixelDescription) -> Codestream:
    """Read the header; there is one segment for each byte of a pixel. Raises UndecodablePixels."""
    if len(frame) < _HEADER_BYTES:
        raise UndecodablePixels("A frame of RLE ends inside its header")
    count, *offsets = unpack_from("<16I", frame)
    wanted = described.samples * described.bits_allocated // 8
    if count != wanted:
        raise UndecodablePixels(f"A frame of RLE has {count} segments where its pixels have {wanted} bytes")
    starts = offsets[:count]
    ends = [*starts[1:], len(frame)]
    if starts[0] != _HEADER_BYTES or any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise UndecodablePixels("The segments of a frame of RLE do not lie one behind the other")
    return Codestream(
        coding=Coding.RUNS,
        rows=described.rows,
        columns=described.columns,
        samples=described.samples,
        bits=described.bits_allocated,
        signed=described.signed,
        size_bytes=len(frame),
        segments=tuple((start, end - start) for start, end in zip(starts, ends, strict=True)),
    )
