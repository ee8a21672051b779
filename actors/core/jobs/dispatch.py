"""Who does what: the slots of the workers, the runs they hold, what has to be said to them. No clock, thread or disk.

A slot is a worker's ability to carry out one job at a time; its name is the process's, `#` and a number. It asks for
work, is given a run, and holds it until it says that the run is over. What a run is to be told follows from how its
job stands: there is no list of orders that could get lost.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from actors.core.jobs.queue import JobQueue, is_suspect
from actors.messages.job_orders import Order
from actors.messages.job_retries import longest_wait_s
from actors.messages.job_types import strategy_of
from events.identifiers import Ref
from store.projections.job_rows import Job, JobState

KILL_AFTER_S = 5.0  # a run that was told to end at once and has not: its process is killed


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on two clocks: all waiting is measured by ours; the wall's tells what an earlier run has waited already."""

    wall_us: int  # UTC, without steps by which that clock was set forward (`store.run_clock`)
    monotonic_s: float

    @property
    def monotonic_us(self) -> int:
        return round(self.monotonic_s * 1e6)


@dataclass(slots=True)
class Run:
    """A job in a worker's hand."""

    job: Ref
    slot: str
    heard_s: float  # of the start or of the last checkpoint
    number: int = 0  # 0 until the start is recorded
    position: int = 0
    is_suspect: bool = False  # so it runs alone until its next checkpoint, even if the job's state changes before
    told: Order | None = None
    told_s: float = 0.0

    @property
    def process(self) -> str:
        return process_of(self.slot)


def process_of(slot: str) -> str:
    return slot.rpartition("#")[0]


class Dispatch:
    """See the module's text."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many jobs may run at once."""
        self._limit = limit
        self._queue = JobQueue()
        self._runs: dict[Ref, Run] = {}
        self._free: deque[str] = deque()
        self._killed: set[str] = set()  # processes that are as good as gone

    @property
    def runs(self) -> tuple[Run, ...]:
        return tuple(self._runs.values())

    # -- what happens -------------------------------------------------------------------------------------------------

    def on_job(self, job: Job, now: Now) -> None:
        """Take note of how a job stands now."""
        self._queue.put(job, self._due_us(job, now) if job.progress.state is JobState.Retry else 0)
        run = self._runs.get(job.ref)
        if run is not None and job.progress.position > run.position:
            run.position, run.is_suspect = job.progress.position, False
            run.heard_s = now.monotonic_s

    def _due_us(self, job: Job, now: Now) -> int:
        """Return when a job is to be tried again, on our clock: never later than its delay from now, however the wall's was set."""
        known = self._queue.get(job.ref)
        if known is not None and known.progress.due_us == job.progress.due_us:
            due_us = self._queue.due_us(job.ref)
            return now.monotonic_us if due_us is None else due_us  # its time had come
        wait_us = min(
            job.progress.due_us - now.wall_us, int(longest_wait_s(strategy_of(job.type), job.progress.tries) * 1e6)
        )
        return now.monotonic_us + max(wait_us, 0)

    def knows(self, ref: Ref) -> bool:
        """Tell whether this job is known not to have ended."""
        return self._queue.get(ref) is not None

    def on_free(self, slot: str) -> Run | None:
        """A slot asks for work; returns the run it still held, which it must have lost."""
        lost = next((run for run in self._runs.values() if run.slot == slot), None)
        if lost is not None:
            del self._runs[lost.job]
        self._free.append(slot)
        return lost

    def start(self, now: Now) -> Run | None:
        """Put the next job into a slot's hand; None if none can start now. Its start is then to be recorded."""
        if not self._free or any(run.is_suspect for run in self._runs.values()):
            return None
        job = self._queue.choose(self._runs, self._limit, now.monotonic_us)
        if job is None:
            return None
        run = Run(
            job.ref,
            self._free.popleft(),
            now.monotonic_s,
            position=job.progress.position,
            is_suspect=is_suspect(job),
        )
        self._runs[job.ref] = run
        return run

    def on_started(self, run: Run, number: int | None, now: Now) -> bool:
        """The start is recorded (or the job no longer waits: None); returns whether the slot is to be told."""
        if self._runs.get(run.job) is not run:  # its process has gone
            return False
        if number is None:
            del self._runs[run.job]
            self._free.appendleft(run.slot)
            return False
        run.number, run.heard_s = number, now.monotonic_s
        return True

    def on_over(self, ref: Ref, number: int) -> None:
        """A worker has let go of a run."""
        run = self._runs.get(ref)
        if run is not None and run.number == number:
            del self._runs[ref]

    def on_leaving(self, process: str) -> None:
        """A process stops in order: it finishes what it holds, and takes no start that is not recorded yet."""
        self._free = deque(slot for slot in self._free if process_of(slot) != process)
        for run in self.runs:
            if run.process == process and not run.number:
                del self._runs[run.job]

    def on_gone(self, process: str) -> list[Run]:
        """A process is gone; returns the runs it held."""
        self._killed.discard(process)
        self._free = deque(slot for slot in self._free if process_of(slot) != process)
        lost = [run for run in self._runs.values() if run.process == process]
        for run in lost:
            del self._runs[run.job]
        return lost

    # -- what has to be done ------------------------------------------------------------------------------------------

    def orders(self, now: Now) -> Iterator[tuple[Run, Order]]:
        """Iterate over what is to be said now; each is said once, an urgent one also after one that was not."""
        for run in self._runs.values():
            order = self._order_for(run, now) if run.number else None
            if order is None or run.told is order or (run.told is not None and not order.is_urgent):
                continue
            if run.told is None or not run.told.is_urgent:
                run.told_s = now.monotonic_s
            run.told = order
            yield run, order

    def _order_for(self, run: Run, now: Now) -> Order | None:
        job = self._queue.get(run.job)
        if job is None or job.progress.run > run.number:
            return Order.CANCEL
        if job.step_timeout_s and now.monotonic_s >= run.heard_s + job.step_timeout_s:
            return Order.TIMEOUT
        if job.progress.run < run.number:  # the news of its start is still on its way
            return None
        if job.progress.state is not JobState.Running:
            return Order.STOP
        return Order.YIELD if self._queue.must_make_way(self._runs, now.monotonic_us) else None

    def overdue(self, now: Now) -> set[str]:
        """Return the processes with a run that does not end though it was told to, each once."""
        found = {
            run.process
            for run in self._runs.values()
            if run.told is not None and run.told.is_urgent and now.monotonic_s >= run.told_s + KILL_AFTER_S
        }
        found -= self._killed
        self._killed |= found
        return found

    def pause_s(self, now: Now) -> float | None:
        """Return after how many seconds there may be something to do though nothing happens; None for never."""
        moments = [self._patience_s(run, now) for run in self._runs.values()]
        due_us = self._queue.next_due_us()
        if due_us is not None and self._free:
            moments.append((due_us - now.monotonic_us) / 1e6)
        return min((max(moment, 0.0) for moment in moments if moment is not None), default=None)

    def _patience_s(self, run: Run, now: Now) -> float | None:
        """Return how long a run is left in peace: until its step takes too long, or until it is killed."""
        if run.told is not None and run.told.is_urgent:
            return None if run.process in self._killed else run.told_s + KILL_AFTER_S - now.monotonic_s
        job = self._queue.get(run.job)
        if job is None or not job.step_timeout_s or not run.number:
            return None
        return run.heard_s + job.step_timeout_s - now.monotonic_s
