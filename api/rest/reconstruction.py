"""`POST /…/reconstruct`: main DICOM tags are read from the files again.

Source: observed on Orthanc 1.12.7. Where that stops at the first file that it cannot read, the others are read here, and the answer
names it then. The work is a job, so it goes on when a server is killed; the answer waits for its end, unless the body says
`Asynchronous`.
"""

from typing import Any

import falcon

from actors.services.jobs.operations.reconstruct_plan import (
    JOB_TYPE,
    ReconstructPlan,
    plan_everything,
    plan_resource,
    to_plan,
)
from api.errors import BadField, UnknownRoute
from api.rest import fields
from api.rest.deps import Deps, Routes
from api.rest.job_submission import JobRequest, answer_with_link, start, wait
from api.rest.render_resources import one_of
from api.rest.serving.replies import send_text
from events.identifiers import Level, parse_resource_id


class _Reconstruction:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def _carry_out(
        self, req: falcon.Request, resp: falcon.Response, plan: ReconstructPlan, body: dict[str, Any]
    ) -> None:
        request = JobRequest(type=JOB_TYPE, plan=to_plan(plan), steps=plan.steps)
        job, job_id, waits = start(self._deps, req, request, body)
        if not waits:
            answer_with_link(req, resp, job_id)
            return
        wait(self._deps, job)
        send_text(resp)


class ReconstructResource(_Reconstruction):
    """`POST /studies/{id}/reconstruct` and its like; which level the identifier has does not matter, as in Orthanc."""

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        body = read_options(req)
        is_limited = _flag(body, "LimitToThisLevelMainDicomTags")
        resource = parse_resource_id(identifier)
        with self._deps.views.snapshot() as s:
            found = None if resource is None else s.find(resource)
            if resource is None or found is None:
                raise UnknownRoute
            plan = plan_resource(s, *found, resource, is_limited=is_limited)
        self._carry_out(req, resp, plan, body)


class ReconstructEverything(_Reconstruction):
    """`POST /tools/reconstruct`."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = read_options(req)
        self._carry_out(req, resp, plan_everything(self._deps.views), body)


class InvalidateTags:
    """`POST /tools/invalidate-tags`: tags are read from the files each time, so there is nothing that could be out of date."""

    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        send_text(resp)


def read_options(req: falcon.Request) -> dict[str, Any]:
    """Return the options in a body, of which there are none where it is no JSON. Raises BadField."""
    body = fields.read_json(req)
    if body is None or body is fields.NOT_JSON:
        return {}
    if not isinstance(body, dict):
        raise BadField("Must provide a JSON object")
    _flag(body, "ReconstructFiles")
    return body


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadField(f"The field {name} must contain a Boolean")
    return value


def routes(deps: Deps) -> Routes:
    """With `ReadOnly` there are none, as in Orthanc."""
    if deps.settings.read_only:
        return {}
    found: Routes = {f"{one_of(level)}/reconstruct": ReconstructResource(deps) for level in Level}
    return found | {"/tools/reconstruct": ReconstructEverything(deps), "/tools/invalidate-tags": InvalidateTags()}
