"""Beyond Orthanc: `/events` pages through the log, `/instances/{id}/history` lists what touched an instance."""

import falcon

from api.rest import arguments
from api.rest.deps import Deps
from api.rest.render_events import render_event
from api.rest.replies import send_json
from events.errors import NotFound
from events.identifiers import parse_resource_id
from store.views.feed import get_events, get_history

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
