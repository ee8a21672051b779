"""What a start refuses: exit status 2, one line that says why, no traceback, nothing written, nothing left running."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import pytest

from store.boot import FORMAT, FORMAT_KEY
from store.environment import FILE_NAME
from store.projections import ALL_TABLES
from store.tables import META, key
from tests.fault.checks import check_bytes
from tests.fault.instances import Instance
from tests.fault.media import can_mount, tmpfs
from tests.fault.senders import StoreScu
from tests.fault.servers import ServerUnderTest, server_in
from tools.server.archive import open_archive

REFUSED = 2
INSTANCE = Instance(1, "REFUSED", 1, 1, 200)
SINGLE = ("--single-process",)
MODES = pytest.mark.parametrize(
    "arguments", [(), pytest.param(SINGLE, marks=pytest.mark.nightly)], ids=["processes", "single-process"]
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path / "server") as not_started:
        yield not_started


def refusal(server: ServerUnderTest, *arguments: str) -> str:
    """Start in vain and return the one line that says why; that folders are wider than they should be stands in the log."""
    server.launch(*arguments)
    assert server.wait() == REFUSED, server.log
    lines = [line for line in server.log.splitlines() if " store.privacy: " not in line]
    assert len(lines) == 1, server.log
    return lines[0]


def test_a_network_file_system(server: ServerUnderTest, tmp_path: Path) -> None:
    # A real one is not at hand: what the kernel tells of its mounts is replaced, which reaches a single process alone: the
    # children of a server take no modules from PYTHONPATH before their own.
    mounts = f"1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / {server.index.parent} rw - nfs4 nas:/archive rw\n"
    (tmp_path / "mountinfo").write_text(mounts)
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib\n"
        "read_text = pathlib.Path.read_text\n"
        "def replaced(path, *rest, **named):\n"
        f"    path = {str(tmp_path / 'mountinfo')!r} if str(path) == '/proc/self/mountinfo' else path\n"
        "    return read_text(pathlib.Path(path), *rest, **named)\n"
        "pathlib.Path.read_text = replaced\n"
    )
    server.environment["PYTHONPATH"] = str(tmp_path)
    assert "network file system" in refusal(server, "--single-process")
    assert not (server.index / FILE_NAME).exists()


@MODES
def test_a_read_only_medium(server: ServerUnderTest, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with read_only_folder(tmp_path / "medium") as folder:
        server.options["IndexDirectory"] = str(folder)
        assert "cannot be written" in refusal(server, *arguments)


@MODES
def test_a_read_only_storage_area(server: ServerUnderTest, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    with read_only_folder(tmp_path / "medium") as folder:
        server.options |= {"IndexDirectory": str(tmp_path / "index"), "StorageDirectory": str(folder)}
        assert "cannot be written" in refusal(server, *arguments)


@MODES
def test_a_folder_that_cannot_be_made(server: ServerUnderTest, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "file").write_bytes(b"")
    server.options["StorageDirectory"] = str(tmp_path / "file" / "storage")
    assert "storage" in refusal(server, *arguments)


def test_a_folder_that_another_server_uses(server: ServerUnderTest, tmp_path: Path) -> None:
    server.start(*SINGLE)
    with server_in(tmp_path / "second", StorageDirectory=str(server.storage)) as second:
        assert "another server is using" in refusal(second)
        assert "another server is using" in refusal(second, "--single-process")
    assert server.get("/statistics")["CountInstances"] == 0, "the first one is not disturbed"
    assert server.stop() == 0


def test_the_files_of_another_index(server: ServerUnderTest, tmp_path: Path) -> None:
    """Two indexes on one storage folder: a sweep of the one would remove the files of the other."""
    server.options["IndexDirectory"] = str(tmp_path / "index")
    server.start(*SINGLE)
    with StoreScu(server.dicom_port) as association:
        assert association.store(INSTANCE) == 0
    with server_in(tmp_path / "second", StorageDirectory=str(server.storage)) as second:
        second.options["IndexDirectory"] = str(tmp_path / "other index")
        assert "files of another index" in refusal(second)
        assert "files of another index" in refusal(second, "--single-process")
    check_bytes(server, [INSTANCE])
    assert server.stop() == 0


@MODES
def test_a_storage_area_that_is_not_mounted(
    server: ServerUnderTest, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    server.options["IndexDirectory"] = str(tmp_path / "index")
    server.start(*SINGLE)
    with StoreScu(server.dicom_port) as association:
        assert association.store(INSTANCE) == 0
    assert server.stop() == 0
    server.storage.rename(tmp_path / "elsewhere")
    assert "mounted" in refusal(server, *arguments)
    server.storage.rmdir()
    (tmp_path / "elsewhere").rename(server.storage)
    server.start(*arguments)
    check_bytes(server, [INSTANCE])


@MODES
def test_an_index_of_a_newer_release(server: ServerUnderTest, arguments: tuple[str, ...]) -> None:
    server.index.mkdir(parents=True)
    environment, _ = open_archive(server.index)
    environment.close()
    set_format(server.index, FORMAT + 1)
    before = (server.index / FILE_NAME).read_bytes()
    assert "newer release" in refusal(server, *arguments)
    assert (server.index / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("arguments", [(), SINGLE], ids=["processes", "single-process"])
def test_a_file_that_is_no_index(server: ServerUnderTest, arguments: tuple[str, ...]) -> None:
    server.index.mkdir(parents=True)
    (server.index / FILE_NAME).write_bytes(b"not an LMDB environment" * 1000)
    assert FILE_NAME in refusal(server, *arguments)


@MODES
@pytest.mark.parametrize("option", ["HttpPort", "DicomPort"])
def test_a_port_that_is_taken(server: ServerUnderTest, option: str, arguments: tuple[str, ...]) -> None:
    address = "127.0.0.1" if option == "HttpPort" else ""
    with socket.create_server((address, 0)) as taken:
        port = taken.getsockname()[1]
        server.options[option] = port
        line = refusal(server, *arguments)
    assert f"port {port}" in line
    assert "in use" in line


@MODES
def test_a_bad_configuration(server: ServerUnderTest, arguments: tuple[str, ...]) -> None:
    server.options["StableAge"] = "soon"
    assert "StableAge" in refusal(server, *arguments)


@contextmanager
def read_only_folder(path: Path) -> Iterator[Path]:
    """A folder that not even root can write to; where there is no mounting, one that its user cannot."""
    path.mkdir()
    if can_mount():
        with tmpfs(path, "size=1m"):
            subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
            yield path
    elif os.geteuid() == 0:
        pytest.skip("root writes everywhere, and this system does not let it mount")
    else:
        path.chmod(0o500)
        yield path
        path.chmod(0o700)


def set_format(folder: Path, number: int) -> None:
    with (
        lmdb.open(str(folder / FILE_NAME), subdir=False, max_dbs=len(ALL_TABLES) + 8, map_size=1 << 40) as environment,
        environment.begin(write=True) as txn,
    ):
        txn.put(FORMAT_KEY, key(number), db=environment.open_db(META, txn))
