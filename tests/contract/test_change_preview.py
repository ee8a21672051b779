"""What a change would do to the tags of an instance is told, and is not done."""

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from api.rest import change_preview
from tests.contract.rest_stage import RestStage, error_of, rest_stage
from tests.dicom_bytes import add_pixels, dataset, encode, uid
from tools.server.core import Core

STUDY, SERIES, INSTANCE = "0020,000d", "0020,000e", "0008,0018"
NAME, PATIENT_ID, DESCRIPTION, SEX, INSTITUTION = "0010,0010", "0010,0020", "0008,1030", "0010,0040", "0008,0080"


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        assert made.upload(encode(add_pixels(dataset()))).status == 200
        yield made


def preview(stage: RestStage, verb: str, **body: object) -> tuple[dict[str, Any], dict[str, Any]]:
    (instance,) = json.loads(stage.ask("/instances").body)
    answer = stage.ask(f"/instances/{instance}/{verb}/preview", "POST", json.dumps(body).encode())
    assert answer.status == 200, answer
    told = json.loads(answer.body)
    return told["Before"], told["After"]


def drawn(tags: dict[str, Any]) -> set[str]:
    return {number for number, tag in tags.items() if tag.get("IsDrawn")}


def test_an_anonymisation_is_told_and_leaves_no_trace(stage: RestStage) -> None:
    head = stage.ask("/events/head").body
    before, after = preview(stage, "anonymize", Keep=["StudyDescription"])
    (instance,) = json.loads(stage.ask("/instances").body)
    assert before == json.loads(stage.ask(f"/instances/{instance}/tags").body)
    assert after[DESCRIPTION] == before[DESCRIPTION]
    assert INSTITUTION in before
    assert INSTITUTION not in after
    assert drawn(after) == {STUDY, SERIES, INSTANCE, NAME, PATIENT_ID}
    assert stage.ask("/events/head").body == head


def test_what_the_request_says_is_not_drawn(stage: RestStage) -> None:
    _, after = preview(stage, "anonymize", Replace={"PatientName": "A", "PatientID": "B"}, Force=True)
    assert (after[NAME]["Value"], after[PATIENT_ID]["Value"]) == ("A", "B")
    assert drawn(after) == {STUDY, SERIES, INSTANCE}


@pytest.mark.parametrize(
    ("level", "new"),
    [
        ("Study", {STUDY, SERIES, INSTANCE}),
        ("Series", {SERIES, INSTANCE}),
        ("Instance", {INSTANCE}),
        (None, {INSTANCE}),
    ],
)
def test_a_modification_draws_what_is_new_at_its_level(stage: RestStage, level: str | None, new: set[str]) -> None:
    body = {"Replace": {"StudyDescription": "Neck"}, "Remove": ["PatientSex"], **({"Level": level} if level else {})}
    before, after = preview(stage, "modify", **body)
    assert (before[DESCRIPTION]["Value"], after[DESCRIPTION]["Value"]) == ("Study 1 of patient 1", "Neck")
    assert SEX not in after
    assert drawn(after) == new
    assert {number for number in before if number not in drawn(after) and before[number] != after.get(number)} == {
        DESCRIPTION,
        SEX,
    }
    assert before[STUDY]["Value"] == uid(1, 1)


def test_a_request_that_would_be_refused_is_refused_here(stage: RestStage) -> None:
    (instance,) = json.loads(stage.ask("/instances").body)
    for verb, body in (
        ("modify", {"Replace": {"SOPInstanceUID": "1.2"}}),  # without Force
        ("modify", {"Level": "Frame"}),
        ("anonymize", {"DicomVersion": "1993"}),
    ):
        answer = stage.ask(f"/instances/{instance}/{verb}/preview", "POST", json.dumps(body).encode())
        assert answer.status == 400, (verb, body)
    assert stage.ask(f"/instances/{instance[:-1]}0/modify/preview", "POST", b"{}").status == 404


def large(stage: RestStage, syntax: str, **values: Any) -> dict[str, Any]:
    """Store an instance with such values instead; returns its changed tags, without what was drawn."""
    (instance,) = json.loads(stage.ask("/instances").body)
    assert stage.ask(f"/instances/{instance}", "DELETE").status == 200
    assert stage.upload(encode(dataset(**values), syntax)).status == 200
    _, after = preview(stage, "modify", Replace={"StudyDescription": "Neck"}, Remove=["PatientSex"])
    return {number: tag | {"Value": None} if "IsDrawn" in tag else tag for number, tag in after.items()}


SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_of_a_large_file_the_same_is_told(stage: RestStage, monkeypatch: pytest.MonkeyPatch, syntax: str) -> None:
    """The document is followed by other values, and the text is of odd length."""
    values = {
        "TextValue": "x" * 70_001,
        "EncapsulatedDocument": b"%PDF" * 50_000,
        "MIMETypeOfEncapsulatedDocument": "text/xml",
    }
    whole = large(stage, syntax, **values)
    monkeypatch.setattr(change_preview, "MOST_BYTES", 200_000)
    assert len(whole) > 20
    assert large(stage, syntax, **values) == whole


def test_compressed_pixels_far_behind_take_no_part(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    item = Dataset()
    item.TextValue = "x" * (5 << 20)  # so that the file is read as a whole
    pixels = {"PixelData": encapsulate([b"12" * 50_000] * 80), "ReferencedImageSequence": Sequence([item])}
    whole = large(stage, JPEGBaseline8Bit, **pixels)
    monkeypatch.setattr(change_preview, "MOST_BYTES", 6 << 20)
    assert large(stage, JPEGBaseline8Bit, **pixels) == whole


def test_a_large_document_takes_little_memory(stage: RestStage) -> None:
    large(stage, ExplicitVRLittleEndian, EncapsulatedDocument=bytes(change_preview.MOST_BYTES + 2))
    tracemalloc.start()
    try:
        preview(stage, "modify", Replace={"StudyDescription": "Neck"})
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_large_sequences_are_refused_with_a_sentence(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    item = Dataset()
    item.TextValue = "x" * (5 << 20)
    large(stage, ExplicitVRLittleEndian, ReferencedImageSequence=Sequence([item]))
    monkeypatch.setattr(change_preview, "MOST_BYTES", 4 << 20)
    (instance,) = json.loads(stage.ask("/instances").body)
    answer = stage.ask(f"/instances/{instance}/anonymize/preview", "POST", b"{}")
    assert answer.status == 400
    assert "its sequences have 5 MB, and 4 MB at most" in error_of(answer)[2]
