"""`/dicom-web/servers` beside Orthanc's DICOMweb plugin, and instances on their way between the two by STOW-RS and WADO-RS, in both directions.

What differs is told in docs/compatibility.md.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.dicomweb_peer import DicomWebPeer, Reply, Seen, dicomweb_peer
from tests.contract.retrieve_stage import study
from tests.dicom_bytes import dataset
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle, running, wait_for
from tests.peer.worklist_stage import find_plugin

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

FILES = study(series=2, instances=2)
STUDY, SERIES, INSTANCE = (
    str(getattr(dataset(1, 1, 1, 1), f"{level}InstanceUID")) for level in ("Study", "Series", "SOP")
)


def ids(server: Server, level: str = "instances") -> list[str]:
    listed = server.get_json(f"/{level}")
    assert isinstance(listed, list)
    return sorted(listed)


def empty(server: Server) -> None:
    everything = json.dumps({"Resources": ids(server, "patients")})
    assert server.ask(Request("/tools/bulk-delete", "POST", everything.encode())).status == 200


def files_of(server: Server) -> list[bytes]:
    return sorted(server.ask(Request(f"/instances/{name}/file")).body for name in ids(server))


@dataclass
class Stage:
    """Both servers, an Orthanc that both know as the server `third`, and a server that says what a test wants, `odd`."""

    pair: Pair
    third: Server
    odd: DicomWebPeer

    @property
    def both(self) -> tuple[Server, Server]:
        return self.pair.ours, self.pair.theirs

    def answers(self, path: str, method: str = "GET", body: object = None) -> tuple[Request, list[Answer]]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = Request(f"/dicom-web/servers{path}", method, data)
        return request, [server.ask(request) for server in self.both]

    def ask(self, path: str, method: str = "GET", body: object = None) -> list[Difference]:
        request, answers = self.answers(path, method, body)
        return compare(request, *answers)


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    plugin = find_plugin(oracle, "libOrthancDicomWeb.so")
    if plugin is None:
        pytest.skip("This Orthanc has no DICOMweb plugin")
    folder = tmp_path_factory.mktemp("servers")
    servers = {
        "a": ["http://127.0.0.1:1/"],
        "b": ["http://127.0.0.1:1/x", "u", "w"],
        "c": {"Url": "https://x", "HasDelete": True, "Timeout": 5},
    }
    options = f'"Plugins": ["{plugin}"], "DicomWeb": {json.dumps({"Enable": True, "Servers": servers})},'
    with (
        dicomweb_peer() as odd,
        running("third", [oracle.command], folder, f'"Plugins": ["{plugin}"],', gently=False) as third,
        start_pair(oracle, folder, options) as pair,
    ):
        made = Stage(pair, third, odd)
        for name, url in (("third", f"http://127.0.0.1:{third.http_port}/dicom-web"), ("odd", odd.known().url)):
            for answer in made.answers(f"/{name}", "PUT", {"Url": url, "HasDelete": name == "odd"})[1]:
                assert answer.status == 200
        yield made


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """All three without instances but those of the pair."""
    for server in (*stage.both, stage.third):
        empty(server)
    stage.odd.has.clear()
    for server in stage.both:
        for file in FILES:
            assert server.ask(Request("/instances", "POST", file)).status == 200
    return stage


# The plugin indents by tabs and names no charset; the rest of Orthanc, and all of ours, does otherwise.
LAYOUT = ("layout of the JSON", "header content-type")


def all_of(differences: Iterable[list[Difference]], *but: str) -> None:
    assert_same([each for found in differences for each in found if each.aspect not in (*LAYOUT, *but)])


LONG: dict[str, object] = {"Url": "http://x"}


def test_servers_are_added_shown_and_removed(stage: Stage) -> None:
    bodies: list[object] = [
        ["http://x"], ["http://x", "u"], ["http://x", "u", "p"], [], "x", 12, b"nojson", b"", ["ftp://x"], [""], {}, {"URL": "http://x"},
        LONG | {"Timeout": 5}, LONG | {"Timeout": "5"}, LONG | {"HttpHeaders": {"b": "secret", "A": "5"}}, LONG | {"Username": "u"},
        LONG | {"Pkcs11": True}, LONG | {"Foo": True, "Bar": 5}, LONG | {"Foo": [1]}, LONG | {"CertificateFile": "/nowhere"},
        *(LONG | {"HasDelete": value} for value in (True, False, "true", "false", "1", "0", 1, "True", "yes", "")),
        LONG | {"ChunkedTransfers": "maybe"}, LONG | {"HasDelete": True},
    ]  # fmt: skip
    found = [stage.ask("?expand")]
    for body in bodies:
        found += [stage.ask("/new", "PUT", body), stage.ask("/new"), stage.ask("?expand=false")]
    found += [stage.ask(path) for path in ("", "/", "/nope", "/new/", "/new/nope")]
    found += [stage.ask(path, method, {}) for path in ("", "/a") for method in ("POST",)]
    found += [stage.ask(path) for path in ("/a/get", "/a/stow")]
    found += [stage.ask(f"/{name}", "PUT", ["http://x"]) for name in ("a.b", "a%20b")]
    found += [stage.ask(f"/{name}", "DELETE") for name in ("a.b", "a%20b", "new", "new", "a")]
    all_of([*found, stage.ask("")])


def test_requests_are_refused_alike(filled: Stage) -> None:
    uris: list[object] = [
        {}, [], b"x", {"Uri": 5}, {"Uri": "/s", "Arguments": ["a"]}, {"Uri": "/s", "Arguments": {"a": 5}}, {"Uri": "/s", "HttpHeaders": 5},
        {"Uri": "/s?x=1"},
    ]  # fmt: skip
    found = [filled.ask(f"/odd/{operation}", "POST", body) for operation in ("get", "qido", "wado") for body in uris]
    stows: list[object] = [{}, [], {"Resources": 5}, {"Resources": ["nope"]}, {"Resources": [5]}]
    found += [filled.ask("/third/stow", "POST", body) for body in stows]
    retrievals: list[object] = [
        {}, [], b"x", {"Resources": {}}, {"Resources": []}, {"Resources": ["1.2"]}, {"Resources": [{"Series": "1.3"}]}, {"Resources": [{"Study": 5}]},
        {"Resources": [{"Study": "1", "Instance": "2"}]},
    ]  # fmt: skip
    found += [filled.ask("/third/retrieve", "POST", body) for body in retrievals]
    uids = {"StudyInstanceUID": "1", "SeriesInstanceUID": "2"}
    deletions: list[object] = [
        {}, [], {"Level": "Study"}, uids, uids | {"Level": "Instance"}, {"StudyInstanceUID": "1", "Level": "Series"},
    ]  # fmt: skip
    found += [filled.ask("/odd/delete", "POST", body) for body in deletions]
    found += [filled.ask(f"/nope/{operation}", "POST", {"Uri": "/s"}) for operation in ("get", "qido")]
    found.append(filled.ask("/third/delete", "POST", uids | {"Level": "Study"}))
    all_of(found)
    all_of([filled.ask("/odd/delete", "POST", uids | {"Level": "Patient"})], "body/Details")


def replying(status: int, body: bytes, kind: str) -> Callable[[Seen], Reply]:
    return lambda _: (status, {"Content-Type": kind, "X-B": "c"}, body)


def test_the_other_server_is_asked_the_same(filled: Stage) -> None:
    odd = filled.odd
    for status in (200, 204, 401, 403, 404, 409, 500, 503):
        odd.answer = replying(status, b"" if status == 204 else b"hi", "text/x")
        all_of(
            [filled.ask("/odd/get", "POST", {"Uri": "/studies", "Arguments": {"a": "\u00e9 *", "b": ""}})],
            "body/Details",
        )
    odd.answer = replying(200, b"[]", "application/json")
    for level in ("Study", "series", "Instance"):
        uids = {"StudyInstanceUID": "1", "SeriesInstanceUID": "2", "SOPInstanceUID": "3", "Level": level}
        all_of([filled.ask("/odd/delete", "POST", uids)])
    ours, theirs = odd.seen[::2], odd.seen[1::2]
    assert [(seen.method, seen.path) for seen in ours] == [(seen.method, seen.path) for seen in theirs]
    odd.seen.clear()
    odd.answer = lambda _: None


def test_matches_of_a_search_are_shown_alike(filled: Stage) -> None:
    for file in FILES:
        filled.third.ask(Request("/instances", "POST", file))
    found = [
        filled.ask("/third/qido", "POST", {"Uri": uri, "Arguments": {"PatientID": "PAT1", "includefield": "all"}})
        for uri in ("/studies", "/series", f"/studies/{STUDY}/instances")
    ]
    all_of(found)


def content_of(answer: Answer) -> Any:
    assert answer.status == 200, answer
    return json.loads(answer.body)


def test_what_we_send_is_stored_there_and_told_alike(filled: Stage) -> None:
    for level in ("patients", "studies", "series", "instances"):
        shown = []
        for server in filled.both:
            empty(filled.third)
            body = json.dumps({"Resources": filled.pair.ids(level)}).encode()
            content = content_of(server.ask(Request("/dicom-web/servers/third/stow", "POST", body)))
            content["Resources"]["Instances"].sort()
            shown.append(content)
            assert files_of(filled.third) == sorted(FILES)
        assert shown[0] == shown[1]


def test_what_we_retrieve_is_what_is_there(filled: Stage) -> None:
    for file in FILES:
        filled.third.ask(Request("/instances", "POST", file))
    for server in filled.both:
        empty(server)
    wanted = {"Study": STUDY, "Series": SERIES, "Instance": INSTANCE}
    for some in (dict(list(wanted.items())[:count]) for count in (3, 2, 1)):
        all_of([filled.ask("/third/retrieve", "POST", {"Resources": [some]})])
        assert ids(filled.pair.ours) == ids(filled.pair.theirs)
    ours = filled.pair.ours
    assert files_of(ours) == sorted(FILES)
    assert ours.ask(Request(f"/instances/{ids(ours)[0]}/metadata/Origin")).body == b"Plugins"


def test_jobs_are_shown_alike(filled: Stage) -> None:
    told = ("Type", "Content", "Progress", "ErrorCode", "ErrorDescription", "Priority")
    stow: dict[str, object] = {"Resources": filled.pair.ids("studies"), "Synchronous": False}
    for path, body in (("stow", stow), ("wado", {"Uri": f"/studies/{STUDY}"})):
        _, answers = filled.answers(f"/third/{path}", "POST", body)
        shown = []
        for server, answer in zip(filled.both, answers, strict=True):
            job = ended(server, content_of(answer)["ID"])
            job["Content"].get("Resources", {}).get("Instances", []).sort()
            shown.append({key: job[key] for key in told})
        assert shown[0] == shown[1]


def ended(server: Server, name: str) -> Any:
    def look() -> Any:
        job: Any = server.get_json(f"/jobs/{name}")
        return job if job["State"] == "Success" else None

    return wait_for(look, f"{server.name}'s job")


def test_the_other_direction(filled: Stage) -> None:
    """Orthanc's plugin is our client: it stores here, searches here and retrieves from here."""
    ours, third = filled.pair.ours, filled.third
    url = [f"http://127.0.0.1:{ours.http_port}/dicom-web"]
    assert third.ask(Request("/dicom-web/servers/back", "PUT", json.dumps(url).encode())).status == 200

    def ask(operation: str, body: object) -> Any:
        return content_of(third.ask(Request(f"/dicom-web/servers/back/{operation}", "POST", json.dumps(body).encode())))

    assert ask("retrieve", {"Resources": [{"Study": STUDY}]})["ReceivedInstancesCount"] == str(len(FILES))
    assert files_of(third) == sorted(FILES)
    empty(ours)
    assert ask("stow", {"Resources": ids(third, "patients")})["InstancesCount"] == str(len(FILES))
    assert files_of(ours) == sorted(FILES)
    assert [match["0020000D"]["Value"] for match in ask("qido", {"Uri": "/studies"})] == [STUDY]
