"""Tags of a resource beyond its own: those of what lies above it, those that are computed, and whose file tells the rest.

C-FIND (`store.views.find`) and `requested-tags` of REST tell the same. Source: observed on Orthanc 1.12.7. A counter is there at
its own level alone; modalities and SOP classes are those of a study, each once, in order; a file without a SOP class adds none.
"""

from typing import Any, Final

from events.identifiers import Level, Ref
from store.dicom.indexed_tags import MAIN_DICOM_TAGS, MainTags
from store.dicom.tags import INSTANCE_AVAILABILITY, MODALITIES_IN_STUDY, MODALITY, SOP_CLASSES_IN_STUDY
from store.projections import rows
from store.projections.main_tags import told_at
from store.records import Instance, Resource, Tags
from store.tables import SERIES, key
from store.views.snapshot import Snapshot, level_of

_COUNTERS: Final = {
    0x00201200: (Level.PATIENT, "study_count"),
    0x00201202: (Level.PATIENT, "series_count"),
    0x00201204: (Level.PATIENT, "instance_count"),
    0x00201206: (Level.STUDY, "series_count"),
    0x00201208: (Level.STUDY, "instance_count"),
    0x00201209: (Level.SERIES, "instance_count"),
}
COMPUTED: Final = frozenset({MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, INSTANCE_AVAILABILITY, *_COUNTERS})

OF_STUDY: Final = frozenset({MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY, 0x00201206, 0x00201208})  # those of studies


def _at_or_above(tags: MainTags, level: Level) -> frozenset[int]:
    return frozenset(tag for above in Level if above <= level for tag in tags[above])


ALWAYS: Final = {level: _at_or_above(MAIN_DICOM_TAGS, level) for level in Level}


def compute(s: Snapshot, record: Resource | Instance, tag: int) -> str | None:
    """Return the value of a computed tag, None where this level has none."""
    if isinstance(record, Instance):
        return "ONLINE" if tag == INSTANCE_AVAILABILITY else None
    if tag in _COUNTERS:
        level, counter = _COUNTERS[tag]
        return str(getattr(record, counter)) if record.level == level else None
    if record.level != Level.STUDY:
        return None
    if tag == MODALITIES_IN_STUDY:
        series = (rows.unpack(s.row(SERIES, key(ref)) or b"")[rows.SERIES_TAGS] for ref in s.child_refs(record.ref))
        return "\\".join(sorted({tags[MODALITY] for tags in series if MODALITY in tags}))
    if tag == SOP_CLASSES_IN_STUDY:
        below = s.descendants(record, Level.INSTANCE)
        return "\\".join(sorted({each.sop_class for each in below if isinstance(each, Instance)} - {""}))
    return None


def kept_tags(s: Snapshot, record: Resource | Instance) -> tuple[int, ...]:
    """Return which main tags the index keeps of a resource: those that were configured when it came."""
    return _choice_of(s, record.ref)[level_of(record)]


def present_tags(s: Snapshot, level: Level) -> frozenset[int]:
    """Return which tags the index keeps of a resource that comes now, and of what lies above it."""
    return _at_or_above(s.main_tags[0].tags, level)


def kept_above(
    s: Snapshot, record: Resource | Instance, known: dict[Ref, frozenset[int]] | None = None
) -> frozenset[int]:
    """Return which tags `main_tags` tells of a resource, or that the resource has none.

    `known` keeps those of studies and series for further calls on this snapshot.
    """
    return kept_of_row(s, level_of(record), record.ref, record.parent, {} if known is None else known)


def kept_of_row(
    s: Snapshot, level: Level, ref: Ref, parent: Ref | None, known: dict[Ref, frozenset[int]]
) -> frozenset[int]:
    """Return the same of a resource of which its ref and its parent's are known. Raises KeyError if the parent is gone."""
    if len(s.main_tags) == 1:
        return ALWAYS[level]
    tags = _choice_of(s, ref)
    if level <= Level.STUDY:
        return _at_or_above(tags, level)
    assert parent is not None
    above = known.get(parent)
    if above is None:
        over = Level(level - 1)
        above = known[parent] = kept_of_row(s, over, parent, Ref(_read_row(s, over, parent)[rows.PARENT]), known)
    return above.union(tags[level])


def _choice_of(s: Snapshot, ref: Ref) -> MainTags:
    told = told_at(s.row, ref) if len(s.main_tags) > 1 else ref
    return next(choice.tags for choice in s.main_tags if choice.seq < told)


def main_tags(
    s: Snapshot, record: Resource | Instance, known: dict[Ref, dict[int, str]] | None = None
) -> dict[int, str]:
    """Return the main tags of a resource and of what lies above it, the nearest winning; the patient is as its study has it.

    A tag that a level keeps by default is that level's also where a lower one keeps it, too. `known` keeps those of studies and
    series for further calls on this snapshot.
    """
    if isinstance(record, Resource) and record.level <= Level.STUDY:
        return {**record.patient_tags, **record.tags}
    assert record.parent is not None
    return _merged(s, level_of(record), record.tags, record.parent, {} if known is None else known)


def main_tags_of_row(s: Snapshot, level: Level, row: list[Any], known: dict[Ref, dict[int, str]]) -> dict[int, str]:
    """Return the same of a row of `store.projections.rows`. Raises KeyError if what lies above it is gone."""
    own: dict[int, str] = row[rows.TAGS_OF_LEVEL[level]]
    if level == Level.PATIENT:
        return own
    if level == Level.STUDY:
        return {**row[rows.STUDY_PATIENT_TAGS], **own}
    return _merged(s, level, own, row[rows.PARENT], known)


def _merged(s: Snapshot, level: Level, own: Tags, parent: Ref, known: dict[Ref, dict[int, str]]) -> dict[int, str]:
    above = known.get(parent)
    if above is None:
        over = Level(level - 1)
        above = known[parent] = main_tags_of_row(s, over, _read_row(s, over, parent), known)
    if len(s.main_tags) == 1:
        return {**above, **own}
    by_default = MAIN_DICOM_TAGS[level]
    return {**above, **own, **{tag: above[tag] for tag in above.keys() & own.keys() if tag not in by_default}}


def _read_row(s: Snapshot, level: Level, ref: Ref) -> list[Any]:
    packed = s.row(rows.TABLE_OF_LEVEL[level], key(ref))
    if packed is None:
        raise KeyError(ref)
    return rows.unpack(packed)


def oldest_instance(s: Snapshot, record: Resource | Instance) -> Instance | None:
    """Return the instance that was stored first, whose file stands for the resource; None if all are gone."""
    if isinstance(record, Instance):
        return record
    if record.level == Level.SERIES:
        oldest = next(s.child_refs(record.ref), None)
    else:  # of each series the first child may be it
        series = s.descendant_refs(record, Level.SERIES)
        oldest = min((first for each in series if (first := next(s.child_refs(each), None)) is not None), default=None)
    if oldest is None:
        return None
    instance = s.get_ref(Level.INSTANCE, oldest)
    return instance if isinstance(instance, Instance) else None
