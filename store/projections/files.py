"""Which files of instances are damaged, and which file an instance has since it was healed."""

from dataclasses import dataclass

import msgpack

from events.files import FileDamaged, FileHealed, FileRecovered
from events.identifiers import Level, Ref, Seq
from events.jobs import JobEvent
from events.labels import LabelEvent
from events.protection import ProtectionEvent
from events.resources import ResourceEvent
from events.scripts import ScriptEvent
from events.server import ServerEvent
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections import counters, rows
from store.projections.projection import Gone, Projection
from store.tables import BLOBS, CONDEMNED, DAMAGED_FILES, INSTANCES, TOUCHES, key, touch_key


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """What is wrong with the file of an instance."""

    kind: str
    seq: Seq  # of the event
    at_us: int
    found_bytes: int | None


def _damage(batch: Batch, appended: Appended[FileDamaged]) -> None:
    event = appended.event
    if _touch(batch, event.instance, appended.seq):
        values = [event.kind, appended.seq, appended.at_us, event.found_bytes]
        batch.put(DAMAGED_FILES, key(event.instance), msgpack.packb(values))


def _recover(batch: Batch, appended: Appended[FileRecovered]) -> None:
    _touch(batch, appended.event.instance, appended.seq)
    _clear(batch, appended.event.instance)


def _touch(batch: Batch, ref: Ref, seq: Seq) -> bool:
    """Add the event to the history of its instance, if that is there."""
    row = batch.get(INSTANCES, key(ref))
    if row is None:
        return False
    batch.put(TOUCHES, touch_key(rows.id_of(row), seq), b"")
    return True


def _heal(batch: Batch, appended: Appended[FileHealed]) -> None:
    event, ref = appended.event, appended.event.instance
    if not _touch(batch, ref, appended.seq):
        return
    old = batch.get(INSTANCES, key(ref)) or b""
    row = rows.unpack(old)
    above = (row[rows.INSTANCE_SERIES], row[rows.INSTANCE_STUDY], row[rows.INSTANCE_PATIENT])
    counters.add_bytes(batch, above, event.size_bytes - row[rows.INSTANCE_SIZE])
    batch.put(INSTANCES, key(ref), rows.healed_row(event, old))
    batch.delete(BLOBS, event.damaged)
    batch.put(BLOBS, event.blob, key(ref))
    batch.put(CONDEMNED, event.damaged, key(appended.seq))
    _clear(batch, ref)


def _forget(batch: Batch, gone: Gone) -> None:
    if gone.level == Level.INSTANCE:
        _clear(batch, gone.ref)


def _clear(batch: Batch, ref: Ref) -> None:
    if batch.get(DAMAGED_FILES, key(ref)) is not None:
        batch.delete(DAMAGED_FILES, key(ref))


@decodes
def unpack_damaged(row: bytes) -> DamagedRow:
    return DamagedRow(*msgpack.unpackb(row))


PROJECTION = Projection(
    tables=(DAMAGED_FILES,),
    handles={FileDamaged: _damage, FileRecovered: _recover, FileHealed: _heal},
    ignores=(ResourceEvent, LabelEvent, ProtectionEvent, ServerEvent, JobEvent, ScriptEvent),
    forget=_forget,
)
