"""Files that an operation makes: the job's when they are durable, and nothing of them left if anything goes wrong."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import pytest

from actors.messages.job_states import Word
from actors.messages.job_types import JOB_TYPES, JobType
from actors.services.jobs import outputs
from actors.services.jobs.operation import Task, Workbench
from actors.services.jobs.operations import find_operation
from actors.services.jobs.outputs import new_output
from events.errors import StorageFull
from store.projections.job_rows import JobState
from tests.contract.operations_stage import Ended, Engine, working
from tests.contract.rest_stage import RestStage, rest_stage
from tools.server.core import Core

Make = Callable[[Task, Workbench, int], None]
REPORT = JobType(name="Report", operation="nowhere.Report", outputs=frozenset({"report"}))


class Report:
    """A toy: each step does what the test says."""

    def __init__(self, task: Task, bench: Workbench, make: Make) -> None:
        self._task, self._bench, self._make = task, bench, make

    def run_step(self, step: int, settle: Callable[[], None]) -> int:
        settle()
        self._make(self._task, self._bench, step)
        return 0

    def result(self) -> dict[str, Any]:
        return {"Pages": 3}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Stage:
    def __init__(self, engine: Engine, rest: RestStage, archive: Core) -> None:
        self.engine, self.rest, self.archive = engine, rest, archive
        self.make: Make = lambda _task, _bench, _step: None

    def run(self, steps: int = 1) -> Ended:
        return self.engine.run("Report", {"description": "a toy"}, steps)

    def shown(self, path: str) -> Any:
        return json.loads(self.rest.ask(path).body)

    def files(self) -> list[bytes]:
        """What lies in blob folders, but for files that are kept ready."""
        found = (path.read_bytes() for path in self.archive.blobs.folder(1).parent.rglob("*") if path.is_file())
        return [data for data in found if data]


@pytest.fixture
def stage(archive: Core, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(outputs, "JOB_TYPES", {"Report": REPORT})
    stages: list[Stage] = []
    find = {"Report": lambda task, bench: Report(task, bench, stages[0].make)}.get
    with ExitStack() as stack:
        engine = stack.enter_context(working(archive, find=find))
        stages.append(Stage(engine, stack.enter_context(rest_stage(archive)), archive))
        yield stages[0]


def write(task: Task, bench: Workbench, step: int) -> None:
    with new_output(task, bench, "report", media_type="text/plain", filename="report.txt") as file:
        file.write(b"of step ")
        file.write(b"%d" % step)


def test_a_file_that_an_operation_makes_is_fetched(stage: Stage) -> None:
    stage.make = write
    assert stage.run() == Ended(JobState.Success, 0, "", 0, {"Pages": 3})
    assert stage.files() == [b"of step 0"]
    (name,) = stage.shown("/jobs")
    answer = stage.rest.ask(f"/jobs/{name}/report")
    assert (answer.status, answer.body) == (200, b"of step 0")
    assert answer.headers["Content-Type"] == "text/plain"
    assert 'filename="report.txt"' in answer.headers["Content-Disposition"]
    assert stage.shown(f"/jobs/{name}")["Content"] == {"Description": "a toy", "Pages": 3}


def test_a_file_made_again_takes_the_place_of_the_first(stage: Stage) -> None:
    stage.make = write
    assert stage.run(steps=2).state is JobState.Success
    (name,) = stage.shown("/jobs")
    assert stage.rest.ask(f"/jobs/{name}/report").body == b"of step 1"


def test_what_breaks_off_leaves_no_file(stage: Stage) -> None:
    def make(task: Task, bench: Workbench, _step: int) -> None:
        with new_output(task, bench, "report", media_type="text/plain") as file:
            file.write(b"half of it")
            raise StorageFull("the disk is full")

    stage.make = make
    assert stage.run() == Ended(JobState.Failure, 19, "the disk is full", 0, {})
    assert stage.files() == []
    (name,) = stage.shown("/jobs")
    assert stage.rest.ask(f"/jobs/{name}/report").status == 404


def test_a_job_that_is_cancelled_meanwhile_gets_no_file(stage: Stage) -> None:
    def make(task: Task, bench: Workbench, _step: int) -> None:
        with new_output(task, bench, "report", media_type="text/plain") as file:
            file.write(b"nobody wants it")
            assert stage.engine.jobs.control(task.id, Word.CANCEL)

    stage.make = make
    assert stage.run().state is JobState.Failure
    stage.make = lambda _task, _bench, _step: None
    assert stage.run().state is JobState.Success  # the slot is free again, so the first run has come to its end
    assert stage.files() == []


def test_a_key_that_the_row_does_not_name_is_a_defect(stage: Stage) -> None:
    def make(task: Task, bench: Workbench, _step: int) -> None:
        with new_output(task, bench, "other", media_type="text/plain"):
            pass

    stage.make = make
    assert stage.run() == Ended(JobState.Failure, -1, "Internal error", 0, {})


def test_each_row_names_an_operation_that_is_there() -> None:
    assert all(callable(find_operation(name)) for name in JOB_TYPES)
    assert find_operation("of a later release") is None


def test_no_output_has_the_name_of_an_action() -> None:
    """GET and POST of `/jobs/{id}/cancel` are an action's."""
    assert not {word.value for word in Word} & {key for row in JOB_TYPES.values() for key in row.outputs}
