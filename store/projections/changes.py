"""The rows of `/changes`, numbered by the sequence of their events.

As in Orthanc, a resource's rows vanish with the resource. The log itself (`GET /events`) keeps everything.

`NewInstance` needs no row here: the row of the instance, whose ref is the sequence of its event, says the same, and
vanishes with it. `DELETE /changes` leaves those rows, so it records the sequence up to which they no longer count.

The sequence of the last change outlives its row: who polls would else go back to the start.
"""

from enum import IntEnum
from struct import Struct

from events.event import Event
from events.identifiers import Level, Ref, ResourceId, Seq
from events.resources import (
    InstanceStored,
    PatientCreated,
    ResourceStabilized,
    SeriesCompleted,
    SeriesCreated,
    StudyCreated,
)
from events.server import ChangesCleared
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended, tags_backwards
from store.projections.rows import ID, TABLE_OF_LEVEL, unpack
from store.records import Change
from store.tables import CHANGES, CHANGES_BY_TYPE, CHANGES_OF, TOTALS, U64, change_of_key, key, typed_change_key


class ChangeType(IntEnum):
    """Orthanc's change types with its numbers; the names are those in its JSON."""

    CompletedSeries = 1
    NewInstance = 2
    NewPatient = 3
    NewSeries = 4
    NewStudy = 5
    AnonymizedStudy = 6
    AnonymizedSeries = 7
    ModifiedStudy = 8
    ModifiedSeries = 9
    AnonymizedPatient = 10
    ModifiedPatient = 11
    StablePatient = 12
    StableStudy = 13
    StableSeries = 14
    UpdatedAttachment = 15
    UpdatedMetadata = 16


_CREATION: dict[type[Event], tuple[ChangeType, Level]] = {
    SeriesCreated: (ChangeType.NewSeries, Level.SERIES),
    StudyCreated: (ChangeType.NewStudy, Level.STUDY),
    PatientCreated: (ChangeType.NewPatient, Level.PATIENT),
}
_STABLE = {
    Level.PATIENT: ChangeType.StablePatient,
    Level.STUDY: ChangeType.StableStudy,
    Level.SERIES: ChangeType.StableSeries,
}
_CHANGES = {
    InstanceStored.TAG,
    SeriesCreated.TAG,
    StudyCreated.TAG,
    PatientCreated.TAG,
    SeriesCompleted.TAG,
    ResourceStabilized.TAG,
}
_ROW = Struct(">BBQ20s")
CLEARED = b"changes-cleared"  # in `totals`: the sequence of the last ChangesCleared
LAST = b"changes-last"  # in `totals`: the sequence of the last change ever, there or gone


def apply(batch: Batch, appended: Appended) -> None:
    event, seq = appended.event, appended.seq
    match event:
        case InstanceStored():
            batch.put(TOTALS, LAST, key(seq))
        case SeriesCreated() | StudyCreated() | PatientCreated():
            change_type, level = _CREATION[type(event)]
            _put(batch, seq, change_type, level, appended.at_us, event.id)
        case SeriesCompleted():
            _put_later(batch, appended, ChangeType.CompletedSeries, Level.SERIES, event.series)
        case ResourceStabilized():
            level = Level(event.level)
            _put_later(batch, appended, _STABLE[level], level, event.resource)
        case ChangesCleared():
            for table in (CHANGES, CHANGES_BY_TYPE, CHANGES_OF):
                batch.clear(table)
            batch.put(TOTALS, CLEARED, key(seq))
        case _:
            pass


def _put(batch: Batch, seq: Seq, change_type: ChangeType, level: Level, at_us: int, resource: ResourceId) -> None:
    batch.put(CHANGES, key(seq), _ROW.pack(change_type, level, at_us, resource))
    batch.put(CHANGES_BY_TYPE, typed_change_key(change_type, seq), b"")
    batch.put(TOTALS, LAST, key(seq))


def _put_later(batch: Batch, appended: Appended, change_type: ChangeType, level: Level, ref: Ref) -> None:
    """Add a change to a resource that exists already."""
    row = batch.get(TABLE_OF_LEVEL[level], key(ref))
    if row is not None:
        _put(batch, appended.seq, change_type, level, appended.at_us, unpack(row)[ID])
        batch.put(CHANGES_OF, change_of_key(ref, appended.seq), b"")


def forget(batch: Batch, ref: Ref) -> None:
    """Remove the changes of a resource."""
    _forget_row(batch, Seq(ref))
    for row_key in batch.keys(CHANGES_OF, key(ref)):
        _forget_row(batch, Seq(U64.unpack(row_key[8:])[0]))
        batch.delete(CHANGES_OF, row_key)


def _forget_row(batch: Batch, seq: Seq) -> None:
    row = batch.get(CHANGES, key(seq))
    if row is not None:
        batch.delete(CHANGES, key(seq))
        batch.delete(CHANGES_BY_TYPE, typed_change_key(row[0], seq))


@decodes
def read_change(seq: Seq, row: bytes) -> Change:
    change_type, level, at_us, resource = _ROW.unpack(row)
    return Change(seq, ChangeType(change_type).name, Level(level), resource, at_us)


def fill(batch: Batch) -> None:
    """Look for the last change in the log, for an archive of before its sequence was kept."""
    last = next((seq for seq, tag in tags_backwards(batch) if tag in _CHANGES), None)
    if last is not None:
        batch.put(TOTALS, LAST, key(last))
