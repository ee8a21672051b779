"""`/{level}/{id}/metadata`: the list, and values by name or number. Clients may set those from 1024 on.

As in Orthanc 1.12.7, a value is set and removed whatever level the URI names, but read at that of the resource alone; there is no check
that it is UTF-8.
"""

import falcon

from actors.messages.commands.metadata import MAX_VALUE_BYTES, RemoveMetadata, SetMetadata
from api.errors import UnknownRoute
from api.rest import arguments, etags
from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of
from api.rest.resources import find_below, find_ref_below
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import read_small
from api.rest.serving.replies import TEXT, send_json, send_text
from events.errors import Forbidden, NotFound
from events.identifiers import Level, ResourceId, parse_resource_id
from events.metadata import USER_NUMBERS
from store.views.metadata import MetadataNaming, find_metadata, list_metadata


class MetadataList:
    """`GET …/metadata`: names, or numbers with `numeric`; with values if `expand`."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._views = deps.views
        self._level = level
        self._naming = MetadataNaming(deps.settings.user_metadata)

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        expand, numeric = arguments.boolean(req, "expand"), req.has_param("numeric")
        with self._views.snapshot() as s:
            found = list_metadata(s, find_below(s, self._level, identifier))
        if expand:
            values = {number: value.decode("utf-8", "replace") for number, value in found.items()}
            send_json(req, resp, {str(n) if numeric else self._naming.name_of(n): text for n, text in values.items()})
        else:
            send_json(req, resp, [number if numeric else self._naming.name_of(number) for number in found])


class OneMetadata:
    """`GET` of one value: its bytes."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level
        self._naming = MetadataNaming(deps.settings.user_metadata)

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self._number(name)
        with self._deps.views.snapshot() as s:
            found = find_metadata(s, find_ref_below(s, self._level, identifier), self._level, number)
        if found is None:
            raise NotFound
        if not etags.is_known(req, resp, found.revision, found.md5):
            resp.content_type = TEXT
            resp.data = found.value

    def _number(self, name: str) -> int:
        """Return which metadata a URI names. Raises InexistentItem, BadType, before the resource is looked for, as Orthanc."""
        return arguments.number_of(name, self._naming.find)


class SettableMetadata(OneMetadata):
    """The same where the archive may change; with `ReadOnly` there is no such route."""

    def __init__(self, deps: Deps, level: Level) -> None:
        super().__init__(deps, level)
        self._checks = deps.settings.check_revisions

    def on_put(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self._user_number(name)
        seen = etags.seen_by(req)
        value = read_small(req, MAX_VALUE_BYTES)
        command = SetMetadata(
            id=_parse(identifier),
            number=number,
            value=value,
            correlation=correlation_of(req),
            seen=seen,
            must_have_seen=self._checks,
        )
        try:
            revision = self._deps.index.set_metadata(command)
        except NotFound as exc:
            raise UnknownRoute from exc
        etags.send_tag(resp, revision)
        send_text(resp)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        number = self._user_number(name)
        seen = etags.needed_of(req) if self._checks else etags.seen_by(req)
        command = RemoveMetadata(id=_parse(identifier), number=number, correlation=correlation_of(req), seen=seen)
        try:
            was_there = self._deps.index.remove_metadata(command)
        except NotFound as exc:
            raise UnknownRoute from exc
        if not was_there:
            raise UnknownRoute
        send_text(resp)

    def _user_number(self, name: str) -> int:
        """Return the number of a metadata that clients may change. Raises Forbidden for others."""
        number = self._number(name)
        if number not in USER_NUMBERS:
            raise Forbidden
        return number


def _parse(identifier: str) -> ResourceId:
    resource = parse_resource_id(identifier)
    if resource is None:
        raise UnknownRoute
    return resource


def routes(deps: Deps) -> Routes:
    one = OneMetadata if deps.settings.read_only else SettableMetadata
    found: Routes = {f"{one_of(level)}/metadata": MetadataList(deps, level) for level in Level}
    return found | {f"{one_of(level)}/metadata/{{name}}": one(deps, level) for level in Level}
