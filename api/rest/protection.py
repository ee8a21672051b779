"""`/patients/{id}/protected`: whether a patient is kept from being recycled. Source: observed on Orthanc 1.12.7."""

import falcon

from actors.messages.commands.protection import SetProtection
from api.errors import OutOfRange
from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of
from api.rest.resources import find
from api.rest.runtime import read_switch
from api.rest.serving.auth import correlation_of, username_of
from api.rest.serving.replies import send_text
from events.errors import NotFound
from events.identifiers import Level, parse_resource_id
from store.views.protection import is_protected


class Protection:
    """An unknown patient is a parameter out of range here, as in Orthanc."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with self._deps.views.snapshot() as s:
            try:
                shown = is_protected(s, find(s, Level.PATIENT, identifier).ref)
            except NotFound as exc:
                raise OutOfRange from exc
        send_text(resp, str(int(shown)))


class ChangeableProtection(Protection):
    """The same where the archive may change; with `ReadOnly` there is no such route, as in Orthanc."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        wanted = read_switch(req)
        resource = parse_resource_id(identifier)
        if resource is None:
            raise OutOfRange
        command = SetProtection(
            id=resource,
            is_protected=wanted,
            remote_ip=req.remote_addr or "",
            username=username_of(req),
            correlation=correlation_of(req),
        )
        try:
            self._deps.index.set_protection(command)
        except NotFound as exc:
            raise OutOfRange from exc
        send_text(resp)


def routes(deps: Deps) -> Routes:
    protection = Protection if deps.settings.read_only else ChangeableProtection
    return {f"{one_of(Level.PATIENT)}/protected": protection(deps)}
