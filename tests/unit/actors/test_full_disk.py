"""A disk that is really full: a small one is mounted, filled to the last byte, and made room on again."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.core.index.decisions import resources as decide
from events.errors import StorageFull
from events.identifiers import Level
from store import boot
from store.environment import RESERVE_NAME, Environment
from store.tables import BLOBS
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, store_command
from tools.core_settings import CoreSettings
from tools.server.archive import open_archive
from tools.server.core import Core

DISK_BYTES = 100 << 20
SERIES = 6


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Take all room there is, while others may be taking it too."""
    with (disk / "ballast").open("ab", buffering=0) as file:
        for chunk in (bytes(1 << 20), bytes(4_096)):
            with contextlib.suppress(OSError):
                while True:
                    file.write(chunk)


def make_room(disk: Path) -> None:
    (disk / "ballast").unlink()


def counts(core: Core) -> tuple[int, int]:
    """Return instances and rows that are left of them."""
    with core.views.snapshot() as snapshot:
        return snapshot.statistics().instances, len(list(snapshot.keys(BLOBS, b"")))


def test_a_full_disk_takes_nothing_lets_delete_and_recovers(
    disk: Path, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "PURGE_STEP_INSTANCES", 10)
    settings = CoreSettings(index_directory=disk / "index", storage_directory=tmp_path / "storage")
    core = Core(settings, clock=clock)
    folder = core.client.open_folder("gateway-1")
    for number in range(20 * SERIES):
        command = store_command(series=f"R{number % SERIES}", instance=str(number), folder=folder)
        core.client.store_instance(command)
    fill(disk)
    with pytest.raises(StorageFull):
        core.client.store_instance(store_command("Q", folder=folder))
    core.client.delete(Level.SERIES, chain("P", "S", "R0"))
    assert not (disk / "index" / RESERVE_NAME).exists(), "it was needed"
    assert counts(core)[0] == 20 * (SERIES - 1)

    fill(disk)
    refused = 0
    for number in range(1, SERIES):
        try:
            core.client.delete(Level.SERIES, chain("P", "S", f"R{number}"))
        except StorageFull:
            refused += 1
    assert counts(core)[0] == 20 * refused, "each is deleted or not, whatever the disk had room for"
    core.stop()  # it cannot even note that it stopped cleanly

    core = Core(settings, clock=clock)
    assert counts(core)[0] == 20 * refused
    make_room(disk)
    folder = core.client.open_folder("gateway-1")
    assert core.client.store_instance(store_command("Q", folder=folder)) == "Success"
    if refused:  # else the patient went with its last series
        core.client.delete(Level.PATIENT, chain("P"))
    for _ in range(30):  # each waits its turn behind the steps of the purge
        core.client.clear_exports()
    assert counts(core) == (1, 1)
    core.stop()
    with Environment(disk / "index", writable=True) as env:
        boot.verify_tail(env)


def test_readers_find_their_slots_on_a_full_disk(disk: Path, clock: Clock) -> None:
    """LMDB's lock file is mapped and sparse: where a page of it had no room, the first reader in it died of SIGBUS."""
    (disk / "index").mkdir()
    env, _ = open_archive(disk / "index")
    IndexStage(env, clock)
    fill(disk)
    readers = [env.begin() for _ in range(500)]
    for reader in readers:
        reader.abort()
    env.close()
