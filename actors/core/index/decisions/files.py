"""Decisions about files: damage to them, and which folders and files belong to whom.

Leases of folders and condemned files are no facts of the archive, so they are no events.
"""

from dataclasses import dataclass

from actors.core.index.context import NOTHING, Context, Decisions, Planned, Steps
from actors.core.index.reading import find_visible, read_row, surrogate_of_resource
from actors.messages.commands import files as commands
from actors.messages.commands.instances import StoreInstance
from events import attachments
from events import files as events
from events.attachments import DICOM
from events.errors import FolderRevoked
from events.event import Event
from events.identifiers import BlobId, Level, Ref, ResourceId
from events.received import ReceivedInstance, facts
from store.batch import Batch
from store.blobs.writer import folder_number, is_kept
from store.projections import rows
from store.projections.attachments import unpack_attachment
from store.projections.files import unpack_damaged
from store.tables import (
    ATTACHMENTS,
    BLOBS,
    CONDEMNED,
    DAMAGED_FILES,
    LEASES,
    META,
    NEXT_FOLDER,
    U64,
    is_attachment_key,
    key,
)


def _report(command: commands.ReportDamage | commands.ReportRecovery, context: Context) -> Steps:
    """Yield the event, unless it would say again what the last one has said. Replies whether the file is wanted."""
    owner = _owner(context.batch, command.blob)
    context.outcome.reply = owner is not None
    if owner is None:
        return
    row = context.batch.get(DAMAGED_FILES, owner.key)
    known = None if row is None else unpack_damaged(row).kind
    if known == (command.kind if isinstance(command, commands.ReportDamage) else None):
        return
    event = (
        _recovered(command.blob, owner) if isinstance(command, commands.ReportRecovery) else _damaged(command, owner)
    )
    yield Planned(event, surrogate_of_resource(context.batch, owner.level, owner.ref))


@dataclass(frozen=True, slots=True)
class _Owner:
    """What a file belongs to."""

    key: bytes  # of its row in `damaged-files`
    level: Level
    ref: Ref
    number: int  # of the attachment


def _damaged(command: commands.ReportDamage, owner: _Owner) -> Event:
    if owner.number == DICOM:
        return events.FileDamaged(
            instance=owner.ref, blob=command.blob, kind=command.kind, found_bytes=command.found_bytes
        )
    return attachments.AttachmentDamaged(
        level=owner.level,
        resource=owner.ref,
        number=owner.number,
        blob=command.blob,
        kind=command.kind,
        found_bytes=command.found_bytes,
    )


def _recovered(blob: BlobId, owner: _Owner) -> Event:
    if owner.number == DICOM:
        return events.FileRecovered(instance=owner.ref, blob=blob)
    return attachments.AttachmentRecovered(level=owner.level, resource=owner.ref, number=owner.number, blob=blob)


def heal(command: StoreInstance, ref: Ref) -> events.FileHealed:
    """Return the event by which an instance has the file that came now."""
    return events.FileHealed(instance=ref, damaged=BlobId(command.heals), **facts(ReceivedInstance, command))


def check_lease(blob: BlobId, batch: Batch) -> None:
    """Raises FolderRevoked for a file of a process that has lost its folders: a sweep may remove it."""
    if is_kept(blob) and not batch.get(LEASES, key(folder_number(blob))):
        raise FolderRevoked("the process that received this has been replaced; send it again")


def _owner(batch: Batch, blob: BlobId) -> _Owner | None:
    """Return what a file belongs to, if it can be seen."""
    owner = batch.get(BLOBS, blob)
    if owner is None:
        return None
    if is_attachment_key(owner):
        attachment = unpack_attachment(owner, batch.get(ATTACHMENTS, owner) or b"")
        found = _Owner(owner, attachment.level, attachment.ref, attachment.number)
    else:
        found = _Owner(owner, Level.INSTANCE, Ref(U64.unpack(owner)[0]), DICOM)
    resource = ResourceId(read_row(batch, found.level, found.ref)[rows.ID])
    return found if find_visible(batch, found.level, resource) == found.ref else None


# -- folders and files that are to go: no events ----------------------------------------------------------------------


def _open_folder(command: commands.OpenFolder, context: Context) -> Steps:
    number = int.from_bytes(context.batch.get(META, NEXT_FOLDER) or b"\1", "big")
    context.batch.put(META, NEXT_FOLDER, key(number + 1))
    context.batch.put(LEASES, key(number), command.owner.encode())
    context.outcome.reply = number
    return NOTHING


def _revoke_folders(command: commands.RevokeFolders, context: Context) -> Steps:
    owned = [k for k, owner in context.batch.items(LEASES, b"") if owner == command.owner.encode()]
    for lease in owned:
        # A revoked folder stays known until it is swept, under an owner that no process has.
        context.batch.put(LEASES, lease, b"")
    context.outcome.reply = [U64.unpack(lease)[0] for lease in owned]
    return NOTHING


def _retire_folder(command: commands.RetireFolder, context: Context) -> Steps:
    context.batch.delete(LEASES, key(command.folder))
    return NOTHING


def _forget_condemned(command: commands.ForgetCondemned, context: Context) -> Steps:
    for blob in command.blobs:
        context.batch.delete(CONDEMNED, blob)
    return NOTHING


DECISIONS: Decisions = {
    commands.ReportDamage: _report,
    commands.ReportRecovery: _report,
    commands.OpenFolder: _open_folder,
    commands.RevokeFolders: _revoke_folders,
    commands.RetireFolder: _retire_folder,
    commands.ForgetCondemned: _forget_condemned,
}
