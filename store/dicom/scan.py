"""Find a few elements of a dataset, proving the structure of all of it, as fast as Python goes.

The common case, little endian, is one flat loop; whatever has a structure of its own (sequences, undefined lengths,
unknown VRs) is read by `elements`, which decides what is valid.
"""

from collections.abc import Mapping
from functools import cache
from struct import Struct, error
from typing import Final, TypeAlias

from events.errors import InvalidDicom
from store.dicom.dictionary import DicomDictionary, dictionary_vr
from store.dicom.elements import LONG_VRS, SHORT_VRS, UNDEFINED, Buffer, Element, read_element, refuse_native
from store.dicom.limits import BeyondLimits, Tally, held_tally, large_datasets, passing_tally
from store.dicom.syntax import Syntax
from store.dicom.tags import ITEM_END, PIXEL_DATA

Found: TypeAlias = tuple[str, int, int, int]  # VR, offset of the value, its length (-1: fragments), offset of the tag

_LONG_PLAIN_VRS: Final = {code: name for code, name in LONG_VRS.items() if name != "SQ"}
_EXPLICIT: Final = Struct("<I2sH")  # the tag as one number, element above group: see `wire_tag`
_IMPLICIT: Final = Struct("<II")
_LENGTH: Final = Struct("<I")


def wire_tag(tag: int) -> int:
    """A tag as `scan` meets it: the number its four bytes give when read in little endian."""
    return (tag & 0xFFFF) << 16 | tag >> 16


def scan(data: Buffer, start: int, syntax: Syntax, wanted: Mapping[int, int]) -> tuple[dict[int, Found], int]:
    """Prove the structure of the dataset from `start` to the buffer's end; return where the wanted elements lie, and its end.

    It ends before the end of the buffer only at an item delimiter. `wanted` maps wire tags (`wire_tag`) to tags. Of a tag that
    occurs twice the first is returned, as Orthanc does. Only headers are touched, so a large file that is mapped into memory
    stays on disk.
    Raises: InvalidDicom.
    """
    found: dict[int, Found] = {}
    tally = passing_tally()
    try:
        if not syntax.little:
            end = _scan_any(data, start, syntax, wanted, found, tally)
        elif syntax.explicit:
            end = _scan_explicit(data, start, syntax, wanted, found, tally)
        else:
            end = _scan_implicit(data, start, syntax, wanted, found, tally)
    except error as exc:
        raise InvalidDicom("the file ends inside the header of an element") from exc
    if syntax.encapsulated and PIXEL_DATA in found:
        refuse_native(encapsulated=found[PIXEL_DATA][2] < 0)
    return found, end


def scan_elements(data: Buffer, start: int, syntax: Syntax, wanted: Mapping[int, int]) -> tuple[Element, ...]:
    """Prove a dataset as `scan` does; return the wanted elements in their order, with their items and fragments.

    An image's 12 of 105 take 40 µs; `read_elements` takes 180 for all. Raises: InvalidDicom; Busy.
    """
    found, _ = scan(data, start, syntax, wanted)
    tally = held_tally()
    with large_datasets.scope():
        return tuple(
            read_element(data, place, syntax, tally, keeps=True)
            if length < 0 or vr == "SQ"
            else Element(tag, vr, place, value, length, value + length)
            for tag, (vr, value, length, place) in found.items()
        )


def _scan_any(
    data: Buffer, start: int, syntax: Syntax, wanted: Mapping[int, int], found: dict[int, Found], tally: Tally
) -> int:
    tags = frozenset(wanted.values())
    position, end = start, len(data)
    while position < end:
        element = read_element(data, position, syntax, tally)
        if element.tag == ITEM_END:
            return position
        if element.tag in tags:
            _keep(found, element)
        position = element.end
    return _must_end(position, end)


def _scan_explicit(
    data: Buffer, start: int, syntax: Syntax, wanted: Mapping[int, int], found: dict[int, Found], tally: Tally
) -> int:
    """130 elements take about 30 µs; read as `Element`s they would take 200."""
    header, length32 = _EXPLICIT.unpack_from, _LENGTH.unpack_from
    short_vrs, long_vrs = SHORT_VRS, _LONG_PLAIN_VRS
    position, end = start, len(data)
    for _ in range(tally.left):  # what is nested counts besides
        if position >= end:
            break
        wire, vr, length = header(data, position)
        value = position + 8
        if vr in short_vrs and wire & 0xFFFF != 0xFFFE:
            pass
        elif vr in long_vrs and wire & 0xFFFF != 0xFFFE and (length := length32(data, value)[0]) != UNDEFINED:
            value += 4
        else:
            element = read_element(data, position, syntax, tally)
            if element.tag == ITEM_END:
                return position
            if wire in wanted:
                _keep(found, element)
            position = element.end
            continue
        if wire in wanted and wanted[wire] not in found:
            found[wanted[wire]] = (short_vrs.get(vr) or long_vrs[vr], value, length, position)
        position = value + length
    return _must_end(position, end)


def _scan_implicit(
    data: Buffer, start: int, syntax: Syntax, wanted: Mapping[int, int], found: dict[int, Found], tally: Tally
) -> int:
    header, sequences = _IMPLICIT.unpack_from, _sequence_wire_tags()
    position, end = start, len(data)
    for _ in range(tally.left):
        if position >= end:
            break
        wire, length = header(data, position)
        if length == UNDEFINED or wire in sequences or wire & 0xFFFF == 0xFFFE:
            element = read_element(data, position, syntax, tally)
            if element.tag == ITEM_END:
                return position
            if wire in wanted:
                _keep(found, element)
            position = element.end
            continue
        value = position + 8
        if wire in wanted and wanted[wire] not in found:
            tag = wanted[wire]
            found[tag] = (dictionary_vr(tag) or "UN", value, length, position)
        position = value + length
    return _must_end(position, end)


def _must_end(position: int, end: int) -> int:
    if position < end:
        raise BeyondLimits("the dataset has too many elements")
    if position > end:
        raise InvalidDicom("the file ends inside the value of an element")
    return end


def _keep(found: dict[int, Found], element: Element) -> None:
    if element.tag not in found:
        length = element.length if element.fragments is None else -1
        found[element.tag] = (element.vr, element.value, length, element.start)


@cache
def _sequence_wire_tags() -> frozenset[int]:
    """The wire tags that are sequences in implicit VR."""
    curves = (group << 16 | 0x2600 for group in range(0x5000, 0x5100, 2))
    return frozenset(wire_tag(tag) for tag in (*DicomDictionary, *curves, 0x00060001) if dictionary_vr(tag) == "SQ")
