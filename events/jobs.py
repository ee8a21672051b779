"""Events about jobs: what is worked on in the background, step by step.

A job is its events. Each has the job's own aggregate, eight random bytes drawn when the job is submitted; `job` is the
sequence of `JobSubmitted`. The plan (which resources, where to, drawn UIDs) is recorded once, there; afterwards a
finished step costs one small event without a personal part.

`run` counts how often a job was started, so that what a worker says after its run has ended is known as late.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from events.event import Event, personal
from events.identifiers import BlobId, Ref


class JobEvent(Event):
    """Family of the events that concern jobs."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSubmitted(JobEvent):
    """Somebody wants something done; it waits for a worker."""

    TAG: ClassVar[str] = "job-submitted/1"
    id: bytes  # 16 bytes, a UUID: the job's name for clients
    type: str  # which operation carries it out: DicomModalityStore …
    priority: int  # higher goes first
    steps: int
    step_timeout_s: int  # a step that takes longer is ended, with its worker
    attempts: int  # how often it may be begun before an error is final
    plan: dict[str, Any] = personal(secret_keys=("headers", "secret"))  # plain values, as the operation defines them
    user_data: str = personal()  # JSON; "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted(JobEvent):
    """A worker has taken the job up, at its last checkpoint."""

    TAG: ClassVar[str] = "job-started/1"
    job: Ref
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStepFinished(JobEvent):
    """A checkpoint: this step, and so every one before it, is done and will not be begun again."""

    TAG: ClassVar[str] = "job-step-finished/1"
    job: Ref
    step: int  # from 0
    code: int  # 0, or Orthanc's number of the error that a permissive job passed over


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutputAdded(JobEvent):
    """The job made a file for clients to fetch; it goes when the job is forgotten."""

    TAG: ClassVar[str] = "job-output-added/1"
    job: Ref
    key: str  # as in /jobs/{id}/{key}
    blob: BlobId
    size_bytes: int
    media_type: str
    filename: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutputDropped(JobEvent):
    """A file of the job was deleted on request, or made room for newer ones (MediaArchiveSize)."""

    TAG: ClassVar[str] = "job-output-dropped/1"
    job: Ref
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInterrupted(JobEvent):
    """The run ended without a word: its process died, or the server stopped. The job waits for a worker again."""

    TAG: ClassVar[str] = "job-interrupted/1"
    job: Ref
    is_crash: bool  # something died, and the job may be why; False where the server stopped in order


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPaused(JobEvent):
    """No further step is begun until the job is resumed."""

    TAG: ClassVar[str] = "job-paused/1"
    job: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResumed(JobEvent):
    """A paused job waits for a worker again."""

    TAG: ClassVar[str] = "job-resumed/1"
    job: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class JobCancelled(JobEvent):
    """Somebody gave the job up; what was done stays done."""

    TAG: ClassVar[str] = "job-cancelled/1"
    job: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRetryScheduled(JobEvent):
    """A step failed in a way that may pass; it is tried again after a while."""

    TAG: ClassVar[str] = "job-retry-scheduled/1"
    job: Ref
    delay_ms: int  # after this event
    code: int  # Orthanc's number of the error
    details: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSucceeded(JobEvent):
    """Every step is done."""

    TAG: ClassVar[str] = "job-succeeded/1"
    job: Ref
    result: dict[str, Any] = personal()  # what the operation adds to the job's content; plain values


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFailed(JobEvent):
    """The job ended before its last step."""

    TAG: ClassVar[str] = "job-failed/1"
    job: Ref
    code: int  # Orthanc's number of the error
    details: str = personal()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResubmitted(JobEvent):
    """A failed job begins again, with its first step."""

    TAG: ClassVar[str] = "job-resubmitted/1"
    job: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class JobForgotten(JobEvent):
    """A completed job left the list of jobs (JobsHistorySize, or `DELETE /jobs/{id}`). The log keeps its events."""

    TAG: ClassVar[str] = "job-forgotten/1"
    job: Ref
