"""Text of the character sets of PS3.3 §C.12.1.1.2, decoded as Orthanc does: what cannot be decoded is left out."""

from functools import lru_cache
from typing import Final

# Orthanc's name of an encoding (`DefaultEncoding`, /tools/default-encoding) -> Python's codec
ENCODINGS: Final = {
    "Ascii": "ascii",
    "Utf8": "utf-8",
    "Latin1": "latin-1",
    "Latin2": "iso8859-2",
    "Latin3": "iso8859-3",
    "Latin4": "iso8859-4",
    "Latin5": "iso8859-9",
    "Cyrillic": "iso8859-5",
    "Windows1251": "cp1251",
    "Arabic": "iso8859-6",
    "Greek": "iso8859-7",
    "Hebrew": "iso8859-8",
    "Thai": "tis-620",
    "Japanese": "shift_jis",
    "Chinese": "gb18030",
    "JapaneseKanji": "iso2022_jp",
    "Korean": "euc_kr",
    "SimplifiedChinese": "gb2312",
}
_TERMS: Final = {
    "ISO_IR 6": "Ascii",
    "ISO_IR 100": "Latin1",
    "ISO_IR 101": "Latin2",
    "ISO_IR 109": "Latin3",
    "ISO_IR 110": "Latin4",
    "ISO_IR 148": "Latin5",
    "ISO_IR 144": "Cyrillic",
    "ISO_IR 127": "Arabic",
    "ISO_IR 126": "Greek",
    "ISO_IR 138": "Hebrew",
    "ISO_IR 166": "Thai",
    "ISO_IR 13": "Japanese",
    "ISO_IR 192": "Utf8",
    "GB18030": "Chinese",
    "GBK": "Chinese",
}


@lru_cache(maxsize=64)
def encoding_of(specific_character_set: str, default: str) -> str:
    """Orthanc's name of the encoding that a value of SpecificCharacterSet (0008,0005) declares."""
    term = specific_character_set.strip()
    if not term:
        return default
    return _TERMS.get(term, "Ascii")


def decode(raw: bytes, encoding: str) -> str:
    """Decode text in one of `ENCODINGS`; bytes that mean nothing in it are dropped."""
    return raw.decode(ENCODINGS[encoding], "ignore")
