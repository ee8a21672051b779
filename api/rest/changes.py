"""`/changes`: the log that Orthanc's clients poll."""

from collections.abc import Iterator
from typing import Any, Final

import falcon

from api.errors import OutOfRange
from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.render_resources import COLLECTION, TYPE_OF_LEVEL
from api.rest.serving import orthanc_json
from api.rest.serving.replies import JSON, send_json, send_text, stream_object, wants_xml
from events.identifiers import format_resource_id
from store.records import Change, ChangesPage
from store.times import format_us
from store.views.feed import get_changes, get_last_change, get_last_seq
from store.views.snapshot import Snapshot
from store.views.views import Views

DEFAULT_LIMIT = 100
PIECE_CHANGES = 5_000  # of one snapshot, read and written in 20 ms; a longer page is streamed

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
        since = max(since, 0)
        with self._deps.views.snapshot() as s:
            page = (
                get_last_change(s) if req.has_param("last") else _page(s, since, min(limit, PIECE_CHANGES), to, types)
            )
        if limit > PIECE_CHANGES and not page.done:
            pieces = _Pieces(self._deps.views, page, since, limit, to if to > 0 else None, types)
            if wants_xml(req):
                stream_object(req, resp, pieces.members())
            else:
                resp.content_type = JSON
                resp.stream = pieces.encode()
        elif wants_xml(req):
            send_json(req, resp, render_changes(page))
        else:
            resp.content_type = JSON
            resp.data = encode_changes(page)

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


class _Pieces:
    """A long page, of which no more than a piece is in memory."""

    def __init__(
        self, views: Views, page: ChangesPage, since: int, limit: int, to: int | None, types: list[str]
    ) -> None:
        """`page` is the first piece."""
        self._views, self._page, self._left, self._to, self._types = views, page, limit, to, types
        self._is_first: bool | None = None
        if to is not None and since == 0:
            since, self._is_first = _find_beginning(views, limit, to, types)
            self._page = self._read(since)
        self._first = self._page.first

    def __iter__(self) -> Iterator[list[Change]]:
        while self._page.changes:
            yield self._page.changes
            self._left -= len(self._page.changes)
            if self._page.done or not self._left:
                return
            self._page = self._read(self._page.last)

    def _read(self, since: int) -> ChangesPage:
        limit = min(self._left, PIECE_CHANGES)
        with self._views.snapshot() as s:
            return get_changes(s, since=since, limit=limit, to=self._to, types=self._types, backwards=False)

    def members(self) -> Iterator[tuple[str, Any]]:
        yield "Changes", map(_render_all, self)
        yield from self._ends().items()

    def encode(self) -> Iterator[bytes]:
        """Iterate over the JSON, written as that of a short page."""
        opening = b'{\n   "Changes" : \n   ['
        for changes in self:
            yield opening + _encode_all(changes)
            opening = b","
        yield b"\n   ]," + orthanc_json.encode(self._ends())[1:]

    def _ends(self) -> dict[str, Any]:
        done = self._page.done if self._is_first is None else self._is_first
        return {"Done": done, "First": self._first, "Last": self._page.last}


def _find_beginning(views: Views, limit: int, to: int, types: list[str]) -> tuple[int, bool]:
    """Return what the last `limit` changes up to `to` come behind, and whether nothing stands there."""
    while True:
        with views.snapshot() as s:
            page = get_changes(s, to=to, limit=min(limit, PIECE_CHANGES), types=types, backwards=True)
        limit, to = limit - len(page.changes), max(page.first - 1, 0)
        if page.done or not limit:
            return to, page.done


def _types(req: falcon.Request) -> list[str]:
    types = arguments.parts(req, "type")
    for name in types:
        if name not in CHANGE_TYPES and name not in _NO_FILTER:
            raise OutOfRange(f"Invalid value for a change: {name}")
    return [] if any(name in _NO_FILTER for name in types) else types


def render_changes(page: ChangesPage) -> dict[str, Any]:
    return _frame(page, _render_all(page.changes))


def _render_all(changes: list[Change]) -> list[dict[str, Any]]:
    return [dict(zip(_FIELDS, _values(change), strict=True)) for change in changes]


def _frame(page: ChangesPage, changes: list[dict[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {"Changes": changes, "Done": page.done, "Last": page.last}
    if page.changes:
        shown["First"] = page.first
    return shown


def _values(change: Change) -> tuple[str | int, ...]:
    seq, change_type, level, resource, at_us = change
    identifier = format_resource_id(resource)
    return change_type, format_us(at_us), identifier, _PATHS[level] + identifier, TYPE_OF_LEVEL[level], seq


_FIELDS: Final = ("ChangeType", "Date", "ID", "Path", "ResourceType", "Seq")
_PATHS: Final = {level: f"/{collection}/" for level, collection in COLLECTION.items()}


def _learn_form() -> str:
    """Return how the encoder writes one change of a page, with places for its values."""
    page = orthanc_json.encode({"Changes": [dict.fromkeys(_FIELDS, "%s")]}).decode()
    one = page[page.index("[") + 1 : page.rindex("]")].rstrip()
    return one.replace('"Seq" : "%s"', '"Seq" : %d')


_FORM: Final = _learn_form()


def encode_changes(page: ChangesPage) -> bytes:
    """Return the JSON of a page: no value in it needs an escape, so a change takes a quarter of the encoder's time."""
    whole = orthanc_json.encode(_frame(page, []))
    return whole.replace(b"[]", b"\n   [" + _encode_all(page.changes) + b"\n   ]") if page.changes else whole


def _encode_all(changes: list[Change]) -> bytes:
    return ",".join([_FORM % _values(change) for change in changes]).encode("ascii")


def routes(deps: Deps) -> Routes:
    return {"/changes": Changes(deps)}
