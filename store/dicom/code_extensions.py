"""The code extension techniques of ISO 2022 as DICOM uses them (PS3.5 §6.1.2.5): which escape sequence stands for which set.

A set occupies the lower half of the codes (G0) or the upper one (G1). The sets that SpecificCharacterSet names first hold at
the beginning, and again behind what ends a value, a component of a name or a line.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple

# VRs whose text SpecificCharacterSet concerns (PS3.5 §6.1.2.3); in the first, one value is all there is.
ONE_VALUE_VRS: Final = frozenset(("LT", "ST", "UT"))
CHARSET_VRS: Final = ONE_VALUE_VRS | {"LO", "PN", "SH", "UC"}

ASCII: Final = b"(B"
ROMAN: Final = b"(J"  # JIS X 0201: a yen sign and an overline in the places of \ and ~
KATAKANA: Final = b")I"
KANJI: Final = b"$B"
SUPPLEMENT: Final = b"$(D"

# What follows the escape -> Orthanc's name of the encoding whose upper half it is
UPPER_HALVES: Final = {
    b"-A": "Latin1",
    b"-B": "Latin2",
    b"-C": "Latin3",
    b"-D": "Latin4",
    b"-M": "Latin5",
    b"-b": "Latin9",
    b"-L": "Cyrillic",
    b"-G": "Arabic",
    b"-F": "Greek",
    b"-H": "Hebrew",
    b"-T": "Thai",
    KATAKANA: "Japanese",
    b"$)C": "Korean",
    b"$)A": "SimplifiedChinese",
}
_LOWER_HALVES: Final = {ASCII: ASCII, ROMAN: ROMAN, b"$B": KANJI, b"$@": KANJI, SUPPLEMENT: SUPPLEMENT}
ESCAPES: Final = re.compile(rb"([\x0e\x0f]|\x1b[NOno|}~]|\x1b[ -/]+[0-~])")  # shifts, designations
_LINE: Final = rb"\t\n\f\r"
_ENDS: Final = {
    "PN": re.compile(rb"[\\^=" + _LINE + rb"]"),
    "": re.compile(rb"[\\" + _LINE + rb"]"),
    "one value": re.compile(rb"[" + _LINE + rb"]"),
}
_LINE_ENDS: Final = re.compile(rb"[" + _LINE + rb"]")

Decoder = Callable[[bytes], str]


class Sets(NamedTuple):
    """What the two halves of the codes stand for at some place of a text."""

    lower: bytes  # ASCII, ROMAN, KANJI or SUPPLEMENT
    upper: Decoder


def end_of_value(vr: str) -> re.Pattern[bytes]:
    """Where the initial sets must be in force again: before these characters (PS3.5 §6.1.2.5.3)."""
    return _ENDS["one value" if vr in ONE_VALUE_VRS else "PN" if vr == "PN" else ""]


def decode_extended(raw: bytes, initial: Sets, vr: str, decoders: dict[str, Decoder]) -> str:
    """Decode text with escape sequences; unknown ones are left out, without effect."""
    ends = end_of_value(vr)
    shown: list[str] = []
    sets = initial
    for number, part in enumerate(ESCAPES.split(raw)):
        if number & 1:
            sets = _designate(part[1:], sets, decoders)
            continue
        end = (ends if sets.lower in (ASCII, ROMAN) else _LINE_ENDS).search(part) if sets != initial else None
        if end is None:
            shown.append(_decode_run(part, sets, vr))
        else:
            shown.append(_decode_run(part[: end.start()], sets, vr))
            sets = initial
            shown.append(_decode_run(part[end.start() :], sets, vr))
    return "".join(shown)


def with_roman_signs(text: str, vr: str) -> str:
    r"""Text in which \ and ~ were read in the Roman set of JIS X 0201.

    They are a yen sign and an overline where the character set concerns the VR at all, but for a \ that separates values.
    """
    if vr in ONE_VALUE_VRS:
        text = text.replace("\\", "¥")
    return text.replace("~", "‾") if vr in CHARSET_VRS else text


def decode_kanji(pair: bytes) -> str:
    """A character of JIS X 0208, with Microsoft's choice of Unicode characters and NEC's row 13; "" if there is none."""
    row, cell = pair[0] - 0x21, pair[1] - 0x21
    lead = 0x81 + row // 2 if row < 62 else 0xC1 + row // 2
    trail = cell + 0x9F if row & 1 else cell + 0x40 + (cell >= 63)
    return _decoded(bytes((lead, trail)), "cp932")


def decode_supplement(pair: bytes) -> str:
    """A character of JIS X 0212; "" if there is none."""
    return _decoded(bytes((0x8F, pair[0] | 0x80, pair[1] | 0x80)), "euc_jp")


def _designate(sequence: bytes, sets: Sets, decoders: dict[str, Decoder]) -> Sets:
    if sequence in _LOWER_HALVES:
        return sets._replace(lower=_LOWER_HALVES[sequence])
    if sequence in UPPER_HALVES:
        return sets._replace(upper=decoders[UPPER_HALVES[sequence]])
    return sets


def _decode_run(raw: bytes, sets: Sets, vr: str) -> str:
    if sets.lower == ASCII:
        return sets.upper(raw)
    if sets.lower == ROMAN:
        return with_roman_signs(sets.upper(raw), vr)
    decode_pair = decode_kanji if sets.lower == KANJI else decode_supplement
    shown: list[str] = []
    position = 0
    while position < len(raw):
        pair = raw[position : position + 2]
        if len(pair) == 2 and 0x21 <= pair[0] <= 0x7E and 0x21 <= pair[1] <= 0x7E:
            shown.append(decode_pair(pair))
            position += 2
        else:
            shown.append(sets.upper(pair[:1]))
            position += 1
    return "".join(shown)


def _decoded(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return ""
