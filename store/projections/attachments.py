"""The attachments of resources, and how many bytes they have: of each resource with all below it, and of the whole archive.

The DICOM file of an instance, which is its attachment 1, stands in the instance's own row. Sizes stand apart from the counters
of instances, so that those cost nothing more where there are no attachments.
"""

from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

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
from events.identifiers import Level, Ref, Seq
from events.stored_file import StoredFile
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections import rows
from store.projections.projection import FAMILIES, Gone, Projection, without
from store.tables import (
    ATTACHED,
    ATTACHMENTS,
    BLOBS,
    CONDEMNED,
    DAMAGED_FILES,
    TOTALS,
    attachment_key,
    key,
    read_attachment_key,
)

ATTACHED_TOTAL = b"attached"  # in `totals`: the sizes of all attachments
_SIZES = Struct(">QQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment(StoredFile):
    """A file beside a resource."""

    level: Level
    ref: Ref
    number: int
    revision: int


class Sizes(NamedTuple):
    """Bytes of attachments."""

    content: int = 0
    disk: int = 0


def _set(batch: Batch, appended: Appended[AttachmentSet]) -> None:
    event = appended.event
    old = _drop(batch, attachment_key(event.resource, event.number), appended.seq)
    _put(batch, event, event.revision)
    _count(batch, Level(event.level), event.resource, event, old)


def _make(batch: Batch, appended: Appended[AttachmentMade]) -> None:
    """What the server makes has no revisions."""
    event = appended.event
    old = _drop(batch, attachment_key(event.resource, event.number), appended.seq)
    _put(batch, event, 0)
    _count(batch, Level(event.level), event.resource, event, old)


def _remove(batch: Batch, appended: Appended[AttachmentRemoved]) -> None:
    event = appended.event
    old = _drop(batch, attachment_key(event.resource, event.number), appended.seq)
    _count(batch, Level(event.level), event.resource, None, old)


def _repack(batch: Batch, appended: Appended[AttachmentRepacked]) -> None:
    event = appended.event
    if event.number == DICOM:  # store.projections.files
        return
    old = _drop(batch, attachment_key(event.resource, event.number), appended.seq)
    if old is not None:
        _put(batch, event, old.revision)
        _count(batch, Level(event.level), event.resource, event, old)


def _put(batch: Batch, event: AttachmentSet | AttachmentMade | AttachmentRepacked, revision: int) -> None:
    row_key = attachment_key(event.resource, event.number)
    batch.put(ATTACHMENTS, row_key, msgpack.packb([event.level, revision, *rows.file_values(event)]))
    batch.put(BLOBS, event.blob, row_key)


def _drop(batch: Batch, row_key: bytes, seq: Seq) -> Attachment | None:
    """Remove a row and condemn its file; returns what it was."""
    row = batch.get(ATTACHMENTS, row_key)
    if row is None:
        return None
    old = unpack_attachment(row_key, row)
    batch.delete(ATTACHMENTS, row_key)
    batch.delete(BLOBS, old.blob)
    batch.put(CONDEMNED, old.blob, key(seq))
    if batch.get(DAMAGED_FILES, row_key) is not None:
        batch.delete(DAMAGED_FILES, row_key)
    return old


def _forget(batch: Batch, gone: Gone) -> None:
    for row_key in batch.keys(ATTACHMENTS, key(gone.ref)):
        _drop(batch, row_key, gone.seq)
    if batch.get(ATTACHED, key(gone.ref)) is not None:
        batch.delete(ATTACHED, key(gone.ref))


# -- sizes -----------------------------------------------------------------------------------------------------------


def _count(batch: Batch, level: Level, ref: Ref, new: StoredFile | None, old: StoredFile | None) -> None:
    content = (new.size_bytes if new else 0) - (old.size_bytes if old else 0)
    disk = (new.disk_bytes if new else 0) - (old.disk_bytes if old else 0)
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(ref))
    above = () if packed is None else rows.ancestors_of(level, rows.unpack(packed))
    _add(batch, (ref, *above), content, disk)


def subtract(batch: Batch, ref: Ref, ancestors: tuple[Ref, ...]) -> None:
    """Take what a deleted resource has with all below it out of its ancestors' sizes and out of the total."""
    lost = unpack_sizes(batch.get(ATTACHED, key(ref)))
    if any(lost):
        _add(batch, ancestors, -lost.content, -lost.disk)


def _add(batch: Batch, refs: tuple[Ref, ...], content: int, disk: int) -> None:
    places = [(ATTACHED, key(ref)) for ref in refs]
    for table, row_key in (*places, (TOTALS, ATTACHED_TOTAL)):
        old = unpack_sizes(batch.get(table, row_key))
        batch.put(table, row_key, _SIZES.pack(old.content + content, old.disk + disk))


@decodes
def unpack_sizes(row: bytes | None) -> Sizes:
    return Sizes() if row is None else Sizes(*_SIZES.unpack(row))


@decodes
def unpack_attachment(row_key: bytes, row: bytes) -> Attachment:
    ref, number = read_attachment_key(row_key)
    level, revision, *file = msgpack.unpackb(row)
    return Attachment(level=Level(level), ref=ref, number=number, revision=revision, **rows.read_file(file))


PROJECTION = Projection(
    tables=(ATTACHMENTS, ATTACHED),
    handles={AttachmentSet: _set, AttachmentMade: _make, AttachmentRemoved: _remove, AttachmentRepacked: _repack},
    ignores=(AttachmentDamaged, AttachmentRecovered, *without(FAMILIES, AttachmentEvent)),
    forget=_forget,
)
