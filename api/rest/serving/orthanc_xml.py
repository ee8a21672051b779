"""JSON values as the XML Orthanc gives to `Accept: application/xml`.

It is not always well-formed: names are taken as they are, such as `<0010,0010>` or `<Unknown Tag & Data>`. A number with a fraction is one of
single precision. So Orthanc 1.12.7.
"""

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from store.dicom.xml_text import escape_as_orthanc

INDENT = "  "
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'


def is_wanted(accept: str) -> bool:
    """Tell whether an Accept header asks for XML.

    Orthanc 1.12.7 parts it at semicolons, not at commas, and the last part that is one of two types, to the letter, counts. So a list
    of types, such as a browser's, gets JSON.
    """
    asked = [part for part in accept.lstrip().split(";") if part in {"application/xml", "application/json"}]
    return asked[-1:] == ["application/xml"]


def encode(value: Any) -> bytes:
    """Return a JSON value as a document."""
    lines = [_DECLARATION, *_element("root", value, ""), ""]
    return "\n".join(lines).encode("utf-8", "replace")


def encode_list(pieces: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield a list that comes in pieces; joined, the bytes are those of `encode` of the whole."""
    return _encode_lines([line for item in piece for line in _element("item", item, INDENT)] for piece in pieces)


def encode_object(members: Iterable[tuple[str, Any]]) -> Iterator[bytes]:
    """Yield an object that comes member by member, in the order of its keys; a list may be an iterator over pieces of it."""
    return _encode_lines(lines for name, value in members for lines in _member(name, value))


def _member(name: str, value: Any) -> Iterator[list[str]]:
    if not isinstance(value, Iterator):
        yield _element(name, value, INDENT)
        return
    is_empty = True
    for piece in filter(None, value):
        lines = _element(name, piece, INDENT)
        yield lines[:-1] if is_empty else lines[1:-1]
        is_empty = False
    yield _element(name, [], INDENT) if is_empty else [f"{INDENT}</{name}>"]


def _encode_lines(pieces: Iterable[list[str]]) -> Iterator[bytes]:
    opening = f"{_DECLARATION}\n<root>\n"
    for lines in pieces:
        if lines:
            yield (opening + "\n".join(lines) + "\n").encode("utf-8", "replace")
            opening = ""
    yield b"</root>\n" if not opening else encode([])


def _element(name: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, dict):
        children = sorted(value.items())
    elif isinstance(value, list | tuple):
        children = [("item", item) for item in value]
    else:
        return [f"{indent}<{name}>{_text(value)}</{name}>"]
    if not children:
        return [f"{indent}<{name} />"]
    lines = [f"{indent}<{name}>"]
    for child, item in children:
        lines += _element(child, item, indent + INDENT)
    return [*lines, f"{indent}</{name}>"]


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{ctypes.c_float(value).value:.9g}"
    return escape_as_orthanc(str(value))
