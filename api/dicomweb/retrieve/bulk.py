"""`…/instances/{instance}/bulk/{path}`: the value of any element, as the BulkDataURI of metadata names it (PS3.18 §10.4.1.1.5).

A path is as that of Orthanc's plugin: tags, and between them the number of an item, from 1. Native pixels are one value; compressed ones are a part
for each frame, as they lie there, and a video is one stream. A value alone is given for a single-part `Accept`, or a range of it.
"""

from collections.abc import Generator, Iterable
from typing import Final

import falcon

from actors.services.images.frames import Bytes, ImageFrames
from actors.wire.multipart import PartHeaders
from api.dicomweb import byte_ranges
from api.dicomweb.accept import parse_accept
from api.dicomweb.addresses import find_addressed
from api.dicomweb.base_url import base_url, resource_url
from api.dicomweb.handlers import Handlers
from api.dicomweb.media_types import OCTETS, VIDEOS, media_type_of, with_syntax
from api.dicomweb.parts import Part, send_parts, whole_or_cut
from api.errors import NotAcceptable
from api.rest import dicom_files
from api.rest.deps import Deps
from store.dicom.content import Value, locate
from store.records import Instance

_PIXELS: Final = frozenset({"7fe00010", "7fe0,0010", "7fe0-0010", "pixeldata"})


class Bulk:
    """See the module's text."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(
        self, req: falcon.Request, resp: falcon.Response, study: str, series: str, instance: str, path: str
    ) -> None:
        deps = self._deps
        with deps.views.snapshot() as s:
            (record,) = find_addressed(s, study, series, instance)[:1]
        assert isinstance(record, Instance)
        kind = media_type_of(record.transfer_syntax) if path.lower() in _PIXELS else OCTETS
        name = OCTETS if kind == OCTETS else with_syntax(kind, record.transfer_syntax)
        is_multipart = _is_multipart(req, kind)
        value = dicom_files.of_current(deps, record, lambda current: self._locate(current, path))
        if not value.is_encapsulated or kind in VIDEOS:
            contents = [_joined(value)]
        else:
            contents = dicom_files.of_current(deps, record, self._frames)
        if is_multipart:
            address = f"{resource_url(base_url(req, deps.settings), study, series, instance)}/bulk/{path}"
            send_parts(resp, kind, _parts(contents, name, address), sum(map(len, contents)))
        elif len(contents) == 1:
            resp.content_type = name
            byte_ranges.send(req, resp, contents[0])
        else:
            raise NotAcceptable(
                f"There are {len(contents)} frames, which can be had in parts, or one by one below frames"
            )

    def _locate(self, instance: Instance, path: str) -> Value:
        data = self._deps.blobs.read_instance(instance, whole=False)
        return locate(data, path.split("/"))

    def _frames(self, instance: Instance) -> list[Bytes]:
        image = ImageFrames(self._deps.blobs, instance)
        return [image.as_stored(frame) for frame in range(image.count)]


def _is_multipart(req: falcon.Request, kind: str) -> bool:
    """Tell whether the client wants parts. Raises NotAcceptable where it takes no such value."""
    for wanted in parse_accept(req):
        if wanted.takes(kind) or wanted.takes(OCTETS):
            return wanted.is_multipart or wanted.type.endswith("*")
    raise NotAcceptable(f"This value can be had as {kind}, in multipart/related or alone")


def _joined(value: Value) -> Bytes:
    """One value; that of a large file is a view of its map."""
    pieces = [piece if isinstance(piece, bytes) else memoryview(piece) for piece in value.pieces()]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _parts(contents: Iterable[Bytes], name: str, address: str) -> Generator[Part]:
    for content in contents:
        headers = {"Content-Location": address, "Content-Type": name, "Content-Length": str(len(content))}
        yield PartHeaders(headers), whole_or_cut(content)


def handlers(deps: Deps) -> Handlers:
    bulk = Bulk(deps)
    return {"studies/{study}/series/{series}/instances/{instance}/bulk/{path:path}": {"GET": bulk.on_get}}
