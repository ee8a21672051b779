"""Multipart bodies as a stream: read as they come, nothing kept but what may be a boundary; written part by part.

Source: RFC 2046 §5.1.1, RFC 7578 (forms), RFC 2387 (`multipart/related`, the bodies of PS3.18). A body ends with its last boundary;
the two hyphens behind it may be missing from a request, of which HTTP tells the end, as in Orthanc.
"""

import re
import secrets
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import TypeVar

from events.errors import InvalidRequest

B = TypeVar("B", bytes, bytes | memoryview)
FORM = "multipart/form-data"
RELATED = "multipart/related"
_BLANKS = " \t"
# A name, and a value up to the next semicolon; one between quotation marks may hold semicolons.
_PARAMETER = re.compile(r';([^=;]*)=[ \t]*("[^"]*"(?=[ \t]*(?:;|$))|[^;]*)')
_FOLDED = re.compile(r"\r\n[ \t]+")
MAX_HEADER_BYTES = 1 << 16  # of one part
_ENDS = frozenset((b"", b"-", b"\r", b"\r\n", b"\n"))  # what may stand behind the last delimiter instead of two hyphens


class Mark(Enum):
    """What `split` yields behind the bytes of a part."""

    END_OF_PART = auto()


class PartHeaders(dict[str, str]):
    """What `split` yields before the bytes of a part: its headers, by their names in lower case."""


def parse_boundary(content_type: str, kind: str = FORM) -> bytes | None:
    """Return the boundary of a body of that kind, None if it is something else (or names no boundary, as in Orthanc)."""
    if media_type(content_type) != kind:
        return None
    return parse_parameters(content_type).get("boundary", "").encode("latin-1", "replace") or None


def media_type(content_type: str) -> str:
    """Return a type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip(_BLANKS).lower()


def parse_parameters(content_type: str) -> dict[str, str]:
    """Return the parameters of a type, by their names in lower case; of two of a name the last one counts."""
    return {
        match[1].strip(_BLANKS).lower(): _unquoted(match[2].strip(_BLANKS))
        for match in _PARAMETER.finditer(content_type)
    }


def parts(
    chunks: Iterable[bytes], boundary: bytes, *, is_closed: bool = False
) -> Iterator[tuple[PartHeaders, Iterator[bytes]]]:
    """Yield headers and bytes of every part, which must be read to its end before the next is asked for. Raises as `split`.

    Where it `is_closed`, a body that ends without the hyphens is cut short: without a length nothing else tells that parts are missing.
    """
    pieces = split(chunks, boundary, is_closed=is_closed)
    for piece in pieces:
        if isinstance(piece, PartHeaders):
            yield piece, _until_end(pieces)


def _until_end(pieces: Iterator[PartHeaders | bytes | Mark]) -> Iterator[bytes]:
    for piece in pieces:
        if not isinstance(piece, bytes):
            return
        yield piece


def draw_boundary() -> bytes:
    """Return a boundary that no content holds."""
    return secrets.token_hex(16).encode()


def write_parts(written: Iterable[tuple[PartHeaders, Iterable[B]]], boundary: bytes) -> Iterator[B | bytes]:
    """Yield a body of these parts, a piece at a time as they give it."""
    for headers, content in written:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        yield b"--%b\r\n%b\r\n" % (boundary, lines.encode("latin-1"))
        yield from content
        yield b"\r\n"
    yield b"--%b--\r\n" % boundary


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def split(chunks: Iterable[bytes], boundary: bytes, *, is_closed: bool = False) -> Iterator[PartHeaders | bytes | Mark]:
    """Yield headers and bytes of every part, each part closed by `Mark.END_OF_PART`.

    Raises InvalidRequest where a part does not end with a boundary: it may be cut short.
    """
    delimiter = b"\r\n--" + boundary
    source = iter(chunks)
    # The first delimiter may open the body; then no line break stands before it.
    buffer = bytearray(b"\r\n")
    while (start := buffer.find(delimiter)) < 0:  # the preamble
        del buffer[: -len(delimiter)]
        if not _fill(buffer, source):
            return  # no form at all: Orthanc stores nothing and reports success
    del buffer[: start + len(delimiter)]
    while not _is_last(buffer, source, is_closed=is_closed):
        yield _read_headers(buffer, source)
        yield from _part(buffer, source, delimiter)
        yield Mark.END_OF_PART
    for _ in source:  # the epilogue
        pass


def _fill(buffer: bytearray, source: Iterator[bytes]) -> bool:
    chunk = next(source, None)
    if chunk is None:
        return False
    buffer += chunk
    return True


def _need(buffer: bytearray, source: Iterator[bytes]) -> None:
    if not _fill(buffer, source):
        raise InvalidRequest("The multipart body is incomplete: its last part does not end with the boundary")


def _is_last(buffer: bytearray, source: Iterator[bytes], *, is_closed: bool) -> bool:
    """Tell whether the delimiter just passed closes the body: by its hyphens, or in a form because nothing follows."""
    while len(buffer) < 3:  # a line break and something behind it
        if buffer.startswith(b"--"):
            return True
        if is_closed:
            _need(buffer, source)
        elif not _fill(buffer, source):
            return bytes(buffer) in _ENDS
    return buffer.startswith(b"--")


def _read_headers(buffer: bytearray, source: Iterator[bytes]) -> PartHeaders:
    # The line break that ends the delimiter's line also opens a part without headers.
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > MAX_HEADER_BYTES:
            raise InvalidRequest("The headers of a part are too long")
        _need(buffer, source)
    lines = _FOLDED.sub(" ", buffer[:end].decode("latin-1")).split("\r\n")
    del buffer[: end + 4]
    named = (line.partition(":") for line in lines if ":" in line)
    return PartHeaders((name.strip(_BLANKS).lower(), value.strip(_BLANKS)) for name, _, value in named)


def _part(buffer: bytearray, source: Iterator[bytes], delimiter: bytes) -> Iterator[bytes]:
    while (end := buffer.find(delimiter)) < 0:
        safe = len(buffer) - len(delimiter)  # the rest may be the beginning of the delimiter
        if safe > 0:
            yield bytes(buffer[:safe])
            del buffer[:safe]
        _need(buffer, source)
    if end:
        yield bytes(buffer[:end])
    del buffer[: end + len(delimiter)]
