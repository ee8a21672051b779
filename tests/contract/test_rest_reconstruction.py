"""`/…/reconstruct` with the engine behind it: what is read, what is kept, what damaged files and a crash do to it.

That the results are Orthanc's is shown in `tests/peer/test_reconstruction.py`.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from actors.messages.commands.server import ChooseMainTags
from actors.messages.job_types import RECONSTRUCT
from actors.services.ingest.settings import IngestSettings
from actors.services.jobs.operation import Factory, Operation, RunOver, Task, Workbench
from actors.services.jobs.operations import reconstruct_plan
from actors.services.jobs.operations.reconstruct import Reconstruct
from actors.services.jobs.operations.reconstruct_plan import plan_everything, to_plan
from events.identifiers import Level, format_resource_id
from store.dicom.indexed_tags import with_extra
from store.records import Instance
from store.views.feed import get_events
from store.views.find import Finder
from store.views.jobs import find_job
from store.views.query import Query
from tests.contract.operations_stage import Engine, working
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.contract.retrieve_stage import fill
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

DIAGNOSIS, THICKNESS = 0x00081080, 0x00180050
EXTRA = {Level.STUDY: (DIAGNOSIS,), Level.INSTANCE: (THICKNESS,)}
SETTINGS = IngestSettings(sync=False, extra_main_tags=EXTRA)
PARTS = 4  # of three instances each


def image(number: int) -> bytes:
    """One of twelve, in two studies of two series."""
    study, series = number % 2 + 1, number % 4 // 2 + 1
    return encode(
        dataset(1, study, series, number, SliceThickness=str(number), AdmittingDiagnosesDescription=f"d{number}")
    )


@pytest.fixture
def filled(archive: Core, monkeypatch: pytest.MonkeyPatch) -> Core:
    """Twelve instances that came before the extra tags were configured."""
    monkeypatch.setattr(reconstruct_plan, "PART_INSTANCES", 3)
    monkeypatch.setattr("actors.services.jobs.operations.reconstruct.PART_INSTANCES", 3)
    fill(archive, *map(image, range(1, 13)))
    tags = {int(level): list(tags) for level, tags in with_extra(EXTRA).items()}
    archive.index.ask(ChooseMainTags(tags=tags))  # as a start does
    return archive


@pytest.fixture
def stage(filled: Core) -> Iterator[RestStage]:
    with working(filled, settings=SETTINGS), rest_stage(filled) as made:
        yield made


def shown(stage: RestStage, path: str) -> Any:
    answer = stage.ask(path)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def reconstruct(stage: RestStage, path: str, **options: Any) -> Answer:
    return stage.ask(f"{path}/reconstruct", "POST", json.dumps(options).encode() if options else b"")


def thicknesses(stage: RestStage) -> list[str | None]:
    return sorted((each["MainDicomTags"].get("SliceThickness") for each in shown(stage, "/instances?expand")), key=str)


def instances(archive: Core) -> list[Instance]:
    with archive.views.snapshot() as s:
        return [record for record in s.list(Level.INSTANCE) if isinstance(record, Instance)]


ALL = sorted(str(number) for number in range(1, 13))


def test_everything_is_read_again_and_the_answer_comes_when_it_is(stage: RestStage) -> None:
    assert thicknesses(stage) == [None] * 12
    answer = reconstruct(stage, "/tools")
    assert (answer.status, answer.body) == (200, b"")
    assert thicknesses(stage) == ALL
    told = {each["MainDicomTags"]["AdmittingDiagnosesDescription"] for each in shown(stage, "/studies?expand")}
    assert len(told) == 2


def test_what_belongs_to_resources_stays(stage: RestStage) -> None:
    paths = {
        level: f"/{level}/{shown(stage, f'/{level}')[0]}" for level in ("patients", "studies", "series", "instances")
    }
    for path in paths.values():
        assert stage.ask(f"{path}/metadata/1024", "PUT", b"note").status == 200
        assert stage.ask(f"{path}/labels/kept", "PUT").status == 200
    parts = "?response-content=Metadata;Labels;IsStable;Status;Children"

    def state() -> list[Any]:
        listed = [shown(stage, f"/{level}{parts}") for level in paths]
        for each in (each for level in listed for each in level):
            del each["Metadata"]["MainDicomTagsSignature"]
        return [listed, shown(stage, "/changes?limit=100"), shown(stage, "/statistics")]

    before = state()
    assert reconstruct(stage, "/tools").status == 200
    assert state() == before


def test_a_second_time_nothing_is_left_to_say(stage: RestStage, filled: Core) -> None:
    reconstruct(stage, "/tools")
    before = _tags_of_log(filled)
    reconstruct(stage, "/tools")
    assert {tag for tag in _tags_of_log(filled)[len(before) :] if not tag.startswith("job-")} == set()


def _tags_of_log(archive: Core) -> list[str]:
    with archive.views.snapshot() as s:
        return [entry.tag for entry in get_events(s, limit=10_000)]


def test_a_client_that_does_not_wait_is_told_of_the_job(stage: RestStage, filled: Core) -> None:
    answer = reconstruct(stage, f"/studies/{shown(stage, '/studies')[0]}", Asynchronous=True)
    job = json.loads(answer.body)["ID"]
    assert shown(stage, f"/jobs/{job}")["Type"] == RECONSTRUCT.name
    with filled.views.snapshot() as s:
        found = find_job(s, bytes.fromhex(job.replace("-", "")))
    assert found is not None
    stage.deps.jobs.wait(found.ref)
    assert shown(stage, f"/jobs/{job}")["State"] == "Success"
    assert thicknesses(stage).count(None) == 6


@pytest.mark.parametrize("harm", ["missing", "cut", "no DICOM"])
def test_files_that_cannot_be_read_are_named_and_do_not_end_it(stage: RestStage, filled: Core, harm: str) -> None:
    harmed = sorted(instances(filled), key=lambda record: record.id)[-2:]  # those that would tell what lies above
    for record in harmed:
        path = filled.blobs.path(record.blob)
        match harm:
            case "missing":
                path.unlink()
            case "cut":
                path.write_bytes(path.read_bytes()[:-2])
            case _:
                path.write_bytes(bytes(record.size_bytes))
    answer = reconstruct(stage, "/tools")
    assert answer.status == 500
    error = json.loads(answer.body)
    assert error["OrthancStatus"] == 20
    assert error["Details"].startswith("2 files could not be read, all others were: ")
    assert all(format_resource_id(record.id) in error["Details"] for record in harmed)
    assert thicknesses(stage).count(None) == 2
    told = [each["MainDicomTags"].get("AdmittingDiagnosesDescription") for each in shown(stage, "/studies?expand")]
    assert None not in told


def test_a_resource_whose_only_file_is_gone_is_named(stage: RestStage, filled: Core) -> None:
    record = instances(filled)[0]
    filled.blobs.path(record.blob).unlink()
    for options in ({}, {"LimitToThisLevelMainDicomTags": True}):
        answer = reconstruct(stage, f"/instances/{format_resource_id(record.id)}", **options)
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (500, 20)


def test_queries_tell_the_truth_of_all_while_only_some_are_read(filled: Core) -> None:
    finder = Finder(filled.views, filled.blobs)
    seen: list[list[str]] = []

    def look() -> None:
        query = Query(level=Level.INSTANCE, keys={}, wanted=(THICKNESS,))
        seen.append(sorted(str(each.get(THICKNESS)) for batch in finder.find(query) for each in batch))

    with working(filled, settings=SETTINGS, find=_watched(look)) as engine:
        assert run(engine) == "Success"
    assert len(seen) == PARTS + 1
    assert all(found == ALL for found in seen)


def run(engine: Engine) -> str:
    plan = plan_everything(engine.core.views)
    assert plan.steps == PARTS + 1
    return engine.run(RECONSTRUCT.name, to_plan(plan), plan.steps).state.name


def _watched(look: Callable[[], None]) -> Callable[[str], Factory | None]:
    """The operation, with a look before each of its steps."""

    def find(job_type: str) -> Factory | None:
        def make(task: Task, bench: Workbench) -> Operation:
            class Watched(Reconstruct):
                def run_step(self, step: int, settle: Callable[[], None]) -> int:
                    look()
                    return super().run_step(step, settle)

            return Watched(task, bench)

        return make if job_type == RECONSTRUCT.name else None

    return find


def test_what_is_deleted_meanwhile_is_no_error(filled: Core) -> None:
    left = iter(instances(filled)[::-2])

    def delete() -> None:
        for record in (next(left, None), next(left, None)):
            if record is not None:
                filled.client.delete(Level.INSTANCE, record.id)

    with working(filled, settings=SETTINGS, find=_watched(delete)) as engine:
        assert run(engine) == "Success"
    assert {record.tags[THICKNESS] for record in instances(filled)} == {"1", "3", "5", "7", "9", "11"}


def test_it_goes_on_behind_the_last_step_that_is_recorded(filled: Core) -> None:
    """A run that ends during the third step leaves two; the next does the rest, and nothing is told twice."""
    steps: list[int] = []

    def end_third() -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            raise RunOver

    with working(filled, settings=SETTINGS, find=_watched(end_third)) as engine:
        assert run(engine) == "Success"
    assert len(steps) == PARTS + 2
    assert sum(THICKNESS in record.tags for record in instances(filled)) == 12
    assert _tags_of_log(filled).count("instance-reconstructed/1") == 12


def test_a_body_holds_options_or_is_of_no_account(stage: RestStage) -> None:
    path = f"/series/{shown(stage, '/series')[0]}/reconstruct"
    for body in (b"no JSON", b"null", b"{}"):
        assert stage.ask(path, "POST", body).status == 200
    for body in (b"[]", b'{"ReconstructFiles": "yes"}', b'{"LimitToThisLevelMainDicomTags": 1}'):
        answer = stage.ask(path, "POST", body)
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (400, 15)
    for name in ("nope", "0" * 8 + "-00000000" * 4):
        answer = stage.ask(f"/studies/{name}/reconstruct", "POST")
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (404, 17)


def test_with_read_only_there_are_no_such_routes(archive: Core) -> None:
    with rest_stage(archive, read_only=True) as stage:
        assert stage.ask("/tools/reconstruct", "POST").status == 404
        assert "reconstruct" not in shown(stage, "/tools")
