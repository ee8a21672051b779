"""Decoded pixels as arrays of numbers: the stored bits of gray samples, and colours as RGB."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.pixels.transformations import Lut, Transformations

_GRAYS: Final = frozenset({"MONOCHROME1", "MONOCHROME2"})


@dataclass(frozen=True, slots=True)
class Samples:
    """One frame: `rows, columns` of gray samples, or `rows, columns, 3` of RGB."""

    values: Any
    bits: int  # of a sample; 1 to 32, or 64
    is_inverted: bool = False  # the least sample is white

    @property
    def is_gray(self) -> bool:
        return bool(self.values.ndim == 2)

    @property
    def is_integer(self) -> bool:
        return bool(self.values.dtype.kind != "f")


def read_samples(pixels: Any, label: str, described: PixelDescription, transformed: Transformations) -> Samples:
    """Read decoded pixels, an array of bytes. Raises UndecodablePixels for colours that nobody can tell."""
    kind = "f" if described.floating else "i" if described.signed else "u"
    values = pixels.view(f"<{kind}{described.sample_bytes}")
    shape = (described.rows, described.columns, described.samples)
    if described.bits_allocated == 1:
        return Samples(values.reshape(shape[:2]) * 255, 1, is_inverted=label == "MONOCHROME1")
    if not described.floating:
        values = _stored_bits(values, described)
    if described.samples == 1:
        values = values.reshape(shape[:2])
        if label == "PALETTE COLOR":
            return _through_palette(values, transformed)
        if label in _GRAYS:
            return Samples(values, described.bits_stored, is_inverted=label == "MONOCHROME1")
    elif not described.signed and not described.floating and label in _COLOURS:
        return Samples(_COLOURS[label](values.reshape(shape), described.bits_stored), described.bits_stored)
    raise UndecodablePixels(f"Pixels of {described.samples} samples in {label[:16]!r} cannot be shown")


def _stored_bits(values: Any, described: PixelDescription) -> Any:
    """The samples without what lies above or below them in their words (PS3.5 §8.1.1), their signs extended."""
    stored, allocated = described.bits_stored, described.bits_allocated
    below, above = described.high_bit + 1 - stored, allocated - described.high_bit - 1
    if not below and not above:
        return values
    return values << above >> above + below  # arithmetically, if signed


def look_up(values: Any, lut: Lut) -> Any:
    """Return for each integer the entry of a table, words of 16 bits."""
    numpy: Any = import_module("numpy")
    entries = numpy.frombuffer(lut.entries, "<u2")
    places = numpy.clip(values.astype("i8") - lut.first, 0, len(entries) - 1)
    return entries[places]


def _through_palette(values: Any, transformed: Transformations) -> Samples:
    """Colours of 8 bits, the upper ones of those that have more."""
    if transformed.palette is None:
        raise UndecodablePixels("The instance lacks the palette of its colours")
    numpy: Any = import_module("numpy")
    colours = numpy.empty((*values.shape, 3), "u1")
    for place, lut in enumerate(transformed.palette):
        eight = numpy.frombuffer(lut.entries, "<u2") >> (lut.bits - 8 if lut.bits > 8 else 0)
        colours[..., place] = look_up(values, lut._replace(entries=eight.astype("<u2").tobytes()))
    return Samples(colours, 8)


def _from_ybr(values: Any, bits: int, *, partial: bool = False) -> Any:
    """RGB of YBR (PS3.3 §C.7.6.3.1.2; ITU-R BT.601), rounded."""
    numpy: Any = import_module("numpy")
    middle, top, unit = 1 << (bits - 1), (1 << bits) - 1, 1 << bits - 8 if bits > 8 else 1
    y, blue, red = (values[..., at].astype("f4") for at in range(3))
    blue, red = blue - middle, red - middle
    if partial:  # black is 16, white 235; colours reach from 16 to 240
        y = (y - 16 * unit) * numpy.float32(255 / 219)
        blue, red = blue * numpy.float32(255 / 224), red * numpy.float32(255 / 224)
    rgb = numpy.stack((y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue), axis=-1)
    return numpy.clip(numpy.rint(rgb), 0, top).astype(values.dtype)


_COLOURS: Final[dict[str, Callable[[Any, int], Any]]] = {
    "RGB": lambda values, _: values,
    "YBR_FULL": _from_ybr,
    "YBR_PARTIAL_422": lambda values, bits: _from_ybr(values, bits, partial=True),
}
