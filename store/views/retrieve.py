"""Which instances the identifier of a C-MOVE or C-GET names (PS3.4 §C.4.2.2.1).

As in Orthanc 1.12.7 the key of the level decides alone; keys of the levels above are asked only where several resources
carry the same identifier, such as a study that is there under two patients. Instances come grouped by series, in the order
of their numbers.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from events.identifiers import Level, Ref, ResourceId
from store.dicom.tags import ACCESSION_NUMBER, PATIENT_ID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID
from store.projections.lookup import LEVEL_OF_KIND
from store.records import Instance, Resource
from store.tables import LookupKind, normalize_identifier
from store.views.lookup import find_refs
from store.views.snapshot import Snapshot
from store.views.views import Views

Item = TypeVar("Item")

ROWS_AT_ONCE: Final = 2000  # resources looked up in one snapshot; 20 ms for 2,000

TAG_OF_KIND: Final[Mapping[LookupKind, int]] = {
    LookupKind.PATIENT_ID: PATIENT_ID,
    LookupKind.STUDY_INSTANCE_UID: STUDY_INSTANCE_UID,
    LookupKind.SERIES_INSTANCE_UID: SERIES_INSTANCE_UID,
    LookupKind.SOP_INSTANCE_UID: SOP_INSTANCE_UID,
    LookupKind.ACCESSION_NUMBER: ACCESSION_NUMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Resources of one level, by their identifiers."""

    kind: LookupKind  # of the values
    values: tuple[str, ...]
    above: Mapping[LookupKind, str] = field(default_factory=dict)  # of resources that they belong to


def find_instances(views: Views, named: Named) -> list[ResourceId]:
    """Return all instances of the named resources, each once. Takes several short snapshots."""
    level = LEVEL_OF_KIND[named.kind]
    instances: dict[ResourceId, None] = {}
    series: dict[Ref, None] = {}
    for values in _chunks(named.values):
        with views.snapshot() as snapshot:
            for root in _find_roots(snapshot, named, values):
                if level == Level.INSTANCE:
                    instances[snapshot.id_of(level, root)] = None
                else:
                    series.update(dict.fromkeys(_series_of(snapshot, root, level)))
    for ref in series:
        instances.update(dict.fromkeys(_instances_of(views, ref)))
    return list(instances)


def list_instances(views: Views, level: Level, root: Ref) -> list[ResourceId]:
    """Return the instances below a resource in the same order. Takes several short snapshots. Raises KeyError if it is gone."""
    with views.snapshot() as snapshot:
        if level == Level.INSTANCE:
            return [snapshot.id_of(level, root)]
        series = list(_series_of(snapshot, root, level))
    return [instance for ref in series for instance in _instances_of(views, ref)]


def _find_roots(snapshot: Snapshot, named: Named, values: Iterable[str]) -> Iterator[Ref]:
    for value in values:
        refs = list(find_refs(snapshot, named.kind, value))
        if len(refs) > 1 and named.above:
            refs = [ref for ref in refs if _lies_below(snapshot, ref, named)] or refs
        yield from refs


def _lies_below(snapshot: Snapshot, ref: Ref, named: Named) -> bool:
    """Tell whether a resource belongs to all that the identifier names above it."""
    record: Resource | Instance = snapshot.get_ref(LEVEL_OF_KIND[named.kind], ref)
    while record.parent is not None:
        record = snapshot.parent(record)
        for kind, value in named.above.items():
            if LEVEL_OF_KIND[kind] == record.level:
                told = record.tags.get(TAG_OF_KIND[kind], "")
                if normalize_identifier(told) != normalize_identifier(value):
                    return False
    return True


def _series_of(snapshot: Snapshot, root: Ref, level: Level) -> Iterable[Ref]:
    if level == Level.SERIES:
        return (root,)
    return snapshot.descendant_refs(snapshot.get_resource(level, root), Level.SERIES)


def _instances_of(views: Views, series: Ref) -> Iterator[ResourceId]:
    """Iterate over a series in the order of its instances' numbers; those without one come last."""
    with views.snapshot() as snapshot:
        refs = list(snapshot.child_refs(series))
    placed: list[tuple[bool, int, Ref, ResourceId]] = []
    for chunk in _chunks(refs):
        with views.snapshot() as snapshot:
            for ref in chunk:
                with suppress(KeyError):  # deleted since
                    placed.append(_place(snapshot.get_ref(Level.INSTANCE, ref)))
    return (instance for *_, instance in sorted(placed))


def _place(record: Resource | Instance) -> tuple[bool, int, Ref, ResourceId]:
    assert isinstance(record, Instance)
    index = record.index_in_series
    return index is None, index or 0, record.ref, record.id


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + ROWS_AT_ONCE] for start in range(0, len(items), ROWS_AT_ONCE))
