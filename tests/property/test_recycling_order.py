"""Any stores, deletions and protections under any limits, with restarts: who is there, and in which order they go, is what a
plain list says, and replay gives the very bytes.

Few patients and large instances, so that almost every store recycles; purge steps of one instance, taken whenever the machine likes.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.core.index.decisions import recycling
from actors.core.index.decisions import resources as decide
from actors.core.index.settings import StorageLimits
from actors.messages.commands.instances import StoreInstance
from actors.messages.commands.recycling import RecycleExcess
from events.errors import LimitReached, NotFound
from events.identifiers import Level
from store.batch import Batch
from store.environment import Environment
from store.projections import ALL_TABLES
from store.projections.recycling import list_protected, oldest_first
from store.records import Resource
from tests.clock import Clock
from tests.examples import examples
from tests.index_stage import IndexStage, chain, delete_command, protect_command, store_command
from tools.replay import differences, rebuild

MB = 1 << 20
patients = st.sampled_from("ABCDE")
instances = st.tuples(patients, st.sampled_from("12"))
sizes = st.sampled_from([1_000, 300_000, 500_000, MB, MB + 1])
limits = st.builds(
    StorageLimits,
    patients=st.integers(0, 3),
    size_mb=st.integers(0, 1),
    mode=st.sampled_from(["Recycle", "Recycle", "Reject"]),
)


@dataclass
class Plain:
    """The archive as a list of patients: the first is the oldest."""

    limits: StorageLimits
    order: list[str] = field(default_factory=list)  # of all, who are protected too
    files: dict[str, dict[str, int]] = field(default_factory=dict)  # patient -> instance -> size
    protected: set[str] = field(default_factory=set)

    def store(self, patient: str, instance: str, size_bytes: int) -> str | type[Exception]:
        if instance in self.files.get(patient, {}):
            return "AlreadyStored"
        gone: list[str] = []
        while self._is_too_much([*self.files, patient], gone, size_bytes, counts=patient not in self.files):
            free = [name for name in self.order if name not in {patient, *self.protected, *gone}]
            if not free or self.limits.mode == "Reject" or size_bytes > self.limits.size_mb * MB > 0:
                return LimitReached
            gone.append(free[0])
        for name in gone:
            self.forget(name)
        self.files.setdefault(patient, {})[instance] = size_bytes
        self.touch(patient)
        return "Success"

    def _is_too_much(self, there: list[str], gone: list[str], more: int = 0, *, counts: bool = True) -> bool:
        left = set(there) - set(gone)
        size = sum(sum(self.files.get(name, {}).values()) for name in left) + more
        is_crowded = counts and 0 < self.limits.patients < len(left)
        return is_crowded or 0 < self.limits.size_mb * MB < size

    def restart(self, limits: StorageLimits) -> bool:
        """Tell whether the limits hold, or can be made to."""
        self.limits = limits
        if limits.mode == "Reject" or not self._is_too_much(list(self.files), []):
            return True
        free = [name for name in self.order if name not in self.protected]
        if self._is_too_much(list(self.files), free):
            return False
        for name in free:
            if self._is_too_much(list(self.files), []):
                self.forget(name)
        return True

    def touch(self, patient: str) -> None:
        if patient in self.order:
            self.order.remove(patient)
        self.order.append(patient)

    def forget(self, patient: str) -> None:
        self.order.remove(patient)
        self.protected.discard(patient)
        del self.files[patient]


class RecyclingMachine(RuleBasedStateMachine):
    """The index against the list."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = [
            patch.object(decide, "PURGE_STEP_INSTANCES", 1),
            patch.object(recycling, "PATIENTS_PER_STEP", 2),
        ]
        for each in self._patches:
            each.start()
        self._folder = tempfile.TemporaryDirectory()
        self._env, self._fresh = (_environment(Path(self._folder.name), name) for name in ("live", "fresh"))
        self._clock = Clock()
        self._places = 0

    @initialize(limits=limits)
    def begin(self, limits: StorageLimits) -> None:
        self._plain = Plain(limits)
        self._stage = IndexStage(self._env, self._clock, limits)
        self._folder_number = self._stage.lease()

    @rule(names=instances, size_bytes=sizes)
    def store(self, names: tuple[str, str], size_bytes: int) -> None:
        self.store_at_once([(names, size_bytes)])

    @rule(wanted=st.lists(st.tuples(instances, sizes), min_size=1, max_size=6))
    def store_at_once(self, wanted: list[tuple[tuple[str, str], int]]) -> None:
        answers = self._stage.run(*(self._command(*names, size_bytes) for names, size_bytes in wanted))
        for answer, (names, size_bytes) in zip(answers, wanted, strict=True):
            expected = self._plain.store(*names, size_bytes)
            assert answer == expected if isinstance(expected, str) else isinstance(answer, expected)

    def _command(self, patient: str, instance: str, size_bytes: int) -> StoreInstance:
        self._places += 1
        return store_command(
            patient, instance=instance, size_bytes=size_bytes, folder=self._folder_number, place=self._places
        )

    @rule(patient=patients, is_protected=st.booleans())
    def protect(self, patient: str, *, is_protected: bool) -> None:
        (answer,) = self._stage.run(protect_command(patient, is_protected=is_protected))
        if patient not in self._plain.files:
            assert isinstance(answer, NotFound)
        elif is_protected:
            self._plain.protected.add(patient)
        elif patient in self._plain.protected:
            self._plain.protected.remove(patient)
            self._plain.touch(patient)

    @rule(names=instances)
    def delete(self, names: tuple[str, str]) -> None:
        patient, instance = names
        (answer,) = self._stage.run(delete_command(patient, "S", "R", instance))
        held = self._plain.files.get(patient, {})
        assert isinstance(answer, NotFound) is (held.pop(instance, None) is None)
        if patient in self._plain.files and not held:
            self._plain.forget(patient)

    @precondition(lambda self: self._stage.purges)
    @rule()
    def purge_step(self) -> None:
        self._stage.purge_step()

    @rule(limits=limits)
    def restart(self, limits: StorageLimits) -> None:
        purges = self._stage.purges
        self._stage = IndexStage(self._env, self._clock, limits)
        self._stage.purges += purges
        can_hold = self._plain.restart(limits)
        (answer,) = self._stage.run(RecycleExcess())
        while answer is True:
            (answer,) = self._stage.run(RecycleExcess())
        assert answer is False if can_hold else isinstance(answer, LimitReached)

    @invariant()
    def who_is_there_and_in_which_order(self) -> None:
        plain = self._plain
        names = {chain(name): name for name in "ABCDE"}
        with self._stage.views.snapshot() as s, self._env.begin() as txn:
            batch = Batch(txn, self._env.tables)
            order = [names[s.id_of(Level.PATIENT, ref)] for ref in oldest_first(batch)]
            protected = {names[s.id_of(Level.PATIENT, ref)] for ref in list_protected(batch)}
            there = {names[each.id]: each for each in s.list(Level.PATIENT) if isinstance(each, Resource)}
            total = s.statistics()
        assert order == [name for name in plain.order if name not in plain.protected]
        assert protected == plain.protected
        sizes = {name: sum(files.values()) for name, files in plain.files.items()}
        assert {name: each.size_bytes for name, each in there.items()} == sizes
        assert (total.patients, total.size_bytes) == (len(sizes), sum(sizes.values()))

    @invariant()
    def replay_gives_the_same_bytes(self) -> None:
        with self._fresh.begin(write=True) as txn:
            for table in ALL_TABLES:
                txn.drop(self._fresh.tables[table], delete=False)
        with self._env.begin() as live:
            rebuild(self._env, live, self._fresh)
            with self._fresh.begin() as rebuilt:
                assert differences(live, self._env.tables, rebuilt, self._fresh.tables) == {}

    def teardown(self) -> None:
        self._env.close()
        self._fresh.close()
        self._folder.cleanup()
        for each in self._patches:
            each.stop()


def _environment(folder: Path, name: str) -> Environment:
    (folder / name).mkdir()
    return Environment(folder / name, writable=True, durable=False)


TestRecycling = RecyclingMachine.TestCase
TestRecycling.settings = settings(max_examples=examples(15), stateful_step_count=25, deadline=None)
