"""Commands about jobs: from clients, from the scheduler, and from workers through it."""

from dataclasses import dataclass
from typing import Any, ClassVar

from actors.messages.commands.command import Command
from events.identifiers import BlobId, Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJob(Command):
    """Have something done in the background. Replies the job's Ref. Idempotent: the same id may be sent again."""

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    id: bytes  # 16, a UUID drawn by the caller
    type: str
    priority: int
    steps: int
    step_timeout_s: int
    attempts: int
    plan: dict[str, Any]  # plain values
    user_data: str  # JSON; "" for none
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlJob(Command):
    """Carry out a client's order: pause, resume, cancel, resubmit, forget. Replies whether that can be done.

    Raises NotFound.
    """

    ACTOR: ClassVar[str] = "rest"
    IS_RECORD: ClassVar[bool] = True
    id: bytes
    word: str  # of actors.messages.job_states.Word
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DropJobOutput(Command):
    """Remove a file that a job made. Raises NotFound."""

    ACTOR: ClassVar[str] = "rest"
    FREES_SPACE: ClassVar[bool] = True
    IS_RECORD: ClassVar[bool] = True
    id: bytes
    key: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJob(Command):
    """Begin a run. Replies its number, None if the job does not wait for one."""

    ACTOR: ClassVar[str] = "jobs"
    IS_RECORD: ClassVar[bool] = True
    job: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJobStep(Command):
    """Record a checkpoint. Replies whether the run goes on. Idempotent: a step that is done already may be sent again."""

    ACTOR: ClassVar[str] = "jobs"
    IS_RECORD: ClassVar[bool] = True
    job: Ref
    run: int
    step: int
    code: int  # 0, or of the error that was passed over


@dataclass(frozen=True, slots=True, kw_only=True)
class AddJobOutput(Command):
    """Record a file that a job made; it is durable as `blob`. Replies whether the job takes it."""

    ACTOR: ClassVar[str] = "jobs"
    job: Ref
    run: int
    key: str
    blob: BlobId
    size_bytes: int
    media_type: str
    filename: str
    keep: int = 0  # how many files of this key stay, of all jobs, the newest; 0: all


@dataclass(frozen=True, slots=True, kw_only=True)
class EndJob(Command):
    """End a run whose steps are all done. Replies whether the job has succeeded."""

    ACTOR: ClassVar[str] = "jobs"
    IS_RECORD: ClassVar[bool] = True
    job: Ref
    run: int
    result: dict[str, Any]  # plain values


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJob(Command):
    """End a run that met an error: for good, or until `delay_ms` have passed."""

    ACTOR: ClassVar[str] = "jobs"
    IS_RECORD: ClassVar[bool] = True
    job: Ref
    run: int
    code: int
    details: str
    delay_ms: int | None  # None: for good


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptJob(Command):
    """End a run whose worker is gone, or gave the job back."""

    ACTOR: ClassVar[str] = "jobs"
    IS_RECORD: ClassVar[bool] = True
    job: Ref
    run: int
    is_crash: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimJobs(Command):
    """Forget the completed jobs that are older than the newest `keep` ones."""

    ACTOR: ClassVar[str] = "jobs"
    FREES_SPACE: ClassVar[bool] = True
    IS_RECORD: ClassVar[bool] = True
    keep: int
