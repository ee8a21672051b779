"""The rows of jobs: one that is written once, and one of fixed size for the progress."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from operator import attrgetter
from struct import Struct
from typing import Any

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
_MOST_COUNTED = 0xFFFF


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
        clipped = min(self.tries, _MOST_COUNTED), min(self.crashes, _MOST_COUNTED)
        return _PROGRESS.pack(*_before(self), *clipped, *_after(self))


# The values of a progress row, in order; two of them are clipped.
_NAMES = tuple(f.name for f in fields(Progress))
_before, _after = attrgetter(*_NAMES[: _NAMES.index("tries")]), attrgetter(*_NAMES[_NAMES.index("code") :])


@decodes
def unpack_progress(row: bytes) -> Progress:
    values = _PROGRESS.unpack(row)
    return Progress(**{**dict(zip(_NAMES, values, strict=True)), "state": JobState(values[0])})


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


# What is submitted, and so the row that is written once, but for when and by which aggregate.
_SUBMITTED = ("id", "type", "priority", "steps", "step_timeout_s", "attempts")
_submitted = attrgetter(*_SUBMITTED)


def job_of(submitted: Appended[JobSubmitted], progress: Progress) -> Job:
    """Return a job as its first event has it, with a progress."""
    known = (*_submitted(submitted.event), submitted.at_us, submitted.aggregate)
    return _make_job(Ref(submitted.seq), known, progress)


def _make_job(ref: Ref, known: Sequence[Any], progress: Progress) -> Job:
    names = (*_SUBMITTED, "created_us", "aggregate")
    return Job(ref=ref, progress=progress, **dict(zip(names, known, strict=True)))


def read_job(get: GetRow, ref: Ref) -> Job | None:
    """Return a job as it stands, None if it is forgotten."""
    row, progress = get(JOBS, key(ref)), get(JOB_PROGRESS, key(ref))
    return None if row is None or progress is None else unpack_job(ref, row, progress)


def pack_job(job: Job) -> bytes:
    """Return the row that is written once."""
    packed: bytes = msgpack.packb([*_submitted(job), job.created_us, job.aggregate])
    return packed


@decodes
def unpack_job(ref: Ref, row: bytes, progress: bytes) -> Job:
    """Decode a job from its fixed row and its progress."""
    return _make_job(ref, msgpack.unpackb(row), unpack_progress(progress))


def pack_output(output: Output) -> bytes:
    packed: bytes = msgpack.packb([output.blob, output.size_bytes, output.media_type, output.added])
    return packed


@decodes
def unpack_output(row: bytes) -> Output:
    blob, size_bytes, media_type, added = msgpack.unpackb(row)
    return Output(blob=blob, size_bytes=size_bytes, media_type=media_type, added=Seq(added))
