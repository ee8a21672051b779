"""What a change would do to the tags of an instance is told, and is not done."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.rest_stage import RestStage, rest_stage
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
