"""Which job runs next, and who is to blame when something dies. No clock, no thread, no disk.

Order: the highest priority first, and among equals who has waited longest. Nothing overtakes within a priority.

Blame: what kills a worker, or the whole server, cannot be asked. A job that was running counts the crash; a checkpoint
wipes the count out. After `SUSPECT_CRASHES` in a row without any checkpoint it is a suspect and runs alone, so that the
next crash has one possible cause; after `MAX_CRASHES` it fails. Work that was merely there when another crashed reaches
its next checkpoint when it is alone, and goes on.
"""

import heapq
from collections.abc import Collection

from events.identifiers import Ref
from store.projections.job_rows import Job, JobState

SUSPECT_CRASHES = 2
MAX_CRASHES = 3

_Rank = tuple[int, int, Ref]  # priority negated, since when it waits, job: the least comes first


def is_suspect(job: Job) -> bool:
    return job.progress.crashes >= SUSPECT_CRASHES


def is_to_blame(crashes_before: int) -> bool:
    """Tell whether a job that crashed once more is failed as a crasher."""
    return crashes_before + 1 >= MAX_CRASHES


class JobQueue:
    """The jobs that have not ended, in the order in which they are to run."""

    def __init__(self) -> None:
        self._jobs: dict[Ref, Job] = {}
        self._waiting: dict[Ref, _Rank] = {}
        self._ready: list[_Rank] = []  # heap; what does not stand in `_waiting` is stale
        self._later: list[tuple[int, Ref]] = []  # heap of jobs to be tried again, by time

    def put(self, job: Job) -> None:
        """Take note of how a job stands now."""
        state = job.progress.state
        if state.is_completed:
            self.remove(job.ref)
            return
        self._jobs[job.ref] = job
        if state is JobState.Pending:
            self._wait(job)
            return
        self._waiting.pop(job.ref, None)
        if state is JobState.Retry:
            heapq.heappush(self._later, (job.progress.due_us, job.ref))

    def remove(self, ref: Ref) -> None:
        self._jobs.pop(ref, None)
        self._waiting.pop(ref, None)

    def get(self, ref: Ref) -> Job | None:
        return self._jobs.get(ref)

    def choose(self, held: Collection[Ref], limit: int, now_us: int) -> Job | None:
        """Return the job to start now, None if nothing may start.

        `held` are the jobs that workers have still in hand, whatever their state; `limit` is how many may be.
        """
        if len(held) >= limit or any(self._is_suspect(ref) for ref in held):
            return None
        first = self.first(held, now_us)
        return None if first is not None and is_suspect(first) and held else first

    def must_make_way(self, held: Collection[Ref], now_us: int) -> bool:
        """Tell whether running jobs should stop at their next checkpoint, because a suspect waits to be alone."""
        first = self.first(held, now_us)
        return bool(held) and first is not None and is_suspect(first)

    def first(self, held: Collection[Ref], now_us: int) -> Job | None:
        """Return whose turn it is, though it may have to wait until it is alone."""
        self._wake(now_us)
        aside = []
        found = None
        while self._ready and found is None:
            rank = self._ready[0]
            if self._waiting.get(rank[2]) != rank:
                heapq.heappop(self._ready)
            elif rank[2] in held:
                aside.append(heapq.heappop(self._ready))
            else:
                found = self._jobs[rank[2]]
        for rank in aside:
            heapq.heappush(self._ready, rank)
        return found

    def next_due_us(self) -> int | None:
        """Return when the next job is to be tried again, None if none waits for its time."""
        while self._later and not self._is_due_at(*self._later[0]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def _is_suspect(self, ref: Ref) -> bool:
        job = self._jobs.get(ref)
        return job is not None and is_suspect(job)

    def _is_due_at(self, due_us: int, ref: Ref) -> bool:
        job = self._jobs.get(ref)
        return job is not None and job.progress.state is JobState.Retry and job.progress.due_us == due_us

    def _wake(self, now_us: int) -> None:
        """Let the jobs whose time has come take their places."""
        while (due_us := self.next_due_us()) is not None and due_us <= now_us:
            self._wait(self._jobs[heapq.heappop(self._later)[1]])

    def _wait(self, job: Job) -> None:
        rank = (-job.priority, job.progress.queued, job.ref)
        if self._waiting.get(job.ref) != rank:
            self._waiting[job.ref] = rank
            heapq.heappush(self._ready, rank)
