"""`/changes`: the log that Orthanc's clients poll."""

from typing import Any

import falcon

from api.errors import OutOfRange
from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.render_resources import TYPE_OF_LEVEL, path_of
from api.rest.serving.replies import send_json, send_text
from events.identifiers import format_resource_id
from store.records import Change, ChangesPage
from store.times import format_us
from store.views.feed import get_changes, get_last_change, get_last_seq
from store.views.snapshot import Snapshot

DEFAULT_LIMIT = 100

# Every name Orthanc knows; `type` must be one of them. The last two are never logged, "INTERNAL_All" is no filter.
CHANGE_TYPES = frozenset({
    "CompletedSeries", "NewInstance", "NewPatient", "NewSeries", "NewStudy", "AnonymizedStudy", "AnonymizedSeries",
    "ModifiedStudy", "ModifiedSeries", "AnonymizedPatient", "ModifiedPatient", "StablePatient", "StableStudy",
    "StableSeries", "UpdatedAttachment", "UpdatedMetadata", "Deleted", "NewChildInstance",
})  # fmt: skip
_NO_FILTER = frozenset({"all", ""})


class Changes:
    """`/changes`. `last` stands alone and wins; one number that does not parse makes all numbers default."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        types = _types(req)
        since, limit, to = arguments.lenient_numbers(req, since=0, limit=DEFAULT_LIMIT, to=-1)
        with self._deps.views.snapshot() as s:
            page = get_last_change(s) if req.has_param("last") else _page(s, max(since, 0), limit, to, types)
        send_json(req, resp, render_changes(page))

    def on_delete(self, _req: falcon.Request, resp: falcon.Response) -> None:
        self._deps.index.clear_changes()
        send_text(resp)


def _page(s: Snapshot, since: int, limit: int, to: int, types: list[str]) -> ChangesPage:
    """Return a page as Orthanc cuts it; an empty page names the last change ever, so that a polling client goes on there."""
    newest = get_last_seq(s)
    if limit < 0 or to == 0:
        return ChangesPage([], True, 0, newest)
    page = get_changes(s, since=since, limit=max(limit, 1), to=to if to > 0 else None, types=types)
    if limit == 0:
        return ChangesPage([], not page.changes, 0, newest)
    return page if page.changes else ChangesPage([], page.done, 0, newest)


def _types(req: falcon.Request) -> list[str]:
    types = arguments.parts(req, "type")
    for name in types:
        if name not in CHANGE_TYPES and name not in _NO_FILTER:
            raise OutOfRange(f"Invalid value for a change: {name}")
    return [] if any(name in _NO_FILTER for name in types) else types


def render_changes(page: ChangesPage) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Changes": [_render(change) for change in page.changes],
        "Done": page.done,
        "Last": page.last,
    }
    if page.changes:
        shown["First"] = page.first
    return shown


def _render(change: Change) -> dict[str, Any]:
    return {
        "ChangeType": change.change_type,
        "Date": format_us(change.at_us),
        "ID": format_resource_id(change.resource),
        "Path": path_of(change.level, change.resource),
        "ResourceType": TYPE_OF_LEVEL[change.level],
        "Seq": change.seq,
    }


def routes(deps: Deps) -> Routes:
    return {"/changes": Changes(deps)}
