"""Lookup tables of a dataset: plain ones (PS3.3 §C.7.6.3.1.5, §C.11.1.1) and segmented ones of palettes (§C.7.9.2)."""

from array import array
from collections.abc import Sequence
from struct import error, unpack_from
from typing import Final

from store.dicom.elements import Buffer, Element
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.transformations import Lut

MOST_ENTRIES: Final = 1 << 16
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


class TableReader:
    """Reads tables of one dataset."""

    def __init__(self, data: Buffer, *, little: bool) -> None:
        self._data = data
        self._order = "<" if little else ">"

    def read(self, descriptor: Element, values: Element, *, signed: bool, segmented: bool = False) -> Lut:
        """Read a table; `signed` says of what kind the samples are that it is for. Raises UndecodablePixels."""
        count, first, bits = self._describe(descriptor, signed=signed)
        raw = bytes(self._data[values.value : values.value + min(values.length, 4 * MOST_ENTRIES)])
        if segmented:
            width = 2 if bits > 8 else 1
            words: Sequence[int] = _Segments(
                self._words(raw) if width == 2 else self._single_bytes(raw, values.vr), width
            ).expand(count)
        elif len(raw) >= 2 * count:
            words = self._words(raw[: 2 * count])
        elif bits <= 8 and len(raw) >= count:
            words = self._single_bytes(raw, values.vr)[:count]
        else:
            raise UndecodablePixels(f"A lookup table has {len(raw)} bytes for its {count} entries")
        return Lut(first, bits, array("H", list(words)).tobytes())

    def _describe(self, descriptor: Element, *, signed: bool) -> tuple[int, int, int]:
        try:
            count, first, bits = unpack_from(f"{self._order}HHH", self._data, descriptor.value)
        except error as exc:
            raise UndecodablePixels("The descriptor of a lookup table is cut short") from exc
        if descriptor.length < 6 or not 1 <= bits <= 16:
            raise UndecodablePixels(f"The entries of a lookup table have {bits} bits; 8 to 16 can be read")
        return count or MOST_ENTRIES, first - 0x10000 if signed and first & 0x8000 else first, bits

    def _words(self, raw: bytes) -> Sequence[int]:
        return unpack_from(f"{self._order}{len(raw) // 2}H", raw)

    def _single_bytes(self, raw: bytes, vr: str) -> Sequence[int]:
        if self._order == "<" or vr == "OB":
            return raw
        return bytes(raw[at ^ 1] for at in range(len(raw) & ~1))


class _Segments:
    """The segments of a table, in units of one or two bytes, as its entries are."""

    def __init__(self, units: Sequence[int], width: int) -> None:
        self._units = units
        self._width = width
        self._starts: list[int] = []  # of the segments that are no reference
        self._places: dict[int, int] = {}  # start of a segment -> which one it is
        self._entries: list[int] = []

    def expand(self, count: int) -> list[int]:
        """Return the entries. Raises UndecodablePixels."""
        try:
            position = 0
            while position < len(self._units) and len(self._entries) < count:
                position = self._take(position)
        except IndexError as exc:
            raise UndecodablePixels("A segment of a lookup table is cut short") from exc
        if len(self._entries) != count:
            raise UndecodablePixels(
                f"The segments of a lookup table do not have the {count} entries that are announced"
            )
        return self._entries

    def _take(self, position: int) -> int:
        """Add the entries of a segment; returns where the next one begins. Raises IndexError, UndecodablePixels."""
        kind, length = self._units[position], self._units[position + 1]
        if kind == _INDIRECT:
            return self._repeat(position + 2, length)
        if kind not in {_DISCRETE, _LINEAR}:
            raise UndecodablePixels(f"A segment of a lookup table is of the unknown kind {kind}")
        if not length:  # each has some, so a table is as much work as it has entries
            raise UndecodablePixels("A segment of a lookup table has no entries")
        self._places[position] = len(self._starts)
        self._starts.append(position)
        return self._add(position, kind, length)

    def _add(self, position: int, kind: int, length: int) -> int:
        start = position + 2
        if kind == _DISCRETE:
            if start + length > len(self._units):
                raise IndexError
            self._entries += self._units[start : start + length]
            return start + length
        last, target = self._entries[-1], self._units[start]
        self._entries += [last + round((target - last) * step / length) for step in range(1, length + 1)]
        return start + 1

    def _repeat(self, position: int, count: int) -> int:
        """Add the entries of so many segments from a place on, which is given in bytes (PS3.3 §C.7.9.2.3)."""
        halves = [self._units[position + at] for at in range(4 // self._width)]
        start = sum(half << 8 * self._width * at for at, half in enumerate(halves)) // self._width
        first = self._places.get(start)
        if first is None:
            raise UndecodablePixels("A segment of a lookup table refers to what is no segment")
        for each in self._starts[first : first + count]:
            self._add(each, self._units[each], self._units[each + 1])
            if len(self._entries) > MOST_ENTRIES:
                raise UndecodablePixels("The segments of a lookup table have too many entries")
        return position + len(halves)
