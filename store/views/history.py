"""Which events touched a resource, and how it is related to others: from the log, so also of what is gone.

A resource's ref is the sequence of the event that created it, and that event names what it belongs to.
"""

from dataclasses import dataclass

from events.envelope import tags_of
from events.identifiers import Level, Ref, ResourceId, Seq
from events.resources import InstanceStored, PatientCreated, ResourceDeleted, SeriesCreated, StudyCreated
from events.subjects import CREATED
from store.log import read_event, tag_of
from store.tables import EVENTS, IDS, LEVEL_REF, TOUCHES, U64, key
from store.views.snapshot import Snapshot

# Where a creation names what its resource belongs to.
PARENT_FIELD = {Level.INSTANCE: "series", Level.SERIES: "study", Level.STUDY: "patient", Level.PATIENT: ""}
_MOST_KEPT = 10_000  # kin in memory, some 4 MB


@dataclass(frozen=True, slots=True)
class Kin:
    """A resource with what it belongs to, as its creation tells."""

    level: Level
    ref: Ref
    id: ResourceId | None  # None: erased
    parent: Ref | None
    above: tuple[ResourceId, ...]  # identifiers of what it belongs to, nearest first


class Kinship:
    """Finds kin by ref, and keeps them: they never change. One thread at a time."""

    def __init__(self) -> None:
        self._known: dict[Ref, Kin | None] = {}

    def of(self, snapshot: Snapshot, ref: Ref) -> Kin | None:
        """Return the resource that was created by an event, None if that created none or was erased."""
        if ref in self._known:
            return self._known[ref]
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        found = self._known[ref] = self._read(snapshot, ref)
        return found

    def _read(self, snapshot: Snapshot, ref: Ref) -> Kin | None:
        _, event = read_event(snapshot.row, ref)
        if not isinstance(event, InstanceStored | SeriesCreated | StudyCreated | PatientCreated):
            return self._read_erased(snapshot, ref)
        level = CREATED[event.TAG]
        parent = getattr(event, PARENT_FIELD[level], None)
        return Kin(level, ref, event.id, parent, () if parent is None else self.above(snapshot, parent))

    def _read_erased(self, snapshot: Snapshot, ref: Ref) -> Kin | None:
        row = snapshot.row(EVENTS, key(ref))
        level = None if row is None else CREATED.get(tag_of(row))
        return None if level is None else Kin(level, ref, None, None, ())

    def above(self, snapshot: Snapshot, parent: Ref) -> tuple[ResourceId, ...]:
        """Return the identifiers of a resource and of what it belongs to."""
        kin = self.of(snapshot, parent)
        return () if kin is None or kin.id is None else (kin.id, *kin.above)


def list_history(snapshot: Snapshot, resource: ResourceId) -> list[Seq]:
    """Return the sequences of all events that touched a resource, also in its earlier lives; none where it was never here.

    Among them is the deletion of what it belonged to, which took it along.
    """
    seqs = _touches(snapshot, resource)
    packed = snapshot.row(IDS, resource)
    if packed is not None:
        seqs.add(LEVEL_REF.unpack(packed)[1])
    for life in _lives(snapshot, seqs):
        if life.level != Level.INSTANCE:  # which have it among their own
            seqs |= _deletions_above(snapshot, life)
    return [Seq(seq) for seq in sorted(seqs)]


def list_above(snapshot: Snapshot, resource: ResourceId) -> tuple[ResourceId, ...]:
    """Return the identifiers of what a resource belongs or belonged to: the same in each of its lives; none of what was never here."""
    found = snapshot.row(IDS, resource)
    seqs = {LEVEL_REF.unpack(found)[1]} if found is not None else _touches(snapshot, resource)
    return next((life.above for life in _lives(snapshot, seqs)), ())


def _touches(snapshot: Snapshot, resource: ResourceId) -> set[int]:
    return {U64.unpack_from(row_key, len(resource))[0] for row_key in snapshot.keys(TOUCHES, resource)}


def _lives(snapshot: Snapshot, seqs: set[int]) -> list[Kin]:
    """Return the resource as each of its creations made it."""
    kinship = Kinship()
    rows = ((seq, snapshot.row(EVENTS, key(seq))) for seq in sorted(seqs))
    created = [Ref(seq) for seq, row in rows if row is not None and tag_of(row) in CREATED]
    return [kin for ref in created if (kin := kinship.of(snapshot, ref)) is not None]


def _deletions_above(snapshot: Snapshot, life: Kin) -> set[int]:
    """Return the deletions of what a resource belonged to in one of its lives."""
    kinship, found, parent = Kinship(), set(), life.parent
    while parent is not None and (kin := kinship.of(snapshot, parent)) is not None and kin.id is not None:
        for seq in _touches(snapshot, kin.id):
            row = snapshot.row(EVENTS, key(seq)) if seq > life.ref else None
            if row is not None and tag_of(row) in _DELETIONS:
                _, event = read_event(snapshot.row, seq)
                if isinstance(event, ResourceDeleted) and event.resource == kin.ref:
                    found.add(seq)
        parent = kin.parent
    return found


_DELETIONS = frozenset(tags_of(ResourceDeleted))
