"""`…/rendered` and `…/thumbnail` of studies, series, instances and frames: pictures, documents, videos (PS3.18 §10.4.1.1.3, §10.4.1.1.4).

A client that takes one type gets one picture: of a study or series that which `/series/{id}/preview` shows, of an instance its first frame, as by
Orthanc's plugin. One that takes `multipart/related` gets a part for each frame below. Pictures show the full range of the frame where no
window is wanted, again as the plugin's. What is wrong in a request is 400, a type that cannot be had 406.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence

import falcon

from actors.services.images.slice_order import count_frames
from actors.wire.multipart import RELATED, PartHeaders
from api.dicomweb import documents, pictures
from api.dicomweb.accept import Wanted, parse_accept
from api.dicomweb.addresses import find_addressed
from api.dicomweb.base_url import base_url, resource_url
from api.dicomweb.frames import parse_frames
from api.dicomweb.handlers import Handlers
from api.dicomweb.parts import WHOLE_BYTES, Part, send_parts
from api.dicomweb.pictures import FORMATS, NotAnImage
from api.dicomweb.rendering import Rendering, parse_rendering, parse_thumbnail, parse_warnings
from api.errors import NotAcceptable
from api.rest.deps import Deps
from api.rest.middle_frames import middle_of, ordered_instances, series_of
from store.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID
from store.records import Instance, Resource


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
        addressed = _Addressed(self._deps, study, found, numbers)
        is_list = numbers is not None and len(numbers) > 1 and not self._is_thumbnail
        answer = _Answer(self._deps, req, resp, rendering, has_documents=not self._is_thumbnail)
        for wanted in parse_accept(req):
            has_parts = wanted.is_multipart or (is_list and wanted.type.endswith("*"))
            if has_parts and not self._is_thumbnail:
                is_sent = answer.send_all(addressed, wanted)
            else:
                is_sent = not is_list and answer.send_one(addressed, wanted)
            if is_sent:
                return
        raise answer.reason


class _Addressed:
    """What an address names."""

    def __init__(
        self, deps: Deps, study: str, found: Sequence[Resource | Instance], numbers: Sequence[int] | None
    ) -> None:
        self._deps = deps
        self._study = study
        self._found = found
        self._numbers = numbers

    def representatives(self) -> Iterator[tuple[Instance, int]]:
        """Yield frames that may stand for all of it, the best first."""
        first = self._found[0]
        if isinstance(first, Instance):
            yield first, self._numbers[0] - 1 if self._numbers else 0
            return
        for series in self._series():
            with self._deps.views.snapshot() as s:
                middle = middle_of(s, series)
            yield middle

    def instances(self) -> Iterator[tuple[str, Instance]]:
        """Yield all instances, and the UIDs of their series."""
        for record in self._found:
            if isinstance(record, Instance):
                with self._deps.views.snapshot() as s:
                    series = s.parent(record)
                yield series.tags[SERIES_INSTANCE_UID], record
                return
        for series in self._series():
            with self._deps.views.snapshot() as s:
                ordered = ordered_instances(s, series)
            for instance in ordered:
                yield series.tags[SERIES_INSTANCE_UID], instance

    def frames(self, instance: Instance) -> Sequence[int]:
        return range(count_frames(instance)) if self._numbers is None else [number - 1 for number in self._numbers]

    def _series(self) -> list[Resource]:
        with self._deps.views.snapshot() as s:
            return [each for record in self._found if isinstance(record, Resource) for each in series_of(s, record)]

    def address(self, base: str, series: str, instance: Instance) -> str:
        return resource_url(base, self._study, series, instance.tags[SOP_INSTANCE_UID])


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
            f"Images are offered as {', '.join(FORMATS)}, alone and in {RELATED}; documents and videos in their own type"
        )

    def send_one(self, addressed: _Addressed, wanted: Wanted) -> bool:
        """Answer with one picture, or what else an instance holds; returns whether there is one of a type that is wanted."""
        for instance, frame in _pictures_first(addressed.representatives()):
            kind = self._type_for(instance, wanted)
            tried = (instance.ref, frame, kind or "")
            if kind is None or tried in self._failed:
                continue
            self._failed.add(tried)
            try:
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

    def send_all(self, addressed: _Addressed, wanted: Wanted) -> bool:
        """Answer with a part for each frame, as they are made; returns whether there is one of a type that is wanted."""
        parts = self._parts(addressed, wanted)
        first = next(parts, None)  # what fails at once has its status
        if first is None:
            return False
        send_parts(self._resp, first[0]["Content-Type"], _joined(first, parts), WHOLE_BYTES + 1)
        return True

    def _parts(self, addressed: _Addressed, wanted: Wanted) -> Generator[Part]:
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
