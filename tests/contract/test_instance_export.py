"""`/instances/{id}/export`: whoever may ask for it can write files, so it is off, and what it writes is whole or not there."""

import json
from pathlib import Path

import pytest

from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

FILE = encode(dataset(1, 1, 1, 1))


def export(archive: Core, target: str, *, is_on: bool) -> Answer:
    with rest_stage(archive, write_to_file_system_enabled=is_on) as stage:
        path = f"/instances/{_store(stage)}/export"
        return stage.ask(path, "POST", target.encode())


def _store(stage: RestStage) -> str:
    identifier: str = json.loads(stage.upload(FILE).body)["ID"]
    return identifier


def test_it_is_off(archive: Core, tmp_path: Path) -> None:
    answer = export(archive, str(tmp_path / "made.dcm"), is_on=False)
    assert answer.status == 403
    assert list(tmp_path.glob("made*")) == []


def test_the_file_is_written_where_the_body_says(archive: Core, tmp_path: Path) -> None:
    target = tmp_path / "made.dcm"
    target.write_bytes(b"what was there before, longer than the file" * 1000)
    answer = export(archive, str(target), is_on=True)
    assert (answer.status, answer.body) == (200, b"{}")
    assert target.read_bytes() == FILE


@pytest.mark.parametrize("where", ["", "missing/made.dcm", "."])
def test_a_place_that_cannot_be_written_is_told(archive: Core, tmp_path: Path, where: str) -> None:
    answer = export(archive, str(tmp_path / where) if where else "", is_on=True)
    assert answer.status == 500, answer
    assert list(tmp_path.glob(".*")) == []
