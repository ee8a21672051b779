"""Transfer syntaxes, as far as reading the structure of a file needs them (PS3.5 §10, Annex A).

Source: PS3.6 Table A-1.
"""

from dataclasses import dataclass

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"


@dataclass(frozen=True, slots=True)
class Syntax:
    """How the bytes of a dataset are to be read."""

    explicit: bool = True
    little: bool = True
    deflated: bool = False
    encapsulated: bool = False  # the top level's Pixel Data must be fragments


_PLAIN = Syntax()
_ENCAPSULATED = Syntax(encapsulated=True)
_DEFLATED = Syntax(deflated=True)
_SYNTAXES = {
    IMPLICIT_LE: Syntax(explicit=False),
    EXPLICIT_LE: _PLAIN,
    EXPLICIT_BE: Syntax(little=False),
    DEFLATED_LE: _DEFLATED,
    "1.2.840.113619.5.2": Syntax(explicit=False),  # of GE: implicit VR, big endian Pixel Data
    "1.2.840.10008.1.2.1.98": _ENCAPSULATED,  # Encapsulated Uncompressed
    "1.2.840.10008.1.2.5": _ENCAPSULATED,  # RLE Lossless
    # RFC 2557 MIME encapsulation and XML encoding are about what is around or inside a document: DICOM's own part is plain.
    "1.2.840.10008.1.2.6.1": _PLAIN,
    "1.2.840.10008.1.2.6.2": _PLAIN,
    # SMPTE ST 2110: the pixels flow elsewhere, in real time
    "1.2.840.10008.1.2.7.1": _PLAIN,
    "1.2.840.10008.1.2.7.2": _PLAIN,
    "1.2.840.10008.1.2.7.3": _PLAIN,
    "1.2.840.10008.1.2.8.1": _ENCAPSULATED,  # Deflated Image Frame Compression
    "1.2.840.10008.1.2.4.94": _PLAIN,  # JPIP Referenced: no pixel data
    "1.2.840.10008.1.2.4.95": _DEFLATED,
    "1.2.840.10008.1.2.4.204": _PLAIN,  # JPIP HTJ2K Referenced
    "1.2.840.10008.1.2.4.205": _DEFLATED,
}
# JPEG 50-70, JPEG-LS, JPEG 2000, MPEG and HEVC (".1": fragmentable), JPEG XL, High-Throughput JPEG 2000
_ENCAPSULATED_NUMBERS = frozenset(
    (*range(50, 67), 70, 80, 81, *range(90, 94), *range(100, 109), *range(110, 113), *range(201, 204))
)
_FAMILY = "1.2.840.10008.1.2.4."


def read_syntax(uid: str) -> Syntax | None:
    """How to read a dataset in transfer syntax `uid`; None if that is unknown."""
    known = _SYNTAXES.get(uid)
    if known is not None or not uid.startswith(_FAMILY):
        return known
    number = uid.removeprefix(_FAMILY).removesuffix(".1")
    return _ENCAPSULATED if number.isdecimal() and int(number) in _ENCAPSULATED_NUMBERS else None
