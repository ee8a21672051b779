"""What an archive must look like after some commands, in plain dictionaries and with no thought for speed.

Resources are named by tuples: `("P", "S")` is study S of patient P. The model predicts the sequence of every event, so
refs, changes and the order of lists follow.
"""

import copy
from dataclasses import dataclass, field, fields

from actors.messages.commands.instances import NEVER, StoreInstance
from events.attachments import DICOM_UNTIL_PIXELS
from events.identifiers import BlobId, Level, Ref
from store.projections.attachments import Sizes
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
    disk_bytes: int  # of the file as it lies there
    index: int | None


@dataclass(slots=True)
class Attached:
    """An attachment that is there."""

    revision: int
    blob: BlobId
    size_bytes: int
    disk_bytes: int


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
    most_bytes: int = 0  # MaximumStorageSize; 0: no limit
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
        """Nothing, where no room can be made; then nothing has happened, though the old file would have gone first."""
        if names in self.leaves and command.overwrite == NEVER:
            return "AlreadyStored"
        before = copy.deepcopy(self)
        if names in self.leaves:
            self.delete(names, now_us)
        head = None if command.head is None else Attached(0, command.head[0], command.head[1], command.head[4])
        if not self._make_room(names[0], command.disk_bytes + (0 if head is None else head.disk_bytes), now_us):
            for each in fields(self):
                setattr(self, each.name, getattr(before, each.name))
            return None
        is_protected = names[:1] in self.nodes and names[0] not in self.places
        ref = self._append(now_us, "NewInstance", names)
        if not is_protected:
            self.places[names[0]] = ref
        self.leaves[names] = Leaf(
            Ref(ref), self.at_us, command.blob, command.size_bytes, command.disk_bytes, command.index_in_series
        )
        self.blobs.add(command.blob)
        for length in (3, 2, 1):
            above = names[:length]
            if above not in self.nodes:
                created = self._append(now_us, f"New{LEVEL_NAMES[level_of(above)]}", above)
                self.nodes[above] = Node(Ref(created), command.expected_instances if length == 3 else None)
            node = self.nodes[above]
            node.is_stable, node.last_seq, node.last_update_us = False, ref, self.leaves[names].at_us
        if head is not None:
            self._append(now_us)
            self.attachments[names] = {DICOM_UNTIL_PIXELS: head}
            self.blobs.add(head.blob)
        if self._is_complete(names[:3]):
            self._append(now_us, "CompletedSeries", names[:3])
        return "Success"

    def _make_room(self, patient: str, more_bytes: int, now_us: int) -> bool:
        """Recycle the oldest patients until a patient may have more; nobody, where that would not be enough."""
        if 0 < self.most_bytes < more_bytes:
            return False
        gone: list[str] = []
        while self._is_full(gone, patient, more_bytes):
            oldest = sorted({*self.places} - {patient, *gone}, key=self.places.__getitem__)
            if not oldest:
                return False
            gone.append(oldest[0])
        for each in gone:
            self.delete((each,), now_us)
        return True

    def _is_full(self, gone: list[str], patient: str, more_bytes: int) -> bool:
        left = [names[0] for names in self.all(Level.PATIENT) if names[0] not in gone]
        if patient not in left and 0 < self.most_patients <= len(left):
            return True
        return 0 < self.most_bytes < sum(self._disk_bytes(name) for name in left) + more_bytes

    def _disk_bytes(self, patient: str) -> int:
        return sum(leaf.disk_bytes for _, leaf in self.below((patient,))) + self.attached((patient,)).disk

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

    def set_attachment(self, names: Names, number: int, blob: BlobId, size_bytes: int, now_us: int) -> int | None:
        """Return the revision; nothing, where no room can be made."""
        kept = self.attachments.get(names, {})
        old = kept.get(number)
        if not self._make_room_for(names, size_bytes - (old.disk_bytes if old else 0), now_us):
            return None
        revision = old.revision + 1 if old else 0
        self.attachments[names] = kept | {number: Attached(revision, blob, size_bytes, size_bytes)}
        self.blobs.add(blob)
        self._append(now_us, "UpdatedAttachment", names)
        return revision

    def _make_room_for(self, names: Names, more_bytes: int, now_us: int) -> bool:
        return more_bytes <= 0 or self._make_room(names[0], more_bytes, now_us)

    def remove_attachment(self, names: Names, number: int, now_us: int) -> bool:
        was_there = self.attachments.get(names, {}).pop(number, None) is not None
        if was_there:
            self._append(now_us, "UpdatedAttachment", names)
        return was_there

    def repack(self, names: Names, number: int, blob: BlobId, disk_bytes: int, now_us: int) -> bool:
        """Put the same content into another file; tells whether there was room. Number 1 is an instance's own."""
        held = self.leaves[names] if number == 1 else self.attachments[names][number]
        if not self._make_room_for(names, disk_bytes - held.disk_bytes, now_us):
            return False
        held.blob, held.disk_bytes = blob, disk_bytes
        self.blobs.add(blob)
        self._append(now_us, "UpdatedAttachment", names)
        return True

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
        saved_bytes = size_bytes - sum(leaf.disk_bytes for leaf in self.leaves.values())
        return Statistics(patients, studies, series, instances, size_bytes, *self.attached(()), saved_bytes)

    def attached(self, names: Names) -> Sizes:
        """Return the bytes of the attachments of a resource and of all below it; of the archive, for `()`."""
        held = [
            attached
            for owner, kept in self.attachments.items()
            if owner[: len(names)] == names
            for attached in kept.values()
        ]
        return Sizes(sum(each.size_bytes for each in held), sum(each.disk_bytes for each in held))
