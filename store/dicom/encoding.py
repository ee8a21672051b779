"""The elements of a dataset, written again in little endian with another, or the same, form of value representations.

Values are copied as they are; only their headers change, and their byte order where the source is big endian. So no
value is ever judged, and none can be lost for being odd. Sequences that are not taken as they stand get defined lengths. Group lengths are left out: the
standard retired them, and they would be wrong now. Source: PS3.5 §7, Annex A.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from events.errors import InvalidDicom
from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import ITEM, LONG_VRS, SEQUENCE_END, UNDEFINED, Element
from store.dicom.part10 import Part10

Part: TypeAlias = bytes | memoryview


class Room(NamedTuple):
    """In the place of a value that somebody else writes, after the dataset is laid out around it."""

    size_bytes: int  # even


Change: TypeAlias = tuple[str, bytes | Room] | None  # VR and value of an element from now on; None to leave it out

_PIXEL_REPRESENTATION: Final = 0x00280103
_SHORT_LIMIT: Final = 0x10000  # beyond the 16 bits that most VRs have for their length

_IMPLICIT_HEADER: Final = Struct("<HHI")
_SHORT_HEADER: Final = Struct("<HH2sH")
_LONG_HEADER: Final = Struct("<HH2sHI")
_LONG: Final = frozenset(LONG_VRS.values())
# In implicit VR the dictionary leaves these open; what they are then (PS3.5 §A.1, PS3.3 §C.11).
_CHOICES: Final = {"OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW", "": "UN"}
_SIGN_DECIDES: Final = "US or SS"
_WORD_CODES: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US", *(choice for choice in _CHOICES if choice), _SIGN_DECIDES), "H"),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), "I"),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), "Q"),
}


def encode_dataset(
    file: Part10, elements: Sequence[Element], *, explicit: bool, changes: Mapping[int, Change] | None = None
) -> bytes:
    """Return a whole dataset in little endian, with `changes` to elements of its top level.

    Raises InvalidDicom for encapsulated Pixel Data that is not replaced, and for a value no length can describe.
    """
    writer = _Writer(file, explicit=explicit)
    return b"".join(part for part in writer.dataset(elements, dict(changes or {})) if not isinstance(part, Room))


def lay_out(
    file: Part10, elements: Sequence[Element], *, explicit: bool, changes: Mapping[int, Change]
) -> tuple[bytes, bytes]:
    """Return what comes before and what comes behind the one `Room` among the changes. Raises as `encode_dataset`."""
    writer = _Writer(file, explicit=explicit)
    parts = list(writer.dataset(elements, dict(changes)))
    where = next(place for place, part in enumerate(parts) if isinstance(part, Room))
    before, behind = parts[:where], parts[where + 1 :]
    return b"".join(part for part in before if not isinstance(part, Room)), b"".join(
        part for part in behind if not isinstance(part, Room)
    )


class _Writer:
    """Writes elements of one file."""

    def __init__(self, file: Part10, *, explicit: bool) -> None:
        self._data = memoryview(file.data)
        self._little = file.syntax.little
        self._explicit = explicit
        # Elements already in the form that is asked for are taken as they stand, header and all.
        self._is_same_form = file.syntax.little and file.syntax.explicit is explicit

    def dataset(self, elements: Sequence[Element], changes: dict[int, Change]) -> Iterator[Part | Room]:
        signed = self._is_signed(elements, little=self._little, default=False)
        for element in elements:
            for tag in sorted(tag for tag in changes if tag < element.tag):
                yield from self._changed(tag, changes.pop(tag))
            if element.tag in changes:
                yield from self._changed(element.tag, changes.pop(element.tag))
            elif self._is_same_form and element.tag & 0xFFFF and element.fragments is None:
                yield self._data[element.start : element.end]
            else:
                yield from self._element(element, little=self._little, signed=signed)
        for tag in sorted(changes):
            yield from self._changed(tag, changes[tag])

    def _changed(self, tag: int, change: Change) -> Iterable[Part | Room]:
        if change is None:
            return ()
        vr, value = change
        if isinstance(value, Room):
            return self._header(tag, vr, value.size_bytes), value
        value += bytes(len(value) & 1)
        return self._header(tag, vr, len(value)), value

    def _element(self, element: Element, *, little: bool, signed: bool) -> Iterable[Part]:
        if not element.tag & 0xFFFF:
            return ()
        if element.fragments is not None:
            raise InvalidDicom("encapsulated Pixel Data in an uncompressed transfer syntax")
        if element.items is not None:
            value = b"".join(part for item in element.items for part in self._item(item.elements, item.little, signed))
            return self._sequence(element.tag, value)
        value_bytes = self._value(element, little=little)
        vr = ("SS" if signed else "US") if element.vr == _SIGN_DECIDES else _CHOICES.get(element.vr, element.vr)
        return self._header(element.tag, vr, len(value_bytes)), value_bytes

    def _sequence(self, tag: int, value: bytes) -> Iterable[Part]:
        if self._explicit or dictionary_vr(tag) == "SQ":
            return self._header(tag, "SQ", len(value)), value
        # A reader of implicit VR that does not know the tag sees by its undefined length that it is a sequence.
        end = _IMPLICIT_HEADER.pack(SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
        return _IMPLICIT_HEADER.pack(tag >> 16, tag & 0xFFFF, UNDEFINED), value, end

    def _item(self, elements: Sequence[Element], little: bool, signed: bool) -> Iterator[Part]:
        signed = self._is_signed(elements, little=little, default=signed)
        parts = [part for element in elements for part in self._element(element, little=little, signed=signed)]
        yield _IMPLICIT_HEADER.pack(ITEM >> 16, ITEM & 0xFFFF, sum(map(len, parts)))
        yield from parts

    def _value(self, element: Element, *, little: bool) -> Part:
        value = self._data[element.value : element.value + element.length]
        code = None if little else _WORD_CODES.get(element.vr)
        if code is not None:
            words = array(code)
            whole = len(value) // words.itemsize * words.itemsize
            words.frombytes(value[:whole])
            words.byteswap()
            return words.tobytes() + value[whole:]
        return value if len(value) % 2 == 0 else bytes(value) + b"\0"  # odd lengths are read, never written

    def _header(self, tag: int, vr: str, length: int) -> bytes:
        if length >= UNDEFINED:
            raise InvalidDicom("a value is longer than DICOM can say")
        group, number = tag >> 16, tag & 0xFFFF
        if not self._explicit:
            return _IMPLICIT_HEADER.pack(group, number, length)
        if vr in _LONG or len(vr) != 2:
            return _LONG_HEADER.pack(group, number, vr.encode() if len(vr) == 2 else b"UN", 0, length)
        if length >= _SHORT_LIMIT:  # PS3.5 §6.2.2, note on UN: what has no room for its length
            return _LONG_HEADER.pack(group, number, b"UN", 0, length)
        return _SHORT_HEADER.pack(group, number, vr.encode(), length)

    def _is_signed(self, elements: Sequence[Element], *, little: bool, default: bool) -> bool:
        """Tell whether values of these elements that may be signed are."""
        for element in elements:
            if element.tag == _PIXEL_REPRESENTATION and element.length >= 2:
                raw = bytes(self._data[element.value : element.value + 2])
                return int.from_bytes(raw, "little" if little else "big") == 1
        return default
