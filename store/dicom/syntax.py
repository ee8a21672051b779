"""Transfer syntaxes, as far as reading the structure of a file needs them (PS3.5 §10, Annex A).

Source: PS3.6 Table A-1; for syntaxes it does not know, Orthanc 1.12.7 reads explicit little endian, and so do we.
"""

from dataclasses import dataclass

IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"

_JPIP_DEFLATED = ("1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")


@dataclass(frozen=True, slots=True)
class Syntax:
    """How the bytes of a dataset are to be read."""

    explicit: bool = True
    little: bool = True
    deflated: bool = False
    encapsulated: bool = False  # the top level's Pixel Data must be fragments


_PLAIN = Syntax()
_ENCAPSULATED = Syntax(encapsulated=True)
_SYNTAXES = {
    IMPLICIT_LE: Syntax(explicit=False),
    EXPLICIT_LE: _PLAIN,
    DEFLATED_LE: Syntax(deflated=True),
    EXPLICIT_BE: Syntax(little=False),
    "1.2.840.10008.1.2.1.98": _ENCAPSULATED,  # Encapsulated Uncompressed
    "1.2.840.10008.1.2.5": _ENCAPSULATED,  # RLE Lossless
    "1.2.840.10008.1.2.4.94": _PLAIN,  # JPIP Referenced: no pixel data
    "1.2.840.10008.1.2.4.204": _PLAIN,  # JPIP HTJ2K Referenced
    **dict.fromkeys(_JPIP_DEFLATED, Syntax(deflated=True)),
}


def read_syntax(uid: str) -> Syntax:
    """How to read a dataset in transfer syntax `uid`; every syntax of the JPEG, MPEG and HEVC family is encapsulated."""
    known = _SYNTAXES.get(uid)
    if known is not None:
        return known
    return _ENCAPSULATED if uid.startswith("1.2.840.10008.1.2.4.") else _PLAIN
