"""Sorted rows of main tags, by which a query (C-FIND) finds its candidates without reading every resource.

Rows exist for patients, studies and series only: an instance costs nothing here. Text is folded to upper case, dates are
kept as they are. Rows narrow a query down; whether a resource matches is told by its own row.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from events.identifiers import Level, Ref
from events.resources import PatientCreated, SeriesCreated, StudyCreated
from store.batch import Batch
from store.dicom.matching import fold
from store.dicom.tags import (
    MODALITY,
    PATIENT_BIRTH_DATE,
    PATIENT_NAME,
    REFERRING_PHYSICIAN_NAME,
    STUDY_DATE,
    STUDY_DESCRIPTION,
)
from store.log import Appended
from store.projections import rows
from store.records import Tags
from store.tables import FIND, FindKind, find_prefix, key

_OF_PATIENT = ((FindKind.PATIENT_NAME, PATIENT_NAME),)
_OF_STUDY = (
    (FindKind.STUDY_DATE, STUDY_DATE),
    (FindKind.STUDY_DESCRIPTION, STUDY_DESCRIPTION),
    (FindKind.STUDY_REFERRER, REFERRING_PHYSICIAN_NAME),
)
_OF_PATIENT_IN_STUDY = ((FindKind.STUDY_PATIENT_NAME, PATIENT_NAME), (FindKind.STUDY_BIRTH_DATE, PATIENT_BIRTH_DATE))
_OF_SERIES = ((FindKind.MODALITY, MODALITY),)
UNFOLDED = frozenset({FindKind.STUDY_DATE, FindKind.STUDY_BIRTH_DATE})


def apply(batch: Batch, appended: Appended) -> None:
    event, ref = appended.event, key(appended.seq)
    match event:
        case PatientCreated():
            keys = _keys(_OF_PATIENT, event.tags, ref)
        case StudyCreated():
            keys = _study_keys(event.tags, event.patient_tags, ref)
        case SeriesCreated():
            keys = _keys(_OF_SERIES, event.tags, key(event.study) + ref)
        case _:
            return
    for row_key in keys:
        batch.put(FIND, row_key, b"")


def fill(batch: Batch) -> None:
    """Write the rows of all resources, for an archive of before there were any."""
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        for row_key, packed in batch.items(rows.TABLE_OF_LEVEL[level], b""):
            for find_key in _keys_of_row(level, row_key, rows.unpack(packed)):
                batch.put(FIND, find_key, b"")


def forget(batch: Batch, level: Level, ref: Ref, row: list[Any]) -> None:
    """Remove the rows of a resource, whose own row is given."""
    for row_key in _keys_of_row(level, key(ref), row):
        batch.delete(FIND, row_key)


def _keys_of_row(level: Level, ref: bytes, row: list[Any]) -> Iterator[bytes]:
    match level:
        case Level.PATIENT:
            return _keys(_OF_PATIENT, row[rows.PATIENT_TAGS], ref)
        case Level.STUDY:
            return _study_keys(row[rows.STUDY_TAGS], row[rows.STUDY_PATIENT_TAGS], ref)
        case Level.SERIES:
            return _keys(_OF_SERIES, row[rows.SERIES_TAGS], key(row[rows.SERIES_STUDY]) + ref)
        case Level.INSTANCE:
            return iter(())


def index_text(kind: FindKind, value: str) -> str:
    """Return a value as the rows of its kind have it."""
    return value if kind in UNFOLDED else fold(value)


def _study_keys(tags: Tags, patient_tags: Tags, ref: bytes) -> Iterator[bytes]:
    yield from _keys(_OF_STUDY, tags, ref)
    yield from _keys(_OF_PATIENT_IN_STUDY, patient_tags, ref)


def _keys(pairs: tuple[tuple[FindKind, int], ...], tags: Mapping[int, str], ref: bytes) -> Iterator[bytes]:
    for kind, tag in pairs:
        value = tags.get(tag)
        if value is not None:
            yield find_prefix(kind, index_text(kind, value)) + ref
