"""multipart/form-data as a stream: the parts' bytes as they come, nothing kept but what may be a boundary.

Source: RFC 2046 §5.1.1, RFC 7578. Part headers are not looked at: whatever a form uploads is taken for a file. A form ends
with its last boundary; the two hyphens behind it may be missing, as in Orthanc.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from events.errors import InvalidRequest

_FORM = "multipart/form-data"
_BLANKS = " \t"
# A name, and a value up to the next semicolon; one between quotation marks may hold semicolons.
_PARAMETER = re.compile(r';([^=;]*)=[ \t]*("[^"]*"(?=[ \t]*(?:;|$))|[^;]*)')
MAX_HEADER_BYTES = 1 << 16  # of one part
_ENDS = frozenset((b"", b"-", b"\r", b"\r\n", b"\n"))  # what may stand behind the last delimiter instead of two hyphens


class Mark(Enum):
    """What `split` yields between the bytes of parts."""

    END_OF_PART = auto()


def parse_boundary(content_type: str) -> bytes | None:
    """Return the boundary of a form, None if the body is something else (or names no boundary, as in Orthanc)."""
    if content_type.partition(";")[0].strip(_BLANKS).lower() != _FORM:
        return None
    named = [match for match in _PARAMETER.finditer(content_type) if match[1].strip(_BLANKS).lower() == "boundary"]
    boundary = _unquoted(named[-1][2].strip(_BLANKS)) if named else ""  # the last one counts
    return boundary.encode("latin-1", "replace") or None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def split(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes | Mark]:
    """Yield the bytes of every part, each part closed by `Mark.END_OF_PART`.

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
    while not _is_last(buffer, source):
        _skip_headers(buffer, source)
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


def _is_last(buffer: bytearray, source: Iterator[bytes]) -> bool:
    """Tell whether the delimiter just passed closes the body: by its hyphens, or because nothing follows."""
    while len(buffer) < 3:  # a line break and something behind it
        if buffer.startswith(b"--"):
            return True
        if not _fill(buffer, source):
            return bytes(buffer) in _ENDS
    return buffer.startswith(b"--")


def _skip_headers(buffer: bytearray, source: Iterator[bytes]) -> None:
    # The line break that ends the delimiter's line also opens a part without headers.
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if len(buffer) > MAX_HEADER_BYTES:
            raise InvalidRequest("The headers of a part are too long")
        _need(buffer, source)
    del buffer[: end + 4]


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
