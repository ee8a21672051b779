"""`DefaultPrivateCreator`: who reserves the block of a private element that a request gives without saying whose it is."""

import io
import json
from typing import Any

import pytest
from pydicom import dcmread

from tests.contract.rest_stage import rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core


@pytest.mark.parametrize(
    ("configured", "asked", "creator"),
    [("Acme", {}, "Acme"), ("Acme", {"PrivateCreator": "Other"}, "Other"), ("", {}, None)],
)
def test_a_block_is_reserved(archive: Core, configured: str, asked: dict[str, str], creator: str | None) -> None:
    with rest_stage(archive, default_private_creator=configured) as stage:
        identifier = json.loads(stage.upload(encode(dataset(1, 1, 1, 1))).body)["ID"]
        body: dict[str, Any] = {"Replace": {"0009,1001": "value"}} | asked
        answer = stage.ask(f"/instances/{identifier}/modify", "POST", json.dumps(body).encode())
    made = dcmread(io.BytesIO(answer.body))
    assert made[0x0009, 0x1001].value == b"value\0"  # UN
    element = made.get((0x0009, 0x0010))
    assert (None if element is None else element.value) == creator
