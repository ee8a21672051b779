"""The rows of jobs: one that is written once, and one of fixed size for the progress."""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

import msgpack

from events.identifiers import BlobId, Ref, Seq
from events.jobs import JobSubmitted
from store.damaged_rows import decodes
from store.log import Appended, GetRow
from store.tables import JOB_PROGRESS, JOBS, key

# state, run, position, failed steps, tries, crashes, code; sequences: queued, last event, outcome, completion;
# times: due, started, changed, runtime, completed
_PROGRESS = Struct(">BIIIHHhQQQQQQQQQ")
PROGRESS_BYTES = _PROGRESS.size
NEVER = Seq(0)


class JobState(IntEnum):
    """Orthanc's states, named as in its JSON."""

    Pending = 1
    Running = 2
    Success = 3
    Failure = 4
    Paused = 5
    Retry = 6

    @property
    def is_completed(self) -> bool:
        """Whether the job has ended, well or not."""
        return self in {JobState.Success, JobState.Failure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What changes of a job. Times are UTC in microseconds, 0 for never."""

    state: JobState = JobState.Pending
    run: int = 0  # how often it was started or resubmitted
    position: int = 0  # steps done: the next one to begin
    failed: int = 0  # of these, the ones whose error was passed over
    tries: int = 0  # runs that ended in an error since the last checkpoint
    crashes: int = 0  # runs that died since the last checkpoint
    code: int = 0  # Orthanc's number of the last run's error
    queued: Seq = NEVER  # since when it waits for a worker: the event that put it there
    last: Seq = NEVER  # its latest event
    outcome: Seq = NEVER  # the event that holds the last run's result or error details
    completion: Seq = NEVER
    due_us: int = 0  # in Retry: not before
    started_us: int = 0  # of the last run
    changed_us: int = 0  # of the latest event
    runtime_us: int = 0  # of all runs that have ended
    completed_us: int = 0

    def pack(self) -> bytes:
        return _PROGRESS.pack(
            self.state,
            self.run,
            self.position,
            self.failed,
            min(self.tries, 0xFFFF),
            min(self.crashes, 0xFFFF),
            self.code,
            self.queued,
            self.last,
            self.outcome,
            self.completion,
            self.due_us,
            self.started_us,
            self.changed_us,
            self.runtime_us,
            self.completed_us,
        )


@decodes
def unpack_progress(row: bytes) -> Progress:
    values = _PROGRESS.unpack(row)
    names = Progress.__slots__
    return Progress(**{**dict(zip(names, values, strict=True)), "state": JobState(values[0])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the read models hold it; its plan lies in the log."""

    ref: Ref
    id: bytes  # 16, a UUID
    type: str
    priority: int
    steps: int
    step_timeout_s: int
    attempts: int
    created_us: int
    aggregate: bytes
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a job made."""

    blob: BlobId
    size_bytes: int
    media_type: str
    added: Seq  # the event that holds its name


def job_of(submitted: Appended[JobSubmitted], progress: Progress) -> Job:
    """Return a job as its first event has it, with a progress."""
    event = submitted.event
    return Job(
        ref=Ref(submitted.seq),
        id=event.id,
        type=event.type,
        priority=event.priority,
        steps=event.steps,
        step_timeout_s=event.step_timeout_s,
        attempts=event.attempts,
        created_us=submitted.at_us,
        aggregate=submitted.aggregate,
        progress=progress,
    )


def read_job(get: GetRow, ref: Ref) -> Job | None:
    """Return a job as it stands, None if it is forgotten."""
    row, progress = get(JOBS, key(ref)), get(JOB_PROGRESS, key(ref))
    return None if row is None or progress is None else unpack_job(ref, row, progress)


def pack_job(job: Job) -> bytes:
    """Return the row that is written once."""
    values = (job.id, job.type, job.priority, job.steps, job.step_timeout_s, job.attempts)
    packed: bytes = msgpack.packb([*values, job.created_us, job.aggregate])
    return packed


@decodes
def unpack_job(ref: Ref, row: bytes, progress: bytes) -> Job:
    """Decode a job from its fixed row and its progress."""
    name, kind, priority, steps, step_timeout_s, attempts, created_us, aggregate = msgpack.unpackb(row)
    return Job(
        ref=ref,
        id=name,
        type=kind,
        priority=priority,
        steps=steps,
        step_timeout_s=step_timeout_s,
        attempts=attempts,
        created_us=created_us,
        aggregate=aggregate,
        progress=unpack_progress(progress),
    )


def pack_output(output: Output) -> bytes:
    packed: bytes = msgpack.packb([output.blob, output.size_bytes, output.media_type, output.added])
    return packed


@decodes
def unpack_output(row: bytes) -> Output:
    blob, size_bytes, media_type, added = msgpack.unpackb(row)
    return Output(blob=blob, size_bytes=size_bytes, media_type=media_type, added=Seq(added))
