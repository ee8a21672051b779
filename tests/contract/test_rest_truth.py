"""What `/changes` and `/system` say of themselves holds: positions never run back, nothing is announced that is not there."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from store.environment import Environment
from store.projections.changes import LAST
from store.projections.rebuilding import VERSIONS
from store.tables import META, TOTALS
from tests.contract.rest_stage import RestStage, rest_stage
from tests.data_factory import dataset, encode
from tools.server.core import Core

# Whatever finds nothing, in an archive with changes or without.
EMPTY = ("?since=100000", "?since=100000&to=200000", "?since=2&to=2", "?since=5&to=2", "?to=0", "?limit=0", "?type=Deleted",
         "?type=Deleted&to=3", "?since=3&type=StableStudy")  # fmt: skip


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def changes(stage: RestStage, query: str = "") -> dict[str, Any]:
    page: dict[str, Any] = json.loads(stage.ask(f"/changes{query}").body)
    return page


def store(stage: RestStage, patient: int, instance: int = 1) -> None:
    assert stage.upload(encode(dataset(patient, 1, 1, instance))).status == 200


def delete_all(stage: RestStage) -> None:
    for patient in json.loads(stage.ask("/patients").body):
        assert stage.ask(f"/patients/{patient}", "DELETE").status == 200


@pytest.mark.parametrize("query", EMPTY)
def test_an_empty_page_names_the_last_change(stage: RestStage, query: str) -> None:
    assert changes(stage, query)["Last"] == 0
    store(stage, 1)
    last = changes(stage)["Last"]
    assert changes(stage, query) == {"Changes": [], "Done": query != "?limit=0", "Last": last}


@pytest.mark.parametrize("query", [*EMPTY, "", "?last", "?since=0", "?to=100000"])
def test_the_last_change_is_known_when_every_resource_is_gone(stage: RestStage, query: str) -> None:
    store(stage, 1)
    store(stage, 2)
    last = changes(stage)["Last"]
    delete_all(stage)
    assert changes(stage, query) == {"Changes": [], "Done": True, "Last": last}


@pytest.mark.parametrize("query", [*EMPTY, "", "?last", "?since=0"])
def test_the_last_change_is_known_when_changes_were_cleared(stage: RestStage, query: str) -> None:
    store(stage, 1)
    last = changes(stage)["Last"]
    assert stage.ask("/changes", "DELETE").status == 200
    assert changes(stage, query) == {"Changes": [], "Done": True, "Last": last}


def test_when_the_newest_resource_is_gone_a_page_of_the_others_is_theirs(stage: RestStage) -> None:
    store(stage, 1)
    left = changes(stage)["Last"]
    store(stage, 2)
    last = changes(stage)["Last"]
    newest = json.loads(stage.ask("/patients").body)
    names = {p: json.loads(stage.ask(f"/patients/{p}").body)["MainDicomTags"]["PatientID"] for p in newest}
    stage.ask(f"/patients/{next(p for p, name in names.items() if name.endswith('2'))}", "DELETE")
    assert changes(stage)["Last"] == changes(stage, "?last")["Last"] == left
    assert changes(stage, f"?since={left}") == {"Changes": [], "Done": True, "Last": last}


def test_what_is_no_change_moves_nothing(stage: RestStage) -> None:
    store(stage, 1)
    last = changes(stage)["Last"]
    store(stage, 1)  # again: an event, and no change
    assert changes(stage, "?since=100000")["Last"] == last


def test_who_polls_meets_every_change_once(stage: RestStage) -> None:
    met, since = [], 0
    for patient in range(1, 5):
        store(stage, patient)
        if patient == 2:
            delete_all(stage)
        if patient == 3:
            page = changes(stage, f"?since={since}")
            stage.ask("/changes", "DELETE")
            page["Last"] = changes(stage, f"?since={page['Last']}")["Last"]
        else:
            page = changes(stage, f"?since={since}")
        met += [each["Seq"] for each in page["Changes"]]
        assert page["Last"] > since
        since = page["Last"]
    assert met == sorted(set(met))
    assert len(met) == 3 * 4  # of patients 1, 3 and 4


def test_an_archive_of_an_older_release_finds_its_last_change(archive_factory: Callable[..., Core]) -> None:
    core = archive_factory()
    with rest_stage(core) as stage:
        store(stage, 1)
        last = changes(stage)["Last"]
        store(stage, 1)
        delete_all(stage)
    core.stop()
    with Environment(core.settings.index_directory, writable=True) as older, older.begin(write=True) as txn:
        assert txn.delete(LAST, db=older.tables[TOTALS])
        assert txn.delete(VERSIONS, db=older.tables[META])  # it knew of neither
    with rest_stage(archive_factory()) as stage:
        assert changes(stage)["Last"] == last


SECURE: tuple[tuple[dict[str, Any], bool], ...] = (
    ({}, True),
    ({"registered_users": {"alice": "secret"}}, True),
    ({"authentication_enabled": True, "registered_users": {"alice": "secret"}}, True),
    ({"remote_access_allowed": True}, False),
    ({"remote_access_allowed": True, "registered_users": {"alice": "secret"}}, False),
    ({"remote_access_allowed": True, "authentication_enabled": True}, False),
    ({"remote_access_allowed": True, "authentication_enabled": True, "registered_users": {"alice": "secret"}}, True),
)


@pytest.mark.parametrize(("options", "is_secure"), SECURE)
def test_the_server_is_called_secure_where_orthanc_does(
    archive: Core, options: dict[str, Any], is_secure: bool
) -> None:
    with rest_stage(archive, **options) as stage:
        headers = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
        if options.get("authentication_enabled") and not options.get("registered_users"):
            assert stage.deps.settings.is_http_server_secure is is_secure  # nobody gets in to ask
        else:
            assert json.loads(stage.ask("/system", headers=headers).body)["IsHttpServerSecure"] is is_secure


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("HasLabels", "/tools/labels"),
        ("PluginsEnabled", "/plugins/dicom-web"),
    ],
)
def test_what_is_not_there_is_not_announced(stage: RestStage, field: str, path: str) -> None:
    is_there = stage.ask(path).status == 200
    assert json.loads(stage.ask("/system").body)[field] is is_there


def test_announced_capabilities_are_there(stage: RestStage) -> None:
    store(stage, 1)
    announced = json.loads(stage.ask("/system").body)["Capabilities"]
    assert announced["HasExtendedChanges"] is (len(changes(stage, "?type=NewPatient&to=100000")["Changes"]) == 1)
    asked = json.dumps({"Level": "Study", "Query": {}}).encode()
    assert announced["HasExtendedFind"] is (stage.ask("/tools/find", "POST", asked).status == 200)
