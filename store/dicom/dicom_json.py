"""A dataset as DICOM JSON (PS3.18 Annex F), as Orthanc 1.12.7 writes it: text is split at backslashes whatever its VR, DS stays text,
an IS that is no number and an item without elements are left out, and so are encapsulated pixels.

Unlike there, OD, OF, OL and OV are binary and numbers that are not finite are text, as PS3.18 F.2 has them.
"""

import base64
import math
from array import array
from collections.abc import Iterable
from typing import Any, Final

from events.errors import InvalidRequest
from store.dicom.charsets import Charset
from store.dicom.dictionary import known_in
from store.dicom.elements import Buffer, Element, in_order, read_elements
from store.dicom.limits import large_datasets
from store.dicom.part10 import open_part10
from store.dicom.private_blocks import creator_of, find_creators, typed
from store.dicom.rendering import dataset_charset, item_charset
from store.dicom.tags import PIXEL_REPRESENTATION
from store.dicom.values import NUMBER_VRS, TEXT_VRS, strip_padding, text

Json = dict[str, Any]

# Of binary values and text in one answer, which is made in memory; base64 makes 4 bytes of 3. A value of many counts as some bytes more
# than it has: it takes 60 to 150 while the answer is made.
MAX_BYTES: Final = 64 << 20
ONE_VALUE_BYTES: Final = 16
_WORDS: Final = {
    "OW": "H",
    "OF": "I",
    "OL": "I",
    "OD": "Q",
    "OV": "Q",
    "SV": "q",
    "UV": "Q",
}  # codes of the module `array`
BINARY_VRS: Final = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))  # that have no text
_PERSON: Final = ("Alphabetic", "Ideographic", "Phonetic")
_INTEGERS: Final = frozenset(("US", "SS", "UL", "SL"))


class TooLargeForJson(InvalidRequest):
    """The values of a file are more than is put into one answer."""


def render_dicom_json(data: Buffer, *, default_encoding: str = "Latin1") -> Json:
    """The dataset of a DICOM file as an object of the DICOM JSON Model. Raises: InvalidDicom, TooLargeForJson, Busy."""
    file = open_part10(data)
    with large_datasets.scope():
        elements = in_order(read_elements(file.data, file.start, file.syntax))
        charset = dataset_charset(file, elements, default_encoding)
        return Renderer(file.data).dataset(elements, charset, little=file.syntax.little, explicit=file.syntax.explicit)


class Renderer:
    """Renders datasets that lie in one buffer; binary values as BulkDataURI where `bulk` says what their paths follow."""

    def __init__(self, data: Buffer, bulk: str | None = None) -> None:
        self._data = data
        self._bulk = bulk
        self._room_bytes = MAX_BYTES

    def dataset(
        self,
        elements: Iterable[Element],
        charset: Charset,
        depth: int = 0,
        path: str = "",
        *,
        little: bool,
        explicit: bool,
    ) -> Json:
        creators = find_creators(self._data, elements)
        elements = typed(self._data, in_order(elements), creators, depth, explicit=explicit, little=little)
        pixels = self._pixel_vr(elements, little=little)
        rendered: Json = {}
        for element in elements:
            # Group lengths have no place in JSON (PS3.18 F.2.2).
            if element.fragments is None and element.tag & 0xFFFF and element.tag >> 16 > 2:
                vr = _vr(element, creator_of(element, creators), pixels)
                name = f"{element.tag:08X}"
                place = f"{path}{name.lower()}"
                rendered[name] = {"vr": vr} | self._value(element, vr, charset, depth, place, little=little)
        return rendered

    def _pixel_vr(self, elements: Iterable[Element], *, little: bool) -> str:
        """The VR of what has the sign of pixels, in implicit VR."""
        for element in elements:
            if element.tag == PIXEL_REPRESENTATION:
                return "SS" if self._raw(element)[0 if little else -1 :][:1] == b"\1" else "US"
        return "US"

    def _value(self, element: Element, vr: str, charset: Charset, depth: int, path: str, *, little: bool) -> Json:
        if element.items is not None:
            items = [
                self.dataset(
                    item.elements,
                    item_charset(self._data, item, charset),
                    depth + 1,
                    f"{path}/{number}/",
                    little=item.little,
                    explicit=item.explicit,
                )
                for number, item in enumerate(element.items, 1)
            ]
            return {"Value": [item for item in items if item]} if items else {}
        if not element.length:
            return {}
        if self._bulk is not None and vr in BINARY_VRS:
            return {"BulkDataURI": self._bulk + path}
        raw = self._raw(element)
        if vr in NUMBER_VRS:
            shown = text(raw, element.tag, vr, charset, little)
            return {} if shown is None else {"Value": [number_json(part, vr) for part in self._parts(shown)]}
        if vr in {"AT", "SV", "UV"}:
            self._take(len(raw) // 4 * ONE_VALUE_BYTES)
        if vr in {"SV", "UV"}:
            return {"Value": array(_WORDS[vr], _little(raw[: len(raw) // 8 * 8], vr, little=little)).tolist()}
        if vr == "AT":
            return {"Value": _tags(raw, little=little)}
        if vr in TEXT_VRS:
            shown = text(raw, element.tag, vr, charset, little) if strip_padding(raw, vr) else None
            if not shown:
                return {}
            parts = self._parts(shown)
            if (
                vr == "DS" and self._bulk is not None
            ):  # blanks around a number: the plugin takes them off, `/file` does not
                parts = [part.strip(" ") for part in parts]
            return {"Value": texts_json(parts, vr)}
        return {"InlineBinary": base64.b64encode(_little(raw, vr, little=little)).decode("ascii")}

    def _raw(self, element: Element) -> bytes:
        self._take(element.length)
        return bytes(self._data[element.value : element.value + element.length])

    def _parts(self, shown: str) -> list[str]:
        self._take(shown.count("\\") * ONE_VALUE_BYTES)
        return shown.split("\\")

    def _take(self, size_bytes: int) -> None:
        self._room_bytes -= size_bytes
        if self._room_bytes < 0:
            raise TooLargeForJson(f"The values are more than {MAX_BYTES >> 20} MiB: ask for application/dicom")


def _vr(element: Element, creator: str | None, pixels: str) -> str:
    """The VR as which an element is shown; `pixels` is that of values that have the sign of pixels."""
    if element.vr == "UN":
        known = known_in(element.tag, creator).vr
        return known if known in TEXT_VRS else "UN"
    return element.vr if len(element.vr) == 2 else pixels if "SS" in element.vr else "OW"


def number_json(shown: str, vr: str) -> int | float | str:
    if vr in _INTEGERS:
        return int(shown)
    value = float(shown)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _tags(raw: bytes, *, little: bool) -> list[str]:
    words = array("H", _little(raw[: len(raw) // 4 * 4], "OW", little=little))
    return [f"{group:04X}{number:04X}" for group, number in zip(words[::2], words[1::2], strict=True)]


def texts_json(parts: list[str], vr: str) -> list[Any]:
    if vr == "PN":
        return [_person(part) for part in parts]
    if vr == "IS":
        return [int(part) for part in parts if _is_integer(part.strip())]
    return [part or None for part in parts]


def _is_integer(part: str) -> bool:
    digits = part[1:] if part[:1] in {"+", "-"} else part
    return digits.isascii() and digits.isdigit() and len(digits) <= 12  # what an IS may have (PS3.5 §6.2)


def _person(part: str) -> dict[str, str] | None:
    return {name: group for name, group in zip(_PERSON, part.split("="), strict=False) if group} or None


def _little(raw: bytes, vr: str, *, little: bool) -> bytes:
    """Values in little endian, in which they stand in JSON (PS3.18 F.2.7)."""
    if little or vr not in _WORDS:
        return raw
    words = array(_WORDS[vr], raw[: len(raw) // array(_WORDS[vr]).itemsize * array(_WORDS[vr]).itemsize])
    words.byteswap()
    return words.tobytes()
