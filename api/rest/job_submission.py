"""Common parts of requests that make a job, in the request and in the answer.

    body = fields.read_object(req)
    request = JobRequest(type=…, plan=…, steps=…, step_timeout_s=…)
    submit(deps, req, resp, request, body)

`Synchronous` wins over `Asynchronous`; without either, the operation's default holds. A synchronous request is answered
with the job's content, or with the job's error; an asynchronous one with where the job is found. Source: observed on
Orthanc 1.12.7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import falcon
import msgspec

from api.errors import BadField, JobHasFailed
from api.rest import fields
from api.rest.deps import Deps
from api.rest.render_jobs import render_content, view_job
from api.rest.serving.auth import correlation_of
from api.rest.serving.replies import send_json
from events.errors import NotFound
from events.identifiers import Ref
from store.projections.job_rows import JobState
from store.views.jobs import recall_job

PRIORITY_LIMIT = 1 << 31  # Orthanc's integers have 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What is to be done."""

    type: str
    plan: dict[str, Any]  # plain values, as the operation defines them
    steps: int
    step_timeout_s: int = 0  # 0: the operation has limits of its own
    is_synchronous: bool = True  # unless the body says otherwise


def is_permissive(body: Mapping[str, Any]) -> bool:
    """Tell whether errors of single steps are to be passed over. Raises BadField."""
    return fields.flag(body, "Permissive", default=False)


def is_synchronous(body: Mapping[str, Any], *, default: bool = True) -> bool:
    """Tell whether the answer is to wait for the job. Raises BadField."""
    if "Synchronous" in body:
        return fields.flag(body, "Synchronous", default=True)
    return not fields.flag(body, "Asynchronous", default=not default)


def priority(body: Mapping[str, Any]) -> int:
    value = body.get("Priority", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not -PRIORITY_LIMIT <= value < PRIORITY_LIMIT:
        raise BadField("Integer value expected in field: Priority")
    return value


def submit(
    deps: Deps,
    req: falcon.Request,
    resp: falcon.Response,
    request: JobRequest,
    body: Mapping[str, Any],
) -> None:
    """Make a job and answer as the body asks. Raises BadField, and JobHasFailed for a job that was waited for."""
    job, job_id, waits = start(deps, req, request, body)
    if waits:
        send_json(req, resp, wait(deps, job))
    else:
        answer_with_link(req, resp, job_id)


def start(deps: Deps, req: falcon.Request, request: JobRequest, body: Mapping[str, Any]) -> tuple[Ref, bytes, bool]:
    """Make a job; returns its ref, its UUID, and whether the body wants its end waited for. Raises BadField."""
    waits = is_synchronous(body, default=request.is_synchronous)
    job, job_id = deps.jobs.submit(
        request.type,
        request.plan,
        steps=request.steps,
        step_timeout_s=request.step_timeout_s,
        attempts=1 if waits else None,
        priority=priority(body),
        user_data=msgspec.json.encode(body["UserData"]).decode() if "UserData" in body else "",
        correlation=correlation_of(req),
    )
    return job, job_id, waits


def answer_with_link(req: falcon.Request, resp: falcon.Response, job_id: bytes) -> None:
    """Say where a job is found."""
    name = str(UUID(bytes=job_id))
    send_json(req, resp, {"ID": name, "Path": f"/jobs/{name}"})


def wait(deps: Deps, ref: Ref) -> dict[str, Any]:
    """Return the content of a job once it has succeeded. Raises JobHasFailed."""
    progress = deps.jobs.wait(ref)
    with deps.views.snapshot() as s:
        job = recall_job(s, ref, progress)  # JobsHistorySize may have no room for it
        if job is None:
            raise NotFound
        view = view_job(s, job)
    if progress.state is not JobState.Success:
        raise JobHasFailed(progress.code, view.error_details)
    return render_content(view)
