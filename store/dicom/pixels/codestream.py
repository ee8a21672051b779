"""What a compressed frame says of itself, in its own headers."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from store.dicom.pixels.description import PixelDescription, UndecodablePixels

_FAMILY: Final = "1.2.840.10008.1.2.4."
RLE: Final = frozenset({"1.2.840.10008.1.2.5"})
JPEG: Final = frozenset(_FAMILY + number for number in ("50", "51", "57", "70"))
JPEG_LS: Final = frozenset(_FAMILY + number for number in ("80", "81"))
JPEG_2000: Final = frozenset(_FAMILY + number for number in ("90", "91", "201", "202", "203"))
DECODABLE: Final = RLE | JPEG | JPEG_LS | JPEG_2000


class Coding(Enum):
    """How samples are coded."""

    RUNS = "RLE"
    DCT = "JPEG"  # with loss, colours mostly as YCbCr
    PREDICTED = "JPEG Lossless"
    JPEG_LS = "JPEG-LS"
    WAVELET = "JPEG 2000"


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


def read_codestream(frame: bytes, syntax: str, described: PixelDescription) -> Codestream:
    """Read the headers of a frame in a transfer syntax, and prove that it goes on to its end, and no further.

    Raises UndecodablePixels.
    """
    from store.dicom.pixels.jpeg import read_jpeg, read_jpeg_ls
    from store.dicom.pixels.jpeg2000 import read_jpeg_2000
    from store.dicom.pixels.rle import read_rle

    if syntax in RLE:
        return read_rle(frame, described)
    if syntax in JPEG:
        found = read_jpeg(frame, is_lossless=syntax.endswith(("57", "70")))
    elif syntax in JPEG_LS:
        found = read_jpeg_ls(frame)
    elif syntax in JPEG_2000:
        found = read_jpeg_2000(frame)
    else:
        raise UndecodablePixels(f"Pixels in {syntax or 'an unknown transfer syntax'} cannot be decoded")
    if frame[found.size_bytes :].strip(b"\0\xff"):  # both are seen as padding
        raise UndecodablePixels("Something follows the end of a frame: there may be more frames than announced")
    return found
