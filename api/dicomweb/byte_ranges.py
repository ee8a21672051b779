"""The header `Range` of DICOMweb: one range of bytes, as RFC 9110 §14 reads it. Others are ignored, as it allows."""

import re
from typing import Final

import falcon

from actors.services.images.frames import Bytes
from api.dicomweb.parts import WHOLE_BYTES, cut
from api.errors import BadRange

_FORM: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")


def send(req: falcon.Request, resp: falcon.Response, content: Bytes) -> None:
    """Answer with bytes, or with the range of them that is asked for. Raises BadRange for one behind their end."""
    found = _range(req.env.get("HTTP_RANGE", ""), len(content))
    resp.set_header("Accept-Ranges", "bytes")
    if found is not None:
        start, end = found
        resp.status = falcon.HTTP_206
        resp.set_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        content = memoryview(content)[start:end]
    if len(content) <= WHOLE_BYTES:
        resp.data = bytes(content)
        return
    resp.content_length = len(content)
    resp.stream = cut(content)


def _range(text: str, size_bytes: int) -> tuple[int, int] | None:
    match = _FORM.match(text.strip())
    if match is None or match.group(1, 2) == ("", ""):
        return None
    first, last = match.group(1, 2)
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < int(first):
            return None  # no range at all
    if start >= size_bytes or start >= end:
        raise BadRange(f"There are {size_bytes} bytes")
    return start, end
