"""`/worklists`: entries of the modality worklist that clients make, as Orthanc's worklists plugin has them. Source: its page in the Orthanc Book.

They lie in the index, whatever `SaveInOrthancDatabase` says. Files of the folder are served by DICOM and not shown here.
"""

from typing import Any
from uuid import uuid4

import falcon

from actors.messages.commands.worklists import RemoveWorklist, StoreWorklist
from api.errors import BadField, OutOfRange, UnknownRoute
from api.rest import fields
from api.rest.arguments import TagForm
from api.rest.deps import Deps, Routes
from api.rest.remote_request import check_keys, parse_nested_keys
from api.rest.render_answers import render_worklist
from api.rest.serving.auth import correlation_of, username_of
from api.rest.serving.replies import send_json
from events.errors import NotFound
from store.dicom.matching import Dataset, Value
from store.dicom.tags import SPECIFIC_CHARACTER_SET, STUDY_INSTANCE_UID
from store.dicom.uids import draw_uid
from store.projections.worklists import Worklist
from store.views.worklists import get_worklist, list_worklists

_FORMS: dict[str, TagForm] = {"simplify": "simplify", "short": "short", "full": "full"}


class Worklists:
    """`GET /worklists`: all entries, the oldest first."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        form = _form(req)
        with self._deps.views.snapshot() as snapshot:
            found = list_worklists(snapshot)
        send_json(req, resp, [_render(entry, form) for entry in found])


class Create:
    """`POST /worklists/create`: `Tags` names them as `/tools/create-dicom` does; sequences are lists of objects."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        identifier = str(uuid4())
        store(self._deps, req, identifier, is_new=True)
        send_json(req, resp, {"ID": identifier, "Path": f"/worklists/{identifier}"})


class OneWorklist:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        form = _form(req)
        with self._deps.views.snapshot() as snapshot:
            entry = get_worklist(snapshot, identifier)
        if entry is None:
            raise UnknownRoute
        send_json(req, resp, _render(entry, form))


class ChangeableWorklist(OneWorklist):
    """The same where the archive may change; `PUT` replaces all tags."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        try:
            store(self._deps, req, identifier, is_new=False)
        except NotFound as exc:
            raise UnknownRoute from exc
        send_json(req, resp, {"ID": identifier, "Path": f"/worklists/{identifier}"})

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        command = RemoveWorklist(
            id=identifier,
            reason="client",
            remote_ip=req.remote_addr or "",
            username=username_of(req),
            correlation=correlation_of(req),
        )
        if not self._deps.index.remove_worklist(command):
            raise UnknownRoute
        send_json(req, resp, {})


def store(deps: Deps, req: falcon.Request, identifier: str, *, is_new: bool) -> None:
    """Keep what a body says. Raises BadField, BadType, UnknownTag; NotFound."""
    body = fields.read_object(req)
    if not isinstance(body.get("Tags"), dict):
        raise BadField('Missing field in JSON, or no object: "Tags"')
    values = parse_nested_keys(body["Tags"])
    check_keys(deps, values)
    values.pop(SPECIFIC_CHARACTER_SET, None)  # text is kept as characters
    if deps.settings.worklists.draws_study_uid and not values.get(STUDY_INSTANCE_UID):
        values[STUDY_INSTANCE_UID] = draw_uid()
    command = StoreWorklist(
        id=identifier,
        tags=_plain(values),
        is_new=is_new,
        remote_ip=req.remote_addr or "",
        username=username_of(req),
        correlation=correlation_of(req),
    )
    deps.index.store_worklist(command)


def _plain(values: Dataset) -> dict[int, Any]:
    def plain(value: Value) -> Any:
        return list(map(_plain, value)) if isinstance(value, tuple) else value

    return {tag: plain(values[tag]) for tag in sorted(values)}


def _form(req: falcon.Request) -> TagForm:
    """Return how tags are to be shown: `format` is Full, which `orthanc-api-client` reads, Simplify or Short. Raises OutOfRange."""
    name = req.get_param("format") or "Full"
    if name.lower() not in _FORMS:
        raise OutOfRange(f"Invalid format: {name}")
    return _FORMS[name.lower()]


def _render(entry: Worklist, form: TagForm) -> dict[str, Any]:
    return {"ID": entry.id, "Tags": render_worklist(entry.values, form)}


def routes(deps: Deps) -> Routes:
    if not deps.settings.worklists.is_enabled:
        return {}
    if deps.settings.read_only:
        return {"/worklists": Worklists(deps), "/worklists/{identifier}": OneWorklist(deps)}
    return {
        "/worklists": Worklists(deps),
        "/worklists/create": Create(deps),
        "/worklists/{identifier}": ChangeableWorklist(deps),
    }
