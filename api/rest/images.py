"""Pictures, frames and arrays below `/instances/{id}`, and pictures of series and studies.

`/series/{id}/…` and `/studies/{id}/…` with `preview` and `rendered` are this server's own: the picture of the frame in the middle.
"""

import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import falcon

from actors.services.images.frames import read_raw
from actors.services.images.image import NoSuchFrame, NoSuchPart
from actors.services.images.pictures import make_matlab, make_picture
from actors.services.images.slice_order import count_frames
from actors.services.images.stacks import FormatsDiffer, SizesDiffer
from api.errors import NoPicture
from api.rest import dicom_files
from api.rest.deps import Deps, Routes
from api.rest.image_requests import ImageRequest, parse_image_request, wants_placeholder
from api.rest.instance_content import OfInstance
from api.rest.middle_frames import middle_of, series_of
from api.rest.placeholder import placeholder
from api.rest.render_resources import one_of
from api.rest.resources import find, find_below
from api.rest.serving.client_gone import still_wanted
from api.rest.serving.replies import BINARY, TEXT, send_json
from events.errors import InvalidDicom, NotFound
from events.identifiers import Level
from store.dicom.uids import JPEG_FAMILY
from store.records import Instance, Resource

KINDS: Final = ("image-int16", "image-uint16", "image-uint8", "preview", "rendered")
_OPERATIONS: Final = sorted((*KINDS, "matlab", "numpy", "raw", "raw.gz"))
_RAW_TYPES: Final = {
    JPEG_FAMILY + number: kind for number, kind in (("50", "image/jpeg"), ("90", "image/jp2"), ("91", "image/jp2"))
}
_FRAME = re.compile(r"[0-9]{1,10}\Z")
_MOST_FRAMES: Final = 1 << 32
MOST_LISTED_FRAMES: Final = 1_000_000

T = TypeVar("T")


def parse_frame(text: str) -> int:
    """Return the index of a frame that a URI names. Raises NotFound, as Orthanc."""
    if not _FRAME.match(text) or int(text) >= _MOST_FRAMES:
        raise NotFound
    return int(text)


def refuse_long_list(count: int) -> None:
    """Raise NoPicture for more frames than are listed: an instance may say that it has any number."""
    if count > MOST_LISTED_FRAMES:
        raise NoPicture(f"There are {count} frames, by what is said of them; up to {MOST_LISTED_FRAMES} are listed")


def of_pixels(deps: Deps, instance: Instance, make: Callable[[Instance], T]) -> T:
    """Return what is made of an instance's pixels. Raises NoPicture where it cannot be made; NoSuchFrame; as `of_current`."""
    with pixel_errors():
        return dicom_files.of_current(deps, instance, make)


@contextmanager
def pixel_errors() -> Iterator[None]:
    """Let pixels that cannot be had be NoPicture, but for what has an answer of its own."""
    try:
        yield
    except (NoSuchFrame, NoSuchPart, SizesDiffer, FormatsDiffer):
        raise
    except InvalidDicom as exc:
        raise NoPicture(str(exc)) from exc


class Frames(OfInstance):
    """`/instances/{id}/frames`: the indices of the frames."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        count = count_frames(self._find(identifier))
        refuse_long_list(count)
        send_json(req, resp, list(range(count)))


class Operations:
    """`/instances/{id}/frames/{frame}`: what can be made of a frame."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, frame: str) -> None:  # noqa: ARG002
        send_json(req, resp, _OPERATIONS)


class Picture(OfInstance):
    """`…/preview`, `…/rendered` and `…/image-uint8` and its like."""

    def __init__(self, deps: Deps, kind: str) -> None:
        super().__init__(deps)
        self._kind = kind

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, frame: str = "0") -> None:
        number = parse_frame(frame)
        self._send(req, resp, lambda: (self._find_picture(identifier), number))

    def _find_picture(self, identifier: str) -> Instance:
        with self._deps.views.snapshot() as s:
            instance = find(s, Level.INSTANCE, identifier)
        assert isinstance(instance, Instance)
        return instance

    def _send(self, req: falcon.Request, resp: falcon.Response, find: Callable[[], tuple[Instance, int]]) -> None:
        instance, frame = find()
        try:
            wanted = parse_image_request(req, self._kind)
            resp.data = self._make(instance, frame, wanted, still_wanted(req, self._deps.stopping.check))
            resp.content_type = wanted.rendition.media_type
        except NoPicture:
            if not wants_placeholder(req):
                raise
            resp.data = placeholder()
            resp.content_type = "image/png"

    def _make(self, instance: Instance, frame: int, wanted: ImageRequest, check: Callable[[], None]) -> bytes:
        deps = self._deps

        def make(current: Instance) -> bytes:
            return make_picture(deps.codecs, deps.blobs, current, frame, wanted.rendition, wanted.window, check)

        try:
            return of_pixels(deps, instance, make)
        except NoSuchFrame as exc:
            raise NoPicture(str(exc)) from exc


class MiddlePicture(Picture):
    """`/series/{id}/preview` and its like: the frame in the middle of a series, or of the largest series of a study."""

    def __init__(self, deps: Deps, kind: str, level: Level) -> None:
        super().__init__(deps, kind)
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, frame: str = "") -> None:  # noqa: ARG002
        self._send(req, resp, lambda: self._find_middle(identifier))

    def _find_middle(self, identifier: str) -> tuple[Instance, int]:
        with self._deps.views.snapshot() as s:
            found = find_below(s, self._level, identifier)
            assert isinstance(found, Resource)
            return middle_of(s, series_of(s, found)[0])


class Matlab(OfInstance):
    """`…/matlab`: a frame as an expression of Octave and Matlab."""

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, frame: str = "0") -> None:
        deps, number = self._deps, parse_frame(frame)
        check = still_wanted(req, deps.stopping.check)
        resp.data = of_pixels(
            deps,
            self._find(identifier),
            lambda instance: make_matlab(deps.codecs, deps.blobs, instance, number, check),
        )
        resp.content_type = TEXT


class Raw(OfInstance):
    """`…/raw` and `…/raw.gz`: the bytes of a frame, compressed as they lie in the file, or else in little endian."""

    def __init__(self, deps: Deps, *, zips: bool) -> None:
        super().__init__(deps)
        self._zips = zips

    def on_get(self, _req: falcon.Request, resp: falcon.Response, identifier: str, frame: str) -> None:
        number = parse_frame(frame)
        data, syntax = of_pixels(
            self._deps, self._find(identifier), lambda instance: read_raw(self._deps.blobs, instance, number)
        )
        if self._zips:
            resp.data = gzip.compress(data, compresslevel=1, mtime=0)
            resp.content_type = "application/gzip"
        else:
            resp.data = data
            resp.content_type = _RAW_TYPES.get(syntax, BINARY)


def routes(deps: Deps) -> Routes:
    one = one_of(Level.INSTANCE)
    frame = f"{one}/frames/{{frame}}"
    found: Routes = {
        f"{one}/frames": Frames(deps),
        frame: Operations(),
        f"{one}/matlab": Matlab(deps),
        f"{frame}/matlab": Matlab(deps),
        f"{frame}/raw": Raw(deps, zips=False),
        f"{frame}/raw.gz": Raw(deps, zips=True),
    }
    for kind in KINDS:
        found |= {f"{one}/{kind}": Picture(deps, kind), f"{frame}/{kind}": Picture(deps, kind)}
    for level in (Level.SERIES, Level.STUDY):
        found |= {f"{one_of(level)}/{kind}": MiddlePicture(deps, kind, level) for kind in ("preview", "rendered")}
    return found
