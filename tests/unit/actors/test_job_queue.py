"""Order, retries that wait for their time, suspects: example by example, then against a queue that sorts a list."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.core.jobs.queue import MAX_CRASHES, SUSPECT_CRASHES, JobQueue, is_suspect, is_to_blame
from events.identifiers import Ref, Seq
from store.projections.job_rows import Job, JobState, Progress
from tests.examples import examples

Pending, Running, Paused, Retry = JobState.Pending, JobState.Running, JobState.Paused, JobState.Retry
NOW = 1_700_000_000_000_000
SECOND = 1_000_000


def job(ref: int, *, priority: int = 0, queued: int | None = None, state: JobState = Pending, **progress: Any) -> Job:
    """Return a job that waits since it was submitted, if nothing else is said."""
    return Job(
        ref=Ref(ref),
        id=ref.to_bytes(16, "big"),
        type="DicomModalityStore",
        priority=priority,
        steps=3,
        step_timeout_s=0,
        attempts=1,
        created_us=NOW,
        aggregate=b"12345678",
        progress=Progress(state=state, queued=Seq(ref if queued is None else queued), **progress),
    )


def suspect(ref: int, **options: Any) -> Job:
    return job(ref, crashes=SUSPECT_CRASHES, **options)


@dataclass
class Pool:
    """Workers who hold what they were given, with a queue that knows it."""

    limit: int = 10
    queue: JobQueue = field(default_factory=JobQueue)
    held: list[int] = field(default_factory=list)

    def put(self, *jobs: Job) -> "Pool":
        for one in jobs:
            self.queue.put(one, one.progress.due_us)
        return self

    def hold(self, *jobs: Job) -> "Pool":
        """Let workers have these in hand, and run them."""
        for one in jobs:
            self.queue.put(replace(one, progress=replace(one.progress, state=Running)))
            self.held.append(one.ref)
        return self

    def start(self, now_us: int = NOW) -> int | None:
        """Start the next job; returns which. Nothing joins a suspect: whoever asks the queue sees to that."""
        if any(job is not None and is_suspect(job) for job in map(self.queue.get, map(Ref, self.held))):
            return None
        chosen = self.queue.choose({Ref(ref) for ref in self.held}, self.limit, now_us)
        if chosen is None:
            return None
        self.hold(chosen)
        return chosen.ref

    def start_all(self, now_us: int = NOW) -> list[int]:
        started = []
        while (ref := self.start(now_us)) is not None:
            started.append(ref)
        return started

    def let_go(self, ref: int) -> None:
        """A worker gives a job back: it waits again, in its old place."""
        self.held.remove(ref)
        known = self.queue.get(Ref(ref))
        assert known is not None
        self.put(replace(known, progress=replace(known.progress, state=Pending)))

    def end(self, ref: int) -> None:
        self.held.remove(ref)
        self.queue.remove(Ref(ref))

    def must_make_way(self, now_us: int = NOW) -> bool:
        return self.queue.must_make_way({Ref(ref) for ref in self.held}, now_us)


# -- order --------------------------------------------------------------------------------------------------------------


def test_the_highest_priority_goes_first_and_any_integer_is_one() -> None:
    pool = Pool().put(
        job(1, priority=-(2**31)), job(2, priority=7), job(3), job(4, priority=2**31), job(5, priority=-1)
    )
    assert pool.start_all() == [4, 2, 3, 5, 1]


def test_among_equals_who_has_waited_longest() -> None:
    """Not who was submitted first: a job that was resumed waits since then."""
    pool = Pool().put(job(1, queued=9), job(2), job(3, queued=8), job(4))
    assert pool.start_all() == [2, 4, 3, 1]


def test_a_job_that_was_interrupted_keeps_its_place() -> None:
    pool = Pool(limit=1).put(job(1), job(2))
    assert pool.start() == 1
    pool.let_go(1)
    assert pool.start() == 1


def test_no_more_run_than_may() -> None:
    pool = Pool(limit=2).put(job(1), job(2), job(3))
    assert pool.start_all() == [1, 2]
    pool.end(1)
    assert pool.start_all() == [3]
    assert Pool(limit=0).put(job(1)).start() is None


def test_what_a_worker_has_still_in_hand_is_not_started_beside_it() -> None:
    """It was paused and resumed while its step went on."""
    pool = Pool().hold(job(1)).put(job(1, queued=5), job(2, queued=6))
    assert pool.start_all() == [2]
    pool.held.remove(1)
    assert pool.start_all() == [1]


@pytest.mark.parametrize("state", [Running, Paused, JobState.Success, JobState.Failure])
def test_only_what_waits_is_started(state: JobState) -> None:
    pool = Pool().put(job(1))
    pool.put(job(1, state=state))
    assert pool.start() is None
    assert (pool.queue.get(Ref(1)) is None) == state.is_completed


def test_a_job_that_ended_and_waits_anew_is_started_once() -> None:
    pool = Pool().put(job(1), job(1, state=JobState.Failure), job(1, queued=7), job(2, queued=6))
    assert pool.start_all() == [2, 1]


def test_removing_what_is_not_there_is_no_error() -> None:
    queue = JobQueue()
    queue.remove(Ref(1))
    queue.put(job(1))
    queue.remove(Ref(1))
    queue.remove(Ref(1))
    assert queue.choose(set(), 1, NOW) is None


# -- retries ------------------------------------------------------------------------------------------------------------


def test_a_retry_waits_for_its_time_and_then_takes_its_old_place() -> None:
    pool = Pool().put(job(1, state=Retry, due_us=NOW + SECOND), job(2))
    assert pool.queue.next_due_us() == NOW + SECOND
    assert pool.queue.choose(set(), 1, NOW + SECOND - 1) == job(2)
    assert pool.start_all(NOW + SECOND) == [1, 2]
    assert pool.queue.next_due_us() is None


def test_the_next_time_is_the_earliest_that_still_counts() -> None:
    pool = Pool().put(*(job(ref, state=Retry, due_us=NOW + ref * SECOND) for ref in (3, 1, 2)))
    assert pool.queue.next_due_us() == NOW + SECOND
    pool.put(job(1, state=Paused, due_us=NOW + SECOND))
    assert pool.queue.next_due_us() == NOW + 2 * SECOND
    pool.queue.remove(Ref(2))
    assert pool.queue.next_due_us() == NOW + 3 * SECOND
    pool.put(job(3, state=Retry, due_us=NOW + 9 * SECOND))
    assert pool.queue.next_due_us() == NOW + 9 * SECOND


def test_news_of_a_job_that_is_due_does_not_send_it_away_again() -> None:
    """The last step of the run that failed may be recorded late."""
    pool = Pool(limit=1).hold(job(9)).put(job(1, state=Retry, due_us=NOW))
    assert pool.start() is None
    pool.put(job(1, state=Retry, due_us=NOW, position=1))
    pool.end(9)
    assert pool.start() == 1


# -- suspects -----------------------------------------------------------------------------------------------------------


def test_blame_takes_as_many_crashes_as_are_stated() -> None:
    assert [is_to_blame(crashes) for crashes in range(4)] == [False, False, True, True]
    assert [is_suspect(job(1, crashes=crashes)) for crashes in range(4)] == [False, False, True, True]
    assert SUSPECT_CRASHES < MAX_CRASHES, "a suspect must be able to prove itself"


def test_a_suspect_goes_before_its_equals_and_alone() -> None:
    pool = Pool().put(job(1), suspect(2), job(3), job(4, priority=1))
    assert pool.start() == 4, "priority comes first"
    pool.end(4)
    assert pool.start_all() == [2]
    assert not pool.must_make_way(), "the suspect itself goes on"
    pool.end(2)
    assert pool.start_all() == [1, 3]


def test_who_runs_makes_way_for_a_suspect_and_goes_on_after_it() -> None:
    pool = Pool(limit=3).hold(job(1), job(2)).put(suspect(3), job(4))
    assert pool.must_make_way()
    assert pool.start() is None, "nobody joins those who are to go"
    pool.let_go(1)
    assert pool.must_make_way()
    assert pool.start() is None, "the job given back does not return before the suspect"
    pool.let_go(2)
    assert pool.start_all() == [3]
    pool.put(job(3, state=Running, position=1))  # it has proved itself
    assert pool.start_all() == [1, 2]


def test_suspects_run_one_after_the_other() -> None:
    pool = Pool().put(suspect(1), suspect(2))
    assert pool.start_all() == [1]
    pool.end(1)
    assert pool.start_all() == [2]


def test_higher_priorities_do_not_make_way_and_meanwhile_the_rest_works() -> None:
    """Else one remote that hangs would keep every free worker from working."""
    pool = Pool(limit=2).hold(job(1, priority=5)).put(suspect(2), job(3))
    assert not pool.must_make_way()
    assert pool.start_all() == [3]
    assert not pool.must_make_way(), "giving back would not help the suspect: it is not alone yet"
    pool.end(1)
    assert pool.must_make_way()
    assert pool.start() is None
    pool.let_go(3)
    assert pool.start_all() == [2]


def test_a_suspect_that_is_not_ready_holds_up_nobody() -> None:
    pool = Pool().put(suspect(1, state=Paused), suspect(2, state=Retry, due_us=NOW + SECOND), job(3), job(4))
    assert pool.start_all() == [3, 4]
    assert not pool.must_make_way()
    assert pool.must_make_way(NOW + SECOND)


def test_a_cancelled_job_whose_worker_has_not_let_go_still_keeps_a_suspect_waiting() -> None:
    pool = Pool().hold(job(1)).put(suspect(2))
    pool.queue.remove(Ref(1))
    assert pool.must_make_way()
    assert pool.start() is None
    pool.held.remove(1)
    assert pool.start() == 2


# -- any order of any news ----------------------------------------------------------------------------------------------


refs = st.integers(1, 6)
jobs = st.builds(
    job,
    refs,
    priority=st.sampled_from([-1, 0, 0, 3]),
    queued=st.integers(1, 12),
    state=st.sampled_from([Pending, Pending, Retry, Running, Paused, JobState.Success]),
    crashes=st.sampled_from([0, 0, 0, 1, 2]),
    due_us=st.integers(0, 4).map(lambda seconds: NOW + seconds * SECOND),
)


class QueueMachine(RuleBasedStateMachine):
    """The queue against a dictionary that is sorted whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = JobQueue()
        self.known: dict[Ref, Job] = {}
        self.held: set[Ref] = set()
        self.now_us = NOW

    @rule(told=jobs)
    def put(self, told: Job) -> None:
        self.queue.put(told, told.progress.due_us)
        self.known[told.ref] = told
        if told.progress.state.is_completed:
            del self.known[told.ref]

    @rule(ref=refs)
    def remove(self, ref: int) -> None:
        self.queue.remove(Ref(ref))
        self.known.pop(Ref(ref), None)

    @rule(ref=refs)
    def a_worker_lets_go(self, ref: int) -> None:
        self.held.discard(Ref(ref))

    @rule(seconds=st.integers(0, 2))
    def time_passes(self, seconds: int) -> None:
        self.now_us += seconds * SECOND

    @rule(limit=st.integers(0, 3))
    def start(self, limit: int) -> None:
        if any(is_suspect(self.known[ref]) for ref in self.held if ref in self.known):
            return
        chosen = self.queue.choose(self.held, limit, self.now_us)
        expected = self.expected(limit)
        assert (chosen and chosen.ref) == (expected and expected.ref)
        if chosen is not None:
            assert chosen is self.known[chosen.ref]
            self.held.add(chosen.ref)
            self.put(replace(chosen, progress=replace(chosen.progress, state=Running)))

    def waiting(self) -> list[Job]:
        """Return who could be started, in order."""

        def waits(progress: Progress) -> bool:
            is_due = progress.state is Retry and progress.due_us <= self.now_us
            return progress.state is Pending or is_due

        ready = [one for one in self.known.values() if one.ref not in self.held and waits(one.progress)]
        return sorted(ready, key=place)

    def expected(self, limit: int) -> Job | None:
        waiting = self.waiting()
        if len(self.held) >= limit or not waiting:
            return None
        if self.expects_way():
            return None
        return next((one for one in waiting if not self.held or not is_suspect(one)), None)

    def expects_way(self) -> bool:
        waiting = self.waiting()
        running = [self.known[ref] for ref in self.held if ref in self.known]
        if not self.held or not waiting or not is_suspect(waiting[0]):
            return False
        return all(place(waiting[0]) < place(one) for one in running)

    @invariant()
    def it_says_who_must_make_way(self) -> None:
        assert self.queue.must_make_way(self.held, self.now_us) == self.expects_way()

    @invariant()
    def it_knows_what_was_told(self) -> None:
        assert [self.queue.get(Ref(ref)) for ref in range(1, 7)] == [self.known.get(Ref(ref)) for ref in range(1, 7)]

    @invariant()
    def the_next_time_is_right(self) -> None:
        """Times that have come already may be left out: `choose` has dealt with them."""
        due = [one.progress.due_us for one in self.known.values() if one.progress.state is Retry]
        expected = min((moment for moment in due if moment > self.now_us), default=None)
        told = self.queue.next_due_us()
        assert told == expected or (told is not None and told <= self.now_us and told in due)


def place(one: Job) -> tuple[int, bool, int, int]:
    return -one.priority, one.progress.crashes < 2, one.progress.queued, one.ref


TestQueue = QueueMachine.TestCase
TestQueue.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)
