"""Commands about attachments of patients, studies, series and instances."""

from dataclasses import dataclass
from typing import ClassVar

from actors.messages.commands.command import Command
from actors.messages.commands.revisions import RevisedCommand
from events.identifiers import BlobId, ResourceId
from events.stored_file import StoredFile


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAttachment(RevisedCommand, StoredFile):
    """Make a durable file an attachment, in place of any that is there. Replies its revision.

    Raises NotFound, InvalidRequest, RevisionConflict, FolderRevoked. Of whatever level the resource is, as in Orthanc. Idempotent: the same file may be sent again.
    """

    ACTOR: ClassVar[str] = "rest"
    id: ResourceId
    number: int
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveAttachment(RevisedCommand):
    """Remove an attachment. Replies whether there was one. Raises NotFound, InvalidRequest, RevisionConflict."""

    ACTOR: ClassVar[str] = "rest"
    FREES_SPACE: ClassVar[bool] = True
    id: ResourceId
    number: int
    correlation: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RepackAttachment(Command, StoredFile):
    """Let a durable file take the place of one with the same content, the DICOM file's, too. Replies whether that was still there.

    Raises NotFound, FolderRevoked.
    """

    ACTOR: ClassVar[str] = "rest"
    id: ResourceId
    number: int
    replaced: BlobId
    correlation: bytes
