"""Which media types hold pixels of which transfer syntaxes, the default of each first (PS3.18 tables 8.7.3-2 to 8.7.3-5)."""

from collections.abc import Mapping
from typing import Final

from store.dicom.uids import JPEG_FAMILY, RLE_LOSSLESS

DICOM: Final = "application/dicom"
OCTETS: Final = "application/octet-stream"
ZIP: Final = "application/zip"
AS_STORED: Final = "*"  # as a transfer syntax


def _family(*numbers: str) -> tuple[str, ...]:
    return tuple(JPEG_FAMILY + number for number in numbers)


IMAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "image/jpeg": _family("70", "50", "51", "57"),
    "image/dicom-rle": (RLE_LOSSLESS,),
    "image/jls": _family("80", "81"),
    "image/jp2": _family("90", "91"),
    "image/jpx": _family("92", "93"),
    "image/jphc": _family("201", "202", "203"),
    "image/jxl": _family("110", "111", "112"),
}
VIDEOS: Final[Mapping[str, tuple[str, ...]]] = {
    "video/mpeg": _family("100", "101", "100.1", "101.1"),
    "video/mp4": _family("102", "103", "104", "105", "106", "102.1", "103.1", "104.1", "105.1", "106.1"),
    "video/h265": _family("107", "108"),
}
SYNTAXES: Final = {**IMAGES, **VIDEOS}
_TYPES: Final = {syntax: kind for kind, syntaxes in SYNTAXES.items() for syntax in syntaxes}


def media_type_of(transfer_syntax: str) -> str:
    """Return the type of pixels as they lie in a file of a transfer syntax: that of bytes for what is not compressed."""
    return _TYPES.get(transfer_syntax, OCTETS)


def with_syntax(media_type: str, transfer_syntax: str) -> str:
    """Return a type that names the transfer syntax, as parts of an answer do (PS3.18 §8.7.3.3)."""
    return f"{media_type}; transfer-syntax={transfer_syntax}"
