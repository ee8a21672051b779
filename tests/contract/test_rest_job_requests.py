"""What requests that make jobs have in common, with operations made for the test: `Synchronous`, `Priority`, `UserData` …"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import falcon
import pytest

from actors.core.jobs.settings import SchedulerSettings
from actors.messages import jobs_client
from actors.messages.commands.jobs import SubmitJob
from actors.messages.job_retries import REMOTE
from actors.services.jobs.operation import Task
from actors.wire.errors import RemoteFailed, Trouble
from actors.wire.interruption import Interruption
from api.rest import fields
from api.rest.deps import Deps
from api.rest.job_submission import JobRequest, is_permissive, submit
from api.rest.serving.fault import Faults
from api.rest.serving.front import Application, Front
from store.views.jobs import find_job
from tests.contract.rest_stage import Answer, RestStage, call, rest_stage
from tests.contract.test_job_engine import Script, workers
from tools.server.core import Core

Body = dict[str, Any]


class Work:
    """A route that makes a job of three steps."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = fields.read_object(req)
        plan = {"description": "REST API", "permissive": is_permissive(body)}
        request = JobRequest(type="Test", plan=plan, steps=3, is_synchronous=not req.has_param("slow"))
        submit(self._deps, req, resp, request, body)


class Stage:
    """The route, and what its operations do."""

    def __init__(self, app: Application, rest: RestStage, script: Script) -> None:
        self._app = app
        self.rest = rest
        self.script = script

    def post(self, body: Body, query: str = "") -> Answer:
        return call(self._app, f"/work{query}", "POST", json.dumps(body).encode(), {})

    def jobs(self) -> list[Any]:
        found: list[Any] = json.loads(self.rest.ask("/jobs?expand").body)
        return found

    def ended(self, answer: Answer) -> Any:
        """Wait for an asynchronous job, and return what is shown of it."""
        name = json.loads(answer.body)["ID"]
        with self.rest.deps.views.snapshot() as snapshot:
            job = find_job(snapshot, UUID(name).bytes)
        assert job is not None
        self.rest.deps.jobs.wait(job.ref)
        return json.loads(self.rest.ask(f"/jobs/{name}").body)


@contextmanager
def working(core: Core) -> Iterator[Stage]:
    script = Script()
    with rest_stage(core) as rest, workers(core, script, "worker-1/1", 1):
        app: falcon.App[falcon.Request, falcon.Response] = falcon.App()
        faults = Faults(describe=True)
        app.add_error_handler(Exception, faults.on_error)
        app.add_route("/work", Work(rest.deps))
        yield Stage(Front(app, rest.deps.settings), rest, script)


@pytest.fixture
def stage(archive: Core) -> Iterator[Stage]:
    with working(archive) as made:
        yield made


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        ({}, True),
        ({"Synchronous": True}, True),
        ({"Synchronous": False}, False),
        ({"Asynchronous": True}, False),
        ({"Asynchronous": False}, True),
        ({"Synchronous": True, "Asynchronous": True}, True),
        ({"Synchronous": False, "Asynchronous": False}, False),
    ],
)
def test_synchronous_wins_over_asynchronous(stage: Stage, body: Body, waits: bool) -> None:
    answer = stage.post(body)
    assert answer.status == 200
    shown = json.loads(answer.body)
    if waits:
        assert shown == {"Description": "REST API", "Steps": 3}
    else:
        assert shown["Path"] == f"/jobs/{shown['ID']}"
        assert stage.ended(answer)["Content"] == {"Description": "REST API", "Steps": 3}


@pytest.mark.parametrize(
    ("body", "waits"), [({}, False), ({"Synchronous": True}, True), ({"Asynchronous": False}, True)]
)
def test_an_operation_that_is_slow_by_nature_waits_only_when_asked_to(stage: Stage, body: Body, waits: bool) -> None:
    answer = stage.post(body, "?slow")
    assert ("Path" in json.loads(answer.body)) == (not waits)
    if not waits:
        stage.ended(answer)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({"Synchronous": 1}, "Boolean value expected in field: Synchronous"),
        ({"Asynchronous": "true"}, "Boolean value expected in field: Asynchronous"),
        ({"Permissive": 1}, "Boolean value expected in field: Permissive"),
        ({"Priority": "high"}, "Integer value expected in field: Priority"),
        ({"Priority": True}, "Integer value expected in field: Priority"),
        ({"Priority": 1.5}, "Integer value expected in field: Priority"),
        ({"Priority": 1 << 31}, "Integer value expected in field: Priority"),
    ],
)
def test_fields_of_a_wrong_type_make_no_job(stage: Stage, body: Body, details: str) -> None:
    answer = stage.post(body)
    error = json.loads(answer.body)
    assert (answer.status, error["OrthancStatus"], error["Details"]) == (400, 15, details)
    assert stage.jobs() == []


@pytest.mark.parametrize("priority", [-(1 << 31), -1, 0, 7, (1 << 31) - 1])
def test_a_job_has_the_priority_it_was_given(stage: Stage, priority: int) -> None:
    assert stage.ended(stage.post({"Asynchronous": True, "Priority": priority}))["Priority"] == priority


@pytest.mark.parametrize("data", [{"a": 1, "b": [1, 2]}, "x", "", 0, False, None, [], {"ä": "\x00é"}])
def test_user_data_is_shown_as_it_was_given(stage: Stage, data: object) -> None:
    assert stage.ended(stage.post({"Asynchronous": True, "UserData": data}))["UserData"] == data


def test_a_job_without_user_data_shows_none(stage: Stage) -> None:
    assert "UserData" not in stage.ended(stage.post({"Asynchronous": True}))


def test_the_operation_hears_whether_errors_are_passed_over(stage: Stage) -> None:
    heard: list[object] = []

    def listen(task: Task, _step: int, _interruption: Interruption) -> int:
        heard.append(task.plan["permissive"])
        return 0

    stage.script.on_step = listen
    for body in ({}, {"Permissive": False}, {"Permissive": True}):
        stage.post(body)
    assert heard == [False] * 6 + [True] * 3


@pytest.mark.parametrize(
    ("code", "details", "status", "message"),
    [
        (9, "the remote said no", 500, "Error in the network protocol"),
        (2015, "", 500, "DicomUserConnection: No acceptable presentation context for modality"),
        (17, "", 404, "Unknown resource"),
        (12345, "of a kind of its own", 500, "Internal error"),
    ],
)
def test_who_waits_is_told_the_error_of_the_job(
    stage: Stage, code: int, details: str, status: int, message: str
) -> None:
    def fail(_task: Task, _step: int, _interruption: Interruption) -> int:
        raise RemoteFailed(details, code=code, trouble=Trouble.FINAL)

    stage.script.on_step = fail
    answer = stage.post({})
    error = json.loads(answer.body)
    assert (answer.status, error["Message"], error.get("Details", "")) == (status, message, details)
    (job,) = stage.jobs()
    assert (job["State"], job["ErrorCode"], job["ErrorDetails"]) == ("Failure", code, details)
    assert job["ErrorDescription"] == message


def test_who_waits_for_a_job_that_is_cancelled_is_told_so(stage: Stage) -> None:
    def cancel(_task: Task, _step: int, _interruption: Interruption) -> int:
        (job,) = stage.jobs()
        assert stage.rest.ask(f"/jobs/{job['ID']}/cancel", "POST").status == 200
        return 0

    stage.script.on_step = cancel
    answer = stage.post({})
    assert answer.status == 500
    assert json.loads(answer.body)["OrthancStatus"] == 37


def test_who_waits_has_one_attempt_and_who_does_not_has_those_of_the_operation(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_client, "strategy_of", lambda _kind: REMOTE)
    given: list[int] = []
    monkeypatch.setattr(stage.rest.deps.jobs, "_ask", _noting(stage.rest.deps.jobs._ask, given))
    stage.post({})
    stage.ended(stage.post({"Asynchronous": True}))
    assert given == [1, REMOTE.attempts]


def _noting(ask: Any, given: list[int]) -> Any:
    def note(command: SubmitJob) -> Any:
        given.append(command.attempts)
        return ask(command)

    return note


def test_the_answer_is_known_though_the_history_keeps_no_job(archive_factory: Any) -> None:
    core = archive_factory(jobs=SchedulerSettings(history_size=0))
    with working(core) as stage:
        assert json.loads(stage.post({}).body) == {"Description": "REST API", "Steps": 3}
