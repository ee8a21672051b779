"""`/{level}/{id}/attachments` beyond what the peer tests compare: bytes that stay, files that go, refusals that lose nothing."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from actors.services.ingest.incoming_blob import SPILL_BYTES
from events.attachments import ContentType
from events.errors import StorageFull
from events.identifiers import BlobId
from events.stored_file import StoredFile
from store.blobs.writer import BlobWriter, parse_blob_name
from store.tables import BLOBS
from tests.contract.http_serving import connect, serving
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tests.peer.servers import wait_for
from tests.peer.test_metadata import LEVELS
from tools.server.core import Core

PDF = {"pdf": ContentType(1024, "application/pdf")}
SIZES = (0, 1, SPILL_BYTES, SPILL_BYTES + 1)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, user_content_type=PDF) as made:
        assert made.upload(encode(dataset(1, 1, 1, 1))).status == 200
        yield made


def path(stage: RestStage, level: str) -> str:
    (identifier,) = json.loads(stage.ask(f"/{level}").body)
    return f"/{level}/{identifier}/attachments"


def made_of(size_bytes: int) -> bytes:
    return (bytes(range(251)) * (size_bytes // 251 + 1))[:size_bytes]


def files(stage: RestStage) -> dict[BlobId, Path]:
    """Every file that holds something: those that are kept ready are empty."""
    found = (each for each in stage.deps.blobs.root.rglob("*") if each.is_file() and each.stat().st_size)
    named = ((parse_blob_name(each.name), each) for each in found)
    return {blob: each for blob, each in named if blob is not None}


def known(stage: RestStage) -> set[bytes]:
    with stage.deps.views.snapshot() as snapshot:
        return set(snapshot.keys(BLOBS, b""))


def file_of(stage: RestStage, uri: str) -> Path:
    uuid = json.loads(stage.ask(f"{uri}/info").body)["Uuid"]
    return next(each for each in files(stage).values() if each.name == uuid)


def test_bytes_come_back_as_they_were_sent(stage: RestStage) -> None:
    for level, size_bytes in product(LEVELS, SIZES):
        uri, data = f"{path(stage, level)}/pdf", made_of(size_bytes)
        assert stage.ask(uri, "PUT", data).body == b"{}"
        answer = stage.ask(f"{uri}/data")
        assert (answer.status, answer.body) == (200, data)
        assert answer.headers["Content-Type"] == "application/pdf"
        assert stage.ask(f"{uri}/size").body == str(size_bytes).encode()
        assert stage.ask(f"{uri}/md5").body == hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
        assert stage.ask(f"{uri}/verify-md5", "POST").status == 200


def test_a_range_of_a_large_file(stage: RestStage) -> None:
    uri, data = f"{path(stage, 'series')}/pdf", made_of(SPILL_BYTES + 1)
    stage.ask(uri, "PUT", data)
    end = len(data) - 1
    ends = [(0, 0), (SPILL_BYTES - 1, SPILL_BYTES), (end, end), (1, SPILL_BYTES - 1), (5, None)]
    for first, last in ends:
        answer = stage.ask(f"{uri}/data", headers={"Range": f"bytes={first}-{'' if last is None else last}"})
        whole = end if last is None else last
        assert (answer.status, answer.body) == (206, data[first : whole + 1])
        assert answer.headers["Content-Range"] == f"bytes {first}-{whole}/{len(data)}"


def test_what_was_replaced_removed_or_deleted_leaves_no_file(stage: RestStage) -> None:
    uri = path(stage, "studies")
    for value in (b"one", b"two", made_of(SPILL_BYTES + 1)):
        stage.ask(f"{uri}/pdf", "PUT", value)
    stage.ask(f"{uri}/3000", "PUT", b"other")
    stage.ask(f"{uri}/3000", "DELETE")
    wait_for(lambda: files(stage).keys() == known(stage), "the old files to go")
    assert len(known(stage)) == 2
    stage.ask(uri.removesuffix("/attachments"), "DELETE")
    wait_for(lambda: not files(stage), "all files to go")


@pytest.mark.parametrize("size_bytes", [10, SPILL_BYTES + 1])
def test_a_full_disk_refuses_and_keeps_what_was_there(
    stage: RestStage, monkeypatch: pytest.MonkeyPatch, size_bytes: int
) -> None:
    uri = f"{path(stage, 'studies')}/pdf"
    stage.ask(uri, "PUT", b"kept")

    def refuse(*_: object, **__: object) -> None:
        raise StorageFull("no room")

    for step in ("write", "commit"):
        with monkeypatch.context() as patch:
            patch.setattr(BlobWriter, step, refuse)
            answer = stage.ask(uri, "PUT", made_of(size_bytes))
            assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (507, 19)
            assert stage.ask(f"{uri}/compress", "POST").status == 507
        assert stage.ask(f"{uri}/data").body == b"kept"
        assert stage.ask(f"{uri}/is-compressed").body == b"0"
        assert files(stage).keys() == known(stage)
    assert stage.ask(uri, "PUT", made_of(size_bytes)).status == 200


def test_a_body_that_breaks_off_changes_nothing(stage: RestStage) -> None:
    uri = f"{path(stage, 'studies')}/pdf"
    stage.ask(uri, "PUT", b"kept")
    head = f"PUT {uri} HTTP/1.1\r\nHost: x\r\nContent-Length: {2 * SPILL_BYTES}\r\n\r\n".encode()
    with serving(stage.app) as address, connect(address, head + made_of(SPILL_BYTES + 1)) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 400")
    assert stage.ask(f"{uri}/data").body == b"kept"
    assert files(stage).keys() == known(stage)


def test_compressed_or_not_the_content_is_the_same(stage: RestStage) -> None:
    base = path(stage, "instances")
    for size_bytes in SIZES:
        stage.ask(f"{base}/pdf", "PUT", made_of(size_bytes))
        for change, flag in (("compress", b"1"), ("compress", b"1"), ("uncompress", b"0"), ("compress", b"1")):
            assert stage.ask(f"{base}/pdf/{change}", "POST").body == b"{}"
            assert stage.ask(f"{base}/pdf/is-compressed").body == flag
            assert stage.ask(f"{base}/pdf/data").body == made_of(size_bytes)
            assert stage.ask(f"{base}/pdf/verify-md5", "POST").status == 200
            for first, last in ((0, 0), (size_bytes - 2, size_bytes - 1)):
                answer = stage.ask(f"{base}/pdf/data", headers={"Range": f"bytes={first}-{last}"})
                assert answer.status == 416 or answer.body == made_of(size_bytes)[first : last + 1]
    wait_for(lambda: len(files(stage)) == 2, "the old files to go")


def test_a_compressed_dicom_file_is_served_as_before(stage: RestStage) -> None:
    base = path(stage, "instances")
    one = base.removesuffix("/attachments")
    shown = [f"{one}/{below}" for below in ("file", "tags", "header", "content/0010-0010", "metadata?expand", "")]
    before = [stage.ask(uri).body for uri in shown[:-1]]
    name = file_of(stage, f"{base}/dicom").name
    assert stage.ask(f"{base}/dicom/compress", "POST").status == 200
    assert [stage.ask(uri).body for uri in shown[:-1]] == before
    assert file_of(stage, f"{base}/dicom").name != name
    assert json.loads(stage.ask(one).body)["FileSize"] == len(before[0])
    wait_for(lambda: len(files(stage)) == 1, "the old file to go")
    lying = json.loads(stage.ask("/statistics").body)["TotalDiskSize"]
    assert int(lying) == sum(file.stat().st_size for file in files(stage).values()) < len(before[0])
    assert stage.upload(before[0]).body.count(b"AlreadyStored") == 1
    assert stage.ask(f"{base}/dicom/uncompress", "POST").status == 200
    assert [stage.ask(uri).body for uri in shown[:-1]] == before


@pytest.mark.parametrize("is_compressed", [False, True])
def test_what_is_damaged_is_not_written_anew(stage: RestStage, *, is_compressed: bool) -> None:
    uri = f"{path(stage, 'studies')}/pdf"
    stage.ask(uri, "PUT", made_of(50_000))
    if is_compressed:
        stage.ask(f"{uri}/compress", "POST")
    file = file_of(stage, uri)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    answer = stage.ask(f"{uri}/{'uncompress' if is_compressed else 'compress'}", "POST")
    assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (500, 20)
    assert file_of(stage, uri) == file
    assert json.loads(stage.ask("/storage/status").body)["CountDamaged"] == 1


def test_what_is_set_meanwhile_is_what_is_compressed(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"{path(stage, 'studies')}/pdf"
    stage.ask(uri, "PUT", b"old " * 100)
    check, other = stage.deps.blobs.check_instance, iter([b"new " * 100])

    def overtake(file: StoredFile, expected: bytes = b"") -> None:
        check(file, expected)
        for value in other:
            assert stage.ask(uri, "PUT", value).status == 200

    monkeypatch.setattr(stage.deps.blobs, "check_instance", overtake)
    assert stage.ask(f"{uri}/compress", "POST").status == 200
    assert stage.ask(f"{uri}/data").body == b"new " * 100
    assert stage.ask(f"{uri}/is-compressed").body == b"1"
    wait_for(lambda: files(stage).keys() == known(stage), "the other files to go")


def truncate(file: Path) -> None:
    os.truncate(file, 1)


def alter(file: Path) -> None:
    file.write_bytes(b"x" + file.read_bytes()[1:])


@pytest.mark.parametrize(("harm", "kind"), [(Path.unlink, "missing"), (truncate, "truncated"), (alter, "altered")])
def test_a_damaged_file_is_an_error_and_on_the_list_until_it_is_set_again(
    stage: RestStage, harm: Callable[[Path], None], kind: str
) -> None:
    uri = f"{path(stage, 'studies')}/pdf"
    stage.ask(uri, "PUT", b"some bytes")
    harm(file_of(stage, uri))
    assert stage.ask(f"{uri}/verify-md5", "POST").status == 400
    answer = stage.ask(f"{uri}/data")
    assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (500, 20)
    wanted = f"the file of this attachment is {kind}; set it again, which replaces it"
    assert json.loads(answer.body)["Details"] == wanted
    (told,) = json.loads(stage.ask("/storage/status").body)["Damaged"]
    assert (told["Type"], told["Attachment"], told["Damage"], told["Size"]) == ("Study", "pdf", kind, 10)
    assert told["ID"] in uri
    stage.ask(uri, "PUT", b"some bytes")
    assert stage.ask(f"{uri}/data").body == b"some bytes"
    assert json.loads(stage.ask("/storage/status").body)["CountDamaged"] == 0


def test_all_damaged_files_of_one_resource_are_on_one_page(stage: RestStage) -> None:
    base = path(stage, "instances")
    for name in ("1024", "1030"):
        stage.ask(f"{base}/{name}", "PUT", b"some bytes")
    for name in ("dicom", "1024", "1030"):
        file_of(stage, f"{base}/{name}").unlink()
        stage.ask(f"{base}/{name}/data")
    page = json.loads(stage.ask("/storage/status?limit=1").body)
    assert [each["Attachment"] for each in page["Damaged"]] == ["dicom", "pdf", "1030"]
    assert page["Done"]
    following = json.loads(stage.ask(f"/storage/status?limit=1&since={page['Last']}").body)
    assert (following["Damaged"], following["Done"]) == ([], True)


def test_with_read_only_attachments_can_be_read_alone(archive: Core) -> None:
    with rest_stage(archive) as stage:
        stage.upload(encode(dataset(1, 1, 1, 1)))
        base = path(stage, "patients")
        stage.ask(f"{base}/1024", "PUT", b"kept")
    with rest_stage(archive, read_only=True) as stage:
        assert stage.ask(f"{base}/1024/data").body == b"kept"
        assert stage.ask(f"{base}/1024/verify-md5", "POST").status == 200
        assert stage.ask(f"{base}/1024", "PUT", b"x").status == 405
        assert stage.ask(f"{base}/1024", "DELETE").status == 405


def test_the_log_names_the_files(stage: RestStage) -> None:
    uri = f"{path(stage, 'studies')}/pdf"
    stage.ask(uri, "PUT", b"some bytes")
    name = file_of(stage, uri).name
    events = json.loads(stage.ask("/events").body)["Events"]
    (found,) = [each["Values"] for each in events if each["Tag"].startswith("attachment-")]
    assert (found["blob"], found["number"], found["size_bytes"], found["revision"]) == (name, 1024, 10, 0)
