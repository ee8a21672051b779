"""Two jobs on one study at once, or a deletion beside one: two clean results, or one clear refusal."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread

from actors.messages.commands.instances import ALWAYS
from actors.services.jobs.operations.modification_plan import ModificationPlan
from actors.services.jobs.operations.resource_modification import ResourceModification
from events.errors import NotFound
from events.identifiers import Level, ResourceId
from store.dicom.change.edit import Changed
from store.records import Instance, Origin
from store.views.metadata import sources_of
from tests.contract.modification_stage import Stage, cut_off, plan_of
from tests.contract.operations_stage import Engine, working
from tests.contract.retrieve_stage import fill
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.examples import FACTOR
from tools.server.core import Core

INSTANCES = 4
PER_STEP = 2
OWN = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
GONE = "An instance is not there any more"


@pytest.fixture
def engine(archive: Core) -> Iterator[Engine]:
    with working(archive) as made:
        yield made


def store(engine: Engine, study: int) -> ResourceId:
    """Store a study of a patient of its own; returns its identifier."""
    fill(engine.core, *(encode(add_pixels(dataset(study, 1, 1, number))) for number in range(1, INSTANCES + 1)))
    with engine.core.views.snapshot() as s:
        return list(s.list_ids(Level.STUDY))[-1]


def both_plans(engine: Engine, study: ResourceId) -> tuple[ModificationPlan, ModificationPlan]:
    """An anonymisation that removes its source, and a modification in its place."""
    removing = plan_of(engine, study=study, keeps_source=False, per_step=PER_STEP)
    body = {"Keep": OWN, "Replace": {"StationName": "CHANGED"}}
    return removing, plan_of(engine, body, study=study, modifies=True, per_step=PER_STEP)


def attempt(steps: Iterator[int], errors: list[str]) -> None:
    """Do the next step, or note why it could not be done; anything but a clear word that the instance has gone is a fault."""
    try:
        next(steps, None)
    except NotFound as exc:
        errors.append(str(exc))


def _steps(operation: ResourceModification, plan: ModificationPlan) -> Iterator[int]:
    """Do a step each time that one is asked for, and give its code; no more after one that fails."""
    for step in range(plan.steps):
        yield operation.run_step(step, lambda: None)


def check(engine: Engine, errors: tuple[list[str], list[str]]) -> None:
    """What is there is whole, and as much of it as those who did not say otherwise have promised; then it goes."""
    with engine.core.views.snapshot() as s:
        records = [record for record in s.list(Level.INSTANCE) if isinstance(record, Instance)]
        made = {record.id: sources_of(s, record.ref) for record in records}
    files = {record.id: dcmread(BytesIO(engine.core.blobs.read_instance(record))) for record in records}
    for file in files.values():
        assert len(file.PixelData) == 2 * file.Rows * file.Columns
    anonymous = [files[each] for each, told in made.items() if "AnonymizedFrom" in told]
    others = [files[each] for each, told in made.items() if "AnonymizedFrom" not in told]
    assert all(set(each) <= {GONE} for each in errors)
    assert not (errors[0] and errors[1])
    if not errors[0]:
        assert len(anonymous) == INSTANCES
        assert len({file.StudyInstanceUID for file in anonymous}) == 1
        assert all(_is_changed(file) for file in others)
    if not errors[1]:
        assert [_is_changed(file) for file in others] == [True] * INSTANCES
    for patient in _patients(engine):
        engine.core.client.delete(Level.PATIENT, patient)


def _is_changed(file: Dataset) -> bool:
    return bool(file.get("StationName") == "CHANGED")


def _patients(engine: Engine) -> list[ResourceId]:
    with engine.core.views.snapshot() as s:
        return list(s.list_ids(Level.PATIENT))


def test_in_whatever_order_two_jobs_take_their_steps_each_has_a_clean_end(engine: Engine) -> None:
    """Every way, or each second, to do the three steps of the one between those of the other."""
    orders = list(itertools.combinations(range(6), 3))[:: 1 if FACTOR > 1 else 2]
    refused = 0
    for study, places in enumerate(orders):
        identifier = store(engine, study)
        errors: tuple[list[str], list[str]] = ([], [])
        with cut_off(engine, ALWAYS, threads=1) as stage, ExitStack() as stack:
            steps = [
                _steps(stack.enter_context(stage.operation(plan, run=1, position=0)), plan)
                for plan in both_plans(engine, identifier)
            ]
            for turn in range(6):
                who = 0 if turn in places else 1
                attempt(steps[who], errors[who])
        refused += bool(errors[0] or errors[1])
        check(engine, errors)
    assert 0 < refused < len(orders)  # some orders leave the second nothing to do, and some let both end


def test_two_jobs_that_run_at_the_same_time_have_clean_ends(engine: Engine) -> None:
    for study in range(5):
        identifier = store(engine, study)
        errors: tuple[list[str], list[str]] = ([], [])
        ready = threading.Barrier(2)
        plans = both_plans(engine, identifier)
        with cut_off(engine, ALWAYS) as stage, ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(_run, stage, plan, ready, each) for plan, each in zip(plans, errors, strict=True)]
            for run in runs:
                run.result()
        check(engine, errors)


def _run(stage: Stage, plan: ModificationPlan, ready: threading.Barrier, errors: list[str]) -> None:
    with stage.operation(plan, run=1, position=0) as operation:
        steps = _steps(operation, plan)
        ready.wait(60)
        for _ in range(plan.steps):
            attempt(steps, errors)


def test_a_file_that_is_replaced_at_that_moment_is_read_anew(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance has been looked up, and before its file is opened another takes its place."""
    study = store(engine, 1)
    plan = plan_of(engine, study=study, per_step=PER_STEP)
    replaced: list[Instance] = []
    edit = ResourceModification._edit
    with cut_off(engine, ALWAYS, threads=1) as stage, stage.operation(plan, run=1, position=0) as operation:

        def late(modification: ResourceModification, record: Instance) -> Changed:
            if not replaced:
                replaced.append(record)
                newer = add_pixels(dataset(1, 1, 1, 1, ImageType="NEWER"))
                with stage.ingest.open(Origin("RestApi")) as upload:
                    upload.write(encode(newer))
                    assert upload.store().status == "Success"
                engine.core.blobs.path(record.blob).unlink(missing_ok=True)
            return edit(modification, record)

        monkeypatch.setattr(ResourceModification, "_edit", late)
        assert list(_steps(operation, plan)) == [0, 0, 0]
    with engine.core.views.snapshot() as s:
        made = [each for each in s.list(Level.INSTANCE) if isinstance(each, Instance) and sources_of(s, each.ref)]
    kinds = [dcmread(BytesIO(engine.core.blobs.read_instance(each))).get("ImageType") for each in made]
    assert sorted(map(str, kinds)) == ["NEWER", "None", "None", "None"]


@pytest.mark.parametrize("moment", [0, 1, 2])
@pytest.mark.parametrize("permissive", [False, True])
def test_a_study_that_is_deleted_beside_its_anonymisation_is_gone_and_that_is_said(
    engine: Engine, moment: int, permissive: bool
) -> None:
    """What has been made before stays, and nothing else comes; a permissive job counts what it could not do."""
    study = store(engine, 1)
    plan = replace(plan_of(engine, study=study, keeps_source=False, per_step=PER_STEP), permissive=permissive)
    errors: list[str] = []
    codes = []
    with cut_off(engine, threads=1) as stage, stage.operation(plan, run=1, position=0) as operation:
        for step in range(plan.steps):
            if step == moment:
                engine.core.client.delete(Level.STUDY, study)
            try:
                codes.append(operation.run_step(step, lambda: None))
            except NotFound as exc:
                errors.append(str(exc))
                break
    with engine.core.views.snapshot() as s:
        left = [sources_of(s, ref) for ref in s.list_refs(Level.INSTANCE)]
    assert all("AnonymizedFrom" in told for told in left)
    if moment == 2:  # all was changed
        assert (errors, codes, len(left)) == ([], [0, 0, 0], INSTANCES)
    elif permissive:
        assert errors == []
        assert set(codes) == {0, 17}
    else:
        assert errors == [GONE]
