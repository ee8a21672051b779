"""Arrays for NumPy of frames, instances and series, and `/series/{id}/ordered-slices`. They leave frame by frame."""

import io
import zipfile
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import falcon

from actors.services.images.slice_order import OrderedSlices, count_frames, order_slices
from actors.services.images.stacks import Stack
from api.errors import UnknownRoute
from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.images import parse_frame, pixel_errors, refuse_long_list
from api.rest.render_resources import one_of
from api.rest.resources import find_below, find_instance
from api.rest.serving.client_gone import still_wanted
from api.rest.serving.file_pieces import Closing
from api.rest.serving.replies import BINARY, send_json
from events.identifiers import Level, format_resource_id
from store.dicom.pixels.arrays import array_header
from store.records import Instance, Resource

_MEMBER: Final = "arr_0"  # of the archive, as NumPy's own `savez` names what has no name
_LEVEL: Final = 1
_LARGE_BYTES: Final = 2 << 30  # needs the form of a ZIP archive that not all programs read


class _Numpy:
    """What the three resources share."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def _send(
        self, req: falcon.Request, resp: falcon.Response, instances: list[Instance], frame: int | None = None
    ) -> None:
        rescales = arguments.boolean(req, "rescale", default=True)
        compresses = arguments.boolean(req, "compress")
        deps = self._deps
        check = still_wanted(req, deps.stopping.check)
        try:
            with pixel_errors():
                stack = Stack(deps.codecs, deps.blobs, deps.views, instances, check, rescales=rescales, frame=frame)
                arrays = stack.arrays()
                first = next(arrays)
        except FileNotFoundError:
            raise UnknownRoute from None
        count = None if frame is not None else stack.frames
        header = array_header(stack.described, count, rescales=rescales)
        pieces = chain((header, first), arrays)
        resp.content_type = BINARY
        size = len(header) + stack.frames * stack.frame_bytes
        if compresses:
            resp.stream = Closing(_zipped(pieces, size), arrays)
        elif stack.frames == 1:
            resp.data = header + first  # a stream takes a thread once more for each piece
        else:
            resp.content_length = size
            resp.stream = Closing(pieces, arrays)


class _Written(io.RawIOBase):
    """Collects what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any, /) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _zipped(pieces: Iterator[bytes], size_bytes: int) -> Iterator[bytes]:
    """The pieces as the one member of a ZIP archive, which is made while it leaves."""
    out = _Written()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        archive.open(_MEMBER, "w", force_zip64=size_bytes >= _LARGE_BYTES) as member,
    ):
        for piece in pieces:
            member.write(piece)
            if made := out.take():
                yield made
    yield out.take()


class OfInstance(_Numpy):
    """`/instances/{id}/numpy`, and that of a frame, which has one dimension less."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, frame: str | None = None) -> None:
        number = None if frame is None else parse_frame(frame)
        with self._deps.views.snapshot() as s:
            instance = find_instance(s, identifier)
        self._send(req, resp, [instance], number)


class OfSeries(_Numpy):
    """`/series/{id}/numpy`."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        self._send(req, resp, [*_ordered(self._deps, identifier).instances])


def _ordered(deps: Deps, identifier: str) -> OrderedSlices:
    with deps.views.snapshot() as s:
        series = find_below(s, Level.SERIES, identifier)
        assert isinstance(series, Resource)
        instances = [each for each in s.children(series) if isinstance(each, Instance)]
    return order_slices(instances)


class Ordered:
    """`/series/{id}/ordered-slices`: which file and which frame comes after which."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        ordered = _ordered(self._deps, identifier)
        members = [(format_resource_id(each.id), count_frames(each)) for each in ordered.instances]
        refuse_long_list(sum(count for _, count in members))
        shown = {
            "Type": "Volume" if ordered.is_volume else "Sequence",
            "Dicom": [f"/instances/{name}/file" for name, _ in members],
            "Slices": [f"/instances/{name}/frames/{frame}" for name, count in members for frame in range(count)],
            "SlicesShort": [[name, 0, count] for name, count in members],
        }
        send_json(req, resp, shown)


def routes(deps: Deps) -> Routes:
    instance, series = one_of(Level.INSTANCE), one_of(Level.SERIES)
    return {
        f"{instance}/numpy": OfInstance(deps),
        f"{instance}/frames/{{frame}}/numpy": OfInstance(deps),
        f"{series}/numpy": OfSeries(deps),
        f"{series}/ordered-slices": Ordered(deps),
    }
