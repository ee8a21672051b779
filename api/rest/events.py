"""Beyond Orthanc: `/events` pages through the log, `/instances/{id}/history` lists what touched an instance.

Events as JSON: fields by name, bytes in hexadecimal, identifiers and tags as the REST API writes them.
"""

from typing import Any

import falcon

from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.serving.replies import send_json
from events.errors import NotFound
from events.identifiers import BlobId, ResourceId, format_blob_id, format_resource_id, parse_resource_id
from store.dicom.dictionary import format_tag
from store.views.feed import EventEntry, get_events, get_history

_RESOURCE_ID_BYTES = 20
_BLOBS = frozenset({"blob", "replaced", "damaged"})  # names of files
_TEXTS = frozenset({"store", "key", "value", "old_value"})  # what scripts and clients keep: text, as a rule

DEFAULT_LIMIT = 100
MAXIMUM_LIMIT = 1000  # events per page: bounds the time a snapshot is held


class Events:
    """`GET /events?since=&limit=`: what follows sequence number `since`, oldest first."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        since, limit = arguments.lenient_numbers(req, since=0, limit=DEFAULT_LIMIT)
        since, count = max(since, 0), min(max(limit, 1), MAXIMUM_LIMIT)
        with self._deps.views.snapshot() as s:
            entries = get_events(s, since=since, limit=count + 1)
        page = entries[:count]
        shown = {
            "Done": len(entries) <= count,
            "Events": [render_event(entry) for entry in page],
            "Last": page[-1].seq if page else since,
        }
        send_json(req, resp, shown)


class History:
    """`GET /instances/{id}/history`: also of an instance that was deleted."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        resource = parse_resource_id(identifier)
        if resource is None:
            raise NotFound
        with self._deps.views.snapshot() as s:
            entries = get_history(s, resource)
        if not entries:
            raise NotFound
        send_json(req, resp, [render_event(entry) for entry in entries])


def render_event(entry: EventEntry) -> dict[str, Any]:
    """Return an event with its personal part merged in; `IsErased` tells that the personal part was erased."""
    values = {**entry.public, **(entry.personal or {})}
    return {
        "Actor": entry.actor,
        "Aggregate": entry.aggregate.hex(),
        "AtMicroseconds": entry.at_us,  # UTC since 1970
        "Correlation": entry.correlation.hex(),
        "IsErased": entry.is_erased,
        "Seq": entry.seq,
        "Tag": entry.tag,
        "Values": {name: _render(name, value) for name, value in values.items()},
    }


def _render(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        if name in _BLOBS:
            return format_blob_id(BlobId(value))
        if name in _TEXTS:
            return value.decode(errors="backslashreplace")
        return format_resource_id(ResourceId(value)) if len(value) == _RESOURCE_ID_BYTES else value.hex()
    if isinstance(value, dict):
        return {_key(key): _render("", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_render("", item) for item in value]
    return value


def _key(key: Any) -> str:
    return format_tag(key) if isinstance(key, int) else str(key)


def routes(deps: Deps) -> Routes:
    return {"/events": Events(deps), "/instances/{identifier}/history": History(deps)}
