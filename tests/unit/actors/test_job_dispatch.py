"""Slots, the runs they hold, and what those are told: each rule once, on two clocks set by hand."""

from dataclasses import replace
from typing import Any

import pytest

from actors.core.jobs.dispatch import KILL_AFTER_S, Dispatch, Now, Run
from actors.core.jobs.queue import SUSPECT_CRASHES
from actors.messages.job_orders import Order
from events.identifiers import Ref
from store.projections.job_rows import Job, JobState
from tests.unit.actors.test_job_queue import NOW, job

Pending, Running, Paused, Retry = JobState.Pending, JobState.Running, JobState.Paused, JobState.Retry


class Desk:
    """A dispatch, told of everything as the scheduler tells it."""

    def __init__(self, limit: int = 2, slots: int = 2) -> None:
        self.dispatch = Dispatch(limit)
        self.now = Now(NOW, 0.0)
        self.jobs: dict[Ref, Job] = {}
        for number in range(1, slots + 1):
            self.dispatch.on_free(f"worker-1/7#{number}")

    def put(self, told: Job) -> None:
        self.jobs[told.ref] = told
        self.dispatch.on_job(told, self.now)

    def change(self, ref: int, **progress: Any) -> None:
        told = self.jobs[Ref(ref)]
        self.put(replace(told, progress=replace(told.progress, **progress)))

    def start(self) -> Run | None:
        """Start the next job, and let its start be recorded."""
        run = self.dispatch.start(self.now)
        if run is not None:
            number = self.jobs[run.job].progress.run + 1
            self.change(run.job, state=Running, run=number)
            assert self.dispatch.on_started(run, number, self.now)
        return run

    def start_all(self) -> list[int]:
        started = []
        while (run := self.start()) is not None:
            started.append(int(run.job))
        return started

    def pass_time(self, seconds: float) -> None:
        self.now = Now(self.now.wall_us + int(seconds * 1e6), self.now.monotonic_s + seconds)

    def orders(self) -> list[tuple[int, Order]]:
        return [(run.job, order) for run, order in self.dispatch.orders(self.now)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_job_gets_a_slot_of_its_own(desk: Desk) -> None:
    for ref in (1, 2, 3):
        desk.put(job(ref))
    assert desk.start_all() == [1, 2]
    assert len({run.slot for run in desk.dispatch.runs}) == 2
    assert desk.orders() == []


def test_without_a_slot_nothing_starts() -> None:
    desk = Desk(slots=0)
    desk.put(job(1))
    assert desk.start() is None


def test_a_slot_whose_job_no_longer_waits_gets_the_next(desk: Desk) -> None:
    desk.put(job(1))
    desk.put(job(2))
    run = desk.dispatch.start(desk.now)
    assert run is not None
    desk.change(1, state=Paused)
    assert not desk.dispatch.on_started(run, None, desk.now)
    second = desk.start()
    assert second is not None
    assert (second.job, second.slot) == (2, run.slot)


def test_a_start_that_comes_after_its_process_has_gone_is_nobodys(desk: Desk) -> None:
    desk.put(job(1))
    run = desk.dispatch.start(desk.now)
    assert run is not None
    assert [lost.job for lost in desk.dispatch.on_gone("worker-1/7")] == [1]
    assert not desk.dispatch.on_started(run, 1, desk.now)
    assert desk.start() is None, "its slots have gone with it"


def test_a_process_that_goes_takes_no_namesake_with_it() -> None:
    desk = Desk(slots=1)
    desk.dispatch.on_free("worker-1/77#1")
    assert desk.dispatch.on_gone("worker-1/7") == []
    desk.put(job(1))
    assert desk.start_all() == [1]


def test_a_slot_that_asks_again_has_lost_what_it_held(desk: Desk) -> None:
    desk.put(job(1))
    run = desk.start()
    assert run is not None
    assert desk.dispatch.on_free(run.slot) is run
    assert desk.dispatch.runs == ()


def test_the_last_word_of_another_run_does_not_free_the_job(desk: Desk) -> None:
    desk.put(job(1))
    desk.start()
    desk.dispatch.on_over(Ref(1), 0)
    desk.dispatch.on_over(Ref(2), 1)
    assert [run.job for run in desk.dispatch.runs] == [1]
    desk.dispatch.on_over(Ref(1), 1)
    assert desk.dispatch.runs == ()


# -- orders -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "order"),
    [
        ({"state": Paused}, Order.STOP),
        ({"state": Pending}, Order.STOP),
        ({"state": Retry}, Order.STOP),
        ({"state": JobState.Failure}, Order.CANCEL),
        ({"state": JobState.Success}, Order.CANCEL),
        ({"state": Pending, "run": 2}, Order.CANCEL),
    ],
    ids=["paused", "resumed", "to be tried again", "cancelled", "ended", "resubmitted"],
)
def test_a_run_is_told_once_what_its_job_has_come_to(desk: Desk, change: dict[str, Any], order: Order) -> None:
    desk.put(job(1))
    desk.start()
    assert desk.orders() == []
    desk.change(1, **change)
    assert desk.orders() == [(1, order)]
    assert desk.orders() == []


def test_what_was_told_to_stop_can_still_be_told_to_end_at_once(desk: Desk) -> None:
    desk.put(job(1))
    desk.start()
    desk.change(1, state=Paused)
    assert desk.orders() == [(1, Order.STOP)]
    desk.change(1, state=JobState.Failure)
    assert desk.orders() == [(1, Order.CANCEL)]
    desk.change(1, state=Pending, run=2)
    assert desk.orders() == []


def test_nothing_is_said_of_a_start_that_is_not_recorded_yet(desk: Desk) -> None:
    desk.put(job(1))
    desk.dispatch.start(desk.now)
    desk.change(1, state=JobState.Failure)
    assert desk.orders() == []


def test_a_step_has_its_time_and_each_checkpoint_gives_it_anew(desk: Desk) -> None:
    desk.put(replace(job(1), step_timeout_s=10))
    desk.start()
    assert desk.dispatch.pause_s(desk.now) == 10
    desk.pass_time(9)
    assert desk.orders() == []
    desk.change(1, position=1)
    desk.pass_time(9)
    assert desk.orders() == []
    assert desk.dispatch.pause_s(desk.now) == 1
    desk.pass_time(1)
    assert desk.orders() == [(1, Order.TIMEOUT)]


def test_a_paused_jobs_step_times_out_as_well(desk: Desk) -> None:
    """Else a step that hangs would keep its slot for ever."""
    desk.put(replace(job(1), step_timeout_s=10))
    desk.start()
    desk.change(1, state=Paused)
    assert desk.orders() == [(1, Order.STOP)]
    desk.pass_time(10)
    assert desk.orders() == [(1, Order.TIMEOUT)]


def test_a_process_that_does_not_obey_is_killed_once(desk: Desk) -> None:
    desk.put(job(1))
    desk.start()
    desk.change(1, state=JobState.Failure)
    assert desk.orders() == [(1, Order.CANCEL)]
    assert desk.dispatch.pause_s(desk.now) == KILL_AFTER_S
    desk.pass_time(KILL_AFTER_S - 0.001)
    assert desk.dispatch.overdue(desk.now) == set()
    desk.pass_time(0.001)
    assert desk.dispatch.overdue(desk.now) == {"worker-1/7"}
    assert desk.dispatch.overdue(desk.now) == set()
    assert desk.dispatch.pause_s(desk.now) is None


def test_who_pauses_a_job_waits_for_its_step(desk: Desk) -> None:
    desk.put(job(1))
    desk.start()
    desk.change(1, state=Paused)
    assert desk.orders() == [(1, Order.STOP)]
    desk.pass_time(100 * KILL_AFTER_S)
    assert desk.dispatch.overdue(desk.now) == set()


# -- suspects -----------------------------------------------------------------------------------------------------------


def test_nothing_joins_a_suspect_before_its_checkpoint(desk: Desk) -> None:
    desk.put(job(1, crashes=SUSPECT_CRASHES))
    desk.put(job(2))
    assert desk.start_all() == [1]
    desk.change(1, position=1, crashes=0)
    assert desk.start_all() == [2]


@pytest.mark.parametrize("change", [{"state": JobState.Failure}, {"state": Pending, "run": 2, "crashes": 0}])
def test_a_suspect_that_is_cancelled_or_resubmitted_stays_alone_until_its_worker_lets_go(
    desk: Desk, change: dict[str, Any]
) -> None:
    """What it does there may still be deadly."""
    desk.put(job(1, crashes=SUSPECT_CRASHES))
    desk.put(job(2))
    assert desk.start_all() == [1]
    desk.change(1, **change)
    assert desk.start() is None
    desk.dispatch.on_over(Ref(1), 1)
    assert desk.start() is not None


def test_who_runs_is_asked_to_make_way_for_a_suspect(desk: Desk) -> None:
    desk.put(job(1))
    assert desk.start_all() == [1]
    desk.put(job(2, crashes=SUSPECT_CRASHES))
    assert desk.start() is None
    assert desk.orders() == [(1, Order.YIELD)]
    desk.dispatch.on_over(Ref(1), 1)
    desk.change(1, state=Pending)
    assert desk.start_all() == [2]


# -- what there is to wait for ------------------------------------------------------------------------------------------


def test_retries_are_waited_for_while_a_slot_is_free(desk: Desk) -> None:
    desk.put(job(1, state=Retry, tries=2, due_us=NOW + 8_000_000))
    assert desk.dispatch.pause_s(desk.now) == 8
    assert desk.start() is None
    desk.pass_time(8)
    assert desk.start_all() == [1]
    assert desk.dispatch.pause_s(desk.now) is None
    busy = Desk(slots=0)
    busy.put(job(1, state=Retry, tries=2, due_us=NOW + 8_000_000))
    assert busy.dispatch.pause_s(busy.now) is None


DAY_S = 86_400
DELAYS_S = {1: 2, 2: 8, 3: 32}  # tries that have failed -> seconds until the next, of a job that sends


@pytest.mark.parametrize("tries", DELAYS_S)
@pytest.mark.parametrize("shift_s", [-3650 * DAY_S, -DAY_S, -1, 0, 1, DAY_S, 3650 * DAY_S])
def test_a_retry_waits_its_delay_however_the_clock_is_set_meanwhile(desk: Desk, tries: int, shift_s: int) -> None:
    delay_s = DELAYS_S[tries]
    desk.put(job(1, state=Retry, tries=tries, due_us=NOW + delay_s * 1_000_000))
    desk.now = replace(desk.now, wall_us=desk.now.wall_us + shift_s * 1_000_000)
    assert desk.dispatch.pause_s(desk.now) == delay_s
    desk.pass_time(delay_s - 0.001)
    assert desk.start() is None
    desk.pass_time(0.001)
    assert desk.start_all() == [1]


@pytest.mark.parametrize(("ahead_s", "expected_s"), [(-DAY_S, 0), (0, 0), (3, 3), (8, 8), (9, 8), (3650 * DAY_S, 8)])
def test_a_retry_of_an_earlier_run_waits_what_is_left_of_its_delay_at_most_all_of_it(
    desk: Desk, ahead_s: int, expected_s: int
) -> None:
    desk.put(job(1, state=Retry, tries=2, due_us=NOW + ahead_s * 1_000_000))
    assert desk.dispatch.pause_s(desk.now) == expected_s


def test_news_of_a_retry_does_not_make_it_wait_anew(desk: Desk) -> None:
    desk.put(job(1, state=Retry, tries=2, due_us=NOW + 8_000_000))
    desk.pass_time(5)
    desk.now = replace(desk.now, wall_us=NOW - DAY_S * 1_000_000)
    desk.change(1, position=1)
    assert desk.dispatch.pause_s(desk.now) == 3
    desk.pass_time(3)
    desk.change(1, position=2)
    assert desk.start_all() == [1]
