"""Filters of scripts before HTTP requests and before questions to modalities, in Sinogram and in a real Orthanc."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from store.dicom.matching import Dataset
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.exchange import Answer, Request, Server
from tests.peer.lua_stage import SCRIPTS, LuaPair, start_lua_pair
from tests.peer.servers import Oracle
from tests.recording_scp import RecordingScp, recording_scp

pytestmark = pytest.mark.usefixtures("modern")

_PLACE = re.compile(rb'"Details" : "[^"]*?(?:\\"[^"]*?)*:\d+: ')  # ours names the file of the script, Orthanc a chunk


def placeless(answer: Answer) -> Answer:
    """An answer without the place in a script and the length it has."""
    return Answer(answer.status, answer.headers, _PLACE.sub(b'"Details" : "', answer.body), answer.version)


def ask_both(stage: LuaPair, request: Request) -> list[Difference]:
    ours, theirs = (placeless(server.ask(request)) for server in stage.servers)
    return compare(request, ours, theirs)


# -- requests ---------------------------------------------------------------------------------------------------------

TRACED = {"X-Traced": "1"}
VERDICTS = ("no", "no/more", "nothing", "null", "one", "text", "table", "error", "yes")
REQUESTS = [
    *(Request(f"/{verdict}", method, headers=TRACED) for verdict in VERDICTS for method in ("GET", "DELETE")),
    # Not those that end in an error: Orthanc sends the body of the error, which no answer to HEAD has.
    *(Request(f"/{verdict}", "HEAD", headers=TRACED) for verdict in ("no", "no/more", "yes")),
    *(Request(f"/{verdict}", "POST", b"body", TRACED) for verdict in VERDICTS),
    *(Request("/tools/now", method, headers=TRACED) for method in ("OPTIONS", "PATCH", "PUT")),
    Request("/tools/now?_method=DELETE", headers=TRACED),
    Request("/tools/now?_method=PATCH", headers=TRACED),
    Request("/no", "POST", b"", {**TRACED, "X-HTTP-Method-Override": "PUT"}),
    Request("//a/..//no?x=y", headers=TRACED),
    Request("/no/", headers=TRACED),
    Request("/patients/gr%C3%BCn%20", headers=TRACED),
    Request("/patients/x%00y", headers=TRACED),
    Request("/no", headers={**TRACED, "X-Two-Words": "a  b", "Cookie": "c=1; d", "Content-Type": "text/x"}),
    Request("/", headers=TRACED),
    Request("/no", headers={**TRACED, "Authorization": "Basic YWxpY2U6d3Jvbmc="}),  # alice:wrong
    Request("/no", headers={**TRACED, "Authorization": "Basic YWxpY2U="}),  # alice
    Request("/no", headers={**TRACED, "Authorization": "Bearer YWxpY2U6d3Jvbmc="}),
]


def test_the_filter_of_requests_sees_and_decides_the_same(
    oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("requests")
    with start_lua_pair(oracle, folder, SCRIPTS / "requests.lua") as stage:
        stage.forget()
        assert_same([each for request in REQUESTS for each in ask_both(stage, request)])
        stage.settle()
        said = [line for line in stage.assert_said_alike() if "IncomingHttp" in line]
    assert len(said) > len(VERDICTS) * 4


# -- questions --------------------------------------------------------------------------------------------------------

CHANGES = ("empty", "no_stars", "names", "level", "rows", "charset", "none")
FAILURES = ("no_table", "nothing", "of_table", "of_boolean", "nonsense", "bad_charset", "no_number", "error")


@dataclass
class Asking:
    stage: LuaPair
    rec: RecordingScp

    def question(self, server: Server, change: str, **more: object) -> tuple[Answer, list[tuple[str, Dataset]]]:
        """Ask a server to ask `rec`; returns its answer, and what `rec` was asked under which model."""
        keys = {"PatientName": "*", "StudyDate": "2020-", "AccessionNumber": change}
        body = json.dumps({"Level": "Study", "Query": keys, **more})
        answer = server.ask(Request("/modalities/rec/query", "POST", body))
        return answer, [(model, identifier) for model, _, identifier in self.rec.take()]


@pytest.fixture(scope="module")
def asking(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with recording_scp([{0x00100020: "P1", 0x0020000D: "1.2"}]) as rec:
        modality = f'"DicomModalities": {{"rec": ["REC", "127.0.0.1", {rec.port}]}},'
        folder = tmp_path_factory.mktemp("questions")
        with start_lua_pair(oracle, folder, SCRIPTS / "questions.lua", more=modality) as stage:
            yield Asking(stage, rec)


@pytest.mark.parametrize("is_normalized", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_what_is_sent_after_a_change_is_the_same(asking: Asking, change: str, *, is_normalized: bool) -> None:
    asking.stage.forget()
    (our_answer, ours), (answer, theirs) = (
        asking.question(server, change, Normalize=is_normalized) for server in asking.stage.servers
    )
    assert (our_answer.status, answer.status) == (200, 200)
    assert ours == theirs
    asking.stage.settle()
    assert len([line for line in asking.stage.assert_said_alike() if "OutgoingFind" in line]) == 1


@pytest.mark.parametrize("change", FAILURES)
def test_what_a_script_does_wrong_is_answered_alike(asking: Asking, change: str) -> None:
    (our_answer, ours), (answer, theirs) = (
        asking.question(server, change, Normalize=False) for server in asking.stage.servers
    )
    assert_same(compare(Request("/modalities/rec/query", "POST"), placeless(our_answer), placeless(answer)))
    assert ours == theirs == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("find-study", {"PatientID": "empty", "AccessionNumber": "empty"}),
        ("find-patient", {"PatientName": "*"}),
        ("find-worklist", {"PatientName": "*"}),
        ("echo", {"CheckFind": True}),
    ],
)
def test_what_else_asks_a_modality_meets_no_filter(asking: Asking, path: str, body: dict[str, object]) -> None:
    asking.stage.forget()
    request = Request(f"/modalities/rec/{path}", "POST", json.dumps(body))
    for server in asking.stage.servers:
        assert server.ask(request).status == 200
        assert len(asking.rec.take()) == 1
    asking.stage.settle()
    assert not [line for line in asking.stage.assert_said_alike() if "OutgoingFind" in line]
