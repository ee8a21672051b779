"""What a dataset says of its pixels, as a value; without the dictionary, which a codec's process has no need to load."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from events.errors import InvalidDicom

Extent: TypeAlias = tuple[int, int]  # offset in the file, length


class Frame(NamedTuple):
    """Where one frame lies in a file."""

    extents: tuple[Extent, ...]
    skipped_bits: int = 0  # at the beginning: uncompressed frames may begin within a byte or a word


class UndecodablePixels(InvalidDicom):
    """The pixels of an instance cannot be had, or not without a doubt."""


class NoPixels(UndecodablePixels):
    """An instance is no image."""


class NativeLayout(NamedTuple):
    """How the samples of uncompressed pixels lie in a file."""

    planar: bool = False  # color by plane
    subsampled: bool = False  # two pixels share their CB and CR: Y1 Y2 CB CR (PS3.3 §C.7.6.3.1.2)
    word_bytes: int = 1  # of the words whose bytes are in reverse order


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelDescription:
    """The pixels as the dataset announces them. Planar Configuration is that of native pixels alone."""

    frames: int
    rows: int
    columns: int
    samples: int  # of a pixel
    bits_allocated: int  # 1, 8, 16 or 32; of floating point 32 or 64
    bits_stored: int
    high_bit: int
    signed: bool
    photometric_interpretation: str
    floating: bool = False
    native: NativeLayout | None = None  # None: the pixels are compressed

    @property
    def sample_bytes(self) -> int:
        """The size of a decoded sample; that of a single bit is a byte."""
        return max(8, self.bits_allocated) // 8

    @property
    def frame_bytes(self) -> int:
        """The size of a decoded frame."""
        return self.rows * self.columns * self.samples * self.sample_bytes
