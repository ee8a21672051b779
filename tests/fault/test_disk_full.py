"""The disk fills up and empties again: senders are told, nothing acknowledged is lost, reading and deleting go on."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.environment import INDEX_MARGIN_BYTES, RESERVE_BYTES
from tests.fault.checks import check_archive, check_bytes, check_log, files_of, missing_files
from tests.fault.instances import Instance, orthanc_id
from tests.fault.media import can_mount, fill, tmpfs
from tests.fault.senders import RestSender, StoreScu, StowSender
from tests.fault.servers import ServerUnderTest, server_in, wait_for

pytestmark = pytest.mark.skipif(not can_mount(), reason="needs root and leave to mount a tmpfs")

MIB = 1 << 20
OUT_OF_RESOURCES = 0xA700
SMALL, LARGE = 200, 3_000_000  # parsed in memory; written to disk as it comes
ROOMY = INDEX_MARGIN_BYTES + RESERVE_BYTES + 40 * MIB
FULL_STORAGE = {  # Orthanc's, with our method and path
    "HttpError": "Insufficient Storage",
    "HttpStatus": 507,
    "Message": "The file storage is full",
    "Method": "POST",
    "OrthancError": "The file storage is full",
    "OrthancStatus": 19,
    "Uri": "/instances",
}


class Sender:
    """Sends new instances and keeps those that were acknowledged."""

    def __init__(self, server: ServerUnderTest) -> None:
        self._server = server
        self._number = 0
        self.kept: list[Instance] = []

    def new(self, size: int) -> Instance:
        self._number += 1
        return Instance(self._number, "FULL", 1, self._number // 10, size)

    def by_dicom(self, size: int) -> int:
        instance = self.new(size)
        with StoreScu(self._server.dicom_port) as association:
            status = association.store(instance)
        return self._note(instance, status, 0)

    def by_rest(self, size: int) -> int:
        instance = self.new(size)
        with RestSender(self._server) as sender:
            status, _ = sender.store(instance)
        return self._note(instance, status, 200)

    def _note(self, instance: Instance, status: int, success: int) -> int:
        if status == success:
            self.kept.append(instance)
        return status


@contextmanager
def disk(path: Path, size_bytes: int) -> Iterator[Path]:
    with tmpfs(path, f"size={size_bytes}"):
        yield path


@contextmanager
def running(folder: Path, index: Path, storage: Path) -> Iterator[tuple[ServerUnderTest, Sender]]:
    with server_in(folder, IndexDirectory=str(index), StorageDirectory=str(storage)) as server:
        server.start()
        yield server, Sender(server)


def check_refused(server: ServerUnderTest, sender: Sender) -> None:
    """Every way in tells the sender that there is no room, small instance or large."""
    for size in (SMALL, LARGE):
        assert sender.by_dicom(size) == OUT_OF_RESOURCES
        assert sender.by_rest(size) == http.client.INSUFFICIENT_STORAGE
    with StowSender(server) as stow:
        assert stow.store([sender.new(SMALL), sender.new(LARGE)]) == (http.client.INSUFFICIENT_STORAGE, set())
    answer = server.request("POST", "/instances", sender.new(SMALL).file())
    body = answer.json
    body.pop("Details", None)
    assert (answer.status, body) == (507, FULL_STORAGE)


def check_readable(server: ServerUnderTest, sender: Sender) -> None:
    """All that was acknowledged is there, as it was sent, and nothing else."""
    assert set(server.get("/instances")) == {instance.id for instance in sender.kept}
    check_bytes(server, sender.kept)
    assert len(server.get("/instances?expand")) == len(sender.kept)
    assert not missing_files(server)


def check_stores(sender: Sender) -> None:
    for size in (SMALL, LARGE):
        assert sender.by_dicom(size) == 0
        assert sender.by_rest(size) == http.client.OK


def check_deletes(server: ServerUnderTest, sender: Sender, count: int) -> None:
    """Deleting the oldest instances works, and their files go."""
    doomed, sender.kept = sender.kept[:count], sender.kept[count:]
    for instance in doomed:
        assert server.request("DELETE", f"/instances/{instance.id}").status == http.client.OK
    check_readable(server, sender)
    wait_for(lambda: _file_count(server) == len(sender.kept), "the files of deleted instances to go")


def _file_count(server: ServerUnderTest) -> int:
    return sum(_size(path) > 0 for path in files_of(server))


def _size(path: Path) -> int:
    """Return the size of a file, 0 if it was removed since it was listed."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_one_disk_for_everything(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", ROOMY) as full, running(tmp_path, full, full) as (server, sender):
        check_stores(sender)
        while sender.by_dicom(LARGE) == 0:
            assert len(sender.kept) <= ROOMY // LARGE
        assert sender.by_dicom(LARGE) == OUT_OF_RESOURCES
        assert sender.by_rest(LARGE) == http.client.INSUFFICIENT_STORAGE
        check_readable(server, sender)

        filler = fill(full)  # to the last byte, by somebody else
        check_refused(server, sender)
        check_deletes(server, sender, 3)
        fill(full)
        check_refused(server, sender)

        filler.unlink()
        check_deletes(server, sender, len(sender.kept) - 3)
        check_stores(sender)
        check_readable(server, sender)
        check_archive(server)
        assert server.stop() == 0


def test_a_start_on_a_full_disk(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", ROOMY) as full, running(tmp_path, full, full) as (server, sender):
        check_stores(sender)
        filler = fill(full)
        assert server.stop() == 0
        for is_after_a_crash in (False, True):
            if is_after_a_crash:
                server.kill_all()
            fill(full)
            server.start()
            assert "full disk" in server.log
            check_refused(server, sender)
            check_readable(server, sender)
        check_deletes(server, sender, 2)
        filler.unlink()
        check_stores(sender)
        check_readable(server, sender)
        check_archive(server)
        assert server.stop() == 0


def test_a_large_deletion_on_a_full_disk(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", ROOMY) as full, running(tmp_path, full, full) as (server, sender):
        for _ in range(600):  # more rows than one step of a purge takes
            sender.kept.append(sender.new(SMALL))
        with StoreScu(server.dicom_port) as association:
            assert {association.store(instance) for instance in sender.kept} == {0}
        filler = fill(full)
        assert server.request("DELETE", f"/patients/{orthanc_id('FULL')}").status == http.client.OK
        sender.kept.clear()
        check_readable(server, sender)
        wait_for(lambda: _file_count(server) == 0, "the files to go")
        filler.unlink()
        check_stores(sender)
        check_archive(server)
        assert server.stop() == 0


def test_a_disk_for_the_files_alone(tmp_path: Path) -> None:
    index = tmp_path / "index"
    with disk(tmp_path / "disk", 24 * MIB) as full, running(tmp_path, index, full) as (server, sender):
        while sender.by_dicom(LARGE) == 0:
            assert len(sender.kept) <= 24 * MIB // LARGE
        filler = fill(full)
        check_refused(server, sender)
        check_deletes(server, sender, 1)
        fill(full)
        assert server.stop() == 0
        server.start()  # no room even for a folder
        check_refused(server, sender)
        check_readable(server, sender)

        filler.unlink()
        check_deletes(server, sender, 3)
        check_stores(sender)
        check_archive(server)
        assert server.stop() == 0


def test_a_disk_for_the_index_alone(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with disk(tmp_path / "disk", ROOMY) as full, running(tmp_path, full, storage) as (server, sender):
        check_stores(sender)
        filler = fill(full, left_bytes=INDEX_MARGIN_BYTES - MIB)
        check_refused(server, sender)
        assert _file_count(server) == len(sender.kept), "what was refused leaves no file"
        fill(full)
        check_refused(server, sender)
        check_deletes(server, sender, 1)
        filler.unlink()
        check_stores(sender)
        check_archive(server)
        assert server.stop() == 0
        check_log(server)
