"""Rows of patients, studies, series and instances, their identifiers and the links between parent and child."""

from events import resources as events
from events.identifiers import Level, Ref, ResourceId
from events.metadata import MetadataEvent
from events.reconstruction import InstanceReconstructed, ReconstructionEvent, TagsReconstructed
from store.batch import Batch
from store.log import Appended
from store.projections import id_counts, rows
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection, without
from store.tables import (
    CHILDREN,
    IDS,
    INSTANCES,
    LEVEL_REF,
    PATIENTS,
    SERIES,
    STUDIES,
    child_key,
    key,
)


def _store_instance(batch: Batch, appended: Appended[events.InstanceStored]) -> None:
    event, ref = appended.event, Ref(appended.seq)
    batch.put(INSTANCES, key(ref), rows.instance_row(event, appended.at_us))
    _introduce(batch, Level.INSTANCE, ref, event.id, event.series)


def _create_series(batch: Batch, appended: Appended[events.SeriesCreated]) -> None:
    event, ref = appended.event, Ref(appended.seq)
    batch.put(SERIES, key(ref), rows.series_row(event))
    _introduce(batch, Level.SERIES, ref, event.id, event.study)


def _create_study(batch: Batch, appended: Appended[events.StudyCreated]) -> None:
    event, ref = appended.event, Ref(appended.seq)
    batch.put(STUDIES, key(ref), rows.study_row(event))
    _introduce(batch, Level.STUDY, ref, event.id, event.patient)


def _create_patient(batch: Batch, appended: Appended[events.PatientCreated]) -> None:
    event, ref = appended.event, Ref(appended.seq)
    batch.put(PATIENTS, key(ref), rows.patient_row(event, appended.aggregate))
    _introduce(batch, Level.PATIENT, ref, event.id, None)


def _reconstruct_instance(batch: Batch, appended: Appended[InstanceReconstructed]) -> None:
    event = appended.event
    row = batch.get(INSTANCES, key(event.instance))
    if row is not None:
        batch.put(INSTANCES, key(event.instance), rows.retold_row(event, row))


def _reconstruct(batch: Batch, appended: Appended[TagsReconstructed]) -> None:
    table, row_key = rows.TABLE_OF_LEVEL[Level(appended.event.level)], key(appended.event.resource)
    row = batch.get(table, row_key)
    if row is not None:
        batch.put(table, row_key, rows.retold_row_above(appended.event, row))


def _introduce(batch: Batch, level: Level, ref: Ref, resource_id: ResourceId, parent: Ref | None) -> None:
    before = batch.get(IDS, resource_id)
    if before is None or before[0] != level:  # else an earlier life, whose rows are still being purged
        if before is not None:
            id_counts.add(batch, before[0], resource_id, -1)
        id_counts.add(batch, level, resource_id, 1)
    batch.put(IDS, resource_id, LEVEL_REF.pack(level, ref))
    if parent is not None:
        batch.put(CHILDREN, child_key(parent, ref), b"")


def _forget(batch: Batch, gone: Gone) -> None:
    """Remove a resource's row, and its identifier unless the resource came back under a new ref."""
    level, ref, resource_id = gone.level, gone.ref, gone.row[rows.ID]
    batch.delete(rows.TABLE_OF_LEVEL[level], key(ref))
    if batch.get(IDS, resource_id) == LEVEL_REF.pack(level, ref):
        batch.delete(IDS, resource_id)
        id_counts.add(batch, level, resource_id, -1)


PROJECTION = Projection(
    tables=(PATIENTS, STUDIES, SERIES, INSTANCES, IDS, CHILDREN),
    handles={
        events.InstanceStored: _store_instance,
        events.SeriesCreated: _create_series,
        events.StudyCreated: _create_study,
        events.PatientCreated: _create_patient,
        InstanceReconstructed: _reconstruct_instance,
        TagsReconstructed: _reconstruct,
    },
    # Removal is led by store.projections.row_purge.
    ignores=(
        events.InstanceReceivedAgain,
        events.SeriesCompleted,
        events.StabilityEvent,
        events.RemovalEvent,
        MetadataEvent,
        *without(BESIDE_RESOURCES, ReconstructionEvent),
    ),
    forget=_forget,
)
