"""Uploads of real clients: forms that end as they please, files in pieces; what is refused is not stored."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

KIND = {"Content-Type": "multipart/form-data; boundary = XX"}
_numbers = itertools.count(1)


@pytest.fixture
def stage(archive: Core, tmp_path: Path) -> Iterator[RestStage]:
    with rest_stage(archive, temporary_directory=tmp_path) as stage:
        yield stage
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def instance(size: int = 0) -> bytes:
    return encode(dataset(77, 1, 1, next(_numbers), EncapsulatedDocument=bytes(size) if size else None))


def form(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    head = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    return b"".join(head + part + b"\r\n" for part in parts) + b"--XX" + end


def count(stage: RestStage) -> int:
    return len(json.loads(stage.ask("/instances").body))


@pytest.mark.parametrize("end", [b"--\r\n", b"--", b"", b"\r\n", b"--\r\nepilogue"])
def test_a_form_of_whole_parts_is_stored(stage: RestStage, end: bytes) -> None:
    assert stage.ask("/instances", "POST", form(instance(), instance(), end=end), KIND).status == 200
    assert count(stage) == 2


@pytest.mark.parametrize("lost", [9, 10, 11, 60, 200, 700])
@pytest.mark.parametrize("size", [0, 1_500_000], ids=["in memory", "in a file"])
def test_a_form_that_is_cut_within_a_part_is_refused_and_nothing_of_it_stored(
    stage: RestStage, lost: int, size: int
) -> None:
    body = form(instance(size), instance(), instance())
    answer = stage.ask("/instances", "POST", body[:-lost], KIND)
    assert answer.status == 400
    assert b"does not end with the boundary" in answer.body
    assert count(stage) == 0
    assert stage.ask("/instances", "POST", body, KIND).status == 200
    assert count(stage) == 3


def test_a_file_in_pieces_is_stored_with_its_last_one(stage: RestStage) -> None:
    data = instance(3_000_000)
    headers = KIND | {"X-File-Name": "image.dcm", "X-File-Size": str(len(data))}
    step = 1_000_000
    for start in range(0, len(data), step):
        assert count(stage) == 0
        answer = stage.ask("/instances", "POST", form(data[start : start + step]), headers)
        assert (answer.status, answer.body) == (200, b"")
    (identifier,) = json.loads(stage.ask("/instances").body)
    assert stage.ask(f"/instances/{identifier}/file").body == data


def test_a_piece_that_is_cut_is_no_piece(stage: RestStage) -> None:
    data = instance()
    headers = KIND | {"X-File-Name": "image.dcm", "X-File-Size": str(len(data))}
    assert stage.ask("/instances", "POST", form(data[:100]), headers).status == 200
    assert stage.ask("/instances", "POST", form(data[100:])[:-30], headers).status == 400
    assert stage.ask("/instances", "POST", form(data[100:]), headers).status == 200
    assert count(stage) == 1


def test_pieces_of_what_is_no_image_are_refused_when_they_are_whole(stage: RestStage) -> None:
    headers = KIND | {"X-File-Name": "image.dcm", "X-File-Size": "8"}
    assert stage.ask("/instances", "POST", form(b"junk"), headers).status == 200
    assert stage.ask("/instances", "POST", form(b"junk"), headers).status == 400


@pytest.mark.parametrize(
    "headers", [{"X-File-Name": "a"}, {"X-File-Size": "7"}, {"X-File-Name": "a", "X-File-Size": "-7"}]
)
def test_pieces_that_are_not_described_are_refused(stage: RestStage, headers: dict[str, str]) -> None:
    answer = stage.ask("/instances", "POST", form(instance()), KIND | headers)
    assert answer.status == 400
    assert b"X-File-" in answer.body
    assert count(stage) == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/dicom+json", "application/dicom+json"),
        ("application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+json;q=1", "application/dicom"),
        ("application/xml", "application/dicom"),
        ("application/dicom, application/dicom+json", "application/dicom"),
        ("APPLICATION/DICOM+JSON", "application/dicom"),
        ("*/*", "application/dicom"),
    ],
)
def test_a_file_is_given_as_dicom_json_or_xml_where_orthanc_does(stage: RestStage, accept: str, kind: str) -> None:
    data = instance()
    identifier = json.loads(stage.upload(data).body)["ID"]
    answer = stage.ask(f"/instances/{identifier}/file", headers={"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    if kind == "application/dicom":
        assert answer.body == data
    elif kind.endswith("+xml"):
        assert "Content-Disposition" not in answer.headers
        assert re.search(rb'tag="00100020" vr="LO" keyword="PatientID">\s*<Value number="1">PAT77</Value>', answer.body)
    else:
        assert json.loads(answer.body)["00100020"] == {"Value": ["PAT77"], "vr": "LO"}
        assert answer.body.startswith(b'{\n\t"00080016" : \n\t{\n\t\t"Value" : \n\t\t[\n')
