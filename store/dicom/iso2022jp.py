"""ISO-2022-JP with JIS X 0201 and 0212, as Orthanc's converter reads it (observed on 1.12.7).

Python's own decoders cannot go on behind bytes they do not know; a file with one bad byte in a name must still be shown.
"""

from typing import Final

from store.dicom.code_extensions import decode_kanji, decode_supplement, with_roman_signs

_ESCAPE: Final = 0x1B
_ASCII, _ROMAN, _KANA, _KANJI, _SUPPLEMENT = range(5)
_DESIGNATIONS: Final = {
    b"(B": _ASCII,
    b"(J": _ROMAN,
    b"(I": _KANA,
    b"$@": _KANJI,
    b"$B": _KANJI,
    b"$(D": _SUPPLEMENT,
}
# Sequences that are known in other variants of ISO 2022: taken out, without effect.
_IGNORED: Final = frozenset(
    b"$A %B &@ (@ (A (C (D (E (F (G (H (K (R .A .F $(@ $(A $(B $(C $(E $(G $(H $(I $(J $(K $(L $(M "
    b"$)A $)C $)E $)G $*H $+I $+J $+K $+L $+M O".split()
)
_BEGINNINGS: Final = frozenset(
    sequence[:size] for sequence in (*_DESIGNATIONS, *_IGNORED) for size in range(len(sequence))
)


def decode_iso2022_jp(raw: bytes, vr: str = "LT") -> str:
    """Decode the text of a VR; bytes without meaning are dropped."""
    if raw.isascii() and not _has_shifts(raw):
        return raw.decode("ascii")
    shown: list[str] = []
    state, position = _ASCII, 0
    while position < len(raw):
        byte = raw[position]
        if byte == _ESCAPE:
            state, position = _designate(raw, position, state)
        elif byte in b"\r\n":
            shown.append(chr(byte))
            state, position = state if state == _ROMAN else _ASCII, position + 1
        elif state in (_KANJI, _SUPPLEMENT):
            position += _pair(raw, position, state, shown)
        else:
            shown.append(_single(byte, state, vr))
            position += 1
    return "".join(shown)


def _has_shifts(raw: bytes) -> bool:
    return any(byte in raw for byte in b"\x1b\x0e\x0f")


def _designate(raw: bytes, position: int, state: int) -> tuple[int, int]:
    """The state after the escape sequence at `position`, and where it ends; an unknown one loses its escape only."""
    if raw[position + 1 :] in _BEGINNINGS:
        return state, len(raw)
    for size in (3, 2, 1):
        sequence = raw[position + 1 : position + 1 + size]
        if sequence in _DESIGNATIONS:
            return _DESIGNATIONS[sequence], position + 1 + len(sequence)
        if sequence in _IGNORED:
            return state, position + 1 + len(sequence)
    return state, position + 1


def _pair(raw: bytes, position: int, state: int, shown: list[str]) -> int:
    """Decode a character of two bytes; return how many were used up."""
    pair = raw[position : position + 2]
    if len(pair) < 2 or pair[1] == _ESCAPE or pair[0] in b"\x0e\x0f":
        return 1
    if not 0x21 <= pair[1] <= 0x7E:
        return 2
    if 0x21 <= pair[0] <= 0x7E:
        shown.append(decode_supplement(pair) if state == _SUPPLEMENT else decode_kanji(pair))
        return 2
    return 1


def _single(byte: int, state: int, vr: str) -> str:
    if byte >= 0x80 or byte in b"\x0e\x0f":
        return ""
    if state == _KANA:
        return chr(0xFF61 + byte - 0x21) if 0x21 <= byte <= 0x5F else ""
    if state == _ROMAN:
        return with_roman_signs(chr(byte), vr)
    return chr(byte)
