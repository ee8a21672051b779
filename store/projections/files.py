"""Which files of instances are damaged, and which file an instance has since it was healed."""

from dataclasses import dataclass

import msgpack

from events.files import FileDamaged, FileHealed, FileRecovered
from events.identifiers import Ref, Seq
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections import counters, rows
from store.tables import BLOBS, CONDEMNED, DAMAGED_FILES, INSTANCES, TOUCHES, U64, key, touch_key


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """What is wrong with the file of an instance."""

    kind: str
    seq: Seq  # of the event
    at_us: int
    found_bytes: int | None


def apply(batch: Batch, appended: Appended) -> None:
    match appended.event:
        case FileDamaged() as event:
            if _touch(batch, event.instance, appended.seq):
                values = [event.kind, appended.seq, appended.at_us, event.found_bytes]
                batch.put(DAMAGED_FILES, key(event.instance), msgpack.packb(values))
        case FileRecovered() as event:
            _touch(batch, event.instance, appended.seq)
            forget(batch, event.instance)
        case FileHealed() as event:
            _heal(batch, event, appended.seq)
        case _:
            pass


def _touch(batch: Batch, ref: Ref, seq: Seq) -> bool:
    """Add the event to the history of its instance, if that is there."""
    row = batch.get(INSTANCES, key(ref))
    if row is None:
        return False
    batch.put(TOUCHES, touch_key(rows.id_of(row), seq), b"")
    return True


def _heal(batch: Batch, event: FileHealed, seq: Seq) -> None:
    ref = event.instance
    if not _touch(batch, ref, seq):
        return
    old = batch.get(INSTANCES, key(ref)) or b""
    row = rows.unpack(old)
    above = (row[rows.INSTANCE_SERIES], row[rows.INSTANCE_STUDY], row[rows.INSTANCE_PATIENT])
    counters.add_bytes(batch, above, event.size_bytes - row[rows.INSTANCE_SIZE])
    batch.put(INSTANCES, key(ref), rows.healed_row(event, old))
    batch.delete(BLOBS, event.damaged)
    batch.put(BLOBS, event.blob, key(ref))
    batch.put(CONDEMNED, event.damaged, U64.pack(seq))
    forget(batch, ref)


def forget(batch: Batch, ref: Ref) -> None:
    """The file of an instance is not damaged, or the instance is gone."""
    if batch.get(DAMAGED_FILES, key(ref)) is not None:
        batch.delete(DAMAGED_FILES, key(ref))


@decodes
def unpack_damaged(row: bytes) -> DamagedRow:
    return DamagedRow(*msgpack.unpackb(row))
