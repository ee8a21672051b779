"""`/jobs` and everything below, on the real index: what Orthanc 1.12.7 was seen to answer in each state of a job."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from actors.index.commands import EndJob, FailJob, FinishJobStep, StartJob
from events.identifiers import Ref
from tests.contract.rest_stage import RestStage, rest_stage
from tests.job_stage import job_id, submit_command
from tools.core import Core

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
    for wrong in ("state=Nope", "order=nope", "expand=bad"):
        assert stage.ask(f"/jobs?{wrong}").status == 400


def test_the_events_of_a_job_tell_its_history(archive: Core, stage: RestStage) -> None:
    bring(archive, stage, "Success")
    page = shown(stage, path() + "/events")
    assert page["Done"]
    assert len(page["Events"]) == 5
    assert len(shown(stage, path() + "/events?limit=2")["Events"]) == 2
