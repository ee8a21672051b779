"""What an archive must look like after some commands, in plain dictionaries and with no thought for speed.

Resources are named by tuples: `("P", "S")` is study S of patient P. The model predicts the sequence of every event, so
refs, changes and the order of lists follow.
"""

from dataclasses import dataclass, field

from actors.messages.commands.instances import StoreInstance
from events.identifiers import BlobId, Level, Ref
from store.records import Statistics

Names = tuple[str, ...]


@dataclass(slots=True)
class Node:
    """A patient, study or series that is there."""

    ref: Ref
    expected: int | None
    is_stable: bool = False
    last_seq: int = 0
    last_update_us: int = 0


@dataclass(slots=True)
class Leaf:
    """An instance that is there."""

    ref: Ref
    at_us: int
    blob: BlobId
    size_bytes: int
    index: int | None


@dataclass(slots=True)
class ModelChange:
    """A row of `/changes`."""

    seq: int
    change_type: str
    names: Names


LEVEL_NAMES = {Level.PATIENT: "Patient", Level.STUDY: "Study", Level.SERIES: "Series", Level.INSTANCE: "Instance"}


def level_of(names: Names) -> Level:
    return Level(len(names))


@dataclass(slots=True)
class ArchiveModel:
    """The archive as a client may see it, and what is still being removed."""

    purge_step: int
    head: int = 0
    at_us: int = 0
    nodes: dict[Names, Node] = field(default_factory=dict)
    leaves: dict[Names, Leaf] = field(default_factory=dict)
    changes: list[ModelChange] = field(default_factory=list)
    metadata: dict[Names, dict[int, tuple[int, bytes]]] = field(default_factory=dict)  # number -> revision, value
    purging: dict[Ref, int] = field(default_factory=dict)  # deleted root -> instances whose rows remain
    dead: list[tuple[Level, Ref, int]] = field(default_factory=list)  # resources that were deleted, with their last_seq
    blobs: set[BlobId] = field(default_factory=set)  # all that were ever taken

    # -- commands: each returns the reply -----------------------------------------------------------------------------

    def store(self, names: Names, command: StoreInstance, now_us: int) -> str:
        if names in self.leaves:
            return "AlreadyStored"
        ref = self._append(now_us, "NewInstance", names)
        self.leaves[names] = Leaf(Ref(ref), self.at_us, command.blob, command.size_bytes, command.index_in_series)
        self.blobs.add(command.blob)
        for length in (3, 2, 1):
            above = names[:length]
            if above not in self.nodes:
                created = self._append(now_us, f"New{LEVEL_NAMES[level_of(above)]}", above)
                self.nodes[above] = Node(Ref(created), command.expected_instances if length == 3 else None)
            node = self.nodes[above]
            node.is_stable, node.last_seq, node.last_update_us = False, ref, self.leaves[names].at_us
        if self._is_complete(names[:3]):
            self._append(now_us, "CompletedSeries", names[:3])
        return "Success"

    def _is_complete(self, series: Names) -> bool:
        expected = self.nodes[series].expected
        indexes = [leaf.index for _, leaf in self.below(series)]
        return expected is not None and sorted(i or 0 for i in indexes) == list(range(1, expected + 1))

    def delete(self, names: Names, now_us: int) -> Names | None:
        """Return what remains, `()` for nothing; None where there is no such resource."""
        if not self.exists(names):
            return None
        while len(names) > 1 and len(self.children(names[:-1])) == 1:
            names = names[:-1]
        gone = [leaf for leaf, _ in self.below(names)]
        if len(names) < Level.INSTANCE:
            root = self.nodes[names].ref
            self.purging[root] = len(gone)
        for leaf in gone:
            del self.leaves[leaf]
        for node in [node for node in self.nodes if node[: len(names)] == names]:
            old = self.nodes.pop(node)
            self.dead.append((level_of(node), old.ref, old.last_seq))
        self.changes = [change for change in self.changes if change.names[: len(names)] != names]
        self.metadata = {owner: kept for owner, kept in self.metadata.items() if owner[: len(names)] != names}
        self._append(now_us)
        for length in range(1, len(names)):
            self.nodes[names[:length]].last_update_us = self.at_us
        if len(names) < Level.INSTANCE:
            self.purge(root, now_us)
        return names[:-1]

    def purge(self, root: Ref, now_us: int) -> None:
        """One step: it is the last one when it finds fewer instances than it may remove."""
        self._append(now_us)
        self.purging[root] -= self.purge_step
        if self.purging[root] < 0:
            del self.purging[root]

    def settle(self, names: Names, now_us: int) -> None:
        node = self.nodes[names]
        if not node.is_stable:
            node.is_stable = True
            self._append(now_us, f"Stable{LEVEL_NAMES[level_of(names)]}", names)

    def unsettle(self, names: Names, now_us: int) -> None:
        self.nodes[names].is_stable = False
        self._append(now_us)

    def set_metadata(self, names: Names, number: int, value: bytes, now_us: int) -> int:
        """Return the revision."""
        kept = self.metadata.setdefault(names, {})
        revision = kept[number][0] + 1 if number in kept else 0
        kept[number] = (revision, value)
        self._append(now_us, "UpdatedMetadata", names)
        return revision

    def remove_metadata(self, names: Names, number: int, now_us: int) -> bool:
        was_there = self.metadata.get(names, {}).pop(number, None) is not None
        if was_there:
            self._append(now_us, "UpdatedMetadata", names)
        return was_there

    def note(self, now_us: int) -> None:
        """Something happened that is no change of the archive."""
        self._append(now_us)

    def clear_changes(self, now_us: int) -> None:
        self._append(now_us)
        self.changes.clear()

    def _append(self, now_us: int, change_type: str = "", names: Names = ()) -> int:
        self.head += 1
        self.at_us = max(self.at_us, now_us)
        if change_type:
            self.changes.append(ModelChange(self.head, change_type, names))
        return self.head

    # -- questions ------------------------------------------------------------------------------------------------------

    def exists(self, names: Names) -> bool:
        return names in self.leaves or names in self.nodes

    def ref(self, names: Names) -> Ref:
        return self.leaves[names].ref if names in self.leaves else self.nodes[names].ref

    def all(self, level: Level) -> list[Names]:
        """Return the resources of a level in order of creation."""
        found = [names for names in (*self.leaves, *self.nodes) if level_of(names) == level]
        return sorted(found, key=self.ref)

    def below(self, names: Names) -> list[tuple[Names, Leaf]]:
        return [(leaf, self.leaves[leaf]) for leaf in self.leaves if leaf[: len(names)] == names]

    def children(self, names: Names) -> list[Names]:
        """Return what lies right below, in order of creation."""
        return [found for found in self.all(Level(len(names) + 1)) if found[:-1] == names]

    def statistics(self) -> Statistics:
        patients, studies, series, instances = (len(self.all(level)) for level in Level)
        return Statistics(patients, studies, series, instances, sum(leaf.size_bytes for leaf in self.leaves.values()))
