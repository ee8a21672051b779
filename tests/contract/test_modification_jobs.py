"""Jobs that change stored instances: what is kept, what goes, and what a run that was cut off leaves to the next."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread

from actors.messages.commands.instances import ALWAYS
from actors.messages.commands.labels import AddLabel
from actors.services.jobs.operations.modification_plan import ModificationPlan, to_plan
from events.identifiers import Level, ResourceId, format_resource_id
from store.dicom.tags import PATIENT_NAME, STUDY_DESCRIPTION
from store.projections.job_rows import JobState
from store.records import Instance, Resource
from store.views.feed import get_events
from store.views.labels import labels_of
from store.views.metadata import sources_of
from tests.contract.modification_stage import NAME, PER_STEP, cut_off, plan_of, sources
from tests.contract.operations_stage import Ended, Engine, working
from tests.contract.retrieve_stage import fill
from tests.dicom_bytes import add_pixels, dataset, encode
from tools.server.core import Core

INSTANCES = 40


@pytest.fixture
def engine(archive: Core) -> Iterator[Engine]:
    with working(archive) as made:
        files = (add_pixels(dataset(1, 1, 1, n, FrameOfReferenceUID="1.2.9")) for n in range(1, INSTANCES + 1))
        fill(archive, *map(encode, files))
        yield made


def submit(engine: Engine, *plans: ModificationPlan) -> list[Ended]:
    """Have jobs done side by side, and wait for all."""
    refs = [engine.jobs.submit(NAME, to_plan(plan), steps=plan.steps, attempts=1)[0] for plan in plans]
    for ref in refs:
        engine.jobs.wait(ref)
    return [engine.ended(ref) for ref in refs]


def test_each_instance_becomes_another_that_names_its_source(engine: Engine) -> None:
    before = sorted(map(format_resource_id, engine.instances()))
    (ended,) = submit(engine, plan_of(engine))
    assert (ended.state, ended.failed) == (JobState.Success, 0)
    assert sorted(sources(engine).values()) == before
    assert len(engine.instances()) == 2 * INSTANCES


def test_the_log_shows_nobody_from_what_new_uids_are_drawn(engine: Engine) -> None:
    """Who knew it could find the patient of each anonymised file."""
    plan = plan_of(engine)
    submit(engine, plan)
    with engine.core.views.snapshot() as s:
        told = [entry.personal for entry in get_events(s, limit=1_000) if entry.tag == "job-submitted/1"]
    assert [entry["plan"]["secret"] for entry in told if entry] == ["hidden"]


def test_sources_go_when_all_is_stored_but_not_what_has_come_since(engine: Engine) -> None:
    """Two instances come to the study after the request has listed what it is about."""
    plan = plan_of(engine, modifies=True, keeps_source=False)
    late = [encode(dataset(1, 1, 1, number)) for number in (100, 101)]
    old = set(engine.instances())
    with cut_off(engine) as stage:
        operation = stage.operation(plan, run=1, position=0)
        with operation:
            for step in range(plan.steps - 1):
                operation.run_step(step, lambda: None)
            assert old <= set(engine.instances())
            fill(engine.core, *late)
            operation.run_step(plan.steps - 1, lambda: None)
    left = set(engine.instances())
    assert not old & left
    assert len(left) == INSTANCES + len(late)


def test_a_damaged_file_ends_the_job_before_any_source_goes(engine: Engine) -> None:
    with engine.core.views.snapshot() as s:
        broken = next(record for record in s.list(Level.INSTANCE) if isinstance(record, Instance))
    engine.core.blobs.path(broken.blob).write_bytes(b"no DICOM" * 100)
    plan = plan_of(engine, modifies=True, keeps_source=False, permissive=True, per_step=1)
    (ended,) = submit(engine, plan)
    assert (ended.state, ended.code) == (JobState.Failure, 20)
    assert set(plan.instances) <= set(engine.instances())


def test_what_a_permissive_job_passes_over_keeps_its_source(engine: Engine) -> None:
    """An instance is deleted, and another takes a value that is none: neither stops the others."""
    plan = plan_of(engine, modifies=True, keeps_source=False, permissive=True, per_step=1)
    gone = plan.instances[3]
    engine.core.client.delete(Level.INSTANCE, gone)
    (ended,) = submit(engine, plan)
    assert (ended.state, ended.failed) == (JobState.Success, 1)
    assert not set(engine.instances()) & set(plan.instances)
    assert len(engine.instances()) == INSTANCES - 1
    worthless = plan_of(
        engine, {"Replace": {"Rows": "x"}}, modifies=True, keeps_source=False, permissive=True, per_step=1
    )
    (ended,) = submit(engine, worthless)
    assert (ended.state, ended.failed, ended.result) == (JobState.Success, INSTANCES - 1, {})
    assert set(engine.instances()) == set(worthless.instances)


def test_an_instance_whose_place_another_has_taken_keeps_its_source(engine: Engine) -> None:
    """All get one SOPInstanceUID, so one of them is stored: the sources of the others must stay."""
    plan = plan_of(engine, {"Replace": {"SOPInstanceUID": "1.2.3"}}, modifies=True, keeps_source=False)
    (ended,) = submit(engine, plan)
    assert ended.state is JobState.Success
    assert len(set(engine.instances()) & set(plan.instances)) == INSTANCES - 1
    assert len(sources(engine)) == 1


def test_a_run_that_goes_on_makes_nothing_again(engine: Engine) -> None:
    """The first run is cut off before its checkpoint is recorded; the second stores what is missing, and nothing twice."""
    plan = plan_of(engine)
    with cut_off(engine) as stage:
        with stage.operation(plan, run=1, position=0) as first:
            first.run_step(0, lambda: None)
        stored = sources(engine)
        assert PER_STEP <= len(stored) < INSTANCES
        with stage.operation(plan, run=2, position=0) as second:
            for step in range(plan.steps):
                second.run_step(step, lambda: None)
            result = second.result()
        assert stage.stored == INSTANCES
    assert stored.items() < sources(engine).items()
    assert len(sources(engine)) == INSTANCES
    with engine.core.views.snapshot() as s:
        made = [record.id for record in s.list(Level.STUDY) if sources_of(s, record.ref)]
    assert [result["ID"]] == list(map(format_resource_id, made))


@pytest.mark.parametrize(
    "body", [{}, {"Keep": ["SOPInstanceUID"]}], ids=["found by its identifier", "found by its file"]
)
def test_a_run_that_goes_on_knows_what_came_of_the_steps_before(engine: Engine, body: dict[str, Any]) -> None:
    plan = plan_of(engine, body, level=None)
    with cut_off(engine) as stage:
        with stage.operation(plan, run=1, position=0) as first:
            first.run_step(0, lambda: None)
        with stage.operation(plan, run=2, position=1) as second:
            for step in range(1, plan.steps):
                second.run_step(step, lambda: None)
            listed = second.result()["Resources"]
    assert {each["ID"] for each in listed if each["Type"] == "Instance"} == set(
        map(format_resource_id, sources(engine))
    )
    assert [each["Type"] for each in listed[INSTANCES:]] == ["Series", "Study", "Patient"]


@pytest.mark.parametrize("body", [{}, {"Keep": ["SOPInstanceUID"]}], ids=json.dumps)
def test_a_run_that_goes_on_when_the_sources_have_gone_tells_what_was_made(
    engine: Engine, body: dict[str, Any]
) -> None:
    """The first run is cut off between the removal of the sources and the record of its end."""
    plan = plan_of(engine, body, keeps_source=False)
    with cut_off(engine) as stage:
        with stage.operation(plan, run=1, position=0) as first:
            for step in range(plan.steps):
                first.run_step(step, lambda: None)
            expected = first.result()
        assert set(engine.instances()) == set(sources(engine))
        with stage.operation(plan, run=2, position=plan.steps - 1) as second:
            second.run_step(plan.steps - 1, lambda: None)
            assert second.result() == expected
        assert stage.stored == INSTANCES
    assert expected["Type"] == "Study"


def test_a_run_that_goes_on_does_not_change_again_what_was_changed_in_its_place(engine: Engine) -> None:
    """Changed once more, an instance would be of another frame of reference than those beside it."""
    own = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"]
    plan = plan_of(engine, {"Keep": own, "Replace": {"PatientName": "Nobody"}})
    before = _frames(engine)
    with cut_off(engine, ALWAYS) as stage:
        with stage.operation(plan, run=1, position=0) as first:
            first.run_step(0, lambda: None)
        with stage.operation(plan, run=2, position=0) as second:
            for step in range(plan.steps):
                second.run_step(step, lambda: None)
        assert stage.stored == INSTANCES
    after = _frames(engine)
    assert after.keys() == before.keys() == set(plan.instances)
    assert len({*after.values(), *before.values()}) == 2
    with engine.core.views.snapshot() as s:
        assert [record.tags[PATIENT_NAME] for record in s.list(Level.PATIENT)] == ["Nobody"]


def test_what_stays_takes_over_what_changed_instances_tell(engine: Engine) -> None:
    body = {"Replace": {"PatientName": "New", "StudyDescription": "Other"}, "Keep": ["StudyInstanceUID"]}
    submit(engine, plan_of(engine, body, modifies=True))
    with engine.core.views.snapshot() as s:
        (patient,), (study,) = s.list(Level.PATIENT), s.list(Level.STUDY)
        assert isinstance(study, Resource)
        assert patient.tags[PATIENT_NAME] == study.patient_tags[PATIENT_NAME] == "New"
        assert study.tags[STUDY_DESCRIPTION] == "Other"


def test_two_jobs_on_one_study_make_two_clean_results(engine: Engine) -> None:
    before = engine.instances()
    ended = submit(engine, plan_of(engine), plan_of(engine))
    assert [each.state for each in ended] == [JobState.Success] * 2
    assert sorted(sources(engine).values()) == sorted([format_resource_id(each) for each in before] * 2)


def test_of_two_jobs_that_remove_their_source_one_is_refused_clearly(engine: Engine) -> None:
    ended = submit(engine, plan_of(engine, keeps_source=False), plan_of(engine, keeps_source=False))
    assert [each.state for each in ended] == [JobState.Success, JobState.Failure]
    assert (ended[1].code, ended[1].details) == (17, "An instance is not there any more")
    assert len(engine.instances()) == len(sources(engine)) == INSTANCES


def test_labels_are_kept_where_that_is_asked_for(engine: Engine) -> None:
    with engine.core.views.snapshot() as s:
        ids = {level: next(iter(s.list(level))).id for level in Level}
    for level, identifier in ids.items():
        label = AddLabel(level=level, id=identifier, label=level.name, remote_ip="", username="", correlation=b"")
        engine.core.client.change_label(label)
    plan = plan_of(engine)
    assert [each.state for each in submit(engine, replace(plan, keeps_labels=True), plan_of(engine))] == [
        JobState.Success
    ] * 2
    with engine.core.views.snapshot() as s:
        for level in Level:
            labelled = [labels_of(s, record.ref) for record in s.list(level) if sources_of(s, record.ref)]
            assert [labels for labels in labelled if labels] == [[level.name]]


def _frames(engine: Engine) -> dict[ResourceId, str]:
    """By instance: the frame of reference that its file tells."""
    with engine.core.views.snapshot() as s:
        records = [record for record in s.list(Level.INSTANCE) if isinstance(record, Instance)]
    files = {record.id: dcmread(BytesIO(engine.core.blobs.read_instance(record))) for record in records}
    return {resource: file.FrameOfReferenceUID for resource, file in files.items()}
