"""A damaged file is an error to who asks, an event, and on the list; the same instance sent again heals it, durably."""

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from actors.core import file_removal
from actors.core.file_removal import Recheck, Storage, Sweep, leased_folders
from actors.messages.commands.instances import StoreInstance
from actors.messages.commands.resources import DeleteResource, RetractInstance
from actors.messages.damage_reports import reporter
from actors.messages.index_client import IndexClient
from actors.services.ingest import incoming_blob
from actors.services.ingest.settings import IngestSettings
from events import envelope
from events.errors import Busy, DamagedFile, StorageFailed, StorageFull
from events.files import FileDamaged, FileHealed, FileRecovered
from events.identifiers import BlobId, Level
from store.blobs import damage
from store.blobs.damage import Damage, Kind
from store.blobs.store import BlobStore
from store.blobs.writer import folder_number
from store.environment import Environment
from store.log import scan
from store.records import Instance
from store.tables import CONDEMNED, DAMAGED_FILES
from store.views.damaged import count_damaged, list_damaged
from store.views.feed import get_history
from tests.clock import Clock
from tests.data_factory import add_pixels, dataset, encode
from tests.index_stage import IndexStage
from tests.ingest_stage import Gate, both_ways, content_of
from tests.unit.actors.test_ingest import FILE
from tools.replay import differences, rebuild


class Ward(Gate):
    """An archive with one instance, and hands to damage its file."""

    def __init__(self, stage: IndexStage, root: Path, *, compress: bool) -> None:
        super().__init__(stage, root)
        self.settings = replace(self.settings, compress=compress)
        self.blobs.on_damage = reporter(IndexClient(stage.ask))
        self.send(FILE)
        self.send(encode(dataset(2)))

    @property
    def instance(self) -> Instance:
        return min(self.instances, key=lambda record: record.ref)

    @property
    def path(self) -> Path:
        return self.blobs.path(self.instance.blob)

    @property
    def content(self) -> bytes:
        return content_of(self.instance, self.path)

    @property
    def events(self) -> list[Any]:
        rows = scan(self.stage.env)
        found = [envelope.decode_event(envelope.decode_record(seq, row), personal) for seq, row, personal in rows]
        return [event for event in found if isinstance(event, FileDamaged | FileHealed | FileRecovered)]

    @property
    def listed(self) -> list[tuple[int, str]]:
        with self.stage.views.snapshot() as s:
            return [(each.file.ref, each.damage.kind) for each in list_damaged(s, 0, 100)[0]]

    def check_replay(self, folder: Path) -> None:
        folder.mkdir()
        with Environment(folder, writable=True, durable=False) as fresh, self.stage.env.begin() as live:
            rebuild(self.stage.env, live, fresh)
            with fresh.begin() as again:
                assert differences(live, self.stage.env.tables, again, fresh.tables) == {}


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def ward(
    request: pytest.FixtureRequest, stage: IndexStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ward]:
    monkeypatch.setattr(incoming_blob, "FILES_AHEAD", 0)
    (tmp_path / "storage").mkdir()
    made = Ward(stage, tmp_path / "storage", compress=request.param)
    yield made
    made.ingest.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-99] ^= 4
    path.write_bytes(data)


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def lose_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("lost"))
    path.parent.with_name("lost").rename(path.parents[3] / "lost")


def replace_folder_by_file(path: Path) -> None:
    lose_folder(path)
    path.parent.touch()


def lengthen(path: Path) -> None:
    os.truncate(path, path.stat().st_size + 1)


# What is done to a file, what that is called, and the size that is found, from the size that it had.
DAMAGES: dict[str, tuple[Callable[[Path], object], Kind, Callable[[int], int | None]]] = {
    "flipped": (flip, Kind.ALTERED, lambda size: size),
    "truncated": (lambda path: os.truncate(path, 300), Kind.TRUNCATED, lambda _: 300),
    "emptied": (lambda path: os.truncate(path, 0), Kind.EMPTIED, lambda _: 0),
    "removed": (Path.unlink, Kind.MISSING, lambda _: None),
    "longer": (lengthen, Kind.OVERLONG, lambda size: size + 1),
    "zeroed": (lambda path: path.write_bytes(bytes(path.stat().st_size)), Kind.ALTERED, lambda size: size),
    "a folder": (replace_by_folder, Kind.NO_FILE, lambda _: None),
    "a pipe": (replace_by_pipe, Kind.NO_FILE, lambda _: None),
    "a link to nothing": (replace_by_link, Kind.MISSING, lambda _: None),
    "its folder is lost": (lose_folder, Kind.MISSING, lambda _: None),
    "its folder is a file": (replace_folder_by_file, Kind.MISSING, lambda _: None),
}
every_damage = pytest.mark.parametrize("how", DAMAGES)


@every_damage
def test_whoever_reads_a_damaged_file_is_told_and_it_is_recorded_once(ward: Ward, how: str, tmp_path: Path) -> None:
    spoil, kind, found = DAMAGES[how]
    instance = ward.instance
    found_bytes = found(ward.path.stat().st_size)
    spoil(ward.path)
    readers: list[Callable[[], object]] = [
        lambda: ward.blobs.read_instance(instance),
        lambda: ward.blobs.read_small(instance),
        lambda: ward.blobs.open_instance(instance),
        lambda: ward.blobs.check_instance(instance),
    ]
    for read in readers:
        with pytest.raises(DamagedFile, match=f"is {kind}; the same instance sent again heals it"):
            read()
    assert ward.events == [FileDamaged(instance=instance.ref, blob=instance.blob, kind=kind, found_bytes=found_bytes)]
    assert ward.listed == [(instance.ref, kind)]
    with ward.stage.views.snapshot() as s:
        assert [entry.tag for entry in get_history(s, instance.id)] == ["instance-stored/2", "file-damaged/1"]
    ward.check_replay(tmp_path / "again")


@both_ways
@every_damage
@pytest.mark.parametrize("was_read", [True, False], ids=["known", "unknown"])
def test_the_same_instance_sent_again_heals(ward: Ward, how: str, tmp_path: Path, *, was_read: bool) -> None:
    spoil = DAMAGES[how][0]
    before, heads = ward.instance, ward.heads
    spoil(ward.path)
    if was_read:
        with pytest.raises(DamagedFile):
            ward.blobs.read_instance(before)
    assert ward.send(FILE).status == "Success"
    after = ward.instance
    assert ward.content == FILE
    assert (after.ref, after.id, after.received_us, after.origin) == (
        before.ref,
        before.id,
        before.received_us,
        before.origin,
    )
    assert after.blob != before.blob
    assert ward.listed == []
    assert [type(event) for event in ward.events] == [FileDamaged, FileHealed]
    assert ward.send(FILE).status == "AlreadyStored"
    with ward.stage.views.snapshot() as s:
        assert s.owner_of_blob(before.blob) is None
        assert sorted(s.keys(CONDEMNED, b"")) == sorted(file.blob for file in (before, *heads))
    assert len(ward.heads) == len(heads) == ward.settings.compress
    ward.check_replay(tmp_path / "again")


@every_damage
def test_what_was_healed_leaves_nothing_behind(ward: Ward, how: str) -> None:
    before = ward.instance
    DAMAGES[how][0](ward.path)
    ward.send(FILE)
    actor = Storage(IndexClient(ward.stage.ask), ward.stage.views, ward.blobs)
    actor.on_receive(file_removal.RemoveCondemned())
    assert not os.path.lexists(ward.blobs.path(before.blob))
    with ward.stage.views.snapshot() as s:
        assert list(s.keys(CONDEMNED, b"")) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.EPERM], ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("where", ["open", "read"])
def test_a_file_that_the_disk_does_not_give_is_unreadable_and_heals(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, where: str, code: int
) -> None:
    bad = ward.path
    error = OSError(code, os.strerror(code))
    really_open = os.open

    def fail_open(path: Any, flags: int, *mode: int, **named: Any) -> int:
        if str(path) == str(bad):
            raise error
        return really_open(path, flags, *mode, **named)

    class Failing(FileIO):
        def read(self, *_: Any) -> Any:
            raise error

        def readinto(self, *_: Any) -> Any:
            raise error

    with monkeypatch.context() as patch:
        if where == "open":
            patch.setattr(os, "open", fail_open)
        else:
            patch.setattr(damage, "FileIO", Failing)
        with pytest.raises(DamagedFile, match="unreadable"):
            ward.blobs.read_instance(ward.instance)
        assert ward.send(FILE).status == "Success"
    assert ward.content == FILE
    assert ward.listed == []


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM], ids=lambda code: errno.errorcode[code])
def test_what_the_process_is_short_of_is_no_damage(ward: Ward, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        for read in (ward.blobs.read_instance, ward.blobs.open_instance, ward.blobs.check_instance):
            with pytest.raises(StorageFailed):
                read(ward.instance)
        with pytest.raises(StorageFailed):
            ward.send(FILE)
    assert ward.events == []


def test_a_storage_folder_that_is_gone_damages_nothing(ward: Ward) -> None:
    ward.blobs.root.rename(ward.blobs.root.with_name("elsewhere"))
    with pytest.raises(StorageFailed, match="is its disk mounted"):
        ward.blobs.read_instance(ward.instance)
    with pytest.raises(StorageFailed):
        ward.send(FILE)
    assert ward.events == []


def test_bytes_that_differ_from_the_first_ones_heal_too(ward: Ward, tmp_path: Path) -> None:
    """As from a sender that has the image in another transfer syntax, or another number in its series."""
    other = dataset()
    other.InstanceNumber = "77"
    data = encode(add_pixels(other, rows=40), syntax="1.2.840.10008.1.2")
    ward.path.unlink()
    assert ward.send(data).status == "Success"
    after = ward.instance
    assert ward.content == data
    assert after.transfer_syntax == "1.2.840.10008.1.2"
    assert (after.size_bytes, after.md5) == (len(data), hashlib.md5(data, usedforsecurity=False).digest())
    assert (after.index_in_series, after.tags[0x00200013]) == (77, "77")
    with ward.stage.views.snapshot() as s:
        assert s.statistics().size_bytes == sum(each.size_bytes for each in ward.instances)
        assert s.parent(after).size_bytes == len(data)
    ward.check_replay(tmp_path / "again")


def test_other_bytes_replace_nothing_that_is_whole(ward: Ward) -> None:
    assert ward.send(encode(add_pixels(dataset(), rows=40))).status == "AlreadyStored"
    assert ward.content == FILE


def test_without_a_digest_size_and_place_are_what_can_be_told(ward: Ward) -> None:
    ward.settings = IngestSettings(hash=False)
    third = encode(add_pixels(dataset(3)))
    ward.send(third)
    instance = max(ward.instances, key=lambda record: record.ref)
    path = ward.blobs.path(instance.blob)
    flip(path)
    assert len(ward.blobs.read_instance(instance)) == len(third), "nobody can know"
    os.truncate(path, 300)
    assert ward.send(third).status == "Success"
    path = ward.blobs.path(max(ward.instances, key=lambda record: record.ref).blob)
    path.unlink()
    assert ward.send(third).status == "Success"


def test_a_damaged_instance_can_be_deleted_and_stored_anew(ward: Ward, tmp_path: Path) -> None:
    instance = ward.instance
    replace_by_folder(ward.path)
    with pytest.raises(DamagedFile):
        ward.blobs.read_instance(instance)
    with ward.stage.views.snapshot() as s:
        patient = s.ancestor(instance, Level.PATIENT)
    ward.stage.ask(DeleteResource(level=Level.PATIENT, id=patient.id, remote_ip="", username="", correlation=b""))
    ward.stage.purge_all()
    assert ward.listed == []
    with ward.stage.views.snapshot() as s:
        assert list(s.keys(DAMAGED_FILES, b"")) == []
    with pytest.raises(FileNotFoundError):  # whoever held its row is told that it is gone, and no event is made
        ward.blobs.read_instance(instance)
    assert ward.send(FILE).status == "Success"
    ward.check_replay(tmp_path / "again")


@both_ways
def test_duplicates_that_heal_at_once_leave_one_file_and_are_all_told_the_truth(ward: Ward) -> None:
    ward.path.unlink()
    answers: list[str] = []
    lock = threading.Lock()
    ask = ward.ingest.index._ask

    def one_by_one(command: Any) -> Any:
        with lock:
            return ask(command)

    ward.ingest.index._ask = one_by_one
    ward.blobs.on_damage = reporter(ward.ingest.index)

    def send() -> None:
        for _ in range(20):
            with contextlib.suppress(Busy):
                answers.append(ward.send(FILE).status)
                return

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["AlreadyStored"] * 7 + ["Success"]
    assert ward.content == FILE
    assert [type(event) for event in ward.events] == [FileDamaged, FileHealed]


@both_ways
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_heal_that_is_not_durable_is_refused_and_changes_nothing(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    before = ward.instance
    ward.path.unlink()

    def fail(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises((StorageFull, StorageFailed)):
            ward.send(FILE)
    assert ward.instance == before, "it stays listed, with all that is known of it"
    assert ward.listed == [(before.ref, "missing")]
    assert ward.send(FILE).status == "Success"


@both_ways
def test_the_file_is_durable_before_the_event_that_heals(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    ward.path.unlink()
    synced: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        fsync(fd)
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))

    def look(command: StoreInstance) -> None:
        assert str(ward.blobs.path(command.blob)) in synced

    monkeypatch.setattr(os, "fsync", note)
    ward.before_store = look
    assert ward.send(FILE).status == "Success"


def test_a_late_retraction_does_not_take_what_was_healed(ward: Ward) -> None:
    """The upload whose file was lost may still be on its way to say so."""
    lost = ward.instance.blob
    ward.path.unlink()
    ward.send(FILE)
    ward.stage.ask(RetractInstance(blob=lost))
    assert len(ward.instances) == 2


def test_a_file_that_was_put_back_is_no_longer_listed_after_a_start(ward: Ward, tmp_path: Path) -> None:
    flip(ward.path)
    with pytest.raises(DamagedFile):
        ward.blobs.read_instance(ward.instance)
    actor = Storage(IndexClient(ward.stage.ask), ward.stage.views, ward.blobs)
    actor.on_receive(Recheck())
    assert ward.listed == [(ward.instance.ref, "altered")]
    flip(ward.path)
    actor.on_receive(Recheck())
    assert ward.listed == []
    assert type(ward.events[-1]) is FileRecovered
    assert bytes(ward.blobs.read_instance(ward.instance)) == FILE
    ward.check_replay(tmp_path / "again")


@every_damage
@pytest.mark.parametrize("ward", [True], ids=["compressed"], indirect=True)
def test_the_beginning_of_a_file_heals_with_it(ward: Ward, how: str, tmp_path: Path) -> None:
    (head,) = ward.heads
    content = content_of(head, ward.blobs.path(head.blob))
    DAMAGES[how][0](ward.blobs.path(head.blob))
    before = ward.instance
    assert ward.send(FILE).status == "Success"
    (head,) = ward.heads
    assert content_of(head, ward.blobs.path(head.blob)) == content
    assert ward.content == FILE
    assert ward.instance.ref == before.ref
    assert ward.listed == []
    assert ward.send(FILE).status == "AlreadyStored"
    ward.check_replay(tmp_path / "again")


def test_what_heals_is_kept_as_the_configuration_says_now(ward: Ward, tmp_path: Path) -> None:
    """An instance that has lost its compressed file may get one as it is, and the other way round."""
    compress = not ward.settings.compress
    ward.settings = replace(ward.settings, compress=compress)
    ward.path.unlink()
    assert ward.send(FILE).status == "Success"
    assert ward.content == FILE
    assert bool(ward.instance.compression) is compress
    assert len(ward.heads) == compress
    with ward.stage.views.snapshot() as s:
        assert s.statistics().disk_bytes == sum(each.disk_bytes for each in ward.instances)
        assert s.statistics().attached_disk_bytes == sum(each.disk_bytes for each in ward.heads)
    ward.check_replay(tmp_path / "again")


def test_damage_of_another_kind_is_another_event(ward: Ward) -> None:
    os.truncate(ward.path, 10)
    for _ in range(2):
        with pytest.raises(DamagedFile):
            ward.blobs.read_instance(ward.instance)
    ward.path.unlink()
    with pytest.raises(DamagedFile):
        ward.blobs.read_instance(ward.instance)
    assert [event.kind for event in ward.events] == ["truncated", "missing"]
    with ward.stage.views.snapshot() as s:
        assert count_damaged(s) == 1


def test_an_index_that_cannot_record_it_keeps_nobody_from_being_told(ward: Ward) -> None:
    def ask(_: object) -> Any:
        raise StorageFull("full")

    ward.blobs.on_damage = reporter(IndexClient(ask))
    flip(ward.path)
    with pytest.raises(DamagedFile):
        ward.blobs.read_instance(ward.instance)


def test_a_digest_is_computed_once_as_long_as_the_file_stays_the_same(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward.blobs = BlobStore(ward.blobs.root.parent)
    seen: list[BlobId] = []
    check_bytes = damage.check_bytes

    def count(data: bytes, file: Any) -> None:
        seen.append(file.blob)
        check_bytes(data, file)

    monkeypatch.setattr("store.blobs.store.check_bytes", count)
    for _ in range(3):
        ward.blobs.read_instance(ward.instance)
    assert len(seen) == 1
    flip(ward.path)
    with pytest.raises(DamagedFile):
        ward.blobs.read_instance(ward.instance)


@pytest.mark.parametrize(
    ("again", "digests"),
    [(FILE, 0), (FILE[:100] + b"x" + FILE[101:], 1), (encode(dataset()), 1)],
    ids=["the same", "of one size", "of another size"],
)
def test_a_duplicate_that_is_the_file_needs_no_digest(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, again: bytes, digests: int
) -> None:
    seen: list[object] = []
    check_digest = damage.check_digest

    def count(opened: Any, file: Any) -> None:
        seen.append(file)
        check_digest(opened, file)

    monkeypatch.setattr("store.blobs.store.check_digest", count)
    assert ward.send(again).status == "AlreadyStored"
    assert len(seen) == (2 if ward.settings.compress else digests), "compressed ones are not compared byte for byte"
    assert ward.content == FILE


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES], ids=lambda code: errno.errorcode[code])
def test_a_duplicate_of_what_cannot_be_read_heals_it(ward: Ward, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    class Bad(FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(code, os.strerror(code))

        def readinto(self, *_: Any) -> Any:
            raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(damage, "FileIO", Bad)
        assert ward.send(FILE).status == "Success"
    assert [type(event) for event in ward.events] == [FileDamaged, FileHealed]
    assert ward.content == FILE


@pytest.mark.parametrize("whole", [True, False])
def test_a_large_file_is_looked_at_from_end_to_end_only_if_all_of_it_is_read(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, *, whole: bool
) -> None:
    monkeypatch.setattr("store.blobs.store.MAPPED_BYTES", 100)
    flip(ward.path)
    if whole or ward.settings.compress:  # a stream has a checksum of its own
        with pytest.raises(DamagedFile):
            ward.blobs.read_instance(ward.instance, whole=whole)
    else:
        assert len(ward.blobs.read_instance(ward.instance, whole=False)) == len(FILE)


def test_an_old_instance_in_a_leased_folder_is_listed_and_not_retracted(ward: Ward, clock: Clock) -> None:
    """It was acknowledged long before the run was cut off: what is wrong with its file has another cause."""
    first = ward.instance
    clock.advance(120)
    ward.send(encode(add_pixels(dataset(9))))
    newest = max(ward.instances, key=lambda record: record.ref)
    os.truncate(ward.blobs.path(first.blob), 10)
    os.truncate(ward.blobs.path(newest.blob), 10)
    actor = Storage(IndexClient(ward.stage.ask), ward.stage.views, ward.blobs)
    actor.on_receive(Sweep([1, 2], is_after_cut=True))
    assert newest.id not in {record.id for record in ward.instances}
    assert ward.listed == [(first.ref, "truncated")]


def sweep_after_a_cut(ward: Ward) -> None:
    folders = leased_folders(ward.stage.views)
    assert folders
    Storage(IndexClient(ward.stage.ask), ward.stage.views, ward.blobs).on_receive(Sweep(folders, is_after_cut=True))


@pytest.mark.parametrize(
    "how", ["truncated", "emptied", "removed", "longer", "a folder", "a pipe", "its folder is lost"]
)
@pytest.mark.parametrize("why", ["large", "without a digest"])
def test_what_was_durable_before_its_event_is_never_retracted(
    ward: Ward, how: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been acknowledged a moment before the cut: its loss has to be seen, and it can be healed."""
    monkeypatch.setattr(file_removal, "SYNCED_BESIDE_BYTES", len(FILE) - 1 if why == "large" else 1 << 20)
    ward.settings = IngestSettings(hash=False)
    instance = ward.instance
    if why == "without a digest":
        ward.send(encode(dataset(7)))
        instance = max(ward.instances, key=lambda record: record.ref)
    DAMAGES[how][0](ward.blobs.path(instance.blob))
    sweep_after_a_cut(ward)
    assert (instance.ref, DAMAGES[how][1]) in ward.listed


@pytest.mark.parametrize("how", ["its folder is lost", "its folder is a file"])
def test_a_folder_that_is_gone_was_lost_by_its_disk_and_nothing_in_it_is_retracted(ward: Ward, how: str) -> None:
    before = [record.ref for record in ward.instances]
    DAMAGES[how][0](ward.path)
    sweep_after_a_cut(ward)
    assert {*ward.listed} == {(ref, "missing") for ref in before}
    assert leased_folders(ward.stage.views) == [], "the sweep came to its end"
    assert ward.send(FILE).status == "Success"
    assert ward.content == FILE


@pytest.mark.parametrize("call", ["listdir", "unlink", "replace"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EACCES], ids=lambda code: errno.errorcode[code])
def test_a_disk_that_fails_during_a_sweep_is_no_end_of_the_start(
    ward: Ward, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str, code: int
) -> None:
    folder = folder_number(ward.instance.blob)
    (ward.blobs.folder(folder) / "stranger").touch()
    os.truncate(ward.path, 10)

    def fail(*_: object, **__: object) -> Any:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os if call == "listdir" else Path, call, fail)
        sweep_after_a_cut(ward)
    assert f"storage.cannot-sweep folder={folder} error={os.strerror(code)}" in caplog.text
    assert folder in leased_folders(ward.stage.views), "the next start tries again"
    sweep_after_a_cut(ward)
    assert leased_folders(ward.stage.views) == []


def test_a_report_of_a_blob_that_nobody_has_is_answered_no(ward: Ward) -> None:
    report = reporter(IndexClient(ward.stage.ask))
    assert report(Damage(BlobId(bytes(16)), Kind.MISSING)) is False
    assert ward.events == []
