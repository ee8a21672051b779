"""The requests that viewers make, one after the other, with their headers, and what they read of the answers.

OHIF's were recorded from OHIF 3.12 in a browser (`tests/peer/viewers`), Weasis's are those of its command `dicom:rs` and of its manifests for
WADO-URI, those of 3D Slicer and MONAI Label are what they have dicomweb-client do (`tests/peer/clients/test_dicomweb_client.py`).
"""

import json
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from io import BytesIO
from typing import Any, Final
from urllib.parse import quote, urlsplit

import pytest
from pydicom import dcmread

from tests import ct_phantoms as phantoms
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tools.core_settings import CoreSettings
from tools.server.core import Core

JSON: Final = "application/dicom+json"
FRAMES: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'  # as OHIF writes it
FILES: Final = 'multipart/related;type="application/dicom";transfer-syntax=*'  # as Weasis does
JAVA: Final = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"  # what Java sends where a program names no types
STUDY: Final = phantoms.STUDIES["JPEG 2000"]
SERIES: Final = f"{STUDY}.1"
SYNTAX: Final = "1.2.840.10008.1.2.4.90"
OF_STUDIES: Final = "00080020,00080030,00080050,00080061,00080090,00081030,00100010,00100020,00100021,00100030,00100040,0020000D,00200010"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    """An archive with a compressed CT, and one of another patient; tests only read."""
    place = tmp_path_factory.mktemp("archive")
    core = Core(CoreSettings(index_directory=place, storage_directory=place))
    with rest_stage(core) as made:
        for name in ("JPEG 2000", "plain"):
            for file in phantoms.files(name):
                assert made.upload(file).status == 200
        yield made
    core.stop()


def get(stage: RestStage, path: str, accept: str | None) -> Answer:
    """Ask, and expect a success."""
    answer = stage.ask(path, headers={} if accept is None else {"Accept": accept})
    assert answer.status == 200, (path, answer)
    return answer


def datasets(stage: RestStage, path: str, accept: str | None = JSON) -> list[dict[str, Any]]:
    answer = get(stage, path, accept)
    assert answer.headers["Content-Type"] == JSON
    listed: list[dict[str, Any]] = json.loads(answer.body)
    return listed


def parts(answer: Answer) -> list[Message]:
    """Return the parts of a multipart answer, read by the standard library."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.body)
    assert message.get_content_type() == "multipart/related"
    return [part for part in message.get_payload() if isinstance(part, Message)]


def body_of(part: Message) -> bytes:
    body = part.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body


def value(dataset: dict[str, Any], tag: str) -> Any:
    return dataset[tag]["Value"][0]


def below_root(url: str) -> str:
    """Return what a client asks for when it follows an address of an answer."""
    parts_of_url = urlsplit(url)
    return parts_of_url.path + (f"?{parts_of_url.query}" if parts_of_url.query else "")


def test_ohif_lists_studies(stage: RestStage) -> None:
    listed = datasets(
        stage, "/dicom-web/studies?limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
    )
    assert {value(each, "0020000D") for each in listed} == {STUDY, phantoms.STUDIES["plain"]}
    for each in listed:
        assert value(each, "00081030") == "Moving bar"
        assert value(each, "00100010")["Alphabetic"] == "Phantom^Ct"
        assert (value(each, "00080020"), value(each, "00080050")) == ("20260101", "A1")
        assert each["00080061"]["Value"] == ["CT"]
        assert value(each, "00201208") == phantoms.SLICES


def test_ohif_opens_a_study_by_its_link(stage: RestStage) -> None:
    asked = "limit=101&offset=0&fuzzymatching=false&includefield=00081030%2C00080060"
    [study] = datasets(stage, f"/dicom-web/studies?{asked}&StudyInstanceUID={STUDY}")
    patient = value(study, "00100020")
    assert [value(each, "0020000D") for each in datasets(stage, f"/dicom-web/studies?00100020={patient}&{asked}")] == [
        STUDY
    ]
    [series] = datasets(
        stage, f"/dicom-web/studies/{STUDY}/series?includefield=00080021%2C00080031%2C0008103E%2C00200011"
    )
    assert (value(series, "0020000E"), value(series, "00080060"), value(series, "0008103E")) == (SERIES, "CT", "Axial")
    assert value(series, "00200011") == 1
    metadata = datasets(stage, f"/dicom-web/studies/{STUDY}/series/{SERIES}/metadata")
    assert len(metadata) == phantoms.SLICES
    for each in metadata:
        assert (value(each, "00280010"), value(each, "00280011")) == (phantoms.SIZE, phantoms.SIZE)
        # PS3.18 §F.2.3: DS is a number or a text.
        assert [float(value(each, tag)) for tag in ("00281050", "00281051", "00281052")] == [40, 400, -1024]
        assert list(map(float, each["00200037"]["Value"])) == [1, 0, 0, 0, 1, 0]
        assert "Value" not in each.get("7FE00010", {})
        assert "InlineBinary" not in each.get("7FE00010", {})


def test_ohif_draws_a_frame_in_the_syntax_in_which_it_is_stored(stage: RestStage) -> None:
    for number in range(phantoms.SLICES):
        instance = f"{SERIES}.{number + 1}"
        answer = get(stage, f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{instance}/frames/1", FRAMES)
        [part] = parts(answer)
        assert (part.get_content_type(), part.get_param("transfer-syntax")) == ("image/jp2", SYNTAX)
        assert body_of(part).startswith(b"\xff\x4f\xff\x51")


def test_ohif_draws_uncompressed_frames(stage: RestStage) -> None:
    study = phantoms.STUDIES["plain"]
    answer = get(stage, f"/dicom-web/studies/{study}/series/{study}.1/instances/{study}.1.3/frames/1", FRAMES)
    [part] = parts(answer)
    assert part.get_content_type() == "application/octet-stream"
    assert part.get_param("transfer-syntax") in {None, "1.2.840.10008.1.2.1"}
    assert body_of(part) == phantoms.stored(2).tobytes()


@pytest.mark.parametrize("accept", [None, JAVA, "*/*"])
@pytest.mark.parametrize(
    "filters", [f"0020000D={STUDY}", "00100020={patient}", f"00100020={{patient}}&00100021=&0020000D={STUDY}"]
)
def test_weasis_gathers_studies_and_series(stage: RestStage, accept: str | None, filters: str) -> None:
    filters = filters.format(patient=STUDY[-3:])
    [study] = datasets(stage, f"/dicom-web/studies?{filters}&includefield={OF_STUDIES}", accept)
    assert (value(study, "0020000D"), value(study, "00200010"), value(study, "00080030")) == (STUDY, "1", "101010")
    [series] = datasets(
        stage, f"/dicom-web/studies/{STUDY}/series?includefield=0008103E,00080060,0020000E,00200011,00081190", accept
    )
    path = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances?includefield=00080018,00200013,00081190"
    instances = datasets(stage, path, accept)
    assert sorted(value(each, "00200013") for each in instances) == list(range(1, phantoms.SLICES + 1))
    for each in instances:
        url = value(each, "00081190")
        assert url.startswith(f"{value(series, '00081190')}/instances/")
        [part] = parts(get(stage, below_root(url), FILES))
        assert part.get_content_type() == "application/dicom"
        dataset = dcmread(BytesIO(body_of(part)))
        assert (dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID) == (value(each, "00080018"), SYNTAX)


@pytest.mark.parametrize(
    ("level", "uid"),
    [("series", f"0020000E={SERIES}"), ("instances", f"00080018={SERIES}.3"), ("studies", "00080050=A1")],
)
def test_weasis_opens_what_a_link_names(stage: RestStage, level: str, uid: str) -> None:
    fields = f"{OF_STUDIES},0008103E,00080060,0020000E,00200011,00200013,00081190"
    listed = datasets(stage, f"/dicom-web/{level}?{uid}&includefield={fields}", JAVA)
    assert STUDY in {value(each, "0020000D") for each in listed}
    for each in listed:
        assert value(each, "00081030") == "Moving bar"
        assert value(each, "00100010")["Alphabetic"] == "Phantom^Ct"


def test_weasis_retrieves_by_a_manifest_of_wado_uri(stage: RestStage) -> None:
    asked = f"requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={SERIES}.2"
    plain = get(stage, f"/wado?{asked}&contentType={quote('application/dicom', safe='')}&transferSyntax={SYNTAX}", JAVA)
    assert plain.headers["Content-Type"] == "application/dicom"
    assert dcmread(BytesIO(plain.body)).file_meta.TransferSyntaxUID == SYNTAX
    picture = get(
        stage, f"/wado?{asked}&contentType={quote('image/jpeg', safe='')}&imageQuality=70&rows=64&columns=64", JAVA
    )
    assert (picture.headers["Content-Type"], picture.body[:2]) == ("image/jpeg", b"\xff\xd8")


def test_a_study_that_is_not_there_is_an_empty_list(stage: RestStage) -> None:
    answer = stage.ask("/dicom-web/studies?StudyInstanceUID=1.2.3", headers={"Accept": JSON})
    assert (answer.status, answer.body) in {(204, b""), (200, b"[]")}
