"""Which transfer syntaxes can be decoded, and PNG, and how the headers of their frames are read."""

from typing import Final

from store.dicom.pixels.codestream import Codestream
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.pixels.jpeg import read_jpeg, read_jpeg_ls
from store.dicom.pixels.jpeg2000 import read_jpeg_2000
from store.dicom.pixels.jpeg_xl import read_jpeg_xl
from store.dicom.pixels.png import PNG_IMAGE, read_png
from store.dicom.pixels.rle import read_rle
from store.dicom.uids import JPEG_FAMILY, RLE_LOSSLESS

RLE: Final = frozenset({RLE_LOSSLESS})
JPEG: Final = frozenset(JPEG_FAMILY + number for number in ("50", "51", "57", "70"))
JPEG_LS: Final = frozenset(JPEG_FAMILY + number for number in ("80", "81"))
JPEG_2000: Final = frozenset(JPEG_FAMILY + number for number in ("90", "91", "201", "202", "203"))
JPEG_XL: Final = frozenset(JPEG_FAMILY + number for number in ("110", "112"))
DECODABLE: Final = RLE | JPEG | JPEG_LS | JPEG_2000 | JPEG_XL


def read_codestream(frame: bytes, syntax: str, described: PixelDescription) -> Codestream:
    """Read the headers of a frame in a transfer syntax, and prove that it goes on to its end, and no further.

    Raises UndecodablePixels.
    """
    if syntax in RLE:
        return read_rle(frame, described)
    if syntax in JPEG:
        found = read_jpeg(frame, is_lossless=syntax.endswith(("57", "70")))
    elif syntax in JPEG_LS:
        found = read_jpeg_ls(frame)
    elif syntax == PNG_IMAGE:
        found = read_png(frame)
    elif syntax in JPEG_2000:
        found = read_jpeg_2000(frame)
    elif syntax in JPEG_XL:
        found = read_jpeg_xl(frame)
    else:
        raise UndecodablePixels(f"Pixels in {syntax or 'an unknown transfer syntax'} cannot be decoded")
    # What makes the length even may be anything: DCMTK's JPEG-LS does not set it. Of more, both of these are seen as padding.
    if frame[found.size_bytes + (found.size_bytes & 1) :].strip(b"\0\xff"):
        raise UndecodablePixels("Something follows the end of a frame: there may be more frames than announced")
    return found
