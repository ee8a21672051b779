"""Text of the character sets of PS3.3 §C.12.1.1.2, decoded as Orthanc does.

A dataset has one encoding: that of the first value of SpecificCharacterSet that is not empty. Bytes that mean nothing are
dropped. All observed on Orthanc 1.12.7, down to which bytes are dropped; Sinogram's identifiers depend on it where a
PatientID is not ASCII. In three points the standard is followed instead, where Orthanc falsifies text:

- escape sequences of code extension techniques (PS3.5 §6.1.2.5) are followed in all sets; Orthanc does so in ISO-2022-JP alone,
  and elsewhere takes them out or shows them;
- a backslash separates values in every VR that may have several (§6.1.2.3). Orthanc makes a yen sign of it under ISO_IR 13;
- an item of a sequence with a SpecificCharacterSet of its own is read in that (`store.dicom.rendering`).
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from store.dicom.code_extensions import ASCII, ESCAPES, ROMAN, Decoder, Sets, decode_extended, with_roman_signs
from store.dicom.iso2022jp import decode_iso2022_jp


class Charset:
    """How the text of a dataset is encoded."""

    __slots__ = ("_initial", "_is_iso2022_jp", "encoding", "keeps_ascii", "written")

    def __init__(self, encoding: str, terms: tuple[str, ...] = ("",)) -> None:
        self.encoding = encoding  # one of ENCODINGS
        # How `store.dicom.charset_encoding` writes text that is declared like this: an encoding, or several terms.
        self.written = encoding
        # every ASCII byte stands for itself (escape sequences of sets of one byte are not looked for where one set is declared)
        self.keeps_ascii = len(terms) < 2 and encoding not in _REWRITES_ASCII and terms[0] not in _MULTI_BYTE_EXTENSIONS
        self._is_iso2022_jp = encoding == "JapaneseKanji" and set(terms) <= _OF_ISO2022_JP
        self._initial: Sets | None = None  # where escape sequences may occur
        if len(terms) > 1 or terms[0] in _EXTENSIONS:
            upper = _skipping("ascii") if encoding == "JapaneseKanji" else ENCODINGS[encoding]
            self._initial = Sets(ROMAN if encoding == "Japanese" else ASCII, upper)
            if (
                len(terms) > 1
                and encoding not in _WITHOUT_ESCAPES
                and all(not term or term in _TERMS for term in terms)
            ):
                self.written = "\\".join(terms)

    def decode(self, raw: bytes, vr: str = "LO") -> str:
        """Decode the text of an element; what cannot be decoded is left out."""
        if self._is_iso2022_jp:
            return self._shown(decode_iso2022_jp(raw, vr))
        if self._initial is not None and b"\x1b" in raw and self.encoding not in _WITHOUT_ESCAPES:
            return decode_extended(raw, self._initial, vr, ENCODINGS)
        decoded = ENCODINGS[self.encoding](raw)
        return self._shown(with_roman_signs(decoded, vr) if self.encoding == "Japanese" else decoded)

    def _shown(self, decoded: str) -> str:
        return decoded if self._initial is None else _ESCAPES.sub("", decoded)


def defined_terms() -> list[str]:
    """Return the defined terms of PS3.3 §C.12.1.1.2 that are understood."""
    return sorted(term.replace("ISO IR", "ISO_IR") for term in _TERMS)


def knows_charset(specific_character_set: str) -> bool:
    """Tell whether a value of SpecificCharacterSet has a first term that is known."""
    first = next(
        filter(None, (term.strip(" ").upper().replace("_", " ") for term in specific_character_set.split("\\"))), ""
    )
    return first in _TERMS


@lru_cache(maxsize=64)
def charset_of(specific_character_set: str, default: str) -> Charset:
    """The charset that a value of SpecificCharacterSet (0008,0005) declares; `default` is one of ENCODINGS."""
    terms = tuple(term.strip(" ").upper().replace("_", " ") for term in specific_character_set.split("\\"))
    first = next(filter(None, terms), "")
    return Charset(_TERMS.get(first, "Ascii") if first else default, terms)


def _skipping(codec: str) -> Callable[[bytes], str]:
    """A decoder that drops a byte wherever `codec` fails."""

    def decode(raw: bytes) -> str:
        parts = []
        while raw:
            try:
                parts.append(raw.decode(codec))
                break
            except UnicodeDecodeError as exc:
                parts.append(raw[: exc.start].decode(codec))
                raw = raw[exc.start + 1 :]
        return "".join(parts)

    return decode


def _decode_ascii(raw: bytes) -> str:
    return "".join(chr(byte) for byte in raw if 32 <= byte < 127 or byte == 10)


def _decode_utf8(raw: bytes) -> str:
    """UTF-8; the byte that breaks a sequence off is dropped together with the sequence."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return b"".join(_UTF8_PARTS.findall(raw)).decode("utf-8", "ignore")


def _decode_korean(raw: bytes) -> str:
    """Windows-949 as ICU has it: an invalid pair is dropped whole, two rows are the user's own characters."""
    decoded = []
    position = 0
    while position < len(raw):
        lead, trail = raw[position], raw[position + 1] if position + 1 < len(raw) else 0
        if lead < 0x81 or lead == 0xFF:
            decoded.append("\uf8f7" if lead == 0xFF else chr(lead))
            position += 1
        elif trail < 0x40 or trail in (0x7F, 0xFF):
            position += 1
        else:
            if lead in _KOREAN_USER_ROWS and trail >= 0xA1:
                decoded.append(chr(_KOREAN_USER_ROWS[lead] + trail - 0xA1))
            else:
                decoded.append(_pair(raw[position : position + 2], "cp949"))
            position += 2
    return "".join(decoded)


def _pair(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return ""


def _decode_thai(raw: bytes) -> str:
    return raw.translate(None, bytes(range(0x80, 0xA0))).decode("tis-620", "ignore")


def _decode_chinese(raw: bytes) -> str:
    return _decode_gb18030(raw).translate(_GB18030_NEWER)


_decode_gb18030: Final = _skipping("gb18030")

# Orthanc's name of an encoding (`DefaultEncoding`, /tools/default-encoding) -> its decoder
ENCODINGS: Final[dict[str, Decoder]] = {
    "Ascii": _decode_ascii,
    "Utf8": _decode_utf8,
    "Latin1": _skipping("latin-1"),
    "Latin2": _skipping("iso8859-2"),
    "Latin3": _skipping("iso8859-3"),
    "Latin4": _skipping("iso8859-4"),
    "Latin5": _skipping("iso8859-9"),
    "Latin9": _skipping("iso8859-15"),  # no encoding of Orthanc 1.12.7, which drops such text
    "Cyrillic": _skipping("iso8859-5"),
    "Windows1251": _skipping("cp1251"),
    "Arabic": _skipping("iso8859-6"),
    "Greek": _skipping("iso8859-7"),
    "Hebrew": _skipping("iso8859-8"),
    "Thai": _decode_thai,
    "Japanese": _skipping("shift_jis"),  # over JIS X 0201: see `with_roman_signs`
    "Chinese": _decode_chinese,
    "JapaneseKanji": decode_iso2022_jp,
    "Korean": _decode_korean,
    "SimplifiedChinese": _skipping("gb2312"),
}
_SETS: Final = {
    "6": "Ascii",
    "100": "Latin1",
    "101": "Latin2",
    "109": "Latin3",
    "110": "Latin4",
    "148": "Latin5",
    "203": "Latin9",
    "144": "Cyrillic",
    "127": "Arabic",
    "126": "Greek",
    "138": "Hebrew",
    "166": "Thai",
    "13": "Japanese",
}
_TERMS: Final = {
    **{f"ISO IR {number}": name for number, name in _SETS.items()},
    **{f"ISO 2022 IR {number}": name for number, name in _SETS.items()},
    "ISO IR 192": "Utf8",
    "GB18030": "Chinese",
    "GBK": "Chinese",
    "ISO 2022 IR 87": "JapaneseKanji",
    "ISO 2022 IR 159": "JapaneseKanji",
    "ISO 2022 IR 149": "Korean",
    "ISO 2022 IR 58": "SimplifiedChinese",
}
_REWRITES_ASCII: Final = frozenset(("Ascii", "Japanese", "JapaneseKanji"))
_WITHOUT_ESCAPES: Final = frozenset(("Utf8", "Chinese"))
_EXTENSIONS: Final = frozenset(term for term in _TERMS if term.startswith("ISO 2022"))
_MULTI_BYTE_EXTENSIONS: Final = frozenset(("ISO 2022 IR 149", "ISO 2022 IR 58"))
_OF_ISO2022_JP: Final = frozenset(("", "ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 159"))
_ESCAPES: Final = re.compile(ESCAPES.pattern.decode())
_KOREAN_USER_ROWS: Final = {0xC9: 0xE000, 0xFE: 0xE05E}
# A whole sequence, captured; or a lead byte with part of its trail and what breaks that off, or a stray byte
_UTF8_PARTS: Final = re.compile(
    rb"([\x00-\x7f]+|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"
    rb"|[\xf0-\xf4][\x80-\xbf]{2}.|[\xe0-\xf4][\x80-\xbf].|[\xc2-\xf4].|.",
    re.DOTALL,
)
# Characters that GB 18030 has moved out of the private use area since the edition Python knows.
_GB18030_NEWER: Final = str.maketrans(
    "\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7\ue816\ue817\ue818\ue81e\ue826"
    "\ue82b\ue82c\ue831\ue832\ue83b\ue843\ue854\ue855\ue864",
    "\ufe10\ufe12\ufe11\ufe13\ufe14\ufe15\ufe16\ufe17\ufe18\ufe19\u1e3f\U00020087\U00020089\U000200cc\u9fb4\u9fb5"
    "\u9fb6\u9fb7\U000215d7\u9fb8\U0002298f\u9fb9\u9fba\U000241fe\u9fbb",
)
