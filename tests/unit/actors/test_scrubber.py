"""The scrubber finds what nobody reads, at its rate, out of the way of senders, and goes on where it was."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actors.core import scrubber
from actors.core.file_removal import Scrub, Storage
from actors.core.scrubber import BESIDE_OTHERS, FAILURE_REST_S, LAP_S, Scrubber
from actors.messages.damage_reports import reporter
from actors.messages.index_client import IndexClient
from actors.services.ingest import incoming_blob
from actors.services.ingest.settings import IngestSettings
from events.identifiers import Level
from store.records import Instance
from store.tables import DAMAGED_FILES, INSTANCES, key
from store.views.damaged import count_damaged, list_damaged
from tests.clock import Clock
from tests.data_factory import dataset, encode
from tests.index_stage import IndexStage, delete_command
from tests.ingest_stage import Gate

RATE = 1_000_000
PIECE = 500  # bytes; each file below has several


@dataclass
class Attic:
    """An archive of small files that are large to its scrubber."""

    gate: Gate
    clock: Clock
    position: Path
    rate: int = RATE
    steps: list[float] = field(default_factory=list)  # how long each step was rested for

    def __post_init__(self) -> None:
        self.scrubber = self.open()

    def open(self) -> Scrubber:
        client = IndexClient(self.gate.stage.ask)
        return Scrubber(client, self.gate.stage.views, self.gate.blobs, self.position, self.rate, self.clock.monotonic)

    @property
    def instances(self) -> list[Instance]:
        return sorted(self.gate.instances, key=lambda record: record.ref)

    def path(self, number: int) -> Path:
        return self.gate.blobs.path(self.instances[number].blob)

    def step(self) -> float:
        """Take a step and let the rest behind it pass."""
        rest = self.scrubber.step() - self.clock.monotonic()
        self.clock.advance(rest)
        self.steps.append(rest)
        return rest

    def lap(self) -> None:
        for _ in range(100):
            if self.step() > LAP_S / 2:
                return
        pytest.fail("it does not come to the end")

    @property
    def listed(self) -> list[tuple[int, str]]:
        with self.gate.stage.views.snapshot() as s:
            return [(each.file.ref, each.damage.kind) for each in list_damaged(s, 0, 100)[0]]


@pytest.fixture
def attic(stage: IndexStage, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attic]:
    monkeypatch.setattr(incoming_blob, "FILES_AHEAD", 0)
    monkeypatch.setattr(scrubber, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(scrubber, "LEAST_BYTES", 100)
    gate = Gate(stage, tmp_path)
    gate.blobs.on_damage = reporter(IndexClient(stage.ask))
    for number in range(1, 5):
        gate.send(large(number))
    made = Attic(gate, clock, tmp_path / "scrubbed")
    yield made
    made.scrubber.close()
    gate.ingest.close()


def large(number: int) -> bytes:
    return encode(dataset(number, PatientComments="x" * 3 * PIECE))


def flip(path: Path, place: int = -1) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "the first byte": (lambda path: flip(path, 0), "altered"),
    "the last byte": (flip, "altered"),
    "a byte between two pieces": (lambda path: flip(path, PIECE), "altered"),
    "cut": (lambda path: os.truncate(path, PIECE), "truncated"),
    "emptied": (lambda path: os.truncate(path, 0), "emptied"),
    "longer": (lambda path: os.truncate(path, 9 * PIECE), "overlong"),
    "gone": (Path.unlink, "missing"),
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("number", [0, 1, 3])
def test_damage_that_nobody_has_met_is_found_wherever_it_is(attic: Attic, how: str, number: int) -> None:
    spoil, kind = DAMAGES[how]
    spoil(attic.path(number))
    attic.lap()
    assert attic.listed == [(attic.instances[number].ref, kind)]
    attic.gate.send(large(number + 1))
    assert attic.listed == []
    attic.lap()
    assert attic.listed == []


def test_a_whole_archive_is_read_to_its_end_and_again_a_day_later(attic: Attic) -> None:
    began = attic.clock.monotonic()
    attic.lap()
    size = sum(record.size_bytes for record in attic.instances)
    assert size / RATE <= sum(attic.steps[:-1]) <= 1.5 * size / RATE
    assert attic.clock.monotonic() == pytest.approx(began + LAP_S)
    flip(attic.path(2))
    attic.lap()
    assert attic.listed == [(attic.instances[2].ref, "altered")]
    assert attic.clock.monotonic() == pytest.approx(began + 2 * LAP_S)


def test_an_archive_of_nothing_costs_a_look_a_day(attic: Attic) -> None:
    for number in range(1, 5):
        ids = {record.id for record in attic.instances}
        attic.gate.stage.ask(delete_of(attic.instances[0]))
        attic.gate.stage.purge_all()
        assert len(ids) == 5 - number
    assert attic.step() == pytest.approx(LAP_S)


def delete_of(instance: Instance) -> Any:
    command = delete_command("P", "S", "R", "I")
    return type(command)(level=Level.INSTANCE, id=instance.id, remote_ip="", username="", correlation=b"")


def test_it_is_slower_while_somebody_sends(attic: Attic) -> None:
    alone = [attic.step(), attic.step()][1]
    attic.gate.send(encode(dataset(9)))
    assert attic.step() == pytest.approx(alone * BESIDE_OTHERS)
    assert attic.step() <= alone, "and no longer than that"


def test_it_goes_on_where_the_last_run_was(attic: Attic) -> None:
    while attic.scrubber._after < key(attic.instances[1].ref):
        attic.step()
    attic.step()  # in the middle of the third
    attic.scrubber.close()
    flip(attic.path(0))
    flip(attic.path(2), 0)
    attic.scrubber = attic.open()
    attic.lap()
    assert attic.listed == [(attic.instances[2].ref, "altered")], "the first ones were read before"


@pytest.mark.parametrize("content", [b"", b"\0\0", b"-7", b"12 monkeys", b"9" * 5000, None])
def test_a_position_that_is_lost_costs_reading_and_nothing_else(attic: Attic, content: bytes | None) -> None:
    if content is None:
        attic.position.mkdir()
    else:
        attic.position.write_bytes(content)
    attic.scrubber = attic.open()
    if content != b"9" * 5000:  # no ref there is, but a number: the lap is over at once
        flip(attic.path(0))
    attic.lap()
    attic.lap()
    assert len(attic.listed) == (content != b"9" * 5000)


def test_the_position_is_the_users_alone(attic: Attic) -> None:
    attic.scrubber.save()
    assert attic.position.stat().st_mode & 0o077 == 0


def test_what_is_deleted_or_healed_while_it_is_read_is_no_damage(attic: Attic) -> None:
    attic.step()
    attic.gate.stage.ask(delete_of(attic.instances[0]))
    attic.path(0).unlink()  # now the second one, whose row says so no longer
    attic.gate.send(large(2))
    attic.lap()
    assert attic.listed == []


def test_a_file_that_was_put_back_is_no_longer_listed(attic: Attic) -> None:
    flip(attic.path(1))
    attic.lap()
    flip(attic.path(1))
    attic.lap()
    assert attic.listed == []


def test_a_storage_folder_that_is_not_there_is_no_damage_of_all_its_files(attic: Attic, tmp_path: Path) -> None:
    root = attic.gate.blobs.root
    for is_mount_point in (False, True):
        root.rename(tmp_path / "elsewhere")
        if is_mount_point:
            root.mkdir()
        assert attic.step() == FAILURE_REST_S
        if root.exists():
            root.rmdir()
        (tmp_path / "elsewhere").rename(root)
    attic.lap()
    assert attic.listed == []


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("call", ["open", "pread"])
def test_what_the_process_is_short_of_is_no_damage(
    attic: Attic, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert attic.step() == FAILURE_REST_S
    attic.lap()
    assert attic.listed == []
    assert sum(attic.steps) < LAP_S + 2 * FAILURE_REST_S


def test_an_error_of_the_disk_is_found(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    pread = os.pread
    bad = attic.path(1)

    def fail(fd: int, size: int, start: int) -> bytes:
        if start and Path(f"/proc/self/fd/{fd}").readlink() == bad:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, start)

    monkeypatch.setattr(os, "pread", fail)
    attic.lap()
    assert attic.listed == [(attic.instances[1].ref, "unreadable")]


def test_without_digests_sizes_are_compared(attic: Attic) -> None:
    attic.gate.settings = IngestSettings(hash=False)
    for number in (7, 8):
        attic.gate.send(large(number))
    flip(attic.path(4))
    os.truncate(attic.path(5), 3)
    attic.lap()
    assert attic.listed == [(attic.instances[5].ref, "truncated")]


def test_a_rate_of_nothing_reads_nothing(attic: Attic) -> None:
    attic.rate = 0
    assert attic.open().first_due() is None
    attic.rate = 1
    assert attic.open().first_due() is not None


def test_no_file_stays_open(attic: Attic) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for spoil, number in ((flip, 0), (Path.unlink, 1), (lambda path: os.truncate(path, 5), 2)):
        spoil(attic.path(number))
    attic.lap()
    attic.step()
    attic.scrubber.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_storage_actor_has_it_read_between_its_other_work(attic: Attic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrubber, "FIRST_REST_S", 0.0)
    actor = Storage(IndexClient(attic.gate.stage.ask), attic.gate.stage.views, attic.gate.blobs, attic.scrubber)
    inbox: Any = actor.actor_inbox
    flip(attic.path(0))
    actor.on_start()
    while not attic.listed:
        message = inbox.get(timeout=10).message
        assert message == Scrub()
        actor.on_receive(message)
        attic.clock.advance(1)
    actor.on_stop()
    assert attic.position.read_bytes() == b"%d\n" % attic.instances[0].ref


@pytest.mark.parametrize("row", [b"", b"\xff" * 9, b"\x93\1\2\3", None])
def test_a_row_that_cannot_be_read_is_passed_over(attic: Attic, row: bytes | None) -> None:
    first, second = attic.instances[:2]
    flip(attic.path(1))
    path = attic.path(3)
    with attic.gate.stage.env.begin(write=True) as txn:
        table = attic.gate.stage.env.tables[INSTANCES]
        if row is None:
            txn.delete(key(first.ref), db=table)
        else:
            txn.put(key(first.ref), row, db=table)
    flip(path)
    attic.lap()
    with attic.gate.stage.views.snapshot() as s:
        assert count_damaged(s) == 2
        assert s.row(DAMAGED_FILES, key(second.ref)) is not None
