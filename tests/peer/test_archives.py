"""Archives and media beside a real Orthanc: names, order and bytes of members, records of DICOMDIR, headers and errors."""

import json
from collections.abc import Iterator

import pytest

from tests.peer.archived import members, varied_files
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

NOBODY = "-".join(["00000000"] * 5)
HEADERS = ("content-type", "content-disposition")


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("archives")) as servers:
        for file in varied_files():
            answers = [
                server.ask(Request("/instances", "POST", file)).json() for server in (servers.ours, servers.theirs)
            ]
            assert answers[0] == answers[1]
        yield servers


def both(pair: Pair, path: str, body: object = None) -> list[Answer]:
    data = None if body is None else json.dumps(body)
    request = Request(path, "GET" if body is None else "POST", data)
    return [server.ask(request) for server in (pair.ours, pair.theirs)]


def assert_same_archive(pair: Pair, path: str, body: object = None) -> None:
    ours, theirs = both(pair, path, body)
    assert (ours.status, theirs.status) == (200, 200), (ours, theirs)
    assert [ours.headers.get(name) for name in HEADERS] == [theirs.headers.get(name) for name in HEADERS]
    assert "\n".join(members(ours.body)) == "\n".join(members(theirs.body)), path


def identifier(pair: Pair, level: str, patient_id: str) -> str:
    found = json.loads(
        pair.theirs.ask(
            Request("/tools/find", "POST", json.dumps({"Level": level, "Query": {"PatientID": patient_id}}))
        ).body
    )
    return str(found[0])


def test_all_that_there_is_in_one_archive(pair: Pair) -> None:
    assert_same_archive(pair, "/tools/create-archive", pair.ids("patients"))


def test_all_that_there_is_on_one_medium(pair: Pair) -> None:
    patients = pair.ids("patients")
    # Two patients whose studies have one UID: there the images of both are under the name of one.
    patients.remove(identifier(pair, "Patient", "PAT935"))
    assert_same_archive(pair, "/tools/create-media", patients)
    assert_same_archive(pair, "/tools/create-media-extended", patients)


@pytest.mark.parametrize("word", ["archive", "media"])
@pytest.mark.parametrize(("path", "level"), [("patients", "Patient"), ("studies", "Study"), ("series", "Series")])
def test_resources_of_each_level(pair: Pair, path: str, level: str, word: str) -> None:
    for patient in ("A1", "PAT930", "PAT933"):
        one = f"/{path}/{identifier(pair, level, patient)}/{word}"
        assert_same_archive(pair, one)
        assert_same_archive(pair, one, {})
