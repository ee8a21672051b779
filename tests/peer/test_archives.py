"""Archives and media beside a real Orthanc: names, order and bytes of members, records of DICOMDIR, headers and errors."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from store.dicom.uids import IMPLICIT_LE
from tests.peer.archived import made_file, members, varied_files
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle, wait_for

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


def difference(pair: Pair, path: str, method: str, body: object) -> list[Difference]:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = Request(path, method, data)
    return compare(request, *(server.ask(request) for server in (pair.ours, pair.theirs)))


BODIES: tuple[object, ...] = (
    *(b"", b"xx", {"Transcode": "xx"}, {"Transcode": 1}, {"Synchronous": 1}, {"Asynchronous": "a"}, {"Extended": 1}),
    {"Priority": "a", "Asynchronous": True},
    *({"Transcode": "1.2.840.10008.1.2", "LossyQuality": quality} for quality in ("a", -1, 1.5)),
)


def test_what_is_wrong_is_answered_alike(pair: Pair) -> None:
    series, study = identifier(pair, "Series", "PAT930"), identifier(pair, "Study", "PAT930")
    asked: list[tuple[str, str, object]] = [
        (f"/series/{series}/{word}", "POST", body) for word in ("archive", "media") for body in BODIES
    ]
    wrong = ("transcode=xx", "transcode=", f"transcode={IMPLICIT_LE}&lossy-quality=a")
    asked += [(f"/series/{series}/archive?{query}", "GET", None) for query in wrong]
    for one in (f"/series/{study}", f"/studies/{series}", f"/patients/{NOBODY}", "/series/abc"):
        for word in ("archive", "media"):
            asked += [(f"{one}/{word}", "GET", None), (f"{one}/{word}", "POST", {})]
    for tool in ("/tools/create-archive", "/tools/create-media", "/tools/create-media-extended"):
        for query in ("", "?resources=abc", f"?resources={series};{study}", f"?resources={NOBODY}"):
            asked.append((f"{tool}{query}", "GET", None))
        for body in (b"", b"xx", {}, 1, series, {"Resources": series}, [1], ["abc"], [NOBODY]):
            asked.append((tool, "POST", body))
        asked += [(tool, "POST", {"Resources": [series], "Transcode": "xx"}), (tool, "PUT", None)]
    asked += [(f"/instances/{NOBODY}/archive", "GET", None), (f"/series/{series}/archive", "DELETE", None)]
    assert_same([each for request in asked for each in difference(pair, *request)])


def test_names_that_files_are_saved_under(pair: Pair) -> None:
    series = identifier(pair, "Series", "PAT930")
    for query in (
        "?filename=x.zip",
        "?filename=",
        "?filename",
        "?filename=a%20b%22c.zip",
        "?filename=%C3%A4.zip",
        "?extended",
        "?extended=false",
    ):
        assert_same_archive(pair, f"/series/{series}/media{query}")
    bodies: tuple[object, ...] = ({"Filename": "f.zip"}, {"Filename": 1}, [], 1, "text", {"LossyQuality": "a"})
    for body in (*bodies, {"Extended": True}):
        assert_same_archive(pair, f"/series/{series}/media", body)


def test_any_resources_together_are_each_in_it_once(pair: Pair) -> None:
    named = [
        identifier(pair, level, patient)
        for level in ("Instance", "Series", "Study", "Patient")
        for patient in ("PAT930", "A1")
    ]
    for some in (named[:2], named[2:6], named, [*reversed(named), *named], []):
        assert_same_archive(pair, "/tools/create-archive", some)
        assert_same_archive(pair, "/tools/create-media-extended", {"Resources": some, "Filename": "x"})
        assert_same_archive(pair, "/tools/create-archive?resources=" + ",".join(some))


def job_of(server: Server, path: str, body: object) -> tuple[str, Any]:
    """Have a job made, and wait for its end; returns its path and what is told of it."""
    made: Any = server.ask(Request(path, "POST", json.dumps(body))).json()
    job: str = made["Path"]

    def ended() -> Any:
        told: Any = server.get_json(job)
        return told if told["State"] in {"Success", "Failure"} else None

    return job, wait_for(ended, "the job to end", 60.0)


@pytest.mark.parametrize("word", ["archive", "media"])
def test_jobs_and_their_outputs(pair: Pair, word: str) -> None:
    series = identifier(pair, "Series", "PAT930")
    five = pair.ids("studies")[:5]
    for path, body in (
        (f"/series/{series}/{word}", {"Asynchronous": True, "Priority": 3}),
        (f"/tools/create-{word}", {"Synchronous": False, "Resources": five, "Filename": "five.zip"}),
        (f"/tools/create-{word}", {"Asynchronous": True, "Resources": [series], "Transcode": IMPLICIT_LE}),
    ):
        seen = []
        for server in (pair.ours, pair.theirs):
            job, told = job_of(server, path, body)
            assert int(told["Content"].pop("ArchiveSize")) > 0  # compressed by another library
            output = server.get(f"{job}/archive")
            found = members(output.body)
            if "Transcode" in body:  # who has transcoded is told in the files
                found = [line.split()[0] for line in found]
            after = [server.ask(Request(f"{job}/archive", method)).status for method in ("DELETE", "DELETE", "GET")]
            shown = {key: told[key] for key in ("Type", "State", "Content", "Priority", "Progress")}
            seen.append((shown, [output.headers[name] for name in HEADERS], found, after))
        assert seen[0] == seen[1]


# Of these patients Orthanc's archives differ, see docs/compatibility.md: equal numbers, character sets.
OTHERWISE = ("ID1", "PAT8", "H32EXAMPLE", "JXD191021006")


@pytest.mark.nightly
def test_files_of_all_kinds(loaded: Pair) -> None:
    patients = loaded.ids("patients")
    for each in OTHERWISE:
        patients.remove(identifier(loaded, "Patient", each))
    assert len(patients) > 30
    assert_same_archive(loaded, "/tools/create-archive", patients)
    broken_off, differing = [], []
    for each in patients:
        ours, theirs = (members_or_none(answer) for answer in both(loaded, "/tools/create-media-extended", [each]))
        assert ours is not None
        if theirs is None:
            broken_off.append(each)
        elif ours != theirs:
            differing.append((each, sorted(set(ours) ^ set(theirs))[:20]))
    # A text that is not decoded there, and one of more than 256 bytes.
    assert [each for each, _ in differing] == [
        "842f0480-28a6244d-b03e640a-331eff78-8b2ff7c6",
        "bf86da1f-598c7f5b-aea9ba59-f6db7f71-b7cf1258",
    ], differing
    assert len(broken_off) < len(patients) // 4, broken_off


def members_or_none(answer: Answer) -> list[str] | None:
    """What an archive is compared by, None of one that was broken off."""
    return members(answer.body) if zipfile.is_zipfile(io.BytesIO(answer.body)) else None


@pytest.mark.parametrize("instances", [300, pytest.param(3000, marks=pytest.mark.nightly)])
def test_a_large_series(pair: Pair, instances: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(instances):
            archive.writestr(str(number), made_file(instances, 1, 1, number))
    for server in (pair.ours, pair.theirs):
        assert server.ask(Request("/instances", "POST", packed.getvalue())).status == 200
    path = f"/patients/{identifier(pair, 'Patient', f'PAT{instances}')}"
    for word in ("archive", "media"):
        assert_same_archive(pair, f"{path}/{word}")
    for server in (pair.ours, pair.theirs):  # other tests are about all that there is
        assert server.ask(Request(path, "DELETE")).status == 200
