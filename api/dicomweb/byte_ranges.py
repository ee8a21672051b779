"""The header `Range` of DICOMweb: one range of bytes, as RFC 9110 §14 reads it. Others are ignored, as it allows."""

import falcon

from actors.services.images.frames import Bytes
from api.dicomweb.parts import WHOLE_BYTES, cut
from api.rest.ranges import asked_part


def send(req: falcon.Request, resp: falcon.Response, content: Bytes) -> None:
    """Answer with bytes, or with the range of them that is asked for. Raises BadRange for one behind their end."""
    part = asked_part(req, resp, len(content))
    resp.set_header("Accept-Ranges", "bytes")
    if part is not None:
        resp.status = falcon.HTTP_206
        resp.set_header("Content-Range", part.content_range)
        content = memoryview(content)[part.start : part.start + part.size_bytes]
    if len(content) <= WHOLE_BYTES:
        resp.data = bytes(content)
        return
    resp.content_length = len(content)
    resp.stream = cut(content)
