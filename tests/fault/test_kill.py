"""Nothing acknowledged is lost: processes are killed at random moments while instances come in, round after round.

All rounds work on one archive. After each, everything that was ever acknowledged must be there as it was sent, and
log, read models, counters and files must agree. `SINOGRAM_KILL_ROUNDS` is how many there are, `SINOGRAM_KILL_SEED` repeats a
run's random choices.
"""

import io
import os
import random
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fault.checks import check_archive, check_bytes
from tests.fault.instances import Instance, Supply, orthanc_id
from tests.fault.senders import RestSender, StoreScu, StowSender
from tests.fault.servers import CORE, SUPERVISOR, TWO_OF_EACH, ServerUnderTest, kill, server_in, wait_for

EVERYTHING = "everything"
TARGETS = (EVERYTHING, CORE, "gateway-1", "gateway-2", SUPERVISOR)
ROUNDS = int(os.environ.get("SINOGRAM_KILL_ROUNDS", "3"))
ASSOCIATIONS = 4
REST_CLIENTS = 2
STOW_PARTS = 5  # of a request
CORE_DIED = 70
RETRY_S = 0.02  # between two attempts of a sender whose server is gone


@dataclass(slots=True)
class Ledger:
    """What the clients know. Thread-safe."""

    sent: dict[str, Instance] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    by_rest: set[str] = field(default_factory=set)
    doomed: set[str] = field(default_factory=set)  # deletion was asked for
    deleted: set[str] = field(default_factory=set)  # deletion was acknowledged
    refusals: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def sending(self, instance: Instance, *, by_rest: bool = False) -> None:
        with self.changed:
            self.sent[instance.id] = instance
            if by_rest:
                self.by_rest.add(instance.id)

    def answered(self, instance: Instance, answer: str, *, is_success: bool) -> None:
        with self.changed:
            if is_success:
                self.acknowledged.add(instance.id)
            else:
                self.refusals.append(answer)
            self.changed.notify_all()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more instances are acknowledged."""
        with self.changed:
            wanted = len(self.acknowledged) + count
            assert self.changed.wait_for(lambda: len(self.acknowledged) >= wanted, 30), "the server does not answer"

    def doom(self, chosen: random.Random) -> str | None:
        """Choose an instance to delete."""
        with self.changed:
            candidates = sorted(self.acknowledged - self.doomed)
            if not candidates:
                return None
            self.doomed.add(instance := chosen.choice(candidates))
            return instance


def test_killed_processes_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    chosen = random.Random(seed)
    ledger, supply = Ledger(), Supply(seed)
    order = [TARGETS[number % len(TARGETS)] for number in range(ROUNDS)]
    chosen.shuffle(order)
    with server_in(tmp_path, **TWO_OF_EACH) as server:
        for number, target in enumerate(order):
            print(f"round {number}: {target}")
            server.options["StorageCompression"] = number % 2 == 0  # from its next start on
            if server.process is None or server.process.poll() is not None:
                server.start()
            before = set(ledger.sent)
            _run_round(server, target, chosen, ledger, supply, f"KILL{number}")
            if server.process is not None and server.process.poll() is not None:
                server.start()
            check_against(server, ledger, set(ledger.sent) - before)
            _send_again(server, chosen, ledger, set(ledger.sent) - before)
        check_bytes(server, those_present(ledger, check_archive(server)), by_rest=ledger.by_rest)
        assert server.stop() == 0
        assert "Traceback" not in (server.folder / "server.log").read_text()
    print(f"{len(ledger.acknowledged)} acknowledged, {len(ledger.deleted)} deleted, {len(ledger.refusals)} refused")


def test_a_deletion_that_is_cut_off_is_finished_by_the_next_start(tmp_path: Path) -> None:
    kept = Instance(0, "KEPT", 1, 1, 200)
    doomed = [Instance(number, "DOOMED", 2, 2 + number % 3, 200) for number in range(1, 1000)]  # four steps of a purge
    with server_in(tmp_path) as server:
        server.start()
        assert server.request("POST", "/instances", _zip([kept, *doomed])).status == 200
        assert server.request("DELETE", f"/patients/{orthanc_id('DOOMED')}").status == 200
        _kill(server, CORE)
        assert server.wait() == CORE_DIED
        server.start()
        assert check_archive(server) == {kept.id}
        check_bytes(server, [kept])
        assert server.request("POST", "/instances", _zip(doomed[:20])).status == 200
        assert len(check_archive(server)) == 21, "what was deleted can be stored again"
        assert server.stop() == 0


def _zip(instances: list[Instance]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for instance in instances:
            archive.writestr(str(instance.number), instance.file())
    return packed.getvalue()


def _run_round(
    server: ServerUnderTest, target: str, chosen: random.Random, ledger: Ledger, supply: Supply, patient: str
) -> None:
    """Kill while clients send, and return when the clients have stopped."""
    refused_before = len(ledger.refusals)
    with clients(server, ledger, supply, patient, random.Random(chosen.random())):
        ledger.wait_for_more(chosen.randint(1, 150))
        threading.Event().wait(chosen.uniform(0, 0.05))  # not in step with an answer
        _kill(server, target)
        if target.startswith("gateway"):
            ledger.wait_for_more(30)  # the other one serves, and the new one
            wait_for(lambda: target in server.named(), f"{target} to be started again")
    if target.startswith("gateway"):
        assert ledger.refusals[refused_before:] == [], "a gateway's death made another refuse"
    else:
        expected = {CORE: CORE_DIED}.get(target, -9)
        assert server.wait() == expected, server.log


def _kill(server: ServerUnderTest, target: str) -> None:
    if target == EVERYTHING:
        server.kill_all()
    else:
        kill(server.named()[target])


@contextmanager
def clients(
    server: ServerUnderTest, ledger: Ledger, supply: Supply, patient: str, chosen: random.Random
) -> Iterator[None]:
    """Send and delete on several threads until the block is left."""
    stop = threading.Event()
    work: list[Callable[[], None]] = [
        *[lambda: _send_by_dicom(server, ledger, supply, patient, stop)] * ASSOCIATIONS,
        *[lambda: _send_by_rest(server, ledger, supply, patient, stop)] * REST_CLIENTS,
        lambda: _send_by_stow(server, ledger, supply, patient, stop),
        lambda: _delete(server, ledger, chosen, stop),
    ]
    threads = [threading.Thread(target=_until_stopped, args=(each, stop)) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _until_stopped(work: Callable[[], None], stop: threading.Event) -> None:
    """Go on after every loss of the connection."""
    while not stop.is_set():
        try:
            work()
        except OSError:
            stop.wait(RETRY_S)


def _send_by_dicom(
    server: ServerUnderTest, ledger: Ledger, supply: Supply, patient: str, stop: threading.Event
) -> None:
    with StoreScu(server.dicom_port) as association:
        while not stop.is_set():
            instance = supply.take(patient)
            ledger.sending(instance)
            status = association.store(instance)
            ledger.answered(instance, f"0x{status:04x}", is_success=status == 0)


def _send_by_rest(server: ServerUnderTest, ledger: Ledger, supply: Supply, patient: str, stop: threading.Event) -> None:
    with RestSender(server) as sender:
        while not stop.is_set():
            instance = supply.take(patient)
            ledger.sending(instance, by_rest=True)
            status, word = sender.store(instance)
            ledger.answered(instance, f"{status} {word}", is_success=word == "Success")


def _send_by_stow(server: ServerUnderTest, ledger: Ledger, supply: Supply, patient: str, stop: threading.Event) -> None:
    with StowSender(server) as sender:
        while not stop.is_set():
            instances = [supply.take(patient) for _ in range(STOW_PARTS)]
            for instance in instances:
                ledger.sending(instance, by_rest=True)
            status, stored = sender.store(instances)
            for instance in instances:
                ledger.answered(instance, f"{status}", is_success=instance.sop_uid in stored)


def _delete(server: ServerUnderTest, ledger: Ledger, chosen: random.Random, stop: threading.Event) -> None:
    while not stop.wait(RETRY_S):
        instance = ledger.doom(chosen)
        if instance is not None and server.request("DELETE", f"/instances/{instance}").status == 200:
            ledger.deleted.add(instance)


def check_against(server: ServerUnderTest, ledger: Ledger, fresh: set[str]) -> None:
    """Compare the archive with what the clients know; the bytes of what is `fresh`."""
    present = check_archive(server)
    lost = ledger.acknowledged - ledger.doomed - present
    assert not lost, f"acknowledged and gone: {[ledger.sent[each] for each in lost]}"
    assert not ledger.deleted & present, "deleted and there again"
    assert present <= set(ledger.sent)
    check_bytes(server, those_present(ledger, present & fresh), by_rest=ledger.by_rest)


def those_present(ledger: Ledger, present: set[str]) -> list[Instance]:
    return [ledger.sent[each] for each in sorted(present)]


def _send_again(server: ServerUnderTest, chosen: random.Random, ledger: Ledger, fresh: set[str]) -> None:
    """Have senders repeat what they had no answer to, and some of what they had."""
    unanswered = sorted(fresh - ledger.acknowledged)
    answered = sorted(fresh & ledger.acknowledged - ledger.doomed)
    with StoreScu(server.dicom_port) as association, RestSender(server) as sender:
        for name in chosen.sample(answered, min(3, len(answered))):
            assert association.store(ledger.sent[name]) == 0
            assert sender.store(ledger.sent[name]) == (200, "AlreadyStored")
        for name in unanswered:
            instance = ledger.sent[name]
            if name in ledger.by_rest:
                status, word = sender.store(instance)
                assert status == 200
                assert word in {"Success", "AlreadyStored"}
            else:
                assert association.store(instance) == 0
            ledger.answered(instance, "", is_success=True)
