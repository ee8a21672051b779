"""Blob folders: leased one after the other, given back when nothing in them is under way or in doubt."""

import errno
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from actors.messages.commands.command import Command
from actors.messages.commands.files import OpenFolder, RetireFolder
from actors.messages.index_client import IndexClient
from actors.services.ingest import folders
from actors.services.ingest.folders import BlobFolders
from events.errors import Busy, SinogramError, StorageFailed, StorageFull
from store.blobs.store import BlobStore
from store.blobs.writer import BlobWriter, folder_number, make_blob_id, parse_blob_name
from store.tables import LEASES, U64
from tests.index_stage import IndexStage

FILES = 3


class Desk:
    """The index as folders see it, which can be made to refuse."""

    def __init__(self, stage: IndexStage) -> None:
        self._stage = stage
        self.refusals: dict[type[Command], SinogramError] = {}
        self.client = IndexClient(self._ask)

    def _ask(self, command: Command) -> object:
        if (refusal := self.refusals.get(type(command))) is not None:
            raise refusal
        answer: object = self._stage.ask(command)
        return answer

    @property
    def leased(self) -> list[int]:
        """The folders that are leased, without the one that the fixture `stage` took."""
        with self._stage.views.snapshot() as snapshot:
            return [U64.unpack(lease)[0] for lease in snapshot.keys(LEASES, b"")][1:]


@pytest.fixture
def desk(stage: IndexStage, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(folders, "FOLDER_FILES", FILES)
    return Desk(stage)


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "storage")


@pytest.fixture
def made(desk: Desk, blobs: BlobStore, tmp_path: Path) -> BlobFolders:
    (tmp_path / "storage").mkdir()
    return BlobFolders(desk.client, blobs, "gateway-1", sync=True)


def keep(made: BlobFolders, writer: BlobWriter) -> None:
    """Finish an upload well."""
    writer.write(b"x")
    writer.commit(sync=True)
    made.release(writer.folder, is_clear=True)


def test_folders_that_hold_files_already_are_passed_over(made: BlobFolders, desk: Desk, blobs: BlobStore) -> None:
    """As after an index was put back from a copy that is older than the files."""
    for number in (2, 3):
        blobs.make_folder(number)
        (blobs.folder(number) / "precious").touch()
    keep(made, made.create())
    assert desk.leased == [4], "what lies in the others is never swept"


def test_a_folder_is_leased_when_the_first_file_is_wanted(made: BlobFolders, desk: Desk) -> None:
    assert desk.leased == []
    writer = made.create()
    assert desk.leased == [writer.folder] == [2]
    keep(made, writer)
    assert writer.path.read_bytes() == b"x"


def test_a_full_folder_is_given_back_and_the_next_one_leased(made: BlobFolders, desk: Desk) -> None:
    for _ in range(2 * FILES + 1):
        keep(made, made.create())
    assert desk.leased == [4]


def test_a_full_folder_is_kept_until_its_last_upload_is_over(made: BlobFolders, desk: Desk) -> None:
    slow = made.create()
    for _ in range(FILES):
        keep(made, made.create())
    assert desk.leased == [2, 3]
    keep(made, slow)
    assert desk.leased == [3]


def test_a_folder_with_an_upload_in_doubt_is_left_to_the_next_start(made: BlobFolders, desk: Desk) -> None:
    writer = made.create()
    writer.commit(sync=True)
    made.release(writer.folder, is_clear=False)
    for _ in range(FILES):
        keep(made, made.create())
    made.close()
    assert desk.leased == [2]


def test_closing_gives_the_folder_back(made: BlobFolders, desk: Desk) -> None:
    keep(made, made.create())
    made.close()
    assert desk.leased == []


def test_closing_before_anything_was_leased_asks_nothing(made: BlobFolders, desk: Desk) -> None:
    made.close()
    assert desk.leased == []


@pytest.mark.parametrize("is_clear", [True, False])
def test_an_upload_that_ends_after_the_close_decides_about_its_folder(
    made: BlobFolders, desk: Desk, is_clear: bool
) -> None:
    one, other = made.create(), made.create()
    made.close()
    assert desk.leased == [2]
    keep(made, one)
    assert desk.leased == [2]
    other.discard()
    made.release(other.folder, is_clear=is_clear)
    assert desk.leased == ([] if is_clear else [2])


@pytest.mark.parametrize("refusal", [Busy("no core"), StorageFull("full")])
def test_an_index_that_does_not_take_a_folder_back_spoils_no_upload(
    made: BlobFolders, desk: Desk, refusal: SinogramError
) -> None:
    desk.refusals[RetireFolder] = refusal
    for _ in range(2 * FILES):
        keep(made, made.create())
    made.close()
    assert desk.leased == [2, 3], "they are swept at the next start"


@pytest.mark.parametrize("refusal", [Busy("no core"), StorageFull("full")])
def test_without_a_lease_there_is_no_file(made: BlobFolders, desk: Desk, refusal: SinogramError) -> None:
    desk.refusals[OpenFolder] = refusal
    with pytest.raises(type(refusal)):
        made.create()
    desk.refusals.clear()
    keep(made, made.create())


def test_a_full_disk_refuses_a_new_folder_and_gives_its_lease_back(
    made: BlobFolders, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", fail)
        for _ in range(3):
            with pytest.raises(StorageFull):
                made.create()
    assert desk.leased == []
    keep(made, made.create())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_a_new_file(
    made: BlobFolders, desk: Desk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    keep(made, made.create())
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _failing(code))
        with pytest.raises(StorageFull):
            made.create()
    keep(made, made.create())
    made.close()
    assert desk.leased == []


def _failing(code: int) -> object:
    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


# -- files made ahead -----------------------------------------------------------------------------------------------------

AHEAD = 8
SOON_S = 30


class Shelf(deque[BlobWriter]):
    """The files that are ready; tells when the thread has brought some."""

    def __init__(self) -> None:
        super().__init__()
        self.was_filled = threading.Event()

    def extend(self, writers: Iterable[BlobWriter]) -> None:
        super().extend(writers)
        self.was_filled.set()


@pytest.fixture
def ahead(desk: Desk, blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobFolders]:
    """Folders that keep files ready, with one file given out and the others on the shelf."""
    monkeypatch.setattr(folders, "FOLDER_FILES", 1 + AHEAD + 2)
    (tmp_path / "storage").mkdir(exist_ok=True)
    made = BlobFolders(desk.client, blobs, "gateway-1", sync=True, ahead=AHEAD)
    shelf = made._ready = Shelf()
    keep(made, made.create())
    assert shelf.was_filled.wait(SOON_S)
    yield made
    made.close()
    assert made._thread is not None
    assert not made._thread.is_alive()


def test_files_made_ahead_lie_in_the_leased_folder_with_durable_names(ahead: BlobFolders, desk: Desk) -> None:
    assert len(ahead._ready) == AHEAD
    assert {writer.folder for writer in ahead._ready} == set(desk.leased)
    assert all(writer.is_name_durable and writer.path.exists() for writer in ahead._ready)


def test_a_file_made_ahead_is_used_once(ahead: BlobFolders) -> None:
    taken = [ahead.create() for _ in range(2)]
    assert len({writer.blob for writer in taken}) == 2
    assert not {writer.blob for writer in taken} & {writer.blob for writer in ahead._ready}
    for writer in taken:
        keep(ahead, writer)


def test_a_low_shelf_is_filled_again_from_the_next_folder_if_need_be(ahead: BlobFolders, desk: Desk) -> None:
    shelf = ahead._ready
    assert isinstance(shelf, Shelf)
    shelf.was_filled.clear()
    for _ in range(AHEAD // 2 + 1):
        keep(ahead, ahead.create())
    assert shelf.was_filled.wait(SOON_S)
    for _ in range(AHEAD):
        keep(ahead, ahead.create())
    ahead.close()
    assert desk.leased == []


def test_closing_removes_what_was_made_ahead_and_gives_the_folder_back(
    ahead: BlobFolders, desk: Desk, blobs: BlobStore
) -> None:
    (folder,) = desk.leased
    ahead.close()
    assert desk.leased == []
    assert [path.read_bytes() for path in blobs.folder(folder).iterdir()] == [b"x"], "all but the one that was kept"


def test_a_shelf_that_cannot_be_filled_spoils_no_upload(
    desk: Desk, blobs: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folders, "FOLDER_FILES", 100)
    tried = threading.Event()

    def fail(path: Path) -> None:
        tried.set()
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "storage").mkdir(exist_ok=True)
    made = BlobFolders(desk.client, blobs, "gateway-1", sync=True, ahead=AHEAD)
    monkeypatch.setattr(folders, "sync_path", fail)
    keep(made, made.create())
    assert tried.wait(SOON_S)
    keep(made, made.create())
    made.close()
    assert desk.leased == []
    assert len(list(blobs.folder(2).iterdir())) == 2
    assert "folders.cannot-prepare" in caplog.text


# -- one file -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up_under_a_file_is_storage_full(
    made: BlobFolders, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    writer = made.create()
    writer.write(b"begun")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _failing(code))
        with pytest.raises(StorageFull):
            writer.write(b"never")
    writer.discard()
    assert not writer.path.exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_turns_out_full_at_the_sync_is_storage_full(
    made: BlobFolders, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    writer = made.create()
    monkeypatch.setattr(os, "fsync", _failing(code))
    with pytest.raises(StorageFull):
        writer.commit(sync=True)
    writer.discard()


def test_a_disk_that_fails_otherwise_is_not_taken_for_full(made: BlobFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = made.create()
    monkeypatch.setattr(os, "fsync", _failing(errno.EIO))
    with pytest.raises(StorageFailed, match="Input/output"):
        writer.commit(sync=True)
    writer.discard()


def test_a_write_that_the_kernel_takes_in_parts_is_whole(made: BlobFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = made.create()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    writer.write(memoryview(b"0123456789"))
    writer.commit(sync=False)
    assert (writer.path.read_bytes(), writer.size_bytes) == (b"0123456789", 10)


@pytest.mark.parametrize("number", [1, 4_095, 4_096, (1 << 48) - 1])
def test_a_blobs_name_tells_its_folder_and_its_path(blobs: BlobStore, number: int) -> None:
    blob = make_blob_id(number, 4_095)
    assert folder_number(blob) == number
    assert blobs.path(blob).parent == blobs.folder(number)
    assert parse_blob_name(blobs.path(blob).name) == blob


def test_neighbouring_folders_lie_side_by_side_at_most_4096_of_them(blobs: BlobStore) -> None:
    paths = {blobs.folder(number) for number in range(4_096, 8_192)}
    assert len(paths) == 4_096
    assert len({path.parent for path in paths}) == 1
    assert blobs.folder(8_192).parent != blobs.folder(8_191).parent


@pytest.mark.parametrize(
    "name", ["", "x" * 36, "0" * 32, "00000000-0000-0000-0000-00000000000", "lost+found", "\u00e9" * 36]
)
def test_a_strangers_name_is_no_blobs(name: str) -> None:
    assert parse_blob_name(name) is None
