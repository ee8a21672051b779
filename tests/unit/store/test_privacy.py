"""What holds patients is the user's alone: whatever the umask is, and whatever the modes were before."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.services.remote.query_store import QueryStore
from store.blobs.store import BlobStore
from store.blobs.writer import BlobWriter, make_blob_id
from store.environment import ensure_reserve
from store.privacy import make_folder, mend
from tests.unit.actors.test_query_store import QUERY
from tools.server.core import Core


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder.parent)): stat.S_IMODE(path.lstat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }


def check(folder: Path) -> None:
    open_to_others = {name: oct(mode) for name, mode in modes(folder).items() if mode & 0o077}
    assert not open_to_others


def fill(core: Core) -> None:
    """Have everything made that an archive can hold."""
    blob = make_blob_id(core.client.open_folder("gateway-1"), 0)
    core.blobs.make_folder(1)
    BlobWriter(core.blobs.path(blob), blob).commit(sync=True)
    core.blobs.lay_aside(blob)
    ensure_reserve(core.settings.index_directory)
    core.serve_bridge()
    with QueryStore(core.settings.index_directory, 10).create(QUERY) as writer:
        writer.keep()


@pytest.mark.usefixtures("umask")
def test_everything_that_a_server_makes_is_private(archive_factory: Callable[..., Core]) -> None:
    core = archive_factory()
    fill(core)
    for folder in (core.settings.index_directory, core.settings.storage_directory):
        check(folder)
    assert {"index/reserve", "index/bridge.sock", "index/sinogram.mdb", "index/lock"} <= modes(
        core.settings.index_directory
    ).keys()


@pytest.mark.usefixtures("umask")
def test_what_was_wider_is_mended_by_the_next_start(archive_factory: Callable[..., Core]) -> None:
    first = archive_factory()
    fill(first)
    first.stop()
    folders = (first.settings.index_directory, first.settings.storage_directory)
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir() or path.is_file():
                path.chmod(0o777 if path.is_dir() else 0o666)
    second = archive_factory()
    for folder in folders:
        assert not stat.S_IMODE(folder.stat().st_mode) & 0o077
        for name in ("sinogram.mdb", "sinogram.mdb-lock", "lock", "reserve", "blobs", "queries"):
            path = folder / name
            assert not path.exists() or not stat.S_IMODE(path.stat().st_mode) & 0o077, name
    assert second.is_alive()


def test_a_folder_that_holds_other_things_is_warned_of_and_left_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").touch(0o644)
    (tmp_path / "sinogram.mdb").touch(0o644)
    mend(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "thesis.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "sinogram.mdb").stat().st_mode) == 0o600
    assert "privacy.shared-folder" in caplog.text


def test_a_sticky_folder_is_never_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    mend(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    target = tmp_path / "elsewhere"
    target.touch(0o644)
    (tmp_path / "mine" / "reserve").symlink_to(target)
    mend(tmp_path / "mine")
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


def test_a_mode_that_cannot_be_changed_is_told_and_no_reason_not_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "lock").touch(0o644)

    def fail(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", fail)
    mend(tmp_path)
    assert "privacy.open-to-others" in caplog.text


@pytest.mark.usefixtures("umask")
def test_a_folder_is_made_private_and_what_is_in_its_place_is_told(tmp_path: Path) -> None:
    make_folder(tmp_path / "above" / "made")
    assert stat.S_IMODE((tmp_path / "above" / "made").stat().st_mode) == 0o700
    make_folder(tmp_path / "above" / "made")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="folder"):
        make_folder(tmp_path / "file")
    store = BlobStore(tmp_path / "storage")
    store.mark(b"mine")
    check(tmp_path / "storage" / "blobs")
