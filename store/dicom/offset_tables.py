"""Where the frames of encapsulated Pixel Data begin, when fragments of odd length have got the byte they lacked (PS3.5 §A.4)."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from struct import calcsize, iter_unpack, pack
from typing import Final

from store.dicom.elements import PIXEL_DATA, Buffer, Element

Fragments = Sequence[tuple[int, int]]  # offset and length of each, the basic offset table first

EXTENDED_TABLE: Final = 0x7FE00001


def moved_offsets(table: bytes, word: str, fragments: Fragments) -> bytes:
    """A table of offsets from the first fragment's item on, as it is after padding; `word` is its form for `struct`."""
    whole = len(table) - len(table) % calcsize(word)
    if len(fragments) < 2 or not whole:
        return table
    begin = fragments[1][0]
    odd = [start - begin for start, length in fragments[1:] if length & 1]
    if not odd:
        return table
    moved = (pack(word, offset + bisect_left(odd, offset)) for (offset,) in iter_unpack(word, table[:whole]))
    return b"".join(moved) + table[whole:]


def correct_extended_table(data: Buffer, elements: Iterable[Element]) -> dict[int, tuple[str, bytes]]:
    """What has to change in the Extended Offset Table of a dataset (PS3.3 §C.7.6.3.1.8); its lengths do not count padding."""
    by_tag = {element.tag: element for element in reversed(tuple(elements))}
    table, pixels = by_tag.get(EXTENDED_TABLE), by_tag.get(PIXEL_DATA)
    if table is None or pixels is None or pixels.fragments is None:
        return {}
    value = bytes(data[table.value : table.value + table.length])
    return {EXTENDED_TABLE: ("OV", moved_offsets(value, "<Q", pixels.fragments))}
