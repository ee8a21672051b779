"""What a SequenceOfOperations puts off, tries again and gives up. Time leaps, so that no retry is waited for."""

from dataclasses import dataclass

import pytest

from actors.messages.job_states import Word
from actors.services.lua.chain import JOB_TYPE, CallSystem, Delete, Operation, SendToModality, plan
from actors.services.remote.modality import Modality
from events.identifiers import Level, Ref, format_resource_id
from store.projections.job_rows import JobState
from store.views.jobs import get_job, list_failures, list_job_events
from tests.clock import Clock
from tests.contract.destination import destination
from tests.contract.operations_stage import SUCCESS, Engine, modality, working
from tests.contract.retrieve_stage import fill, study
from tests.dicom_bytes import uid
from tools.server.core import Core

NOWHERE = modality(1, "nowhere")  # a port that nobody listens on
REFUSED = 0xC000
BUSY = 0xA700


@dataclass(slots=True)
class LeapingClock(Clock):
    """A minute passes between any two looks at it."""

    def __call__(self) -> int:
        self.advance(60)
        return self.now_us


@pytest.fixture
def clock() -> Clock:
    return LeapingClock()


def ids(engine: Engine) -> list[str]:
    with engine.core.views.snapshot() as snapshot:
        return [format_resource_id(resource) for resource in snapshot.list_ids(Level.INSTANCE)]


def send(resource: str, to: Modality | None = None) -> Operation:
    return SendToModality(resource=resource, modality="there" if to is None else to.name)


def run(engine: Engine, *operations: Operation, attempts: int = 4) -> Ref:
    ref, _ = engine.jobs.submit(JOB_TYPE, plan(list(operations)), steps=len(operations) + 1, attempts=attempts)
    engine.jobs.wait(ref)
    return ref


def runs(engine: Engine, ref: Ref) -> int:
    with engine.core.views.snapshot() as snapshot:
        job = get_job(snapshot, ref)
        assert job is not None
        events = list_job_events(snapshot, job, limit=1000).events
    return sum(entry.tag == "job-started/1" for entry in events)


def failures(engine: Engine, ref: Ref) -> dict[int, int]:
    with engine.core.views.snapshot() as snapshot:
        return dict(list_failures(snapshot, ref))


def test_what_a_busy_destination_did_not_take_is_sent_later_and_only_then_deleted(archive: Core) -> None:
    fill(archive, *study(instances=3))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        there.on_store = lambda _event, number: BUSY if number < 2 else 0
        first, second, third = ids(engine)
        ref = run(engine, send(first), Delete(resource=first), send(second), Delete(resource=second), send(third))
        assert engine.ended(ref).state is JobState.Success
        assert ids(engine) == [third]
        assert runs(engine, ref) == 2
        assert failures(engine, ref) == {0: -9, 1: -9, 2: -9, 3: -9}
    numbers = [3, 2, 1, 3, 2]  # the first two again, once the third has arrived
    assert there.instances == [uid(1, 1, 1, number) for number in numbers]


def test_a_destination_that_stays_away_is_given_up_and_nothing_else_suffers(archive: Core) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port), NOWHERE]) as engine:
        there.on_store = lambda _event, number: BUSY if number < 1 else 0
        first, second = ids(engine)
        ref = run(
            engine, send(first, NOWHERE), Delete(resource=first), send(second), Delete(resource=second), attempts=3
        )
        ended = engine.ended(ref)
        assert (ended.state, ended.code) == (JobState.Failure, 9)
        assert ended.details.startswith("2 of 4 operations are not done; number 1, store-scu: ")
        assert runs(engine, ref) == 3
        assert ids(engine) == [first]
    assert set(there.instances) == {uid(1, 1, 1, 1)}


def test_what_will_not_pass_is_not_tried_again(archive: Core) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        there.on_store = lambda _event, number: REFUSED if number < 1 else 0
        first, second = ids(engine)
        ref = run(engine, send(first), Delete(resource=first), send(second), Delete(resource=second))
        assert (engine.ended(ref).state, runs(engine, ref)) == (JobState.Failure, 1)
        assert failures(engine, ref) == {0: 9, 1: 9}
        assert ids(engine) == [first]
    assert len(there.sent) == 2


def test_what_is_done_is_not_done_again_with_what_was_put_off(archive: Core) -> None:
    fill(archive, *study())
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        there.on_store = lambda _event, number: BUSY if number < 2 else 0
        (name,) = ids(engine)
        command = CallSystem(resource=name, command="false", command_arguments=[])
        ref = run(engine, send(name), send(name), command)
        assert (
            engine.ended(ref).details == "1 of 3 operations are not done; number 3, call-system: failed with error 10"
        )
        assert failures(engine, ref) == {0: -9, 1: -9, 2: 10}
    assert len(there.sent) == 4


def test_a_resubmitted_job_begins_anew(archive: Core) -> None:
    fill(archive, *study())
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        there.on_store = lambda _event, number: REFUSED if number < 1 else 0
        (name,) = ids(engine)
        ref, job = engine.jobs.submit(JOB_TYPE, plan([send(name), Delete(resource=name)]), steps=3, attempts=4)
        assert engine.jobs.wait(ref).state is JobState.Failure
        engine.jobs.control(job, Word.RESUBMIT)
        engine.jobs.wait(ref)
        assert engine.ended(ref) == SUCCESS
        assert ids(engine) == []
