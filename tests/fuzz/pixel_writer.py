"""Datasets written element by element in any uncompressed form and in fragments, so that nothing stands in the way of nonsense."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.dicom_bytes import MR, uid
from tests.native_pixels import BIG, DEFLATED, EXPLICIT, GE, IMPLICIT, turned
from tests.pixel_files import fragment

_LONG: Final = frozenset({"OB", "OD", "OF", "OW", "SQ", "UN"})
_WORDS: Final = {"OW": 2, "OF": 4, "OD": 8}
_UNDEFINED: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010

Elements = dict[
    int, tuple[str, Any]
]  # tag -> VR, value: a number or several, bytes as they stand, or the items of a sequence


@dataclass(slots=True)
class Encapsulated:
    """Pixels in fragments."""

    frames: list[list[bytes]]
    table: Sequence[int] = ()

    def fragments(self) -> bytes:
        table = struct.pack(f"<{len(self.table)}I", *self.table)
        parts = [table, *(part for frame in self.frames for part in frame)]
        return b"".join(map(fragment, parts)) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@dataclass(slots=True)
class Writer:
    """Writes elements of one transfer syntax."""

    syntax: str
    _order: str = field(init=False)

    def __post_init__(self) -> None:
        self._order = ">" if self.syntax == BIG else "<"

    def file(self, elements: Elements, instance: int) -> bytes:
        """A whole file of patient 9; the elements that identify it are there in any case."""
        identified: Elements = {
            0x00080016: ("UI", MR.encode()),
            0x00080018: ("UI", uid(9, 1, 1, instance).encode()),
            0x00100020: ("LO", b"PAT9"),
            0x0020000D: ("UI", uid(9, 1).encode()),
            0x0020000E: ("UI", uid(9, 1, 1).encode()),
        }
        named = {0x00020002: MR, 0x00020003: uid(9, 1, 1, instance), 0x00020010: self.syntax}
        head = Writer(EXPLICIT).dataset({tag: ("UI", name.encode()) for tag, name in named.items()})
        body = self.dataset(identified | elements)
        if self.syntax == DEFLATED:
            packed = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
            body = packed.compress(body) + packed.flush()
        length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(head))
        return bytes(128) + b"DICM" + length + head + body

    def dataset(self, elements: Mapping[int, tuple[str, Any]]) -> bytes:
        return b"".join(self._element(tag, *elements[tag]) for tag in sorted(elements))

    def _element(self, tag: int, vr: str, value: Any) -> bytes:
        if isinstance(value, Encapsulated):
            return self._header(tag, vr, _UNDEFINED) + value.fragments()
        raw = self._raw(vr, value)
        raw += (b"\0" if vr in _LONG or vr == "UI" else b" ") * (len(raw) & 1)
        if vr in _WORDS and (self.syntax == BIG or (self.syntax == GE and tag == PIXEL_DATA)):
            raw = turned(raw, _WORDS[vr])
        return self._header(tag, vr, len(raw)) + raw

    def _raw(self, vr: str, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if vr == "SQ":
            items = (self.dataset(item) for item in value)
            return b"".join(struct.pack(f"{self._order}HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
        numbers = (value,) if isinstance(value, int) else tuple(value)
        return struct.pack(f"{self._order}{len(numbers)}H", *(number & 0xFFFF for number in numbers))

    def _header(self, tag: int, vr: str, length: int) -> bytes:
        head = struct.pack(f"{self._order}HH", tag >> 16, tag & 0xFFFF)
        if self.syntax in {IMPLICIT, GE}:
            return head + struct.pack("<I", length)
        if vr in _LONG:
            return head + vr.encode() + struct.pack(f"{self._order}HI", 0, length)
        return head + vr.encode() + struct.pack(f"{self._order}H", min(length, 0xFFFF))
