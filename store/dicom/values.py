"""The text of a data element's value as Orthanc shows it in main DICOM tags and in JSON.

Observed on Orthanc 1.12.7: text keeps leading spaces; trailing spaces are taken off if the value has an even length (an
odd one cannot have been padded); a NUL ends it; UI loses every space. Numbers are joined with a backslash, floats get
17 significant digits, of AT only the first value is shown. 64-bit integers and the "other" VRs have no text.
"""

from struct import Struct
from typing import Final

from store.dicom.charsets import decode
from store.dicom.elements import Buffer

TEXT_VRS: Final = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())
_PACKED: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_STRUCTS: Final = {
    (vr, little): Struct("<>"[not little] + code) for vr, code in _PACKED.items() for little in (True, False)
}
_PAIRS: Final = {True: Struct("<HH"), False: Struct(">HH")}


def text(raw: bytes, vr: str, encoding: str, *, little: bool = True) -> str | None:
    """The value `raw` of representation `vr` as text; None where it has none (Orthanc's `Null`)."""
    if vr in TEXT_VRS:
        stripped = strip_padding(raw, vr)
        return stripped.decode("ascii") if stripped.isascii() else decode(stripped, encoding)
    if vr in _PACKED:
        return _numbers(raw, vr, little=little)
    if vr == "AT" and len(raw) >= 4:
        group, number = _PAIRS[little].unpack_from(raw)
        return f"{group:04x},{number:04x}"
    return None


def strip_padding(raw: bytes, vr: str) -> bytes:
    """The value without what pads it."""
    if vr == "UI":
        raw = raw.replace(b" ", b"")
    elif not len(raw) & 1:
        raw = raw.rstrip(b" ")
    return raw if b"\0" not in raw else raw[: raw.index(b"\0")]


def _numbers(raw: bytes, vr: str, *, little: bool) -> str | None:
    packed = _STRUCTS[vr, little]
    if len(raw) % packed.size:
        raw += bytes(packed.size - len(raw) % packed.size)
    if not raw:
        return None
    if vr in ("FL", "FD"):
        return "\\".join(f"{value:.17g}" for (value,) in packed.iter_unpack(raw))
    return "\\".join(str(value) for (value,) in packed.iter_unpack(raw))
