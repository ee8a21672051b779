"""What the index can be asked to do. Plain values: they travel between processes (`actors.bridge`)."""

from collections.abc import Mapping
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
class PurgeRows(Command):
    """Remove the next rows of a deleted resource."""

    ACTOR: ClassVar[str] = "storage"
    resource: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleResource(Command):
    """Declare a resource stable, if nothing arrived since `last_seq`."""

    ACTOR: ClassVar[str] = "stable-tracker"
    level: Level
    resource: Ref
    last_seq: Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearChanges(Command):
    ACTOR: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearExports(Command):
    ACTOR: ClassVar[str] = "rest"


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


COMMANDS: dict[str, type[Command]] = {
    command.__name__: command
    for command in (
        StoreInstance,
        DeleteResource,
        RetractInstance,
        PurgeRows,
        SettleResource,
        ClearChanges,
        ClearExports,
        SetSetting,
        OpenFolder,
        RevokeFolders,
        RetireFolder,
        ForgetCondemned,
        SaveCursor,
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


def origin_fields(origin: Origin) -> dict[str, str]:
    """Return the fields of StoreInstance that an origin gives."""
    return {
        "origin": origin.kind,
        "remote_ip": origin.remote_ip,
        "remote_aet": origin.remote_aet,
        "called_aet": origin.called_aet,
        "username": origin.username,
    }
