"""`HttpCompressionEnabled`: what is compressed, for whom, and how; expectations were compared with Orthanc 1.12.7."""

import gzip
import json
import zlib
from collections.abc import Iterator

import pytest

from tests.contract.rest_stage import RestStage, rest_stage
from tests.data_factory import dataset, encode
from tools.server.core import Core


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, http_compression_enabled=True) as made:
        for instance in range(1, 11):
            assert made.upload(encode(dataset(instance, 1, 1, 1, PatientComments="comment " * 400))).status == 200
        yield made


CODINGS = {
    "": None, "gzip": "gzip", "deflate": "deflate", "gzip, deflate": "gzip", "deflate,gzip": "gzip", " gzip ": "gzip", "br, gzip": "gzip",
    "br": None, "identity": None, "*": None, "notgzip": None, "gzipx": None, "gzip;q=0": None, "gzip;q=0, deflate": "deflate",
    "gzip;q=0.5": "gzip", "gzip;q=nonsense": None, "GZIP": "gzip",
}  # fmt: skip


@pytest.mark.parametrize(("accepted", "coding"), CODINGS.items())
def test_a_client_gets_the_coding_it_takes(stage: RestStage, accepted: str, coding: str | None) -> None:
    plain = stage.ask("/changes")
    answer = stage.ask("/changes", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    body = answer.body
    if coding is not None:
        body = gzip.decompress(body) if coding == "gzip" else zlib.decompress(body)
    assert body == plain.body
    assert (coding is None) is (len(answer.body) == len(plain.body))


@pytest.mark.parametrize(
    ("path", "is_compressed"),
    [
        ("/changes", True),
        ("/instances?expand", True),
        ("/statistics", False),  # short
        ("/nope", False),
        ("/instances/{0}/tags", True),
        ("/instances/{0}/file", False),
        ("/instances/{0}/content/0010-4000", False),
    ],
)
def test_long_text_is_compressed_and_nothing_else(stage: RestStage, path: str, is_compressed: bool) -> None:
    [instance] = json.loads(stage.ask("/instances?limit=1&since=0").body)
    answer = stage.ask(path.format(instance), headers={"Accept-Encoding": "gzip"})
    assert (answer.headers.get("Content-Encoding") == "gzip") is is_compressed


@pytest.mark.parametrize("accepted", ["application/dicom+json", "application/dicom+xml"])
def test_a_dataset_as_text_is_compressed(stage: RestStage, accepted: str) -> None:
    [instance] = json.loads(stage.ask("/instances?limit=1&since=0").body)
    answer = stage.ask(f"/instances/{instance}/file", headers={"Accept": accepted, "Accept-Encoding": "gzip"})
    assert (answer.headers["Content-Type"], answer.headers["Content-Encoding"]) == (accepted, "gzip")
    assert b"comment comment" in gzip.decompress(answer.body)


def test_a_strong_tag_is_weak_where_the_bytes_are_others_and_still_names_the_revision(archive: Core) -> None:
    with rest_stage(archive, http_compression_enabled=True, check_revisions=True) as stage:
        stage.upload(encode(dataset(1, 1, 1, 1)))
        [patient] = json.loads(stage.ask("/patients").body)
        path = f"/patients/{patient}/metadata/1024"
        assert stage.ask(path, "PUT", b"text " * 1000).headers["Etag"] == '"0"'
        assert stage.ask(path).headers["Etag"] == '"0"'
        packed = stage.ask(path, headers={"Accept-Encoding": "gzip"})
        assert (packed.headers["Content-Encoding"], packed.headers["Etag"]) == ("gzip", 'W/"0"')
        assert stage.ask(path, headers={"If-None-Match": 'W/"0"'}).status == 304
        assert stage.ask(path, "PUT", b"other", {"If-Match": 'W/"1"'}).status == 409
        assert stage.ask(path, "PUT", b"other", {"If-Match": 'W/"0"'}).status == 200


def test_it_is_off_by_default(archive: Core) -> None:
    with rest_stage(archive) as stage:
        for instance in range(1, 8):
            stage.upload(encode(dataset(instance, 1, 1, 1)))
        answer = stage.ask("/changes", headers={"Accept-Encoding": "gzip"})
    assert len(answer.body) > 2048
    assert answer.headers.keys().isdisjoint({"Content-Encoding", "Vary"})
