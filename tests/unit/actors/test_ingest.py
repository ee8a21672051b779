"""Ingest: whatever becomes of an upload, no file is lost and none is left over."""

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.core.file_removal import RemoveCondemned, Storage, Sweep, leased_folders
from actors.messages.commands.files import RevokeFolders
from actors.messages.commands.instances import StoreInstance
from actors.messages.index_client import IndexClient
from actors.services.ingest import incoming_blob
from actors.services.ingest.ingest import Ingest, StoreResult
from actors.services.ingest.settings import IngestSettings
from actors.services.scripts.errors import ScriptFailed
from actors.wire import metrics
from events.errors import Busy, CorruptLog, FolderRevoked, InvalidDicom, MissingTag, SinogramError, StorageFull
from events.identifiers import BlobId, Level
from events.resources import InstanceReceivedAgain
from events.stored_file import PlainFile
from store.blobs.store import DAMAGED
from store.blobs.writer import BlobWriter
from store.log import read_event
from store.records import Instance, Origin
from tests.data_factory import add_pixels, dataset, encode, uid
from tests.index_stage import IndexStage
from tests.ingest_stage import ORIGIN, Gate, both_ways, content_of
from tests.scripts_stage import run_scripts
from tools.server.core import Core

FILE = encode(add_pixels(dataset()))


@pytest.fixture(params=[False, True], ids=["plain", "compressed"])
def compress(request: pytest.FixtureRequest, gate: Gate) -> bool:
    """Whether the gate's files are to be compressed."""
    gate.settings = replace(gate.settings, compress=request.param)
    return gate.settings.compress


@both_ways
@pytest.mark.parametrize("chunk", [1, 7, 299, 1 << 30])
def test_the_very_bytes_that_came_are_kept(gate: Gate, chunk: int, *, compress: bool) -> None:
    result = gate.send(FILE, chunk)
    assert result.status == "Success"
    (record,) = gate.instances
    assert gate.read() == FILE
    assert set(gate.files) == {gate.blobs.path(file.blob) for file in (record, *gate.heads)}
    lying = gate.files[gate.blobs.path(record.blob)]
    assert bool(record.compression) is compress
    assert len(gate.heads) == compress
    for head in gate.heads:
        assert content_of(head, gate.blobs.path(head.blob)) == FILE[: record.pixel_data_offset]
        assert head.md5 == hashlib.md5(FILE[: record.pixel_data_offset], usedforsecurity=False).digest()
    assert (lying == FILE) is not compress
    assert (record.disk_bytes, record.disk_md5) == (len(lying), hashlib.md5(lying, usedforsecurity=False).digest())
    assert (record.id, record.size_bytes, Origin.of(record)) == (result.ids.instance, len(FILE), ORIGIN)
    assert record.md5 == hashlib.md5(FILE, usedforsecurity=False).digest()
    assert record.pixel_data_offset == result.summary.pixel_data_offset is not None


def test_without_hashing_there_is_no_digest(gate: Gate) -> None:
    gate.settings = IngestSettings(hash=False, sync=False)
    gate.send(FILE)
    assert gate.instances[0].md5 == b""


@both_ways
@pytest.mark.parametrize("settings", [IngestSettings(hash=h, sync=s) for h in (True, False) for s in (True, False)])
def test_what_is_written_is_counted_once(gate: Gate, settings: IngestSettings) -> None:
    (before,) = metrics.WRITTEN_BYTES.samples()
    gate.settings = settings
    gate.send(FILE)
    (after,) = metrics.WRITTEN_BYTES.samples()
    assert after.value - before.value == len(FILE)


@both_ways
@pytest.mark.parametrize("place", range(1, 40, 3))
def test_a_disk_that_fills_while_a_file_is_compressed_leaves_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    gate.settings = replace(gate.settings, compress=True)
    gate.send(encode(dataset(2)))
    write, left = os.write, place

    def fail(fd: int, data: Any) -> int:
        nonlocal left
        left -= 1
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        try:
            gate.send(FILE, 50)
        except StorageFull:
            assert left == 0
        else:
            assert left > 0
    assert set(gate.files) == {gate.blobs.path(file.blob) for file in (*gate.instances, *gate.heads)}
    assert gate.send(FILE).status in {"Success", "AlreadyStored"}


def test_both_kinds_lie_side_by_side(gate: Gate) -> None:
    for compress in (False, True, False):
        gate.settings = replace(gate.settings, compress=compress)
        gate.send(encode(add_pixels(dataset(len(gate.files) + 1))))
    assert [bool(record.compression) for record in sorted(gate.instances, key=lambda each: each.ref)] == [
        False,
        True,
        False,
    ]
    for record in gate.instances:
        content = content_of(record, gate.blobs.path(record.blob))
        assert bytes(gate.blobs.read_instance(record)) == content
        assert len(content) == record.size_bytes
        assert gate.send(content).status == "AlreadyStored"


def test_an_empty_content_is_an_empty_file(gate: Gate) -> None:
    """As in Orthanc 1.12.7: no header and no stream, and it is compressed all the same."""
    blob = incoming_blob.IncomingBlob(gate.ingest.durable, sync=False, digest=True, compress=True)
    kept: list[PlainFile] = []

    def refer(file: PlainFile) -> bool:
        kept.append(file)
        return True

    assert blob.keep(refer, lambda _: False)
    blob.discard()
    (file,) = kept
    nothing = hashlib.md5(b"", usedforsecurity=False).digest()
    assert (file.compression, file.size_bytes, file.packed_bytes) == (1, 0, 0)
    assert (file.md5, file.packed_md5) == (nothing, nothing)
    assert gate.blobs.read_instance(file) == b""


@both_ways
def test_an_instance_that_is_there_is_answered_and_leaves_no_file(gate: Gate) -> None:
    first = gate.send(FILE)
    assert gate.send(FILE) == StoreResult("AlreadyStored", first.summary)
    assert len(gate.files) == 1


@both_ways
def test_the_loser_of_a_race_removes_its_file(gate: Gate, stage: IndexStage) -> None:
    rival = gate.open()

    def overtake(command: StoreInstance) -> None:
        gate.before_store = lambda command: None
        with rival.open(ORIGIN) as upload:
            upload.write(FILE)
            assert upload.store().status == "Success"

    gate.before_store = overtake
    assert gate.send(FILE).status == "AlreadyStored"
    (record,) = gate.instances
    assert list(gate.files) == [gate.blobs.path(record.blob)]
    rival.close()


@both_ways
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", InvalidDicom),
        (b"GIF89a" + bytes(1_000), InvalidDicom),
        (FILE[:-1], InvalidDicom),
        (FILE[:200], InvalidDicom),
        (encode(dataset(SOPInstanceUID=None)), MissingTag),
        (encode(dataset(StudyInstanceUID=None)), MissingTag),
    ],
    ids=["empty", "other", "cut in its pixels", "cut in its header", "no SOP", "no study"],
)
def test_what_is_no_instance_is_refused_and_leaves_nothing(gate: Gate, data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        gate.send(data, 100)
    assert gate.files == {}
    assert gate.stage.index._log.head.seq == 0


@both_ways
def test_what_the_filter_does_not_want_is_acknowledged_and_leaves_nothing(gate: Gate) -> None:
    script = "function ReceivedInstanceFilter(dicom, origin) return dicom.PatientID .. origin.RemoteIp ~= 'PAT1192.0.2.9' end"
    with run_scripts(script) as scripts:
        gate.ingest.filters = scripts.filters
        assert gate.send(FILE).status == "FilteredOut"
        assert gate.files == {}
        assert gate.send(encode(dataset(2))).status == "Success"
    assert [asked.correlation for asked in scripts.asked] == [b"12345678"] * 2  # the correlation of the upload


@both_ways
def test_a_filter_that_fails_refuses_and_leaves_nothing(gate: Gate) -> None:
    with run_scripts("function ReceivedInstanceFilter(dicom) error('no') end") as scripts:
        gate.ingest.filters = scripts.filters
        with pytest.raises(ScriptFailed):
            gate.send(FILE)
    assert gate.files == {}
    assert gate.stage.index._log.head.seq == 0


@both_ways
def test_the_filter_is_asked_once_even_if_it_is_asked_beforehand(gate: Gate) -> None:
    with run_scripts("function ReceivedInstanceFilter() return false end") as scripts:
        gate.ingest.filters = scripts.filters
        with gate.ingest.open(ORIGIN) as upload:
            upload.write(FILE)
            upload.judge()
            assert upload.store().status == "FilteredOut"
    assert len(scripts.asked) == 1


def test_the_status_that_a_script_gives_a_c_store_comes_with_the_result(gate: Gate) -> None:
    origin = Origin(kind="DicomProtocol", remote_ip="192.0.2.9", remote_aet="SCU", called_aet="SINOGRAM")
    with run_scripts("function ReceivedCStoreInstanceFilter() return 0xC123 end") as scripts:
        gate.ingest.filters = scripts.filters
        with gate.ingest.open(origin) as upload:
            upload.write(FILE)
            result = upload.store()
    assert (result.status, result.dimse_status) == ("FilteredOut", 0xC123)
    assert gate.files == {}


def test_an_instance_that_is_there_is_told_of_again_if_a_script_wants_to_hear_of_it(gate: Gate) -> None:
    result = gate.send(FILE)
    gate.send(FILE)
    before = gate.stage.index._log.head.seq
    with run_scripts("function OnStoredInstance() end") as scripts:
        gate.ingest.filters = scripts.filters
        assert gate.send(FILE).status == "AlreadyStored"
    head = gate.stage.index._log.head.seq
    assert head == before + 1
    with gate.stage.views.snapshot() as snapshot:
        record, event = read_event(snapshot.row, head)
        instance = snapshot.get_instance(result.ids.instance)
    assert record is not None
    assert record.correlation == b"12345678"
    assert instance is not None
    assert event == InstanceReceivedAgain(instance=instance.ref, id=result.ids.instance, **ORIGIN.facts())


@both_ways
def test_an_upload_that_is_left_leaves_nothing(gate: Gate) -> None:
    with gate.ingest.open(ORIGIN) as upload:
        upload.write(FILE)
    upload.discard()
    assert gate.files == {}


# -- things that go wrong ---------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.usefixtures("compress")
@pytest.mark.parametrize("call", ["write", "fsync", "open"])
def test_a_full_disk_stores_nothing_and_leaves_nothing(gate: Gate, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    gate.send(encode(dataset(2)))  # so that a folder is leased
    real: Callable[..., Any] = getattr(os, call)

    def fail(target: Any, *rest: Any, **options: Any) -> Any:
        if call == "open" and (str(gate.blobs.root) not in str(target) or not rest[0] & os.O_CREAT):
            return real(target, *rest, **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(StorageFull):
            gate.send(FILE, 200)
    assert len(gate.files) == len(gate.instances) == 1
    assert gate.send(FILE).status == "Success"
    gate.ingest.close()
    assert leased_folders(gate.stage.views) == [1], "but for the one of the fixture"


@both_ways
@pytest.mark.usefixtures("compress")
@pytest.mark.parametrize("refusal", [StorageFull("full"), CorruptLog("a bug"), FolderRevoked("replaced")])
def test_what_the_index_refuses_leaves_nothing(gate: Gate, refusal: SinogramError) -> None:
    def refuse(command: StoreInstance) -> None:
        raise refusal

    gate.before_store = refuse
    with pytest.raises(type(refusal)):
        gate.send(FILE)
    assert gate.files == {}
    gate.ingest.close()
    assert leased_folders(gate.stage.views) == [1]


@both_ways
@pytest.mark.parametrize("took_effect", [True, False])
def test_an_answer_that_never_came_keeps_the_file_until_the_next_start_knows(gate: Gate, took_effect: bool) -> None:
    def fall_silent(command: StoreInstance) -> None:
        if took_effect:
            gate.stage.ask(command)
        raise Busy("the core does not answer")

    gate.before_store = fall_silent
    with pytest.raises(Busy):
        gate.send(FILE)
    assert list(gate.files.values()) == [FILE]
    gate.ingest.close()
    folders = leased_folders(gate.stage.views)
    assert folders == [1, 2]
    Storage(IndexClient(gate.stage.ask), gate.stage.views, gate.blobs).on_receive(Sweep(folders))
    assert list(gate.files.values()) == ([FILE] if took_effect else [])
    assert [record.size_bytes for record in gate.instances] == ([len(FILE)] if took_effect else [])


def test_an_unexpected_error_keeps_the_file(gate: Gate) -> None:
    def trip(command: StoreInstance) -> None:
        raise ZeroDivisionError

    gate.before_store = trip
    with pytest.raises(ZeroDivisionError):
        gate.send(FILE)
    assert len(gate.files) == 1


def test_a_folder_taken_from_its_writer_leaves_no_orphan(gate: Gate) -> None:
    gate.send(encode(dataset(2)))
    folders = gate.stage.ask(RevokeFolders(owner="gateway-1"))
    Storage(IndexClient(gate.stage.ask), gate.stage.views, gate.blobs).on_receive(Sweep(folders))
    with pytest.raises(FolderRevoked):
        gate.send(FILE)
    assert len(gate.files) == len(gate.instances) == 1


def test_a_patient_whose_id_hashes_like_an_instance_hides_none(gate: Gate) -> None:
    gate.send(encode(dataset(PatientID=f"PAT1|{uid(1, 1)}|{uid(1, 1, 1)}|{uid(1, 1, 1, 1)}")))
    with pytest.raises(InvalidDicom, match="collide"):
        gate.send(FILE)
    assert len(gate.files) == len(gate.instances) == 1


@both_ways
def test_an_upload_that_ends_after_the_gateway_closed_is_stored(gate: Gate) -> None:
    large = encode(add_pixels(dataset(), rows=200, columns=200))
    gate.send(encode(dataset(2)))
    with gate.ingest.open(ORIGIN) as upload:
        upload.write(large)
        gate.ingest.close()
        assert upload.store().status == "Success"
    assert max(gate.files.values(), key=len) == large


# -- many at once -------------------------------------------------------------------------------------------------------


def test_many_threads_store_each_instance_once_and_leave_no_file_behind(
    archive: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.services.ingest.folders.FOLDER_FILES", 10)
    monkeypatch.setattr(incoming_blob, "FILES_AHEAD", 4)
    monkeypatch.setattr(incoming_blob, "SPILL_BYTES", 900)
    made = Ingest(archive.client, archive.views, archive.blobs, "gateway-1", IngestSettings)
    files = [
        encode(add_pixels(dataset(1, 1, series, instance), rows=series * 8))
        for series in (1, 2)
        for instance in range(12)
    ]
    results: list[str] = []

    def send(first: int) -> None:
        for place in range(len(files)):
            with made.open(ORIGIN) as upload:
                upload.write(files[(first + place) % len(files)])
                results.append(upload.store().status)

    threads = [threading.Thread(target=send, args=(3 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert results.count("Success") == len(files)
    assert results.count("AlreadyStored") == 3 * len(files)
    with archive.views.snapshot() as snapshot:
        records = [record for record in snapshot.list(Level.INSTANCE) if isinstance(record, Instance)]
    assert sorted(archive.blobs.path(record.blob).read_bytes() for record in records) == sorted(files)
    assert {path for path in archive.blobs.root.rglob("*-*") if path.is_file()} == {
        archive.blobs.path(record.blob) for record in records
    }
    assert leased_folders(archive.views) == []


# -- durable side by side -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def failing_sync(monkeypatch: pytest.MonkeyPatch, chosen: Callable[[str], bool]) -> Iterator[None]:
    """Let fsync fail for some files, chosen by their paths."""
    fsync = os.fsync

    def fail(fd: int) -> None:
        if chosen(str(Path(f"/proc/self/fd/{fd}").readlink())):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        yield


def sweep(gate: Gate, *, is_after_cut: bool = True) -> None:
    storage = Storage(IndexClient(gate.stage.ask), gate.stage.views, gate.blobs)
    storage.on_receive(Sweep(leased_folders(gate.stage.views), is_after_cut=is_after_cut))


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_files_neither_stays_if_one_cannot_be_made_durable(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    """That of the beginning is durable before the event, that of the instance beside it."""
    gate.send(encode(dataset(2)))
    gate.settings = replace(gate.settings, compress=True)
    seen: list[str] = []

    def fails(path: str) -> bool:
        if path not in seen and str(gate.blobs.root) in path and not Path(path).is_dir():
            seen.append(path)
        return path in seen[which:]

    with failing_sync(monkeypatch, fails), pytest.raises(StorageFull):
        gate.send(FILE)
    assert len(seen) == which + 1
    Storage(IndexClient(gate.stage.ask), gate.stage.views, gate.blobs).on_receive(RemoveCondemned())
    assert len(gate.instances) == len(gate.files) == 1
    assert gate.heads == []
    assert gate.send(FILE).status == "Success"
    gate.ingest.close()
    assert leased_folders(gate.stage.views) == [1]


def test_a_small_file_that_cannot_be_made_durable_is_retracted_before_the_sender_hears_of_it(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.send(encode(dataset(2)))
    with failing_sync(monkeypatch, lambda path: True), pytest.raises(StorageFull):
        gate.send(FILE)
    assert len(gate.instances) == len(gate.files) == 1
    assert gate.send(FILE).status == "Success"
    gate.ingest.close()
    assert leased_folders(gate.stage.views) == [1]


def test_what_cannot_be_retracted_is_never_acknowledged_and_leaves_with_the_next_start(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(client: IndexClient, blob: BlobId) -> None:
        raise Busy("no answer")

    gate.send(encode(dataset(2)))
    with failing_sync(monkeypatch, lambda path: True), monkeypatch.context() as patch:
        patch.setattr(IndexClient, "retract", fail)
        with pytest.raises(StorageFull):
            gate.send(FILE)
    assert len(gate.instances) == 2
    gate.ingest.close()
    assert len(leased_folders(gate.stage.views)) == 2
    sweep(gate)
    assert len(gate.instances) == 1
    gate.ingest = gate.open()
    assert gate.send(FILE).status == "Success"


def test_nobody_relies_on_a_file_that_another_upload_still_waits_for(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a sender would be told AlreadyStored, and then the first upload fails and is retracted."""
    rival = gate.open()
    start_commit = gate.ingest.durable.start_commit

    def start(writer: BlobWriter, *, sync: bool) -> Callable[[], None]:
        def wait() -> None:  # now the event is there
            with failing_sync(monkeypatch, lambda path: path == str(writer.path)):
                with rival.open(ORIGIN) as upload:
                    upload.write(FILE)
                    with pytest.raises(Busy, match="send it again"):
                        upload.store()
                start_commit(writer, sync=sync)()

        return wait

    monkeypatch.setattr(gate.ingest.durable, "start_commit", start)
    with pytest.raises(StorageFull):
        gate.send(FILE)
    assert gate.instances == []
    assert gate.files == {}
    with rival.open(ORIGIN) as upload:
        upload.write(FILE)
        assert upload.store().status == "Success"
    rival.close()


def test_a_file_that_is_there_durably_is_relied_on(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.send(FILE)
    synced: list[str] = []

    def note(path: str) -> bool:
        synced.append(path)
        return False

    with failing_sync(monkeypatch, note):
        assert gate.send(FILE).status == "AlreadyStored"
        assert synced[0] == str(gate.blobs.path(gate.instances[0].blob))
        gate.ingest.close()
        synced.clear()
        assert gate.send(FILE).status == "AlreadyStored"
        assert synced == [], "in a folder that was given back every file is durable"


def test_without_a_digest_the_file_is_durable_before_its_event(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.settings = IngestSettings(hash=False)
    gate.before_store = lambda command: pytest.fail("the index was asked too early")
    with failing_sync(monkeypatch, lambda path: True), pytest.raises(StorageFull):
        gate.send(FILE)
    assert gate.files == {}


@pytest.mark.parametrize("what_came_to_the_disk", [b"", FILE[:-300] + bytes(300), FILE[:700], None])
def test_after_a_power_cut_what_never_reached_the_disk_leaves_the_archive(
    gate: Gate, what_came_to_the_disk: bytes | None
) -> None:
    gate.send(encode(dataset(2)))
    gate.send(FILE)
    whole, cut = sorted(gate.instances, key=lambda record: record.ref)
    path = gate.blobs.path(cut.blob)
    if what_came_to_the_disk is None:
        path.unlink()
    else:
        path.write_bytes(what_came_to_the_disk)
    sweep(gate)
    assert [record.id for record in gate.instances] == [whole.id]
    assert gate.blobs.path(whole.blob).exists()
    laid_aside = gate.blobs.root / DAMAGED / path.name
    assert (laid_aside.read_bytes() if laid_aside.exists() else None) == what_came_to_the_disk
    assert leased_folders(gate.stage.views) == []


def test_without_a_power_cut_nothing_is_held_against_a_file(gate: Gate) -> None:
    gate.send(FILE)
    gate.blobs.path(gate.instances[0].blob).write_bytes(b"")
    sweep(gate, is_after_cut=False)
    assert len(gate.instances) == 1


def test_a_file_that_cannot_be_read_is_not_taken_for_damaged(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.send(FILE)

    def fail(*_: object) -> object:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", fail)
        sweep(gate)
    assert len(gate.instances) == 1
    assert list(gate.files.values()) == [FILE]
