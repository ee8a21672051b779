"""Beyond Orthanc: `/events`, the log as a feed: pages, a long poll, lines without end, a stream that pushes; and `/{level}/{id}/history`.

docs/event-feed.md says how clients follow it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import falcon

from actors.wire import metrics
from api.errors import OutOfRange
from api.rest.deps import Deps, Routes
from api.rest.event_entries import encode_line, encode_object, render_told, sees_values
from api.rest.event_hub import Selection
from api.rest.event_requests import DEFAULT_LIMIT, LINES, MAXIMUM_LIMIT, STREAM, Asked, parse_events
from api.rest.event_streams import EventStream, LongPoll
from api.rest.places import Places
from api.rest.render_resources import COLLECTION
from api.rest.serving import orthanc_json, orthanc_xml
from api.rest.serving.auth import ORIGIN
from api.rest.serving.replies import JSON, XML, send_json, stream_list, wants_xml
from events.errors import Busy, Forbidden, InvalidRequest, NotFound
from events.identifiers import Seq, parse_resource_id
from store.log import read_end
from store.views.event_pages import EventPage, Reader
from store.views.feed import MAX_SEQ, get_entry
from store.views.history import list_history

_PIECE: int = 500  # events of one snapshot, where they leave as they are read
RETRY_AFTER_S = 5


class Events:
    """`GET /events`; see `api.rest.event_requests` for what can be asked."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        limit = deps.settings.max_event_streams
        refusal = f"{limit} clients wait for events already (MaxEventStreams): come again later"
        self._places = Places(metrics.EVENT_LISTENERS, limit, refusal)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        asked = parse_events(req)
        with_values = sees_values(req, self._deps.settings)
        if asked.wanted.resource is not None and not with_values:  # else one could guess identifiers until events come
            raise Forbidden
        since = self._begin(asked)
        match asked.form:
            case "stream":
                self._push(req, resp, asked, since, with_values=with_values)
            case "lines":
                resp.content_type = LINES
                resp.stream = self._lines(asked, since, with_values=with_values)
            case "page":
                page = self._page(asked, since)
                if asked.wait_s and not page.events and not (asked.to is not None and page.last >= asked.to):
                    self._poll(req, resp, asked, since, Seq(page.last), with_values=with_values)
                else:
                    send_json(req, resp, _render_page(page, with_values=with_values))

    def _begin(self, asked: Asked) -> Seq:
        if asked.since is not None:
            return Seq(min(asked.since, MAX_SEQ))
        return self._head()[0]

    def _head(self) -> tuple[Seq, bytes]:
        with self._deps.views.snapshot() as s:
            return read_end(s.txn, s.tables)

    def _page(self, asked: Asked, since: int) -> EventPage:
        limit = min(asked.limit or DEFAULT_LIMIT, MAXIMUM_LIMIT)
        with self._deps.views.snapshot() as s:
            return Reader().page(s, asked.wanted, since=since, to=asked.to, limit=limit, backwards=asked.backwards)

    def _lines(self, asked: Asked, since: int, *, with_values: bool) -> Iterator[bytes]:
        """Yield an event a line, and at the end a line that says so: without it the answer was cut off."""
        head, left, to = self._head()[0], asked.limit, asked.to
        end, reader, at = min(head, head if to is None else to), Reader(), since
        while True:
            limit = _PIECE if left is None else min(left, _PIECE)
            with self._deps.views.snapshot() as s:
                page = reader.page(
                    s,
                    asked.wanted,
                    since=at if not asked.backwards else since,
                    to=end,
                    limit=limit,
                    backwards=asked.backwards,
                )
            if page.events:
                yield b"".join(encode_line(told, with_values=with_values) + b"\n" for told in page.events)
            left = None if left is None else left - len(page.events)
            if page.done or left == 0:
                yield encode_object(_place(page)) + b"\n"
                return
            if asked.backwards:
                end = Seq(page.last - 1)
            else:
                at = page.last

    def _push(self, req: falcon.Request, resp: falcon.Response, asked: Asked, since: Seq, *, with_values: bool) -> None:
        _refuse_scripts(req)
        if asked.to is not None and since >= asked.to:
            resp.status = falcon.HTTP_204  # a browser does not come again
            return
        head = self._head()[0]
        if since > head:
            raise OutOfRange(f"the log ends with event {head}, before {since}: this position is of another log")
        leave = self._take_place(resp)
        resp.content_type = STREAM
        resp.set_header("Cache-Control", "no-cache, no-transform")
        resp.set_header("X-Accel-Buffering", "no")  # for nginx, which would gather what comes
        resp.stream = EventStream(self._deps.feed, Selection(asked.wanted, with_values), since, leave, asked.to)

    def _poll(
        self, req: falcon.Request, resp: falcon.Response, asked: Asked, since: Seq, looked: Seq, *, with_values: bool
    ) -> None:
        _refuse_scripts(req)
        leave = self._take_place(resp)
        is_xml = wants_xml(req)

        def make() -> bytes:
            shown = _render_page(self._page(asked, since), with_values=with_values)
            return orthanc_xml.encode(shown) if is_xml else orthanc_json.encode(shown)

        resp.content_type = XML if is_xml else JSON
        resp.stream = LongPoll(self._deps.feed, Selection(asked.wanted, with_values), looked, leave, asked.wait_s, make)

    def _take_place(self, resp: falcon.Response) -> Any:
        try:
            return self._places.take()
        except Busy:
            resp.set_header("Retry-After", str(RETRY_AFTER_S))
            raise


class Event:
    """`GET /events/{seq}`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, seq: str) -> None:
        if not (seq.isascii() and seq.isdigit() and int(seq[:20]) <= MAX_SEQ):
            raise NotFound
        with self._deps.views.snapshot() as s:
            entry = get_entry(s, int(seq[:20]))
            if entry is None:
                raise NotFound
            told = Reader().tell(s, entry)
        send_json(req, resp, render_told(told, with_values=sees_values(req, self._deps.settings)))


class Head:
    """`GET /events/head`: the last event and its hash, which vouches for all before it."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        with self._deps.views.snapshot() as s:
            head, head_hash = read_end(s.txn, s.tables)
        send_json(req, resp, {"Head": head, "HeadHash": head_hash.hex()})


class History:
    """`GET /{level}/{id}/history`: also of a resource that was deleted."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        resource = parse_resource_id(identifier)
        if resource is None:
            raise NotFound
        with_values = sees_values(req, self._deps.settings)
        with self._deps.views.snapshot() as s:
            # Else one could guess from the identifier of a patient who was deleted that he was here.
            seqs = list_history(s, resource) if with_values or s.find(resource) is not None else []
        if not seqs:
            raise NotFound
        stream_list(req, resp, self._pieces(seqs, with_values=with_values))

    def _pieces(self, seqs: Sequence[Seq], *, with_values: bool) -> Iterator[list[dict[str, Any]]]:
        reader = Reader()
        for first in range(0, len(seqs), _PIECE):
            with self._deps.views.snapshot() as s:
                entries = [get_entry(s, seq) for seq in seqs[first : first + _PIECE]]
                told = [reader.tell(s, entry) for entry in entries if entry is not None]
            yield [render_told(each, with_values=with_values) for each in told]


def _render_page(page: EventPage, *, with_values: bool) -> dict[str, Any]:
    return {"Events": [render_told(told, with_values=with_values) for told in page.events], **_place(page)}


def _place(page: EventPage) -> dict[str, Any]:
    return {"Done": page.done, "Head": page.head, "HeadHash": page.head_hash.hex(), "Last": page.last}


def _refuse_scripts(req: falcon.Request) -> None:
    if ORIGIN in req.env:
        raise InvalidRequest(
            "A script cannot wait for events: it would hold up all others; the callbacks tell it of them"
        )


def routes(deps: Deps) -> Routes:
    histories = {f"/{collection}/{{identifier}}/history": History(deps) for collection in COLLECTION.values()}
    return {"/events": Events(deps), "/events/head": Head(deps), "/events/{seq}": Event(deps), **histories}
