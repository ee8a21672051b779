"""What a request to `/events` asks for: from where, which events, in which form. What cannot be read is refused, and nothing is guessed."""

import re
from dataclasses import dataclass
from typing import Final, Literal

import falcon

from api.errors import BadType, OutOfRange
from api.rest.render_resources import TYPE_OF_LEVEL
from events.envelope import EVENT_TYPES, UPCASTS
from events.errors import InvalidRequest
from events.identifiers import Level, ResourceId, parse_resource_id
from store.views.event_pages import EventFilter, filter_tags

DEFAULT_LIMIT: Final = 100
MAXIMUM_LIMIT: Final = 1000  # events per page: bounds the time a snapshot is held
MAXIMUM_WAIT_S: Final = 60
MOST_NAMES: Final = 200  # in one list

Form = Literal["page", "lines", "stream"]
STREAM: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"
_FORMS: Final[dict[str, Form]] = {
    STREAM: "stream",
    LINES: "lines",
    "application/json": "page",
    "application/xml": "page",
}

_NUMBER: Final = re.compile(r"[0-9]{1,18}\Z")
_LEVELS: Final = {name: level for level, name in TYPE_OF_LEVEL.items()}
_NOT_IN_FORM: Final[dict[Form, tuple[str, ...]]] = {
    "page": (),
    "lines": ("wait",),
    "stream": ("limit", "wait", "order"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request for events."""

    form: Form
    wanted: EventFilter
    since: int | None  # None: the end of the log as it is now
    to: int | None = None
    limit: int | None = None  # None: by default
    wait_s: int = 0
    backwards: bool = False


def parse_events(req: falcon.Request) -> Asked:
    """Return what is asked for. Raises BadType, OutOfRange, InvalidRequest."""
    form = wanted_form(req.env.get("HTTP_ACCEPT", ""))
    for name in _NOT_IN_FORM[form]:
        if req.has_param(name):
            kind = STREAM if form == "stream" else LINES
            raise InvalidRequest(f'"{name}" has no meaning with {kind}: leave it out, or ask for application/json')
    order = req.get_param("order") or "asc"
    if order not in {"asc", "desc"}:
        raise OutOfRange('"order" is asc or desc')
    wait_s = _number(req, "wait") or 0
    if wait_s > MAXIMUM_WAIT_S:
        raise OutOfRange(f'"wait" is at most {MAXIMUM_WAIT_S} seconds')
    if wait_s and order == "desc":
        raise InvalidRequest('"wait" has no meaning with order=desc: what is waited for comes at the other end')
    limit = _number(req, "limit")
    if limit == 0:
        raise OutOfRange('"limit" is 1 or more')
    return Asked(
        form=form,
        wanted=EventFilter(tags=_tags(req), levels=_levels(req), resource=_resource(req)),
        since=_since(req, form),
        to=_number(req, "to"),
        limit=limit,
        wait_s=wait_s,
        backwards=order == "desc",
    )


def wanted_form(accept: str) -> Form:
    """Return the form that a header Accept asks for: of those that it names and that are offered here, the first; else pages."""
    for part in accept.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        if name in _FORMS and not any(text in {"q=0", "q=0.0", "q=0.00", "q=0.000"} for text in parameters):
            return _FORMS[name]
    return "page"


def _since(req: falcon.Request, form: Form) -> int | None:
    # A browser that connects again sends the address that it had, with this header.
    last = req.get_header("Last-Event-ID") if form == "stream" else None
    if last is not None:
        if not _NUMBER.match(last):
            raise BadType('"Last-Event-ID" must be the id of an event of this feed, a whole number')
        return int(last)
    return None if req.get_param("since") == "now" else _number(req, "since", " or now") or 0


def _number(req: falcon.Request, name: str, otherwise: str = "") -> int | None:
    text = req.get_param(name)
    if text is None:
        return None
    if not _NUMBER.match(text):
        raise BadType(f'"{name}" must be a whole number of at most 18 digits{otherwise}')
    return int(text)


def _names(req: falcon.Request, name: str) -> list[str] | None:
    text = req.get_param(name)
    if text is None:
        return None
    names = [part for part in text.split(",") if part]
    if not names or len(names) > MOST_NAMES:
        raise OutOfRange(f'"{name}" is a list of 1 to {MOST_NAMES} names, separated by commas')
    return names


def _tags(req: falcon.Request) -> frozenset[str] | None:
    names = _names(req, "types")
    if names is None:
        return None
    for name in names:
        if name in UPCASTS:
            raise OutOfRange(f'"types" names {name}, which is told as {UPCASTS[name].to_tag}: ask for that')
    try:
        return filter_tags(*names)
    except KeyError as exc:
        known = ", ".join(sorted(tag.partition("/")[0] for tag in EVENT_TYPES))
        raise OutOfRange(f'"types" names what is no type of events; there are: {known}') from exc


def _levels(req: falcon.Request) -> frozenset[Level] | None:
    names = _names(req, "levels")
    if names is None:
        return None
    if not _LEVELS.keys() >= set(names):
        raise OutOfRange(f'"levels" names what is none; there are: {", ".join(_LEVELS)}')
    return frozenset(_LEVELS[name] for name in names)


def _resource(req: falcon.Request) -> ResourceId | None:
    text = req.get_param("resource")
    if text is None:
        return None
    resource = parse_resource_id(text)
    if resource is None:
        raise BadType('"resource" must be the identifier of a patient, study, series or instance')
    return resource
