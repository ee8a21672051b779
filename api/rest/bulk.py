"""`/tools/bulk-delete` and `/tools/bulk-content`: many resources in one request. Source: observed on Orthanc 1.12.7."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import falcon

from api.rest import fields
from api.rest.arguments import TagForm
from api.rest.deps import Deps, Routes
from api.rest.modification_jobs import parse_level, read_resources
from api.rest.render_resources import render
from api.rest.resources import CHUNK_RECORDS
from api.rest.serving.auth import correlation_of, username_of
from api.rest.serving.replies import send_text, stream_list
from events.errors import InvalidRequest, NotFound
from events.identifiers import Level, Ref, parse_resource_id
from store.records import Instance, Resource
from store.views.metadata import MetadataNaming, show_metadata
from store.views.snapshot import Snapshot


class BulkDelete:
    """What is not there is passed over."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        deps = self._deps
        for name in read_resources(_read_object(req)):
            identifier = parse_resource_id(name)
            with deps.views.snapshot() as s:
                found = None if identifier is None else s.find(identifier)
            if identifier is not None and found is not None:
                with contextlib.suppress(NotFound):
                    deps.index.delete(
                        found[0],
                        identifier,
                        remote_ip=req.remote_addr or "",
                        username=username_of(req),
                        correlation=correlation_of(req),
                    )
        send_text(resp)


class BulkContent:
    """Resources as `GET /{level}/{id}` shows them, with their metadata; those of another level above or below, if one is named."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = _read_object(req)
        names = read_resources(body)
        level = parse_level(fields.text(body, "Level")) if "Level" in body else None
        with_metadata = fields.flag(body, "Metadata", default=True)
        form = _form(body)
        stream_list(req, resp, self._pieces(self._list(names, level), form, with_metadata=with_metadata))

    def _list(self, names: list[str], level: Level | None) -> list[tuple[Level, Ref]]:
        """Return what is to be shown: as the request has it, or each once in the order of identifiers where a level is named."""
        found: list[tuple[Level, Ref]] = []
        with self._deps.views.snapshot() as s:
            for name in names:
                identifier = parse_resource_id(name)
                place = None if identifier is None else s.find(identifier)
                if place is not None:
                    found += _at_level(s, *place, level)
            if level is None:
                return found
            return sorted(set(found), key=lambda place: s.id_of(*place))

    def _pieces(
        self, places: list[tuple[Level, Ref]], form: TagForm, *, with_metadata: bool
    ) -> Iterator[list[dict[str, Any]]]:
        naming = MetadataNaming(self._deps.settings.user_metadata)
        for start in range(0, len(places), CHUNK_RECORDS):
            piece = []
            with self._deps.views.snapshot() as s:
                for place in places[start : start + CHUNK_RECORDS]:
                    with contextlib.suppress(KeyError):  # deleted since
                        record = s.get_ref(*place)
                        shown = render(s, record, form, naming)
                        piece.append(shown | ({"Metadata": show_metadata(s, record, naming)} if with_metadata else {}))
            yield piece


def _at_level(s: Snapshot, level: Level, ref: Ref, wanted: Level | None) -> Iterator[tuple[Level, Ref]]:
    """Iterate over a resource, or what lies above or below it at another level."""
    if wanted is None or wanted == level:
        yield level, ref
        return
    record: Resource | Instance = s.get_ref(level, ref)
    if wanted < level:
        yield wanted, s.ancestor(record, wanted).ref
    elif isinstance(record, Resource):
        yield from ((wanted, below) for below in s.descendant_refs(record, wanted))


def _read_object(req: falcon.Request) -> dict[str, Any]:
    body = fields.read_json(req)
    if not isinstance(body, dict):
        raise InvalidRequest("The body must contain a JSON object")
    return body


def _form(body: Mapping[str, Any]) -> TagForm:
    if fields.flag(body, "Short", default=False):
        return "short"
    return "full" if fields.flag(body, "Full", default=False) else "simplify"


def routes(deps: Deps) -> Routes:
    return {"/tools/bulk-delete": BulkDelete(deps), "/tools/bulk-content": BulkContent(deps)}
