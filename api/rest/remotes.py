"""`GET /remotes/status`: where the modalities, peers and DICOMweb servers come from, and how long a change of them holds. Not Orthanc's."""

from typing import Any

import falcon

from actors.services.remote.named_remotes import NamedRemotes
from api.rest.deps import Deps, Routes
from api.rest.serving.replies import send_json


class RemotesStatus:
    """Of each kind: the names in the configuration, and whether changes outlive the run (then the configuration's are left alone)."""

    def __init__(self, deps: Deps) -> None:
        self._shown = {
            "DicomWebServers": _render(deps.dicomweb_servers),
            "Modalities": _render(deps.modalities),
            "Peers": _render(deps.peers),
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        send_json(req, resp, self._shown)


def _render(remotes: NamedRemotes[Any]) -> dict[str, Any]:
    return {"Configured": remotes.configured_names, "InDatabase": remotes.is_stored}


def routes(deps: Deps) -> Routes:
    return {"/remotes/status": RemotesStatus(deps)}
