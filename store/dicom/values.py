"""The text of a data element's value as Orthanc shows it in main DICOM tags and in JSON.

Observed on Orthanc 1.12.7: text keeps leading spaces; trailing spaces are taken off if the value has an even length (an
odd one cannot have been padded); a NUL ends it; UI loses all white space. Numbers are joined with a backslash, floats get
17 significant digits, of AT only the first value is shown; so is of numbers whose length is no multiple of a value's. OB, OW, SV
and UV have no text; UN has if the dictionary says that its tag is text, and keeps its padding then. OD, OF, OL and OV are shown
as the numbers they are, as by Orthanc 1.12.11; 1.12.7 shows nothing of them.
"""

from struct import Struct
from typing import Final

from store.dicom.charsets import Charset
from store.dicom.dictionary import dictionary_vr

TEXT_VRS: Final = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM")) | {
    "UC",
    "UI",
    "UR",
    "UT",
}
NUMBER_VRS: Final = frozenset(("US", "SS", "UL", "SL", "FL", "FD"))
WHITESPACE: Final = b" \t\n\v\f\r"
NUMBER_CODES: Final = {  # of the module `struct`
    "US": "H",
    "SS": "h",
    "UL": "I",
    "SL": "i",
    "FL": "f",
    "FD": "d",
    "OL": "I",
    "OV": "Q",
    "OF": "f",
    "OD": "d",
}
FLOAT_VRS: Final = frozenset(("FL", "FD", "OF", "OD"))
_STRUCTS: Final = {
    (vr, little): Struct("<>"[not little] + code) for vr, code in NUMBER_CODES.items() for little in (True, False)
}
_PAIRS: Final = {True: Struct("<HH"), False: Struct(">HH")}


def text(raw: bytes, tag: int, vr: str, charset: Charset, little: bool) -> str | None:
    """The value `raw` of an element as text; None where it has none (Orthanc's `Null`)."""
    if vr in TEXT_VRS:
        if not len(raw) & 1:  # what follows is `strip_padding`, without the call: this runs 30 times per file stored
            raw = raw.rstrip(b" ")
        if b"\0" in raw:
            raw = raw[: raw.index(b"\0")]
        if vr == "UI":
            raw = raw.translate(None, WHITESPACE)
        return str(raw, "ascii") if charset.keeps_ascii and raw.isascii() else charset.decode(raw, vr)
    if vr in NUMBER_CODES:
        return _numbers(raw, vr, little=little)
    if vr == "AT" and len(raw) >= 4:
        group, number = _PAIRS[little].unpack_from(raw)
        return f"{group:04x},{number:04x}"
    return unknown_text(raw, dictionary_vr(tag), charset) if vr == "UN" else None


def unknown_text(raw: bytes, known: str, charset: Charset) -> str | None:
    """The value of an element of VR UN whose VR is `known`, as text; None where it has none."""
    return charset.decode(raw if len(raw) & 1 else raw.removesuffix(b"\0")) if known in TEXT_VRS else None


def count_numbers(vr: str, length: int) -> int:
    """How many numbers a value of `length` bytes is shown as; 0 if it is none of numbers."""
    size = _STRUCTS[vr, True].size if vr in NUMBER_CODES else 0
    length += length & 1
    return 0 if not size else length // size if not length % size else 1


def strip_padding(raw: bytes, vr: str) -> bytes:
    """The value without what pads it."""
    if not len(raw) & 1:
        raw = raw.rstrip(b" ")
    if b"\0" in raw:
        raw = raw[: raw.index(b"\0")]
    return raw.translate(None, WHITESPACE) if vr == "UI" else raw


def _numbers(raw: bytes, vr: str, *, little: bool) -> str | None:
    packed = _STRUCTS[vr, little]
    raw += bytes(len(raw) & 1)
    if len(raw) % packed.size:
        raw = raw[: packed.size]
    if len(raw) < packed.size:
        return None
    if vr in FLOAT_VRS:
        return "\\".join(f"{value:.17g}" for (value,) in packed.iter_unpack(raw))
    return "\\".join(str(value) for (value,) in packed.iter_unpack(raw))
