"""From the DICOM JSON Model (PS3.18 Annex F) to the elements of a file, in explicit VR little endian.

Values are text in UTF-8, so the file's character set is ISO_IR 192, whatever the model says. Elements are put in order; group lengths and groups
0000 and 0002 are left out: they are the file's own. A value may be bulk data that somebody else holds: then its place is told instead. Numbers may
stand as text, which XML has alone. What does not fit its VR is refused, never made fit: but a DS of more than 16 characters, which is rounded to
what these can hold.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from struct import error, pack
from typing import Any, Final, NamedTuple, TypeAlias

from events.errors import InvalidDicom
from store.dicom.dictionary import dictionary_vr, format_tag
from store.dicom.elements import LONG_VRS, MAX_DEPTH, SHORT_VRS, UNDEFINED
from store.dicom.encoding import element_header, padding
from store.dicom.limits import BeyondLimits, limits
from store.dicom.tags import ITEM, NUMBER_OF_FRAMES, PIXEL_DATA, SEQUENCE_END, SPECIFIC_CHARACTER_SET
from store.dicom.uids import EXPLICIT_LE
from store.dicom.values import FLOAT_VRS, NUMBER_CODES, TEXT_VRS

UTF8: Final = "ISO_IR 192"
MOST_FRAGMENT_BYTES: Final = 0x7FFFFFFE  # even; a video may be longer
_VRS: Final = frozenset((*SHORT_VRS.values(), *LONG_VRS.values()))
_ONE_VALUE: Final = frozenset(("LT", "ST", "UT", "UR"))  # a backslash in them separates nothing
_CODES: Final = {
    **{vr: code for vr, code in NUMBER_CODES.items() if len(vr) == 2 and vr[0] != "O"},
    "SV": "q",
    "UV": "Q",
}
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_HOLDERS: Final = ("Value", "InlineBinary", "BulkDataURI")
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}\Z")
_DS_CHARACTERS: Final = 16
_NOT_FINITE: Final = {"NaN": math.nan, "inf": math.inf, "Infinity": math.inf, "-inf": -math.inf, "-Infinity": -math.inf}
# MPEG2, MPEG-4 and HEVC: all frames are one stream
_VIDEO: Final = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))


class UnfitElement(InvalidDicom):
    """An element of a model cannot be one of a file; the text names it, and not its value."""


class UnfitSyntax(InvalidDicom):
    """Pixels are in a media type or a transfer syntax of which no instance can be made."""


class Extent(NamedTuple):
    """Where bytes lie that somebody else holds."""

    offset: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Bulk:
    """The value of an element. Several extents are frames, or pieces of what is not compressed."""

    extents: Sequence[Extent]
    transfer_syntax: str | None = EXPLICIT_LE  # another one for compressed Pixel Data, None for what cannot be pixels

    @property
    def size_bytes(self) -> int:
        return sum(extent.size_bytes for extent in self.extents)


Part: TypeAlias = bytes | Extent
FindBulk = Callable[[str], Bulk | None]  # by its URI


@dataclass(slots=True)
class ModelWriter:
    """Writes one dataset."""

    find_bulk: FindBulk
    transfer_syntax: str = EXPLICIT_LE
    _left: int = field(default_factory=lambda: limits().elements)

    def write(self, model: Mapping[str, Any]) -> list[Part]:
        """Return the elements of a dataset; `transfer_syntax` is theirs afterwards. Raises UnfitElement, BeyondLimits."""
        return self._dataset({**model, f"{SPECIFIC_CHARACTER_SET:08X}": None}, 0)

    def _dataset(self, model: object, depth: int) -> list[Part]:
        if not isinstance(model, Mapping):
            raise UnfitElement("A dataset must be an object of elements by their tags")
        if depth > MAX_DEPTH:
            raise BeyondLimits("the sequences of the dataset are too deep")
        self._take(1)
        members = sorted(((_read_tag(name), member) for name, member in model.items()), key=itemgetter(0))
        if (twice := next((a for (a, _), (b, _) in pairwise(members) if a == b), None)) is not None:
            raise _unfit(twice, "occurs twice")
        frames = model.get(f"{NUMBER_OF_FRAMES:08X}")
        parts: list[Part] = []
        for tag, member in members:
            if tag & 0xFFFF and tag >> 16 not in {0, 2}:
                parts += self._element(tag, member, depth, frames)
        return parts

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BeyondLimits("the dataset has too many elements and items; MaximumDatasetElements sets the limit")

    def _element(self, tag: int, member: object, depth: int, frames: object) -> list[Part]:
        self._take(1)
        if tag == SPECIFIC_CHARACTER_SET:
            return _plain(tag, "CS", UTF8.encode())
        if not isinstance(member, Mapping):
            raise _unfit(tag, "is no object")
        vr = member.get("vr") or dictionary_vr(tag)
        if not isinstance(vr, str) or vr not in _VRS:
            raise _unfit(tag, "has no VR of DICOM")
        held = [name for name in _HOLDERS if member.get(name) is not None]
        if len(held) > 1:
            raise _unfit(tag, f"has {' and '.join(held)}: one of them is the value (PS3.18 §F.2.2)")
        content = member[held[0]] if held else []
        if held == ["BulkDataURI"]:
            return self._bulk(tag, vr, content, frames)
        if held == ["InlineBinary"]:
            return _plain(tag, vr, _decode(tag, content))
        if not isinstance(content, list):
            raise _unfit(tag, "has a Value that is no list")
        return self._sequence(tag, content, depth) if vr == "SQ" else _plain(tag, vr, _encode(tag, vr, content))

    def _sequence(self, tag: int, items: Iterable[object], depth: int) -> list[Part]:
        parts: list[Part] = []
        for item in items:
            members = self._dataset({} if item is None else item, depth + 1)
            parts += (_header(ITEM, "", _size(members), explicit=False), *members)
        return [_header(tag, "SQ", _size(parts)), *parts]

    def _bulk(self, tag: int, vr: str, uri: object, frames: object) -> list[Part]:
        bulk = self.find_bulk(uri) if isinstance(uri, str) else None
        if bulk is None:
            raise _unfit(tag, "has a BulkDataURI of which no part of the request is the bulk data")
        if vr == "SQ":
            raise _unfit(tag, "is a sequence, which is no bulk data")
        self._take(len(bulk.extents))
        syntax = bulk.transfer_syntax if tag == PIXEL_DATA else EXPLICIT_LE
        if syntax is None:
            raise UnfitSyntax(
                "Pixel Data is of a media type, or in a transfer syntax, of which no instance can be made"
            )
        if syntax != EXPLICIT_LE:
            return self._compressed(bulk.extents, syntax, frames)
        pad = (b" " if vr in TEXT_VRS and vr != "UI" else b"\0") * (bulk.size_bytes & 1)
        return [_header(tag, vr, bulk.size_bytes + len(pad)), *bulk.extents, pad]

    def _compressed(self, frames_given: Sequence[Extent], syntax: str, frames: object) -> list[Part]:
        """Encapsulate codestreams, each frame in a fragment (PS3.5 §A.4); the offset table may be empty then."""
        if self.transfer_syntax not in {EXPLICIT_LE, syntax}:
            raise _unfit(PIXEL_DATA, "occurs in two transfer syntaxes")
        self.transfer_syntax = syntax
        count = _count(frames)
        if not syntax.startswith(_VIDEO) and len(frames_given) != count:
            raise _unfit(PIXEL_DATA, f"has {len(frames_given)} frames as bulk data, and NumberOfFrames says {count}")
        parts: list[Part] = [_header(PIXEL_DATA, "OB", UNDEFINED), _header(ITEM, "", 0, explicit=False)]
        for extent in frames_given:
            for fragment in _fragments(extent):
                odd = fragment.size_bytes & 1
                parts += (_header(ITEM, "", fragment.size_bytes + odd, explicit=False), fragment, bytes(odd))
        return [*parts, _header(SEQUENCE_END, "", 0, explicit=False)]


def _read_tag(name: object) -> int:
    if isinstance(name, str) and _TAG.match(name) and not name.upper().startswith("FFFE"):  # items and delimiters
        return int(name, 16)
    raise UnfitElement("An element must be named by the eight digits of its tag (PS3.18 §F.2.2)")


def _plain(tag: int, vr: str, value: bytes) -> list[Part]:
    value += padding(value, vr)
    return [_header(tag, vr, len(value)) + value]


def _header(tag: int, vr: str, length: int, *, explicit: bool = True) -> bytes:
    if length >= UNDEFINED and tag != PIXEL_DATA:
        raise _unfit(tag, "is longer than a DICOM length can express")
    return element_header(tag, vr, length, explicit=explicit, little=True)


def _size(parts: Iterable[Part]) -> int:
    return sum(part.size_bytes if isinstance(part, Extent) else len(part) for part in parts)


def _fragments(extent: Extent) -> list[Extent]:
    starts = range(0, extent.size_bytes, MOST_FRAGMENT_BYTES) or range(1)
    return [Extent(extent.offset + at, min(MOST_FRAGMENT_BYTES, extent.size_bytes - at)) for at in starts]


def _count(frames: object) -> int:
    value = frames.get("Value") if isinstance(frames, Mapping) else None
    try:
        return int(value[0]) if isinstance(value, list) and value else 1
    except (TypeError, ValueError):
        raise _unfit(NUMBER_OF_FRAMES, "is no number") from None


def _decode(tag: int, text: object) -> bytes:
    if not isinstance(text, str):
        raise _unfit(tag, "has an InlineBinary that is no text")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _unfit(tag, "has an InlineBinary that is not in base64") from None


def _encode(tag: int, vr: str, values: list[Any]) -> bytes:
    if not values:
        return b""
    try:
        if vr in TEXT_VRS:
            return "\\".join(_text(vr, value) for value in values).encode()
        if vr == "AT":
            return b"".join(_tag(value) for value in values)
        if vr in _CODES:
            return pack(f"<{len(values)}{_CODES[vr]}", *(_number(vr, value) for value in values))
    except (TypeError, ValueError, OverflowError, error):
        raise _unfit(tag, f"has a value that does not fit its VR {vr}") from None
    raise _unfit(tag, f"has a Value, which is none for the VR {vr}: that is InlineBinary or BulkDataURI")


def _text(vr: str, value: object) -> str:
    """Raises TypeError, ValueError for what is no value of a VR of text."""
    if value is None:
        return ""
    if vr == "PN":
        return _person(value)
    if isinstance(value, str):
        if "\\" in value and vr not in _ONE_VALUE:
            raise ValueError
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or vr not in {"DS", "IS"}:
        raise TypeError
    if vr == "IS":
        if value != int(value):
            raise ValueError
        return str(int(value))
    return _decimal(value)


def _person(value: object) -> str:
    if isinstance(value, str):  # no form of the model, but one that clients write
        groups = [value]
    elif isinstance(value, Mapping):
        groups = [value.get(name) or "" for name in _GROUPS]
    else:
        raise TypeError
    joined = "=".join(groups).rstrip("=")
    if "\\" in joined:
        raise ValueError
    return joined


def _decimal(value: float) -> str:
    """Return a number as a DS: exactly, or rounded to as many digits as have room (PS3.5 §6.2)."""
    if not math.isfinite(value):
        raise ValueError
    forms = (repr(value), *(f"{value:.{digits}g}" for digits in range(_DS_CHARACTERS, 0, -1)))
    return next(form for form in forms if len(form) <= _DS_CHARACTERS)


def _tag(value: object) -> bytes:
    if not isinstance(value, str) or not _TAG.match(value):
        raise TypeError
    number = int(value, 16)
    return pack("<HH", number >> 16, number & 0xFFFF)


def _number(vr: str, value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if vr in FLOAT_VRS:
        known = _NOT_FINITE.get(value) if isinstance(value, str) else None
        return float(value) if known is None else known
    if isinstance(value, str) and "_" in value:  # Python's own way to write numbers
        raise ValueError
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError
    return number


def _unfit(tag: int, what: str) -> UnfitElement:
    return UnfitElement(f"The element ({format_tag(tag)}) {what}")
