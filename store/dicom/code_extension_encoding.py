"""Text written with code extension techniques (PS3.5 §6.1.2.5), the way back from `store.dicom.code_extensions`."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from store.dicom.code_extensions import ASCII, CHARSET_VRS, KANJI, KATAKANA, ONE_VALUE_VRS, ROMAN, SUPPLEMENT

_DELIMITERS: Final = {"PN": "\\^=\t\n\f\r", "": "\\\t\n\f\r", "one value": "\t\n\f\r"}
_UPPER_CODECS: Final = {  # number of a term -> the escape sequence of its upper half, and Python's codec
    "100": (b"-A", "latin-1"),
    "101": (b"-B", "iso8859-2"),
    "109": (b"-C", "iso8859-3"),
    "110": (b"-D", "iso8859-4"),
    "148": (b"-M", "iso8859-9"),
    "203": (b"-b", "iso8859-15"),
    "144": (b"-L", "iso8859-5"),
    "127": (b"-G", "iso8859-6"),
    "126": (b"-F", "iso8859-7"),
    "138": (b"-H", "iso8859-8"),
    "166": (b"-T", "tis-620"),
    "149": (b"$)C", "euc_kr"),
    "58": (b"$)A", "gb2312"),
}
_MULTI_BYTE: Final = frozenset((b"$)C", b"$)A"))  # never in force before they are designated


class _Set(NamedTuple):
    escape: bytes
    is_upper: bool
    encode: Callable[[str], bytes]  # of one character; nothing if the set lacks it


def encode_extended(text: str, declared: str, vr: str) -> tuple[bytes, bool]:
    """Text in the sets that `declared` names, and whether all of it could be written; what could not is left out."""
    roman_first, initial_upper, sets = _declared_sets(declared)
    first = ROMAN if roman_first else ASCII
    lower, upper = first, initial_upper
    delimiters = _DELIMITERS["one value" if vr in ONE_VALUE_VRS else "PN" if vr == "PN" else ""]
    written, is_whole = bytearray(), True
    for character in text:
        if character in delimiters:
            written += _switch(lower, first)
            lower, upper = first, initial_upper
            written += character.encode()
            continue
        for each in _candidates(character, lower, sets, vr):
            if code := each.encode(character):
                wanted = first if each.is_upper else each.escape
                written += _switch(lower, wanted)
                lower = wanted
                if each.is_upper:
                    written += _switch(upper, each.escape)
                    upper = each.escape
                written += code
                break
        else:
            is_whole = False
    written += _switch(lower, first)
    return bytes(written), is_whole


def _switch(now: bytes, then: bytes) -> bytes:
    return b"" if now == then else b"\x1b" + then


def _candidates(character: str, lower: bytes, sets: tuple[_Set, ...], vr: str) -> Iterator[_Set]:
    """The sets that may have a character: of ASCII its Japanese variant, too, if that is in force and the same there."""
    if character.isascii():
        is_shared = lower == ROMAN and (character not in "\\~" or vr not in CHARSET_VRS)
        yield _Set(ROMAN if is_shared else ASCII, is_upper=False, encode=str.encode)
    elif character != "¥" or vr in ONE_VALUE_VRS:  # elsewhere its code separates values
        yield from sets


@lru_cache(maxsize=16)
def _declared_sets(declared: str) -> tuple[bool, bytes, tuple[_Set, ...]]:
    """Whether the Roman set of JIS X 0201 comes first, the upper half at the beginning, and all sets in order."""
    sets: list[_Set] = []
    terms = [term.rpartition(" ")[2] for term in declared.split("\\")]
    for number in terms:
        if number == "13":
            sets.append(_Set(KATAKANA, is_upper=True, encode=_encode_katakana))
            sets.append(_Set(ROMAN, is_upper=False, encode=_encode_roman_sign))
        elif number == "87":
            sets.append(_Set(KANJI, is_upper=False, encode=_encode_kanji))
        elif number == "159":
            sets.append(_Set(SUPPLEMENT, is_upper=False, encode=_encode_supplement))
        elif number in _UPPER_CODECS:
            escape, codec = _UPPER_CODECS[number]
            sets.append(_Set(escape, is_upper=True, encode=_encoder(codec)))
    first = next(filter(None, terms), "")  # as it is read
    initial = KATAKANA if first == "13" else _UPPER_CODECS.get(first, (b"", ""))[0]
    return first == "13", b"" if initial in _MULTI_BYTE else initial, tuple(sets)


def _encoder(codec: str) -> Callable[[str], bytes]:
    def encode(character: str) -> bytes:
        code = character.encode(codec, "ignore")
        return (
            code if len(code) <= 2 else b""
        )  # Python spells syllables that KS X 1001 lacks in letters; hardly anybody reads that

    return encode


def _encode_katakana(character: str) -> bytes:
    code = character.encode("shift_jis", "ignore")
    return code if len(code) == 1 and code[0] > 0x7F else b""


def _encode_roman_sign(character: str) -> bytes:
    return {"¥": b"\\", "‾": b"~"}.get(character, b"")


def _encode_kanji(character: str) -> bytes:
    """A character of JIS X 0208 as `store.dicom.code_extensions.decode_kanji` reads it."""
    code = character.encode("cp932", "ignore")
    if len(code) != 2 or not (0x81 <= code[0] <= 0x9F or 0xE0 <= code[0] <= 0xEF):
        code = character.encode("euc_jp", "ignore")
        return bytes(byte & 0x7F for byte in code) if len(code) == 2 and code[0] > 0xA0 else b""
    row = 2 * (code[0] - (0x81 if code[0] < 0xA0 else 0xC1)) + (code[1] >= 0x9F)
    cell = code[1] - 0x9F if code[1] >= 0x9F else code[1] - 0x40 - (code[1] > 0x7F)
    return bytes((row + 0x21, cell + 0x21))


def _encode_supplement(character: str) -> bytes:
    code = character.encode("euc_jp", "ignore")
    return bytes(byte & 0x7F for byte in code[1:]) if len(code) == 3 else b""
