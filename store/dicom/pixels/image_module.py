"""The Image Pixel modules of a dataset (PS3.3 §C.7.6.3, §C.7.6.24, §C.7.6.25), and how many frames there are."""

from collections.abc import Sequence
from typing import Final, Literal

from store.dicom import tags
from store.dicom.elements import Buffer, Element
from store.dicom.pixels.description import PixelDescription, UndecodablePixels

_NAMES: Final = {
    tags.SAMPLES_PER_PIXEL: "Samples per Pixel",
    tags.PHOTOMETRIC_INTERPRETATION: "Photometric Interpretation",
    tags.PLANAR_CONFIGURATION: "Planar Configuration",
    tags.NUMBER_OF_FRAMES: "Number of Frames",
    tags.ROWS: "Rows",
    tags.COLUMNS: "Columns",
    tags.BITS_ALLOCATED: "Bits Allocated",
    tags.BITS_STORED: "Bits Stored",
    tags.HIGH_BIT: "High Bit",
    tags.PIXEL_REPRESENTATION: "Pixel Representation",
}


# Pixel Data elements of floating point -> bits of a sample
FLOATING: Final = {tags.FLOAT_PIXEL_DATA: 32, tags.DOUBLE_FLOAT_PIXEL_DATA: 64}
MODULE_TAGS: Final = frozenset({*_NAMES, *FLOATING, tags.PIXEL_DATA})


def describe_pixels(data: Buffer, elements: Sequence[Element], *, little: bool = True) -> PixelDescription:
    """Read the description from the elements of a dataset. Raises UndecodablePixels."""
    reader = _Reader(data, elements, little=little)
    floating = next((FLOATING[element.tag] for element in elements if element.tag in FLOATING), 0)
    if any(element.tag == tags.PIXEL_DATA for element in elements):
        floating = 0
    bits_stored = floating or reader.number(tags.BITS_STORED)
    described = PixelDescription(
        frames=reader.frames(),
        rows=reader.number(tags.ROWS),
        columns=reader.number(tags.COLUMNS),
        samples=reader.number(tags.SAMPLES_PER_PIXEL),
        bits_allocated=reader.number(tags.BITS_ALLOCATED),
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if floating else reader.number(tags.HIGH_BIT, bits_stored - 1),
        signed=not floating and reader.number(tags.PIXEL_REPRESENTATION, 0) == 1,
        photometric_interpretation=reader.text(tags.PHOTOMETRIC_INTERPRETATION).upper(),
        floating=bool(floating),
    )
    _refuse_nonsense(described)
    return described


def is_planar(data: Buffer, elements: Sequence[Element], *, little: bool = True) -> bool:
    """Tell whether native samples of colours are said to lie plane by plane. Raises UndecodablePixels."""
    return _Reader(data, elements, little=little).number(tags.PLANAR_CONFIGURATION, 0) == 1


def _refuse_nonsense(described: PixelDescription) -> None:
    if not described.rows or not described.columns:
        raise UndecodablePixels("An image has no rows or no columns")
    allowed = {32, 64} if described.floating else {1, 8, 16, 32}
    if described.bits_allocated not in allowed:
        raise UndecodablePixels(
            f"Bits Allocated is {described.bits_allocated}; {', '.join(map(str, sorted(allowed)))} can be decoded"
        )
    if not 0 < described.bits_stored <= described.bits_allocated:
        raise UndecodablePixels(
            f"Bits Stored is {described.bits_stored} where {described.bits_allocated} are allocated"
        )
    if not described.bits_stored - 1 <= described.high_bit < described.bits_allocated:
        raise UndecodablePixels(f"High Bit is {described.high_bit} where {described.bits_stored} bits are stored")
    if described.samples not in {1, 3}:
        raise UndecodablePixels(f"Samples per Pixel is {described.samples}; 1 and 3 can be decoded")


class _Reader:
    """Reads values of the top level; of an element that occurs twice the first, as everywhere."""

    def __init__(self, data: Buffer, elements: Sequence[Element], *, little: bool) -> None:
        self._data = data
        self._order: Literal["little", "big"] = "little" if little else "big"
        self._elements = {element.tag: element for element in reversed(elements) if element.tag in _NAMES}

    def number(self, tag: int, default: int | None = None) -> int:
        raw = self._raw(tag)
        if not raw and default is not None:
            return default
        if len(raw) < 2:
            raise UndecodablePixels(f"{_NAMES[tag]} is missing")
        return int.from_bytes(raw[:2], self._order)

    def text(self, tag: int) -> str:
        return self._raw(tag).decode("ascii", "replace").strip("\0 ")

    def frames(self) -> int:
        told = self.text(tags.NUMBER_OF_FRAMES)
        if not told:
            return 1
        if not told.removeprefix("+").isdecimal() or len(told) > 12:
            raise UndecodablePixels("Number of Frames is no number of frames")
        return int(told) or 1  # DCMTK and Orthanc read 0 as 1; the codestream shows whether there are more

    def _raw(self, tag: int) -> bytes:
        element = self._elements.get(tag)
        return b"" if element is None else bytes(self._data[element.value : element.value + min(element.length, 64)])
