"""The header `Range` of a request, in two ways: as RFC 9110 has it, for what Orthanc has not (`asked_part`), and as Orthanc 1.12.7 reads it (seen there).

To Orthanc `bytes=2-5` is what clients send. `bytes=-5` is read as `bytes=0-5`, not as the last five bytes: the answer's Content-Range says so. What is
no number counts as absent. A range that ends beyond the file, or several of them, are refused.
"""

import re
from io import RawIOBase
from typing import Final, NamedTuple

import falcon

from api.errors import BadRange
from api.rest.serving.file_pieces import send_file

_FORM: Final = re.compile(r"bytes=([^-]*)-([^-]*)\Z")
_STRICT_FORM: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")
_NUMBER: Final = re.compile(r"\+?[0-9]+\Z")
_BEYOND: Final = 1 << 64  # numbers from here on count as absent


class Range(NamedTuple):
    """What is asked for; both ends count, `last` None is the end of the file."""

    first: int
    last: int | None

    def within(self, size_bytes: int) -> "Part":
        """Return which part of a file of that size it is. Raises BadRange."""
        last = size_bytes - 1 if self.last is None else self.last
        if self.first >= size_bytes or last >= size_bytes:
            raise BadRange
        return Part(self.first, last + 1 - self.first, size_bytes)


class Part(NamedTuple):
    """A part of a file."""

    start: int
    size_bytes: int
    of_bytes: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.start + self.size_bytes - 1}/{self.of_bytes}"


def asked_part(req: falcon.Request, resp: falcon.Response, size_bytes: int) -> Part | None:
    """Return the one part that is asked for, None for the whole: what cannot be read asks for nothing (RFC 9110 §14.2). Raises BadRange."""
    match = _STRICT_FORM.match(req.env.get("HTTP_RANGE", "").strip())
    if match is None or match[0] == "bytes=-":
        return None
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or size_bytes), size_bytes - 1)
        if match[2] and int(match[2]) < first:
            return None
    else:
        first, last = max(size_bytes - int(match[2]), 0), size_bytes - 1
    if first > last:
        resp.set_header("Content-Range", f"bytes */{size_bytes}")
        raise BadRange(f"There are {size_bytes} bytes")
    return Part(first, last - first + 1, size_bytes)


def parse_range(req: falcon.Request) -> Range | None:
    """Return what a request asks for, None where it wants the whole. Raises BadRange."""
    text: str | None = req.env.get("HTTP_RANGE")
    if text is None:
        return None
    match = _FORM.match(text)
    if match is None:
        raise BadRange
    first, last = _number(match[1]), _number(match[2])
    if last is not None and last < (first or 0):
        raise BadRange
    return Range(first or 0, last)


def _number(text: str) -> int | None:
    text = text.strip()
    found = int(text) if _NUMBER.match(text) and len(text) <= 40 else _BEYOND
    return found if found < _BEYOND else None


def send_part(resp: falcon.Response, opened: RawIOBase, part: Part) -> None:
    """Answer with a part of a file, which is closed then, also if this fails."""
    try:
        opened.seek(part.start)
        resp.status = falcon.HTTP_206
        resp.set_header("Content-Range", part.content_range)
        send_file(resp, opened, part.size_bytes)
    except BaseException:
        opened.close()
        raise
