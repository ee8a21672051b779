"""Any commands in any order: the archive is what a plain model says, and replay gives its very bytes.

Few names, so that identifiers collide all the time; purge steps of two instances, taken whenever the machine likes, so
that most commands meet a deletion that is half done. Jobs live in the same log, and own files as instances do; what
becomes of them is tests/property/test_jobs_engine.py's to look at more closely. Who is recycled, and when, is
tests/property/test_recycling_order.py's.
"""

import tempfile
from collections import Counter
from dataclasses import astuple, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.core.index.decisions import resources as decide
from actors.core.index.settings import StorageLimits
from actors.messages.commands.attachments import RemoveAttachment, RepackAttachment, SetAttachment
from actors.messages.commands.command import Command
from actors.messages.commands.instances import ALWAYS, NEVER, NoteDuplicate, StoreInstance
from actors.messages.commands.jobs import (
    ControlJob,
    DropJobOutput,
    EndJob,
    FailJob,
    FinishJobStep,
    InterruptJob,
    StartJob,
    TrimJobs,
)
from actors.messages.commands.labels import AddLabel, RemoveLabel
from actors.messages.commands.metadata import RemoveMetadata, SetMetadata
from actors.messages.commands.resources import PurgeRows, RetractInstance, SetStability, SettleResources
from actors.messages.commands.scripts import (
    DeleteKeyValue,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordCallbackSkip,
    StoreKeyValue,
)
from actors.messages.commands.server import ClearChanges
from events.attachments import DICOM
from events.errors import InvalidRequest, LimitReached, NotFound, SinogramError
from events.identifiers import BlobId, Level, Ref, Seq
from events.resources import InstanceStored, ResourceDeleted, RowsPurged
from events.stored_file import Compression
from store.blobs.writer import make_blob_id
from store.environment import Environment
from store.projections import ALL_TABLES
from store.projections.changes import ChangeType
from store.projections.metadata import unpack_metadata
from store.projections.scripts import FAILURES_KEPT, CallbackCounts
from store.records import Instance, Origin, Resource
from store.tables import ATTACHMENTS, BLOBS, CONDEMNED, LABELLED, LABELS, METADATA, TOMBSTONES, U64, metadata_key
from store.views.attachments import attached_sizes, list_attachments, revision_of
from store.views.callbacks import get_callback_counts, list_last_failures, list_waiting
from store.views.feed import get_changes, get_events, get_last_change
from store.views.jobs import list_jobs
from store.views.key_values import get_value, list_keys
from store.views.labels import labels_of, list_labels
from store.views.lookup import find_identifier
from store.views.protection import is_protected
from store.views.snapshot import Snapshot
from tests.archive_model import ArchiveModel, Attached, Leaf, Names, level_of
from tests.clock import Clock
from tests.examples import examples
from tests.index_stage import IndexStage, chain, delete_command, protect_command, store_command
from tests.job_stage import job_id, output_command, submit_command
from tests.jobs_model import JobsModel
from tools.replay import differences, rebuild

PURGE_STEP = 2

instances = st.tuples(st.sampled_from("PQ"), st.sampled_from("ST"), st.sampled_from("RU"), st.sampled_from("123"))
resources = st.tuples(instances, st.integers(1, 4)).map(lambda pair: pair[0][: pair[1]])
job_numbers = st.integers(1, 3)
CallbackPlace = tuple[int, int]  # sequence of the cause, number of the callback
callback_places = st.tuples(st.integers(0, 2), st.integers(0, 1))
labels = st.sampled_from(["a", "ab", "A-_9"])
sizes = st.sampled_from([1, 1_000, 400_000, 700_000])  # of two large ones there is room for one
disk_sizes = st.sampled_from([0, 0, 1, 9, 500_000])  # of files that are compressed; 0: they are as they are
attachment_numbers = st.sampled_from([1024, 65535])
short_bytes = st.sampled_from([b"", b"a", b"a\0", b"\xff"])
UNIVERSE = [names for levels in range(1, 5) for names in product(*("PQ", "ST", "RU", "123")[:levels])]


@dataclass(slots=True)
class CallbacksModel:
    """What is recorded of callbacks."""

    waiting: dict[CallbackPlace, tuple[int, int]] = field(default_factory=dict)  # -> when it is due, attempts
    failures: list[tuple[int, str]] = field(default_factory=list)  # sequence, message
    recovered: int = 0
    skipped: int = 0

    def fail(self, place: CallbackPlace, attempt: int, delay_ms: int, archive: ArchiveModel) -> None:
        self.failures.append((archive.head, f"attempt {attempt}"))
        if delay_ms:
            self.waiting[place] = (archive.at_us + delay_ms * 1000, attempt)


def failure_command(cause_seq: int, number: int, *, attempt: int, delay_ms: int) -> RecordCallbackFailure:
    return RecordCallbackFailure(
        cause_seq=cause_seq,
        number=number,
        callback="OnHeartBeat",
        attempt=attempt,
        delay_ms=delay_ms,
        cause="error",
        message=f"attempt {attempt}",
    )


class ArchiveMachine(RuleBasedStateMachine):
    """The index against the model."""

    def __init__(self) -> None:
        super().__init__()
        self._patch = patch.object(decide, "PURGE_STEP_INSTANCES", PURGE_STEP)
        self._patch.start()
        self._folder = tempfile.TemporaryDirectory()
        self._env = _environment(Path(self._folder.name), "live")
        self._fresh = _environment(Path(self._folder.name), "fresh")
        self._clock = Clock()
        self._places = 0

    @initialize(most_patients=st.sampled_from([0, 0, 1]), most_mb=st.sampled_from([0, 0, 1]))
    def begin(self, most_patients: int, most_mb: int) -> None:
        self._limits = StorageLimits(patients=most_patients, size_mb=most_mb)
        self._stage = IndexStage(self._env, self._clock, self._limits)
        self._stage.lease()
        self._model = ArchiveModel(PURGE_STEP, most_patients, self._limits.size_bytes)
        self._jobs = JobsModel(self._clock, self._model.head)
        self._callbacks = CallbacksModel()
        self._labels: dict[Ref, set[str]] = {}  # also of resources that are gone: a ref is never used again
        self._values: dict[tuple[bytes, bytes], bytes] = {}  # what scripts keep: store, key -> value

    # -- commands -------------------------------------------------------------------------------------------------------

    @rule(
        names=instances,
        expected=st.sampled_from([None, None, 1, 2]),
        index=st.sampled_from([None, 1, 2]),
        size_bytes=sizes,
        overwrite=st.sampled_from([NEVER, ALWAYS]),
        packed_bytes=disk_sizes,
    )
    def store(
        self,
        names: Names,
        expected: int | None,
        index: int | None,
        size_bytes: int,
        overwrite: str,
        packed_bytes: int,
    ) -> None:
        command, reply = self._store(names, expected, index, size_bytes, overwrite, packed_bytes)
        _check([command], self._stage.run(command), [reply])

    @rule(names=resources)
    def delete(self, names: Names) -> None:
        command, reply = self._delete(names)
        _check([command], self._stage.run(command), [reply])

    @precondition(lambda self: self._model.blobs)
    @rule(data=st.data())
    def retract(self, data: st.DataObject) -> None:
        """A file turns out not to be durable; its instance may be there, deleted, or have a later life."""
        blob = data.draw(st.sampled_from(sorted(self._model.blobs)))
        self._stage.ask(RetractInstance(blob=blob))
        for names in [names for names, leaf in self._model.leaves.items() if leaf.blob == blob]:
            self._model.delete(names, self._clock())

    @rule(wanted=st.lists(st.one_of(st.tuples(st.just("store"), instances), st.tuples(st.just("delete"), resources))))
    def many_at_once(self, wanted: list[tuple[str, Names]]) -> None:
        """Several commands in one commit: each sees what those before it did, the refused ones leave nothing."""
        pairs = [self._store(n) if kind == "store" else self._delete(n) for kind, n in wanted]
        commands = [command for command, _ in pairs]
        if commands:
            _check(commands, self._stage.run(*commands), [reply for _, reply in pairs])

    @rule(names=instances)
    def send_a_series(self, names: Names) -> None:
        for instance in "123":
            self.store((*names[:3], instance), None, None, 1_000, NEVER, 0)

    @precondition(lambda self: self._model.nodes)
    @rule(data=st.data(), is_late=st.booleans())
    def settle(self, data: st.DataObject, is_late: bool) -> None:
        """The stable-tracker asks, perhaps not knowing of the last instance."""
        names = data.draw(st.sampled_from(sorted(self._model.nodes)))
        node = self._model.nodes[names]
        seq = Seq(node.last_seq - is_late)
        self._stage.ask(SettleResources(resources=[(level_of(names), node.ref, seq)]))
        if not is_late:
            self._model.settle(names, self._clock())

    @rule(names=resources, is_stable=st.booleans())
    def set_stability(self, names: Names, *, is_stable: bool) -> None:
        """A script knows better; instances have no stability."""
        command = SetStability(id=chain(*names), is_stable=is_stable, correlation=b"")
        (answer,) = self._stage.run(command)
        node = self._model.nodes.get(names)
        if node is None:
            assert isinstance(answer, InvalidRequest if names in self._model.leaves else NotFound)
            return
        assert answer == (node.is_stable != is_stable)
        if is_stable:
            self._model.settle(names, self._clock())
        else:
            self._model.unsettle(names, self._clock())

    @rule(names=instances)
    def note_duplicate(self, names: Names) -> None:
        note = NoteDuplicate(id=chain(*names), **Origin(kind="RestApi").facts(), correlation=b"")
        assert self._stage.ask(note) == (names in self._model.leaves)
        if names in self._model.leaves:
            self._model.note(self._clock())

    @rule(names=resources, number=st.sampled_from([1024, 65535]), value=short_bytes)
    def set_metadata(self, names: Names, number: int, value: bytes) -> None:
        (answer,) = self._stage.run(SetMetadata(id=chain(*names), number=number, value=value, correlation=b""))
        if self._model.exists(names):
            assert answer == self._model.set_metadata(names, number, value, self._clock())
        else:
            assert isinstance(answer, NotFound)

    @rule(names=resources, number=st.sampled_from([1024, 65535]))
    def remove_metadata(self, names: Names, number: int) -> None:
        (answer,) = self._stage.run(RemoveMetadata(id=chain(*names), number=number, correlation=b""))
        if self._model.exists(names):
            assert answer == self._model.remove_metadata(names, number, self._clock())
        else:
            assert isinstance(answer, NotFound)

    @rule(names=resources, number=attachment_numbers, size_bytes=sizes)
    def set_attachment(self, names: Names, number: int, size_bytes: int) -> None:
        blob = self._next_blob()
        (answer,) = self._stage.run(
            SetAttachment(
                id=chain(*names),
                number=number,
                blob=blob,
                size_bytes=size_bytes,
                md5=b"",
                correlation=b"",
            )
        )
        if not self._model.exists(names):
            assert isinstance(answer, NotFound)
            return
        revision = self._model.set_attachment(names, number, blob, size_bytes, self._clock())
        assert isinstance(answer, LimitReached) if revision is None else answer == revision

    @rule(names=resources, number=attachment_numbers)
    def remove_attachment(self, names: Names, number: int) -> None:
        command = RemoveAttachment(id=chain(*names), number=number, correlation=b"")
        (answer,) = self._stage.run(command)
        if self._model.exists(names):
            assert answer == self._model.remove_attachment(names, number, self._clock())
        else:
            assert isinstance(answer, NotFound)

    @precondition(lambda self: self._model.blobs)
    @rule(names=resources, number=st.sampled_from([DICOM, 1024, 65535]), disk_bytes=disk_sizes, data=st.data())
    def repack(self, names: Names, number: int, disk_bytes: int, data: st.DataObject) -> None:
        """Compress an attachment, or the DICOM file, or do not any more: the one that is there now, or one that was there before."""
        held = self._held(names, number)
        replaced = data.draw(st.sampled_from(sorted(self._model.blobs) if held is None else [held.blob]))
        size_bytes = 1_000 if held is None else held.size_bytes
        is_packed = disk_bytes > 0
        blob = self._next_blob()
        command = RepackAttachment(
            id=chain(*names),
            number=number,
            blob=blob,
            size_bytes=size_bytes,
            md5=b"",
            compression=Compression.ZLIB if is_packed else Compression.NONE,
            packed_bytes=disk_bytes if is_packed else 0,
            replaced=replaced,
            correlation=b"",
        )
        (answer,) = self._stage.run(command)
        if not self._model.exists(names):
            assert isinstance(answer, NotFound)
        elif held is None:
            assert answer is False
        elif self._model.repack(names, number, blob, disk_bytes if is_packed else size_bytes, self._clock()):
            assert answer is True
        else:
            assert isinstance(answer, LimitReached)

    @rule(patient=st.sampled_from("PQ"), is_protected=st.booleans())
    def protect(self, patient: str, *, is_protected: bool) -> None:
        (answer,) = self._stage.run(protect_command(patient, is_protected=is_protected))
        if self._model.exists((patient,)):
            self._model.protect(patient, self._clock(), is_protected=is_protected)
        else:
            assert isinstance(answer, NotFound)

    @rule(names=resources, label=labels, is_added=st.booleans())
    def change_label(self, names: Names, label: str, *, is_added: bool) -> None:
        kind = AddLabel if is_added else RemoveLabel
        values: dict[str, Any] = {"remote_ip": "", "username": "", "correlation": b""}
        (answer,) = self._stage.run(kind(level=level_of(names), id=chain(*names), label=label, **values))
        if not self._model.exists(names):
            assert isinstance(answer, NotFound)
            return
        assert answer is None
        there = self._labels.setdefault(self._model.ref(names), set())
        if (label in there) != is_added:
            self._model.note(self._clock())
            there ^= {label}

    @rule(place=callback_places, attempt=st.integers(1, 3), delay_ms=st.sampled_from([0, 5_000]))
    def fail_callback(self, place: CallbackPlace, attempt: int, delay_ms: int) -> None:
        self._stage.ask(failure_command(*place, attempt=attempt, delay_ms=delay_ms))
        if attempt > self._callbacks.waiting.get(place, (0, 0))[1]:
            self._model.note(self._clock())
            self._callbacks.fail(place, attempt, delay_ms, self._model)

    @rule(place=callback_places)
    def recover_callback(self, place: CallbackPlace) -> None:
        cause_seq, number = place
        command = RecordCallbackRecovery(cause_seq=cause_seq, number=number, callback="OnHeartBeat", attempt=2)
        self._stage.ask(command)
        if self._callbacks.waiting.pop(place, None) is not None:
            self._model.note(self._clock())
            self._callbacks.recovered += 1

    @rule(place=callback_places)
    def skip_callback(self, place: CallbackPlace) -> None:
        cause_seq, number = place
        self._stage.ask(RecordCallbackSkip(cause_seq=cause_seq, number=number, callback="OnHeartBeat", attempts=3))
        self._model.note(self._clock())
        self._callbacks.waiting.pop(place, None)
        self._callbacks.skipped += 1

    @rule(store=short_bytes, name=short_bytes, value=short_bytes)
    def store_key_value(self, store: bytes, name: bytes, value: bytes) -> None:
        (answer,) = self._stage.run(StoreKeyValue(store=store, key=name, value=value))
        assert isinstance(answer, InvalidRequest) == (not name)
        if name and self._values.get((store, name)) != value:
            self._model.note(self._clock())
            self._values[store, name] = value

    @rule(store=short_bytes, name=short_bytes)
    def delete_key_value(self, store: bytes, name: bytes) -> None:
        (answer,) = self._stage.run(DeleteKeyValue(store=store, key=name))
        if not name:
            assert isinstance(answer, InvalidRequest)
            return
        was_there = self._values.pop((store, name), None) is not None
        assert answer == was_there
        if was_there:
            self._model.note(self._clock())

    @precondition(lambda self: self._model.dead)
    @rule(data=st.data())
    def settle_what_is_gone(self, data: st.DataObject) -> None:
        level, ref, last_seq = data.draw(st.sampled_from(self._model.dead))
        self._stage.ask(SettleResources(resources=[(level, ref, Seq(last_seq))]))

    @precondition(lambda self: self._stage.purges)
    @rule()
    def purge_step(self) -> None:
        root = self._stage.purges[0].resource
        self._model.purge(root, self._clock())
        self._stage.purge_step()

    @precondition(lambda self: self._stage.purges)
    @rule()
    def purge_all(self) -> None:
        while self._stage.purges:
            self.purge_step()

    @rule()
    def clear_changes(self) -> None:
        self._model.clear_changes(self._clock())
        self._stage.ask(ClearChanges())

    @rule(number=job_numbers, steps=st.integers(0, 2))
    def submit_job(self, number: int, steps: int) -> None:
        self._tell_job(submit_command(number, steps=steps))

    @rule(number=job_numbers, word=st.sampled_from(["pause", "resume", "cancel", "resubmit", "forget"]))
    def control_job(self, number: int, word: str) -> None:
        self._tell_job(ControlJob(id=job_id(number), word=word, correlation=b""))

    @rule(number=job_numbers)
    def drop_output(self, number: int) -> None:
        self._tell_job(DropJobOutput(id=job_id(number), key="archive", correlation=b""))

    @precondition(lambda self: self._jobs.jobs)
    @rule(data=st.data(), code=st.sampled_from([0, 17]))
    def run_job(self, data: st.DataObject, code: int) -> None:
        """All of a run, up to one of its ends."""
        job = data.draw(st.sampled_from(list(self._jobs.jobs.values())))
        ref = Ref(job.ref)
        self._tell_job(StartJob(job=ref))
        self._places += 1
        self._tell_job(output_command(ref, run=job.run, place=self._places))
        for step in range(job.position, data.draw(st.integers(job.position, job.steps))):
            self._tell_job(FinishJobStep(job=ref, run=job.run, step=step, code=code))
        ends = [
            EndJob(job=ref, run=job.run, result={"ID": "x"}),
            FailJob(job=ref, run=job.run, code=9, details="no route", delay_ms=None),
            FailJob(job=ref, run=job.run, code=9, details="no route", delay_ms=2_000),
            InterruptJob(job=ref, run=job.run, is_crash=True),
            InterruptJob(job=ref, run=job.run, is_crash=False),
        ]
        self._tell_job(data.draw(st.sampled_from(ends)))

    @rule(keep=st.integers(0, 2))
    def trim_jobs(self, keep: int) -> None:
        self._tell_job(TrimJobs(keep=keep))

    def _tell_job(self, command: Command) -> None:
        """Both models write into one log."""
        self._jobs.head, self._jobs.at_us = self._model.head, self._model.at_us
        expected = self._jobs.execute(command)
        self._model.head, self._model.at_us = self._jobs.head, self._jobs.at_us
        (answer,) = self._stage.run(command)
        assert (type(answer) if isinstance(answer, SinogramError) else answer) == expected

    @rule(seconds=st.sampled_from([-86_400, 0, 1, 3_600]))
    def set_the_clock(self, seconds: int) -> None:
        self._clock.advance(seconds)

    @rule()
    def restart(self) -> None:
        """A crash and a start: steps of purges are found in the tombstones."""
        self._stage = IndexStage(self._env, self._clock, self._limits)
        with self._stage.views.snapshot() as snapshot:
            roots = [Ref(U64.unpack(row_key)[0]) for row_key in snapshot.keys(TOMBSTONES, b"")]
        self._stage.purges = [PurgeRows(resource=root) for root in roots]

    def _next_blob(self) -> BlobId:
        self._places += 1
        return make_blob_id(1, self._places)

    def _held(self, names: Names, number: int) -> Attached | Leaf | None:
        if number == DICOM:
            return self._model.leaves.get(names)
        return self._model.attachments.get(names, {}).get(number)

    def _store(
        self,
        names: Names,
        expected: int | None = None,
        index: int | None = None,
        size_bytes: int = 1_000,
        overwrite: str = NEVER,
        packed_bytes: int = 0,
    ) -> tuple[Command, str | None]:
        self._places += 1
        patient, study, series, instance = names
        command = store_command(
            patient,
            study,
            series,
            instance,
            place=self._places,
            size_bytes=size_bytes + self._places,
            overwrite=overwrite,
            compression=Compression.ZLIB if packed_bytes else Compression.NONE,
            packed_bytes=packed_bytes,
            head=[self._next_blob(), 100, b"", Compression.ZLIB, 90, b""] if packed_bytes > 1 else None,
            expected_instances=expected,
            index_in_series=index,
        )
        return command, self._model.store(names, command, self._clock())

    def _delete(self, names: Names) -> tuple[Command, Any]:
        return delete_command(*names), self._model.delete(names, self._clock())

    # -- what must hold ---------------------------------------------------------------------------------------------------

    @invariant()
    def the_log_is_as_long_as_predicted(self) -> None:
        assert self._stage.index._log.head.seq == self._model.head
        assert {step.resource for step in self._stage.purges} == set(self._model.purging)

    @invariant()
    def lists_and_statistics_agree(self) -> None:
        with self._stage.views.snapshot() as snapshot:
            assert snapshot.statistics() == self._model.statistics()
            for level in Level:
                expected = [chain(*names) for names in self._model.all(level)]
                assert snapshot.list_ids(level) == expected
                assert snapshot.list_ids(level, 1, 2) == expected[1:3]
                assert [record.id for record in snapshot.list(level)] == expected
                assert [snapshot.id_of(level, self._model.ref(names)) for names in self._model.all(level)] == expected

    @invariant()
    def every_resource_agrees_and_nothing_hidden_shows(self) -> None:
        with self._stage.views.snapshot() as snapshot:
            for names in UNIVERSE:
                record = snapshot.get(level_of(names), chain(*names))
                if names in self._model.leaves:
                    self._check_instance(snapshot, names, record)
                elif names in self._model.nodes:
                    self._check_resource(snapshot, names, record)
                else:
                    assert record is None
                    assert snapshot.find(chain(*names)) is None

    def _check_instance(self, snapshot: Snapshot, names: Names, record: Resource | Instance | None) -> None:
        leaf = self._model.leaves[names]
        assert isinstance(record, Instance)
        assert (record.ref, record.received_us, record.blob) == (leaf.ref, leaf.at_us, leaf.blob)
        assert (record.size_bytes, record.disk_bytes) == (leaf.size_bytes, leaf.disk_bytes)
        assert record.index_in_series == leaf.index
        assert snapshot.owner_of_blob(leaf.blob) == leaf.ref
        for level in (Level.SERIES, Level.STUDY, Level.PATIENT):
            assert snapshot.ancestor(record, level).id == chain(*names[:level])

    def _check_resource(self, snapshot: Snapshot, names: Names, record: Resource | Instance | None) -> None:
        node, level = self._model.nodes[names], level_of(names)
        below = self._model.below(names)
        assert isinstance(record, Resource)
        assert (record.ref, record.is_stable, record.last_update_us) == (node.ref, node.is_stable, node.last_update_us)
        assert record.expected_instances == node.expected
        assert record.instance_count == len(below)
        assert record.size_bytes == sum(leaf.size_bytes for _, leaf in below)
        assert record.disk_bytes == sum(leaf.disk_bytes for _, leaf in below)
        assert record.series_count == (len({leaf[:3] for leaf, _ in below}) if level < Level.SERIES else 0)
        assert record.study_count == (len({leaf[:2] for leaf, _ in below}) if level < Level.STUDY else 0)
        assert snapshot.child_ids(record) == [chain(*child) for child in self._model.children(names)]
        found = [instance.id for instance in snapshot.descendants(record, Level.INSTANCE)]
        assert sorted(found) == sorted(chain(*leaf) for leaf, _ in below)

    @invariant()
    def labels_agree(self) -> None:
        live = {
            names: self._labels.get(self._model.ref(names), set()) for names in UNIVERSE if self._model.exists(names)
        }
        with self._stage.views.snapshot() as snapshot:
            for names, expected in live.items():
                assert labels_of(snapshot, self._model.ref(names)) == sorted(expected)
            assert list(list_labels(snapshot)) == sorted(set().union(*live.values()))
            rows = len(list(snapshot.keys(LABELS, b"")))
            assert rows == len(list(snapshot.keys(LABELLED, b"")))
        if not self._model.purging:
            assert rows == sum(map(len, live.values()))

    @invariant()
    def changes_agree(self) -> None:
        expected = [(c.seq, c.change_type, level_of(c.names), chain(*c.names)) for c in self._model.changes]
        with self._stage.views.snapshot() as snapshot:

            def read(**options: Any) -> list[tuple[int, str, Level, bytes]]:
                page = get_changes(snapshot, **options)
                return [(c.seq, c.change_type, c.level, c.resource) for c in page.changes]

            assert read(limit=0) == expected
            middle = self._model.head // 2
            assert read(since=middle, limit=2) == [c for c in expected if c[0] > middle][:2]
            assert read(to=middle, limit=2) == [c for c in expected if c[0] <= middle][-2:]
            last = get_last_change(snapshot).changes
            assert [change.seq for change in last] == [c[0] for c in expected[-1:]]
            for wanted in (["NewInstance"], ["NewStudy", "StableSeries"], ["NewInstance", "CompletedSeries"]):
                assert read(types=wanted, limit=0) == [c for c in expected if c[1] in wanted]
            assert read(types=["Nonsense"], limit=0) == []
            assert {c[1] for c in expected} <= set(ChangeType.__members__)

    @invariant()
    def metadata_agree(self) -> None:
        """With the number of a resource that is there stands what was set last; no row outlives its resource's."""
        expected = {
            metadata_key(self._model.ref(names), number): kept
            for names, of_one in self._model.metadata.items()
            for number, kept in of_one.items()
        }
        with self._stage.views.snapshot() as snapshot:
            rows = {row_key: snapshot.row(METADATA, row_key) or b"" for row_key in snapshot.keys(METADATA, b"")}
        found = {row_key: tuple(unpack_metadata(row)) for row_key, row in rows.items()}
        assert (expected.items() <= found.items()) if self._model.purging else (expected == found)

    @invariant()
    def attachments_agree(self) -> None:
        """Rows, revisions, files and sums, at every level."""
        model = self._model
        with self._stage.views.snapshot() as snapshot:
            for names in filter(model.exists, UNIVERSE):
                record = snapshot.get(level_of(names), chain(*names))
                assert record is not None
                found = {
                    number: (revision_of(file), file.blob, file.size_bytes, file.disk_bytes)
                    for number, file in list_attachments(snapshot, record).items()
                    if number != DICOM
                }
                kept = {number: astuple(held) for number, held in model.attachments.get(names, {}).items()}
                assert found == kept
                assert attached_sizes(snapshot, record.ref) == model.attached(names)
            rows = len(list(snapshot.keys(ATTACHMENTS, b"")))
        if not model.purging:
            assert rows == sum(map(len, model.attachments.values()))

    @invariant()
    def protection_agrees(self) -> None:
        """Whoever is there can be recycled or is protected; the limits hold."""
        patients = self._model.all(Level.PATIENT)
        with self._stage.views.snapshot() as snapshot:
            for names in patients:
                assert is_protected(snapshot, self._model.ref(names)) == (names[0] not in self._model.places)
        if self._limits.patients:
            assert len(patients) <= self._limits.patients
        if self._limits.size_mb:
            statistics = self._model.statistics()
            assert statistics.disk_bytes + statistics.attached_disk_bytes <= self._limits.size_bytes

    @invariant()
    def lookup_agrees(self) -> None:
        with self._stage.views.snapshot() as snapshot:
            for value in "PQSTRU123":
                expected = [
                    (level, chain(*names)) for level in Level for names in self._model.all(level) if names[-1] == value
                ]
                assert find_identifier(snapshot, value) == expected
                assert find_identifier(snapshot, f" {value.lower()} ") == expected

    @invariant()
    def jobs_agree(self) -> None:
        with self._stage.views.snapshot() as snapshot:
            stored = {job.ref: job.progress for job in list_jobs(snapshot)}
        assert stored == {ref: job.progress() for ref, job in self._jobs.jobs.items()}

    @invariant()
    def callbacks_and_values_agree(self) -> None:
        with self._stage.views.snapshot() as snapshot:
            waiting = {(w.cause_seq, w.number): (w.due_us, w.attempt) for w in list_waiting(snapshot)}
            failures = [(failure.seq, failure.message) for failure in list_last_failures(snapshot)]
            counts = get_callback_counts(snapshot)
            for store, name in product([b"", b"a", b"a\0", b"\xff"], repeat=2):
                assert get_value(snapshot, store, name) == self._values.get((store, name))
                assert sorted(list_keys(snapshot, store)) == sorted(k for s, k in self._values if s == store)
        assert waiting == self._callbacks.waiting
        assert failures == self._callbacks.failures[: -FAILURES_KEPT - 1 : -1]
        assert counts == CallbackCounts(
            len(self._callbacks.failures), self._callbacks.recovered, self._callbacks.skipped
        )

    @invariant()
    def every_instance_that_has_gone_is_named_once(self) -> None:
        """By its own deletion or by a step of a purge, as soon as that is over: scripts are told of it by these."""
        if self._model.purging:
            return
        stored: list[bytes] = []
        gone: list[bytes] = []
        with self._stage.views.snapshot() as snapshot:
            for entry in get_events(snapshot, limit=1 << 20):
                values = {**entry.public, **(entry.personal or {})}
                match entry.tag:
                    case InstanceStored.TAG:
                        stored.append(values["id"])
                    case ResourceDeleted.TAG if values["level"] == Level.INSTANCE:
                        gone.append(values["id"])
                    case RowsPurged.TAG:
                        gone += [resource for level, resource in values["deleted"] if level == Level.INSTANCE]
        assert Counter(gone) == Counter(stored) - Counter(chain(*leaf) for leaf in self._model.leaves)

    @invariant()
    def no_blob_is_forgotten(self) -> None:
        """A file that was taken is an instance's or a job's, or condemned, or its instance's row waits to be purged."""
        live = {leaf.blob for leaf in self._model.leaves.values()}
        live |= {held.blob for kept in self._model.attachments.values() for held in kept.values()}
        made = {blob for job in self._jobs.jobs.values() for blob in job.outputs.values()}
        with self._stage.views.snapshot() as snapshot:
            owned = set(snapshot.keys(BLOBS, b""))
            condemned = set(snapshot.keys(CONDEMNED, b""))
        assert owned | condemned == self._model.blobs | made | self._jobs.condemned
        assert not owned & condemned
        assert live | made <= owned
        if not self._model.purging:
            assert live | made == owned

    @invariant()
    def replay_gives_the_same_bytes(self) -> None:
        with self._fresh.begin(write=True) as txn:
            for table in ALL_TABLES:
                txn.drop(self._fresh.tables[table], delete=False)
        with self._env.begin() as live:
            assert rebuild(self._env, live, self._fresh).events == self._model.head
            with self._fresh.begin() as rebuilt:
                assert differences(live, self._env.tables, rebuilt, self._fresh.tables) == {}

    def teardown(self) -> None:
        self._env.close()
        self._fresh.close()
        self._folder.cleanup()
        self._patch.stop()


def _environment(folder: Path, name: str) -> Environment:
    (folder / name).mkdir()
    return Environment(folder / name, writable=True, durable=False)


def _check(commands: list[Command], answers: list[Any], expected: list[Any]) -> None:
    for command, answer, names in zip(commands, answers, expected, strict=True):
        if isinstance(names, str):
            assert answer == names, command
        elif names is None and isinstance(command, StoreInstance):
            assert isinstance(answer, LimitReached), command
        elif names is None:
            assert isinstance(answer, NotFound), command
        else:
            assert answer == ((len(names), chain(*names)) if names else None), command


TestArchive = ArchiveMachine.TestCase
TestArchive.settings = settings(max_examples=examples(25), stateful_step_count=25, deadline=None)
