"""Writes the elements of a dataset again: in another transfer syntax, or in its own with errors of form corrected.

Values are copied as they are. Only their headers change, their padding to an even length and, where asked for, their byte
order. So no value is judged, and a strange value is not lost. The result is regular (`store.dicom.regular`): elements
in order and each once (the first of two that are the same), none of groups 0000 and 0002. Sequences that are not copied as they
stand get defined lengths. Group lengths are left out: the standard retired them, and they would be wrong now. Source: PS3.5 §7,
Annex A.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct, calcsize, iter_unpack, pack
from typing import Final, NamedTuple, TypeAlias

from events.errors import InvalidDicom
from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import LONG_VRS, SHORT_VRS, UNDEFINED, Buffer, Element, Item, in_order, read_elements
from store.dicom.inflating import deflate
from store.dicom.mapped import gather
from store.dicom.part10 import Part10, open_part10
from store.dicom.regular import are_regular, is_regular
from store.dicom.tags import EXTENDED_OFFSET_TABLE, ITEM, PIXEL_DATA, PIXEL_REPRESENTATION, SEQUENCE_END
from store.dicom.values import TEXT_VRS

Part: TypeAlias = bytes | memoryview
Fragments = Sequence[tuple[int, int]]  # offset and length of each, the basic offset table first


class Room(NamedTuple):
    """In the place of a value that somebody else writes, after the dataset is laid out around it."""

    size_bytes: int  # even; UNDEFINED for fragments


class MoreItems(NamedTuple):
    """Items that come behind those of a sequence, in the form that is written."""

    value: bytes


# VR and value of an element from now on; None to leave it out
Change: TypeAlias = tuple[str, bytes | Room] | MoreItems | None

_SHORT_LIMIT: Final = 0x10000  # beyond the 16 bits that most VRs have for their length


class _Headers(NamedTuple):
    """What stands before values, in one byte order."""

    implicit: Struct
    short: Struct
    long: Struct


_HEADERS: Final = {
    True: _Headers(Struct("<HHI"), Struct("<HH2sH"), Struct("<HH2sHI")),
    False: _Headers(Struct(">HHI"), Struct(">HH2sH"), Struct(">HH2sHI")),
}
_BLANK: Final = 0x20
_FOREIGN_GROUPS: Final = frozenset((0, 2))  # of commands and files
_LONG: Final = frozenset(LONG_VRS.values())
_SHORT: Final = frozenset(SHORT_VRS.values())
# In implicit VR the dictionary leaves these open; what they are then (PS3.5 §A.1, PS3.3 §C.11).
_CHOICES: Final = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW", "": "UN"}
_SIGN_DECIDES: Final = "US or SS"
_WORD_CODES: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US", *(choice for choice in _CHOICES if choice), _SIGN_DECIDES), "H"),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), "I"),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), "Q"),
}


def encode_dataset(
    file: Part10,
    elements: Sequence[Element],
    *,
    explicit: bool,
    little: bool = True,
    changes: Mapping[int, Change] | None = None,
) -> memoryview:
    """Return a whole dataset, with `changes` to elements of its top level.

    Raises InvalidDicom for encapsulated Pixel Data that is not replaced, and for a value no length can describe; StorageFull.
    """
    writer = _Writer(file, explicit=explicit, little=little)
    return gather(part for part in writer.dataset(elements, changes or {}) if not isinstance(part, Room))


def lay_out(
    file: Part10, elements: Sequence[Element], *, explicit: bool, changes: Mapping[int, Change]
) -> tuple[bytes, bytes]:
    """Return what comes before and what comes behind the one `Room` among the changes. Raises as `encode_dataset`."""
    writer = _Writer(file, explicit=explicit, little=True)
    parts = list(writer.dataset(elements, changes))
    where = next(place for place, part in enumerate(parts) if isinstance(part, Room))
    before, behind = parts[:where], parts[where + 1 :]
    return b"".join(part for part in before if not isinstance(part, Room)), b"".join(
        part for part in behind if not isinstance(part, Room)
    )


def rewrite_dataset(file: Part10, elements: Sequence[Element]) -> memoryview:
    """Return a whole dataset in the transfer syntax it has (but for deflation), put right; encapsulated Pixel Data stays so.

    Fragments of odd length are padded, and the tables that tell where frames begin are corrected. Raises: InvalidDicom; StorageFull.
    """
    writer = _Writer(file, explicit=file.syntax.explicit, little=file.syntax.little, keeps_fragments=True)
    parts = writer.dataset(elements, correct_extended_table(file.data, elements))
    return gather(part for part in parts if not isinstance(part, Room))


class _Writer:
    """Writes elements of one file."""

    def __init__(self, file: Part10, *, explicit: bool, little: bool, keeps_fragments: bool = False) -> None:
        self._data = memoryview(file.data)
        self._syntax = file.syntax
        self._little = file.syntax.little
        self._explicit = explicit
        self._writes_little = little
        self._headers = _HEADERS[little]
        self._keeps_fragments = keeps_fragments
        # Elements already in the form that is asked for are taken as they stand, header and all.
        self._is_same_form = file.syntax.little is little and file.syntax.explicit is explicit

    def dataset(self, elements: Sequence[Element], changes: Mapping[int, Change]) -> Iterator[Part | Room]:
        elements = [element for element in in_order(elements) if element.tag >> 16 not in _FOREIGN_GROUPS]
        signed = self._is_signed(elements, little=self._little, default=False)
        pending = sorted(changes, reverse=True)
        for element in elements:
            while pending and pending[-1] < element.tag:
                tag = pending.pop()
                yield from self._changed(tag, changes[tag])
            if pending and pending[-1] == element.tag:
                change = changes[pending.pop()]
                if isinstance(change, MoreItems):
                    change = self._with_more(element, change, signed=signed)
                yield from self._changed(element.tag, change)
            elif self._is_same_form and element.tag & 0xFFFF and self._is_sound(element):
                yield self._data[element.start : element.end]
            else:
                yield from self._element(element, little=self._little, signed=signed)
        for tag in reversed(pending):
            yield from self._changed(tag, changes[tag])

    def _changed(self, tag: int, change: Change) -> Iterable[Part | Room]:
        if change is None:
            return ()
        if isinstance(change, MoreItems):
            change = ("SQ", change.value)
        vr, value = change
        if isinstance(value, Room):
            return self._header(tag, vr, value.size_bytes), value
        value += padding(value, vr)
        return self._header(tag, vr, len(value)), value

    def _with_more(self, element: Element, more: MoreItems, *, signed: bool) -> MoreItems:
        before = self._items(element.items or (), signed=signed)
        return more if more.value in before else MoreItems(before + more.value)

    def _is_sound(self, element: Element) -> bool:
        """Whether an element can be taken as it stands."""
        if element.items is None:
            is_known = not self._explicit or element.vr in _SHORT or element.vr in _LONG
            return is_known and element.fragments is None and not element.length & 1
        return is_regular(self._data[: element.end], element.start, self._syntax)

    def _element(self, element: Element, *, little: bool, signed: bool) -> Iterable[Part]:
        if not element.tag & 0xFFFF:
            return ()
        if element.fragments is not None:
            return self._fragments(element)
        if element.items is not None:
            return self._sequence(element.tag, self._items(element.items, signed=signed))
        value_bytes = self._value(element, little=little)
        vr = ("SS" if signed else "US") if element.vr == _SIGN_DECIDES else _CHOICES.get(element.vr, element.vr)
        return self._header(element.tag, vr, len(value_bytes)), value_bytes

    def _fragments(self, element: Element) -> Iterator[Part]:
        if not self._keeps_fragments:
            raise InvalidDicom("encapsulated Pixel Data in an uncompressed transfer syntax")
        fragments = element.fragments or ()
        yield self._header(element.tag, "OB" if element.vr not in {"OB", "OW"} else element.vr, UNDEFINED)
        for place, (start, length) in enumerate(fragments):
            value = bytes(self._data[start : start + length])
            if place == 0:
                value = moved_offsets(value, "<I", fragments)
            value += bytes(len(value) & 1)
            yield self._headers.implicit.pack(ITEM >> 16, ITEM & 0xFFFF, len(value))
            yield value
        yield self._headers.implicit.pack(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)

    def _sequence(self, tag: int, value: bytes) -> Iterable[Part]:
        if self._explicit or dictionary_vr(tag) == "SQ":
            return self._header(tag, "SQ", len(value)), value
        # A reader of implicit VR that does not know the tag sees by its undefined length that it is a sequence.
        end = self._headers.implicit.pack(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
        return self._headers.implicit.pack(tag >> 16, tag & 0xFFFF, UNDEFINED), value, end

    def _items(self, items: Sequence[Item], *, signed: bool) -> bytes:
        return b"".join(part for item in items for part in self._item(item.elements, item.little, signed))

    def _item(self, elements: Sequence[Element], little: bool, signed: bool) -> Iterator[Part]:
        elements = in_order(elements)
        signed = self._is_signed(elements, little=little, default=signed)
        parts = [part for element in elements for part in self._element(element, little=little, signed=signed)]
        yield self._headers.implicit.pack(ITEM >> 16, ITEM & 0xFFFF, sum(map(len, parts)))
        yield from parts

    def _value(self, element: Element, *, little: bool) -> Part:
        value = self._data[element.value : element.value + element.length]
        code = None if little is self._writes_little else _WORD_CODES.get(element.vr)
        if code is not None:
            words = array(code)
            whole = len(value) // words.itemsize * words.itemsize
            words.frombytes(value[:whole])
            words.byteswap()
            value = memoryview(words.tobytes() + value[whole:])
        return bytes(value) + padding(value, element.vr) if len(value) & 1 else value

    def _header(self, tag: int, vr: str, length: int) -> bytes:
        if length == UNDEFINED and tag != PIXEL_DATA:
            raise InvalidDicom("a value is longer than a DICOM length can express")
        return element_header(tag, vr, length, explicit=self._explicit, little=self._writes_little)

    def _is_signed(self, elements: Sequence[Element], *, little: bool, default: bool) -> bool:
        """Tell whether values of these elements that may be signed are."""
        for element in elements:
            if element.tag == PIXEL_REPRESENTATION and element.length >= 2:
                raw = bytes(self._data[element.value : element.value + 2])
                return int.from_bytes(raw, "little" if little else "big") == 1
        return default


def element_header(tag: int, vr: str, length: int, *, explicit: bool, little: bool) -> bytes:
    """Return what stands before a value. Raises InvalidDicom for one that is too long for DICOM."""
    if length > UNDEFINED:
        raise InvalidDicom("a value is longer than a DICOM length can express")
    headers, group, number = _HEADERS[little], tag >> 16, tag & 0xFFFF
    if not explicit:
        return headers.implicit.pack(group, number, length)
    if vr in _LONG or vr not in _SHORT:  # readers do not agree about the form of an unknown VR
        return headers.long.pack(group, number, vr.encode() if vr in _LONG else b"UN", 0, length)
    if length >= _SHORT_LIMIT:  # PS3.5 §6.2.2, note on UN: what has no room for its length
        return headers.long.pack(group, number, b"UN", 0, length)
    return headers.short.pack(group, number, vr.encode(), length)


def padding(value: Part, vr: str) -> bytes:
    """What makes a value's length even (PS3.5 §6.2): a blank for text, but a zero byte for UIDs and bytes.

    Text of odd length that ends with a blank gets a zero byte too, as from Orthanc: else its readers would take both blanks off,
    and see another PatientID than we do.
    """
    if not len(value) & 1:
        return b""
    return b" " if vr in TEXT_VRS and vr != "UI" and value[-1] != _BLANK else b"\0"


def sendable_dataset(file: Buffer) -> memoryview:
    """Return a file's dataset in its own transfer syntax; nearly always a view of the file. Raises: InvalidDicom; StorageFull.

    Receivers abort at an odd length, and take the last of elements that occur twice where we take the first.
    """
    opened = open_part10(file)
    stored = memoryview(file)[opened.meta_end :]
    data, start, syntax = opened.data, opened.start, opened.syntax
    if syntax.little and is_regular(data, start, syntax) and not (opened.inflated and len(stored) & 1):
        return stored
    elements = read_elements(data, start, syntax)
    if not syntax.little and elements and elements[-1].end == len(data) and are_regular(elements):
        return stored
    dataset = rewrite_dataset(opened, elements)
    return memoryview(deflate(dataset, 0, len(dataset))) if opened.inflated else dataset


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


def correct_extended_table(data: Buffer, elements: Iterable[Element]) -> Mapping[int, tuple[str, bytes]]:
    """Changes that the Extended Offset Table of a dataset needs (PS3.3 §C.7.6.3.1.8); its lengths do not count padding."""
    by_tag = {element.tag: element for element in reversed(tuple(elements))}
    table, pixels = by_tag.get(EXTENDED_OFFSET_TABLE), by_tag.get(PIXEL_DATA)
    if table is None or pixels is None or pixels.fragments is None:
        return {}
    value = bytes(data[table.value : table.value + table.length])
    return {EXTENDED_OFFSET_TABLE: ("OV", moved_offsets(value, "<Q", pixels.fragments))}
