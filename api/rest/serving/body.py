"""A request's body as a stream of chunks: whole or chunked, plain or gzip, bounded and never all in memory.

falcon's `bounded_stream` takes a chunked body for an empty one, so `wsgi.input` (`api.rest.serving.incoming_body`) is read itself. It
may give less than was asked for before the end, so it is read until it gives nothing.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import falcon

from api.errors import BodyBroken, BodyTooLarge, OutOfRange
from api.rest.serving.inflating import inflate
from api.rest.settings import RestSettings
from events.errors import InvalidRequest

CHUNK_BYTES = 1 << 18  # a 170 kB slice in one read; 50 clients hold 12 MB
SMALL_BODY_BYTES = 1 << 20  # for bodies that are an argument, not a file
_MIB = 1 << 20


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_chunks(req: falcon.Request, settings: RestSettings) -> Iterator[bytes]:
    """Iterate over a body as the client meant it, inflated if it came as gzip. Raises BodyTooLarge, BodyBroken, BodySilent."""
    raw = read_raw_chunks(req, settings)
    if is_gzip(req):
        return inflate(raw, settings.maximum_file_size_in_archive_mb * _MIB, settings.maximum_archive_size_mb * _MIB)
    return raw


def read_raw_chunks(req: falcon.Request, settings: RestSettings) -> Iterator[bytes]:
    """Iterate over a body as it came, whatever its encoding. Raises BodyTooLarge, BodyBroken, BodySilent."""
    limit = settings.maximum_request_body_size_mb * _MIB
    declared = _declared_length(req)
    if limit and declared is not None and declared > limit:
        raise BodyTooLarge
    return _read_raw(req, declared, limit)


def is_gzip(req: falcon.Request) -> bool:
    """Tell whether the body is to be inflated; other encodings are passed through, as in Orthanc."""
    return bool(req.env.get("HTTP_CONTENT_ENCODING", "").lower() == "gzip")


def read_text(req: falcon.Request) -> str:
    """Return a small body as text. Raises OutOfRange for one that is far longer than any argument."""
    return read_small(req).decode("utf-8", "replace")


def read_small(req: falcon.Request, limit: int = SMALL_BODY_BYTES) -> bytes:
    """Return a small body. Raises OutOfRange for one that is longer than `limit` bytes: far more than any argument."""
    parts: list[bytes] = []
    size = 0
    for chunk in _read_raw(req, _declared_length(req), 0):
        size += len(chunk)
        if size > limit:
            raise OutOfRange(f"The body is longer than {limit} bytes, the most that is taken here")
        parts.append(chunk)
    return b"".join(parts)


def _declared_length(req: falcon.Request) -> int | None:
    text: Any = req.env.get("CONTENT_LENGTH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest("Content-Length is no number")
    return int(text)


def _read_raw(req: falcon.Request, declared: int | None, limit: int) -> Iterator[bytes]:
    stream: Readable = req.env["wsgi.input"]
    received = 0
    while declared is None or received < declared:
        chunk = stream.read(CHUNK_BYTES if declared is None else min(CHUNK_BYTES, declared - received))
        if not chunk:
            break
        received += len(chunk)
        if limit and received > limit:
            raise BodyTooLarge
        yield chunk
    if declared is not None and received < declared:
        raise BodyBroken("The body is shorter than its Content-Length")
