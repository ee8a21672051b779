"""`GET /remotes/status`: where the modalities, peers and DICOMweb servers come from, and how long a change of them holds. Not Orthanc's."""

from typing import Any

import falcon

from actors.services.remote.named_remotes import NamedRemotes
from api.rest.deps import Deps, Routes
from api.rest.serving.replies import send_json


class RemotesStatus:
    """Of each kind: its path, the names in the configuration, and whether changes outlive the run (then the configuration's are left alone)."""

    def __init__(self, deps: Deps) -> None:
        web = deps.settings.dicom_web
        self._shown = {
            "DicomWebServers": _render(deps.dicomweb_servers, web.route("servers") if web.is_enabled else None),
            "Modalities": _render(deps.modalities, "/modalities"),
            "Peers": _render(deps.peers, "/peers"),
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, self._shown)


def _render(remotes: NamedRemotes[Any], path: str | None) -> dict[str, Any]:
    return {"Configured": remotes.configured_names, "InDatabase": remotes.is_stored, "Path": path}


def routes(deps: Deps) -> Routes:
    return {"/remotes/status": RemotesStatus(deps)}
