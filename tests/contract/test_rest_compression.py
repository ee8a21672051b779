"""A compressed file is read like one that is not, by every route; a damaged one is an error, wherever the damage lies."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors.services.ingest.settings import IngestSettings
from events.errors import DamagedFile
from store.blobs.store import MAPPED_BYTES, UNPACKED_BYTES
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.data_factory import add_pixels, all_files, dataset, encode
from tools.server.core import Core

READ = (
    *("file", "tags", "tags?whole", "tags?simplify", "tags?short", "simplified-tags", "tags?ignore-length=PixelData", "header", "content"),
    *("content/7fe0-0010", "content/7fe0-0010/0", "content/PatientID", "module", "attachments/dicom/data", "metadata?expand"),
    *("attachments/dicom/size", "attachments/dicom/md5"),
)  # fmt: skip
RANGES = ("bytes=0-0", "bytes=130-300", "bytes=-20", "bytes=500-", "bytes=999999999-")


@contextmanager
def storing(archive: Core, *, compress: bool) -> Iterator[RestStage]:
    with rest_stage(archive, incoming=IngestSettings(compress=compress, sync=False)) as stage:
        yield stage


@pytest.fixture
def compressed(archive: Core) -> Iterator[RestStage]:
    with storing(archive, compress=True) as stage:
        yield stage


def with_noise(patient: int, pixel_bytes: int) -> bytes:
    made = add_pixels(dataset(patient))
    made.PixelData = random.Random(patient).randbytes(pixel_bytes)
    return encode(made)


def answers(stage: RestStage, path: str) -> Iterator[tuple[str, Answer]]:
    for route in READ:
        answer = stage.ask(f"{path}/{route}")
        body = b"" if "expand" in route else answer.body  # the time of reception is another, and the name of the file
        headers = {name: value for name, value in answer.headers.items() if name != "Content-Disposition"}
        yield route, Answer(answer.status, headers, body)
    yield "DICOM JSON", stage.ask(f"{path}/file", headers={"Accept": "application/dicom+json"})
    for wanted in RANGES:
        yield wanted, stage.ask(f"{path}/attachments/dicom/data", headers={"Range": wanted})


def test_every_route_answers_alike(archive: Core) -> None:
    large = with_noise(77, UNPACKED_BYTES + 1_000)
    assert len(large) > UNPACKED_BYTES > MAPPED_BYTES
    samples = [each.data for each in all_files()[::7]]
    seen: list[dict[str, dict[str, Answer]]] = []
    for compress in (True, False):
        with storing(archive, compress=compress) as stage:
            found: dict[str, dict[str, Answer]] = {}
            for data in [*samples, large]:
                answer = stage.upload(data)
                if answer.status == 200:
                    path = json.loads(answer.body)["Path"]
                    assert stage.ask(f"{path}/attachments/dicom/is-compressed").body == b"%d" % compress
                    assert stage.ask(f"{path}/file").body == data
                    found[path] = dict(answers(stage, path))
            seen.append(found)
            for path in found:
                assert stage.ask(path, "DELETE").status == 200
    compressed, plain = seen
    assert len(compressed) > 10
    assert compressed.keys() == plain.keys()
    for path, expected in plain.items():
        assert [route for route, answer in expected.items() if answer != compressed[path][route]] == []


def test_a_restart_with_another_value_converts_nothing_and_reads_both(archive: Core) -> None:
    files = {compress: encode(add_pixels(dataset(80 + compress))) for compress in (True, False)}
    for compress, data in files.items():
        with storing(archive, compress=compress) as stage:
            assert stage.upload(data).status == 200
            assert stage.upload(files[True]).status == 200  # what is there stays as it is
    with storing(archive, compress=True) as stage:
        kept = {}
        for instance in json.loads(stage.ask("/instances").body):
            path = f"/instances/{instance}"
            kept[stage.ask(f"{path}/file").body] = stage.ask(f"{path}/attachments/dicom/is-compressed").body
    assert kept == {files[True]: b"1", files[False]: b"0"}


@pytest.mark.parametrize("size", [400, 2_000_000], ids=["small", "large"])
@pytest.mark.parametrize("digests", [True, False])
def test_damage_is_an_error_to_who_reads_it(archive: Core, *, size: int, digests: bool) -> None:
    """Without digests the stream tells of it, as far as it is read: tags lie before the damage here."""
    data = with_noise(90, size)
    with rest_stage(archive, incoming=IngestSettings(compress=True, hash=digests, sync=False)) as stage:
        path = json.loads(stage.upload(data).body)["Path"]
        uuid = json.loads(stage.ask(f"{path}/attachments/dicom/info").body)["Uuid"]
        (file,) = (each for each in stage.deps.blobs.root.rglob(uuid))
        lying = bytearray(file.read_bytes())
        lying[-40] ^= 1
        file.write_bytes(lying)
        for route in ("file", "content/7fe0-0010/0", "attachments/dicom/data"):
            assert_refused(stage, f"{path}/{route}")
        assert stage.ask(f"{path}/simplified-tags").status == (500 if digests and size < MAPPED_BYTES else 200)
        assert json.loads(stage.ask("/storage/status").body)["CountDamaged"] == 1
        assert stage.upload(data).status == 200
        if digests:
            assert stage.ask(f"{path}/file").body == data


def assert_refused(stage: RestStage, path: str) -> None:
    """As an answer, or, where that has begun, by its end."""
    try:
        answer = stage.ask(path)
    except DamagedFile:
        return
    assert answer.status == 500
    assert json.loads(answer.body)["OrthancStatus"] == 20


def test_attachments_are_compressed_as_well(compressed: RestStage) -> None:
    path = json.loads(compressed.upload(encode(dataset(3))).body)["Path"]
    body = b"text " * 1_000
    assert compressed.ask(f"{path}/attachments/1024", "PUT", body).status == 200
    shown = json.loads(compressed.ask(f"{path}/attachments/1024/info").body)
    assert shown["UncompressedSize"] == len(body) > shown["CompressedSize"] * 10
    assert compressed.ask(f"{path}/attachments/1024/data").body == body
    assert compressed.ask(f"{path}/attachments/1024/data", headers={"Range": "bytes=7-11"}).body == body[7:12]
    (file,) = compressed.deps.blobs.root.rglob(shown["Uuid"])
    assert len(file.read_bytes()) == shown["CompressedSize"]


def test_a_file_without_pixels_has_no_beginning(compressed: RestStage) -> None:
    for data, names in (
        (encode(dataset(4)), ["dicom"]),
        (encode(add_pixels(dataset(5))), ["dicom", "dicom-until-pixel-data"]),
    ):
        path = json.loads(compressed.upload(data).body)["Path"]
        assert json.loads(compressed.ask(f"{path}/attachments").body) == names
