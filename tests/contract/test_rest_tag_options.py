"""What the options about tags do to REST: `whole`, `PatientLevelEnabled`, `Dictionary`, `/tools/invalidate-tags`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from store.dicom.additions import Addition, Additions, set_additions
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import element, handmade, item
from tools.server.core import Core

BEHIND = handmade(
    1,
    (0x00110010, "LO", b"ACME"),
    (0x00111002, "UN", b"mine"),
    (0x7FE00010, "OW", b"abcd"),
    (0x7FE10010, "LO", b"ACME"),
    (0x7FE11001, "LO", b"behind"),
    (0xFFFAFFFA, "SQ", item(element(0x00080018, "UI", b"1.2\0"))),
)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        assert made.upload(BEHIND).status == 200
        yield made


def shown(stage: RestStage, path: str) -> Any:
    answer = stage.ask(path)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_what_follows_pixel_data_is_shown_where_the_whole_is_asked_for(stage: RestStage) -> None:
    path = f"/instances/{shown(stage, '/instances')[0]}"
    assert "7fe1,1001" not in shown(stage, f"{path}/tags?short&whole=false")
    whole = shown(stage, f"{path}/tags?short&whole")
    assert (whole["7fe0,0010"], whole["7fe1,1001"], whole["fffa,fffa"]) == (None, "behind", [{"0008,0018": "1.2"}])
    assert "DigitalSignaturesSequence" in shown(stage, f"{path}/simplified-tags?whole=1")
    assert stage.ask(f"{path}/tags?whole=x").status == 400


def test_private_tags_are_named_and_read_as_the_dictionary_has_them(stage: RestStage) -> None:
    path = f"/instances/{shown(stage, '/instances')[0]}"
    assert shown(stage, f"{path}/tags")["0011,1002"]["Value"] is None
    set_additions(Additions((Addition(0x00110002, "LO", "Mine", "ACME"),)))
    try:
        assert shown(stage, f"{path}/simplified-tags")["Mine"] == "mine"
        assert shown(stage, f"{path}/tags")["0011,1002"] == {
            "Name": "Mine",
            "PrivateCreator": "ACME",
            "Type": "String",
            "Value": "mine",
        }
    finally:
        set_additions(Additions())


def test_there_are_no_tags_to_invalidate(stage: RestStage) -> None:
    answer = stage.ask("/tools/invalidate-tags", "POST", b"whatever")
    assert (answer.status, answer.body) == (200, b"")
    assert stage.ask("/tools/invalidate-tags").status == 405


def test_without_the_level_of_patients_there_are_no_routes_to_it(archive: Core) -> None:
    with rest_stage(archive, patient_level_enabled=False) as stage:
        assert stage.upload(BEHIND).status == 200
        study = shown(stage, "/studies?expand")[0]
        for path in ("/patients", f"/patients/{study['ParentPatient']}", f"/studies/{study['ID']}/patient"):
            assert stage.ask(path).status == 404
        assert stage.ask(f"/patients/{study['ParentPatient']}/reconstruct", "POST").status == 404
        assert shown(stage, "/system")["PatientLevelEnabled"] is False
        assert study["PatientMainDicomTags"]["PatientID"] == "PAT8"
        assert shown(stage, f"/studies/{study['ID']}/series")
