"""OverwriteInstances: what is sent again takes the place of what is there, in one commit, and never before it is on the disk.

What comes of it (a deletion and a new instance) was seen on Orthanc 1.12.7 (tests/peer/test_recycling.py).
"""

import errno
import os
from typing import Any

import pytest

from actors.core.index.settings import StorageLimits
from actors.messages.commands.instances import ALWAYS, IF_CHANGED, StoreInstance
from actors.services.ingest.settings import IngestSettings
from events.errors import LimitReached, StorageFailed
from events.identifiers import BlobId, Level
from store.environment import Environment
from store.records import Statistics
from store.tables import CONDEMNED, LABELS, METADATA
from store.views.feed import EventEntry, get_changes, get_events
from tests.clock import Clock
from tests.data_factory import add_pixels, dataset, encode
from tests.index_stage import IndexStage, protect_command, store_command
from tests.ingest_stage import Gate, both_ways
from tests.unit.actors.test_labels import add
from tests.unit.actors.test_recycling import order, patients, statistics

OLD = encode(add_pixels(dataset(StudyDescription="old")))
NEW = encode(add_pixels(dataset(StudyDescription="new")))
LONGER = encode(add_pixels(dataset(StudyDescription="another")))


def overwriting(place: int, *names: str, overwrite: str = ALWAYS, size_bytes: int = 1_000) -> StoreInstance:
    return store_command(*names, place=place, overwrite=overwrite, size_bytes=size_bytes)


def tags(stage: IndexStage, since: int = 0) -> list[str]:
    with stage.views.snapshot() as s:
        return [entry.tag.partition("/")[0] for entry in get_events(s, since=since, limit=1 << 20)]


def last(stage: IndexStage, tag: str) -> EventEntry:
    with stage.views.snapshot() as s:
        return [entry for entry in get_events(s, limit=1 << 20) if entry.tag == tag][-1]


# -- the index --------------------------------------------------------------------------------------------------------


def test_the_old_life_ends_and_the_new_one_begins_in_one_commit(stage: IndexStage) -> None:
    first = store_command()
    stage.run(first, store_command(instance="J", place=1))
    before = stage.index._log.head.seq
    assert stage.ask(overwriting(2, size_bytes=3_000)) == "Success"
    assert tags(stage, before) == ["resource-deleted", "instance-stored"]
    deleted = last(stage, "resource-deleted/2")
    assert (deleted.public["level"], deleted.public["reason"]) == (Level.INSTANCE, "OverwriteInstances")
    assert deleted.personal is not None
    assert deleted.personal["remote_ip"] == "192.0.2.1"
    assert statistics(stage) == Statistics(1, 1, 1, 2, 4_000)
    with stage.views.snapshot() as s:
        changes = [change.change_type for change in get_changes(s).changes]
        assert [*s.keys(CONDEMNED, b"")] == [first.blob]
    assert changes == ["NewSeries", "NewStudy", "NewPatient", "NewInstance", "NewInstance"]


def test_what_is_emptied_by_it_is_new_as_a_whole(stage: IndexStage) -> None:
    """Labels, metadata and protection of a patient who has nothing else go, as in Orthanc."""
    stage.run(store_command(), add("a", "P"), add("a", "P", "S", "R", "I"), protect_command("P"))
    stage.ask(overwriting(1))
    with stage.views.snapshot() as s:
        assert not [*s.keys(LABELS, b""), *s.keys(METADATA, b"")]
        assert [change.change_type for change in get_changes(s).changes] == [
            "NewInstance", "NewSeries", "NewStudy", "NewPatient"
        ]  # fmt: skip
    assert order(stage) == "P"
    assert statistics(stage) == Statistics(1, 1, 1, 1, 1_000)


def test_what_is_above_keeps_what_it_has_and_waits_to_become_stable(stage: IndexStage) -> None:
    stage.run(store_command(), store_command(instance="J", place=1), store_command("Q", place=2))
    stage.run(add("a", "P"), add("b", "P", "S", "R", "I"))
    stage.announced.touched.clear()
    stage.ask(overwriting(3))
    with stage.views.snapshot() as s:
        assert [row_key[8:] for row_key in s.keys(LABELS, b"")] == [b"a"]
    assert order(stage) == "QP"
    assert [level for level, *_ in stage.announced.touched] == [Level.SERIES, Level.STUDY, Level.PATIENT]


@pytest.mark.parametrize(
    ("overwrite", "md5s", "status"),
    [
        ("Never", (b"a" * 16, b"b" * 16), "AlreadyStored"),
        (ALWAYS, (b"a" * 16, b"a" * 16), "Success"),
        (IF_CHANGED, (b"a" * 16, b"a" * 16), "AlreadyStored"),
        (IF_CHANGED, (b"a" * 16, b"b" * 16), "Success"),
        (IF_CHANGED, (b"", b""), "Success"),  # whoever sends it has compared the bytes
        (IF_CHANGED, (b"", b"b" * 16), "Success"),
    ],
)
def test_each_value_of_the_option(stage: IndexStage, overwrite: str, md5s: tuple[bytes, bytes], status: str) -> None:
    stage.ask(store_command(md5=md5s[0]))
    assert stage.ask(store_command(md5=md5s[1], place=1, overwrite=overwrite)) == status


def test_the_same_file_sent_twice_is_stored_once(stage: IndexStage) -> None:
    stage.ask(store_command())
    command = overwriting(1)
    assert [stage.ask(command), stage.ask(command)] == ["Success", "Success"]
    assert tags(stage).count("instance-stored") == 2


def test_two_that_overwrite_in_one_commit_leave_the_last(stage: IndexStage) -> None:
    stage.ask(store_command())
    assert stage.run(overwriting(1), overwriting(2, size_bytes=5)) == ["Success", "Success"]
    assert statistics(stage) == Statistics(1, 1, 1, 1, 5)
    with stage.views.snapshot() as s:
        assert len([*s.keys(CONDEMNED, b"")]) == 2


@pytest.mark.parametrize("is_refused", [False, True])
def test_limits_count_what_is_left_once_the_old_file_has_gone(
    env: Environment, clock: Clock, *, is_refused: bool
) -> None:
    stage = IndexStage(env, clock, StorageLimits(patients=2, size_mb=1))
    stage.lease()
    stage.run(store_command("P", size_bytes=600_000), store_command("Q", size_bytes=400_000, place=1))
    stage.ask(protect_command("Q"))
    (answer,) = stage.run(overwriting(2, size_bytes=700_000 if is_refused else 640_000))
    assert isinstance(answer, LimitReached) is is_refused
    assert patients(stage) == ("PQ" if is_refused else "QP"), "the one that is refused has left all as it was"
    assert statistics(stage).size_bytes == 1_000_000 + (0 if is_refused else 40_000)


def test_a_file_that_heals_obeys_the_size_limit(env: Environment, clock: Clock) -> None:
    stage = IndexStage(env, clock, StorageLimits(size_mb=1))
    stage.lease()
    damaged = store_command("Q", place=1)
    stage.run(store_command("P"), damaged)
    held = damaged.blob
    for place, size_bytes in ((2, (1 << 20) - 1_000), (3, 1 << 20)):
        command = store_command("Q", heals=held, place=place, size_bytes=size_bytes)
        assert stage.ask(command) == "Success"
        held = command.blob
    assert patients(stage) == "Q", "the last one has had P recycled"
    (refusal,) = stage.run(store_command("Q", heals=held, place=4, size_bytes=(2 << 20) + 1))
    assert isinstance(refusal, LimitReached)


# -- ingest -----------------------------------------------------------------------------------------------------------


@both_ways
def test_the_last_file_is_the_one_that_is_there(gate: Gate) -> None:
    gate.settings = IngestSettings(overwrite=ALWAYS)
    assert [gate.send(data).status for data in (OLD, NEW, NEW)] == ["Success"] * 3
    assert gate.read() == NEW


@both_ways
@pytest.mark.parametrize("digest", [True, False])
def test_with_if_changed_the_same_bytes_are_already_stored(gate: Gate, *, digest: bool) -> None:
    gate.settings = IngestSettings(overwrite=IF_CHANGED, hash=digest)
    statuses = [gate.send(data).status for data in (OLD, OLD, NEW, NEW, LONGER, OLD)]
    assert statuses == ["Success", "AlreadyStored", "Success", "AlreadyStored", "Success", "Success"]
    assert gate.read() == OLD
    assert len(gate.instances) == 1


@pytest.mark.parametrize("overwrite", [ALWAYS, IF_CHANGED])
def test_a_damaged_file_is_replaced(gate: Gate, overwrite: str) -> None:
    gate.send(OLD)
    (record,) = gate.instances
    gate.blobs.path(record.blob).write_bytes(b"x" * len(OLD))
    gate.settings = IngestSettings(overwrite=overwrite)
    assert gate.send(OLD).status == "Success"
    assert gate.read() == OLD


@both_ways
def test_the_new_file_is_on_the_disk_before_anybody_refers_to_it(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.send(OLD)
    gate.settings = IngestSettings(overwrite=ALWAYS)
    synced: set[int] = set()
    fsync = os.fsync

    def note(fd: int) -> None:
        fsync(fd)
        synced.add(os.fstat(fd).st_ino)

    monkeypatch.setattr(os, "fsync", note)

    def look(command: StoreInstance) -> None:
        assert gate.blobs.path(command.blob).stat().st_ino in synced
        assert gate.read() == OLD

    gate.before_store = look
    gate.send(NEW)
    assert gate.read() == NEW


@both_ways
def test_a_file_that_cannot_be_made_durable_leaves_the_old_one(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.send(OLD)
    gate.settings = IngestSettings(overwrite=ALWAYS)

    def fail(_: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageFailed):
        gate.send(NEW)
    assert gate.read() == OLD


def test_a_first_file_that_fails_after_it_was_overwritten_takes_nothing_back(gate: Gate) -> None:
    """Its sync ends in an error while another upload has stored the same instance: that one stays."""
    gate.settings = IngestSettings(overwrite=ALWAYS)
    gate.send(OLD)
    (first,) = gate.instances
    gate.send(NEW)
    gate.ingest.index.retract(BlobId(first.blob))
    assert gate.read() == NEW


def test_the_old_file_is_condemned(gate: Gate) -> None:
    gate.settings = IngestSettings(overwrite=ALWAYS)
    gate.send(OLD)
    gate.send(NEW)
    with gate.stage.views.snapshot() as s:
        condemned = {gate.blobs.path(BlobId(blob)) for blob in s.keys(CONDEMNED, b"")}
    assert [gate.files[path] for path in condemned] == [OLD]
    assert [data for path, data in gate.files.items() if path not in condemned] == [NEW]
