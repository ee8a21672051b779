"""`/patients`, `/studies`, `/series`, `/instances`: lists, single resources, what is above and below them, deletion.

As in Orthanc, there are two answers for a resource that does not exist: one without a body (`find`), and that of an unknown URI (`find_below`).
"""

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

import falcon

from api.errors import UnknownRoute
from api.rest import arguments
from api.rest.arguments import TagForm
from api.rest.deps import Deps, Routes
from api.rest.render_resources import COLLECTION, TYPE_OF_LEVEL, Contents, one_of, parse_contents, render, render_link
from api.rest.requested_tags import RequestedTags, parse_requested_tags
from api.rest.serving.auth import correlation_of, username_of
from api.rest.serving.replies import send_json, stream_list
from events.errors import NotFound
from events.identifiers import Level, Ref, ResourceId, format_resource_id, parse_resource_id
from store.records import Instance, Resource
from store.views.id_order import list_pieces
from store.views.metadata import MetadataNaming
from store.views.snapshot import Snapshot

# A piece of a long list, from one snapshot: 10 ms of reading, 0.4 MB of JSON. It ends earlier where clients have set large metadata.
CHUNK_RECORDS = 500
CHUNK_METADATA_BYTES = 4 << 20
CHUNK_S = 0.2  # it ends earlier, too, where files are read for it


class Style:
    """How resources are shown."""

    def __init__(self, deps: Deps, form: TagForm, requested: RequestedTags, contents: Contents = None) -> None:
        self.contents = contents
        self._form = form
        self._requested = requested
        self._deps = deps
        self._naming = MetadataNaming(deps.settings.user_metadata)

    @classmethod
    def of_request(cls, req: falcon.Request, deps: Deps, *, allow_contents: bool = False) -> "Style":
        """Return what the query string asks for; here `?simplify` wins, as in Orthanc. Raises InvalidRequest, OutOfRange."""
        form: TagForm = "simplify" if req.has_param("simplify") else arguments.tag_form(req, "simplify")
        requested = parse_requested_tags(req)
        if not allow_contents or not req.has_param("response-content"):
            return cls(deps, form, requested)
        return cls(deps, form, requested, parse_contents(arguments.parts(req, "response-content")))

    def render(self, s: Snapshot, record: Resource | Instance) -> dict[str, Any]:
        shown = render(s, record, self._form, self._naming, self.contents)
        if self._requested:
            shown["RequestedTags"] = self._requested.render(s, self._deps, record, self._form)
        return shown


class Collection:
    """`GET /studies` and its like: identifiers, or whole resources with `expand`."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        style = Style.of_request(req, self._deps, allow_contents=True)
        page = arguments.paging(req, f"/{COLLECTION[self._level]}")
        expand = arguments.boolean(req, "expand") or style.contents is not None
        pieces = list_pieces(self._deps.views, self._level, page.since, page.limit)
        if expand:
            send_expanded(req, resp, self._deps, self._level, pieces, style)
        else:
            send_identifiers(req, resp, pieces)


def send_identifiers(req: falcon.Request, resp: falcon.Response, pieces: Iterable[list[ResourceId]]) -> None:
    """Answer with identifiers; a long list is streamed."""
    _send_pieces(req, resp, ([format_resource_id(each) for each in piece] for piece in pieces))


def send_expanded(
    req: falcon.Request,
    resp: falcon.Response,
    deps: Deps,
    level: Level,
    ids: Iterable[list[ResourceId]],
    style: Style,
) -> None:
    """Answer with whole resources; a long list is streamed."""
    _send_pieces(req, resp, (shown for some in ids for shown in _render_pieces(deps, level, some, style)))


def _send_pieces(req: falcon.Request, resp: falcon.Response, pieces: Iterator[list[Any]]) -> None:
    """Answer with a list that comes in pieces; one of several pieces is streamed."""
    first, second = next(pieces, []), next(pieces, None)
    if second is None:
        send_json(req, resp, first)
        return
    stream_list(req, resp, chain((first, second), pieces))


def _render_pieces(deps: Deps, level: Level, ids: list[ResourceId], style: Style) -> Iterator[list[dict[str, Any]]]:
    """Render a list piece by piece, each from a snapshot of its own; resources that are deleted by then are left out."""
    waiting = iter(ids)
    while some := list(islice(waiting, CHUNK_RECORDS)):
        left = iter(some)
        while piece := _render_piece(deps, level, left, style):
            yield piece


def _render_piece(deps: Deps, level: Level, ids: Iterator[ResourceId], style: Style) -> list[dict[str, Any]]:
    piece: list[dict[str, Any]] = []
    metadata_bytes = 0
    deadline = time.monotonic() + CHUNK_S
    with deps.views.snapshot() as s:
        for resource in ids:
            record = s.get(level, resource)
            if record is not None:
                piece.append(style.render(s, record))
                metadata_bytes += sum(map(len, piece[-1].get("Metadata", {}).values()))
                if metadata_bytes > CHUNK_METADATA_BYTES or time.monotonic() > deadline:
                    break
    return piece


class Single:
    """`GET` and `DELETE` of one resource."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        style = Style.of_request(req, self._deps)
        with self._deps.views.snapshot() as s:
            shown = style.render(s, find(s, self._level, identifier))
        send_json(req, resp, shown)


class Removable(Single):
    """The same where the archive may change; with `ReadOnly` there is no such route, as in Orthanc."""

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        resource = parse_resource_id(identifier)
        if resource is None:
            raise NotFound
        deleted = self._deps.index.delete(
            self._level,
            resource,
            remote_ip=req.remote_addr or "",
            username=username_of(req),
            correlation=correlation_of(req),
        )
        remaining = None if deleted.remaining is None else render_link(*deleted.remaining)
        send_json(req, resp, {"RemainingAncestor": remaining})


class Above:
    """`GET /instances/{id}/study` and its like."""

    def __init__(self, deps: Deps, level: Level, above: Level) -> None:
        self._deps = deps
        self._level = level
        self._above = above

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        style = Style.of_request(req, self._deps)
        with self._deps.views.snapshot() as s:
            shown = style.render(s, s.ancestor(find_below(s, self._level, identifier), self._above))
        send_json(req, resp, shown)


class Below:
    """`GET /patients/{id}/series` and its like: expanded unless `expand=false`."""

    def __init__(self, deps: Deps, level: Level, below: Level) -> None:
        self._deps = deps
        self._level = level
        self._below = below

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        style = Style.of_request(req, self._deps)
        expand = arguments.boolean(req, "expand", default=True)
        with self._deps.views.snapshot() as s:
            record = find_below(s, self._level, identifier)
            assert isinstance(record, Resource)
            ids = sorted(s.id_of(self._below, ref) for ref in s.descendant_refs(record, self._below))
        if expand:
            send_expanded(req, resp, self._deps, self._below, [ids], style)
        else:
            send_json(req, resp, [format_resource_id(resource) for resource in ids])


def find(s: Snapshot, level: Level, text: str) -> Resource | Instance:
    """Return the resource a URI names. Raises NotFound, answered without a body."""
    record = _find(s, level, text)
    if record is None:
        raise NotFound
    return record


def find_below(s: Snapshot, level: Level, text: str) -> Resource | Instance:
    """Return the resource a longer URI names, such as `/studies/{id}/series`. Raises UnknownRoute, as Orthanc does."""
    record = _find(s, level, text)
    if record is None:
        raise UnknownRoute
    return record


def find_ref_below(s: Snapshot, level: Level, text: str) -> Ref:
    """Return the ref alone of what a longer URI names: a tenth of the time. Raises UnknownRoute."""
    resource = parse_resource_id(text)
    found = None if resource is None else s.find(resource)
    if found is None or found[0] != level:
        raise UnknownRoute
    return found[1]


def find_instance(s: Snapshot, text: str) -> Instance:
    """Return the instance a longer URI names. Raises UnknownRoute."""
    record = find_below(s, Level.INSTANCE, text)
    assert isinstance(record, Instance)
    return record


def _find(s: Snapshot, level: Level, text: str) -> Resource | Instance | None:
    resource = parse_resource_id(text)
    return None if resource is None else s.get(level, resource)


def routes(deps: Deps) -> Routes:
    """The list of instances is beside their way in (`api.rest.upload`)."""
    found: Routes = {f"/{COLLECTION[level]}": Collection(deps, level) for level in Level if level != Level.INSTANCE}
    for level in Level:
        one = one_of(level)
        found[one] = Single(deps, level) if deps.settings.read_only else Removable(deps, level)
        for other in Level:
            if other < level:
                found[f"{one}/{TYPE_OF_LEVEL[other].lower()}"] = Above(deps, level, other)
            elif other > level:
                found[f"{one}/{COLLECTION[other]}"] = Below(deps, level, other)
    return found
