"""What the index can be asked to do. Plain values: they travel between processes (`actors.wire.bridge`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from events.identifiers import BlobId, Level, Ref, ResourceId, Seq
from store.records import Origin


class Command:
    """Base of the commands; `ACTOR` is the name under which their events enter the log."""

    __slots__ = ()
    ACTOR: ClassVar[str] = "index"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInstance(Command):
    """Add a DICOM file that is durable as `blob`. Replies Stored. Idempotent: the same blob may be sent again."""

    ACTOR: ClassVar[str] = "ingest"
    patient: ResourceId
    study: ResourceId
    series: ResourceId
    instance: ResourceId
    tags: Mapping[int, Mapping[int, str]]  # level -> main DICOM tags
    blob: BlobId
    size_bytes: int
    md5: bytes
    transfer_syntax: str
    sop_class: str
    pixel_data_offset: int | None
    pixel_data_vr: str
    index_in_series: int | None
    expected_instances: int | None
    origin: str
    remote_ip: str
    remote_aet: str
    called_aet: str
    username: str
    correlation: bytes
    heals: bytes = b""  # the damaged blob of this instance that this one, durable already, takes the place of


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteDuplicate(Command):
    """Record that an instance which is there was sent again. Replies whether it is there."""

    ACTOR: ClassVar[str] = "ingest"
    id: ResourceId
    origin: str
    remote_ip: str
    remote_aet: str
    called_aet: str
    username: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource(Command):
    """Remove a resource with all below it. Replies the remaining ancestor. Raises NotFound."""

    ACTOR: ClassVar[str] = "rest"
    level: Level
    id: ResourceId
    remote_ip: str
    username: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractInstance(Command):
    """Remove an instance whose file could not be made durable: it was never acknowledged. Nothing, if it is unknown."""

    ACTOR: ClassVar[str] = "storage"
    blob: BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDamage(Command):
    """Record that the file of an instance is gone or damaged. Replies whether an instance has that file."""

    ACTOR: ClassVar[str] = "storage"
    blob: BlobId
    kind: str  # of store.blobs.damage.Kind
    found_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecovery(Command):
    """Record that a file which was damaged is whole again. Replies whether an instance has that file."""

    ACTOR: ClassVar[str] = "storage"
    blob: BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRows(Command):
    """Remove the next rows of a deleted resource."""

    ACTOR: ClassVar[str] = "storage"
    resource: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleResources(Command):
    """Declare resources stable, each if nothing arrived since the last instance that is named with it."""

    ACTOR: ClassVar[str] = "stable-tracker"
    resources: Sequence[tuple[Level, Ref, Seq]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStability(Command):
    """Declare a patient, study or series stable, or have it wait for StableAge anew.

    Replies whether its state has changed. Raises NotFound, InvalidRequest for an instance.
    """

    ACTOR: ClassVar[str] = "lua"
    id: ResourceId
    is_stable: bool
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearChanges(Command):
    ACTOR: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearExports(Command):
    ACTOR: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExports(Command):
    """Record in `/exports` what a client has had sent to a modality or peer."""

    ACTOR: ClassVar[str] = "rest"
    modality: str  # its symbolic name
    exports: list[Any]  # of [level, id, PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID]
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreModality(Command):
    """Add or replace a modality in the log; it outlives the run."""

    ACTOR: ClassVar[str] = "rest"
    values: dict[str, Any]  # of actors.services.remote.modality.to_plain
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveModality(Command):
    """Remove a modality from the log. Replies whether there was one."""

    ACTOR: ClassVar[str] = "rest"
    name: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSetting(Command):
    """Change a setting of all processes until the next start. Not an event: it does not outlive the run."""

    name: str
    value: Any  # plain values


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFolder(Command):
    """Lease a new blob folder to a process. Replies its number."""

    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeFolders(Command):
    """Take all folders from a process that is gone: what it still has under way is refused. Replies their numbers."""

    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireFolder(Command):
    """Forget a folder that has been swept, or whose owner has finished every file of it."""

    folder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetCondemned(Command):
    """Forget condemned blobs whose files are gone."""

    blobs: list[BlobId]


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveCursor(Command):
    """Record how far a consumer of the log has come."""

    consumer: str
    seq: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class DropCursor(Command):
    """Forget a consumer of the log: nothing waits for it any more."""

    consumer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Together(Command):
    """Carry out several commands in their order, all or none. Replies the list of their replies.

    Each is decided on what those before it have done. Raises what refuses the first of them that is refused.
    """

    commands: Sequence[list[Any]]  # of to_plain; none of them a Together itself


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJob(Command):
    """Have something done in the background. Replies the job's Ref. Idempotent: the same id may be sent again."""

    ACTOR: ClassVar[str] = "rest"
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
    """Carry out a client's wish: pause, resume, cancel, resubmit, forget. Replies whether that can be done.

    Raises NotFound.
    """

    ACTOR: ClassVar[str] = "rest"
    id: bytes
    word: str  # of actors.messages.job_states.Word
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DropJobOutput(Command):
    """Remove a file that a job made. Raises NotFound."""

    ACTOR: ClassVar[str] = "rest"
    id: bytes
    key: str
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJob(Command):
    """Begin a run. Replies its number, None if the job does not wait for one."""

    ACTOR: ClassVar[str] = "jobs"
    job: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishJobStep(Command):
    """Record a checkpoint. Replies whether the run goes on. Idempotent: a step that is done already may be sent again."""

    ACTOR: ClassVar[str] = "jobs"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class EndJob(Command):
    """End a run whose steps are all done. Replies whether the job has succeeded."""

    ACTOR: ClassVar[str] = "jobs"
    job: Ref
    run: int
    result: dict[str, Any]  # plain values


@dataclass(frozen=True, slots=True, kw_only=True)
class FailJob(Command):
    """End a run that met an error: for good, or until `delay_ms` have passed."""

    ACTOR: ClassVar[str] = "jobs"
    job: Ref
    run: int
    code: int
    details: str
    delay_ms: int | None  # None: for good


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptJob(Command):
    """End a run whose worker is gone, or gave the job back."""

    ACTOR: ClassVar[str] = "jobs"
    job: Ref
    run: int
    is_crash: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimJobs(Command):
    """Forget the completed jobs that are older than the newest `keep` ones."""

    ACTOR: ClassVar[str] = "jobs"
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCallbackFailure(Command):
    """Record that a callback has failed. Idempotent while it waits for another attempt."""

    ACTOR: ClassVar[str] = "lua"
    cause_seq: int  # of the event for which it was called; 0 for none
    number: int  # which of the callbacks that this event calls
    callback: str
    attempt: int  # from 1
    delay_ms: int  # until the next attempt; 0: there is none (if there were others, RecordCallbackSkip follows)
    cause: str
    message: str
    correlation: bytes = b""  # of the event for which it was called; likewise below


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCallbackRecovery(Command):
    """Record that a callback which waited for another attempt has succeeded. Nothing, if it does not wait."""

    ACTOR: ClassVar[str] = "lua"
    cause_seq: int
    number: int
    callback: str
    attempt: int  # the one that succeeded
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCallbackSkip(Command):
    """Record that a callback is given up; it does not wait for another attempt any more."""

    ACTOR: ClassVar[str] = "lua"
    cause_seq: int
    number: int
    callback: str
    attempts: int
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeyValue(Command):
    """Keep a value for scripts, in place of any that is there. Raises InvalidRequest for what is too long."""

    ACTOR: ClassVar[str] = "lua"
    store: bytes
    key: bytes
    value: bytes
    correlation: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteKeyValue(Command):
    """Remove a value that a script keeps. Replies whether there was one. Raises InvalidRequest."""

    ACTOR: ClassVar[str] = "lua"
    store: bytes
    key: bytes
    correlation: bytes = b""


COMMANDS: dict[str, type[Command]] = {
    command.__name__: command
    for command in (
        StoreInstance,
        NoteDuplicate,
        DeleteResource,
        RetractInstance,
        ReportDamage,
        ReportRecovery,
        PurgeRows,
        SettleResources,
        SetStability,
        ClearChanges,
        ClearExports,
        LogExports,
        StoreModality,
        RemoveModality,
        SetSetting,
        OpenFolder,
        RevokeFolders,
        RetireFolder,
        ForgetCondemned,
        SaveCursor,
        DropCursor,
        Together,
        SubmitJob,
        ControlJob,
        DropJobOutput,
        StartJob,
        FinishJobStep,
        AddJobOutput,
        EndJob,
        FailJob,
        InterruptJob,
        TrimJobs,
        RecordCallbackFailure,
        RecordCallbackRecovery,
        RecordCallbackSkip,
        StoreKeyValue,
        DeleteKeyValue,
    )
}


def to_plain(command: Command) -> list[Any]:
    """Return a command as plain values: its name, then its fields in order."""
    return [type(command).__name__, *(getattr(command, f.name) for f in fields(command))]  # type: ignore[arg-type]


def from_plain(values: list[Any]) -> Command:
    """Return the command behind plain values. Raises KeyError or TypeError for what is none."""
    command_type = COMMANDS[values[0]]
    names = [f.name for f in fields(command_type)]  # type: ignore[arg-type]
    return command_type(**dict(zip(names, values[1:], strict=True)))


def parts_of(command: Command) -> list[Command]:
    """Return the commands that one stands for: itself, as a rule."""
    return [from_plain(plain) for plain in command.commands] if isinstance(command, Together) else [command]


def origin_fields(origin: Origin) -> dict[str, str]:
    """Return the fields of a command that an origin gives."""
    return {
        "origin": origin.kind,
        "remote_ip": origin.remote_ip,
        "remote_aet": origin.remote_aet,
        "called_aet": origin.called_aet,
        "username": origin.username,
    }
