"""Rows of patients, studies, series and instances, their identifiers and the links between parent and child."""

from events.identifiers import Level, Ref, ResourceId
from events.resources import InstanceReceivedAgain, InstanceStored, PatientCreated, SeriesCreated, StudyCreated
from store.batch import Batch
from store.log import Appended
from store.projections import id_counts, rows
from store.tables import (
    CHILDREN,
    IDS,
    INSTANCES,
    LEVEL_REF,
    PATIENTS,
    SERIES,
    STUDIES,
    TOUCHES,
    child_key,
    key,
    touch_key,
)


def apply(batch: Batch, appended: Appended) -> None:
    event, ref = appended.event, Ref(appended.seq)
    match event:
        case InstanceStored():
            batch.put(INSTANCES, key(ref), rows.instance_row(event, appended.at_us))
            _introduce(batch, Level.INSTANCE, ref, event.id, event.series)
        case SeriesCreated():
            batch.put(SERIES, key(ref), rows.series_row(event))
            _introduce(batch, Level.SERIES, ref, event.id, event.study)
        case StudyCreated():
            batch.put(STUDIES, key(ref), rows.study_row(event))
            _introduce(batch, Level.STUDY, ref, event.id, event.patient)
        case PatientCreated():
            batch.put(PATIENTS, key(ref), rows.patient_row(event, appended.aggregate))
            _introduce(batch, Level.PATIENT, ref, event.id, None)
        case InstanceReceivedAgain():
            batch.put(TOUCHES, touch_key(event.id, appended.seq), b"")
        case _:
            pass  # removal is led by store.projections.purge


def _introduce(batch: Batch, level: Level, ref: Ref, resource_id: ResourceId, parent: Ref | None) -> None:
    before = batch.get(IDS, resource_id)
    if before is None or before[0] != level:  # else an earlier life, whose rows are still being purged
        if before is not None:
            id_counts.add(batch, before[0], resource_id, -1)
        id_counts.add(batch, level, resource_id, 1)
    batch.put(IDS, resource_id, LEVEL_REF.pack(level, ref))
    if parent is not None:
        batch.put(CHILDREN, child_key(parent, ref), b"")


def forget(batch: Batch, level: Level, ref: Ref, resource_id: bytes) -> None:
    """Remove a resource's row, and its identifier unless the resource came back under a new ref."""
    batch.delete(rows.TABLE_OF_LEVEL[level], key(ref))
    if batch.get(IDS, resource_id) == LEVEL_REF.pack(level, ref):
        batch.delete(IDS, resource_id)
        id_counts.add(batch, level, resource_id, -1)
