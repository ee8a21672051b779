"""The rows of `/changes`, numbered by the sequence of their events.

As in Orthanc, a resource's rows vanish with the resource. The log itself (`GET /events`) keeps everything.

`NewInstance` needs no row here: the row of the instance, whose ref is the sequence of its event, says the same, and
vanishes with it. `DELETE /changes` leaves those rows, so it records the sequence up to which they no longer count.

The sequence of the last change outlives its row: a polling client would else go back to the start.
"""

from enum import IntEnum
from struct import Struct

from events import attachments, envelope
from events import resources as events
from events.attachments import USER_NUMBERS
from events.derivation import ResourceDerived
from events.event import Event
from events.identifiers import LEVELS, Level, Ref, ResourceId, Seq
from events.metadata import MetadataRemoved, MetadataSet
from events.reconstruction import ReconstructionEvent
from events.server import (
    ChangesCleared,
)
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended, tag_of
from store.projections.projection import BESIDE_SERVER, OF_SERVER, Gone, Projection, Rebuild, are_empty, without
from store.projections.rows import ID, TABLE_OF_LEVEL, unpack
from store.records import Change
from store.tables import (
    CHANGES,
    CHANGES_BY_TYPE,
    CHANGES_OF,
    EVENTS,
    IDS,
    TOTALS,
    TOUCHES,
    U64,
    change_of_key,
    key,
    typed_change_key,
)


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
    events.SeriesCreated: (ChangeType.NewSeries, Level.SERIES),
    events.StudyCreated: (ChangeType.NewStudy, Level.STUDY),
    events.PatientCreated: (ChangeType.NewPatient, Level.PATIENT),
}
_STABLE = {
    Level.PATIENT: ChangeType.StablePatient,
    Level.STUDY: ChangeType.StableStudy,
    Level.SERIES: ChangeType.StableSeries,
}
_ROW = Struct(">BBQ20s")
CLEARED = b"changes-cleared"  # in `totals`: the sequence of the last ChangesCleared
LAST = b"changes-last"  # in `totals`: the sequence of the last change ever, there or gone


def _store_instance(batch: Batch, appended: Appended[events.InstanceStored]) -> None:
    batch.put(TOTALS, LAST, key(appended.seq))


def _create(
    batch: Batch, appended: Appended[events.SeriesCreated | events.StudyCreated | events.PatientCreated]
) -> None:
    change_type, level = _CREATION[type(appended.event)]
    _put(batch, appended.seq, change_type, level, appended.at_us, appended.event.id)


def _complete(batch: Batch, appended: Appended[events.SeriesCompleted]) -> None:
    _put_later(batch, appended, ChangeType.CompletedSeries, Level.SERIES, appended.event.series)


def _settle(batch: Batch, appended: Appended[events.ResourceStabilized]) -> None:
    level = Level(appended.event.level)
    _put_later(batch, appended, _STABLE[level], level, appended.event.resource)


def _update_metadata(batch: Batch, appended: Appended[MetadataSet] | Appended[MetadataRemoved]) -> None:
    """Each time that a client sets metadata, with the same value, too, or removes one."""
    event = appended.event
    _put_later(batch, appended, ChangeType.UpdatedMetadata, Level(event.level), event.resource)


def _update_attachment(
    batch: Batch,
    appended: Appended[attachments.AttachmentSet | attachments.AttachmentRemoved | attachments.AttachmentRepacked],
) -> None:
    """As for metadata; one that is compressed, or not any more, counts, but none of Orthanc's own."""
    event = appended.event
    if event.number in USER_NUMBERS:
        _put_later(batch, appended, ChangeType.UpdatedAttachment, Level(event.level), event.resource)


def _clear(batch: Batch, appended: Appended[ChangesCleared]) -> None:
    for table in (CHANGES, CHANGES_BY_TYPE, CHANGES_OF):
        batch.clear(table)
    batch.put(TOTALS, CLEARED, key(appended.seq))


def _put(batch: Batch, seq: Seq, change_type: ChangeType, level: Level, at_us: int, resource: ResourceId) -> None:
    batch.put(CHANGES, key(seq), _ROW.pack(change_type, level, at_us, resource))
    batch.put(CHANGES_BY_TYPE, typed_change_key(change_type, seq), b"")
    batch.put(TOTALS, LAST, key(seq))


def _put_later(batch: Batch, appended: Appended[Event], change_type: ChangeType, level: Level, ref: Ref) -> None:
    """Add a change to a resource that exists already."""
    row = batch.get(TABLE_OF_LEVEL[level], key(ref))
    if row is not None:
        _put(batch, appended.seq, change_type, level, appended.at_us, unpack(row)[ID])
        batch.put(CHANGES_OF, change_of_key(ref, appended.seq), b"")


def _forget(batch: Batch, gone: Gone) -> None:
    _forget_row(batch, Seq(gone.ref))
    for row_key in batch.keys(CHANGES_OF, key(gone.ref)):
        _forget_row(batch, Seq(U64.unpack(row_key[8:])[0]))
        batch.delete(CHANGES_OF, row_key)


def _forget_row(batch: Batch, seq: Seq) -> None:
    row = batch.get(CHANGES, key(seq))
    if row is not None:
        batch.delete(CHANGES, key(seq))
        batch.delete(CHANGES_BY_TYPE, typed_change_key(row[0], seq))


_NAMES = {number.value: number.name for number in ChangeType}


@decodes
def read_change(seq: Seq, row: bytes) -> Change:
    """Decode a row of `/changes`."""
    change_type, level, at_us, resource = _ROW.unpack(row)
    return Change(seq, _NAMES[change_type], LEVELS[level], resource, at_us)


def _add_last(batch: Batch, _: bytes, seq: bytes, row: bytes) -> None:
    if tag_of(row) in _CHANGES:
        batch.put(TOTALS, LAST, seq)


def _is_last_missing(batch: Batch) -> bool:
    """An archive that ever had an instance has a row of its identifier, or a trace of its deletion."""
    return batch.get(TOTALS, LAST) is None and not are_empty(IDS, TOUCHES)(batch)


PROJECTION = Projection(
    tables=(CHANGES, CHANGES_BY_TYPE, CHANGES_OF),
    handles={
        events.InstanceStored: _store_instance,
        events.SeriesCreated: _create,
        events.StudyCreated: _create,
        events.PatientCreated: _create,
        events.SeriesCompleted: _complete,
        events.ResourceStabilized: _settle,
        MetadataSet: _update_metadata,
        MetadataRemoved: _update_metadata,
        attachments.AttachmentSet: _update_attachment,
        attachments.AttachmentRemoved: _update_attachment,
        attachments.AttachmentRepacked: _update_attachment,
        ChangesCleared: _clear,
    },
    ignores=(
        events.InstanceReceivedAgain,
        ResourceDerived,  # as in Orthanc 1.12.7, whose Modified… and Anonymized… are in no list of changes
        events.ResourceUnsettled,
        events.RemovalEvent,
        ReconstructionEvent,
        attachments.AttachmentMade,  # it comes with its instance
        attachments.AttachmentDamaged,
        attachments.AttachmentRecovered,
        *without(OF_SERVER, ChangesCleared),
        # Labels and protection as in Orthanc 1.12.7.
        *without(BESIDE_SERVER, events.ResourceEvent, attachments.AttachmentEvent),
    ),
    forget=_forget,
    rebuild=Rebuild(name="last-change", tables=(), sources=(EVENTS,), add=_add_last, is_missing=_is_last_missing),
)
_CHANGES = set(envelope.tags_of(*(PROJECTION.handles.keys() - {ChangesCleared})))
