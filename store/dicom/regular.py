"""Whether a dataset may be sent as it is stored: nothing in it makes a receiver fail, or read it differently from us.

Every length is even (PS3.5 §7.1.1); elements stand in ascending order and each once, of no group that belongs elsewhere; no
sequence or item overruns its length. Nearly all datasets are so, and finding out has to be cheap: the walk makes no objects and
takes what it does not know for irregular, which costs a rewrite and is never wrong. 130 elements take about 40 µs.
"""

import itertools
from functools import cache
from struct import Struct, error
from typing import Final

from store.dicom.dictionary import DicomDictionary, dictionary_vr
from store.dicom.elements import LONG_VRS, MAX_DEPTH, SHORT_VRS, UNDEFINED, Buffer, Element
from store.dicom.syntax import Syntax
from store.dicom.tags import ITEM, ITEM_END, PIXEL_DATA, SEQUENCE_END

_LONG_PLAIN: Final = frozenset(LONG_VRS) - {b"SQ"}
_PIXELS: Final = frozenset((b"OB", b"OW"))
_EXPLICIT: Final = Struct("<HH2sH").unpack_from
_IMPLICIT: Final = Struct("<HHI").unpack_from
_LENGTH: Final = Struct("<I").unpack_from
_LAST_FOREIGN_TAG: Final = 0x0003FFFF  # groups 0000 and 0002 belong into commands and files


class _Irregular(Exception):
    """Something is irregular, or the quick walk cannot tell."""


def is_regular(data: Buffer, start: int, syntax: Syntax) -> bool:
    """Tell whether the dataset from `start` to the end of a buffer can be sent as it stands; for big endian always False."""
    if not syntax.little:
        return False
    members = _explicit_members if syntax.explicit else _implicit_members
    try:
        return members(data, start, len(data), _LAST_FOREIGN_TAG, 0) == len(data)
    except (_Irregular, error):
        return False


def is_even(element: Element) -> bool:
    """Tell whether all lengths inside an element are even."""
    if element.length & 1 or any(length & 1 for _, length in element.fragments or ()):
        return False
    return all(is_even(member) for item in element.items or () for member in item.elements)


def are_regular(elements: tuple[Element, ...]) -> bool:
    """Tell of elements that have been read whether they can be sent as they stand."""
    tags = [element.tag for element in elements]
    ascending = all(one < other for one, other in itertools.pairwise(tags))
    return ascending and not (tags and tags[0] <= _LAST_FOREIGN_TAG) and all(map(is_even, elements))


def _explicit_members(data: Buffer, position: int, stop: int, last: int, depth: int) -> int:
    """Walk the elements up to `stop`, or up to an item delimiter if that is UNDEFINED; returns the offset behind them."""
    short, long_plain, header, length32 = SHORT_VRS, _LONG_PLAIN, _EXPLICIT, _LENGTH
    lengths = 0
    while position < stop:
        group, number, vr, length = header(data, position)
        tag = group << 16 | number
        if tag <= last or tag == ITEM_END:
            if tag == ITEM_END and stop == UNDEFINED and not lengths & 1:
                return position + 8
            raise _Irregular
        last = tag
        if vr in short:
            position += 8 + length
        elif vr in long_plain:
            (length,) = length32(data, position + 8)
            position += 12
            if length != UNDEFINED:
                position += length
            elif vr == b"UN":  # items in implicit VR (PS3.5 §6.2.2)
                position, length = _items(data, position, UNDEFINED, depth, explicit=False), 0
            else:
                position, length = _fragments(data, position, tag, vr), 0
        elif vr == b"SQ":
            (length,) = length32(data, position + 8)
            position = _items(data, position + 12, length, depth, explicit=True)
            length = 0 if length == UNDEFINED else length
        else:
            raise _Irregular
        lengths |= length
    if position != stop or lengths & 1:
        raise _Irregular
    return position


def _implicit_members(data: Buffer, position: int, stop: int, last: int, depth: int) -> int:
    """As `_explicit_members`."""
    sequences, header = _sequence_tags(), _IMPLICIT
    lengths = 0
    while position < stop:
        group, number, length = header(data, position)
        tag = group << 16 | number
        if tag <= last or tag == ITEM_END:
            if tag == ITEM_END and stop == UNDEFINED and not lengths & 1:
                return position + 8
            raise _Irregular
        last = tag
        position += 8
        if length == UNDEFINED or tag in sequences:
            position = _items(data, position, length, depth, explicit=False)
            length = 0 if length == UNDEFINED else length
        else:
            position += length
        lengths |= length
    if position != stop or lengths & 1:
        raise _Irregular
    return position


def _items(data: Buffer, position: int, length: int, depth: int, *, explicit: bool) -> int:
    """Walk the items of a sequence; returns the offset behind it."""
    if depth >= MAX_DEPTH:
        raise _Irregular
    members = _explicit_members if explicit else _implicit_members
    stop = UNDEFINED if length == UNDEFINED else position + length
    while position < stop:
        group, number, length = _IMPLICIT(data, position)
        tag = group << 16 | number
        position += 8
        if tag == ITEM:
            end = UNDEFINED if length == UNDEFINED else position + length
            position = members(data, position, end, -1, depth + 1)
        elif tag == SEQUENCE_END and stop == UNDEFINED:
            return position
        else:
            raise _Irregular
    if position != stop:
        raise _Irregular
    return position


def _fragments(data: Buffer, position: int, tag: int, vr: bytes) -> int:
    """Walk the fragments of encapsulated Pixel Data; returns the offset behind them."""
    if tag != PIXEL_DATA or vr not in _PIXELS:
        raise _Irregular
    while True:
        group, number, length = _IMPLICIT(data, position)
        position += 8
        if group << 16 | number == SEQUENCE_END:
            return position
        if length & 1:  # UNDEFINED too
            raise _Irregular
        position += length


@cache
def _sequence_tags() -> frozenset[int]:
    """The tags that are sequences in implicit VR."""
    curves = (group << 16 | 0x2600 for group in range(0x5000, 0x5100, 2))
    return frozenset(tag for tag in (*DicomDictionary, *curves, 0x00060001) if dictionary_vr(tag) == "SQ")
