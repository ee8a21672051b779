"""The scheduler on the test's own thread: what it does with requests, with news that crosses them, and with a full disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core.jobs.scheduler import INSIST_S
from actors.messages.commands.command import Command
from actors.messages.commands.jobs import ControlJob, StartJob, SubmitJob
from actors.messages.job_retries import REMOTE
from actors.messages.scheduler import (
    AwaitEnd,
    AwaitOrders,
    EndRun,
    FailRun,
    GiveBack,
    Leave,
    RecordStep,
    SchedulerRequest,
    TakeWork,
)
from events.errors import Busy, NotFound, SinogramError
from events.identifiers import Ref
from store.projections.job_rows import Job, JobState, unpack_progress
from store.views.jobs import get_job, list_jobs
from tests.clock import Clock
from tests.engine_stage import EngineStage
from tests.job_stage import submit_command
from tests.job_workers import Process, Slot, Workplace


class Shop(Workplace):
    """An engine with one worker process of two slots."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.clock = clock
        self.engine = EngineStage(folder, clock, concurrent_jobs=2, history_size=2)
        self.process = Process("worker-1/1", 2, self.engine, self)
        self._submitted = 0

    def ask(self, request: SchedulerRequest) -> list[Any]:
        """Send a request; returns the list that its reply will be put into: the result, or the error's class."""
        replies: list[Any] = []

        def take(result: Any, error: SinogramError | None) -> None:
            replies.append(result if error is None else type(error))

        self.engine.core.door.on_request(request, take)
        self.engine.settle()
        return replies

    def send(self, command: Command) -> Any:
        replies: list[Any] = []
        self.engine.submit(command, lambda result, error: replies.append(error or result))
        self.engine.settle()
        return replies[0]

    def submit(self, **options: Any) -> Ref:
        self._submitted += 1
        command: SubmitJob = submit_command(self._submitted, **options)
        return Ref(self.send(command))

    def control(self, ref: Ref, word: str) -> None:
        self.send(ControlJob(id=self.job(ref).id, word=word, correlation=b""))

    def job(self, ref: Ref) -> Job:
        with self.engine.core.stage.views.snapshot() as snapshot:
            found = get_job(snapshot, ref)
        assert found is not None
        return found

    def state(self, ref: Ref) -> JobState:
        return self.job(ref).progress.state

    def slot_of(self, ref: Ref) -> Slot:
        return next(slot for slot in self.process.slots if slot.job == ref)

    def work(self, *, moves: int = 50) -> None:
        for _ in range(moves):
            for slot in self.process.slots:
                slot.move()
            self.engine.settle()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.engine.ring()
        self.engine.settle()


@pytest.fixture
def shop(tmp_path: Path, clock: Clock) -> Iterator[Shop]:
    made = Shop(tmp_path, clock)
    yield made
    made.engine.close()


# -- requests -----------------------------------------------------------------------------------------------------------


def test_who_waits_hears_when_the_job_has_ended_and_not_before(shop: Shop) -> None:
    ref = shop.submit(steps=1)
    replies = shop.ask(AwaitEnd(ref))
    assert replies == []
    shop.work()
    assert [unpack_progress(row).state for row in replies] == [JobState.Success]
    assert shop.ask(AwaitEnd(ref)) == replies
    assert shop.ask(AwaitEnd(999)) == [NotFound]


def test_who_waits_hears_of_a_job_that_is_forgotten_as_soon_as_it_ends(tmp_path: Path, clock: Clock) -> None:
    shop = Shop(tmp_path, clock)
    shop.engine.core.scheduler._settings = type(shop.engine.core.scheduler._settings)(history_size=0)
    ref = shop.submit(steps=1)
    replies = shop.ask(AwaitEnd(ref))
    shop.work()
    assert len(replies) == 1
    with shop.engine.core.stage.views.snapshot() as snapshot:
        assert list(list_jobs(snapshot)) == []
    shop.engine.close()


def test_everybody_who_waits_hears_that_the_server_stops(shop: Shop) -> None:
    ref = shop.submit()
    replies = [shop.ask(AwaitEnd(ref)), shop.ask(TakeWork("worker-2/2#1")), shop.ask(AwaitOrders("worker-2/2"))]
    shop.process.die()
    shop.engine.core.scheduler.on_stop()
    assert replies == [[Busy]] * 3


def test_the_history_is_as_long_as_it_may_be(shop: Shop) -> None:
    refs = [shop.submit(steps=1) for _ in range(5)]
    shop.work()
    with shop.engine.core.stage.views.snapshot() as snapshot:
        kept = [job.ref for job in list_jobs(snapshot)]
    assert kept == refs[-2:]


# -- errors -------------------------------------------------------------------------------------------------------------


def test_an_error_that_may_pass_is_tried_again_after_its_time(shop: Shop) -> None:
    ref = shop.submit(attempts=3)
    for delay_s in (REMOTE.first_delay_s, REMOTE.first_delay_s * REMOTE.factor):
        shop.slot_of(ref).fail("unreachable")
        shop.engine.settle()
        assert shop.state(ref) is JobState.Retry
        shop.pass_time(delay_s - 0.5)
        assert shop.state(ref) is JobState.Retry
        shop.pass_time(0.5)
        assert shop.state(ref) is JobState.Running
    shop.slot_of(ref).fail("unreachable")
    shop.engine.settle()
    assert (shop.state(ref), shop.job(ref).progress.code) == (JobState.Failure, 9)


def test_a_step_that_takes_too_long_is_tried_again_too(shop: Shop) -> None:
    ref = shop.submit(attempts=2, step_timeout_s=10)
    slot = shop.slot_of(ref)
    shop.pass_time(10)
    assert slot.is_timed_out
    shop.work(moves=1)
    assert shop.state(ref) is JobState.Retry


def test_the_words_of_an_unknown_job_are_taken_and_lost(shop: Shop) -> None:
    assert shop.ask(FailRun(999, 1, "final", 9, "")) == [False]
    assert shop.ask(GiveBack(999, 1)) == [False]
    assert shop.ask(EndRun(999, 1, 0, 0, {})) == [False]
    assert shop.ask(RecordStep(999, 1, 0, 0)) == [False]


# -- a start that finds nobody ------------------------------------------------------------------------------------------


def test_a_start_whose_worker_died_meanwhile_counts_no_crash(shop: Shop) -> None:
    """No step was begun, so the job cannot be why."""
    shop.engine.submit(submit_command(50), lambda _result, _error: None)
    shop.engine.commit()
    assert shop.engine.deliver(), "the scheduler asks for the start"
    shop.process.die()
    shop.engine.core.door.on_gone(shop.process.name)
    shop.engine.settle()
    with shop.engine.core.stage.views.snapshot() as snapshot:
        (job,) = list_jobs(snapshot)
    assert (job.progress.state, job.progress.crashes) == (JobState.Pending, 0)


# -- a full disk --------------------------------------------------------------------------------------------------------


def test_a_start_that_finds_the_disk_full_is_tried_again_now_and_then(shop: Shop) -> None:
    """Not at once and without end: `settle` would not return."""
    shop.process.die()
    shop.engine.core.door.on_gone(shop.process.name)
    ref = shop.submit(steps=1)
    shop.engine.is_full = True
    shop.process = Process("worker-1/2", 2, shop.engine, shop)
    for _ in range(3):
        shop.pass_time(INSIST_S)
        assert shop.state(ref) is JobState.Pending
    shop.engine.is_full = False
    shop.pass_time(INSIST_S)
    assert shop.state(ref) is JobState.Running


@pytest.mark.parametrize("steps", [0, 1])
def test_an_end_that_finds_the_disk_full_is_recorded_when_there_is_room(shop: Shop, steps: int) -> None:
    """The worker is not told before: nothing it says gets lost."""
    ref = shop.submit(steps=steps)
    shop.slot_of(ref).move()
    shop.engine.is_full = True
    for slot in shop.process.slots:
        slot.move()
    shop.engine.settle()
    if steps:
        assert shop.state(ref) is JobState.Running
        assert [slot.waits_for_reply for slot in shop.process.slots].count(True) == 1
    shop.engine.is_full = False
    shop.pass_time(INSIST_S)
    assert shop.state(ref) is JobState.Success
    assert all(slot.is_idle for slot in shop.process.slots)


def test_a_death_that_finds_the_disk_full_is_recorded_when_there_is_room(shop: Shop) -> None:
    ref = shop.submit(steps=1)
    shop.engine.is_full = True
    shop.process.die()
    shop.engine.core.door.on_gone(shop.process.name)
    shop.engine.settle()
    assert shop.state(ref) is JobState.Running
    shop.engine.is_full = False
    shop.pass_time(INSIST_S)
    assert (shop.state(ref), shop.job(ref).progress.crashes) == (JobState.Pending, 1)


def test_a_restart_on_a_full_disk_loses_no_job(shop: Shop) -> None:
    ref = shop.submit(steps=1)
    shop.process.die()
    shop.engine.is_full = True
    shop.engine.restart(was_clean=False)
    shop.process = Process("worker-1/2", 2, shop.engine, shop)
    shop.engine.settle()
    assert shop.state(ref) is JobState.Running
    shop.engine.is_full = False
    shop.pass_time(INSIST_S)
    shop.work()
    assert shop.state(ref) is JobState.Success


def test_a_start_that_fails_for_another_reason_is_not_tried_without_pause(shop: Shop) -> None:
    starts: list[Command] = []
    submit = shop.engine.core.scheduler._submit

    def refuse(command: Command, reply: Any) -> None:
        if isinstance(command, StartJob):
            starts.append(command)
            reply(None, Busy("the index must be started again"))
        else:
            submit(command, reply)

    shop.engine.core.scheduler._submit = refuse
    ref = shop.submit()
    assert len(starts) == 1
    shop.engine.core.scheduler._submit = submit
    shop.pass_time(INSIST_S)
    assert shop.state(ref) is JobState.Running


def test_a_job_that_becomes_free_while_its_worker_leaves_in_order_counts_no_crash(shop: Shop) -> None:
    """A slot that waits for work is answered into the void once its channel is closed."""
    shop.process.die()  # it hears nothing any more
    shop.ask(Leave("worker-1/1"))
    ref = shop.submit()
    shop.engine.core.door.on_gone("worker-1/1")
    shop.engine.settle()
    assert shop.job(ref).progress.crashes == 0


def test_a_start_on_its_way_to_the_log_while_its_worker_leaves_is_no_crash(shop: Shop) -> None:
    replies: list[Any] = []
    shop.engine.submit(submit_command(1), lambda result, error: replies.append(error or result))
    while not shop.engine.core.scheduler._dispatch.runs:
        assert shop.engine.commit() or shop.engine.deliver()
    shop.process.die()  # it hears nothing any more
    shop.ask(Leave("worker-1/1"))
    shop.engine.core.door.on_gone("worker-1/1")
    shop.engine.settle()
    assert shop.job(Ref(replies[0])).progress.crashes == 0


def test_a_slot_of_a_worker_that_leaves_gets_no_more_work(shop: Shop) -> None:
    waiting = shop.ask(TakeWork("worker-2/2#1"))
    shop.ask(Leave("worker-2/2"))
    assert waiting == [Busy]
    assert shop.ask(TakeWork("worker-2/2#2")) == [Busy]
