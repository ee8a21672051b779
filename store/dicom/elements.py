"""The elements of a DICOM dataset, read in order from its bytes (PS3.5 §7).

Nothing is copied: an `Element` says where its value lies. Reading proves the structure: every length must fit into what
is left of its item and of the dataset, every undefined length must be closed by its delimiter, and the last element
must end where the dataset ends. What PS3.5 leaves open is decided as Orthanc 1.12.7 decides it (observed):

- a sequence or item of defined length ends with the first member that reaches its length, even if that overruns it, and
  an item that claims more than there is ends with the dataset;
- a delimiter ends a sequence or item of defined length too, and an item delimiter ends the dataset itself;
- an unknown VR of two capital letters has a 32-bit length, of other printable characters a 16-bit length;
- undefined length is for sequences, UN (whose items are implicit VR little endian) and Pixel Data alone.
"""

import mmap
from collections.abc import Iterable
from struct import Struct, error
from typing import Final, NamedTuple, TypeAlias

from events.errors import InvalidDicom
from store.dicom.dictionary import dictionary_vr
from store.dicom.limits import BeyondLimits, Tally, held_tally, large_datasets, passing_tally
from store.dicom.syntax import Syntax
from store.dicom.tags import ITEM, ITEM_END, PIXEL_DATA, SEQUENCE_END

Buffer: TypeAlias = bytes | memoryview | mmap.mmap

MAX_DEPTH: Final = 100  # of nested items; deeper files are refused (SR documents nest about ten levels)
UNDEFINED: Final = 0xFFFFFFFF

_STRUCTURE: Final = frozenset((ITEM, ITEM_END, SEQUENCE_END))
_IMPLICIT_LE: Final = Syntax(explicit=False)
SHORT_VRS: Final = {
    code: code.decode() for code in b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
}
LONG_VRS: Final = {code: code.decode() for code in b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}
_TAG: Final = {True: Struct("<HH"), False: Struct(">HH")}
_U16: Final = {True: Struct("<H"), False: Struct(">H")}
_U32: Final = {True: Struct("<I"), False: Struct(">I")}


class Element(NamedTuple):
    """Where one data element lies; offsets are in the buffer that was read."""

    tag: int
    vr: str  # as in the file; in implicit VR the dictionary's ("US or SS" too), "UN" for an unknown tag
    start: int  # of the tag
    value: int  # of the value
    length: int  # of the value, bytes; of undefined length: up to the delimiter
    end: int  # of the element, delimiter included
    items: tuple["Item", ...] | None = None  # of a sequence
    fragments: tuple[tuple[int, int], ...] | None = (
        None  # of encapsulated Pixel Data: (offset, length), offset table first
    )


class Item(NamedTuple):
    """One item of a sequence."""

    elements: tuple[Element, ...]
    end: int
    little: bool  # byte order of the values
    explicit: bool  # whether the elements have their VRs


def read_elements(
    data: Buffer, start: int, syntax: Syntax, end: int | None = None, tally: Tally | None = None
) -> tuple[Element, ...]:
    """Read the whole dataset from `start` to `end` (that of the buffer by default), nested items included.

    `tally` says how many elements it may have. Raises: InvalidDicom, if the structure does not end where it should; Busy, if
    it is one of the large datasets of which a process holds one at a time.
    """
    stop = len(data) if end is None else end
    with large_datasets.scope():
        reader = _Reader(data, syntax, tally or held_tally(), keeps=True)
        item = reader.members(start, stop, depth=0, delimited=False)
    if syntax.encapsulated:
        for element in item.elements:
            if element.tag == PIXEL_DATA:
                refuse_native(encapsulated=element.fragments is not None)
                break
    return item.elements


def read_element(
    data: Buffer, start: int, syntax: Syntax, tally: Tally | None = None, *, keeps: bool = False
) -> Element:
    """Read the one element at `start`; its tag is ITEM_END at the end of an item. Raises: InvalidDicom; Busy.

    Its structure is proved; items and fragments are empty unless it `keeps` them. `tally` counts them.
    """
    if not keeps:
        return _Reader(data, syntax, tally or passing_tally(), keeps=False).element(start, len(data), 0)
    with large_datasets.scope():
        return _Reader(data, syntax, tally or held_tally(), keeps=True).element(start, len(data), 0)


def as_sequence(data: Buffer, element: Element, syntax: Syntax) -> Element:
    """An element that was read as a plain value, as the sequence that it is; as it was if it is none. Raises: Busy."""
    try:
        with large_datasets.scope():
            reader = _Reader(data, syntax, held_tally(), keeps=True)
            items, end = reader.items(element.value, element.value + element.length, 0, delimited=False)
    except InvalidDicom:
        return element
    return element._replace(vr="SQ", items=items) if end == element.end else element


def read_unknown_items(data: Buffer, start: int, end: int) -> tuple[Item, ...]:
    """Read the items of a sequence whose VR is given as UN, which are in implicit VR little endian (PS3.5 §6.2.2, note 3).

    Raises: InvalidDicom; Busy.
    """
    with large_datasets.scope():
        items, found = _Reader(data, _IMPLICIT_LE, held_tally(), keeps=True).items(start, end, 0, delimited=False)
    if found != end:
        raise InvalidDicom("a sequence does not end where its value ends")
    return items


def in_order(elements: Iterable[Element]) -> tuple[Element, ...]:
    """Elements sorted by tag; of those that occur twice the first."""
    first: dict[int, Element] = {}
    for element in elements:
        first.setdefault(element.tag, element)
    return tuple(first[tag] for tag in sorted(first))


def refuse_native(*, encapsulated: bool) -> None:
    """Raise InvalidDicom unless Pixel Data is `encapsulated`, as every compressed transfer syntax asks for (PS3.5 §A.4)."""
    if not encapsulated:
        raise InvalidDicom("Pixel Data must be encapsulated in this transfer syntax")


class _Reader:
    """Reads elements of one buffer in one syntax; recursion is bounded by MAX_DEPTH."""

    __slots__ = ("_data", "_end", "_explicit", "_keeps", "_little", "_tag", "_tally", "_u16", "_u32")

    def __init__(self, data: Buffer, syntax: Syntax, tally: Tally, *, keeps: bool) -> None:
        self._data = data
        self._tally = tally
        self._keeps = keeps
        self._end = len(data)
        self._explicit = syntax.explicit
        self._little = syntax.little
        self._tag = _TAG[syntax.little].unpack_from
        self._u16 = _U16[syntax.little].unpack_from
        self._u32 = _U32[syntax.little].unpack_from

    def members(self, position: int, stop: int, depth: int, *, delimited: bool) -> Item:
        """The elements from `position` on, until `stop` or an item delimiter, which `delimited` asks for."""
        elements: list[Element] = []
        while position < stop:
            element = self.element(position, stop, depth)
            position = element.end
            if element.tag == ITEM_END:
                return Item(tuple(elements), position, self._little, self._explicit)
            if self._keeps:
                elements.append(element)
        if delimited:
            raise InvalidDicom("an item of undefined length has no delimiter")
        return Item(tuple(elements), position, self._little, self._explicit)

    def element(self, start: int, stop: int, depth: int) -> Element:
        """The element at `start`, whose value must end at `stop` at the latest; an ITEM_END is returned as element."""
        tally = self._tally  # as `_count`, without the call
        if not tally.left:
            tally.go_on()
        tally.left -= 1
        try:
            tag, vr, value, length = self._header(start)
        except error as exc:
            raise InvalidDicom("the file ends inside the header of an element") from exc
        if tag in _STRUCTURE:
            if tag != ITEM_END:
                raise InvalidDicom("an item or a delimiter stands outside a sequence")
            return Element(tag, "", start, value, 0, value)
        if length == UNDEFINED:
            return self._undefined(tag, vr, start, value, depth)
        if value <= stop < value + length and stop < self._end:
            raise InvalidDicom("an element is longer than the item that holds it")
        if vr == "SQ":
            items, end = self.items(value, value + length, depth, delimited=False)
            return Element(tag, vr, start, value, length, end, items)
        if value + length > self._end:
            raise InvalidDicom("the file ends inside the value of an element")
        return Element(tag, vr, start, value, length, value + length)

    def _count(self) -> None:
        tally = self._tally
        if not tally.left:
            tally.go_on()
        tally.left -= 1

    def _header(self, start: int) -> tuple[int, str, int, int]:
        """Tag, VR, offset of the value, length. Raises: struct.error at the end of the buffer."""
        data = self._data
        group, number = self._tag(data, start)
        tag = group << 16 | number
        if tag in _STRUCTURE or not self._explicit:
            vr = "" if tag in _STRUCTURE else dictionary_vr(tag) or "UN"
            return tag, vr, start + 8, self._u32(data, start + 4)[0]
        code = bytes(data[start + 4 : start + 6])
        if code in SHORT_VRS:
            return tag, SHORT_VRS[code], start + 8, self._u16(data, start + 6)[0]
        if code in LONG_VRS:
            return tag, LONG_VRS[code], start + 12, self._u32(data, start + 8)[0]
        if not code.isascii() or not code.decode("ascii").isprintable():
            raise InvalidDicom("a value representation is not printable")
        if code.isalpha() and code.isupper():
            return tag, code.decode(), start + 12, self._u32(data, start + 8)[0]
        return tag, code.decode(), start + 8, self._u16(data, start + 6)[0]

    def _undefined(self, tag: int, vr: str, start: int, value: int, depth: int) -> Element:
        if vr in ("SQ", "UN"):
            is_implicit = vr == "UN" and self._explicit
            reader = _Reader(self._data, _IMPLICIT_LE, self._tally, keeps=self._keeps) if is_implicit else self
            items, end = reader.items(value, self._end, depth, delimited=True)
            return Element(tag, "SQ", start, value, end - 8 - value, end, items)
        if tag == PIXEL_DATA and vr in ("OB", "OW", "OB or OW"):
            fragments, end = self._fragments(value)
            return Element(tag, vr, start, value, end - 8 - value, end, None, fragments)
        raise InvalidDicom("undefined length where none is allowed")

    def items(self, position: int, stop: int, depth: int, *, delimited: bool) -> tuple[tuple[Item, ...], int]:
        """The items of a sequence and the offset behind it."""
        if depth >= MAX_DEPTH:
            raise BeyondLimits(f"items are nested more than {MAX_DEPTH} deep")
        items: list[Item] = []
        while position < stop:
            self._count()
            tag, length = self._item_header(position)
            position += 8
            if tag == SEQUENCE_END:
                return tuple(items), position
            if length == UNDEFINED:
                item = self.members(position, self._end, depth + 1, delimited=True)
            else:
                item = self.members(position, min(position + length, self._end), depth + 1, delimited=False)
            if self._keeps:
                items.append(item)
            position = item.end
        if delimited or position < stop:
            raise InvalidDicom("the file ends inside a sequence")
        return tuple(items), position

    def _fragments(self, position: int) -> tuple[tuple[tuple[int, int], ...], int]:
        """The fragments of encapsulated Pixel Data and the offset behind their delimiter (PS3.5 §A.4)."""
        fragments: list[tuple[int, int]] = []
        while True:
            self._count()
            tag, length = self._item_header(position)
            position += 8
            if tag == SEQUENCE_END:
                return tuple(fragments), position
            if position + length > self._end:
                raise InvalidDicom("the file ends inside a fragment of Pixel Data")
            if self._keeps:
                fragments.append((position, length))
            position += length

    def _item_header(self, position: int) -> tuple[int, int]:
        try:
            group, number = self._tag(self._data, position)
            (length,) = self._u32(self._data, position + 4)
        except error as exc:
            raise InvalidDicom("the file ends inside a sequence") from exc
        tag = group << 16 | number
        if tag not in (ITEM, SEQUENCE_END):
            raise InvalidDicom("a sequence holds something that is not an item")
        return tag, length
