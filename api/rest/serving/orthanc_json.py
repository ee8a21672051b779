r"""JSON in the very layout Orthanc prints: keys sorted, `"Key" : value`, non-ASCII as `\uXXXX`, no final newline.

Objects and lists that are not empty start on a line of their own (jsoncpp's styled writer). 10,000 expanded instances
(8 MB) take 0.13 s; msgspec's `encode` and `format` take 0.03 s for another layout, of a request that reads the
same records for longer than that.
"""

from collections.abc import Iterable, Iterator, Sequence
from json.encoder import encode_basestring_ascii as quote
from typing import Any

INDENT = "   "
ERROR_INDENT = "\t"  # bodies of errors and DICOMweb JSON


def encode(value: Any, indent: str = INDENT) -> bytes:
    """Return `value` (what JSON can hold, keys are strings) as Orthanc would print it."""
    return _text(value, "\n", indent).encode("ascii")


def encode_list(pieces: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield a list that comes in pieces; joined, the bytes are those of `encode` of the whole."""
    opening = b"["
    for piece in pieces:
        if piece:
            # Of "[" + items + "\n]" only the items: the list goes on.
            yield opening + encode(piece)[1:-2]
            opening = b","
    yield b"[]" if opening == b"[" else b"\n]"


def encode_object(members: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """Yield an object that comes member by member, in the order of its keys; a list may be an iterator over pieces of it."""
    opening = b"{"
    for name, value in members:
        if isinstance(value, Iterator):
            yield from _encode_pieces(opening, name, value)
        else:
            yield opening + encode({name: value})[1:-2]
        opening = b","
    yield b"{}" if opening == b"{" else b"\n}"


def _encode_pieces(opening: bytes, name: str, pieces: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    before, after = encode({name: [0]})[1:-2].rsplit(b"\n" + 2 * INDENT.encode() + b"0", 1)
    is_empty = True
    for piece in filter(None, pieces):
        items = encode({name: piece})[1 + len(before) : -2 - len(after)]
        yield opening + before + items if is_empty else b"," + items
        is_empty = False
    yield opening + encode({name: []})[1:-2] if is_empty else after


def _text(value: Any, line: str, indent: str) -> str:
    """Return the text of a value; `line` is the newline and indentation of the line it stands on."""
    if value is None:
        return "null"
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is dict:
        return _object(value, line, indent)
    if kind is list or kind is tuple:
        if not value:
            return "[]"
        inner = line + indent
        return "[" + ",".join([inner + _text(item, inner, indent) for item in value]) + line + "]"
    return repr(value)  # int or float


def _object(value: dict[str, Any], line: str, indent: str) -> str:
    if not value:
        return "{}"
    inner = line + indent
    parts = []
    for key in sorted(value):
        item = value[key]
        kind = type(item)
        if kind is str:
            parts.append(f"{inner}{quote(key)} : {quote(item)}")
        elif item and (kind is dict or kind is list or kind is tuple):
            parts.append(f"{inner}{quote(key)} : {inner}{_text(item, inner, indent)}")
        else:
            parts.append(f"{inner}{quote(key)} : {_text(item, inner, indent)}")
    return "{" + ",".join(parts) + line + "}"
