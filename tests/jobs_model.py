"""The jobs as plain Python values: what each command to the index does to them, with neither table nor database.

Written from what the engine promises (docs/jobs.md), in other words than its code: the property test holds the two
side by side after every commit.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actors.messages.commands.command import Command
from actors.messages.commands.jobs import (
    AddJobOutput,
    ControlJob,
    DropJobOutput,
    EndJob,
    FailJob,
    FinishJobStep,
    InterruptJob,
    StartJob,
    SubmitJob,
    TrimJobs,
)
from events.errors import InvalidRequest, NotFound
from store.projections.job_rows import JobState, Progress

CRASHES_BEFORE_BLAME = 3
CANCELLED, CRASHED = 37, -1

Pending, Running, Paused, Retry = JobState.Pending, JobState.Running, JobState.Paused, JobState.Retry
Success, Failure = JobState.Success, JobState.Failure
WAITING, UNFINISHED = (Pending, Retry), (Pending, Running, Paused, Retry)

# What may happen to a job, and how it stands then: its history has to be a walk through this.
HISTORY: dict[tuple[JobState | None, str], JobState | None] = {
    (None, "JobSubmitted"): Pending,
    (Pending, "JobStarted"): Running,
    (Retry, "JobStarted"): Running,
    (Running, "JobInterrupted"): Pending,
    (Running, "JobRetryScheduled"): Retry,
    (Running, "JobSucceeded"): Success,
    (Running, "JobFailed"): Failure,
    (Running, "JobOutputAdded"): Running,
    (Success, "JobOutputDropped"): Success,
    (Failure, "JobOutputDropped"): Failure,
    **{(state, "JobStepFinished"): state for state in UNFINISHED},
    **{(state, "JobPaused"): Paused for state in (Pending, Running, Retry)},
    (Paused, "JobResumed"): Pending,
    **{(state, "JobCancelled"): Failure for state in UNFINISHED},
    (Failure, "JobResubmitted"): Pending,
    (Success, "JobForgotten"): None,
    (Failure, "JobForgotten"): None,
}


@dataclass
class ModelJob:
    ref: int
    id: bytes
    steps: int
    state: JobState = Pending
    run: int = 0
    life: int = 0  # how often it was resubmitted
    lives: dict[int, int] = field(default_factory=dict)  # run -> life
    position: int = 0
    failures: dict[int, int] = field(default_factory=dict)  # step -> code
    tries: int = 0
    crashes: int = 0
    code: int = 0
    queued: int = 0
    last: int = 0
    outcome: int = 0
    completion: int = 0
    due_us: int = 0
    started_us: int = 0
    changed_us: int = 0
    runtime_us: int = 0
    completed_us: int = 0
    outputs: dict[str, bytes] = field(default_factory=dict)

    def progress(self) -> Progress:
        names = [name for name in Progress.__slots__ if name != "failed"]
        return Progress(**{name: getattr(self, name) for name in names}, failed=len(self.failures))


class JobsModel:
    """Executes commands one by one."""

    def __init__(self, clock: Callable[[], int], head: int) -> None:
        self._clock = clock
        self.head = head
        self.at_us = 0
        self.jobs: dict[int, ModelJob] = {}
        self.submitted: dict[bytes, int] = {}
        self.forgotten: list[int] = []
        self.condemned: set[bytes] = set()
        self.events: list[tuple[str, int]] = []  # class, job: of the last command

    def execute(self, command: Command) -> Any:
        """Return the reply, or the class of the error that refuses it; `events` says what is logged."""
        self.events = []
        match command:
            case SubmitJob():
                return self._submit(command)
            case TrimJobs():
                self._trim(command.keep)
                return None
            case ControlJob() | DropJobOutput():
                job = self._by_id(command.id)
                if job is None:
                    return NotFound
                return self._drop(job, command.key) if isinstance(command, DropJobOutput) else self._wish(job, command)
            case StartJob():
                return self._start(self.jobs.get(command.job))
            case FinishJobStep() | AddJobOutput() | EndJob() | FailJob() | InterruptJob():
                job = self.jobs.get(command.job)
                if job is None or job.run != command.run:
                    return False
                return self._hear(job, command)
        raise TypeError(command)

    def unfinished(self) -> list[ModelJob]:
        return [job for job in self.jobs.values() if job.state in UNFINISHED]

    def _by_id(self, name: bytes) -> ModelJob | None:
        return next((job for job in self.jobs.values() if job.id == name), None)

    def _happen(self, event: str, job: ModelJob, state: JobState | None = None) -> int:
        """Take down an event; returns its sequence."""
        self.head += 1
        self.at_us = max(self.at_us, self._clock())
        self.events.append((event, job.ref))
        if job.state is Running and state not in (None, Running):
            job.runtime_us += self.at_us - job.started_us
        if state in (Success, Failure):
            job.completion, job.completed_us, job.outcome = self.head, self.at_us, self.head
        job.state = state or job.state
        job.last, job.changed_us = self.head, self.at_us
        return self.head

    def _submit(self, command: SubmitJob) -> int:
        known = self._by_id(command.id)
        if known is not None:
            return known.ref
        job = ModelJob(ref=self.head + 1, id=command.id, steps=command.steps)
        job.queued = self._happen("JobSubmitted", job)
        self.jobs[job.ref] = job
        self.submitted[command.id] = job.ref
        return job.ref

    def _start(self, job: ModelJob | None) -> int | None:
        if job is None or job.state not in WAITING:
            return None
        self._happen("JobStarted", job, Running)
        job.run += 1
        job.lives[job.run] = job.life
        job.code = job.outcome = job.due_us = 0
        job.started_us = self.at_us
        return job.run

    def _wish(self, job: ModelJob, command: ControlJob) -> bool:
        match command.word:
            case "pause":
                if job.state in (Pending, Running, Retry):
                    self._happen("JobPaused", job, Paused)
                return True
            case "resume":
                if job.state is not Paused:
                    return False
                job.queued = self._happen("JobResumed", job, Pending)
            case "cancel":
                if job.state in UNFINISHED:
                    self._happen("JobCancelled", job, Failure)
                    job.code = CANCELLED
            case "resubmit":
                if job.state is not Failure:
                    return False
                self._resubmit(job)
            case "forget":
                if job.state in UNFINISHED:
                    return False
                self._forget(job)
        return True

    def _resubmit(self, job: ModelJob) -> None:
        job.queued = self._happen("JobResubmitted", job, Pending)
        job.run += 1
        job.life += 1
        job.position = job.tries = job.crashes = job.completion = job.completed_us = 0
        job.due_us = job.started_us = job.runtime_us = 0
        job.failures = {}

    def _forget(self, job: ModelJob) -> None:
        self._happen("JobForgotten", job)
        self.condemned |= set(job.outputs.values())
        self.forgotten.append(job.ref)
        del self.jobs[job.ref]

    def _trim(self, keep: int) -> None:
        completed = sorted((job for job in self.jobs.values() if job.completion), key=lambda job: job.completion)
        for job in completed[: max(len(completed) - keep, 0)]:
            self._forget(job)

    def _drop(self, job: ModelJob, name: str) -> type[Exception] | None:
        if job.state in UNFINISHED or name not in job.outputs:
            return NotFound
        self._happen("JobOutputDropped", job)
        self.condemned.add(job.outputs.pop(name))
        return None

    def _hear(self, job: ModelJob, command: Command) -> bool | type[Exception]:
        if isinstance(command, FinishJobStep):
            return self._finish_step(job, command)
        if job.state is not Running:
            return False
        match command:
            case AddJobOutput() if job.outputs.get(command.key) == command.blob:
                pass  # sent again
            case AddJobOutput():
                self._happen("JobOutputAdded", job)
                if command.key in job.outputs:
                    self.condemned.add(job.outputs[command.key])
                job.outputs[command.key] = command.blob
            case EndJob():
                if job.position < job.steps:
                    return InvalidRequest
                self._happen("JobSucceeded", job, Success)
            case FailJob(delay_ms=None):
                self._happen("JobFailed", job, Failure)
                job.code = command.code
            case FailJob(delay_ms=int(delay_ms)):
                job.outcome = self._happen("JobRetryScheduled", job, Retry)
                job.tries += 1
                job.code = command.code
                job.due_us = self.at_us + delay_ms * 1_000
            case InterruptJob():
                if command.is_crash and job.crashes + 1 == CRASHES_BEFORE_BLAME:
                    self._happen("JobFailed", job, Failure)
                    job.code = CRASHED
                else:
                    self._happen("JobInterrupted", job, Pending)
                    job.crashes += command.is_crash
        return True

    def _finish_step(self, job: ModelJob, command: FinishJobStep) -> bool | type[Exception]:
        if job.state not in UNFINISHED:
            return False
        if command.step > job.position or command.step >= job.steps:
            return InvalidRequest
        if command.step == job.position:
            self._happen("JobStepFinished", job)
            job.position += 1
            job.tries = job.crashes = 0
            if command.code:
                job.failures[command.step] = command.code
        return job.state is Running
