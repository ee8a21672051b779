"""Where each frame lies among the fragments of encapsulated Pixel Data (PS3.5 §A.4).

As many fragments as frames: one each, whatever an offset table says (as Orthanc 1.12.7 and DCMTK have it); many tables in
the field are wrong. One frame: all fragments. Else a frame begins where a codestream does, and only where no such
beginnings can be seen, or not as many as frames are announced, does an offset table decide, which must then be right.
Whether a frame is whole is seen later, by its codestream.
"""

from collections.abc import Sequence
from itertools import pairwise
from struct import error, unpack_from
from typing import Final

from store.dicom.elements import Buffer, Element
from store.dicom.pixels.description import Extent, Frame, UndecodablePixels
from store.dicom.tags import EXTENDED_OFFSET_TABLE, PIXEL_DATA

# SOI of JPEG and JPEG-LS, with the marker that follows; SOC and SIZ of JPEG 2000. RLE frames have no mark.
_BEGINNINGS: Final = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")
_MARK_BYTES: Final = 4


def find_frames(data: Buffer, elements: Sequence[Element], count: int) -> tuple[Frame, ...]:
    """Return the extents of each of `count` frames. Raises UndecodablePixels."""
    pixels = next((element for element in elements if element.tag == PIXEL_DATA), None)
    if pixels is None or not pixels.fragments:
        raise UndecodablePixels("An instance has no frames to decode")
    fragments = pixels.fragments[1:]  # behind the Basic Offset Table
    if len(fragments) < count:
        raise UndecodablePixels(f"{count} frames are announced, and there are {len(fragments)} fragments")
    if len(fragments) == count:
        return tuple(Frame((fragment,)) for fragment in fragments)
    if count == 1:
        return (Frame(fragments),)
    starts = _by_codestreams(data, fragments)
    if len(starts) != count or starts[0]:
        starts = _by_tables(data, elements, pixels.fragments, count)
    ends = (*starts[1:], len(fragments))
    return tuple(Frame(tuple(fragments[start:end])) for start, end in zip(starts, ends, strict=True))


def _by_codestreams(data: Buffer, fragments: Sequence[Extent]) -> list[int]:
    """The places of the fragments in which a codestream begins."""
    return [place for place in range(len(fragments)) if _first_bytes(data, fragments, place).startswith(_BEGINNINGS)]


def _first_bytes(data: Buffer, fragments: Sequence[Extent], place: int) -> bytes:
    """The first four bytes from a fragment on: some are shorter than that."""
    found = b""
    for offset, length in fragments[place : place + _MARK_BYTES]:
        found += bytes(data[offset : offset + min(length, _MARK_BYTES - len(found))])
        if len(found) == _MARK_BYTES:
            break
    return found


def _by_tables(data: Buffer, elements: Sequence[Element], fragments: Sequence[Extent], count: int) -> list[int]:
    """The places of the fragments in which frames begin by an offset table that fits. Raises UndecodablePixels."""
    first = fragments[1][0]
    places = {offset - first: place for place, (offset, _) in enumerate(fragments[1:])}
    for table in _tables(data, elements, fragments[0]):
        if len(table) == count and not table[0]:
            starts = [places[offset] for offset in table if offset in places]
            if len(starts) == count and all(here < there for here, there in pairwise(starts)):
                return starts
    raise UndecodablePixels(
        f"{count} frames are announced, there are {len(fragments) - 1} fragments, and no offset table that is right tells them apart"
    )


def _tables(data: Buffer, elements: Sequence[Element], basic: Extent) -> list[tuple[int, ...]]:
    tables = [_read(data, basic, "I")]
    tables += [_read(data, (each.value, each.length), "Q") for each in elements if each.tag == EXTENDED_OFFSET_TABLE]
    return [table for table in tables if table]


def _read(data: Buffer, extent: Extent, code: str) -> tuple[int, ...]:
    offset, length = extent
    width = {"I": 4, "Q": 8}[code]
    try:
        return unpack_from(f"<{length // width}{code}", data, offset) if length % width == 0 else ()
    except error:
        return ()
