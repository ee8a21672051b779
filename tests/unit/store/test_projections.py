"""Projections: each decides on each event, each table has one owner, and rows that are written anew are those of before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import pytest

from actors.messages.commands.metadata import SetMetadata
from events.attachments import AttachmentSet
from events.envelope import EVENT_TYPES, decode_record
from events.event import Event
from events.files import FileDamaged
from events.labels import LabelAdded
from events.metadata import MetadataSet
from events.reconstruction import TagsReconstructed
from events.resources import CreationEvent, InstanceStored
from store.batch import Batch
from store.boot import rebuild
from store.environment import Environment
from store.projections import ALL_TABLES, PROJECTIONS, rebuilding
from store.projections.projection import Projection
from store.projections.rebuilding import REBUILDS, VERSIONS, find_due, step
from store.projections.rows import unpack_aggregate
from store.tables import AGGREGATES, EVENTS, FIND, META, PERSONAL, TOTALS, TOUCHES, key
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tools.server.archive import open_archive


@pytest.mark.parametrize("event", EVENT_TYPES.values(), ids=lambda event: event.TAG)
def test_every_projection_decides_on_every_event_once(event: type[Event]) -> None:
    """Whoever adds an event type is told here which projections must say whether it concerns them."""
    for projection in PROJECTIONS:
        said = [event in projection.handles, *(issubclass(event, each) for each in projection.ignores)]
        assert said.count(True) == 1, f"the projection of {projection.tables} on {event.TAG}"


def test_every_table_belongs_to_one_projection() -> None:
    assert len(ALL_TABLES) == len(set(ALL_TABLES))


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: projection.tables[0].decode())
def test_what_has_rows_of_a_resource_says_how_they_go(projection: Projection) -> None:
    """Those that count others have theirs subtracted; a deletion has no rows but those of its own work."""
    kinds = (CreationEvent, InstanceStored, TagsReconstructed, FileDamaged, LabelAdded, MetadataSet, AttachmentSet)
    of_resources = any(issubclass(event, kinds) for event in projection.handles)
    assert (projection.forget is not None) is of_resources


# -- rows written anew ------------------------------------------------------------------------------------------------


@pytest.fixture
def filled(env: Environment, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> IndexStage:
    """A few patients and studies, of which some are gone and one is going."""
    stage = IndexStage(env, clock)
    stage.lease()
    for number in range(20):
        names = (f"P{number % 4}", f"S{number % 8}", f"R{number % 16}", f"I{number}")
        stage.ask(store_command(*names, place=number))
        stage.ask(store_command(f"Q{number}", place=100 + number))
        stage.ask(SetMetadata(id=chain(f"Q{number}"), number=1024 + number % 2, value=b"x" * number, correlation=b""))
    clock.advance(5)
    stage.ask(delete_command("P1", "S1", "R1"))
    stage.purge_all()
    monkeypatch.setattr("actors.core.index.decisions.resources.PURGE_STEP_INSTANCES", 1)
    stage.ask(delete_command("P2"))
    assert stage.purges
    monkeypatch.setattr(rebuilding, "ROWS_PER_STEP", 3)
    return stage


def content(env: Environment) -> dict[bytes, dict[bytes, bytes]]:
    with env.begin() as txn:
        return {table: dict(txn.cursor(db=env.tables[table])) for table in ALL_TABLES if table != META}


def due(env: Environment) -> list[str]:
    with env.begin() as txn:
        return find_due(Batch(txn, env.tables))


def forget_rows(env: Environment, name: str) -> None:
    """Make an archive as a release left it that had no such rows."""
    with env.begin(write=True) as txn:
        for table in REBUILDS[name].tables:
            txn.drop(env.tables[table], delete=False)
        if name == "last-change":
            txn.delete(b"changes-last", db=env.tables[TOTALS])
        if name == "last-update":
            forget_deletions(txn, env.tables)
        if name == "history":
            forget_histories_above_instances(txn, env.tables)


def forget_histories_above_instances(txn: lmdb.Transaction, tables: Any) -> None:
    for row_key, row in list(txn.cursor(db=tables[EVENTS])):
        if msgpack.unpackb(row, strict_map_key=False)[0] in {
            "series-created/1",
            "study-created/1",
            "patient-created/1",
        }:
            _, payload = msgpack.unpackb(txn.get(row_key, db=tables[PERSONAL]))
            resource = msgpack.unpackb(payload, strict_map_key=False)[0]
            assert txn.delete(resource + row_key, db=tables[TOUCHES])
            for touched in [each for each, _ in txn.cursor(db=tables[TOUCHES]) if each.startswith(resource)]:
                txn.delete(touched, db=tables[TOUCHES])


def forget_deletions(txn: lmdb.Transaction, tables: Any) -> None:
    """Make every resource as new as its newest instance, whatever was deleted since."""
    for row_key, row in list(txn.cursor(db=tables[AGGREGATES])):
        counters = unpack_aggregate(row)
        newest = decode_record(counters.last_seq, txn.get(key(counters.last_seq), db=tables[EVENTS]))
        txn.put(row_key, replace(counters, last_update_us=newest.at_us).pack(), db=tables[AGGREGATES])


@pytest.mark.parametrize("name", REBUILDS)
def test_an_archive_of_before_gets_the_rows_that_it_would_have_had(filled: IndexStage, name: str) -> None:
    before = content(filled.env)
    assert due(filled.env) == []
    forget_rows(filled.env, name)
    assert due(filled.env) == [name]
    rebuild(filled.env, name)
    assert (content(filled.env), due(filled.env)) == (before, [])


def test_deletions_are_found_in_the_log_of_an_older_release(filled: IndexStage) -> None:
    before = content(filled.env)[AGGREGATES]
    with filled.env.begin(write=True) as txn:
        forget_deletions(txn, filled.env.tables)
        for row_key, row in list(txn.cursor(db=filled.env.tables[EVENTS])):
            values = msgpack.unpackb(row, strict_map_key=False)
            public = values[5]
            if values[0] == "instance-stored/2":  # its file stood before what that holds
                values[5] = [*public[:3], *public[8:10], *public[3:8], public[-1]]
            values[0] = values[0].replace("instance-stored/2", "instance-stored/1").replace("deleted/2", "deleted/1")
            txn.put(row_key, msgpack.packb(values), db=filled.env.tables[EVENTS])
    assert "last-update" in due(filled.env)
    rebuild(filled.env, "last-update")
    assert content(filled.env)[AGGREGATES] == before


@pytest.mark.parametrize("name", REBUILDS)
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_rebuild_that_is_cut_off_goes_on_where_it_was(filled: IndexStage, name: str, steps: int) -> None:
    before = content(filled.env)
    forget_rows(filled.env, name)
    for _ in range(steps):
        with filled.env.begin(write=True) as txn:
            batch = Batch(txn, filled.env.tables)
            if step(batch, REBUILDS[name]):
                pytest.fail("there were no rows left for the rest of this test")
            batch.flush()
    assert due(filled.env) == [name]
    rebuild(filled.env, name)
    assert (content(filled.env), due(filled.env)) == (before, [])


def test_what_comes_between_the_steps_is_neither_lost_nor_counted_twice(filled: IndexStage) -> None:
    """What is read by a later step, and is there already, is a row that is written again."""
    with filled.env.begin(write=True) as txn:
        batch = Batch(txn, filled.env.tables)
        assert not step(batch, REBUILDS["find"])
        batch.flush()
    filled.ask(store_command("P9", "S9", "R9", "I9", place=99))
    filled.ask(delete_command("P0"))
    filled.purge_all()
    rebuild(filled.env, "find")
    rebuilt = content(filled.env)[FIND]
    rebuild(filled.env, "find")
    assert content(filled.env)[FIND] == rebuilt


def test_a_raised_version_has_the_next_start_rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def actions() -> Iterator[str]:
        environment, rows = open_archive(tmp_path)
        environment.close()
        return (row.action.name for row in rows)

    assert "REBUILD" not in actions()
    assert "REBUILD" not in actions()
    monkeypatch.setitem(REBUILDS, "find", replace(REBUILDS["find"], version=2))
    assert "REBUILD" in actions()
    assert "REBUILD" not in actions()


@pytest.mark.parametrize("name", REBUILDS)
def test_rows_that_a_release_without_them_has_not_kept_up_are_written_again(filled: IndexStage, name: str) -> None:
    """An archive that went back to an older release for a while: that leaves the rows as they were, and names them not."""
    before = content(filled.env)
    with filled.env.begin(write=True) as txn:
        txn.put(VERSIONS, msgpack.packb({other: 1 for other in REBUILDS if other != name}), db=filled.env.tables[META])
        if name == "last-change":
            txn.put(b"changes-last", bytes(8), db=filled.env.tables[TOTALS])
        if name == "last-update":
            forget_deletions(txn, filled.env.tables)
        if name == "history":
            forget_histories_above_instances(txn, filled.env.tables)
        for table in REBUILDS[name].tables:
            cursor = txn.cursor(db=filled.env.tables[table])
            assert cursor.last()
            cursor.delete()
    assert due(filled.env) == [name]
    rebuild(filled.env, name)
    assert (content(filled.env), due(filled.env)) == (before, [])


def test_versions_are_kept_from_the_first_start_on(tmp_path: Path) -> None:
    """So a read model that is added later is found to be missing, though its rows may be none."""
    environment, _ = open_archive(tmp_path)
    with environment.begin() as txn:
        assert msgpack.unpackb(txn.get(VERSIONS, db=environment.tables[META])) == dict.fromkeys(REBUILDS, 1)
    environment.close()
