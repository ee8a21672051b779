"""Commands about files: damage to those of instances, their folders, and files to remove."""

from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command
from events.identifiers import BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDamage(Command):
    """Record that the file of an instance is gone or damaged. Replies whether an instance has that file."""

    ACTOR: ClassVar[str] = "storage"
    IS_RECORD: ClassVar[bool] = True
    blob: BlobId
    kind: str  # of store.blobs.damage.Kind
    found_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecovery(Command):
    """Record that a file which was damaged is whole again. Replies whether an instance has that file."""

    ACTOR: ClassVar[str] = "storage"
    IS_RECORD: ClassVar[bool] = True
    blob: BlobId


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFolder(Command):
    """Lease a new blob folder to a process. Replies its number."""

    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeFolders(Command):
    """Take all folders from a process that is gone: what it still has under way is refused. Replies their numbers."""

    FREES_SPACE: ClassVar[bool] = True
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireFolder(Command):
    """Forget a folder that has been swept, or whose owner has finished every file of it."""

    FREES_SPACE: ClassVar[bool] = True
    folder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetCondemned(Command):
    """Forget condemned blobs whose files are gone."""

    FREES_SPACE: ClassVar[bool] = True
    blobs: list[BlobId]
