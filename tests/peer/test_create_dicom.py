"""`/tools/create-dicom` beside Orthanc: the same files and the same refusals."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import pytest

from tests.data_factory import dataset, encode
from tests.peer.changed_files import elements_of, masked
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

# When it was made, to the second.
TIMES = ("00080013", "00080030", "00080031", "00080032", "00080033")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(columns: int, bits: int, colour: int, *rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", columns, len(rows), bits, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def uri(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


GRAY = uri("image/png", png(3, 8, 0, bytes([1, 2, 3]), bytes([4, 5, 6])))
JPEG = uri("image/jpeg", bytes(imagecodecs.jpeg8_encode(np.arange(64, dtype="u1").reshape(8, 8))))
COLOURS = uri("image/jpeg", bytes(imagecodecs.jpeg8_encode(np.arange(768, dtype="u2").reshape(16, 16, 3).astype("u1"))))
PDF = uri("application/pdf", b"%PDF-1.4 hello")
PARENT = encode(
    dataset(
        5, 1, 1, 1, StudyDescription="Söt", SpecificCharacterSet="ISO_IR 192", PatientComments="pc", SeriesNumber="4"
    )
)

MADE: list[dict[str, Any]] = [
    {"Tags": {}}, {"PatientName": "x"}, {"Tags": {"PatientID": "x"}}, {"Tags": {"PatientName": "é中"}}, {"Tags": {"0008,0005": "ISO_IR 999"}},
    {"Tags": {"PatientName": "é", "SpecificCharacterSet": "ISO_IR 192", "PatientID": "X", "StudyDescription": "中"}},
    {"Tags": {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4", "PatientID": "Z", "StudyDate": "20000101",
              "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "Modality": "XX", "SeriesTime": ""}, "Force": True},
    {"Tags": {"ReferencedStudySequence": [{"PatientName": "q", "ReferencedSeriesSequence": [{}]}]}},
    {"Tags": {"0031,1001": "v", "0031,1002": "data:application/octet-stream;base64,QUJD"}},
    {"Tags": {"PatientName": "data:application/octet-stream;base64,QUJD"}, "InterpretBinaryTags": False},
    {"Tags": {}, "Content": []}, {"Tags": {}, "Content": GRAY}, {"Tags": {}, "Content": JPEG}, {"Tags": {}, "Content": COLOURS},
    {"Tags": {}, "Content": JPEG, "Encapsulate": True}, {"Tags": {}, "Content": COLOURS, "Encapsulate": True},
    {"Tags": {}, "Content": uri("image/png", png(2, 16, 0, struct.pack(">HH", 256, 513)))},
    {"Tags": {}, "Content": uri("image/png", png(2, 8, 2, bytes(range(6))))}, {"Tags": {}, "Content": uri("image/png", png(2, 8, 6, bytes(range(8))))},
    {"Tags": {"PatientName": "P"}, "Content": PDF}, {"Tags": {}, "Content": uri("model/stl", b"solid")}, {"Tags": {}, "Content": uri("model/obj", b"abc")},
    {"Tags": {}, "Content": uri("model/mtl", b"abc")}, {"Tags": {}, "Content": uri("application/octet-stream", b"abc")},
    {"Tags": {"PatientName": "multi"}, "Content": [GRAY, {"Content": GRAY, "Tags": {"InstanceNumber": "7", "ImageComments": "c"}}]},
    {"Parent": "ParentPatient", "Tags": {"ImageComments": "new"}}, {"Parent": "ParentStudy", "Tags": {"ImageComments": "new"}, "Content": GRAY},
    {"Parent": "ParentSeries", "Tags": {"InstanceNumber": "9"}},
]  # fmt: skip
REFUSED: list[Any] = [
    [], "", {"Tags": []}, {"Tags": {"Foo": "x"}}, {"Tags": {"PatientName": 3}}, {"Tags": {"StudyInstanceUID": "1.2"}},
    {"Tags": {"SOPInstanceUID": "1.2"}}, {"Tags": {"Rows": "x"}}, {"Tags": {}, "Content": 5}, {"Tags": {}, "Parent": "nope"}, {"Tags": {}, "Parent": 5},
    {"Tags": {}, "PrivateCreator": 4}, {"Tags": {"PixelData": GRAY}}, {"Tags": {}, "Content": uri("application/pdf", b"abc")},
    {"Parent": "ID", "Tags": {}}, {"Parent": "ParentStudy", "Tags": {"PatientName": "other"}}, {"Parent": "ParentSeries", "Tags": {"SeriesDescription": "o"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("create")) as made:
        yield made


@pytest.fixture(scope="module")
def parent(pair: Pair) -> dict[str, str]:
    """Where the instance is to which new ones are attached."""
    answers: list[Any] = [
        server.ask(Request("/instances", "POST", PARENT)).json() for server in (pair.ours, pair.theirs)
    ]
    assert answers[0]["ID"] == answers[1]["ID"]
    return dict(answers[0])


def create(server: Server, body: Any, parent: dict[str, str]) -> Answer:
    if isinstance(body, dict) and body.get("Parent") in parent:
        body = body | {"Parent": parent[body["Parent"]]}
    return server.ask(Request("/tools/create-dicom", "POST", json.dumps(body) if body != "" else ""))


def files(server: Server, told: dict[str, str]) -> list[dict[str, bytes]]:
    """What was made; an instance is gone then, so that it is nobody's parent."""
    ids: Any = [told["ID"]]
    if told["Path"].startswith("/series"):
        ids = [each["ID"] for each in server.get_json(f"{told['Path']}/instances")]  # type: ignore[attr-defined] # a list of objects
    found = [elements_of(server.get(f"/instances/{each}/file").body) for each in ids]
    for each in ids:
        server.ask(Request(f"/instances/{each}", "DELETE"))
    steady = [
        {key: b"now" if key in TIMES and value.strip() != b"TM" else value for key, value in each.items()}
        for each in found
    ]
    return [masked(each) for each in sorted(steady, key=lambda each: each.get("00200013", b""))]


@pytest.mark.parametrize("body", MADE, ids=lambda body: json.dumps(body)[:60])
def test_what_is_made_is_orthancs(pair: Pair, parent: dict[str, str], body: dict[str, Any]) -> None:
    answers = [create(server, body, parent) for server in (pair.ours, pair.theirs)]
    assert [answer.status for answer in answers] == [200, 200], answers[0].body
    told: list[Any] = [answer.json() for answer in answers]
    assert sorted(told[0]) == sorted(told[1])
    assert files(pair.ours, told[0]) == files(pair.theirs, told[1])


@pytest.mark.nightly
@pytest.mark.parametrize("body", REFUSED, ids=lambda body: json.dumps(body)[:60])
def test_what_cannot_be_made_is_refused_as_by_orthanc(pair: Pair, parent: dict[str, str], body: Any) -> None:
    ours, theirs = (create(server, body, parent) for server in (pair.ours, pair.theirs))
    assert ours.status == theirs.status >= 400
    assert ours.json() == theirs.json()
