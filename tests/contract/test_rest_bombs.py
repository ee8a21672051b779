"""What a small request can make large: nested JSON, gzip bodies, answers as XML; and names of hosts that are none."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

ROUTES = (
    ("POST", "/tools/dicom-echo"),
    ("PUT", "/modalities/known"),
    ("POST", "/modalities/known/echo"),
    ("POST", "/modalities/known/query"),
    ("POST", "/modalities/known/find"),
    ("POST", "/modalities/known/find-worklist"),
    ("POST", "/modalities/known/store"),
    ("POST", "/modalities/known/move"),
    ("POST", "/modalities/known/get"),
    ("PUT", "/tools/accepted-transfer-syntaxes"),
)
NESTED = {
    "arrays": (b"[", b"]"),
    "objects": (b'{"a":', b"}"),
    "a query": (b'{"Level": "Study", "Query": {"0040-0275": [', b"]}}"),
    "a field": (b'{"AET": "A", "Host": "127.0.0.1", "Port": 1, "Resources": [', b"]}"),
}


@pytest.fixture
def stage(archive: Core, tmp_path: Path) -> Iterator[RestStage]:
    with rest_stage(archive, temporary_directory=tmp_path) as stage:
        known = b'{"AET": "A", "Host": "127.0.0.1", "Port": 1}'
        assert stage.ask("/modalities/known", "PUT", known).status == 200
        yield stage


@pytest.mark.parametrize("kind", NESTED)
@pytest.mark.parametrize("depth", [101, 500, 990, 1000, 20_000])
def test_deep_json_is_a_bad_request_on_every_route(stage: RestStage, kind: str, depth: int) -> None:
    opening, closing = NESTED[kind]
    inner = (b"[", b"]") if kind in {"a query", "a field"} else (opening, closing)
    body = opening + inner[0] * (depth - 1) + b"1" + inner[1] * (depth - 1) + closing
    for method, route in ROUTES:
        assert stage.ask(route, method, body).status == 400, route


@pytest.mark.parametrize("host", ["\u00fc" * 80, "a" * 300, "\ufffd", "a\u0000b", ".."])
def test_a_host_that_can_be_none_is_unknown(stage: RestStage, host: str) -> None:
    body = json.dumps({"AET": "A", "Host": host, "Port": 104, "Timeout": 1}).encode()
    answer = stage.ask("/tools/dicom-echo", "POST", body)
    assert b'"OrthancStatus" : -1' not in answer.body
    assert b"connecting to AET" in answer.body or answer.status == 400


def test_a_gzip_bomb_is_refused_and_nothing_of_it_kept(archive: Core, tmp_path: Path) -> None:
    image = encode(dataset(1, 1, 1, 1, EncapsulatedDocument=bytes(3_000_000)))
    with rest_stage(archive, temporary_directory=tmp_path, maximum_file_size_in_archive_mb=2) as stage:
        answer = stage.ask("/instances", "POST", gzip.compress(image), {"Content-Encoding": "gzip"})
        assert answer.status == 400
        assert b"MaximumFileSizeInArchiveMB" in answer.body
        assert json.loads(stage.ask("/instances").body) == []


LISTS = ("GET /instances", "GET /instances?expand", "GET /patients/{}/instances-tags", "POST /tools/bulk-content")


@pytest.mark.parametrize("asked", LISTS)
def test_a_long_list_as_xml_comes_in_pieces_and_is_the_same(
    stage: RestStage, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 8):
        stage.upload(encode(dataset(1, 1, 1, number)))
    (patient,) = json.loads(stage.ask("/patients").body)
    method, path = asked.format(patient).split(" ")
    body = json.dumps({"Resources": json.loads(stage.ask("/instances").body)}).encode()
    ways = []
    for length in (2, 100):
        monkeypatch.setattr("api.rest.resources.CHUNK_RECORDS", length)
        monkeypatch.setattr("api.rest.bulk.CHUNK_RECORDS", length)
        monkeypatch.setattr("api.rest.bulk_tags.WHOLE_INSTANCES", length)
        ways.append(stage.ask(path, method, body if method == "POST" else b"", {"Accept": "application/xml"}))
    assert ways[0].body == ways[1].body
    assert ways[0].headers["Content-Type"] == "application/xml; charset=utf-8"
    if path != "/instances":  # a page of identifiers is one piece
        assert "Content-Length" not in ways[0].headers
