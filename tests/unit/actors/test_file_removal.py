"""The storage actor removes exactly what nothing refers to, and forgets it only when it is gone for good."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.core import file_removal
from actors.core.alarm import Alarm
from actors.core.file_removal import Condemned, ForgetDerived, RemoveCondemned, Storage, Sweep, leased_folders
from actors.messages.commands.files import RevokeFolders
from actors.messages.commands.scripts import RecordCallbackFailure, RecordCallbackSkip
from actors.messages.commands.server import SaveCursor
from actors.messages.index_client import IndexClient
from events.errors import Busy
from events.identifiers import BlobId, Level, Ref, Seq
from store.blobs import store
from store.blobs.store import BlobStore
from store.blobs.writer import make_blob_id
from store.derived_files import DerivedFiles
from store.tables import CONDEMNED, LEASES, SERIES, U64, key
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tools.server.core import Core


class Cellar:
    """The storage actor on the test's own thread, with the blobs it removes."""

    def __init__(self, stage: IndexStage, root: Path) -> None:
        self.stage = stage
        self.blobs = BlobStore(root)
        self.derived = DerivedFiles(root / "derived")
        self.actor = Storage(IndexClient(stage.ask), stage.views, self.blobs, derived=self.derived)
        root.mkdir()
        self.blobs.make_folder(1)

    def store(self, instance: str, place: int = 0, folder: int = 1) -> BlobId:
        blob = make_blob_id(folder, place)
        self.blobs.path(blob).write_bytes(b"dicom")
        assert self.stage.ask(store_command(instance=instance, blob=blob)) == "Success"
        return blob

    def delete(self, instance: str) -> None:
        self.stage.ask(delete_command("P", "S", "R", instance))

    def remove(self) -> None:
        """Deal with condemned blobs to the end."""
        self.actor.on_receive(RemoveCondemned())
        inbox: Any = self.actor.actor_inbox
        while not inbox.empty():
            self.actor.on_receive(inbox.get().message)

    def exists(self, blob: BlobId) -> bool:
        return self.blobs.path(blob).exists()

    def rows(self, table: bytes) -> list[bytes]:
        with self.stage.views.snapshot() as snapshot:
            return list(snapshot.keys(table, b""))


@pytest.fixture
def cellar(stage: IndexStage, tmp_path: Path) -> Cellar:
    return Cellar(stage, tmp_path / "storage")


# -- condemned blobs ----------------------------------------------------------------------------------------------------


def test_the_file_of_a_deleted_instance_is_removed_and_forgotten(cellar: Cellar) -> None:
    kept, gone = cellar.store("kept"), cellar.store("gone", 1)
    cellar.delete("gone")
    assert cellar.exists(gone), "not before the storage actor comes to it"
    cellar.remove()
    assert (cellar.exists(kept), cellar.exists(gone)) == (True, False)
    assert cellar.rows(CONDEMNED) == []


def test_a_file_that_is_gone_already_is_forgotten_too(cellar: Cellar) -> None:
    blob = cellar.store("gone")
    cellar.delete("gone")
    cellar.blobs.remove(blob)
    cellar.remove()
    assert cellar.rows(CONDEMNED) == []


def test_what_many_commits_condemn_goes_together(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first at once; the next with those that come until the alarm rings."""
    rung: list[float | None] = []
    others = cellar.actor._derived_alarm
    monkeypatch.setattr(Alarm, "set", lambda alarm, due: None if alarm is others else rung.append(due))
    blobs = [cellar.store(str(number), number) for number in range(3)]
    forgotten: list[list[BlobId]] = []
    forget = IndexClient.forget_condemned

    def note(index: IndexClient, some: list[BlobId]) -> None:
        forgotten.append(some)
        forget(index, some)

    monkeypatch.setattr(IndexClient, "forget_condemned", note)
    for number in range(3):
        cellar.delete(str(number))
        cellar.actor.on_receive(Condemned())
    assert [cellar.exists(blob) for blob in blobs] == [False, True, True]
    assert len(rung) == 2
    cellar.remove()
    assert forgotten == [blobs[:1], blobs[1:]]


def test_a_file_stays_until_every_consumer_has_passed_the_deletion(cellar: Cellar) -> None:
    blob = cellar.store("gone")
    cellar.delete("gone")
    condemned_at = cellar.stage.index._log.head.seq
    for lua, jobs in ((0, 0), (condemned_at, condemned_at - 1), (condemned_at - 1, condemned_at + 5)):
        cellar.stage.ask(SaveCursor(consumer="lua", seq=Seq(lua)))
        cellar.stage.ask(SaveCursor(consumer="jobs", seq=Seq(jobs)))
        cellar.remove()
        assert cellar.exists(blob)
    cellar.stage.ask(SaveCursor(consumer="lua", seq=Seq(condemned_at)))
    cellar.remove()
    assert not cellar.exists(blob)


def test_a_file_stays_while_a_callback_is_to_be_called_again_for_its_instance(cellar: Cellar) -> None:
    cellar.store("kept")
    older = cellar.store("older", 1)
    cellar.delete("older")
    gone = cellar.store("gone", 2)
    stored_at = cellar.stage.index._log.head.seq
    cellar.delete("gone")
    failure = RecordCallbackFailure(
        cause_seq=stored_at, number=0, callback="C", attempt=1, delay_ms=5_000, cause="error", message=""
    )
    cellar.stage.run(failure, SaveCursor(consumer="lua", seq=Seq(1_000)))
    cellar.remove()
    assert (cellar.exists(older), cellar.exists(gone)) == (False, True)
    cellar.stage.ask(RecordCallbackSkip(cause_seq=stored_at, number=0, callback="C", attempts=3))
    cellar.remove()
    assert not cellar.exists(gone)


def test_files_that_wait_for_a_consumer_are_looked_after_without_another_deletion(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_removal, "HELD_BACK_S", 0.0)
    reminded = threading.Event()
    monkeypatch.setattr(cellar.actor, "_alarm", Alarm("test", reminded.set, time.monotonic))
    cellar.store("gone")
    cellar.remove()
    assert not reminded.is_set(), "nothing waits"
    cellar.stage.ask(SaveCursor(consumer="lua", seq=Seq(0)))
    cellar.delete("gone")
    cellar.remove()
    assert reminded.wait(10)


def test_a_file_that_cannot_be_removed_stays_condemned_and_holds_up_no_other(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(file_removal, "REMOVALS_PER_STEP", 2)
    blobs = [cellar.store(str(number), number) for number in range(7)]
    for number in range(7):
        cellar.delete(str(number))
    stubborn = blobs[:3]
    remove = BlobStore.remove

    def fail(store: BlobStore, blob: BlobId) -> None:
        if blob in stubborn:
            raise PermissionError(13, "Permission denied")
        remove(store, blob)

    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "remove", fail)
        cellar.remove()
    assert [cellar.exists(blob) for blob in blobs] == [True] * 3 + [False] * 4
    assert cellar.rows(CONDEMNED) == stubborn
    assert "storage.cannot-remove error=Permission denied" in caplog.text
    cellar.remove()
    assert cellar.rows(CONDEMNED) == []


def test_nothing_is_forgotten_before_its_removal_is_durable(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    cellar.store("gone")
    cellar.delete("gone")

    def fail(store: BlobStore, number: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "sync_folder", fail)
        cellar.remove()
    assert len(cellar.rows(CONDEMNED)) == 1
    cellar.remove()
    assert cellar.rows(CONDEMNED) == []


def test_an_index_that_does_not_answer_is_asked_again_next_time(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cellar.store("gone")
    cellar.delete("gone")

    def fail(client: IndexClient, blobs: list[BlobId]) -> None:
        raise Busy("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(IndexClient, "forget_condemned", fail)
        cellar.remove()
    assert "storage.postponed" in caplog.text
    assert len(cellar.rows(CONDEMNED)) == 1
    cellar.remove()
    assert cellar.rows(CONDEMNED) == []


# -- sweeping -------------------------------------------------------------------------------------------------------------


def test_a_sweep_syncs_what_it_keeps_before_it_gives_the_folder_back(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, orphan = cellar.store("kept"), make_blob_id(1, 2)
    cellar.blobs.path(orphan).write_bytes(b"half a fi")
    synced: list[Path] = []

    def note(path: Path) -> None:
        assert cellar.rows(LEASES)
        synced.append(path)

    monkeypatch.setattr(store, "sync_path", note)
    cellar.actor.on_receive(Sweep([1]))
    assert synced == [cellar.blobs.path(kept), cellar.blobs.folder(1)]
    assert not cellar.rows(LEASES)


def test_a_folder_whose_files_cannot_be_synced_keeps_its_lease(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    cellar.store("kept")

    def fail(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(store, "sync_path", fail)
        cellar.actor.on_receive(Sweep([1]))
    assert cellar.rows(LEASES)
    cellar.actor.on_receive(Sweep([1]))
    assert not cellar.rows(LEASES)


def test_a_sweep_keeps_what_is_referred_to_and_removes_the_rest(cellar: Cellar) -> None:
    kept, condemned, orphan = cellar.store("kept"), cellar.store("gone", 1), make_blob_id(1, 2)
    cellar.delete("gone")
    cellar.blobs.path(orphan).write_bytes(b"half a fi")
    stranger = cellar.blobs.folder(1) / "core.1234"
    stranger.touch()
    assert cellar.actor.on_receive(Sweep([1])) == 2
    assert [cellar.exists(blob) for blob in (kept, condemned, orphan)] == [True, True, False]
    assert not stranger.exists()
    assert cellar.rows(LEASES) == []
    cellar.remove()
    assert not cellar.exists(condemned), "what is condemned goes the way of the condemned"


def test_a_folder_that_was_leased_and_never_made_is_given_back(cellar: Cellar) -> None:
    folder = cellar.stage.lease()
    assert cellar.actor.on_receive(Sweep([folder])) == 0
    assert cellar.rows(LEASES) == [key(1)]


def test_a_folder_that_cannot_be_swept_keeps_its_lease_and_the_others_are_swept(
    cellar: Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = cellar.stage.lease()
    cellar.blobs.make_folder(second)
    for folder in (1, second):
        cellar.blobs.path(make_blob_id(folder, 0)).touch()
    unlink = Path.unlink

    def fail(path: Path, *, missing_ok: bool = False) -> None:
        if path.parent == cellar.blobs.folder(1):
            raise OSError(30, "Read-only file system")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        assert cellar.actor.on_receive(Sweep([1, second])) == 1
    assert leased_folders(cellar.stage.views) == [1]
    assert cellar.actor.on_receive(Sweep([1])) == 1
    assert leased_folders(cellar.stage.views) == []


def test_a_revoked_folder_is_swept_by_the_next_start_if_nobody_came_to_it(cellar: Cellar) -> None:
    cellar.stage.ask(RevokeFolders(owner="gateway-1"))
    assert leased_folders(cellar.stage.views) == [1]


# -- the running actor ------------------------------------------------------------------------------------------------------


def test_a_deletion_reaches_the_files(archive: Core) -> None:
    folder = archive.client.open_folder("gateway-1")
    archive.blobs.make_folder(folder)
    command = store_command(folder=folder)
    archive.blobs.path(command.blob).write_bytes(b"dicom")
    archive.client.store_instance(command)
    archive.client.delete(Level.PATIENT, chain("P"))
    archive.client.clear_exports()  # now the index has announced what is condemned
    archive.storage.ask(RemoveCondemned())
    assert not archive.blobs.path(command.blob).exists()


def test_a_start_sweeps_what_a_killed_writer_left(archive_factory: Callable[..., Core]) -> None:
    first = archive_factory()
    folder = first.client.open_folder("gateway-1")
    first.blobs.make_folder(folder)
    kept, orphan = store_command(folder=folder), make_blob_id(folder, 1)
    for blob in (kept.blob, orphan):
        first.blobs.path(blob).write_bytes(b"dicom")
    first.client.store_instance(kept)
    first.stop()
    second = archive_factory()
    assert second.blobs.path(kept.blob).exists()
    assert not second.blobs.path(orphan).exists()
    assert leased_folders(second.views) == []


# -- what can be made again ---------------------------------------------------------------------------------------------


def test_what_was_made_of_a_series_goes_with_its_files(cellar: Cellar, monkeypatch: pytest.MonkeyPatch) -> None:
    due: list[float] = []
    monkeypatch.setattr(
        Alarm, "set", lambda alarm, at: due.append(at) if alarm is cellar.actor._derived_alarm else None
    )
    cellar.store("one")
    cellar.stage.ask(store_command(series="R2", instance="two", blob=make_blob_id(1, 7)))
    gone, kept = (Ref(U64.unpack(row)[0]) for row in cellar.rows(SERIES))
    for series in (gone, kept):
        assert cellar.derived.write(series, b"digest", b"text") == ""
    cellar.delete("one")
    cellar.remove()
    cellar.remove()
    assert len(due) == 1, "one look for all that is removed until then"
    assert cellar.derived.read(gone, b"digest") == b"text"
    cellar.actor.on_receive(ForgetDerived())
    assert cellar.derived.read(gone, b"digest") is None
    assert cellar.derived.read(kept, b"digest") == b"text"


def test_what_was_made_of_a_series_goes_with_the_file_of_one_of_its_instances(cellar: Cellar) -> None:
    """It holds what the instance said, and nobody may ask for the series again, so that it would stay."""
    cellar.store("kept")
    cellar.store("gone", 1)
    cellar.stage.ask(store_command(series="R2", instance="other", blob=make_blob_id(1, 7)))
    series, other = (Ref(U64.unpack(row)[0]) for row in cellar.rows(SERIES))
    for each in (series, other):
        assert cellar.derived.write(each, b"digest", b"text") == ""
    cellar.delete("gone")
    cellar.remove()
    cellar.actor.on_receive(ForgetDerived())
    assert cellar.derived.read(series, b"digest") is None
    assert cellar.derived.read(other, b"digest") == b"text"
    assert cellar.derived.write(series, b"digest", b"anew") == ""
    cellar.actor.on_receive(ForgetDerived())
    assert cellar.derived.read(series, b"digest") == b"anew"
