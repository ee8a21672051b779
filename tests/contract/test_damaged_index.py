"""An index whose bytes the disk has changed: told by its table and with the way out, and never taken for whole."""

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from events.errors import BadMedium, CorruptIndex, CorruptLog, SinogramError
from events.identifiers import Level, ResourceId
from store import boot
from store.blobs.store import BlobStore
from store.blobs.writer import make_blob_id
from store.environment import FILE_NAME, RESERVE_NAME, Environment
from store.log import END
from store.tables import (
    AGGREGATES,
    CHANGES,
    EVENTS,
    IDS,
    INSTANCES,
    LEASES,
    META,
    PATIENTS,
    PERSONAL,
    SERIES,
    STUDIES,
    TOTALS,
    U64,
    key,
)
from store.views.views import Views
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tools import index_walk
from tools.cli import main
from tools.core_settings import CoreSettings
from tools.replay import open_for_reading
from tools.server.archive import open_archive
from tools.server.core import Core

PAGE = 4_096
WAY_OUT = "sinogram replay --data DIR"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed index of 200 instances."""
    made = tmp_path_factory.mktemp("whole")
    env, _ = open_archive(made)
    stage = IndexStage(env, Clock())
    stage.lease()
    for number in range(200):
        stage.ask(store_command("P", "S", f"R{number % 5}", str(number)))
    env.close()
    (made / RESERVE_NAME).unlink()  # nobody copies 16 MiB of nothing
    return made


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of the closed index, to be damaged."""
    return shutil.copytree(whole, tmp_path / "index")


def change(folder: Path, what: Callable[[lmdb.Transaction, Environment], object]) -> None:
    with Environment(folder, writable=True) as env, env.begin(write=True) as txn:
        what(txn, env)


def spoil(folder: Path, table: bytes, row: bytes, at: bytes = b"") -> bytes:
    """Replace a row of a table, the first one if no key is named; returns its key."""
    keys: list[bytes] = []

    def put(txn: lmdb.Transaction, env: Environment) -> None:
        with txn.cursor(db=env.tables[table]) as cursor:
            assert cursor.set_key(at) if at else cursor.first()
            keys.append(cursor.key())
        txn.put(keys[0], row, db=env.tables[table])

    change(folder, put)
    return keys[0]


def read_all(views: Views, row_key: bytes) -> None:
    for level in Level:
        with views.snapshot() as snapshot:
            list(snapshot.list(level))
    with views.snapshot() as snapshot:
        snapshot.find(ResourceId(row_key))


GARBAGE = [b"", b"\xc1", b"\x93\x01", b"\x9f" + bytes(30)]


@pytest.mark.parametrize("row", GARBAGE, ids=lambda row: row[:2].hex() or "empty")
@pytest.mark.parametrize("table", [PATIENTS, STUDIES, SERIES, INSTANCES, IDS, AGGREGATES], ids=bytes.decode)
def test_a_damaged_row_names_its_table_to_readers_and_to_fsck(
    folder: Path, capsys: pytest.CaptureFixture[str], table: bytes, row: bytes
) -> None:
    row_key = spoil(folder, table, row)
    with Environment(folder, writable=False) as env:
        views = Views(env)
        with pytest.raises(CorruptIndex, match=f"the table '{table.decode()}' of the index is damaged; .*{WAY_OUT}"):
            read_all(views, row_key)
    assert main(["fsck", "--data", str(folder)]) == 2
    told = capsys.readouterr().err
    assert f"the table '{table.decode()}' is damaged: the row {row_key.hex()} cannot be read" in told
    assert WAY_OUT in told


@pytest.mark.parametrize("table", [SERIES, INSTANCES], ids=bytes.decode)
def test_a_command_that_meets_a_damaged_row_is_refused_alone_and_names_the_table(
    folder: Path, clock: Clock, table: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(folder, table, b"\xc1")
    with Environment(folder, writable=True) as env:
        stage = IndexStage(env, clock)
        answers = stage.run(
            store_command("P", "S", "R0", "0" if table == INSTANCES else "new"), store_command("Q"), delete_command("Q")
        )
    assert type(answers[0]) is CorruptIndex
    assert f"'{table.decode()}'" in str(answers[0])
    assert answers[1:] == ["Success", None]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("table", "row"), [(TOTALS, b"\1"), (EVENTS, b"\xc1"), (EVENTS, b""), (PERSONAL, b"\xc1")])
def test_the_log_says_what_is_wrong_with_it(
    folder: Path, capsys: pytest.CaptureFixture[str], table: bytes, row: bytes
) -> None:
    spoil(folder, table, row, at=END if table == TOTALS else b"")
    assert main(["log", "verify", "--data", str(folder)]) == 2
    assert main(["replay", "--data", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "unpack" not in told
    assert "damaged" in told


def test_a_key_that_is_no_sequence_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, lambda txn, env: txn.put(b"\xff" * 9, b"x", db=env.tables[EVENTS]))
    assert main(["log", "verify", "--data", str(folder)]) == 2
    assert "the table 'events' of the index is damaged: a key in it is no sequence" in capsys.readouterr().err
    with pytest.raises(CorruptLog):
        open_archive(folder)


def test_a_personal_row_that_is_missing_is_taken_for_erased(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, lambda txn, env: txn.delete(key(3), db=env.tables[PERSONAL]))
    assert main(["log", "verify", "--data", str(folder)]) == 0
    assert "1 of them erased" in capsys.readouterr().out


# -- bytes of the file ------------------------------------------------------------------------------------------------------


def _cut_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // PAGE * PAGE)


def _zero_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * PAGE)
        file.write(bytes(path.stat().st_size - 2 * PAGE))


def _wrong_magic(path: Path) -> None:
    with path.open("r+b") as file:
        for page in (0, 1):
            file.seek(page * PAGE + 16)
            file.write(b"\0\0\0\0")


def _spoil_both_roots(path: Path) -> None:
    with path.open("r+b") as file:
        for page in (0, 1):
            file.seek(page * PAGE + 16 + 24)
            file.write(b"\xff" * 96)


FILE_DAMAGES = [_cut_half, _zero_pages, _wrong_magic, _spoil_both_roots]


@pytest.mark.parametrize("damage", FILE_DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_told_by_fsck_and_ends_nobody(
    folder: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    damage(folder / FILE_NAME)
    assert main(["fsck", "--data", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "is damaged:" in told
    assert "put a copy" in told or WAY_OUT in told


@pytest.mark.parametrize("damage", [_cut_half, _wrong_magic], ids=lambda damage: damage.__name__)
def test_a_start_refuses_it_with_a_sentence_instead_of_dying(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder / FILE_NAME)
    with pytest.raises(BadMedium, match="damaged"):
        open_archive(folder)


def test_an_emptied_file_is_no_archive_to_tools(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / FILE_NAME).write_bytes(b"")
    assert main(["fsck", "--data", str(folder)]) == 2
    assert main(["log", "verify", "--data", str(folder)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_flipped_bits_anywhere_are_found_or_harm_nothing_that_is_read(folder: Path, tmp_path: Path) -> None:
    whole = (folder / FILE_NAME).read_bytes()
    draw = random.Random(9)
    for _ in range(40):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (folder / FILE_NAME).write_bytes(data)
        for finding in index_walk.walk(folder):
            assert finding.what
            assert index_walk.remedy(finding.table)


def test_a_healthy_index_has_no_findings_whatever_happened_to_it(folder: Path, clock: Clock) -> None:
    assert index_walk.walk(folder) == []
    with Environment(folder, writable=True) as env:
        stage = IndexStage(env, clock)
        stage.ask(delete_command("P"))
        stage.purge_all()
    assert index_walk.walk(folder) == []


# -- the way out ------------------------------------------------------------------------------------------------------------


def test_a_new_index_is_built_from_the_log_and_serves(
    folder: Path, tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with Environment(folder, writable=True) as env:
        stage = IndexStage(env, clock)
        stage.ask(delete_command("P", "S", "R1"))
        stage.purge_all()
        folders = stage.lease()
        with env.begin() as txn:
            mark = txn.get(boot.ARCHIVE_KEY, db=env.tables[META])
    for table in (PATIENTS, SERIES, IDS, CHANGES):
        spoil(folder, table, b"\xc1")
    new = tmp_path / "new"
    assert main(["replay", "--data", str(folder), "--into", str(new)]) == 0
    assert f"{new / FILE_NAME} is a new index" in capsys.readouterr().out
    assert main(["replay", "--data", str(new), "--verify"]) == 0
    assert main(["log", "verify", "--data", str(new)]) == 0
    env, _ = open_archive(new)
    with env.begin() as txn:
        assert txn.get(boot.ARCHIVE_KEY, db=env.tables[META]) == mark
    stage = IndexStage(env, clock)
    assert stage.lease() > folders, "no folder is used twice"
    assert stage.ask(store_command("P", "S", "R0", "0")) == "AlreadyStored"
    assert stage.ask(store_command("P", "S", "R1", "1", folder=folders + 1)) == "Success"
    with Views(env).snapshot() as snapshot:
        assert snapshot.statistics().instances == 161
        assert snapshot.get_instance(chain("P", "S", "R0", "0")) is not None
    env.close()


def test_a_new_index_takes_no_others_place_and_leaves_nothing_when_the_log_is_damaged(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--data", str(folder), "--into", str(folder)]) == 1
    assert "needs a folder of its own" in capsys.readouterr().err
    change(folder, lambda txn, env: txn.put(key(50), b"\xc1", db=env.tables[EVENTS]))
    assert main(["replay", "--data", str(folder), "--into", str(tmp_path / "new")]) == 2
    assert "event 50 is not an envelope" in capsys.readouterr().err
    assert not (tmp_path / "new" / FILE_NAME).exists()
    assert main(["replay", "--data", str(folder), "--until", "49", "--into", str(tmp_path / "new")]) == 0
    assert main(["log", "verify", "--data", str(tmp_path / "new")]) == 0


def store_files(index: Path, blobs: BlobStore, clock: Clock, places: range, *, is_new: bool) -> list[Path]:
    """Store instances in a folder that stays leased, the last one or a new one; returns their files."""
    for made in (index, blobs.root.parent):
        made.mkdir(exist_ok=True)
    env, _ = open_archive(index, blobs)
    stage = IndexStage(env, clock)
    if is_new:
        blobs.make_folder(stage.lease())
    with Views(env).snapshot() as snapshot:
        number = max(U64.unpack(row_key)[0] for row_key in snapshot.keys(LEASES, b""))
    paths = []
    for place in places:
        blob = make_blob_id(number, place)
        paths.append(blobs.path(blob))
        paths[-1].write_bytes(b"DICM")
        stage.ask(store_command("P", "S", f"R{place % 5}", str(place), blob=blob, size_bytes=4))
    env.close()
    return paths


@pytest.mark.parametrize("folders", [1, 2, 3])
@pytest.mark.parametrize("before", [0, 1, 50])
def test_files_that_a_copy_of_the_index_does_not_know_are_not_swept_away(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str], before: int, folders: int
) -> None:
    """A copy that is put back takes folders for leased in which files of later instances lie."""
    index, files = tmp_path / "index", tmp_path / "storage"
    blobs = BlobStore(files)
    paths = store_files(index, blobs, clock, range(before), is_new=True)
    shutil.copytree(index, tmp_path / "copy")
    paths += store_files(index, blobs, clock, range(before, 100), is_new=False)
    for number in range(folders):
        paths += store_files(index, blobs, clock, range(100 + 10 * number, 110 + 10 * number), is_new=True)
    shutil.rmtree(index)
    (tmp_path / "copy").rename(index)
    for _ in range(2):
        core = Core(CoreSettings(index_directory=index, storage_directory=files))
        try:
            assert [path for path in paths if not path.exists()] == []
        finally:
            core.stop()
    assert main(["fsck", "--data", str(index), "--storage", str(files)]) == 1
    assert f"{len(paths) - before} orphan" in capsys.readouterr().out


@pytest.mark.parametrize(("until", "kept"), [("5", True), ("39", True), ("199", True), (None, False)])
def test_files_of_what_a_log_has_lost_are_not_swept_away(
    tmp_path: Path,
    clock: Clock,
    until: str | None,
    kept: bool,
) -> None:
    """They are all that is left of what was acknowledged; from a whole log it is known that an upload left a file behind."""
    index, files, new = tmp_path / "index", tmp_path / "storage", tmp_path / "new"
    blobs = BlobStore(files)
    paths = store_files(index, blobs, clock, range(200), is_new=True)
    unfinished = blobs.path(make_blob_id(1, 200))
    unfinished.write_bytes(b"D")
    options = ["--until", until] if until else []
    assert main(["replay", "--data", str(index), *options, "--into", str(new)]) == 0
    core = Core(CoreSettings(index_directory=new, storage_directory=files))
    try:
        assert all(path.exists() for path in paths)
        assert unfinished.exists() == kept
    finally:
        core.stop()


def test_what_cannot_be_opened_for_reading_is_a_sentence(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    with pytest.raises(SinogramError, match="holds no archive"):
        open_for_reading(folder)
