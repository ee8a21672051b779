"""Sorted rows of main tags, by which a query (C-FIND) finds its candidates without reading every resource.

Rows exist for patients, studies and series only: an instance costs nothing here. Text is folded to upper case, dates are
kept as they are. Rows only narrow a query down; a resource's own row decides whether it matches.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from events import resources as events
from events.identifiers import Level
from events.metadata import MetadataEvent
from events.reconstruction import InstanceReconstructed, ReconstructionEvent, TagsReconstructed
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
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection, Rebuild, are_empty, without
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
_LEVEL_OF_TABLE = {rows.TABLE_OF_LEVEL[level]: level for level in (Level.PATIENT, Level.STUDY, Level.SERIES)}
UNFOLDED = frozenset({FindKind.STUDY_DATE, FindKind.STUDY_BIRTH_DATE})


def _create_patient(batch: Batch, appended: Appended[events.PatientCreated]) -> None:
    _put(batch, _keys(_OF_PATIENT, appended.event.tags, key(appended.seq)))


def _create_study(batch: Batch, appended: Appended[events.StudyCreated]) -> None:
    _put(batch, _study_keys(appended.event.tags, appended.event.patient_tags, key(appended.seq)))


def _create_series(batch: Batch, appended: Appended[events.SeriesCreated]) -> None:
    _put(batch, _keys(_OF_SERIES, appended.event.tags, key(appended.event.study) + key(appended.seq)))


def _reconstruct(batch: Batch, appended: Appended[TagsReconstructed]) -> None:
    event, level = appended.event, Level(appended.event.level)
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(event.resource))
    if packed is None:
        return
    row = rows.unpack(packed)
    for row_key in _keys_of_row(level, key(event.resource), row):
        batch.delete(FIND, row_key)
    _put(batch, _keys_of_row(level, key(event.resource), rows.unpack(rows.retold_row_above(event, packed))))


def _add_row(batch: Batch, table: bytes, row_key: bytes, row: bytes) -> None:
    _put(batch, _keys_of_row(_LEVEL_OF_TABLE[table], row_key, rows.unpack(row)))


def _put(batch: Batch, keys: Iterator[bytes]) -> None:
    for row_key in keys:
        batch.put(FIND, row_key, b"")


def _forget(batch: Batch, gone: Gone) -> None:
    for row_key in _keys_of_row(gone.level, key(gone.ref), gone.row):
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


PROJECTION = Projection(
    tables=(FIND,),
    handles={
        events.PatientCreated: _create_patient,
        events.StudyCreated: _create_study,
        events.SeriesCreated: _create_series,
        TagsReconstructed: _reconstruct,
    },
    ignores=(
        events.InstanceStored,
        events.InstanceReceivedAgain,
        InstanceReconstructed,
        events.SeriesCompleted,
        events.StabilityEvent,
        events.RemovalEvent,
        MetadataEvent,
        *without(BESIDE_RESOURCES, ReconstructionEvent),
    ),
    forget=_forget,
    rebuild=Rebuild(
        name="find", tables=(FIND,), sources=tuple(_LEVEL_OF_TABLE), add=_add_row, is_missing=are_empty(FIND)
    ),
)
