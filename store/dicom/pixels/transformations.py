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

    kind: str  # "preview", "rendered", "image-uint8", "image-uint16", "image-int16"
    media_type: str
    quality: int = 90  # of JPEG, 1 to 100
    width: int = 0  # to fit into, 0 for any; of "rendered" alone, as the next two
    height: int = 0
    smooth: bool = False

    def fitted(self, rows: int, columns: int) -> tuple[int, int]:
        """Return the size that an image becomes: the greatest within what is told, its proportions kept."""
        ratios = [told / size for told, size in ((self.height, rows), (self.width, columns)) if told]
        if self.kind != "rendered" or not ratios:
            return rows, columns
        ratio = min(ratios)
        return max(1, int(rows * ratio + 0.5)), max(1, int(columns * ratio + 0.5))

    def pack(self) -> tuple[Any, ...]:
        return self.kind, self.media_type, self.quality, self.width, self.height, self.smooth

    @classmethod
    def unpack(cls, values: tuple[Any, ...]) -> Self:
        return cls(**dict(zip(cls.__dataclass_fields__, values, strict=True)))
