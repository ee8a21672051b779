"""Which instances go into an archive, and in which order: patients, studies and series by their identifiers, instances by their number.

Short snapshots, one after the other: between them nothing is held but what is asked for, and the identifiers of one level at a time. What is
deleted meanwhile is left out, what comes into a resource whose turn has not come yet is in.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import Final, NamedTuple

from actors.services.archives.names import Siblings, file_names, folder_name, instance_number
from events.identifiers import Level, Ref, ResourceId, parse_resource_id
from store.dicom.tags import MODALITY
from store.records import Instance, Resource
from store.views.snapshot import Snapshot
from store.views.views import Views

ROWS_AT_ONCE: Final = 1000  # in one snapshot; some 10 ms

Chosen = dict[Ref, "Chosen | None"]  # None: with all that is below


class Root(NamedTuple):
    """A resource that is asked for."""

    level: Level
    ref: Ref


class Folders(Enum):
    """Which folders stand around a file."""

    ALL = auto()
    AS_STUDY_TELLS = auto()  # the patient's is called by what the study's first instance has said of the patient
    SERIES_ALONE = auto()


@dataclass(frozen=True, slots=True)
class Member:
    """An instance in its place."""

    name: str
    instance: Instance
    above: tuple[Ref, ...]  # its patient, study and series


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked for, as long as nothing comes or goes."""

    instances: int
    uncompressed_bytes: int


def find_root(views: Views, level: Level | None, name: str) -> Root | None:
    """Return the resource of an identifier, of any level if None; None if there is no such resource."""
    identifier = parse_resource_id(name)
    with views.snapshot() as snapshot:
        place = None if identifier is None else snapshot.find(identifier)
    return None if place is None or level not in (None, place[0]) else Root(*place)


class Selection:
    """The instances of some resources, each once, whatever lies in what."""

    def __init__(
        self, views: Views, roots: Sequence[Root], folders: Folders = Folders.ALL, *, is_utf8: bool = False
    ) -> None:
        """Find out what lies in what."""
        self._folders = folders
        self._views = views
        self._is_utf8 = is_utf8
        self._chosen: Chosen = {}
        for start in range(0, len(roots), ROWS_AT_ONCE):
            with views.snapshot() as snapshot:
                for root in roots[start : start + ROWS_AT_ONCE]:
                    with suppress(KeyError):  # deleted since
                        self._choose(snapshot, root)

    def _choose(self, snapshot: Snapshot, root: Root) -> None:
        path = [root.ref]
        record = snapshot.get_ref(*root)
        while record.parent is not None:
            path.append(record.parent)
            record = snapshot.parent(record)
        below: Chosen = self._chosen
        for ref in reversed(path[1:]):
            inner = below.setdefault(ref, {})
            if inner is None:  # all of it is chosen already
                return
            below = inner
        below[root.ref] = None

    def measure(self) -> Size:
        """Return how much it is, from the counters of resources."""
        instances = size_bytes = 0
        leaves = _leaves(Level.PATIENT, self._chosen)
        while some := list(islice(leaves, ROWS_AT_ONCE)):
            with self._views.snapshot() as snapshot:
                for root in some:
                    with suppress(KeyError):
                        record = snapshot.get_ref(*root)
                        instances += record.instance_count if isinstance(record, Resource) else 1
                        size_bytes += record.size_bytes
        return Size(instances, size_bytes)

    def members(self) -> Iterator[Member]:
        """Iterate over the instances under the names of an archive."""
        for series, chosen, folders, above in self._series(Level.PATIENT, None, self._chosen, (), ()):
            folder = "/".join(folders[-1:] if self._folders is Folders.SERIES_ALONE else folders)
            for name, instance in self._instances(series, chosen):
                yield Member(f"{folder}/{name}", instance, above)

    def _series(
        self, level: Level, parent: Ref | None, chosen: Chosen | None, folders: tuple[str, ...], above: tuple[Ref, ...]
    ) -> Iterator[tuple[Resource, Chosen | None, tuple[str, ...], tuple[Ref, ...]]]:
        """Iterate over the series, each with what is chosen of it, its folders, and their refs."""
        names = Siblings()
        for found in self._resources(level, parent, chosen):
            name = names.take(folder_name(level, found.tags, is_utf8=self._is_utf8))
            if level == Level.STUDY and self._folders is Folders.AS_STUDY_TELLS:
                folders = (folder_name(Level.PATIENT, found.patient_tags, is_utf8=self._is_utf8),)
            place = found.ref, None if chosen is None else chosen[found.ref], (*folders, name), (*above, found.ref)
            if level == Level.SERIES:
                yield found, *place[1:]
            else:
                yield from self._series(Level(level + 1), *place)

    def _resources(self, level: Level, parent: Ref | None, chosen: Chosen | None) -> Iterator[Resource]:
        for _, ref in sorted(self._identified(level, self._refs(parent, chosen))):
            found = self._read_resource(level, ref)
            if found is not None:
                yield found

    def _read_resource(self, level: Level, ref: Ref) -> Resource | None:
        with suppress(KeyError), self._views.snapshot() as snapshot:
            return None if snapshot.is_hidden(level, ref) else snapshot.get_resource(level, ref)
        return None

    def _refs(self, parent: Ref | None, chosen: Chosen | None) -> list[Ref]:
        if chosen is not None:
            return list(chosen)
        assert parent is not None
        with self._views.snapshot() as snapshot:
            return list(snapshot.child_refs(parent))

    def _identified(self, level: Level, refs: Sequence[Ref]) -> Iterator[tuple[ResourceId, Ref]]:
        for start in range(0, len(refs), ROWS_AT_ONCE):
            found: list[tuple[ResourceId, Ref]] = []
            with self._views.snapshot() as snapshot:
                for ref in refs[start : start + ROWS_AT_ONCE]:
                    with suppress(KeyError):
                        found.append((snapshot.id_of(level, ref), ref))
            yield from found

    def _instances(self, series: Resource, chosen: Chosen | None) -> Iterator[tuple[str, Instance]]:
        """Iterate over the instances of a series in the order of their numbers; equal ones in that of their identifiers."""
        refs = self._refs(series.ref, chosen)
        placed = sorted((instance_number(each), each.id, each.ref) for each in self._read(refs))
        names = file_names(series.tags.get(MODALITY, ""), [number for number, _, _ in placed])
        named = {ref: name for (_, _, ref), name in zip(placed, names, strict=True)}
        for instance in self._read([ref for _, _, ref in placed]):
            yield named[instance.ref], instance

    def _read(self, refs: Sequence[Ref]) -> Iterator[Instance]:
        for start in range(0, len(refs), ROWS_AT_ONCE):
            found: list[Instance] = []
            with self._views.snapshot() as snapshot:
                for ref in refs[start : start + ROWS_AT_ONCE]:
                    with suppress(KeyError):
                        record = snapshot.get_ref(Level.INSTANCE, ref)
                        assert isinstance(record, Instance)
                        if not snapshot.is_hidden(Level.INSTANCE, ref):
                            found.append(record)
            yield from found


def _leaves(level: Level, chosen: Chosen) -> Iterator[Root]:
    """Iterate over the resources that are in with all that is below."""
    for ref, below in chosen.items():
        if below is None:
            yield Root(level, ref)
        else:
            yield from _leaves(Level(level + 1), below)
