"""Which job runs next, and who is to blame when something dies. No clock, no thread, no disk.

Order: the highest priority first, and among equals who has waited longest. Nothing overtakes within a priority.

Blame: nobody can ask what killed a worker or the whole server. So every job that was running counts the crash; a checkpoint
sets the count to zero. After `SUSPECT_CRASHES` in a row without any checkpoint it is a suspect and runs alone, so that the
next crash has one possible cause; after `MAX_CRASHES` it fails. Work that was merely there when another crashed reaches
its next checkpoint when it is alone, and goes on.

To be alone soon, a suspect goes before its equals, and those that run give their jobs back at their next checkpoint. Jobs
of a higher priority are not asked to: as long as one of them runs, the suspect waits and others run as if it were not
there, so that a remote that hangs holds up only its own job.
"""

import heapq
from bisect import bisect_left, insort
from collections.abc import Collection, Iterator

from events.identifiers import Ref
from store.projections.job_rows import Job, JobState

SUSPECT_CRASHES = 2
MAX_CRASHES = 3

_Rank = tuple[
    int, bool, int, Ref
]  # priority negated, whether innocent, since when it waits, job: the least comes first


def is_suspect(job: Job) -> bool:
    return job.progress.crashes >= SUSPECT_CRASHES


def is_to_blame(crashes_before: int) -> bool:
    """Tell whether a job that crashed once more is failed as a crasher."""
    return crashes_before + 1 >= MAX_CRASHES


class JobQueue:
    """The jobs that have not ended, in the order in which they are to run."""

    def __init__(self) -> None:
        self._jobs: dict[Ref, Job] = {}
        self._ranks: dict[Ref, _Rank] = {}  # of those that wait for a worker
        self._order: list[_Rank] = []  # the same, sorted
        self._later: list[tuple[int, Ref]] = []  # heap of jobs to be tried again, by time; may be stale
        self._dues: dict[Ref, int] = {}  # the same, without what is stale

    def put(self, job: Job, due_us: int = 0) -> None:
        """Take note of how a job stands now; one to be tried again is due at `due_us`, on the clock of `choose`."""
        state = job.progress.state
        if state.is_completed:
            self.remove(job.ref)
            return
        self._jobs[job.ref] = job
        if state is JobState.Pending:
            self._wait(job)
            return
        self._leave(job.ref)
        if state is JobState.Retry:
            self._dues[job.ref] = due_us
            heapq.heappush(self._later, (due_us, job.ref))

    def remove(self, ref: Ref) -> None:
        self._jobs.pop(ref, None)
        self._leave(ref)

    def get(self, ref: Ref) -> Job | None:
        return self._jobs.get(ref)

    def choose(self, held: Collection[Ref], limit: int, now_us: int) -> Job | None:
        """Return the job to start now, None if nothing may start.

        `held` are the jobs that workers have still in hand, whatever their state, no suspect among them; `limit` is how
        many may be.
        """
        if len(held) >= limit or self.must_make_way(held, now_us):
            return None
        return next((job for job in self._in_order(held) if not (held and is_suspect(job))), None)

    def must_make_way(self, held: Collection[Ref], now_us: int) -> bool:
        """Tell whether running jobs should stop at their next checkpoint, because a suspect waits to be alone."""
        self._wake(now_us)
        first = next(self._in_order(held), None)
        if not held or first is None or not is_suspect(first):
            return False
        running = (self._jobs[ref] for ref in held if ref in self._jobs)
        return all(_rank(job) > _rank(first) for job in running)

    def next_due_us(self) -> int | None:
        """Return when the next job is to be tried again, None if none waits for its time."""
        while self._later and not self._is_due_at(*self._later[0]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _in_order(self, held: Collection[Ref]) -> Iterator[Job]:
        return (self._jobs[rank[-1]] for rank in self._order if rank[-1] not in held)

    def due_us(self, ref: Ref) -> int | None:
        """Return when a job is to be tried again, None if it does not wait for its time."""
        return self._dues.get(ref)

    def _is_due_at(self, due_us: int, ref: Ref) -> bool:
        return self._dues.get(ref) == due_us

    def _wake(self, now_us: int) -> None:
        """Let the jobs whose time has come take their places."""
        while (due_us := self.next_due_us()) is not None and due_us <= now_us:
            self._wait(self._jobs[heapq.heappop(self._later)[1]])

    def _wait(self, job: Job) -> None:
        rank = _rank(job)
        if self._ranks.get(job.ref) != rank:
            self._leave(job.ref)
            self._ranks[job.ref] = rank
            insort(self._order, rank)

    def _leave(self, ref: Ref) -> None:
        self._dues.pop(ref, None)
        rank = self._ranks.pop(ref, None)
        if rank is not None:
            del self._order[bisect_left(self._order, rank)]


def _rank(job: Job) -> _Rank:
    return -job.priority, not is_suspect(job), job.progress.queued, job.ref
