"""`/modalities`: the remote modalities, as they are configured and as REST has changed them."""

from typing import Any

import falcon

from actors.services.remote.modality import Modality
from api.errors import InexistentItem
from api.rest import arguments, fields
from api.rest.deps import Deps
from api.rest.modality_json import check_name, parse_modality, render_modality
from api.rest.replies import send_json, send_text
from events.errors import NotFound

# What lies below a modality, as Orthanc lists it.
OPERATIONS = (
    "configuration",
    "echo",
    "find",
    "find-instance",
    "find-patient",
    "find-series",
    "find-study",
    "find-worklist",
    "get",
    "move",
    "query",
    "storage-commitment",
    "store",
    "store-straight",
)


class Modalities:
    """`GET /modalities`: names, or with `expand` everything."""

    def __init__(self, deps: Deps) -> None:
        self._modalities = deps.modalities

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        expand = arguments.boolean(req, "expand")
        known = self._modalities.list()
        shown: Any = [modality.name for modality in known]
        if expand:
            shown = {modality.name: render_modality(modality) for modality in known}
        send_json(req, resp, shown)


class OneModality:
    """`GET`, `PUT` and `DELETE` of a modality."""

    def __init__(self, deps: Deps) -> None:
        self._modalities = deps.modalities

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if self._modalities.get(name) is None:
            raise NotFound
        send_json(req, resp, list(OPERATIONS))

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        modality = parse_modality(name, fields.read_json(req))
        check_name(name)
        self._modalities.put(modality)
        send_text(resp)

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        if not self._modalities.remove(name):
            raise InexistentItem(f"Unknown DICOM modality with symbolic name: {name}")
        send_text(resp)


class ModalityConfiguration:
    """`GET /modalities/{name}/configuration`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        send_json(req, resp, render_modality(find_modality(self._deps, name)))


def find_modality(deps: Deps, name: str) -> Modality:
    """Return the modality that a path names. Raises InexistentItem."""
    modality = deps.modalities.get(name)
    if modality is None:
        raise InexistentItem(f"No modality with symbolic name: {name}")
    return modality
