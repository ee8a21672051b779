"""`/instances/{id}/thumbnail` and the same of series and studies: a small picture for lists, this server's own.

A list shows dozens at a time, each time it is opened. So they are small, browsers keep them, and the server keeps those it made last.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Final

import falcon

from actors.services.images.image import NoSuchFrame
from actors.services.images.pictures import make_picture
from api.errors import NoPicture, OutOfRange
from api.rest.deps import Deps, Routes
from api.rest.etags import has_made, tag_of_made
from api.rest.image_requests import JPEG
from api.rest.images import of_pixels
from api.rest.middle_frames import middle_of, series_of
from api.rest.render_resources import one_of
from api.rest.resources import find
from api.rest.serving.client_gone import still_wanted
from events.errors import DamagedFile, NotFound
from events.identifiers import Level
from store.dicom.pixels.transformations import Rendition
from store.records import Instance, Resource
from store.views.snapshot import Snapshot

SIDE: Final = 128
MOST_SIDE: Final = 512
MOST_KEPT_BYTES: Final = 16 << 20  # some 5,000 of them
_QUALITY: Final = 80
_MOST_SERIES: Final = 4  # of a study: reports and plans have no picture, and their files are read to know that
_MOST_ORDERED: Final = (
    200  # instances; of a longer series, what came in the middle: 2,000 take 100 ms to be put in order
)


class Kept:
    """Thumbnails that were made last, by their tags; empty is one that cannot be made. Thread-safe."""

    def __init__(self, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._made: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tag: str) -> bytes | None:
        with self._lock:
            if tag in self._made:
                self._made.move_to_end(tag)
            return self._made.get(tag)

    def keep(self, tag: str, made: bytes) -> None:
        with self._lock:
            self._bytes += len(made) - len(self._made.pop(tag, b""))
            self._made[tag] = made
            while self._bytes > self._most_bytes or len(self._made) > self._most_bytes >> 10:
                _, oldest = self._made.popitem(last=False)
                self._bytes -= len(oldest)


class Thumbnail:
    """`/{level}/{id}/thumbnail?size=…`: JPEG that fits into a square, in the instance's window or its full range; 204 where nothing can be seen.

    Also of what has gone: a list asks for what was there a moment ago, and browsers report each error to whoever looks at their console.
    """

    def __init__(self, deps: Deps, level: Level, kept: Kept) -> None:
        self._deps = deps
        self._level = level
        self._kept = kept

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        side = _side(req)
        resp.set_header("Cache-Control", "private, no-cache")  # a browser may keep it, and asks each time
        for instance, frame in self._candidates(identifier):
            tag = tag_of_made(self._deps.settings.sinogram_version, instance.blob, frame, side)
            if has_made(req, tag):
                resp.status = falcon.HTTP_304
            elif made := self._make(req, instance, frame, side, tag):
                resp.data = made
                resp.content_type = JPEG
            else:
                continue
            resp.set_header("ETag", f'"{tag}"')
            return
        resp.status = falcon.HTTP_204

    def _make(self, req: falcon.Request, instance: Instance, frame: int, side: int, tag: str) -> bytes:
        made = self._kept.get(tag)
        if made is None:
            try:
                made = _draw(self._deps, req, instance, frame, side)
            except (NotFound, DamagedFile, NoSuchFrame):  # deleted or overwritten meanwhile, or its file may be mended
                return b""
            self._kept.keep(tag, made)
        return made

    def _candidates(self, identifier: str) -> Iterator[tuple[Instance, int]]:
        """Yield what may be shown, the best first. No snapshot is held while a picture is made."""
        for place in range(_MOST_SERIES):
            with self._deps.views.snapshot() as s:
                chosen = _choose(s, self._level, identifier, place)
            if chosen is None:
                return
            yield chosen


def _choose(snapshot: Snapshot, level: Level, identifier: str, place: int) -> tuple[Instance, int] | None:
    """Return what is to be shown of an instance, a series, or the series of a study at a place; None where there is none."""
    try:
        found = find(snapshot, level, identifier)
        if isinstance(found, Instance):
            return (found, 0) if place == 0 else None
        series = series_of(snapshot, found)
        return _about_middle(snapshot, series[place]) if place < len(series) else None
    except NotFound:
        return None


def _about_middle(snapshot: Snapshot, series: Resource) -> tuple[Instance, int]:
    if series.instance_count <= _MOST_ORDERED:
        return middle_of(snapshot, series)
    ref = next(islice(snapshot.child_refs(series.ref), series.instance_count // 2, None), None)
    if ref is None:
        raise NotFound
    instance = snapshot.get_ref(Level.INSTANCE, ref)
    assert isinstance(instance, Instance)
    return instance, 0


def _draw(deps: Deps, req: falcon.Request, instance: Instance, frame: int, side: int) -> bytes:
    """Return a picture; empty where none can be made. Raises NoSuchFrame, DamagedFile, and as `of_current`."""
    wanted = Rendition(kind="shown", media_type=JPEG, quality=_QUALITY, width=side, height=side, smooth=True)
    check = still_wanted(req, deps.stopping.check)
    try:
        return of_pixels(
            deps,
            instance,
            lambda current: make_picture(deps.codecs, deps.blobs, current, frame, wanted, check=check),
        )
    except NoPicture:
        return b""


def _side(req: falcon.Request) -> int:
    text = req.get_param("size", default=str(SIDE))
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_SIDE):
        raise OutOfRange(f"size must be a number of pixels from 1 to {MOST_SIDE}, found: {text[:40]}")
    return int(text)


def routes(deps: Deps) -> Routes:
    kept = Kept()
    levels = (Level.STUDY, Level.SERIES, Level.INSTANCE)
    return {f"{one_of(level)}/thumbnail": Thumbnail(deps, level, kept) for level in levels}
