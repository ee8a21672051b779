"""Transfer syntaxes, as far as reading the structure of a file needs them (PS3.5 §10, Annex A).

Source: PS3.6 Table A-1.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

from store.dicom import uids
from store.dicom.standard_tables import read_constants


@dataclass(frozen=True, slots=True)
class Syntax:
    """How the bytes of a dataset are to be read."""

    explicit: bool = True
    little: bool = True
    deflated: bool = False
    encapsulated: bool = False  # the top level's Pixel Data must be fragments


# What pynetdicom lacks: retired processes of JPEG, and what is about documents or frames of a device.
_LACKING: Final = (
    uids.ENCAPSULATED_UNCOMPRESSED,
    *(f"{uids.JPEG_FAMILY}{number}" for number in (*range(52, 57), *range(58, 67))),
    *(f"{uids.TRANSFER_SYNTAX}6.{number}" for number in (1, 2)),
)

_PLAIN = Syntax()
_ENCAPSULATED = Syntax(encapsulated=True)
_DEFLATED = Syntax(deflated=True)
_SYNTAXES = {
    uids.IMPLICIT_LE: Syntax(explicit=False),
    uids.EXPLICIT_LE: _PLAIN,
    uids.EXPLICIT_BE: Syntax(little=False),
    uids.DEFLATED_LE: _DEFLATED,
    uids.GE_BIG_ENDIAN_PIXELS: Syntax(explicit=False),
    uids.ENCAPSULATED_UNCOMPRESSED: _ENCAPSULATED,
    uids.RLE_LOSSLESS: _ENCAPSULATED,
    # RFC 2557 MIME encapsulation and XML encoding are about what is around or inside a document: DICOM's own part is plain.
    f"{uids.TRANSFER_SYNTAX}6.1": _PLAIN,
    f"{uids.TRANSFER_SYNTAX}6.2": _PLAIN,
    # SMPTE ST 2110: the pixels flow elsewhere, in real time
    f"{uids.TRANSFER_SYNTAX}7.1": _PLAIN,
    f"{uids.TRANSFER_SYNTAX}7.2": _PLAIN,
    f"{uids.TRANSFER_SYNTAX}7.3": _PLAIN,
    f"{uids.TRANSFER_SYNTAX}8.1": _ENCAPSULATED,  # Deflated Image Frame Compression
    f"{uids.JPEG_FAMILY}94": _PLAIN,  # JPIP Referenced: no pixel data
    f"{uids.JPEG_FAMILY}95": _DEFLATED,
    f"{uids.JPEG_FAMILY}204": _PLAIN,  # JPIP HTJ2K Referenced
    f"{uids.JPEG_FAMILY}205": _DEFLATED,
}
# JPEG 50-70, JPEG-LS, JPEG 2000, MPEG and HEVC (".1": fragmentable), JPEG XL, High-Throughput JPEG 2000
_ENCAPSULATED_NUMBERS = frozenset(
    (*range(50, 67), 70, 80, 81, *range(90, 94), *range(100, 109), *range(110, 113), *range(201, 204))
)


def read_syntax(uid: str) -> Syntax | None:
    """How to read a dataset in transfer syntax `uid`; None if that is unknown."""
    known = _SYNTAXES.get(uid)
    if known is not None or not uid.startswith(uids.JPEG_FAMILY):
        return known
    number = uid.removeprefix(uids.JPEG_FAMILY).removesuffix(".1")
    return _ENCAPSULATED if number.isdecimal() and int(number) in _ENCAPSULATED_NUMBERS else None


@cache
def transfer_syntaxes() -> frozenset[str]:
    """All transfer syntaxes that there are and that `read_syntax` knows: one that a new pynetdicom brings waits for that."""
    try:
        known = read_constants("_globals")["ALL_TRANSFER_SYNTAXES"]
    except KeyError:  # as for `sop_classes.storage_sop_classes`
        from pynetdicom import ALL_TRANSFER_SYNTAXES

        known = ALL_TRANSFER_SYNTAXES
    return frozenset(uid for uid in (*known, *_LACKING) if read_syntax(uid) is not None)
