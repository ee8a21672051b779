"""Healing survives being killed: processes die while damaged files are being replaced, and whatever was acknowledged is whole.

Files are damaged while the server is stopped in order, so that each belongs to an instance that was acknowledged long ago. Then
senders send them again, and are killed off during it. `SINOGRAM_HEAL_KILLS` is how often, `SINOGRAM_KILL_SEED` repeats
a run's random choices.
"""

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from events.identifiers import Level, format_blob_id, format_resource_id
from store.environment import Environment
from store.records import Instance as Record
from store.views.snapshot import Snapshot
from store.views.views import Views
from tests.fault.checks import check_bytes, check_log, files_of
from tests.fault.instances import Instance, Supply
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import CORE, SUPERVISOR, TWO_OF_EACH, ServerUnderTest, kill, server_in, wait_for
from tools import fsck

EVERYTHING = "everything"
TARGETS = (EVERYTHING, "gateway-1", CORE, SUPERVISOR, "gateway-2")
KILLS = int(os.environ.get("SINOGRAM_HEAL_KILLS", "1"))
INSTANCES = 120
DAMAGED = 60  # in each round
SENDERS = 4


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes((last[0] ^ 1,)))


SPOILS: tuple[Callable[[Path], object], ...] = (
    flip,
    Path.unlink,
    lambda path: os.truncate(path, 0),
    lambda path: os.truncate(path, path.stat().st_size // 2),
    lambda path: os.truncate(path, path.stat().st_size + 7),
)


class Healers:
    """Senders of what is damaged, each instance by DICOM or by REST, until all are acknowledged or their server is gone."""

    def __init__(self, server: ServerUnderTest, instances: list[Instance]) -> None:
        self._server = server
        self._left = list(instances)
        self._lock = threading.Condition()
        self.acknowledged: list[Instance] = []
        self.refusals: list[str] = []
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        with self._lock:
            assert self._lock.wait_for(lambda: len(self.acknowledged) >= count, 60), self.refusals

    def _send(self, number: int) -> None:
        while self._left:
            try:
                self._send_on_one_connection(by_rest=number % 2 == 0)
            except OSError:
                return  # what was under way is sent again by the next ones

    def _send_on_one_connection(self, *, by_rest: bool) -> None:
        if by_rest:
            with RestSender(self._server) as sender:
                self._go_on(lambda instance: sender.store(instance) in {(200, "Success"), (200, "AlreadyStored")})
        else:
            with StoreScu(self._server.dicom_port) as association:
                self._go_on(lambda instance: association.store(instance) == 0)

    def _go_on(self, store: Callable[[Instance], bool]) -> None:
        while True:
            with self._lock:
                if not self._left:
                    return
                instance = self._left.pop()
            is_stored = store(instance)
            with self._lock:
                if is_stored:
                    self.acknowledged.append(instance)
                else:
                    self.refusals.append(instance.id)
                self._lock.notify_all()


def test_what_was_healed_and_what_was_not_damaged_is_whole_after_every_kill(tmp_path: Path) -> None:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    chosen, supply = random.Random(seed), Supply(seed)
    stored = [supply.take("HEAL") for _ in range(INSTANCES)]
    with server_in(tmp_path, **TWO_OF_EACH) as server:
        server.start()
        with Healers(server, stored):
            pass
        for number in range(KILLS):
            target = TARGETS[number % len(TARGETS)]
            print(f"round {number}: {target}")
            assert server.stop() == 0
            damaged = chosen.sample(stored, DAMAGED)
            _spoil(server, damaged, chosen)
            server.start()
            with Healers(server, damaged) as healers:
                healers.wait_for(chosen.randint(1, DAMAGED // 2))
                _kill(server, target)
            _check_after_the_kill(server, stored, damaged, healers)
        assert server.stop() == 0
        assert fsck.fsck(server.index, server.storage) == fsck.WHOLE
        assert "Traceback" not in (server.folder / "server.log").read_text()


def _spoil(server: ServerUnderTest, damaged: list[Instance], chosen: random.Random) -> None:
    names = _files_by_instance(server.index)
    paths = {path.name: path for path in files_of(server)}
    for instance in damaged:
        chosen.choice(SPOILS)(paths[names[instance.id]])


def _files_by_instance(index: Path) -> dict[str, str]:
    with Environment(index, writable=False) as env, Views(env).snapshot() as snapshot:
        return {format_resource_id(each.id): format_blob_id(each.blob) for each in _instances(snapshot)}


def _instances(snapshot: Snapshot) -> list[Record]:
    return [record for record in snapshot.list(Level.INSTANCE) if isinstance(record, Record)]


def _kill(server: ServerUnderTest, target: str) -> None:
    if target == EVERYTHING:
        server.kill_all()
    else:
        kill(server.named()[target])


def _check_after_the_kill(
    server: ServerUnderTest, stored: list[Instance], damaged: list[Instance], healers: Healers
) -> None:
    if server.process is not None and server.process.poll() is None and not _serves(server):
        server.wait()
    if server.process is None or server.process.poll() is not None:
        server.start()
    assert set(server.get("/instances")) == {each.id for each in stored}, "no kill may cost an instance"
    whole = [each for each in stored if each not in damaged] + healers.acknowledged
    check_bytes(server, whole)
    left = [each for each in damaged if each not in healers.acknowledged]
    with Healers(server, left) as again:
        pass
    assert len(again.acknowledged) == len(left), again.refusals
    check_bytes(server, stored)
    assert server.get("/storage/status")["CountDamaged"] == 0
    wait_for(lambda: len(_stored_files(server)) == len(stored), "replaced files to be removed")
    check_log(server)


def _serves(server: ServerUnderTest) -> bool:
    """Tell whether the supervisor goes on, as it does after the death of a gateway."""
    names = server.named()
    return CORE in names and SUPERVISOR in names


def _stored_files(server: ServerUnderTest) -> list[Path]:
    found = []
    for path in files_of(server):
        try:
            if path.stat().st_size:
                found.append(path)
        except FileNotFoundError:
            continue
    return found
