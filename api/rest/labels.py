"""Labels: `/{level}/{id}/labels`, `/{level}/{id}/labels/{label}`, `/tools/labels`. Source: observed on Orthanc 1.12.7."""

import falcon

from actors.messages.commands.labels import AddLabel, RemoveLabel
from api.errors import OutOfRange, UnknownRoute
from api.rest.deps import Deps, Routes
from api.rest.render_resources import one_of
from api.rest.resources import find_below
from api.rest.serving.auth import correlation_of, username_of
from api.rest.serving.replies import send_json, send_text
from events.errors import NotFound
from events.identifiers import Level, parse_resource_id
from events.labels import is_label
from store.views.labels import has_label, labels_of, list_labels


class LabelsOfAll:
    """`GET /tools/labels`: every label in use, at whatever level."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        with self._deps.views.snapshot() as s:
            shown = list(list_labels(s))
        send_json(req, resp, shown)


class Labels:
    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with self._deps.views.snapshot() as s:
            shown = labels_of(s, find_below(s, self._level, identifier).ref)
        send_json(req, resp, shown)


class Label:
    """`GET` tells by its status alone whether the resource has the label."""

    def __init__(self, deps: Deps, level: Level) -> None:
        self._deps = deps
        self._level = level

    def on_get(self, _req: falcon.Request, resp: falcon.Response, identifier: str, label: str) -> None:
        with self._deps.views.snapshot() as s:
            ref = find_below(s, self._level, identifier).ref
            if not (is_label(label) and has_label(s, ref, label)):
                raise NotFound
        send_text(resp)


class ChangeableLabel(Label):
    """The same where the archive may change; with `ReadOnly` there is no such route, as in Orthanc."""

    def on_put(self, req: falcon.Request, resp: falcon.Response, identifier: str, label: str) -> None:
        self._change(AddLabel, req, identifier, label)
        send_text(resp)

    def on_delete(self, req: falcon.Request, resp: falcon.Response, identifier: str, label: str) -> None:
        self._change(RemoveLabel, req, identifier, label)
        send_text(resp)

    def _change(self, kind: type[AddLabel | RemoveLabel], req: falcon.Request, identifier: str, label: str) -> None:
        """Orthanc looks at the label first, then for the resource."""
        if not is_label(label):
            raise OutOfRange(
                "A label must be a non-empty, alphanumeric string, possibly with '_' or '-' characters, with maximum "
                f"64 characters, but got: {label}"
            )
        resource = parse_resource_id(identifier)
        if resource is None:
            raise UnknownRoute
        command = kind(
            level=self._level,
            id=resource,
            label=label,
            remote_ip=req.remote_addr or "",
            username=username_of(req),
            correlation=correlation_of(req),
        )
        try:
            self._deps.index.change_label(command)
        except NotFound as exc:
            raise UnknownRoute from exc


def routes(deps: Deps) -> Routes:
    label = Label if deps.settings.read_only else ChangeableLabel
    found: Routes = {"/tools/labels": LabelsOfAll(deps)}
    for level in Level:
        found[f"{one_of(level)}/labels"] = Labels(deps, level)
        found[f"{one_of(level)}/labels/{{label}}"] = label(deps, level)
    return found
