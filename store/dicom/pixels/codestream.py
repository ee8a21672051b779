"""What a compressed frame says of itself, in its own headers."""

from dataclasses import dataclass
from enum import Enum


class Coding(Enum):
    """How samples are coded."""

    RUNS = "RLE"
    DCT = "JPEG"  # with loss, colours mostly as YCbCr
    PREDICTED = "JPEG Lossless"
    JPEG_LS = "JPEG-LS"
    WAVELET = "JPEG 2000"
    MODULAR = "JPEG XL"
    PNG = "PNG"  # no coding of DICOM: of images that become instances


class Colour(Enum):
    """What a codestream says of its three components."""

    SILENT = "nothing"
    RGB = "RGB"
    YCC = "YCbCr"  # to be converted by who reads it
    TRANSFORMED = "a component transform"  # undone by every decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """One frame's codestream."""

    coding: Coding
    rows: int
    columns: int
    samples: int
    bits: int  # of a sample
    signed: bool = False
    colour: Colour = Colour.SILENT
    is_subsampled: bool = False  # components have fewer samples than pixels
    interleave: int = 0  # of JPEG-LS: 0 plane by plane, 1 by lines, 2 by samples
    size_bytes: int  # up to the end of the codestream; behind it is padding
    segments: tuple[tuple[int, int], ...] = ()  # of RLE: (offset, length)
