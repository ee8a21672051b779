"""Snapshots show one point of the log and hold no reader longer than their block; feeds tell every life of an instance."""

import threading
from typing import Any

import lmdb
import pytest

from actors.core.index.decisions import resources as decide
from events.identifiers import Level, ResourceId
from store.damaged_rows import DamagedRow
from store.environment import MAX_READERS, Environment
from store.log import SCAN_ROWS, read_rows, scan
from store.projections import rows
from store.records import Instance, Resource
from store.tables import EVENTS, PERSONAL, key, lookup_prefix, normalize_identifier
from store.views.feed import get_events, get_history
from store.views.lookup import find_identifier
from tests.golden import samples
from tests.index_stage import IndexStage, chain, delete_command, store_command

INSTANCE = chain("P", "S", "R", "I")


def tags_of(stage: IndexStage, resource_id: ResourceId) -> list[tuple[int, str]]:
    with stage.views.snapshot() as snapshot:
        return [(entry.seq, entry.tag) for entry in get_history(snapshot, resource_id)]


# -- readers ------------------------------------------------------------------------------------------------------------


def active_readers(env: Environment) -> list[str]:
    """Return LMDB's lines about readers that hold a transaction."""
    table: Any = env._env.readers()
    return [line for line in table.splitlines()[1:] if line.split()[-1:] not in ([], ["-"])]


def test_a_snapshot_holds_a_reader_as_long_as_its_block(stage: IndexStage) -> None:
    with stage.views.snapshot(), stage.views.snapshot():
        assert len(active_readers(stage.env)) == 2
    assert active_readers(stage.env) == []


def test_a_block_that_fails_lets_go_of_its_reader(stage: IndexStage) -> None:
    for _ in range(MAX_READERS + 10):
        with pytest.raises(ZeroDivisionError), stage.views.snapshot():
            raise ZeroDivisionError
    assert active_readers(stage.env) == []


def test_an_iteration_that_was_left_early_holds_no_reader(stage: IndexStage) -> None:
    stage.ask(store_command())
    kept = []
    for _ in range(100):
        with stage.views.snapshot() as snapshot:
            refs = snapshot.list_refs(Level.INSTANCE)
            assert next(refs) == 1
            kept.append(refs)
    assert active_readers(stage.env) == []


def test_a_snapshot_is_of_no_use_after_its_block(stage: IndexStage) -> None:
    with stage.views.snapshot() as snapshot:
        pass
    with pytest.raises(lmdb.Error):
        snapshot.statistics()


def test_a_snapshot_shows_one_point_of_the_log(stage: IndexStage) -> None:
    stage.ask(store_command())
    with stage.views.snapshot() as before:
        stage.ask(store_command(instance="2"))
        stage.ask(delete_command("P", "S", "R", "I"))
        assert [record.id for record in before.list(Level.INSTANCE)] == [INSTANCE]
        with stage.views.snapshot() as after:
            assert [record.id for record in after.list(Level.INSTANCE)] == [chain("P", "S", "R", "2")]


def test_threads_read_side_by_side(stage: IndexStage) -> None:
    stage.ask(store_command())
    barrier, seen = threading.Barrier(40), []

    def read() -> None:
        with stage.views.snapshot() as snapshot:
            barrier.wait(10)
            seen.append(snapshot.statistics().instances)

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 40
    assert active_readers(stage.env) == []


# -- rows ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["instance-stored/1", "instance-stored/2"])
def test_an_instances_row_comes_back_with_all_its_values(tag: str) -> None:
    event: Any = samples.EVENTS[tag]
    record = rows.read_instance(samples.SEQ, rows.instance_row(event, 7))  # type: ignore[arg-type]  # a plain number will do
    assert isinstance(record, Instance)
    assert (record.received_us, record.parent) == (7, event.series)
    for name in ("id", "tags", "blob", "size_bytes", "md5", "transfer_syntax", "sop_class"):
        assert getattr(record, name) == getattr(event, name)
    for name in ("pixel_data_offset", "pixel_data_vr", "index_in_series", "compression", "packed_bytes", "packed_md5"):
        assert getattr(record, name) == getattr(event, name)
    assert (record.origin, record.username) == (event.origin, event.username)
    assert (record.remote_ip, record.remote_aet) == (event.remote_ip, event.remote_aet)


@pytest.mark.parametrize("tag", ["instance-stored/1", "instance-stored/2"])
def test_a_file_comes_back_from_the_last_values_of_a_row(tag: str) -> None:
    event: Any = samples.EVENTS[tag]
    values = rows.file_values(event)
    assert len(values) == (6 if event.compression else 3)
    assert {name: getattr(event, name) for name in rows.read_file(values)} == rows.read_file(values)
    with pytest.raises(DamagedRow):
        rows.read_file([*values, 0])


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_an_identifier_is_read_from_rows_of_any_size(stage: IndexStage, size: int) -> None:
    command = store_command()
    for tags in (command.tags, *command.tags_above.values()):
        tags[0x00104000] = "x" * size  # type: ignore[index]  # dictionaries of the test's own
    stage.ask(command)
    with stage.views.snapshot() as snapshot:
        for ref, names in ((1, ("P", "S", "R", "I")), (2, ("P", "S", "R")), (3, ("P", "S")), (4, ("P",))):
            level = Level(len(names))
            assert snapshot.id_of(level, ref) == chain(*names)  # type: ignore[arg-type]
            assert snapshot.get_ref(level, ref).tags[0x00104000] == "x" * size  # type: ignore[arg-type]
        with pytest.raises(KeyError):
            snapshot.id_of(Level.SERIES, 1)  # type: ignore[arg-type]


def test_a_study_keeps_the_patient_as_its_own_first_instance_described_it(stage: IndexStage) -> None:
    stage.ask(store_command())
    second = store_command(study="T")
    second.tags_above[1][0x00100010] = "Married^Name"  # type: ignore[index]
    stage.ask(second)
    with stage.views.snapshot() as snapshot:
        patient, studies = snapshot.get(Level.PATIENT, chain("P")), list(snapshot.list(Level.STUDY))
        assert isinstance(patient, Resource)
        assert patient.tags[0x00100010] == "Doe^P"
        names = [study.patient_tags[0x00100010] for study in studies if isinstance(study, Resource)]
        assert names == ["Doe^P", "Married^Name"]
        with pytest.raises(ValueError, match="no parent"):
            snapshot.parent(patient)


# -- lookup -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "asked", "is_found"),
    [
        ("abc", "ABC", True),
        ("abc", " abc\0", True),
        ("ab", "abc", False),
        ("abc", "ab", False),
        ("a\0b", "a", False),
        ("a\0b", "A\0B", True),
        ("x" * 300, "X" * 300, True),
        ("x" * 300, "x" * 301, False),
        ("x" * 200, "x" * 201, False),
        ("é" * 150, "É" * 150, True),
        ("", "", True),
    ],
)
def test_identifiers_are_compared_whole_without_case_and_padding(
    stage: IndexStage, stored: str, asked: str, is_found: bool
) -> None:
    stage.ask(store_command(stored))
    with stage.views.snapshot() as snapshot:
        assert ((Level.PATIENT, chain(stored)) in find_identifier(snapshot, asked)) == is_found


def test_no_key_of_an_identifier_is_longer_than_lmdb_takes() -> None:
    for kind in (1, 5):
        assert len(lookup_prefix(kind, "ß" * 10_000)) + 8 <= 511  # type: ignore[arg-type]
    assert normalize_identifier(" straße\0") == "STRASSE"


# -- history and events -------------------------------------------------------------------------------------------------


def test_a_history_tells_every_life_of_an_instance(stage: IndexStage) -> None:
    stage.ask(store_command())
    assert tags_of(stage, INSTANCE) == [(1, "instance-stored/2")]
    stage.ask(delete_command("P", "S", "R", "I"))
    first = [(1, "instance-stored/2"), (5, "resource-deleted/2")]
    assert tags_of(stage, INSTANCE) == first
    stage.ask(store_command())
    second = [*first, (7, "instance-stored/2")]
    assert tags_of(stage, INSTANCE) == second
    stage.ask(delete_command("P"))
    assert tags_of(stage, INSTANCE) == [*second, (11, "resource-deleted/2")]
    assert tags_of(stage, ResourceId(bytes(20))) == []


def test_a_history_is_whole_again_when_the_purge_is_through(stage: IndexStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 1)
    for number in range(3):
        stage.ask(store_command(instance=str(number)))
    stage.ask(delete_command("P"))
    stage.purge_all()
    for number in range(3):
        assert [tag for _, tag in tags_of(stage, chain("P", "S", "R", str(number)))] == [
            "instance-stored/2",
            "resource-deleted/2",
        ]


def test_events_come_with_the_names_of_their_values(stage: IndexStage) -> None:
    stage.ask(store_command(correlation=b"abcdefgh"))
    with stage.views.snapshot() as snapshot:
        entries = get_events(snapshot, since=2, limit=1)
        assert [entry.seq for entry in get_events(snapshot)] == [1, 2, 3, 4]
        assert get_events(snapshot, since=4) == []
    assert [(entry.seq, entry.tag, entry.correlation) for entry in entries] == [(3, "study-created/1", b"abcdefgh")]
    assert entries[0].public == {"patient": 4}
    assert entries[0].personal is not None
    assert entries[0].personal["id"] == chain("P", "S")


def test_an_erased_event_is_shown_without_its_personal_part(stage: IndexStage) -> None:
    stage.ask(store_command())
    with stage.env.begin(write=True) as txn:
        txn.delete(key(4), db=stage.env.tables[PERSONAL])
    with stage.views.snapshot() as snapshot:
        entry = get_events(snapshot, since=3)[0]
    assert (entry.is_erased, entry.personal, entry.public) == (True, None, {})


def test_rows_are_read_with_their_own_personal_part(env: Environment) -> None:
    with env.begin(write=True) as txn:
        for seq in range(1, 8):
            txn.put(key(seq), b"row%d" % seq, db=env.tables[EVENTS])
        for seq in (2, 3, 7):
            txn.put(key(seq), b"personal%d" % seq, db=env.tables[PERSONAL])
    with env.begin() as txn:
        assert read_rows(txn, env.tables, 1, 3) == [
            (2, b"row2", b"personal2"),
            (3, b"row3", b"personal3"),
            (4, b"row4", None),
        ]
        assert [seq for seq, _, personal in read_rows(txn, env.tables, 4, 99) if personal] == [7]
        assert read_rows(txn, env.tables, 7, 9) == []


def test_a_scan_goes_over_the_whole_log_in_chunks(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SCAN_ROWS > 4
    monkeypatch.setattr("store.log.SCAN_ROWS", 4)
    for count in (0, 3, 4, 5, 8):
        with env.begin(write=True) as txn:
            for seq in range(1, count + 1):
                txn.put(key(seq), b"row", db=env.tables[EVENTS])
        assert [seq for seq, _, _ in scan(env)] == list(range(1, count + 1))
    assert [seq for seq, _, _ in scan(env, since=2, until=6)] == [3, 4, 5, 6]
