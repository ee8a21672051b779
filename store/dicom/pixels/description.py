"""What a dataset says of its pixels, as a value; without the dictionary, which a codec's process has no need to load."""

from dataclasses import dataclass
from typing import TypeAlias

from events.errors import InvalidDicom

Extent: TypeAlias = tuple[int, int]  # offset in the file, length
Frame: TypeAlias = tuple[Extent, ...]


class UndecodablePixels(InvalidDicom):
    """The pixels of an instance cannot be had, or not without a doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """The pixels as the dataset announces them. Planar Configuration is no part: it is that of native pixels alone."""

    frames: int
    rows: int
    columns: int
    samples: int  # of a pixel
    bits_allocated: int  # 8, 16 or 32
    bits_stored: int
    high_bit: int
    signed: bool
    photometric_interpretation: str

    @property
    def frame_bytes(self) -> int:
        """The size of a decoded frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8
