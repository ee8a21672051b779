"""What a dataset wants done to samples before they are looked at, as values (PS3.3 §C.7.6.3, §C.11.1, §C.11.2).

And what is wanted of a frame: a rendition. Without the dictionary, which a codec's process has no need to load.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self


class Lut(NamedTuple):
    """A lookup table."""

    first: int  # the sample that the first entry stands for; smaller ones have the first entry, greater ones the last
    bits: int  # of an entry
    entries: bytes  # words of 16 bits in little endian


class Window(NamedTuple):
    """Which values become black, white and what is between them."""

    center: float
    width: float
    function: str = "LINEAR"  # or LINEAR_EXACT, SIGMOID
    is_standard: bool = False  # as PS3.3 §C.11.2.1 has it and rounded; else as Orthanc does


class Crop(NamedTuple):
    """A part of a picture, from its upper left corner: in pixels, or in fractions of its size."""

    left: float = 0.0
    top: float = 0.0
    width: float | None = None  # None: to the edge
    height: float | None = None
    is_fraction: bool = False

    def within(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        """Return the first row, the one behind the last, and the same of columns; nothing lies beyond the edges. Empty where all does."""
        down, across = (rows, columns) if self.is_fraction else (1, 1)
        top, bottom = _span(self.top * down, None if self.height is None else self.height * down, rows)
        left, right = _span(self.left * across, None if self.width is None else self.width * across, columns)
        return top, bottom, left, right


def _span(start: float, length: float | None, size: int) -> tuple[int, int]:
    """Whole pixels, at least one, where any of them are there."""
    first = int(min(start + 0.5, size))
    end = size if length is None else int(min(start + length + 0.5, size))
    return first, min(max(end, first + 1), size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformations:
    """From stored samples to what is shown."""

    slope: float = 1.0
    intercept: float = 0.0
    modality: Lut | None = None  # instead of slope and intercept
    window: Window | None = None
    voi: Lut | None = None  # where there is no window
    palette: tuple[Lut, Lut, Lut] | None = None  # red, green, blue

    def pack(self) -> tuple[Any, ...]:
        return self.slope, self.intercept, self.modality, self.window, self.voi, self.palette

    @classmethod
    def unpack(cls, values: tuple[Any, ...]) -> Self:
        slope, intercept, modality, window, voi, palette = values
        return cls(
            slope=slope,
            intercept=intercept,
            modality=modality and Lut(*modality),
            window=window and Window(*window),
            voi=voi and Lut(*voi),
            palette=palette and (Lut(*palette[0]), Lut(*palette[1]), Lut(*palette[2])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """A picture that is wanted of a frame."""

    # "preview", "rendered", "image-uint8", "image-uint16", "image-int16"; or "shown": "rendered" where the instance says a window, else "preview"
    kind: str
    media_type: str
    quality: int = 90  # of JPEG, 1 to 100
    width: int = 0  # to fit into, 0 for any; of "preview" and "rendered", as all that follows
    height: int = 0
    smooth: bool = False
    crop: Crop | None = None  # before all else, so that the full range is that of the part
    is_mirrored: bool = False  # left and right
    is_upside_down: bool = False

    def fitted(self, rows: int, columns: int) -> tuple[int, int]:
        """Return the size that an image, or its part, becomes: the greatest within what is told, its proportions kept."""
        if self.crop is not None:
            top, bottom, left, right = self.crop.within(rows, columns)
            rows, columns = bottom - top, right - left
        if not rows * columns:
            return rows, columns
        ratios = [told / size for told, size in ((self.height, rows), (self.width, columns)) if told]
        if not ratios:
            return rows, columns
        ratio = min(ratios)
        return max(1, int(rows * ratio + 0.5)), max(1, int(columns * ratio + 0.5))

    def pack(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__dataclass_fields__)

    @classmethod
    def unpack(cls, values: tuple[Any, ...]) -> Self:
        named = dict(zip(cls.__dataclass_fields__, values, strict=True))
        return cls(**named | {"crop": named["crop"] and Crop(*named["crop"])})
