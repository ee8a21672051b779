"""`/{level}/{id}/metadata` beyond what the peer tests compare: limits, ReadOnly, and where Orthanc's book and 1.12.7 differ."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.messages.commands.metadata import MAX_VALUE_BYTES
from api.rest import resources
from events.identifiers import Level
from events.metadata import BUILT_IN
from store.views import metadata
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
    for found in (shown["Metadata"], json.loads(stage.ask(f"{base}?expand").body)):
        assert (found["note"], found["3000"]) == ("ü", "\ufffd")
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


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
def test_a_list_with_large_metadata_comes_in_pieces_and_is_the_same(
    stage: RestStage, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2, 6):
        stage.upload(encode(dataset(1, 1, 1, number)))
    for identifier in json.loads(stage.ask("/instances").body)[1:]:
        stage.ask(f"/instances/{identifier}/metadata/note", "PUT", b"x" * 1000)
    listed = "/instances?response-content=Metadata;MainDicomTags"
    whole = stage.ask(listed, headers={"Accept": accept})
    pieces: list[list[dict[str, Any]]] = []
    render = resources._render_piece

    def noted(*given: Any) -> list[dict[str, Any]]:
        pieces.append(render(*given))
        return pieces[-1]

    monkeypatch.setattr(resources, "CHUNK_METADATA_BYTES", 1000)
    monkeypatch.setattr(resources, "_render_piece", noted)
    streamed = stage.ask(listed, headers={"Accept": accept})
    assert streamed.body == whole.body
    assert ("Content-Length" in whole.headers, "Content-Length" in streamed.headers) == (True, False)
    assert [len(piece) for piece in pieces if piece] == [2, 1, 1, 1]  # the first instance has no large one
    stage.ask(f"/instances/{identifier}", "DELETE")
    assert len(json.loads(stage.ask(listed).body)) == 4


def test_values_of_a_resource_have_a_limit_together(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.messages.commands.metadata.MAX_TOTAL_BYTES", 10)
    study, series = path(stage, "studies"), path(stage, "series")
    assert stage.ask(f"{study}/1024", "PUT", b"123456").status == 200
    assert stage.ask(f"{study}/1025", "PUT", b"1234").status == 200
    refused = stage.ask(f"{study}/1026", "PUT", b"1")
    assert refused.status == 400
    assert "at most 10 bytes together, not 11: remove some" in json.loads(refused.body)["Details"]
    assert stage.ask(f"{study}/1025", "PUT", b"12345").status == 400
    assert stage.ask(f"{study}/1025", "PUT", b"4321").status == 200
    assert stage.ask(f"{series}/1024", "PUT", b"1234567890").status == 200
    assert stage.ask(f"{study}/1024", "DELETE").status == 200
    assert stage.ask(f"{study}/1026", "PUT", b"123456").status == 200


def test_what_exceeds_the_limit_can_be_made_smaller(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    study = path(stage, "studies")
    assert stage.ask(f"{study}/1024", "PUT", b"1234567890").status == 200
    monkeypatch.setattr("actors.messages.commands.metadata.MAX_TOTAL_BYTES", 5)
    assert [stage.ask(f"{study}/1024", "PUT", b"1" * length).status for length in (10, 8, 9, 5)] == [200, 200, 400, 200]


def test_a_further_kind_is_a_number_and_a_line(archive: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number in `events.metadata`, how it is read in `store.views.metadata`: all that shows metadata has it then."""
    monkeypatch.setattr(metadata, "BUILT_IN", {**BUILT_IN, "Weather": 18})
    levels = frozenset({Level.STUDY})
    monkeypatch.setitem(
        metadata._BY_NUMBER, 18, metadata.BuiltIn("Weather", levels, lambda _, study: f"of {study.level}")
    )
    with rest_stage(archive) as stage:
        stage.upload(encode(dataset(1, 1, 1, 1)))
        base, other = path(stage, "studies"), path(stage, "series")
        assert json.loads(stage.ask(base).body)[-1] == "Weather"
        assert json.loads(stage.ask(f"{base}?expand&numeric").body)["18"] == "of 2"
        (shown,) = json.loads(stage.ask("/studies?response-content=Metadata").body)
        assert shown["Metadata"]["Weather"] == "of 2"
        assert stage.ask(f"{base}/Weather").body == stage.ask(f"{base}/18").body == b"of 2"
        assert [stage.ask(f"{base}/{name}", "PUT", b"x").status for name in ("Weather", "18")] == [403, 403]
        assert "Weather" not in json.loads(stage.ask(other).body)
        assert stage.ask(f"{other}/Weather").status == 404


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
