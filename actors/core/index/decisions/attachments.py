"""Which events attachments cause that clients set, remove, compress or do not compress any more."""

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.decisions.files import check_lease
from actors.core.index.decisions.recycling import make_room_for
from actors.core.index.decisions.revisions import check_seen
from actors.core.index.reading import find_any, surrogate_of_resource
from actors.messages.commands import attachments as commands
from actors.messages.commands.instances import StoreInstance
from actors.messages.commands.revisions import RevisedCommand
from events import attachments as events
from events.errors import InvalidRequest
from events.identifiers import Level, Ref, ResourceId
from events.received import facts
from events.stored_file import StoredFile
from store.batch import Batch
from store.projections import rows
from store.projections.attachments import Attachment, unpack_attachment
from store.tables import ATTACHMENTS, INSTANCES, attachment_key, key


def _set(command: commands.SetAttachment, context: Context) -> Steps:
    _check_number(command.number)
    level, ref = find_any(context.batch, ResourceId(command.id))
    old = _find(context.batch, ref, command.number)
    if old is not None and old.blob == command.blob:
        context.outcome.reply = old.revision
        return
    _check_seen(command, old)
    check_lease(command.blob, context.batch)
    yield from make_room_for(context, level, ref, command.disk_bytes, 0 if old is None else old.disk_bytes)
    context.outcome.reply = revision = 0 if old is None else old.revision + 1
    context.outcome.condemned |= old is not None
    event = events.AttachmentSet(
        level=level,
        resource=ref,
        number=command.number,
        old_revision=None if old is None else old.revision,
        revision=revision,
        id=command.id,
        **facts(StoredFile, command),
    )
    yield Planned(event, surrogate_of_resource(context.batch, level, ref))


def _remove(command: commands.RemoveAttachment, context: Context) -> Steps:
    _check_number(command.number)
    level, ref = find_any(context.batch, ResourceId(command.id))
    old = _find(context.batch, ref, command.number)
    context.outcome.reply = context.outcome.condemned = old is not None
    if old is not None:
        _check_seen(command, old)
        event = events.AttachmentRemoved(
            level=level, resource=ref, number=command.number, old_revision=old.revision, id=command.id
        )
        yield Planned(event, surrogate_of_resource(context.batch, level, ref))


def _repack(command: commands.RepackAttachment, context: Context) -> Steps:
    level, ref = find_any(context.batch, ResourceId(command.id))
    held = _held(context.batch, level, ref, command.number)
    blob = None if held is None else held.blob
    context.outcome.reply = blob in {command.replaced, command.blob}
    if held is None or blob != command.replaced:
        return
    check_lease(command.blob, context.batch)
    yield from make_room_for(context, level, ref, command.disk_bytes, held.disk_bytes)
    context.outcome.condemned = True
    event = events.AttachmentRepacked(
        level=level,
        resource=ref,
        number=command.number,
        replaced=command.replaced,
        id=command.id,
        **facts(StoredFile, command),
    )
    yield Planned(event, surrogate_of_resource(context.batch, level, ref))


def make_head(command: StoreInstance, instance: Ref, surrogate: bytes) -> Steps:
    """Yield the event by which the beginning of a file is an attachment of its instance, if the file is one that has it."""
    if command.head is not None:
        event = events.AttachmentMade(
            level=Level.INSTANCE,
            resource=instance,
            number=events.DICOM_UNTIL_PIXELS,
            **rows.read_file(command.head),
        )
        yield Planned(event, surrogate)


def replace_head(command: StoreInstance, instance: Ref, surrogate: bytes, batch: Batch) -> Steps:
    """Yield what becomes of the beginning of a file that another one has taken the place of."""
    yield from make_head(command, instance, surrogate)
    old = _find(batch, instance, events.DICOM_UNTIL_PIXELS)
    if command.head is None and old is not None:
        event = events.AttachmentRemoved(
            level=Level.INSTANCE,
            resource=instance,
            number=events.DICOM_UNTIL_PIXELS,
            old_revision=old.revision,
            id=command.id,
        )
        yield Planned(event, surrogate)


def _check_number(number: int) -> None:
    if number not in events.USER_NUMBERS:
        raise InvalidRequest(f"attachment {number} is read-only")


def _check_seen(command: RevisedCommand, old: Attachment | None) -> None:
    """Raises RevisionConflict."""
    if old is not None:
        check_seen(command, old.revision, old.md5.hex)


def _held(batch: Batch, level: Level, ref: Ref, number: int) -> StoredFile | None:
    """Return the file that an attachment has, the DICOM file, too."""
    if number == events.DICOM and level == Level.INSTANCE:
        return rows.read_instance(ref, batch.get(INSTANCES, key(ref)) or b"")
    return _find(batch, ref, number)


def _find(batch: Batch, ref: Ref, number: int) -> Attachment | None:
    row_key = attachment_key(ref, number)
    row = batch.get(ATTACHMENTS, row_key)
    return None if row is None else unpack_attachment(row_key, row)


DECISIONS: Decisions = {
    commands.SetAttachment: _set,
    commands.RemoveAttachment: _remove,
    commands.RepackAttachment: _repack,
}
