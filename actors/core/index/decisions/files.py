"""Decisions about files: damage to those of instances, and which folders and files belong to whom.

Leases of folders and condemned files are no facts of the archive, so they are no events.
"""

from actors.core.index.context import NOTHING, Context, Decisions, Planned, Steps
from actors.core.index.reading import find_visible, read_row, surrogate_of_resource
from actors.messages.commands import files as commands
from actors.messages.commands.instances import StoreInstance
from events import files as events
from events.identifiers import BlobId, Level, Ref, ResourceId
from events.received import ReceivedInstance, facts
from store.batch import Batch
from store.projections import rows
from store.projections.files import unpack_damaged
from store.tables import BLOBS, CONDEMNED, DAMAGED_FILES, LEASES, META, NEXT_FOLDER, U64, key


def _report(command: commands.ReportDamage | commands.ReportRecovery, context: Context) -> Steps:
    """Yield the event, unless it would say again what the last one has said. Replies whether the file is wanted."""
    ref = _owner(context.batch, command.blob)
    context.outcome.reply = ref is not None
    if ref is None:
        return
    row = context.batch.get(DAMAGED_FILES, key(ref))
    known = None if row is None else unpack_damaged(row).kind
    event: events.FileDamaged | events.FileRecovered
    if isinstance(command, commands.ReportRecovery):
        if known is None:
            return
        event = events.FileRecovered(instance=ref, blob=command.blob)
    else:
        if known == command.kind:
            return
        event = events.FileDamaged(instance=ref, blob=command.blob, kind=command.kind, found_bytes=command.found_bytes)
    yield Planned(event, surrogate_of_resource(context.batch, Level.INSTANCE, ref))


def heal(command: StoreInstance, ref: Ref, context: Context) -> Steps:
    """Yield the event by which an instance has the file that came now."""
    event = events.FileHealed(instance=ref, damaged=BlobId(command.heals), **facts(ReceivedInstance, command))
    yield Planned(event, surrogate_of_resource(context.batch, Level.INSTANCE, ref))


def _owner(batch: Batch, blob: BlobId) -> Ref | None:
    """Return the instance that a file belongs to, if it can be seen."""
    owner = batch.get(BLOBS, blob)
    if owner is None:
        return None
    ref = Ref(U64.unpack(owner)[0])
    resource = ResourceId(read_row(batch, Level.INSTANCE, ref)[rows.ID])
    return ref if find_visible(batch, Level.INSTANCE, resource) == ref else None


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
