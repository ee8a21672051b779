"""`…/rendered` and `…/thumbnail` of studies, series, instances and frames: pictures, documents, videos (PS3.18 §10.4.1.1.3, §10.4.1.1.4).

A client that takes one type gets one picture: of a study or series that which `/series/{id}/preview` shows, of an instance its first frame, as
by Orthanc's plugin; as GIF all its frames, which moves. One that takes `multipart/related` gets a part for each frame below. Pictures show the
full range of the frame where no window is wanted, again as the plugin's. What is wrong in a request is 400, a type that cannot be had 406.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import chain

import falcon

from actors.services.images.pictures import GIF
from actors.services.images.slice_order import count_frames
from actors.wire.multipart import RELATED, PartHeaders
from api.dicomweb.accept import Wanted, parse_accept
from api.dicomweb.addresses import find_addressed
from api.dicomweb.base_url import base_url
from api.dicomweb.handlers import Handlers
from api.dicomweb.parts import WHOLE_BYTES, Part, gathered, send_parts
from api.dicomweb.rendered import documents, pictures
from api.dicomweb.rendered.addressed_frames import Addressed
from api.dicomweb.rendered.animation import animate, read_frame_ms
from api.dicomweb.rendered.pictures import FORMATS, NotAnImage
from api.dicomweb.rendered.rendering import Rendering, parse_rendering, parse_thumbnail, parse_warnings
from api.dicomweb.retrieve.frames import parse_frames
from api.errors import NotAcceptable
from api.rest.deps import Deps
from api.rest.serving.file_pieces import Closing
from store.records import Instance


class Rendered:
    """The pictures of what an address names."""

    def __init__(self, deps: Deps, *, is_thumbnail: bool) -> None:
        self._deps = deps
        self._is_thumbnail = is_thumbnail

    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        study: str,
        series: str | None = None,
        instance: str | None = None,
        frames: str | None = None,
    ) -> None:
        rendering = parse_thumbnail(req) if self._is_thumbnail else parse_rendering(req)
        for text in parse_warnings(req):
            resp.append_header("Warning", f'299 {base_url(req, self._deps.settings)} "{text}"')
        numbers = None if frames is None else parse_frames(frames)
        with self._deps.views.snapshot() as s:
            found = find_addressed(s, study, series, instance)
        addressed = Addressed(self._deps, study, series, found, numbers)
        is_list = numbers is not None and len(numbers) > 1 and not self._is_thumbnail
        answer = _Answer(self._deps, req, resp, rendering, has_documents=not self._is_thumbnail)
        for wanted in _different(parse_accept(req)):
            has_parts = wanted.is_multipart or (is_list and wanted.type.endswith("*"))
            if has_parts and not self._is_thumbnail:
                is_sent = answer.send_all(addressed, wanted)
            else:
                is_sent = not is_list and answer.send_one(addressed, wanted)
            if is_sent:
                return
        raise answer.reason


class _Answer:
    """An answer to one request; `reason` says why there is none yet."""

    def __init__(
        self,
        deps: Deps,
        req: falcon.Request,
        resp: falcon.Response,
        rendering: Rendering,
        *,
        has_documents: bool,
    ) -> None:
        self._deps = deps
        self._req = req
        self._resp = resp
        self._rendering = rendering
        self._has_documents = has_documents
        self._failed: set[tuple[int, int, str]] = set()
        self.reason = NotAcceptable(
            f"Images are offered as {', '.join(FORMATS)}, alone and in {RELATED}; documents, reports and videos in their own types"
        )

    def send_one(self, addressed: Addressed, wanted: Wanted) -> bool:
        """Answer with one picture, or what else an instance holds; returns whether there is one of a type that is wanted."""
        for instance, frame in _pictures_first(addressed.representatives()):
            kind = self._type_for(instance, wanted)
            tried = (instance.ref, frame, kind or "")
            if kind is None or tried in self._failed:
                continue
            self._failed.add(tried)
            try:
                if kind == GIF and addressed.is_whole_instance and self._has_documents and count_frames(instance) > 1:
                    self._send_animation(instance, addressed.frames(instance))
                else:
                    self._send_one(instance, frame, kind, in_parts=wanted.is_multipart)
            except NotAcceptable as exc:
                self.reason = exc
            else:
                return True
        return False

    def _send_one(self, instance: Instance, frame: int, kind: str, *, in_parts: bool) -> None:
        deps, req, resp = self._deps, self._req, self._resp
        if kind not in FORMATS:
            documents.send(resp, documents.read_document(deps, instance, kind), kind)
        elif in_parts:  # a thumbnail
            made = pictures.make(deps, req, instance, frame, self._rendering, kind)
            send_parts(resp, kind, _joined((PartHeaders({"Content-Type": kind}), (made,)), ()), len(made))
        else:
            pictures.send(deps, req, resp, instance, frame, self._rendering, kind)

    def _send_animation(self, instance: Instance, frames: Sequence[int]) -> None:
        """Answer with all frames of an instance, which have one size, as one GIF."""
        deps, req = self._deps, self._req
        made = (pictures.make(deps, req, instance, frame, self._rendering, GIF) for frame in frames)
        pieces = gathered(animate(made, read_frame_ms(deps, instance)))
        first = next(pieces)  # what fails at once has its status
        self._resp.content_type = GIF
        self._resp.stream = Closing(chain((first,), pieces), pieces)

    def send_all(self, addressed: Addressed, wanted: Wanted) -> bool:
        """Answer with a part for each frame, as they are made; returns whether there is one of a type that is wanted."""
        parts = self._parts(addressed, wanted)
        first = next(parts, None)  # what fails at once has its status
        if first is None:
            return False
        send_parts(self._resp, first[0]["Content-Type"], _joined(first, parts), WHOLE_BYTES + 1)
        return True

    def _parts(self, addressed: Addressed, wanted: Wanted) -> Generator[Part]:
        base = base_url(self._req, self._deps.settings)
        for series, instance in addressed.instances():
            kind = self._type_for(instance, wanted)
            if kind is not None:
                yield from self._parts_of(
                    addressed.frames(instance), instance, kind, addressed.address(base, series, instance)
                )

    def _parts_of(self, frames: Sequence[int], instance: Instance, kind: str, address: str) -> Generator[Part]:
        if kind not in FORMATS:
            document = documents.read_document(self._deps, instance, kind)
            yield _headers(kind, f"{address}/rendered"), document.pieces()
            return
        for frame in frames:
            try:
                made = pictures.make(self._deps, self._req, instance, frame, self._rendering, kind)
            except NotAnImage as exc:
                self.reason = exc
                return
            yield _headers(kind, f"{address}/frames/{frame + 1}/rendered"), iter((made,))

    def _type_for(self, instance: Instance, wanted: Wanted) -> str | None:
        """Return the type in which an instance can be had that is wanted, if there is one."""
        types = documents.types_of(instance)
        offered = (types if self._has_documents else ()) if types else FORMATS
        return next(filter(wanted.takes, offered), None)


def _different(accepted: Iterable[Wanted]) -> Iterator[Wanted]:
    """Yield each type once, and none that nothing has: a header may hold thousands, and each is looked for in all of a study."""
    known = (*FORMATS, *documents.ALL_TYPES)
    seen = set()
    for wanted in accepted:
        key = wanted.type, wanted.is_multipart
        if key not in seen and any(map(wanted.takes, known)):
            seen.add(key)
            yield wanted


def _pictures_first(found: Iterator[tuple[Instance, int]]) -> Iterator[tuple[Instance, int]]:
    later = []
    for each in found:
        if documents.types_of(each[0]):
            later.append(each)
        else:
            yield each
    yield from later


def _headers(kind: str, address: str) -> PartHeaders:
    return PartHeaders({"Content-Type": kind, "Content-Location": address})


def _joined(first: Part, others: Iterable[Part]) -> Generator[Part]:
    yield first
    yield from others


def handlers(deps: Deps) -> Handlers:
    series = "studies/{study}/series/{series}"
    levels = (
        "studies/{study}",
        series,
        f"{series}/instances/{{instance}}",
        f"{series}/instances/{{instance}}/frames/{{frames}}",
    )
    rendered, thumbnail = Rendered(deps, is_thumbnail=False), Rendered(deps, is_thumbnail=True)
    return {f"{level}/rendered": {"GET": rendered.on_get} for level in levels} | {
        f"{level}/thumbnail": {"GET": thumbnail.on_get} for level in levels
    }
