"""A disk that fails, whenever it does, is told as a disk that fails: never as a bad image, and nothing is half stored."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.services.ingest import incoming_blob
from actors.services.remote.query_store import QueryStore
from actors.wire.dicom.ending import log_fault
from api.dicom.status import find_status, retrieve_status, store_status
from api.errors import answer_for
from api.rest import zip_uploads
from api.rest.serving.fault import Faults
from events.errors import InvalidDicom, SinogramError, StorageFailed, StorageFull
from store.blobs.store import BlobStore
from store.disk_errors import DiskErrors
from tests.ingest_stage import Gate
from tests.unit.actors.test_ingest import FILE
from tests.unit.actors.test_query_store import QUERY

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FAILS = (errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOENT, errno.EACCES, errno.ENOTDIR, errno.ENXIO)
CALLS = ("open", "write", "fsync")


def failing(code: int, real: Callable[..., object], path: Path) -> Callable[..., object]:
    """Let a call of the operating system fail, for paths below one, or for whatever descriptor it gets."""

    def call(*arguments: object, **named: object) -> object:
        if isinstance(arguments[0], int) or str(arguments[0]).startswith(str(path)):
            raise OSError(code, os.strerror(code))
        return real(*arguments, **named)

    return call


@pytest.mark.parametrize("code", [*FULL, *FAILS], ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("spills", [False, True], ids=["in memory", "spilled"])
def test_a_store_that_the_disk_fails_is_refused_and_leaves_nothing(
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
    code: int,
    *,
    spills: bool,
) -> None:
    if spills:
        monkeypatch.setattr(incoming_blob, "SPILL_BYTES", 300)
    gate.ingest.durable.folders.release(gate.ingest.durable.folders.create().folder, is_clear=True)  # a folder is there
    before = set(gate.files)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(code, getattr(os, call), gate.blobs.root))
        with pytest.raises(SinogramError) as refused:
            gate.send(FILE)
    assert type(refused.value) is (StorageFull if code in FULL else StorageFailed)
    if code not in FULL:
        assert str(refused.value) == f"the storage area fails: {os.strerror(code)}"
    assert store_status(refused.value) == 0xA700
    assert answer_for(refused.value).status == (507 if code in FULL else 500)
    assert gate.instances == []
    assert set(gate.files) == before
    assert "Traceback" not in caplog.text
    assert gate.send(FILE).status == "Success", "it is over, and nothing of it is left"


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EACCES], ids=lambda code: errno.errorcode[code])
def test_a_file_that_cannot_be_discarded_keeps_its_folder_for_a_sweep(
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
    code: int,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        patch.setattr(Path, "unlink", fail)
        with pytest.raises(StorageFailed):
            gate.send(FILE)
    gate.ingest.close()
    with gate.stage.views.snapshot() as snapshot:
        assert snapshot.is_leased(1) or snapshot.is_leased(2)


@pytest.mark.parametrize("code", FAILS, ids=lambda code: errno.errorcode[code])
def test_a_folder_that_cannot_be_made_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", fail)
    with pytest.raises(StorageFailed, match=os.strerror(code)):
        BlobStore(tmp_path).make_folder(1)
    with pytest.raises(StorageFailed, match="queries"):
        QueryStore(tmp_path, 10).create(QUERY)


@pytest.mark.parametrize("code", [*FULL, *FAILS], ids=lambda code: errno.errorcode[code])
def test_whatever_nobody_has_translated_is_answered_with_a_sentence_and_one_line(
    caplog: pytest.LogCaptureFixture, code: int
) -> None:
    error = OSError(code, os.strerror(code), "/secret/path")
    answer, body = Faults(describe=True).describe(error, "GET", "/instances/x/file")
    told = json.loads(body)
    assert (answer.status, told["OrthancStatus"]) == ((507, 19) if code in FULL else (500, 14))
    assert told["Details"].startswith("the disk ")
    assert "/secret" not in body.decode() + caplog.text
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None
    log_fault("C-GET: an instance cannot be sent", error)
    assert caplog.records[1].getMessage() == f"C-GET: an instance cannot be sent: {os.strerror(code)}"
    assert store_status(error) == find_status(error) == 0xA700
    assert retrieve_status(error) == 0xA701


def test_a_defect_still_shows_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        _ = 1 / 0
    log_fault("C-STORE failed", raised.value)
    Faults(describe=True).describe(raised.value, "GET", "/")
    assert "test_disk_fails.py" in caplog.records[0].getMessage()
    assert caplog.records[1].exc_info is not None


@pytest.mark.parametrize(("code", "kind"), [(errno.EIO, StorageFailed), (errno.EINVAL, InvalidDicom)])
def test_a_spooled_archive_that_cannot_be_read_is_not_taken_for_a_damaged_one(
    tmp_path: Path, code: int, kind: type[Exception]
) -> None:
    class Unreadable:
        def seek(self, *_: object) -> int:
            raise OSError(code, os.strerror(code))

        def __getattr__(self, name: str) -> object:
            return lambda *_: b""

    with pytest.raises(kind):
        zip_uploads.store_members(Unreadable(), 0, b"".join)  # type: ignore[arg-type]  # a file as far as needed


def test_only_what_the_operating_system_says_is_translated() -> None:
    with pytest.raises(ZeroDivisionError), DiskErrors("it"):
        raise ZeroDivisionError
    with pytest.raises(StorageFailed, match="it fails: TimeoutError"), DiskErrors("it"):
        raise TimeoutError
