"""Look-ups for decisions: resources as they are within a transaction."""

from typing import Any

from events.errors import NotFound
from events.identifiers import Level, Ref, ResourceId
from store.batch import Batch
from store.projections import rows
from store.tables import IDS, LEVEL_REF, PATIENTS, key


def find_visible(batch: Batch, level: Level, resource_id: ResourceId) -> Ref | None:
    """Return the ref of a resource, None if it is absent or lies below one that was deleted."""
    packed = batch.get(IDS, resource_id)
    if packed is None:
        return None
    found_level, ref = LEVEL_REF.unpack(packed)
    if found_level != level:
        return None
    row = read_row(batch, level, ref)
    for distance, ancestor in enumerate(rows.ancestors_of(level, row), 1):
        if batch.get(rows.TABLE_OF_LEVEL[Level(level - distance)], key(ancestor)) is None:
            return None
    return Ref(ref)


def find_any(batch: Batch, resource_id: ResourceId) -> tuple[Level, Ref]:
    """Return level and ref of a resource of whatever level. Raises NotFound."""
    packed = batch.get(IDS, resource_id)
    level = None if packed is None else Level(packed[0])
    ref = None if level is None else find_visible(batch, level, resource_id)
    if level is None or ref is None:
        raise NotFound("no such resource")
    return level, ref


def surrogate_of(batch: Batch, patient: Ref) -> bytes:
    """Return the aggregate of a patient's events."""
    surrogate: bytes = rows.unpack(batch.get(PATIENTS, key(patient)) or b"")[rows.PATIENT_SURROGATE]
    return surrogate


def surrogate_of_resource(batch: Batch, level: Level, ref: Ref) -> bytes:
    """Return the aggregate of the events of a resource of any level."""
    above = rows.ancestors_of(level, read_row(batch, level, ref))
    return surrogate_of(batch, above[-1] if above else ref)


def read_row(batch: Batch, level: Level, ref: Ref) -> list[Any]:
    """Return a resource's row, unpacked. Raises NotFound."""
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(ref))
    if packed is None:
        raise NotFound("no such resource")
    return rows.unpack(packed)
