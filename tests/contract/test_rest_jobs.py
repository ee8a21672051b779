"""`/jobs` and everything below, on the real index: what Orthanc 1.12.7 was seen to answer in each state of a job."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from actors.messages.commands.jobs import AddJobOutput, EndJob, FailJob, FinishJobStep, InterruptJob, StartJob
from api.app import create_app
from api.rest import jobs
from events.identifiers import Ref
from store.blobs.writer import folder_number, make_blob_id
from store.times import format_precise_us
from tests.clock import Clock
from tests.contract.rest_stage import RestStage, rest_stage
from tests.job_stage import job_id, submit_command
from tools.server.core import Core

PLAN = {"description": "REST API", "local_aet": "HERE", "remote_aet": "THERE", "parents": ["b", "a", "b"]}
WORDS = ("cancel", "pause", "resume", "resubmit")
CODES = {"Pending": (200, 200, 400, 400), "Paused": (200, 200, 200, 400), "Success": (200, 200, 400, 400)}
CODES |= {"Failure": (200, 200, 400, 200), "Running": (200, 200, 400, 400)}


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def path(number: int = 1) -> str:
    return f"/jobs/{UUID(bytes=job_id(number))}"


def submit(archive: Core, number: int = 1, **options: Any) -> Ref:
    return Ref(archive.index.ask(submit_command(number, plan=PLAN, **options)))


def bring(archive: Core, stage: RestStage, state: str, number: int = 1) -> None:
    """Have a job of two steps stand as named."""
    job = submit(archive, number)
    if state == "Paused":
        assert stage.ask(path(number) + "/pause", "POST").status == 200
    if state in ("Pending", "Paused"):
        return
    archive.index.ask(StartJob(job=job))
    archive.index.ask(FinishJobStep(job=job, run=1, step=0, code=0))
    if state == "Failure":
        archive.index.ask(FailJob(job=job, run=1, code=9, details="refused", delay_ms=None))
    if state == "Success":
        archive.index.ask(FinishJobStep(job=job, run=1, step=1, code=0))
        archive.index.ask(EndJob(job=job, run=1, result={}))


def shown(stage: RestStage, uri: str) -> Any:
    answer = stage.ask(uri)
    assert answer.status == 200, answer
    return json.loads(answer.body)


@pytest.mark.parametrize("state", CODES)
def test_a_job_shows_its_state_and_content(archive: Core, stage: RestStage, state: str) -> None:
    bring(archive, stage, state)
    job = shown(stage, path())
    progress = {"Pending": 0, "Paused": 0, "Running": 50, "Failure": 50, "Success": 100}[state]
    assert (job["State"], job["Progress"], job["Type"]) == (state, progress, "DicomModalityStore")
    assert ("CompletionTime" in job) == (state in ("Failure", "Success"))
    assert ("EstimatedTimeOfArrival" in job) == (state == "Running")
    error = (9, "Error in the network protocol", "refused") if state == "Failure" else (0, "Success", "")
    assert (job["ErrorCode"], job["ErrorDescription"], job["ErrorDetails"]) == error
    assert job["Content"] == {
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": 2,
        "LocalAet": "HERE",
        "ParentResources": ["a", "b"],
        "RemoteAet": "THERE",
    }
    assert job["Resources"] == ["a", "b"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("state", CODES)
def test_words_to_a_job_are_answered_as_by_orthanc(archive: Core, stage: RestStage, state: str, word: str) -> None:
    bring(archive, stage, state)
    answer = stage.ask(f"{path()}/{word}", "POST")
    status = CODES[state][WORDS.index(word)]
    assert (answer.status, answer.body) == (status, b"{}" if status == 200 else b"")


def test_a_cancelled_job_has_failed_with_37(archive: Core, stage: RestStage) -> None:
    bring(archive, stage, "Pending")
    stage.ask(path() + "/cancel", "POST")
    job = shown(stage, path())
    assert (job["State"], job["ErrorCode"], job["ErrorDescription"]) == ("Failure", 37, "This job was canceled")


@pytest.mark.parametrize("state", CODES)
def test_only_a_job_that_has_ended_is_deleted(archive: Core, stage: RestStage, state: str) -> None:
    bring(archive, stage, state)
    has_ended = state in ("Success", "Failure")
    assert stage.ask(path(), "DELETE").status == (200 if has_ended else 404)
    assert stage.ask(path()).status == (404 if has_ended else 200)


def test_what_is_not_there_is_answered_as_by_orthanc(stage: RestStage) -> None:
    for name in ("nothere", "00000000-0000-0000-0000-0000000000ff"):
        answer = stage.ask(f"/jobs/{name}")
        assert (answer.status, answer.body) == (404, b"")
        assert [stage.ask(f"/jobs/{name}/{word}", "POST").status for word in WORDS] == [400] * 4
        for uri, method, details in (
            (f"/jobs/{name}", "DELETE", f"No job found with this id: {name}"),
            (f"/jobs/{name}/archive", "GET", "Job has no such output: archive"),
            (f"/jobs/{name}/cancel", "GET", "Job has no such output: cancel"),
        ):
            answer = stage.ask(uri, method)
            body = json.loads(answer.body)
            assert (answer.status, body["OrthancStatus"], body["Details"]) == (404, 7, details)
        assert stage.ask(f"/jobs/{name}/events").status == 404


def test_jobs_are_listed_filtered_and_ordered(archive: Core, stage: RestStage) -> None:
    assert shown(stage, "/jobs") == []
    submit(archive, 1, priority=1, user_data='{"a":1}')
    submit(archive, 2, priority=7, kind="Other")
    bring(archive, stage, "Success", 3)
    names = [path(number).removeprefix("/jobs/") for number in (1, 2, 3)]
    assert shown(stage, "/jobs") == shown(stage, "/jobs?expand=false") == names
    assert [job["ID"] for job in shown(stage, "/jobs?expand")] == names
    assert shown(stage, path(1))["UserData"] == {"a": 1}
    assert shown(stage, "/jobs?state=Success") == names[2:]
    assert shown(stage, "/jobs?type=Other") == names[1:2]
    assert shown(stage, "/jobs?order=-created") == names[::-1]
    assert shown(stage, "/jobs?order=priority") == [names[1], names[0], names[2]]
    assert shown(stage, "/jobs?since=1&limit=1") == names[1:2]
    assert shown(stage, "/jobs?state=Success;Pending&order=created") == names
    assert shown(stage, "/jobs?order=progress")[0] == names[2]
    assert shown(stage, "/jobs?order=-id") == names[::-1]
    assert shown(stage, "/jobs?since=3&limit=0") == []


@pytest.mark.parametrize(
    ("query", "code", "details"),
    [
        ("expand=bad", 3, 'Expected a Boolean for GET argument "expand", found: bad'),
        ("state=Nope", 3, "No such state of jobs: Nope"),
        ("order=nope", 3, "No such order of jobs: nope"),
        ("since=1", 8, 'Missing "limit" argument for GET request against: /jobs/'),
        ("since=-1&limit=1", 5, "Syntax error in some user-supplied data"),
    ],
)
def test_a_list_that_cannot_be_made_is_refused(stage: RestStage, query: str, code: int, details: str) -> None:
    answer = stage.ask(f"/jobs?{query}")
    error = json.loads(answer.body)
    assert (answer.status, error["OrthancStatus"], error["Details"]) == (400, code, details)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_long_list_is_read_in_parts(
    archive: Core, stage: RestStage, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 6):
        submit(archive, number)
    monkeypatch.setattr(jobs, "ROWS_PER_SNAPSHOT", size)
    monkeypatch.setattr(jobs, "JOBS_PER_SNAPSHOT", size)
    names = [path(number).removeprefix("/jobs/") for number in range(1, 6)]
    assert shown(stage, "/jobs") == [job["ID"] for job in shown(stage, "/jobs?expand")] == names


@pytest.mark.parametrize(("steps", "done", "percent"), [(3, 1, 33), (3, 2, 67), (8, 1, 13), (1000, 4, 0), (1000, 5, 1)])
def test_progress_is_rounded_as_orthanc_does(
    archive: Core, stage: RestStage, steps: int, done: int, percent: int
) -> None:
    job = submit(archive, steps=steps)
    archive.index.ask(StartJob(job=job))
    for step in range(done):
        archive.index.ask(FinishJobStep(job=job, run=1, step=step, code=0))
    assert shown(stage, path())["Progress"] == percent


def test_a_job_without_steps_is_at_0_until_it_is_done(archive: Core, stage: RestStage) -> None:
    job = submit(archive, steps=0)
    assert shown(stage, path())["Progress"] == 0
    archive.index.ask(StartJob(job=job))
    assert shown(stage, path())["Progress"] == 0
    archive.index.ask(EndJob(job=job, run=1, result={}))
    assert shown(stage, path())["Progress"] == 100


def test_times_add_up_over_runs(archive: Core, stage: RestStage, clock: Clock) -> None:
    deps = replace(stage.deps, now=lambda: datetime.fromtimestamp(clock() / 1e6, UTC))
    stage = RestStage(create_app(deps), deps)
    job = submit(archive, steps=4)
    made = shown(stage, path())
    clock.advance(10)
    archive.index.ask(StartJob(job=job))
    clock.advance(2)
    archive.index.ask(FinishJobStep(job=job, run=1, step=0, code=0))
    archive.index.ask(InterruptJob(job=job, run=1, is_crash=True))
    clock.advance(50)
    waiting = shown(stage, path())
    assert (waiting["State"], waiting["EffectiveRuntime"], waiting["Progress"]) == ("Pending", 2.0, 25)
    archive.index.ask(StartJob(job=job))
    clock.advance(1.5)
    running = shown(stage, path())
    assert running["CreationTime"] == waiting["CreationTime"] == made["CreationTime"]
    assert running["EffectiveRuntime"] == 3.5
    assert running["Timestamp"] == format_precise_us(clock())
    assert running["EstimatedTimeOfArrival"] == format_precise_us(
        clock() + 10_500_000
    )  # three times what one step took


def test_a_job_that_is_to_be_tried_again_shows_its_error(archive: Core, stage: RestStage) -> None:
    job = submit(archive, attempts=2)
    archive.index.ask(StartJob(job=job))
    archive.index.ask(FailJob(job=job, run=1, code=9, details="refused", delay_ms=60_000))
    found = shown(stage, path())
    assert (found["State"], found["ErrorCode"], found["ErrorDetails"]) == ("Retry", 9, "refused")
    assert "CompletionTime" not in found
    assert [stage.ask(f"{path()}/{word}", "POST").status for word in ("resume", "resubmit", "pause", "resume")] == [
        400,
        400,
        200,
        200,
    ]


def test_errors_passed_over_are_counted_and_forgotten_by_a_resubmission(archive: Core, stage: RestStage) -> None:
    job = submit(archive)
    archive.index.ask(StartJob(job=job))
    archive.index.ask(FinishJobStep(job=job, run=1, step=0, code=9))
    assert shown(stage, path())["Content"]["FailedInstancesCount"] == 1
    stage.ask(path() + "/cancel", "POST")
    assert shown(stage, path())["Content"]["FailedInstancesCount"] == 1
    assert stage.ask(path() + "/resubmit", "POST").status == 200
    found = shown(stage, path())
    assert (found["State"], found["Progress"], found["ErrorCode"]) == (
        "Pending",
        0,
        37,
    )  # the error stays, as in Orthanc
    assert found["Content"]["FailedInstancesCount"] == 0


def test_an_output_is_fetched_and_deleted(archive: Core, stage: RestStage) -> None:
    job = submit(archive, steps=0)
    archive.index.ask(StartJob(job=job))
    blob = make_blob_id(archive.client.open_folder("worker-1"), 1)
    archive.blobs.make_folder(folder_number(blob), sync=False)
    archive.blobs.path(blob).write_bytes(b"a file")
    archive.index.ask(
        AddJobOutput(
            job=job,
            run=1,
            key="archive",
            blob=blob,
            size_bytes=6,
            media_type="application/zip",
            filename="Archive.zip",
        )
    )
    uri = path() + "/archive"
    answer = stage.ask(uri)
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"a file", "application/zip")
    assert answer.headers["Content-Length"] == "6"
    assert answer.headers["Content-Disposition"] == 'filename="Archive.zip"'
    assert stage.ask(uri, "DELETE").status == 404  # the job has not ended
    archive.index.ask(EndJob(job=job, run=1, result={}))
    answer = stage.ask(uri, "DELETE")
    assert (answer.status, answer.body) == (200, b"")
    for method in ("GET", "DELETE"):
        answer = stage.ask(uri, method)
        error = json.loads(answer.body)
        assert (answer.status, error["OrthancStatus"], error["Details"]) == (404, 7, "Job has no such output: archive")


def test_the_events_of_a_job_tell_its_history(archive: Core, stage: RestStage) -> None:
    bring(archive, stage, "Success")
    page = shown(stage, path() + "/events")
    assert page["Done"]
    assert len(page["Events"]) == 5
    assert len(shown(stage, path() + "/events?limit=2")["Events"]) == 2
    first = shown(stage, path() + "/events?limit=2")
    rest = shown(stage, f"{path()}/events?since={first['Last']}")
    assert first["Events"] + rest["Events"] == page["Events"]
    assert (first["Done"], rest["Done"]) == (False, True)
    assert [event["Tag"] for event in page["Events"]][:2] == ["job-submitted/1", "job-started/1"]
