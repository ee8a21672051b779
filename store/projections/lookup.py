"""From DICOM identifiers to resources, for `/tools/lookup` and queries."""

from collections.abc import Iterator, Mapping

from events.identifiers import Level, Ref
from events.resources import InstanceStored, PatientCreated, SeriesCreated, StudyCreated
from store.batch import Batch
from store.dicom.tags import ACCESSION_NUMBER, PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from store.log import Appended
from store.tables import LOOKUP, LookupKind, key, lookup_prefix

_INDEXED = {
    Level.PATIENT: ((LookupKind.PATIENT_ID, PATIENT_ID),),
    Level.STUDY: ((LookupKind.STUDY_INSTANCE_UID, STUDY_INSTANCE_UID), (LookupKind.ACCESSION_NUMBER, ACCESSION_NUMBER)),
    Level.SERIES: ((LookupKind.SERIES_INSTANCE_UID, SERIES_INSTANCE_UID),),
    Level.INSTANCE: ((LookupKind.SOP_INSTANCE_UID, SOP_INSTANCE_UID),),
}
LEVEL_OF_KIND = {kind: level for level, pairs in _INDEXED.items() for kind, _ in pairs}


def apply(batch: Batch, appended: Appended) -> None:
    event = appended.event
    match event:
        case InstanceStored():
            level = Level.INSTANCE
        case SeriesCreated():
            level = Level.SERIES
        case StudyCreated():
            level = Level.STUDY
        case PatientCreated():
            level = Level.PATIENT
        case _:
            return
    for row_key in _keys(level, event.tags, Ref(appended.seq)):
        batch.put(LOOKUP, row_key, b"")


def forget(batch: Batch, level: Level, ref: Ref, tags: Mapping[int, str]) -> None:
    for row_key in _keys(level, tags, ref):
        batch.delete(LOOKUP, row_key)


def _keys(level: Level, tags: Mapping[int, str], ref: Ref) -> Iterator[bytes]:
    for kind, tag in _INDEXED[level]:
        value = tags.get(tag)
        if value is not None:
            yield lookup_prefix(kind, value) + key(ref)
