"""Nothing acknowledged is lost but what is recycled: kills while instances, metadata and attachments come in, with room for five patients.

All rounds work on one archive. What is gone must have been recycled, by an event that stands in the log behind what was acknowledged;
what is there has its bytes, its metadata and its attachments. `SINOGRAM_RECYCLING_KILLS` is how many rounds there are, `SINOGRAM_KILL_SEED`
repeats a run's random choices.
"""

import hashlib
import http.client
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from events.attachments import AttachmentSet
from events.identifiers import Level, format_resource_id
from events.metadata import MetadataSet
from events.resources import InstanceStored, PatientCreated, ResourceDeleted
from store.views.feed import get_events
from store.views.views import Views
from tests.fault.checks import check_archive, check_bytes
from tests.fault.instances import Instance, Supply, orthanc_id
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import (
    CORE,
    SUPERVISOR,
    TWO_OF_EACH,
    Answer,
    ServerUnderTest,
    exchange,
    kill,
    server_in,
    wait_for,
)
from tools import replay

EVERYTHING = "everything"
TARGETS = (EVERYTHING, CORE, "gateway-1", "gateway-2", SUPERVISOR)
ROUNDS = int(os.environ.get("SINOGRAM_RECYCLING_KILLS", "1"))
ASSOCIATIONS = 4
REST_CLIENTS = 2
LIMIT = 5  # patients
PATIENT_INSTANCES = 12  # sent before a client goes on to its next patient
METADATA, ATTACHMENT = 1024, 1025
REASON = "MaximumPatientCount"
_LEVELS = {Level.PATIENT: "patients", Level.INSTANCE: "instances"}
RETRY_S = 0.02  # between two attempts of a client whose server is gone


@dataclass(slots=True)
class Beside:
    """A metadata or an attachment as its only writer knows it."""

    patient: str
    acknowledged: bytes | None = None
    tried: set[bytes] = field(default_factory=set)  # since then: without an answer they may be there or not


@dataclass(slots=True)
class Ledger:
    """What the clients know. Thread-safe."""

    sent: dict[str, Instance] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    by_rest: set[str] = field(default_factory=set)
    beside: dict[str, Beside] = field(default_factory=dict)  # by path
    recent: deque[Instance] = field(default_factory=lambda: deque(maxlen=40))  # of those that are acknowledged
    refusals: list[str] = field(default_factory=list)
    most_patients: int = 0  # that were ever seen
    writes: int = 0  # metadata and attachments that were acknowledged
    changed: threading.Condition = field(default_factory=threading.Condition)

    def sending(self, instance: Instance, *, by_rest: bool) -> None:
        with self.changed:
            self.sent[instance.id] = instance
            if by_rest:
                self.by_rest.add(instance.id)

    def answered(self, instance: Instance, answer: str, *, is_success: bool) -> None:
        with self.changed:
            if is_success:
                self.acknowledged.add(instance.id)
                self.recent.append(instance)
            else:
                self.refusals.append(answer)
            self.changed.notify_all()

    def wait_for_more(self, instances: int, writes: int) -> None:
        """Wait until so many more instances, metadata and attachments are acknowledged."""
        with self.changed:
            wanted = len(self.acknowledged) + instances, self.writes + writes
            assert self.changed.wait_for(
                lambda: len(self.acknowledged) >= wanted[0] and self.writes >= wanted[1], 90
            ), "the server does not answer"


@dataclass(slots=True)
class Recorded:
    """What the log tells."""

    stored: dict[str, int] = field(default_factory=dict)  # instance -> its last event
    recycled: dict[str, int] = field(default_factory=dict)  # patient -> its last event
    written: dict[str, dict[bytes, int]] = field(default_factory=dict)  # path -> value -> event
    most_patients: int = 0
    other_deletions: list[dict[str, Any]] = field(default_factory=list)


def test_killed_processes_lose_nothing_but_what_is_recycled(tmp_path: Path) -> None:
    seed = int(os.environ.get("SINOGRAM_KILL_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SINOGRAM_KILL_SEED={seed}")
    chosen = random.Random(seed)
    ledger, supply = Ledger(), Supply(seed)
    order = [TARGETS[number % len(TARGETS)] for number in range(ROUNDS)]
    chosen.shuffle(order)
    with server_in(tmp_path, MaximumPatientCount=LIMIT, **TWO_OF_EACH) as server:
        for number, target in enumerate(order):
            print(f"round {number}: {target}")
            if server.process is None or server.process.poll() is not None:
                server.start()
            _run_round(server, target, chosen, ledger, supply, number)
            if server.process is not None and server.process.poll() is not None:
                server.start()
            check_against(server, ledger)
        assert server.stop() == 0
        assert "Traceback" not in (server.folder / "server.log").read_text()
    print(f"{len(ledger.acknowledged)} instances, {ledger.writes} metadata and attachments acknowledged")


def _run_round(
    server: ServerUnderTest, target: str, chosen: random.Random, ledger: Ledger, supply: Supply, number: int
) -> None:
    """Kill while clients write, and return when the clients have stopped."""
    refused_before = len(ledger.refusals)
    with clients(server, ledger, supply, number, random.Random(chosen.random())):
        ledger.wait_for_more(chosen.randint(60, 200), chosen.randint(1, 40))
        threading.Event().wait(chosen.uniform(0, 0.05))  # not in step with an answer
        if target == EVERYTHING:
            server.kill_all()
        else:
            kill(server.named()[target])
        if target.startswith("gateway"):
            ledger.wait_for_more(60, 10)  # the other one serves, and the new one
            wait_for(lambda: target in server.named(), f"{target} to be started again")
    if target.startswith("gateway"):
        assert ledger.refusals[refused_before:] == [], "a gateway's death made another refuse"
    else:
        server.wait()


@contextmanager
def clients(
    server: ServerUnderTest, ledger: Ledger, supply: Supply, number: int, chosen: random.Random
) -> Iterator[None]:
    """Send, write beside, and count patients on several threads until the block is left."""
    stop = threading.Event()
    senders = [_send_by_dicom] * ASSOCIATIONS + [_send_by_rest] * REST_CLIENTS
    names = [f"K{number}-{place}" for place in range(len(senders))]
    work: list[Callable[[], None]] = [
        *[
            lambda send=send, name=name: send(server, ledger, _patients(supply, name), stop)
            for send, name in zip(senders, names, strict=True)
        ],
        lambda: _write_beside(server, ledger, random.Random(chosen.random()), stop),
        lambda: _count_patients(server, ledger, stop),
    ]
    failures: list[BaseException] = []
    threads = [threading.Thread(target=_until_stopped, args=(each, stop, failures)) for each in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def _until_stopped(work: Callable[[], None], stop: threading.Event, failures: list[BaseException]) -> None:
    """Go on after every loss of the connection."""
    while not stop.is_set():
        try:
            work()
        except (OSError, http.client.HTTPException):
            stop.wait(RETRY_S)
        except BaseException as exc:  # noqa: BLE001 # it fails the test
            failures.append(exc)
            return


def _patients(supply: Supply, name: str) -> Iterator[Instance]:
    """Instances of one patient after the other, none of whom anybody else sends."""
    life = os.urandom(4).hex()
    for count in range(1 << 30):
        yield supply.take(f"{name}-{life}-{count // PATIENT_INSTANCES}")


def _send_by_dicom(
    server: ServerUnderTest, ledger: Ledger, instances: Iterator[Instance], stop: threading.Event
) -> None:
    with StoreScu(server.dicom_port) as association:
        while not stop.is_set():
            instance = next(instances)
            ledger.sending(instance, by_rest=False)
            status = association.store(instance)
            ledger.answered(instance, f"0x{status:04x}", is_success=status == 0)


def _send_by_rest(
    server: ServerUnderTest, ledger: Ledger, instances: Iterator[Instance], stop: threading.Event
) -> None:
    with RestSender(server) as sender:
        while not stop.is_set():
            instance = next(instances)
            ledger.sending(instance, by_rest=True)
            status, word = sender.store(instance)
            ledger.answered(instance, f"{status} {word}", is_success=word == "Success")


def _write_beside(server: ServerUnderTest, ledger: Ledger, chosen: random.Random, stop: threading.Event) -> None:
    """Set metadata and attachments of instances and patients that were acknowledged; those that are recycled are unknown."""
    with closing(server.connect_http()) as connection:
        while not stop.is_set():
            with ledger.changed:
                if not ledger.changed.wait_for(lambda: ledger.recent, RETRY_S):
                    continue
                instance = chosen.choice(ledger.recent)
            above = chosen.choice([f"/instances/{instance.id}", f"/patients/{orthanc_id(instance.patient)}"])
            path = f"{above}/{chosen.choice([f'metadata/{METADATA}', f'attachments/{ATTACHMENT}'])}"
            value = os.urandom(8).hex().encode() * chosen.choice([1, 1, 1, 20_000])
            with ledger.changed:
                beside = ledger.beside.setdefault(path, Beside(instance.patient))
                beside.tried.add(value)
            answer = exchange(connection, "PUT", path, value)
            with ledger.changed:
                if answer.status == 200:
                    beside.acknowledged, beside.tried = value, set()
                    ledger.writes += 1
                elif answer.status != 404:
                    ledger.refusals.append(f"{answer.status} {path}")
                ledger.changed.notify_all()


def _count_patients(server: ServerUnderTest, ledger: Ledger, stop: threading.Event) -> None:
    with closing(server.connect_http()) as connection:
        while not stop.is_set():
            listed = exchange(connection, "GET", "/patients")
            counted = exchange(connection, "GET", "/statistics")
            if listed.status == counted.status == 200:
                ledger.most_patients = max(ledger.most_patients, len(listed.json), counted.json["CountPatients"])


def check_against(server: ServerUnderTest, ledger: Ledger) -> None:
    """Compare the archive with what the clients know and what the log tells."""
    present = check_archive(server)
    recorded = _read_log(server)
    assert ledger.most_patients == LIMIT
    assert len(server.get("/patients")) <= LIMIT
    assert recorded.most_patients == LIMIT
    assert recorded.other_deletions == []
    lost = [
        ledger.sent[each] for each in ledger.acknowledged - present if not _is_recycled(recorded, ledger.sent[each])
    ]
    assert not lost, f"acknowledged, not recycled, and gone: {lost}"
    assert present <= set(ledger.sent)
    check_bytes(server, [ledger.sent[each] for each in sorted(present)], by_rest=ledger.by_rest)
    with closing(server.connect_http()) as connection:
        for path, beside in ledger.beside.items():
            if beside.acknowledged is not None:
                _check_beside(recorded, path, beside, exchange(connection, "GET", _reading(path)))


def _read_log(server: ServerUnderTest) -> Recorded:
    recorded = Recorded()
    there: set[bytes] = set()  # patients
    with replay.open_for_reading(server.index) as environment, Views(environment).snapshot() as snapshot:
        for entry in get_events(snapshot, limit=1 << 24):
            values = {**entry.public, **(entry.personal or {})}
            match entry.tag:
                case InstanceStored.TAG:
                    recorded.stored[format_resource_id(values["id"])] = entry.seq
                case PatientCreated.TAG:
                    there.add(values["id"])
                case ResourceDeleted.TAG if values["level"] == Level.PATIENT and values["reason"] == REASON:
                    there.remove(values["id"])
                    recorded.recycled[format_resource_id(values["id"])] = entry.seq
                case ResourceDeleted.TAG:
                    recorded.other_deletions.append(values)
                case MetadataSet.TAG:
                    path = f"/{_LEVELS[values['level']]}/{format_resource_id(values['id'])}/metadata/{METADATA}"
                    recorded.written.setdefault(path, {})[values["value"]] = entry.seq
                case AttachmentSet.TAG:
                    path = f"/{_LEVELS[values['level']]}/{format_resource_id(values['id'])}/attachments/{ATTACHMENT}"
                    recorded.written.setdefault(path, {})[values["md5"]] = entry.seq
            recorded.most_patients = max(recorded.most_patients, len(there))
    return recorded


def _is_recycled(recorded: Recorded, instance: Instance) -> bool:
    return recorded.stored[instance.id] < recorded.recycled.get(orthanc_id(instance.patient), 0)


def _reading(path: str) -> str:
    return f"{path}/data" if "/attachments/" in path else path


def _check_beside(recorded: Recorded, path: str, beside: Beside, answer: Answer) -> None:
    """What was acknowledged is there, or the value tried after it; else its patient was recycled later."""
    if answer.status == 200:
        assert answer.body in {beside.acknowledged, *beside.tried}, path
        return
    assert answer.status == 404, (path, answer)
    value = beside.acknowledged or b""
    kept = hashlib.md5(value, usedforsecurity=False).digest() if "/attachments/" in path else value
    written = recorded.written[path][kept]
    assert written < recorded.recycled.get(orthanc_id(beside.patient), 0), f"{path} was acknowledged and is gone"
