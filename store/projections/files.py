"""Which files are damaged, and which file an instance has since it was healed or repacked."""

from dataclasses import dataclass

import msgpack

from events.attachments import (
    DICOM,
    AttachmentDamaged,
    AttachmentEvent,
    AttachmentMade,
    AttachmentRecovered,
    AttachmentRemoved,
    AttachmentRepacked,
    AttachmentSet,
)
from events.files import FileDamaged, FileEvent, FileHealed, FileRecovered
from events.identifiers import Level, Ref, Seq
from events.stored_file import StoredFile
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections import counters, rows
from store.projections.projection import FAMILIES, Gone, Projection, without
from store.tables import (
    ATTACHMENTS,
    BLOBS,
    CONDEMNED,
    DAMAGED_FILES,
    INSTANCES,
    attachment_key,
    key,
)


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """What is wrong with a file."""

    kind: str
    seq: Seq  # of the event
    at_us: int
    found_bytes: int | None


def _damage(batch: Batch, appended: Appended[FileDamaged]) -> None:
    if batch.get(INSTANCES, key(appended.event.instance)) is not None:
        _note(batch, key(appended.event.instance), appended)


def _damage_attachment(batch: Batch, appended: Appended[AttachmentDamaged]) -> None:
    event = appended.event
    row_key = attachment_key(event.resource, event.number)
    if batch.get(ATTACHMENTS, row_key) is not None:
        _note(batch, row_key, appended)


def _note(batch: Batch, owner: bytes, appended: Appended[FileDamaged] | Appended[AttachmentDamaged]) -> None:
    values = [appended.event.kind, appended.seq, appended.at_us, appended.event.found_bytes]
    batch.put(DAMAGED_FILES, owner, msgpack.packb(values))


def _recover(batch: Batch, appended: Appended[FileRecovered]) -> None:
    _clear(batch, key(appended.event.instance))


def _recover_attachment(batch: Batch, appended: Appended[AttachmentRecovered]) -> None:
    _clear(batch, attachment_key(appended.event.resource, appended.event.number))


def _heal(batch: Batch, appended: Appended[FileHealed]) -> None:
    event, ref = appended.event, appended.event.instance
    old = batch.get(INSTANCES, key(ref))
    if old is None:
        return
    _replace(batch, ref, old, rows.healed_row(event, old), event)
    batch.delete(BLOBS, event.damaged)
    batch.put(CONDEMNED, event.damaged, key(appended.seq))


def _repack(batch: Batch, appended: Appended[AttachmentRepacked]) -> None:
    """Give an instance another file with the same content; those of other attachments have rows of their own."""
    event, ref = appended.event, appended.event.resource
    old = batch.get(INSTANCES, key(ref))
    if event.number != DICOM or old is None:
        return
    _replace(batch, ref, old, rows.repacked_row(event, old), event)
    batch.delete(BLOBS, event.replaced)
    batch.put(CONDEMNED, event.replaced, key(appended.seq))


def _replace(batch: Batch, ref: Ref, old: bytes, new: bytes, file: StoredFile) -> None:
    row = rows.unpack(old)
    above = rows.ancestors_of(Level.INSTANCE, row)
    saved_bytes = file.size_bytes - file.disk_bytes - rows.saved_bytes(row)
    counters.add_bytes(batch, above, file.size_bytes - row[rows.INSTANCE_SIZE], saved_bytes)
    batch.put(INSTANCES, key(ref), new)
    batch.put(BLOBS, file.blob, key(ref))
    _clear(batch, key(ref))


def _forget(batch: Batch, gone: Gone) -> None:
    if gone.level == Level.INSTANCE:
        _clear(batch, key(gone.ref))


def _clear(batch: Batch, owner: bytes) -> None:
    if batch.get(DAMAGED_FILES, owner) is not None:
        batch.delete(DAMAGED_FILES, owner)


@decodes
def unpack_damaged(row: bytes) -> DamagedRow:
    return DamagedRow(*msgpack.unpackb(row))


PROJECTION = Projection(
    tables=(DAMAGED_FILES,),
    handles={
        FileDamaged: _damage,
        FileRecovered: _recover,
        FileHealed: _heal,
        AttachmentRepacked: _repack,
        AttachmentDamaged: _damage_attachment,
        AttachmentRecovered: _recover_attachment,
    },
    ignores=(AttachmentSet, AttachmentMade, AttachmentRemoved, *without(FAMILIES, AttachmentEvent, FileEvent)),
    forget=_forget,
)
