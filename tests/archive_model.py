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
class Attached:
    """An attachment that is there."""

    revision: int
    blob: BlobId
    size_bytes: int


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
    most_patients: int = 0  # MaximumPatientCount; 0: no limit
    head: int = 0
    at_us: int = 0
    nodes: dict[Names, Node] = field(default_factory=dict)
    leaves: dict[Names, Leaf] = field(default_factory=dict)
    changes: list[ModelChange] = field(default_factory=list)
    metadata: dict[Names, dict[int, tuple[int, bytes]]] = field(default_factory=dict)  # number -> revision, value
    attachments: dict[Names, dict[int, Attached]] = field(default_factory=dict)  # by number
    places: dict[str, int] = field(default_factory=dict)  # patients that may be recycled -> what made them the newest
    purging: dict[Ref, int] = field(default_factory=dict)  # deleted root -> instances whose rows remain
    dead: list[tuple[Level, Ref, int]] = field(default_factory=list)  # resources that were deleted, with their last_seq
    blobs: set[BlobId] = field(default_factory=set)  # all that were ever taken

    # -- commands: each returns the reply -----------------------------------------------------------------------------

    def store(self, names: Names, command: StoreInstance, now_us: int) -> str | None:
        """Nothing, where no room can be made."""
        if names in self.leaves:
            return "AlreadyStored"
        if not self._make_room(names[0], now_us):
            return None
        is_protected = names[:1] in self.nodes and names[0] not in self.places
        ref = self._append(now_us, "NewInstance", names)
        if not is_protected:
            self.places[names[0]] = ref
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

    def _make_room(self, patient: str, now_us: int) -> bool:
        """Recycle the oldest patients for a new one; nobody, where that would not be enough."""
        if not self.most_patients or (patient,) in self.nodes:
            return True
        excess = len(self.all(Level.PATIENT)) + 1 - self.most_patients
        oldest = sorted(self.places, key=self.places.__getitem__)[: max(0, excess)]
        if len(oldest) < excess:
            return False
        for each in oldest:
            self.delete((each,), now_us)
        return True

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
        self.attachments = {owner: kept for owner, kept in self.attachments.items() if owner[: len(names)] != names}
        if len(names) == Level.PATIENT:
            self.places.pop(names[0], None)
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

    def set_attachment(self, names: Names, number: int, blob: BlobId, size_bytes: int, now_us: int) -> int:
        """Return the revision."""
        kept = self.attachments.setdefault(names, {})
        revision = kept[number].revision + 1 if number in kept else 0
        kept[number] = Attached(revision, blob, size_bytes)
        self.blobs.add(blob)
        self._append(now_us, "UpdatedAttachment", names)
        return revision

    def remove_attachment(self, names: Names, number: int, now_us: int) -> bool:
        was_there = self.attachments.get(names, {}).pop(number, None) is not None
        if was_there:
            self._append(now_us, "UpdatedAttachment", names)
        return was_there

    def repack(self, names: Names, number: int, blob: BlobId, now_us: int) -> None:
        """Put the same content into another file; number 1 is an instance's own."""
        held = self.leaves[names] if number == 1 else self.attachments[names][number]
        held.blob = blob
        self.blobs.add(blob)
        self._append(now_us, "UpdatedAttachment", names)

    def protect(self, patient: str, now_us: int, *, is_protected: bool) -> None:
        """Keep a patient from being recycled; one whose protection ends is the newest."""
        if (patient not in self.places) == is_protected:
            return
        self._append(now_us)
        if is_protected:
            del self.places[patient]
        else:
            self.places[patient] = self.head

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
        size_bytes = sum(leaf.size_bytes for leaf in self.leaves.values())
        attached = self.attached_bytes(())
        return Statistics(patients, studies, series, instances, size_bytes, attached, attached)

    def attached_bytes(self, names: Names) -> int:
        """Return the bytes of the attachments of a resource and of all below it; of the archive, for `()`."""
        return sum(
            attached.size_bytes
            for owner, kept in self.attachments.items()
            if owner[: len(names)] == names
            for attached in kept.values()
        )
