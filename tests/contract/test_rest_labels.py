"""Labels over REST: at each level, in each rendering of a resource, and what is refused. Expected: Orthanc 1.12.7's answers."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

LEVELS = ("patients", "studies", "series", "instances")
NOBODY = "-".join(["00000000"] * 5)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        assert made.upload(encode(dataset(1, 1, 1, 1))).status == 200
        yield made


def read(stage: RestStage, path: str) -> Any:
    answer = stage.ask(path)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def first(stage: RestStage, level: str) -> str:
    return f"/{level}/{read(stage, f'/{level}')[0]}"


@pytest.mark.parametrize("level", LEVELS)
def test_a_label_comes_and_goes(stage: RestStage, level: str) -> None:
    path = f"{first(stage, level)}/labels"
    assert stage.ask(f"{path}/a").status == 404
    for method, expected in (("PUT", ["a"]), ("PUT", ["a"]), ("DELETE", []), ("DELETE", [])):
        answer = stage.ask(f"{path}/a", method)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/plain", b"")
        assert read(stage, path) == read(stage, "/tools/labels") == expected
        assert stage.ask(f"{path}/a").status == (200 if expected else 404)
        assert stage.ask(f"{path}/a").body == b""


@pytest.mark.parametrize("level", LEVELS)
def test_every_rendering_shows_them(stage: RestStage, level: str) -> None:
    path = first(stage, level)
    for label in ("b", "a"):
        stage.ask(f"{path}/labels/{label}", "PUT")
    renderings = [
        read(stage, path),
        read(stage, f"/{level}?expand")[0],
        read(stage, f"/{level}?expand&response-content=Labels")[0],
    ]
    if level != "instances":
        above = {"patients": "patient", "studies": "study", "series": "series"}[level]
        renderings.append(read(stage, f"{first(stage, 'instances')}/{above}"))
    if level != "patients":
        renderings.append(read(stage, f"{first(stage, 'patients')}/{level}")[0])
    assert [shown["Labels"] for shown in renderings] == [["a", "b"]] * len(renderings)
    assert "Labels" not in read(stage, f"/{level}?expand&response-content=Parent")[0]


@pytest.mark.parametrize("label", ["a.b", "a%20b", "caf%C3%A9", "a%0A", "x" * 65])
def test_what_can_be_no_label_is_refused_before_the_resource_is_looked_for(stage: RestStage, label: str) -> None:
    for path in (first(stage, "studies"), f"/studies/{NOBODY}"):
        for method in ("PUT", "DELETE"):
            answer = stage.ask(f"{path}/labels/{label}", method)
            assert answer.status == 400
            shown = json.loads(answer.body)
            assert shown["OrthancStatus"] == 3
            assert shown["Details"].startswith("A label must be a non-empty, alphanumeric string")
    assert stage.ask(f"{first(stage, 'studies')}/labels/{label}").body == b""
    assert read(stage, "/tools/labels") == []


@pytest.mark.parametrize("identifier", [NOBODY, "nope"])
def test_what_is_not_there_is_an_unknown_resource(stage: RestStage, identifier: str) -> None:
    for path, method in (("labels", "GET"), ("labels/a", "GET"), ("labels/a", "PUT"), ("labels/a", "DELETE")):
        answer = stage.ask(f"/series/{identifier}/{path}", method)
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (404, 17)


def test_a_resource_of_another_level_is_not_there(stage: RestStage) -> None:
    study = first(stage, "studies").rpartition("/")[2]
    assert stage.ask(f"/patients/{study}/labels/a", "PUT").status == 404
    assert read(stage, f"/studies/{study}/labels") == []


def test_the_feed_of_events_says_who_did_it_and_changes_nothing(stage: RestStage) -> None:
    before = read(stage, "/changes")
    stage.ask(f"{first(stage, 'studies')}/labels/urgent", "PUT")
    assert read(stage, "/changes") == before
    (event,) = [each for each in read(stage, "/events?limit=1000")["Events"] if each["Tag"] == "label-added/1"]
    assert event["Values"]["label"] == "urgent"
    assert event["Values"]["remote_ip"] == "127.0.0.1"


def test_the_history_of_an_instance_tells_of_its_labels(stage: RestStage) -> None:
    instance = first(stage, "instances")
    for method in ("PUT", "PUT", "DELETE"):
        stage.ask(f"{instance}/labels/a", method)
    stage.ask(f"{first(stage, 'series')}/labels/a", "PUT")
    tags = [event["Tag"] for event in read(stage, f"{instance}/history")]
    assert tags == ["instance-stored/2", "label-added/1", "label-removed/1"]


def test_labels_go_with_their_resource(stage: RestStage) -> None:
    patient = first(stage, "patients")
    stage.ask(f"{patient}/labels/a", "PUT")
    assert stage.ask(patient, "DELETE").status == 200
    assert read(stage, "/tools/labels") == []
    stage.upload(encode(dataset(1, 1, 1, 1)))
    assert read(stage, f"{patient}/labels") == []


def test_with_read_only_labels_are_read_alone(archive_factory: Callable[..., Core]) -> None:
    core = archive_factory()
    with rest_stage(core) as filling:
        filling.upload(encode(dataset(1, 1, 1, 1)))
        path = first(filling, "studies")
        filling.ask(f"{path}/labels/a", "PUT")
    core.stop()
    with rest_stage(archive_factory(read_only=True), read_only=True) as stage:
        for method in ("PUT", "DELETE"):
            assert stage.ask(f"{path}/labels/a", method).status == 405
        assert read(stage, f"{path}/labels") == ["a"]
        assert stage.ask(f"{path}/labels/a").status == 200
