"""From DICOM identifiers to resources, for `/tools/lookup` and queries."""

from collections.abc import Iterator, Mapping

from events.identifiers import Level, Ref
from events.resources import InstanceStored, PatientCreated, SeriesCreated, StudyCreated
from store.batch import Batch
from store.log import Appended
from store.tables import LOOKUP, LookupKind, key, lookup_prefix

_INDEXED = {
    Level.PATIENT: ((LookupKind.PATIENT_ID, 0x00100020),),
    Level.STUDY: ((LookupKind.STUDY_INSTANCE_UID, 0x0020000D), (LookupKind.ACCESSION_NUMBER, 0x00080050)),
    Level.SERIES: ((LookupKind.SERIES_INSTANCE_UID, 0x0020000E),),
    Level.INSTANCE: ((LookupKind.SOP_INSTANCE_UID, 0x00080018),),
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
