"""`/exports`: one row for each resource that a request named, whatever became of it since."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.rest.exports import log_exports
from events.identifiers import Level, parse_resource_id
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

LEVELS = {"patients": Level.PATIENT, "studies": Level.STUDY, "series": Level.SERIES, "instances": Level.INSTANCE}
PATIENT_ID, STUDY, SERIES, INSTANCE = "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, log_exported_resources=True) as made:
        assert made.upload(encode(dataset(1, 1, 1, 1))).status == 200
        yield made


def export(stage: RestStage, *collections: str) -> list[str]:
    """Log one resource of each kind as sent; returns their identifiers."""
    names = [json.loads(stage.ask(f"/{collection}").body)[0] for collection in collections]
    resources = [parse_resource_id(name) for name in names]
    pairs = [(LEVELS[collection], resource) for collection, resource in zip(collections, resources, strict=True)]
    log_exports(stage.deps, "pacs", [(level, resource) for level, resource in pairs if resource is not None], bytes(8))
    return names


def page(stage: RestStage, arguments: str = "") -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(stage.ask(f"/exports{arguments}").body)
    return shown


def test_a_row_names_the_resource_and_what_is_above(stage: RestStage) -> None:
    names = export(stage, *LEVELS)
    shown = page(stage)
    rows = shown["Exports"]
    assert [row["ID"] for row in rows] == names
    assert [row["ResourceType"] for row in rows] == ["Patient", "Study", "Series", "Instance"]
    assert {row["RemoteModality"] for row in rows} == {"pacs"}
    identifiers = [
        {PATIENT_ID},
        {PATIENT_ID, STUDY},
        {PATIENT_ID, STUDY, SERIES},
        {PATIENT_ID, STUDY, SERIES, INSTANCE},
    ]
    for row, has in zip(rows, identifiers, strict=True):
        assert row.keys() == has | {"Date", "ID", "Path", "RemoteModality", "ResourceType", "Seq"}
    tags = json.loads(stage.ask(f"/instances/{names[3]}/simplified-tags").body)
    assert {name: rows[3][name] for name in identifiers[3]} == {name: tags[name] for name in identifiers[3]}
    assert (shown["Done"], shown["First"], shown["Last"]) == (True, rows[0]["Seq"], rows[3]["Seq"])


def test_pages_are_cut_by_since_and_limit(stage: RestStage) -> None:
    export(stage, *LEVELS)
    seqs = [row["Seq"] for row in page(stage)["Exports"]]
    two = page(stage, f"?since={seqs[0]}&limit=2")
    assert [row["Seq"] for row in two["Exports"]] == seqs[1:3]
    assert not two["Done"]
    assert page(stage, f"?since={seqs[1]}&limit=2")["Done"]
    assert [row["Seq"] for row in page(stage, "?last&since=9999")["Exports"]] == seqs[-1:]
    assert page(stage, "?limit=0") == {"Done": False, "Exports": [], "Last": 0}
    assert page(stage, "?limit=-1") == {"Done": True, "Exports": [], "Last": 0}
    assert page(stage, "?since=9999") == {"Done": True, "Exports": [], "Last": 9999}
    assert [row["Seq"] for row in page(stage, "?since=x&limit=1")["Exports"]] == seqs


def test_rows_outlive_their_resource_until_they_are_cleared(stage: RestStage) -> None:
    (name,) = export(stage, "patients")
    assert stage.ask(f"/patients/{name}", "DELETE").status == 200
    assert [row["ID"] for row in page(stage)["Exports"]] == [name]
    assert stage.ask("/exports", "DELETE").status == 200
    assert page(stage) == {"Done": True, "Exports": [], "Last": 0}


def test_nothing_is_logged_unless_it_is_asked_for(archive: Core) -> None:
    with rest_stage(archive) as stage:
        assert stage.upload(encode(dataset(1, 1, 1, 1))).status == 200
        export(stage, "studies")
        assert page(stage)["Exports"] == []
