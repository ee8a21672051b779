"""`POST /peers/{name}/store`: resources sent to a peer, by a job. Source: observed on Orthanc 1.12.7."""

from collections.abc import Mapping
from typing import Any

import falcon

from actors.services.jobs.operations.peer_plan import JOB_TYPE, PeerPlan, show_peer, to_plan
from api.errors import BadField
from api.rest import fields
from api.rest.deps import Deps, Routes
from api.rest.exports import log_exports
from api.rest.job_submission import JobRequest, is_permissive, submit
from api.rest.peers import ONE_PEER
from api.rest.sent_resources import find_roots, instances_of, read_names
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import read_text
from events.identifiers import format_resource_id
from store.dicom.syntax import transfer_syntaxes


class Store:
    """The body names resources of any level, as one identifier, a list or an object."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        deps = self._deps
        names, body = read_names(read_text(req))
        roots = find_roots(deps, names)
        peer = deps.peers.get(name)
        plan = PeerPlan(
            peer=name,
            shown=show_peer(peer),
            instances=[instance for root in roots for instance in instances_of(deps, root.level, root.ref)],
            compress=fields.flag(body, "Compress", default=False),
            transcode=_transfer_syntax(body),
            parents=sorted({format_resource_id(root.id) for root in roots}),
            permissive=is_permissive(body),
        )
        log_exports(deps, name, [(root.level, root.id) for root in roots], correlation_of(req))
        submit(deps, req, resp, JobRequest(type=JOB_TYPE, plan=to_plan(plan), steps=len(plan.instances)), body)


def _transfer_syntax(body: Mapping[str, Any]) -> str:
    """Return what is to be sent, "" for files as they are stored; whether it can be had is seen at each. Raises BadField."""
    if "Transcode" not in body:
        return ""
    uid = fields.text(body, "Transcode")
    if uid not in transfer_syntaxes():
        raise BadField(f"Unknown transfer syntax UID: {uid}")
    return uid


def routes(deps: Deps) -> Routes:
    return {f"{ONE_PEER}/store": Store(deps)}
