"""`sinogram replay`: the read models are what the log says, at every event of it, or the command says where they are not."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from actors.core.index.decisions import resources as decide
from actors.messages.commands.command import Command
from actors.messages.commands.resources import SettleResources
from actors.messages.commands.server import ClearChanges
from events.identifiers import Level, Ref, Seq
from store.environment import Environment
from store.projections import READ_MODEL_TABLES
from store.tables import AGGREGATES, EVENTS, IDS, INSTANCES, PERSONAL, TOTALS, key
from tests.clock import Clock
from tests.index_stage import IndexStage, delete_command, store_command
from tools import replay as replay_module
from tools.cli import main
from tools.replay import differences, rebuild

ALL_EVENTS = 34  # of `live_through`
Dump = dict[bytes, list[tuple[bytes, bytes]]]


def dump(env: Environment) -> Dump:
    with env.begin() as txn:
        return {table: list(txn.cursor(db=env.tables[table])) for table in READ_MODEL_TABLES}


def live_through(stage: IndexStage, clock: Clock, after_each: Callable[[], None]) -> None:
    """Do something of everything, deletions in small steps with stores between them."""
    stage.lease()
    commands: list[Command] = [
        store_command("P", "S", f"R{n % 3}", str(n), expected_instances=2, index_in_series=n // 3 + 1) for n in range(6)
    ]
    commands += [store_command("Q", instance=str(n)) for n in range(3)]
    for command in commands:
        stage.ask(command)
        clock.advance(1)
        after_each()
    for command in (
        SettleResources(resources=[(Level.SERIES, Ref(2), Seq(7))]),
        delete_command("P", "S", "R1", "1"),
        delete_command("P"),
        store_command("P", "S", "R0", "0"),
        ClearChanges(),
        store_command("P", "S", "R0", "9"),
        delete_command("Q"),
    ):
        stage.ask(command)
        after_each()
        if len(stage.purges) > 1:
            stage.purge_step()
            after_each()
    while stage.purges:
        stage.purge_step()
        after_each()


@pytest.fixture
def archive_folder(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The closed archive of such a life."""
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 2)
    folder = tmp_path / "index"
    folder.mkdir()
    with Environment(folder, writable=True, durable=False) as env:
        live_through(IndexStage(env, clock), clock, lambda: None)
    return folder


def change(folder: Path, what: Callable[[lmdb.Transaction, Environment], object]) -> None:
    with Environment(folder, writable=True) as env, env.begin(write=True) as txn:
        what(txn, env)


def test_replay_up_to_any_event_gives_what_was_there_after_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 2)
    monkeypatch.setattr(replay_module, "BATCH_EVENTS", 7)
    (tmp_path / "live").mkdir()
    dumps: dict[int, Dump] = {}
    with Environment(tmp_path / "live", writable=True, durable=False) as live:
        stage = IndexStage(live, clock)

        def note() -> None:
            dumps[stage.index._log.head.seq] = dump(live)

        live_through(stage, clock, note)
        assert max(dumps) == ALL_EVENTS
        for until, expected in dumps.items():
            folder = tmp_path / f"fresh-{until}"
            folder.mkdir()
            with Environment(folder, writable=True, durable=False) as fresh, live.begin() as txn:
                assert rebuild(live, txn, fresh, until).events == until
                assert dump(fresh) == expected


def test_a_whole_archive_is_equal_and_the_status_is_0(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--data", str(archive_folder), "--verify"]) == 0
    out = capsys.readouterr().out
    assert f"replayed {ALL_EVENTS} events in " in out
    assert out.endswith("equal to the live read models, byte for byte\n")
    assert not list(archive_folder.glob("sinogram-replay-*")), "the scratch copy is gone"


def test_without_verify_nothing_is_compared(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(archive_folder, lambda txn, env: txn.drop(env.tables[TOTALS], delete=False))
    assert main(["replay", "--data", str(archive_folder), "--until", "5"]) == 0
    assert capsys.readouterr().out.startswith("replayed 5 events in ")


def test_a_part_of_the_log_cannot_be_compared(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "--data", str(archive_folder), "--verify", "--until", "5"]) == 1
    assert "cannot be compared" in capsys.readouterr().err
    assert main(["replay", "--data", str(archive_folder), "--verify", "--until", str(ALL_EVENTS)]) == 0


@pytest.mark.parametrize(
    ("table", "row_key", "row"),
    [(AGGREGATES, key(9_999), b"x"), (IDS, bytes(20), b"y"), (INSTANCES, b"\xff" * 8, b"z")],
)
def test_a_row_too_many_is_a_difference(
    archive_folder: Path, capsys: pytest.CaptureFixture[str], table: bytes, row_key: bytes, row: bytes
) -> None:
    change(archive_folder, lambda txn, env: txn.put(row_key, row, db=env.tables[table]))
    assert main(["replay", "--data", str(archive_folder), "--verify"]) == 1
    out = capsys.readouterr().out
    assert f"{table.decode()}: 1 keys differ" in out
    assert "differ from the log" in out


def test_rows_that_are_missing_or_altered_are_counted(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def damage(txn: lmdb.Transaction, env: Environment) -> None:
        keys = [row_key for row_key, _ in txn.cursor(db=env.tables[IDS])]
        txn.delete(keys[0], db=env.tables[IDS])
        txn.put(keys[-1], b"other", db=env.tables[IDS])

    change(archive_folder, damage)
    assert main(["replay", "--data", str(archive_folder), "--verify"]) == 1
    assert "ids: 2 keys differ" in capsys.readouterr().out


def test_differences_are_found_on_both_sides(tmp_path: Path) -> None:
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
    with (
        Environment(tmp_path / "left", writable=True, durable=False) as left,
        Environment(tmp_path / "right", writable=True, durable=False) as right,
    ):
        for env, content in ((left, {b"a": b"1", b"b": b"2"}), (right, {b"b": b"3", b"c": b"4"})):
            with env.begin(write=True) as txn:
                for row_key, row in content.items():
                    txn.put(row_key, row, db=env.tables[IDS])
        with left.begin() as one, right.begin() as two:
            assert differences(one, left.tables, two, right.tables) == {"ids": 3}
            assert differences(one, left.tables, one, left.tables) == {}


def test_a_damaged_log_has_the_status_2(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(archive_folder, lambda txn, env: txn.delete(key(7), db=env.tables[EVENTS]))
    assert main(["replay", "--data", str(archive_folder)]) == 2
    assert "the log is damaged: event 7 is missing" in capsys.readouterr().err


def test_a_log_that_lost_its_end_has_the_status_2(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(archive_folder, lambda txn, env: txn.delete(key(ALL_EVENTS), db=env.tables[EVENTS]))
    assert main(["replay", "--data", str(archive_folder)]) == 2
    assert "the end of the log is missing" in capsys.readouterr().err


def test_replay_over_erased_events_says_so(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(archive_folder, lambda txn, env: txn.drop(env.tables[PERSONAL], delete=False))
    assert main(["replay", "--data", str(archive_folder)]) == 0
    assert "events are erased: what they held cannot be rebuilt" in capsys.readouterr().out


def test_any_events_may_be_erased_and_the_rest_still_replays(archive_folder: Path) -> None:
    with Environment(archive_folder, writable=False) as env, env.begin() as txn:
        keys = [row_key for row_key, _ in txn.cursor(db=env.tables[PERSONAL])]
    for row_key in keys:
        change(archive_folder, lambda txn, env, gone=row_key: txn.delete(gone, db=env.tables[PERSONAL]))  # type: ignore[misc]  # bound early
        assert main(["replay", "--data", str(archive_folder)]) == 0


def test_a_folder_without_an_archive_is_an_error_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--data", str(tmp_path)]) == 1
    assert "holds no archive" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_running_archive_can_be_replayed_from_another_process(archive_folder: Path) -> None:
    import subprocess
    import sys

    script = "import sys; from tools.cli import main; sys.exit(main(sys.argv[1:]))"
    with Environment(archive_folder, writable=True, durable=False) as env:
        stage = IndexStage(env, Clock())
        folder = stage.lease()
        stage.ask(store_command("Z", folder=folder))
        done = subprocess.run(
            [sys.executable, "-c", script, "replay", "--data", str(archive_folder), "--verify"],
            capture_output=True,
            check=False,
            text=True,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "equal to the live read models" in done.stdout


def test_scratch_folders_that_killed_replays_have_left_go_and_one_at_work_stays(
    archive_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = [archive_folder / f"sinogram-replay-{name}" for name in ("one", "two", "at-work")]
    for folder in left:
        folder.mkdir()
        (folder / "sinogram.mdb").write_bytes(b"x")
    held = os.open(left[2], os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    assert main(["replay", "--data", str(archive_folder)]) == 0
    assert sorted(archive_folder.glob("sinogram-replay-*")) == [left[2]]
    os.close(held)
    assert main(["replay", "--data", str(archive_folder)]) == 0
    assert not list(archive_folder.glob("sinogram-replay-*"))


def test_a_replay_that_is_killed_leaves_nothing_behind_the_next_one(archive_folder: Path) -> None:
    script = (
        "import os, signal; from tools import replay; from tools.cli import main; "
        "replay.follow = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        f"main(['replay', '--data', {str(archive_folder)!r}])"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(archive_folder.glob("sinogram-replay-*"))) == 1
    assert main(["replay", "--data", str(archive_folder), "--verify"]) == 0
    assert not list(archive_folder.glob("sinogram-replay-*"))


def test_beside_a_running_server_no_snapshot_is_held_and_both_sides_stand_at_the_same_event(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each piece that is compared the archive goes on: stores, deletes, purges."""
    monkeypatch.setattr(replay_module, "SNAPSHOT_S", 0.0)
    monkeypatch.setattr(replay_module, "_LOOK_EVERY", 3)
    monkeypatch.setattr(replay_module, "BATCH_EVENTS", 50)
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 2)
    for name in ("live", "fresh"):
        (tmp_path / name).mkdir()
    with (
        Environment(tmp_path / "live", writable=True, durable=False) as live,
        Environment(tmp_path / "fresh", writable=True, durable=False) as fresh,
    ):
        stage = IndexStage(live, clock)
        live_through(stage, clock, lambda: None)
        folder = stage.lease()
        rounds = 0
        begin = live.begin
        is_going_on = False

        def go_on(*, write: bool = False) -> lmdb.Transaction:
            nonlocal rounds, is_going_on
            if not write and not is_going_on and rounds < 60:
                is_going_on = True
                rounds += 1
                stage.ask(store_command("Z", "S", f"R{rounds % 4}", str(rounds), folder=folder))
                if rounds % 10 == 0:
                    stage.ask(delete_command("Z", "S", f"R{rounds % 4}"))
                    stage.purge_all()
                is_going_on = False
            return begin(write=write)

        monkeypatch.setattr(live, "begin", go_on)
        going = replay_module.Rebuilding(fresh)
        replay_module.follow(live, going, 20)
        assert replay_module.compare(live, going) == {}
        assert rounds == 60
        with begin(write=True) as txn:
            txn.put(b"x", b"y", db=live.tables[IDS])
        assert replay_module.compare(live, going) == {"ids": 1}


def test_no_reader_of_the_live_side_is_open_while_the_rebuilt_rows_are_written(
    archive_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "BATCH_EVENTS", 5)
    follow, apply, begin = replay_module.follow, replay_module.Rebuilding.apply, Environment.begin
    readers: list[lmdb.Transaction] = []
    is_following = False
    count = 0

    def note(env: Environment, *, write: bool = False) -> lmdb.Transaction:
        txn = begin(env, write=write)
        if not write and is_following:
            readers.append(txn)
        return txn

    def look(going: replay_module.Rebuilding, rows: list[tuple[Seq, bytes, bytes | None]]) -> None:
        nonlocal count
        count += is_following
        for txn in readers if is_following else ():
            with pytest.raises(lmdb.Error):  # it has ended
                txn.stat(None)
        apply(going, rows)

    def watched(live: Environment, going: replay_module.Rebuilding, until: int) -> None:
        nonlocal is_following
        is_following = True
        follow(live, going, until)
        is_following = False

    monkeypatch.setattr(Environment, "begin", note)
    monkeypatch.setattr(replay_module.Rebuilding, "apply", look)
    monkeypatch.setattr(replay_module, "follow", watched)
    assert main(["replay", "--data", str(archive_folder)]) == 0
    assert count == -(-ALL_EVENTS // 5)
