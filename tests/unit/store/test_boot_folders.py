"""What the looks at boot find in real folders, and that a refused start has changed nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from events.errors import BadMedium, CorruptLog
from store import boot, environment
from store.blobs.store import MARK_NAME, BlobStore
from store.blobs.writer import make_blob_id
from store.boot import Action
from store.environment import FILE_NAME, MAP_BYTES, RESERVE_BYTES, RESERVE_NAME, Environment, release_reserve
from store.log import END
from store.tables import CONDEMNED, EVENTS, LEASES, META, RECYCLING, SETTINGS, TOMBSTONES, TOTALS, key
from tests.clock import Clock
from tests.index_stage import IndexStage, store_command
from tools.server import archive
from tools.server.archive import open_archive

Change = Callable[[lmdb.Transaction, Environment], None]


def use(folder: Path) -> list[Action]:
    """Open an archive and stop it cleanly; returns what its start had to do."""
    env, rows = open_archive(folder)
    boot.mark_clean(env)
    env.close()
    return [row.action for row in rows]


def change(folder: Path, what: Change) -> None:
    with Environment(folder, writable=True) as env, env.begin(write=True) as txn:
        what(txn, env)


def names_of_tables(folder: Path) -> set[bytes]:
    with lmdb.open(str(folder / FILE_NAME), subdir=False, readonly=True) as env, env.begin() as txn:
        return {name for name, _ in txn.cursor()}


def store_some(folder: Path) -> None:
    env, _ = open_archive(folder)
    stage = IndexStage(env, Clock())
    for number in range(5):
        stage.ask(store_command(instance=str(number), folder=stage.lease()))
    env.close()  # not clean


def test_an_empty_folder_is_a_new_archive_and_then_a_clean_one(tmp_path: Path) -> None:
    assert use(tmp_path) == [Action.INITIALIZE]
    assert use(tmp_path) == []


def test_a_file_that_a_crash_left_empty_is_a_new_archive(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    assert use(tmp_path) == [Action.INITIALIZE]


def test_a_crash_between_the_tables_and_the_first_commit_is_a_new_archive(tmp_path: Path) -> None:
    Environment(tmp_path, writable=True).close()
    assert use(tmp_path) == [Action.INITIALIZE]


def test_a_run_that_was_cut_off_is_verified_and_its_folders_are_swept(tmp_path: Path) -> None:
    store_some(tmp_path)
    assert use(tmp_path) == [Action.VERIFY_TAIL, Action.SWEEP_LEASES]


def test_a_lease_that_a_clean_stop_left_is_of_a_folder_in_doubt(tmp_path: Path) -> None:
    use(tmp_path)
    change(tmp_path, lambda txn, env: txn.put(key(1), bytes(16), db=env.tables[LEASES]))
    assert use(tmp_path) == [Action.SWEEP_LEASES]


def test_files_are_in_doubt_until_a_sweep_is_through(tmp_path: Path) -> None:
    store_some(tmp_path)
    for _ in range(2):  # the second start finds that the first was cut off in the middle of its sweep
        env, rows = open_archive(tmp_path)
        env.close()
        assert [row.action for row in rows] == [Action.VERIFY_TAIL, Action.SWEEP_LEASES]
    change(tmp_path, lambda txn, env: txn.drop(env.tables[LEASES], delete=False))
    assert use(tmp_path) == [Action.VERIFY_TAIL]


@pytest.mark.parametrize(
    ("table", "action"),
    [
        (CONDEMNED, Action.REMOVE_CONDEMNED),
        (TOMBSTONES, Action.RESUME_PURGES),
    ],
)
def test_what_a_table_holds_is_work_for_the_start(tmp_path: Path, table: bytes, action: Action) -> None:
    use(tmp_path)
    change(tmp_path, lambda txn, env: txn.put(key(1), bytes(16), db=env.tables[table]))
    assert use(tmp_path) == [action]


def test_settings_of_the_last_run_are_forgotten(tmp_path: Path) -> None:
    use(tmp_path)
    change(tmp_path, lambda txn, env: txn.put(b"LogLevel", b"\xa0", db=env.tables[SETTINGS]))
    use(tmp_path)
    with Environment(tmp_path, writable=False) as env, env.begin() as txn:
        assert txn.stat(env.tables[SETTINGS])["entries"] == 0


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / FILE_NAME), subdir=False, max_dbs=3) as env:
        tables = [env.open_db(META), env.open_db(b"a-table-of-tomorrow")]
        with env.begin(write=True) as txn:
            txn.put(boot.FORMAT_KEY, key(boot.FORMAT + 1), db=tables[0])
    with pytest.raises(BadMedium, match="newer release"):
        open_archive(tmp_path)
    assert names_of_tables(tmp_path) == {META, b"a-table-of-tomorrow"}


def test_who_only_reads_an_older_index_is_told_to_start_the_server(tmp_path: Path) -> None:
    store_some(tmp_path)
    with lmdb.open(str(tmp_path / FILE_NAME), subdir=False, max_dbs=3) as env, env.begin(write=True) as txn:
        txn.drop(env.open_db(RECYCLING, txn=txn))
    with pytest.raises(BadMedium, match="an older one wrote it; start the server once"):
        Environment(tmp_path, writable=False)
    use(tmp_path)
    Environment(tmp_path, writable=False).close()


def test_somebody_elses_environment_is_refused_and_left_alone(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path / FILE_NAME), subdir=False, max_dbs=3) as env:
        env.open_db(b"other")
    with pytest.raises(BadMedium, match="not an index of this server"):
        open_archive(tmp_path)
    assert names_of_tables(tmp_path) == {b"other"}


def test_events_without_a_format_are_refused(tmp_path: Path) -> None:
    store_some(tmp_path)
    change(tmp_path, lambda txn, env: txn.delete(boot.FORMAT_KEY, db=env.tables[META]))
    with pytest.raises(BadMedium, match="not an index of this server"):
        open_archive(tmp_path)


@pytest.mark.parametrize("content", [b"SQLite format 3\0", b"\0" * 4096, b"x" * 20_000])
def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(BadMedium, match="is no index, or its first pages are damaged"):
        open_archive(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == content


def test_a_refused_start_lets_go_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"foreign" * 1000)
    with pytest.raises(BadMedium):
        open_archive(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    assert use(tmp_path) == [Action.INITIALIZE]


def test_a_folder_that_another_process_uses_is_refused(tmp_path: Path) -> None:
    script = f"import fcntl, os; fd = os.open({str(tmp_path / 'lock')!r}, os.O_CREAT | os.O_RDWR)\n"
    script += "fcntl.flock(fd, fcntl.LOCK_EX); print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BadMedium, match="another server"):
            open_archive(tmp_path)
        assert not (tmp_path / FILE_NAME).exists()
        other.communicate(b"\n")
    assert use(tmp_path) == [Action.INITIALIZE]


def test_a_folder_is_taken_while_its_archive_is_open_and_free_afterwards(tmp_path: Path) -> None:
    env, _ = open_archive(tmp_path)
    with pytest.raises(BadMedium, match="another server"):
        open_archive(tmp_path)
    env.close()
    use(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(BadMedium, match="cannot be written"):
        open_archive(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot, "file_system_type", lambda folder: "nfs4")
    with pytest.raises(BadMedium, match="network file system"):
        open_archive(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_map_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path)
    monkeypatch.setattr(Environment, "size_bytes", lambda self: MAP_BYTES)
    with pytest.raises(BadMedium, match="1 TiB"):
        open_archive(tmp_path)


def test_a_full_disk_is_only_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path)
    monkeypatch.setattr(boot, "free_bytes", lambda folder: 0)
    assert use(tmp_path) == [Action.WARN_FULL]


# -- the end of the log -------------------------------------------------------------------------------------------------


def test_a_tail_that_is_whole_is_counted(tmp_path: Path) -> None:
    store_some(tmp_path)
    with Environment(tmp_path, writable=True) as env:
        assert boot.verify_tail(env) == 8
        assert boot.verify_tail(env, count=3) == 4  # the event before is where the first link leads


def _alter_the_last(txn: lmdb.Transaction, env: Environment) -> None:
    row = txn.get(key(8), db=env.tables[EVENTS])
    txn.put(key(8), row.replace(b"ingest", b"ingesT"), db=env.tables[EVENTS])


def _alter_one(txn: lmdb.Transaction, env: Environment) -> None:
    row = txn.get(key(6), db=env.tables[EVENTS])
    txn.put(key(6), row.replace(b"ingest", b"ingesT"), db=env.tables[EVENTS])


def _lose_the_last(txn: lmdb.Transaction, env: Environment) -> None:
    txn.delete(key(8), db=env.tables[EVENTS])


def _lose_one(txn: lmdb.Transaction, env: Environment) -> None:
    txn.delete(key(6), db=env.tables[EVENTS])


def _lose_all(txn: lmdb.Transaction, env: Environment) -> None:
    txn.drop(env.tables[EVENTS], delete=False)


def _forge_the_end(txn: lmdb.Transaction, env: Environment) -> None:
    txn.put(END, key(8) + bytes(32), db=env.tables[TOTALS])


@pytest.mark.parametrize(
    "damage",
    [_alter_the_last, _alter_one, _lose_the_last, _lose_one, _lose_all, _forge_the_end],
    ids=lambda f: f.__name__,
)
def test_a_damaged_tail_ends_the_start(tmp_path: Path, damage: Change) -> None:
    store_some(tmp_path)
    change(tmp_path, damage)
    with pytest.raises(CorruptLog):
        open_archive(tmp_path)
    with pytest.raises(CorruptLog):  # and the folder is free again, for a look at it
        open_archive(tmp_path)


# -- the reserve --------------------------------------------------------------------------------------------------------


def test_a_reserve_is_laid_by_and_given_up(tmp_path: Path) -> None:
    environment.ensure_reserve(tmp_path)
    assert (tmp_path / RESERVE_NAME).stat().st_blocks * 512 >= RESERVE_BYTES
    assert environment.release_reserve(tmp_path)
    assert not environment.release_reserve(tmp_path)


def test_no_reserve_is_laid_by_where_there_is_little_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "free_bytes", lambda folder: 4 * RESERVE_BYTES - 1)
    environment.ensure_reserve(tmp_path)
    assert not (tmp_path / RESERVE_NAME).exists()


def test_a_reserve_that_a_quota_forbids_leaves_no_torso(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    environment.ensure_reserve(tmp_path)
    assert not (tmp_path / RESERVE_NAME).exists()


def test_a_start_on_a_disk_without_room_uses_the_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path)
    assert (tmp_path / RESERVE_NAME).exists()
    mark_running = boot.mark_running

    def mark(env: Environment) -> None:
        if (tmp_path / RESERVE_NAME).exists():
            raise lmdb.DiskError("mdb_txn_commit: Input/output error")
        mark_running(env)

    monkeypatch.setattr(boot, "mark_running", mark)
    monkeypatch.setattr("tools.server.archive.ensure_reserve", lambda folder: None)
    use(tmp_path)


def test_a_start_that_cannot_commit_at_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mark(env: Environment) -> None:
        raise lmdb.DiskError("mdb_txn_commit: Input/output error")

    monkeypatch.setattr(boot, "mark_running", mark)
    with pytest.raises(BadMedium, match="cannot be written"):
        open_archive(tmp_path)


def test_a_storage_folder_belongs_to_the_first_index_that_uses_it(tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "storage")
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    env, _ = open_archive(tmp_path / "one", blobs)
    env.close()
    assert blobs.owner() is not None
    with pytest.raises(BadMedium, match="another index"):
        open_archive(tmp_path / "other", blobs)
    env, _ = open_archive(tmp_path / "one", blobs)
    env.close()


def test_an_index_with_events_whose_storage_folder_is_empty_is_refused(tmp_path: Path) -> None:
    store_some(tmp_path)
    with pytest.raises(BadMedium, match="mounted"):
        open_archive(tmp_path, BlobStore(tmp_path / "not mounted"))


def test_a_crash_before_the_storage_folder_is_marked_is_made_good(tmp_path: Path) -> None:
    use(tmp_path)  # has its own mark, and has marked nothing
    blobs = BlobStore(tmp_path / "storage")
    blobs.root.mkdir(parents=True)
    (blobs.root / MARK_NAME).touch()  # as a crash leaves it
    env, _ = open_archive(tmp_path, blobs)
    env.close()
    assert blobs.owner() is not None


class _Full(Environment):
    """Takes no write at all, like that of a disk without a page left."""

    def begin(self, *, write: bool = False) -> lmdb.Transaction:
        if write:
            raise lmdb.DiskError("mdb_txn_commit: No space left on device")
        return super().begin(write=write)


def test_a_run_that_could_not_note_its_end_starts_again_without_a_page_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody could delete anything. Its reserve is spent, too."""
    store_some(tmp_path)
    release_reserve(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(archive, "Environment", _Full)
        patch.setattr(archive, "ensure_reserve", lambda folder: None)
        env, _ = open_archive(tmp_path)
        env.close()
    assert use(tmp_path) == [Action.VERIFY_TAIL, Action.SWEEP_LEASES]


@pytest.mark.parametrize("what", ["settings", "a clean end"])
def test_what_must_be_written_and_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    store_some(tmp_path)
    if what == "settings":
        change(tmp_path, lambda txn, env: txn.put(b"LogLevel", b"\xa0", db=env.tables[SETTINGS]))
    else:
        use(tmp_path)
    release_reserve(tmp_path)
    monkeypatch.setattr(archive, "Environment", _Full)
    with pytest.raises(BadMedium, match="is its disk full"):
        open_archive(tmp_path)


@pytest.mark.parametrize("what", ["not there", "empty", "a mount point without its disk", "without its mark"])
def test_files_that_are_not_there_stop_the_start_and_no_instance_is_given_up(tmp_path: Path, what: str) -> None:
    """Below `blobs` there may be a disk of its own: not mounted, it looks as if all files were lost."""
    index, files = tmp_path / "index", tmp_path / "storage"
    index.mkdir()
    files.mkdir()
    blobs = BlobStore(files)
    env, _ = open_archive(index, blobs)
    stage = IndexStage(env, Clock())
    blob = make_blob_id(stage.lease(), 0)
    blobs.make_folder(1)
    stage.ask(store_command(blob=blob))
    env.close()
    if what == "without its mark":  # as an earlier release has left it
        (blobs.root / MARK_NAME).unlink()
        open_archive(index, blobs)[0].close()
        assert blobs.owner() is not None
        return
    blobs.root.rename(tmp_path / "elsewhere")
    if what != "not there":
        blobs.root.mkdir()
    with pytest.raises(BadMedium, match="is its disk mounted"):
        open_archive(index, blobs)
    assert blobs.owner() is None, "a refused start leaves no mark"
    if what == "a mount point without its disk":
        blobs.root.rmdir()
        (tmp_path / "elsewhere").rename(blobs.root)
        open_archive(index, blobs)[0].close()
