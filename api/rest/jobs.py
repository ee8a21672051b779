"""`/jobs`: work in the background, and its results."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from uuid import UUID

import falcon

from actors.messages.job_states import Word
from api.errors import InexistentItem, NoSuchAction, OutOfRange
from api.rest import arguments
from api.rest.deps import Deps, Routes
from api.rest.event_entries import render_event, sees_values
from api.rest.ranges import parse_range, send_part
from api.rest.render_jobs import percent, render_job, view_job
from api.rest.serving.file_pieces import send_file
from api.rest.serving.replies import send_json, send_text
from events.errors import NotFound
from store.projections.job_rows import Job, JobState
from store.views.jobs import find_job, get_output, list_job_events, list_jobs
from store.views.views import Views

DEFAULT_EVENTS = 100
MAXIMUM_EVENTS = 1000
ROWS_PER_SNAPSHOT = 1000  # jobs without their plans: some 10 ms
JOBS_PER_SNAPSHOT = 200  # expanded ones, with their plans: some milliseconds

_ORDERS: dict[str, Callable[[Job], Any]] = {
    "created": lambda job: job.ref,
    "id": lambda job: job.id,  # Orthanc's
    "priority": lambda job: (-job.priority, job.ref),
    "progress": lambda job: (-percent(job), job.ref),
}


class Jobs:
    """`GET /jobs`, and beyond Orthanc `?state=&type=&order=&since=&limit=`.

    `state` and `type` take several names separated by semicolons; `order` is one of `id` (as in Orthanc), `created`,
    `priority`, `progress`, with a minus before it for the other way round.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        is_expanded = arguments.boolean(req, "expand")
        page = arguments.paging(req, "/jobs")
        is_wanted = _filter(req)
        jobs = [job for job in all_jobs(self._deps.views) if is_wanted(job)]
        _sort(jobs, req.get_param("order") or "id")
        jobs = jobs[page.since : page.since + page.limit if page.limit else None]
        if is_expanded:
            send_json(req, resp, list(self._expand(jobs)))
        else:
            send_json(req, resp, [str(UUID(bytes=job.id)) for job in jobs])

    def _expand(self, jobs: list[Job]) -> Iterator[dict[str, Any]]:
        now_us = _now_us(self._deps)
        for start in range(0, len(jobs), JOBS_PER_SNAPSHOT):
            with self._deps.views.snapshot() as s:
                views = [view_job(s, job) for job in jobs[start : start + JOBS_PER_SNAPSHOT]]
            for view in views:
                yield render_job(view, now_us)


def all_jobs(views: Views) -> Iterator[Job]:
    """Yield the jobs in the order in which they were made, some at a time: no snapshot lives long."""
    since, is_done = 0, False
    while not is_done:
        with views.snapshot() as s:
            jobs = list(islice(list_jobs(s, since), ROWS_PER_SNAPSHOT))
        yield from jobs
        is_done = len(jobs) < ROWS_PER_SNAPSHOT
        since = jobs[-1].ref + 1 if jobs else since


def _filter(req: falcon.Request) -> Callable[[Job], bool]:
    states, types = set(arguments.parts(req, "state")), set(arguments.parts(req, "type"))
    if unknown := states - JobState.__members__.keys():
        raise OutOfRange(f"No such state of jobs: {min(unknown)}")
    return lambda job: (not states or job.progress.state.name in states) and (not types or job.type in types)


def _sort(jobs: list[Job], order: str) -> None:
    rank = _ORDERS.get(order.removeprefix("-"))
    if rank is None:
        raise OutOfRange(f"No such order of jobs: {order}")
    jobs.sort(key=rank, reverse=order.startswith("-"))


class SingleJob:
    """`/jobs/{id}`."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        with self._deps.views.snapshot() as s:
            job = find_job(s, parse_job_id(identifier))
            if job is None:
                raise NotFound
            view = view_job(s, job)
        send_json(req, resp, render_job(view, _now_us(self._deps)))

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        try:
            is_done = self._deps.jobs.control(parse_job_id(identifier), Word.FORGET)
        except NotFound:
            is_done = False
        if not is_done:  # Orthanc says the same of a job that has not ended
            raise InexistentItem(f"No job found with this id: {identifier}")
        send_text(resp)


class JobAction:
    """`POST /jobs/{id}/cancel`, `pause`, `resume` and `resubmit`."""

    def __init__(self, deps: Deps, word: Word) -> None:
        self._deps = deps
        self._word = word

    def on_post(self, _req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        try:
            is_done = self._deps.jobs.control(parse_job_id(identifier), self._word)
        except NotFound as exc:
            raise NoSuchAction from exc
        if not is_done:
            raise NoSuchAction
        resp.content_type = "application/json"
        resp.data = b"{}"

    def on_get(self, _req: falcon.Request, _resp: falcon.Response, identifier: str) -> None:  # noqa: ARG002  # falcon's name
        raise _no_output(self._word.value)  # Orthanc takes it for one

    on_delete = on_get


class JobOutput:
    """`/jobs/{id}/{key}`: a file that the job made, or a part of it (`Range`)."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        try:
            parsed = parse_job_id(identifier)
        except NotFound as exc:  # Orthanc answers with a body here
            raise _no_output(name) from exc
        with self._deps.views.snapshot() as s:
            job = find_job(s, parsed)
            found = None if job is None else get_output(s, job.ref, name)
        if found is None:
            raise _no_output(name)
        output, filename = found
        wanted = parse_range(req)
        part = None if wanted is None else wanted.within(output.size_bytes)
        try:
            opened = self._deps.blobs.path(output.blob).open("rb", buffering=0)
        except FileNotFoundError as exc:  # the job was forgotten in the meantime
            raise _no_output(name) from exc
        resp.content_type = output.media_type
        resp.set_header("Accept-Ranges", "bytes")
        if filename:
            resp.set_header("Content-Disposition", f'filename="{filename}"')
        if part is None:
            send_file(resp, opened, output.size_bytes)
            return
        send_part(resp, opened, part)

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, identifier: str, name: str) -> None:
        try:
            self._deps.jobs.drop_output(parse_job_id(identifier), name)
        except NotFound as exc:
            raise _no_output(name) from exc
        send_text(resp)


class JobEvents:
    """Beyond Orthanc: `GET /jobs/{id}/events?since=&limit=`, what has happened to a job, oldest first.

    A page may hold fewer events than asked for though more follow: `Done` tells.
    """

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        since, limit = arguments.lenient_numbers(req, since=0, limit=DEFAULT_EVENTS)
        count = min(max(limit, 1), MAXIMUM_EVENTS)
        with self._deps.views.snapshot() as s:
            job = find_job(s, parse_job_id(identifier))
            if job is None:
                raise NotFound
            page = list_job_events(s, job, since=max(since, 0), limit=count)
        with_values = sees_values(req, self._deps.settings)
        shown = [render_event(entry, with_values=with_values) for entry in page.events]
        send_json(req, resp, {"Done": page.is_done, "Events": shown, "Last": page.last})


def parse_job_id(text: str) -> bytes:
    """Return the 16 bytes of a job's name. Raises NotFound for what cannot be one."""
    try:
        parsed = UUID(text)
    except ValueError as exc:
        raise NotFound from exc
    if str(parsed) != text:
        raise NotFound
    return parsed.bytes


def _no_output(name: str) -> InexistentItem:
    return InexistentItem(f"Job has no such output: {name}")


def _now_us(deps: Deps) -> int:
    return int(deps.now().timestamp() * 1_000_000)


def routes(deps: Deps) -> Routes:
    words = (Word.CANCEL, Word.PAUSE, Word.RESUME, Word.RESUBMIT)
    return {
        "/jobs": Jobs(deps),
        "/jobs/{identifier}": SingleJob(deps),
        "/jobs/{identifier}/events": JobEvents(deps),
        "/jobs/{identifier}/{name}": JobOutput(deps),
        **{f"/jobs/{{identifier}}/{word.value}": JobAction(deps, word) for word in words},
    }
