"""`/{level}/{id}/metadata` beyond what the peer tests compare: limits, ReadOnly, and where Orthanc's book and 1.12.7 differ."""

import json
from collections.abc import Iterator

import pytest

from actors.messages.commands.metadata import MAX_VALUE_BYTES
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tests.peer.test_metadata import LEVELS
from tools.server.core import Core


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, user_metadata={"note": 1024}) as made:
        assert made.upload(encode(dataset(1, 1, 1, 1))).status == 200
        yield made


def path(stage: RestStage, level: str) -> str:
    (identifier,) = json.loads(stage.ask(f"/{level}").body)
    return f"/{level}/{identifier}/metadata"


@pytest.mark.parametrize("level", LEVELS)
def test_a_value_is_shown_wherever_metadata_are(stage: RestStage, level: str) -> None:
    base = path(stage, level)
    assert stage.ask(f"{base}/note", "PUT", "ü".encode()).status == 200
    assert stage.ask(f"{base}/3000", "PUT", b"\xff").status == 200
    assert stage.ask(f"{base}/1024").body == "ü".encode()
    assert stage.ask(f"{base}/3000").body == b"\xff"
    (shown,) = json.loads(stage.ask(f"/{level}?response-content=Metadata").body)
    for metadata in (shown["Metadata"], json.loads(stage.ask(f"{base}?expand").body)):
        assert (metadata["note"], metadata["3000"]) == ("ü", "\ufffd")
    assert json.loads(stage.ask(base).body)[-2:] == ["note", "3000"]
    assert json.loads(stage.ask(f"{base}?numeric").body)[-2:] == [1024, 3000]


@pytest.mark.parametrize("text", ["one", "ü", "of as many bytes as", "twenty bytes, an id's"[:20]])
def test_the_log_shows_what_was_and_what_is_as_text(stage: RestStage, text: str) -> None:
    base = path(stage, "studies")
    for value in (text, "new"):
        stage.ask(f"{base}/note", "PUT", value.encode())
    stage.ask(f"{base}/note", "DELETE")
    events = json.loads(stage.ask("/events").body)["Events"]
    found = [each["Values"] for each in events if each["Tag"].startswith("metadata-")]
    assert [(each["old_value"], each.get("value")) for each in found] == [(None, text), (text, "new"), ("new", None)]


def test_a_value_that_is_too_long_changes_nothing(stage: RestStage) -> None:
    base = path(stage, "studies")
    assert stage.ask(f"{base}/note", "PUT", bytes(MAX_VALUE_BYTES)).status == 200
    refused = stage.ask(f"{base}/note", "PUT", bytes(MAX_VALUE_BYTES + 1))
    assert refused.status == 400
    assert f"longer than {MAX_VALUE_BYTES} bytes" in json.loads(refused.body)["Details"]
    assert len(stage.ask(f"{base}/note").body) == MAX_VALUE_BYTES


def test_the_name_in_the_book_is_that_of_the_list(stage: RestStage) -> None:
    base = path(stage, "series")
    assert "RemoteAET" in json.loads(stage.ask(base).body)
    assert stage.ask(f"{base}/RemoteAet") == stage.ask(f"{base}/RemoteAET")
    assert stage.ask(f"{base}/RemoteAet").status == 200
    assert stage.ask(f"{base}/RemoteAet", "PUT", b"x").status == 403


def test_a_user_may_have_the_name_in_the_book(archive: Core) -> None:
    with rest_stage(archive, user_metadata={"RemoteAet": 1030}) as stage:
        stage.upload(encode(dataset(1, 1, 1, 1)))
        base = path(stage, "studies")
        assert stage.ask(f"{base}/RemoteAet", "PUT", b"mine").status == 200
        assert json.loads(stage.ask(f"{base}?expand&numeric").body)["1030"] == "mine"


def test_with_read_only_values_can_be_read_alone(archive: Core) -> None:
    with rest_stage(archive) as stage:
        stage.upload(encode(dataset(1, 1, 1, 1)))
        base = path(stage, "patients")
        stage.ask(f"{base}/1024", "PUT", b"kept")
    with rest_stage(archive, read_only=True) as stage:
        assert stage.ask(f"{base}/1024").body == b"kept"
        assert stage.ask(f"{base}/1024", "PUT", b"x").status == 405
        assert stage.ask(f"{base}/1024", "DELETE").status == 405
