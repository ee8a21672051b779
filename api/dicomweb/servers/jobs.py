"""`servers/{name}/stow`, `/wado` and `/retrieve`: instances on their way to another DICOMweb server and from there, by jobs.

Source: observed on Orthanc 1.12.7 with version 1.20 of its plugin.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import falcon

from actors.services.jobs.operations import stow_plan, wado_retrieve_plan
from actors.services.jobs.operations.stow_plan import MOST_IN_A_STEP, StowPlan
from actors.services.jobs.operations.wado_retrieve_plan import WadoRetrievePlan
from api.dicomweb.handlers import Handlers
from api.dicomweb.servers.descriptions import NO_JSON, ONE_SERVER
from api.dicomweb.servers.requests import read_asked, strings_in, text_in
from api.errors import BadField
from api.rest import fields
from api.rest.deps import Deps
from api.rest.job_submission import JobRequest, is_permissive, submit
from api.rest.sent_resources import Root, find_root, instances_of
from events.identifiers import Level, format_resource_id

_NAMES: Final = {Level.PATIENT: "Patients", Level.STUDY: "Studies", Level.SERIES: "Series"}
_ADDRESSES: Final = (("studies", "Study"), ("series", "Series"), ("instances", "Instance"))
_WITHOUT_RESOURCES: Final = 'A request to the DICOMweb STOW-RS client must provide a JSON object with the field "Resources" containing an array of resources to be sent'


class Jobs:
    """What makes jobs."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def stow(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Send the resources of this archive that the body names, as files."""
        deps, body = self._deps, fields.read_json(req)
        if not isinstance(body, dict) or not isinstance(body.get("Resources"), list):
            raise BadField(_WITHOUT_RESOURCES)
        headers = strings_in(body, "HttpHeaders")
        roots = [find_root(deps, _text(each)) for each in body["Resources"]]
        server = deps.dicomweb_servers.get(name)
        plan = StowPlan(
            server=server.name,
            instances=[instance for root in roots for instance in instances_of(deps, root.level, root.ref)],
            per_step=min(deps.settings.dicom_web.stow_max_instances or MOST_IN_A_STEP, MOST_IN_A_STEP),
            headers=headers,
            named=_named(roots),
            parents=sorted({format_resource_id(root.id) for root in roots}),
            permissive=is_permissive(body),
        )
        request = JobRequest(type=stow_plan.JOB_TYPE, plan=stow_plan.to_plan(plan), steps=plan.steps)
        submit(deps, req, resp, request, body)

    def wado(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Retrieve and store what an address of the server names."""
        asked = read_asked(self._deps, req, name)
        self._retrieve(req, resp, name, [asked.target], asked.body, waits=False)

    def retrieve(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Retrieve and store studies, series and instances, named by their UIDs."""
        body = fields.read_json(req)
        if body is fields.NOT_JSON:
            raise BadField(NO_JSON)
        if not isinstance(body, dict):
            raise BadField("This is not a JSON object")
        if not isinstance(body.get("Resources"), list):
            raise BadField('The body must be a JSON object containing an array "Resources"')
        targets = [_target(each) for each in body["Resources"]]
        self._deps.dicomweb_servers.get(name)
        self._retrieve(req, resp, name, targets, body, waits=True)

    def _retrieve(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        name: str,
        targets: Sequence[str],
        body: Mapping[str, Any],
        *,
        waits: bool,
    ) -> None:
        plan = WadoRetrievePlan(
            server=name, targets=targets, headers=strings_in(body, "HttpHeaders"), permissive=is_permissive(body)
        )
        request = JobRequest(
            type=wado_retrieve_plan.JOB_TYPE,
            plan=wado_retrieve_plan.to_plan(plan),
            steps=len(targets),
            is_synchronous=waits,
        )
        submit(self._deps, req, resp, request, body)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadField
    return value


def _named(roots: Sequence[Root]) -> dict[str, list[str]]:
    named: dict[str, list[str]] = {}
    for root in roots:
        if root.level is not Level.INSTANCE:  # all instances are shown in any case
            named.setdefault(_NAMES[root.level], []).append(format_resource_id(root.id))
    return named


def _target(resource: object) -> str:
    """Return the address of what the UIDs of an object name. Raises BadField."""
    if not isinstance(resource, dict):
        raise BadField
    if "Study" not in resource:
        raise BadField('Missing "Study" field in the body')
    if "Instance" in resource and "Series" not in resource:
        raise BadField('Missing "Series" field in the body, as "Instance" is present')
    named = ((kind, text_in(resource, field)) for kind, field in _ADDRESSES if field in resource)
    return "/".join(f"{kind}/{quote(uid, safe='')}" for kind, uid in named)


def handlers(deps: Deps) -> Handlers:
    jobs = Jobs(deps)
    return {
        f"{ONE_SERVER}/stow": {"POST": jobs.stow},
        f"{ONE_SERVER}/wado": {"POST": jobs.wado},
        f"{ONE_SERVER}/retrieve": {"POST": jobs.retrieve},
    }
