"""Commands about stored patients, studies, series and instances: their removal and their stability."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command
from events.identifiers import BlobId, Level, Ref, ResourceId, Seq


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource(Command):
    """Remove a resource with all below it. Replies the remaining ancestor. Raises NotFound.

    With `before`, only if all of it was there before that event: else raises RevisionConflict, and nothing is removed.
    """

    ACTOR: ClassVar[str] = "rest"
    FREES_SPACE: ClassVar[bool] = True
    level: Level
    id: ResourceId
    remote_ip: str
    username: str
    correlation: bytes
    before: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetractInstance(Command):
    """Remove an instance whose file could not be made durable: it was never acknowledged. Nothing, if it is unknown."""

    ACTOR: ClassVar[str] = "storage"
    FREES_SPACE: ClassVar[bool] = True
    blob: BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeRows(Command):
    """Remove the next rows of a deleted resource."""

    ACTOR: ClassVar[str] = "storage"
    FREES_SPACE: ClassVar[bool] = True
    resource: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleResources(Command):
    """Declare resources stable, each if nothing arrived since the last instance that is named with it."""

    ACTOR: ClassVar[str] = "stable-tracker"
    resources: Sequence[tuple[Level, Ref, Seq]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStability(Command):
    """Declare a patient, study or series stable, or let it wait for StableAge again.

    Replies whether its state has changed. Raises NotFound, InvalidRequest for an instance.
    """

    ACTOR: ClassVar[str] = "lua"
    id: ResourceId
    is_stable: bool
    correlation: bytes
