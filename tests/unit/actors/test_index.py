"""The index: one commit for all that waits, a refusal of its own for each command, and nothing half done after a failure."""

import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import lmdb
import msgpack
import pytest

from actors.core.file_removal import RemoveCondemned
from actors.core.index import actor
from actors.core.index.decide import DECISIONS
from actors.core.index.decisions import resources as decide
from actors.core.index.local import LocalIndex
from actors.messages.commands.attachments import RemoveAttachment
from actors.messages.commands.command import Command
from actors.messages.commands.files import ForgetCondemned, OpenFolder, RetireFolder, RevokeFolders
from actors.messages.commands.jobs import DropJobOutput, TrimJobs
from actors.messages.commands.plain import COMMANDS, Together, from_plain, to_plain
from actors.messages.commands.recycling import RecycleExcess
from actors.messages.commands.resources import DeleteResource, PurgeRows, RetractInstance, SettleResources
from actors.messages.commands.scripts import RecordCallbackRecovery, RecordCallbackSkip, StoreKeyValue
from actors.messages.commands.server import ChooseMainTags, ClearChanges, DropCursor, SaveCursor, SetSetting
from events.errors import (
    Busy,
    CorruptLog,
    FolderRevoked,
    InvalidDicom,
    NotFound,
    RevisionConflict,
    SinogramError,
    StorageFailed,
    StorageFull,
)
from events.identifiers import BlobId, Level, Ref, ResourceId, Seq
from store import projections
from store.boot import verify_tail
from store.environment import RESERVE_NAME, Environment, release_reserve
from store.records import Statistics
from store.tables import BLOBS, CONDEMNED, CURSORS, LEASES, key
from store.views.feed import get_events
from store.views.views import Views
from tests.clock import Clock
from tests.flaky_environment import FlakyEnvironment
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tools.replay import differences, rebuild
from tools.server.core import Core


@pytest.fixture
def flaky(tmp_path: Path) -> Iterator[FlakyEnvironment]:
    with FlakyEnvironment(tmp_path) as env:
        yield env


@pytest.fixture
def shaky(flaky: FlakyEnvironment, clock: Clock) -> IndexStage:
    """An index on an environment whose commits can fail."""
    made = IndexStage(flaky, clock)
    made.lease()
    return made


def counts(stage: IndexStage) -> Statistics:
    with stage.views.snapshot() as snapshot:
        return snapshot.statistics()


def rows(stage: IndexStage, table: bytes) -> list[bytes]:
    with stage.views.snapshot() as snapshot:
        return list(snapshot.keys(table, b""))


# -- storing ----------------------------------------------------------------------------------------------------------


def test_the_same_blob_may_be_sent_again_another_one_is_already_stored(stage: IndexStage) -> None:
    command = store_command()
    assert stage.ask(command) == "Success"
    assert stage.ask(command) == "Success"
    assert stage.ask(store_command(place=7)) == "AlreadyStored"
    assert counts(stage).instances == 1


def test_of_two_uploads_of_one_instance_in_one_commit_one_wins(stage: IndexStage) -> None:
    assert stage.run(store_command(place=1), store_command(place=2)) == ["Success", "AlreadyStored"]


def test_a_blob_in_a_folder_that_nobody_leases_is_refused(stage: IndexStage) -> None:
    with pytest.raises(FolderRevoked):
        stage.ask(store_command(folder=2))


def test_a_revoked_folder_takes_nothing_more_and_stays_known_until_it_is_swept(stage: IndexStage) -> None:
    second = stage.lease("gateway-2")
    assert stage.ask(RevokeFolders(owner="gateway-1")) == [1]
    with pytest.raises(FolderRevoked):
        stage.ask(store_command(folder=1))
    assert stage.ask(store_command(folder=second)) == "Success"
    assert rows(stage, LEASES) == [key(1), key(second)]
    assert stage.ask(RevokeFolders(owner="gateway-1")) == []
    stage.ask(RetireFolder(folder=1))
    assert rows(stage, LEASES) == [key(second)]


def test_what_was_sent_before_its_folder_was_revoked_is_kept(stage: IndexStage) -> None:
    assert stage.run(store_command(), RevokeFolders(owner="gateway-1")) == ["Success", [1]]


def test_folders_are_never_leased_twice(stage: IndexStage) -> None:
    stage.ask(RetireFolder(folder=1))
    assert stage.ask(OpenFolder(owner="gateway-1")) == 2


@pytest.mark.parametrize("patient", ["P|S", "P|S|R", "P|S|R|I"])
def test_a_patient_id_that_hashes_like_a_resource_of_another_level_is_refused(stage: IndexStage, patient: str) -> None:
    stage.ask(store_command())
    with pytest.raises(InvalidDicom):
        stage.ask(store_command(patient, "T", "U", "J"))
    stage.ask(delete_command("P"))
    assert stage.ask(store_command(patient, "T", "U", "J")) == "Success"


@pytest.mark.parametrize("names", [("P",), ("P", "S"), ("P", "S", "R"), ("P", "S", "R", "K")])
def test_what_is_newer_than_its_deletion_may_take_stays(stage: IndexStage, names: tuple[str, ...]) -> None:
    for instance in "IJK":
        stage.ask(store_command(instance=instance))
    with stage.views.snapshot() as snapshot:
        last = max(
            snapshot.list_refs(Level.INSTANCE)
        )  # an instance's event comes before those of what is created above it
    for before in (1, last - 1, last):
        with pytest.raises(RevisionConflict):
            stage.ask(delete_command(*names, before=before))
    assert counts(stage).instances == 3
    stage.ask(delete_command(*names, before=last + 1))
    assert counts(stage).instances == (2 if "K" in names else 0)


def test_all_that_a_store_touches_is_announced_series_first(stage: IndexStage) -> None:
    stage.ask(store_command())
    assert stage.announced.touched == [(Level.SERIES, 2, 1), (Level.STUDY, 3, 1), (Level.PATIENT, 4, 1)]
    stage.ask(store_command())
    assert len(stage.announced.touched) == 3, "nothing was touched by what was stored already"


# -- retracting ---------------------------------------------------------------------------------------------------------


def test_an_instance_is_retracted_with_what_it_leaves_empty(stage: IndexStage) -> None:
    command = store_command()
    stage.ask(command)
    for _ in range(2):  # idempotent
        stage.ask(RetractInstance(blob=command.blob))
        assert counts(stage) == Statistics(0, 0, 0, 0, 0)
    assert rows(stage, CONDEMNED) == [command.blob]


def test_retracting_a_blob_that_lost_its_race_leaves_the_winner(stage: IndexStage) -> None:
    stage.ask(store_command(place=1))
    loser = store_command(place=2)
    assert stage.ask(loser) == "AlreadyStored"
    stage.ask(RetractInstance(blob=loser.blob))
    assert counts(stage).instances == 1


def test_retracting_an_earlier_life_leaves_the_later(stage: IndexStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 1)
    earlier = [store_command(instance=str(number), place=number) for number in range(3)]
    stage.run(*earlier)
    stage.ask(delete_command("P"))  # one row of three is gone, the others are hidden
    stage.ask(store_command(instance="2", place=9))
    stage.ask(RetractInstance(blob=earlier[2].blob))
    assert counts(stage).instances == 1


# -- group commit -----------------------------------------------------------------------------------------------------


def test_a_failing_command_fails_alone(stage: IndexStage) -> None:
    answers = stage.run(
        store_command(instance="1"),
        delete_command("nobody"),
        store_command(instance="2", folder=99),
        store_command(instance="3"),
    )
    assert answers[0] == answers[3] == "Success"
    assert isinstance(answers[1], NotFound)
    assert isinstance(answers[2], FolderRevoked)
    assert counts(stage).instances == 2
    assert verify_tail(stage.env) == 5


def test_a_command_that_trips_over_a_bug_fails_alone_and_leaves_nothing(
    stage: IndexStage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project = projections.apply

    def trip(batch: Any, appended: Any) -> None:
        project(batch, appended)
        if appended.seq == 7:  # the study of the second store, when instance and series are projected already
            raise ZeroDivisionError

    monkeypatch.setattr(projections, "apply", trip)
    answers = stage.run(store_command("A"), store_command("B"), ClearChanges())
    assert answers[0] == "Success"
    assert isinstance(answers[1], CorruptLog)
    assert answers[2] is None
    assert counts(stage) == Statistics(1, 1, 1, 1, 1_000)
    assert "index.command-failed command=StoreInstance" in caplog.text
    monkeypatch.undo()
    assert stage.ask(store_command("B")) == "Success"
    with stage.env.begin() as live, Environment(_below(stage), writable=True, durable=False) as fresh:
        rebuild(stage.env, live, fresh)
        with fresh.begin() as rebuilt:
            assert differences(live, stage.env.tables, rebuilt, fresh.tables) == {}


def _below(stage: IndexStage) -> Path:
    folder = stage.env.folder / "fresh"
    folder.mkdir()
    return folder


def test_no_more_commands_than_a_batch_takes_are_committed_at_once(
    stage: IndexStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor, "MAX_BATCH", 3)
    answers: list[Any] = []
    for number in range(5):
        stage.put(store_command(instance=str(number)), lambda result, error: answers.append(result))
    stage.index.on_receive("wake")
    assert answers == ["Success"] * 3
    stage.commit()
    assert answers == ["Success"] * 5


def test_a_reply_means_that_the_commit_is_visible(stage: IndexStage) -> None:
    seen: list[int] = []
    stage.put(store_command(), lambda *_: seen.append(counts(stage).instances))
    stage.commit()
    assert seen == [1]


# -- a commit that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (lmdb.DiskError("mdb_txn_commit: No space left on device"), StorageFull),
        (lmdb.DiskError("mdb_txn_commit: Disk quota exceeded"), StorageFull),
        (lmdb.MapFullError("mdb_put: MDB_MAP_FULL"), StorageFull),
        (lmdb.Error("mdb_txn_commit: Input/output error"), StorageFailed),
        (lmdb.Error("mdb_txn_commit: Read-only file system"), StorageFailed),
        (OSError(5, "Input/output error"), StorageFailed),
    ],
    ids=str,
)
def test_a_failed_commit_refuses_all_and_the_next_goes_on(
    shaky: IndexStage, flaky: FlakyEnvironment, failure: Any, told: type[Exception]
) -> None:
    shaky.ask(store_command())
    head = shaky.index._log.head
    release_reserve(flaky.folder)  # with which it would be tried again
    flaky.fail_next_commit(failure)
    answers = shaky.run(store_command("A"), store_command("B"), delete_command("P"), delete_command("nobody"))
    assert [type(answer) for answer in answers] == [told] * 4
    assert shaky.index._log.head == head
    assert counts(shaky) == Statistics(1, 1, 1, 1, 1_000)
    assert not shaky.announced.condemned
    assert len(shaky.announced.touched) == 3
    assert shaky.run(store_command("A"), delete_command("P")) == ["Success", None]
    assert verify_tail(flaky) == 4 + 4 + 2


def test_a_commit_that_fails_and_took_effect_tells_nobody_that_it_did_not(
    shaky: IndexStage, flaky: FlakyEnvironment
) -> None:
    """Else an ingest would remove the blob of an instance that is in the archive after the restart."""
    flaky.fail_next_commit(commits_anyway=True)
    (answer,) = shaky.run(store_command())
    assert type(answer) is Busy
    assert _was_told_to_stop(shaky)
    assert counts(IndexStage(flaky, Clock())).instances == 1


def test_an_environment_that_broke_for_good_ends_the_index(shaky: IndexStage, flaky: FlakyEnvironment) -> None:
    flaky.break_for_good()
    (answer,) = shaky.run(store_command())
    assert type(answer) is Busy
    assert _was_told_to_stop(shaky)


def _was_told_to_stop(stage: IndexStage) -> bool:
    inbox: Any = stage.index.actor_inbox  # a queue.Queue, of which pykka declares less than the test needs
    return "_ActorStop" in {type(inbox.get(block=False).message).__name__ for _ in range(inbox.qsize())}


def test_a_purge_that_could_not_be_committed_goes_on_after_the_next_commit(
    shaky: IndexStage, flaky: FlakyEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 1)
    for number in range(3):
        shaky.ask(store_command(instance=str(number)))
    waiting = shaky.index._waiting
    shaky.put(delete_command("P"), lambda *_: None)
    shaky.index.on_receive("wake")
    assert not waiting.empty(), "a step waits"
    release_reserve(flaky.folder)
    flaky.fail_next_commit()
    shaky.index.on_receive("wake")
    assert waiting.empty(), "it is not tried again and again while the disk is full"
    shaky.put(ClearChanges(), lambda *_: None)
    while not waiting.empty():
        shaky.index.on_receive("wake")
    assert not rows(shaky, BLOBS)
    assert len(rows(shaky, CONDEMNED)) == 3


# -- a full disk ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def full(stage: IndexStage, monkeypatch: pytest.MonkeyPatch) -> IndexStage:
    """An index that holds an instance, a reserve, and finds its disk full."""
    stage.ask(store_command())
    assert (stage.env.folder / RESERVE_NAME).exists()
    monkeypatch.setattr(actor, "free_bytes", lambda folder: 1_000)
    return stage


def test_a_full_disk_takes_nothing_more_and_keeps_its_reserve(full: IndexStage) -> None:
    answers = full.run(store_command("Q"), ClearChanges(), OpenFolder(owner="gateway-1"))
    assert [type(answer) for answer in answers] == [StorageFull] * 3
    assert (full.env.folder / RESERVE_NAME).exists()


def test_on_a_full_disk_deleting_works_and_spares_the_reserve_as_long_as_it_can(full: IndexStage) -> None:
    assert full.run(store_command("Q"), delete_command("P"))[1] is None
    assert counts(full).instances == 0
    assert (full.env.folder / RESERVE_NAME).exists()


def test_on_a_full_disk_a_consumer_goes_on_as_long_as_files_wait_for_it(full: IndexStage) -> None:
    """Else a callback whose job cannot be recorded holds up the cursor, and no deletion gives back any room."""
    storing = to_plain(StoreKeyValue(store=b"s", key=b"k", value=b"v"))
    passing = Together(commands=[storing, to_plain(SaveCursor(consumer="lua", seq=Seq(4)))])
    assert [type(answer) for answer in full.run(passing)] == [StorageFull], "it would give back nothing"
    full.ask(delete_command("P"))
    assert full.run(passing) == [[None, None]]
    recovering = RecordCallbackRecovery(cause_seq=1, number=0, callback="OnStoredInstance", attempt=2)
    assert full.run(Together(commands=[storing, to_plain(recovering)])) == [[None, None]]
    assert [type(answer) for answer in full.run(Together(commands=[storing]))] == [StorageFull]


def test_the_reserve_is_given_up_for_a_deletion_that_has_no_other_room(
    shaky: IndexStage, flaky: FlakyEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve = flaky.folder / RESERVE_NAME
    shaky.ask(store_command())
    monkeypatch.setattr(actor, "free_bytes", lambda folder: 0)
    flaky.fail_next_commit()
    answers = shaky.run(store_command("Q"), delete_command("P"))
    assert [type(answer) for answer in answers] == [StorageFull, type(None)]
    assert counts(shaky).instances == 0
    assert not reserve.exists()
    (blob,) = rows(shaky, CONDEMNED)
    shaky.ask(ForgetCondemned(blobs=[BlobId(blob)]))
    assert not reserve.exists(), "it is not laid by again while the disk is full"
    monkeypatch.undo()
    assert shaky.ask(store_command("Q")) == "Success"
    assert reserve.exists(), "it comes back with the room"


def test_the_reserve_is_not_given_up_for_anything_else(shaky: IndexStage, flaky: FlakyEnvironment) -> None:
    shaky.ask(store_command())
    flaky.fail_next_commit()
    assert type(shaky.run(store_command("Q"))[0]) is StorageFailed
    assert (flaky.folder / RESERVE_NAME).exists()


def test_on_a_full_disk_the_folders_of_a_dead_writer_can_be_swept(full: IndexStage) -> None:
    assert full.ask(RevokeFolders(owner="gateway-1")) == [1]
    full.ask(RetireFolder(folder=1))
    assert rows(full, LEASES) == []


def test_a_disk_that_cannot_be_asked_refuses_instead_of_ending_the_index(
    stage: IndexStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(actor, "free_bytes", fail)
    with pytest.raises(StorageFailed):
        stage.ask(store_command())
    monkeypatch.undo()
    assert stage.ask(store_command()) == "Success"


# -- books ----------------------------------------------------------------------------------------------------------------


def test_settings_and_cursors_are_kept_without_an_event(stage: IndexStage) -> None:
    stage.run(SetSetting(name="LogLevel", value={"a": [1, "b"]}), SaveCursor(consumer="lua", seq=Seq(17)))
    with stage.views.snapshot() as snapshot:
        assert snapshot.setting("LogLevel") == {"a": [1, "b"]}
        assert snapshot.setting("never set") is None
        assert snapshot.row(CURSORS, b"lua") == key(17)
    assert stage.index._log.head.seq == 0


def test_a_dropped_cursor_is_gone(stage: IndexStage) -> None:
    stage.run(SaveCursor(consumer="lua", seq=Seq(17)), DropCursor(consumer="lua"), DropCursor(consumer="other"))
    assert rows(stage, CURSORS) == []


# -- several commands as one ------------------------------------------------------------------------------------------------


def together(*commands: Command) -> Together:
    return Together(commands=[to_plain(command) for command in commands])


def test_commands_together_are_decided_one_after_the_other_and_each_is_answered(stage: IndexStage) -> None:
    folder = OpenFolder(owner="gateway-2")
    store = store_command(correlation=b"upload-1")
    command = together(store, store, delete_command("P"), SaveCursor(consumer="lua", seq=Seq(4)), folder)
    answers = stage.ask(command)
    assert answers[:4] == ["Success", "Success", None, None]
    assert answers[4] > 1
    assert (counts(stage).instances, stage.announced.condemned > 0) == (0, True)
    with stage.views.snapshot() as snapshot:
        stored, *_, deleted = get_events(snapshot, limit=5)
    assert (stored.actor, stored.correlation) == ("ingest", b"upload-1")
    assert (deleted.actor, deleted.correlation) == ("rest", b"")


def test_commands_together_take_effect_all_or_none(stage: IndexStage) -> None:
    before = stage.index._log.head
    refused, neighbour = stage.run(
        together(store_command("Q"), SaveCursor(consumer="lua", seq=Seq(9)), delete_command("nobody")),
        SaveCursor(consumer="other", seq=Seq(1)),
    )
    assert type(refused) is NotFound
    assert neighbour is None
    assert stage.index._log.head == before
    assert (counts(stage).instances, rows(stage, CURSORS)) == (0, [b"other"])
    assert stage.announced.touched == []


def test_commands_together_travel_as_plain_values() -> None:
    command = together(store_command(), SaveCursor(consumer="lua", seq=Seq(9)))
    assert from_plain(msgpack.unpackb(msgpack.packb(to_plain(command)), strict_map_key=False)) == command


def test_forgetting_what_is_not_condemned_does_no_harm(stage: IndexStage) -> None:
    stage.ask(ForgetCondemned(blobs=[BlobId(bytes(16))]))


@pytest.mark.parametrize(
    "command",
    [
        store_command(correlation=b"12345678"),
        delete_command("P", "S"),
        SettleResources(resources=[(Level.STUDY, Ref(3), Seq(1))]),
        ClearChanges(),
        SetSetting(name="a", value=[None, 1.5, {"b": b"c"}]),
        OpenFolder(owner="gateway-1"),
        ForgetCondemned(blobs=[BlobId(bytes(16))]),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_command_comes_back_from_its_plain_values(command: Any) -> None:
    assert from_plain(to_plain(command)) == command


@pytest.mark.parametrize("values", [[], ["DropTables"], ["OpenFolder"], ["OpenFolder", "a", "b"], [7], None])
def test_what_is_no_command_is_refused(values: Any) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, IndexError)):
        from_plain(values)


def test_every_command_names_the_actor_of_its_events() -> None:
    assert all(command.ACTOR for command in COMMANDS.values())


def test_every_command_is_decided_by_the_family_that_it_belongs_to() -> None:
    """`Together` is not decided: its parts are."""
    homes = {command: command.__module__.rpartition(".")[2] for command in COMMANDS.values() if command is not Together}
    assert homes.keys() == DECISIONS.keys()
    for command, family in homes.items():
        assert command in import_module(f"actors.core.index.decisions.{family}").DECISIONS


def test_every_command_that_frees_space_or_releases_files_is_known() -> None:
    """Whoever adds a command decides here, too, whether it is taken on a full disk."""
    commands = COMMANDS.values()
    assert {command for command in commands if command.FREES_SPACE} == {
        DeleteResource, RetractInstance, RecycleExcess, PurgeRows, ForgetCondemned, RevokeFolders, RetireFolder, DropJobOutput, TrimJobs,
        RemoveAttachment,
        SaveCursor, DropCursor, ChooseMainTags,  # of the last depends whether a server starts at all
    }  # fmt: skip
    assert {command for command in commands if command.RELEASES_FILES} == {
        SaveCursor, RecordCallbackRecovery, RecordCallbackSkip
    }  # fmt: skip


def test_a_setting_that_cannot_be_written_down_fails_alone(stage: IndexStage) -> None:
    answers = stage.run(SetSetting(name="a", value=object()), store_command())
    assert isinstance(answers[0], CorruptLog)
    assert answers[1] == "Success"


# -- the running actor ----------------------------------------------------------------------------------------------------


def test_commands_of_many_threads_are_all_answered(archive: Core) -> None:
    folder = archive.client.open_folder("gateway-1")
    answers: list[Any] = []

    def send(number: int) -> None:
        for turn in range(10):
            command = store_command(series=f"R{number}", instance=f"{number}.{turn}", folder=folder)
            answers.append(archive.client.store_instance(command))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["Success"] * 80
    with archive.views.snapshot() as snapshot:
        assert snapshot.statistics() == Statistics(1, 1, 8, 80, 80_000)


def test_a_refusal_is_raised_at_the_caller(archive: Core) -> None:
    with pytest.raises(NotFound):
        archive.client.delete(Level.PATIENT, ResourceId(bytes(20)))


def test_a_stopped_index_answers_that_the_server_is_stopping(env: Environment, clock: Clock) -> None:
    index = LocalIndex(env, clock)
    index.stop()
    assert not index.is_alive()
    with pytest.raises(Busy):
        index.ask(ClearChanges())


def test_what_was_queued_before_the_stop_is_done(env: Environment, clock: Clock) -> None:
    index = LocalIndex(env, clock)
    folder = index.ask(OpenFolder(owner="gateway-1"))
    answers: list[Any] = []
    for number in range(600):  # more than two batches
        index.submit(store_command(instance=str(number), folder=folder), lambda result, _: answers.append(result))
    index.stop()
    assert answers == ["Success"] * 600
    with Views(env).snapshot() as snapshot:
        assert snapshot.statistics().instances == 600


def test_an_index_does_not_start_on_a_log_whose_end_is_damaged(stage: IndexStage, clock: Clock) -> None:
    stage.ask(store_command())
    with stage.env.begin(write=True) as txn:
        txn.delete(key(4), db=stage.env.tables[b"events"])
    with pytest.raises(CorruptLog):
        LocalIndex(stage.env, clock)


def test_a_core_that_refuses_a_damaged_log_leaves_the_folder_free(archive_factory: Callable[..., Core]) -> None:
    first = archive_factory()
    folder = first.client.open_folder("gateway-1")
    first.client.store_instance(store_command(folder=folder))
    first.stop()
    with Environment(first.settings.index_directory, writable=True) as env, env.begin(write=True) as txn:
        txn.delete(key(4), db=env.tables[b"events"])
    for _ in range(2):
        with pytest.raises(CorruptLog, match="the end of the log is missing"):
            archive_factory()


def test_a_big_deletion_is_purged_to_its_end_while_others_are_served(
    archive: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 3)
    folder = archive.client.open_folder("gateway-1")
    for number in range(20):
        archive.client.store_instance(store_command(series=f"R{number % 4}", instance=str(number), folder=folder))
    assert archive.client.delete(Level.PATIENT, chain("P")).remaining is None
    assert archive.client.store_instance(store_command(folder=folder)) == "Success"
    for _ in range(20):  # each waits its turn behind the steps queued so far
        archive.client.clear_exports()
    with archive.views.snapshot() as snapshot:
        assert len(list(snapshot.keys(BLOBS, b""))) == 1
        assert snapshot.statistics().instances == 1


def test_a_start_goes_on_with_a_purge_that_was_cut_off(
    archive_factory: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 2)
    first = archive_factory()
    folder = first.client.open_folder("gateway-1")
    for number in range(9):
        first.client.store_instance(store_command(instance=str(number), folder=folder))
    purge = actor.Index._purge
    monkeypatch.setattr(actor.Index, "_purge", lambda self, root: None)
    first.client.delete(Level.PATIENT, chain("P"))
    first.stop()
    monkeypatch.setattr(actor.Index, "_purge", purge)
    second = archive_factory()
    for _ in range(10):
        second.client.clear_exports()
    second.storage.ask(RemoveCondemned())
    with second.views.snapshot() as snapshot:
        assert list(snapshot.keys(BLOBS, b"")) == []
        assert list(snapshot.keys(CONDEMNED, b"")) == [], "and the files of its last step are removed too"


def test_errors_of_the_index_are_plain(stage: IndexStage) -> None:
    assert all(isinstance(answer, SinogramError) for answer in stage.run(delete_command("nobody", "x")))
