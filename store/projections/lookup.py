"""From DICOM identifiers to resources, for `/tools/lookup` and queries."""

from collections.abc import Iterator, Mapping

from events import resources as events
from events.event import Event
from events.identifiers import Level, Ref
from events.metadata import MetadataEvent
from events.reconstruction import InstanceReconstructed, ReconstructionEvent, TagsReconstructed
from store.batch import Batch
from store.dicom.tags import ACCESSION_NUMBER, PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from store.log import Appended
from store.projections import rows
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection, without
from store.tables import LOOKUP, LookupKind, key, lookup_prefix

_INDEXED = {
    Level.PATIENT: ((LookupKind.PATIENT_ID, PATIENT_ID),),
    Level.STUDY: ((LookupKind.STUDY_INSTANCE_UID, STUDY_INSTANCE_UID), (LookupKind.ACCESSION_NUMBER, ACCESSION_NUMBER)),
    Level.SERIES: ((LookupKind.SERIES_INSTANCE_UID, SERIES_INSTANCE_UID),),
    Level.INSTANCE: ((LookupKind.SOP_INSTANCE_UID, SOP_INSTANCE_UID),),
}
LEVEL_OF_KIND = {kind: level for level, pairs in _INDEXED.items() for kind, _ in pairs}


_LEVEL_OF_EVENT: dict[type[Event], Level] = {
    events.InstanceStored: Level.INSTANCE,
    events.SeriesCreated: Level.SERIES,
    events.StudyCreated: Level.STUDY,
    events.PatientCreated: Level.PATIENT,
}


def _create(
    batch: Batch,
    appended: Appended[events.InstanceStored | events.SeriesCreated | events.StudyCreated | events.PatientCreated],
) -> None:
    event = appended.event
    for row_key in _keys(_LEVEL_OF_EVENT[type(event)], event.tags, Ref(appended.seq)):
        batch.put(LOOKUP, row_key, b"")


def _reconstruct(batch: Batch, appended: Appended[TagsReconstructed]) -> None:
    """Only an accession number can be another one: the rest is what identifies the resource."""
    event, level = appended.event, Level(appended.event.level)
    row = batch.get(rows.TABLE_OF_LEVEL[level], key(event.resource))
    if row is not None:
        for row_key in _keys(level, rows.unpack(row)[rows.TAGS_OF_LEVEL[level]], event.resource):
            batch.delete(LOOKUP, row_key)
        for row_key in _keys(level, event.tags, event.resource):
            batch.put(LOOKUP, row_key, b"")


def _forget(batch: Batch, gone: Gone) -> None:
    for row_key in _keys(gone.level, gone.row[rows.TAGS_OF_LEVEL[gone.level]], gone.ref):
        batch.delete(LOOKUP, row_key)


def _keys(level: Level, tags: Mapping[int, str], ref: Ref) -> Iterator[bytes]:
    for kind, tag in _INDEXED[level]:
        value = tags.get(tag)
        if value is not None:
            yield lookup_prefix(kind, value) + key(ref)


PROJECTION = Projection(
    tables=(LOOKUP,),
    handles={**dict.fromkeys(_LEVEL_OF_EVENT, _create), TagsReconstructed: _reconstruct},
    # A file that heals is of the same instance.
    ignores=(
        events.InstanceReceivedAgain,
        InstanceReconstructed,
        events.SeriesCompleted,
        events.StabilityEvent,
        events.RemovalEvent,
        MetadataEvent,
        *without(BESIDE_RESOURCES, ReconstructionEvent),
    ),
    forget=_forget,
)
