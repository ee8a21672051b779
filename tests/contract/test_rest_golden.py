"""The REST API answers as a real Orthanc was seen to answer: golden exchanges, byte for byte.

Intended differences: `IsProtected` of patients, which Orthanc shows since 1.12.11 (its OpenAPI document).
"""

from collections.abc import Iterator

import pytest

from actors.messages.dicomweb_settings import DicomWebSettings
from tests.contract import rest_exchanges
from tests.contract.rest_exchanges import Request
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tools.server.core import Core


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, dicom_web=DicomWebSettings(is_enabled=False)) as made:  # the golden server had no plugins
        yield made


def send(stage: RestStage, request: Request) -> Answer:
    body = rest_exchanges.samples()[request.upload] if request.upload else request.body.encode()
    return stage.ask(request.path, request.method, body, request.headers)


def without_news(body: bytes) -> bytes:
    """Take out what 1.12.7 does not show yet."""
    return b"\n".join(line for line in body.split(b"\n") if b'"IsProtected"' not in line)


def test_every_golden_exchange_is_answered_alike(stage: RestStage) -> None:
    ids = rest_exchanges.levels(stage.upload(rest_exchanges.samples()["first"]).body)
    stage.ask(f"/patients/{ids['patient']}", "DELETE")
    stage.ask("/changes", "DELETE")
    golden = rest_exchanges.golden()
    requests = rest_exchanges.requests(ids)
    assert [(row["method"], row["path"]) for row in golden] == [(r.method, r.path) for r in requests]
    different = []
    for request, expected in zip(requests, golden, strict=True):
        answer = send(stage, request)
        ours = rest_exchanges.answer(answer.status, answer.headers, without_news(answer.body))
        theirs = {name: expected[name] for name in ours}
        if ours != theirs:
            different.append((request, ours, theirs))
    assert different == []
