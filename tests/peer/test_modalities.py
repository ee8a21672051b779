"""Remote modalities: what REST says of them, what is sent to them and what is shown of their answers."""

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from store.dicom.matching import Dataset
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle
from tests.ports import free_port
from tests.recording_scp import REJECTION, RecordingScp, recording_scp, rude_peer

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

ABORT = bytes.fromhex("07000000000400000000")
META_SOP_INSTANCE_UID = 0x00020003
ANSWERS: list[Dataset] = [
    {
        0x00080018: "1.2.3.4",
        0x00080050: "ACC11",
        0x00080052: "STUDY",
        0x00080054: "REC",
        0x00080061: "CT\\MR",
        0x00100010: "Müller^Jörg",
        0x00100020: f"P{number}",
        0x0020000D: f"1.2.{number}",
        0x0020000E: "1.2.3",
        0x00201206: "2",
        0x00280010: "512",
        0x00081140: ({0x00081155: "1.2"},),
    }
    for number in range(2)
]


@dataclass
class Stage:
    """Both servers, and the modality `rec` that both know."""

    pair: Pair
    rec: RecordingScp
    queries: dict[str, str] = field(default_factory=dict)  # the last one of each server

    def ask(self, path: str, method: str = "POST", body: object = None) -> list[Difference]:
        """Ask both; `{q}` in a path is each server's last query."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answers = []
        for server in (self.pair.ours, self.pair.theirs):
            name = self.queries.get(server.name, "none")
            answer = server.ask(Request(path.replace("{q}", name), method, data))
            text = answer.body.replace(name.encode(), b"<query>")
            try:
                made = answer.json()
            except ValueError:
                made = None
            if isinstance(made, dict) and str(made.get("Path", "")).startswith("/queries/"):
                self.queries[server.name] = made["ID"]
                text = text.replace(made["ID"].encode(), b"<query>")
            answers.append(replace(answer, body=text))
        return compare(Request(path, method, data), *answers)


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with recording_scp(ANSWERS) as rec, start_pair(oracle, tmp_path_factory.mktemp("modalities")) as pair:
        made = Stage(pair, rec)
        assert_same(made.ask("/modalities/rec", "PUT", ["REC", "127.0.0.1", rec.port]))
        yield made


def all_of(differences: Iterable[list[Difference]]) -> None:
    assert_same([each for found in differences for each in found])


LONG: dict[str, Any] = {"AET": "A", "Host": "h", "Port": 1}


def test_modalities_are_added_shown_and_removed(stage: Stage) -> None:
    bodies: list[object] = [
        ["NEW", "127.0.0.1", 104], ["NEW", "127.0.0.1", "105", "GE"], {"AET": "NEW", "Host": "h"}, b"nojson", b"", ["A"], 12,
        ["A", 5, 104], ["A", "h", 104, "Nope"], ["A", "h", 0], ["A", "h", 65535], ["A", "h", -1], ["A", "h", 1.5], ["A", "h", None],
        ["A", "h", 1, "GE", 2], {"AET": "A", "Port": 1}, {"Host": "A", "Port": 1}, LONG | {"Port": 99999}, LONG | {"Foo": 1},
        LONG | {"Port": [1]}, LONG | {"Port": "12x"}, LONG | {"Manufacturer": 5}, LONG | {"Manufacturer": "MedInria"},
        LONG | {"LocalAet": 5}, LONG | {"AllowStorageCommitment": False, "Timeout": 5}, LONG | {"AllowStorageCommitment": "x"},
        LONG | {"AllowEcho": "x"}, LONG | {"UseDicomTls": 1}, LONG | {"Timeout": -1}, LONG | {"Timeout": "3"},
        LONG | {"Timeout": 1.5}, LONG | {"RetrieveMethod": "X"}, LONG | {"RetrieveMethod": 5}, LONG | {"RetrieveMethod": "C-GET"},
        LONG | {"AllowFind": False, "AllowTranscoding": False, "LocalAet": "L"}, {"AET": "", "Host": "", "Port": 11},
    ]  # fmt: skip
    found = []
    for body in bodies:
        found.append(stage.ask("/modalities/new", "PUT", body))
        found.append(stage.ask("/modalities/new/configuration", "GET"))
    found += [
        stage.ask("/modalities/we%20ird", "PUT", ["A", "h", 1]),
        stage.ask("/modalities/a.b", "PUT", ["A", "h", 1]),
        stage.ask("/modalities", "GET"),
        stage.ask("/modalities/new", "GET"),
        stage.ask("/modalities/new/", "GET"),
        stage.ask("/modalities/nope", "GET"),
        stage.ask("/modalities/nope/configuration", "GET"),
        stage.ask("/modalities?expand=x", "GET"),
        stage.ask("/modalities/new/echo", "GET"),
        stage.ask("/modalities/new/nope", "GET"),
        stage.ask("/modalities/new", "POST", []),
        stage.ask("/modalities", "POST", {}),
        stage.ask("/modalities/new", "DELETE"),
        stage.ask("/modalities/new", "DELETE"),
        stage.ask("/modalities/new", "GET"),
    ]
    all_of(found)


def test_an_echo_takes_its_options_and_refuses_what_is_none(stage: Stage) -> None:
    port = stage.rec.port
    bodies: list[object] = [
        b"",
        {},
        b"xx",
        [1],
        {"Timeout": 3, "CheckFind": True},
        {"Timeout": "x"},
        {"Timeout": -1},
        {"CheckFind": 1},
    ]
    tools: list[object] = [
        {"AET": "REC", "Host": "127.0.0.1", "Port": port}, ["REC", "127.0.0.1", port], {"AET": "REC"}, b"", b"x", ["REC", "h"],
        {"AET": "REC", "Host": "127.0.0.1", "Port": port, "CheckFind": True, "Timeout": 2}, {"AET": 1, "Host": "h", "Port": 1},
        {"AET": "REC", "Host": "127.0.0.1", "Port": "x"}, {"AET": "REC", "Host": "127.0.0.1", "Port": port, "Timeout": "x"},
        {"AET": "REC", "Host": "127.0.0.1", "Port": port, "Manufacturer": "zz"}, {"AET": "REC", "Host": "nosuchhost.invalid", "Port": 1},
    ]  # fmt: skip
    all_of(
        [
            *(stage.ask("/modalities/rec/echo", "POST", body) for body in bodies),
            *(stage.ask("/tools/dicom-echo", "POST", body) for body in tools),
            stage.ask("/modalities/nope/echo", "POST", {}),
        ]
    )


def test_peers_that_are_not_there_or_do_not_want(stage: Stage) -> None:
    with ExitStack() as peers:
        ports = {
            "dead": free_port(),
            "silent": peers.enter_context(rude_peer(None)),
            "rejecting": peers.enter_context(rude_peer(REJECTION)),
            "aborting": peers.enter_context(rude_peer(ABORT)),
            "closing": peers.enter_context(rude_peer(b"")),
        }
        found = []
        for name, port in ports.items():
            found.append(stage.ask(f"/modalities/{name}", "PUT", [name.upper(), "127.0.0.1", port]))
            for path, body in (
                ("echo", {"Timeout": 1}),
                ("query", {"Level": "Study", "Query": {}, "Timeout": 1}),
            ):
                found.append(stage.ask(f"/modalities/{name}/{path}", "POST", body))
            found.append(stage.ask(f"/modalities/{name}", "DELETE"))
        all_of(found)


KEYS = {
    "PatientID": "*", "PatientName": "*", "PatientBirthDate": "*", "StudyDate": "*", "StudyTime": "*", "StudyDescription": "A*",
    "SeriesDescription": "*", "SeriesDate": "*", "InstanceNumber": "*", "ModalitiesInStudy": "*", "Modality": "CT",
    "AccessionNumber": "*", "0009,0010": "x", "StudyInstanceUID": "*", "SeriesInstanceUID": "", "SOPInstanceUID": "",
    "NumberOfStudyRelatedInstances": "*", "0010,0021": "*", "PatientSex": "M", "QueryRetrieveLevel": "IMAGE",
    "PatientBirthTime": "*", "InstanceCreationDate": "*", "0100,0420": "*", "0008,0201": "x",
}  # fmt: skip


def sent(stage: Stage) -> tuple[list[Any], list[Any]]:
    """What both have sent to `rec`, ours and theirs; Orthanc's file meta information left out."""
    asked = [
        (model, title, {tag: value for tag, value in keys.items() if tag != META_SOP_INSTANCE_UID})
        for model, title, keys in stage.rec.take()
    ]
    half = len(asked) // 2
    return asked[:half], asked[half:]


@pytest.mark.parametrize(
    "manufacturer", ["Generic", "GenericNoWildcardInDates", "GenericNoUniversalWildcard", "Vitrea", "GE"]
)
def test_the_same_identifiers_are_sent(stage: Stage, manufacturer: str) -> None:
    assert_same(stage.ask("/modalities/rec", "PUT", ["REC", "127.0.0.1", stage.rec.port, manufacturer]))
    stage.rec.take()
    asked = 0
    for level in ("Patient", "Study", "Series", "Instance"):
        bodies: list[dict[str, Any]] = [
            {"Level": level, "Query": KEYS},
            {"Level": level, "Query": {}},
            {"Level": level, "Query": KEYS | {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "山é"}},
            {"Level": level, "Query": {"PatientName": "é*"}, "LocalAet": "OTHER"},
        ]
        if level == "Study":
            bodies.append({"Level": level, "Query": {"Modality": "CT", "StudyDate": "*"}, "Normalize": False})
        for body in bodies:
            assert_same(stage.ask("/modalities/rec/query", "POST", body))
            ours, theirs = sent(stage)
            assert ours == theirs
            assert len(ours) == 1
            asked += 1
    for path, keys in (
        ("find-patient", {"PatientID": "P123*", "StudyDescription": "x"}),
        ("find-study", {"PatientID": "P123*", "StudyDate": "*"}),
        ("find-study", {"AccessionNumber": "A12"}),
        ("find-series", {"PatientID": "P123*", "StudyInstanceUID": "2.2"}),
        ("find-instance", {"PatientID": "P123*", "StudyInstanceUID": "2.2", "SeriesInstanceUID": "2.3"}),
        ("find", {"PatientID": "P1"}),
    ):
        assert_same(stage.ask(f"/modalities/rec/{path}", "POST", keys))
        ours, theirs = sent(stage)
        assert ours == theirs
        assert ours
    stage.ask("/modalities/rec", "PUT", ["REC", "127.0.0.1", stage.rec.port])


def test_queries_and_their_answers_are_shown_alike(stage: Stage) -> None:
    found = [
        stage.ask(
            "/modalities/rec/query",
            "POST",
            {"Level": "Study", "Query": {"PatientID": "P1", "0008,0061": "", "SeriesDescription": "x*"}},
        )
    ]
    paths = (
        "", "/", "/level", "/query", "/query?simplify", "/query?short", "/modality", "/answers", "/answers?expand",
        "/answers?expand&simplify", "/answers?expand&short", "/answers?expand=false", "/answers?expand=x",
        "/answers?expand&full&simplify", "/answers/0", "/answers/7", "/answers/x", "/answers/-1", "/answers/0/content",
        "/answers/1/content?simplify", "/answers/1/content?short", "/answers/7/content", "/answers/x/content", "/nope",
        "/answers/0/nope", "/answers/0/query-series", "/query-studies",
    )  # fmt: skip
    found += [stage.ask("/queries/{q}" + path, "GET") for path in paths]
    found += [stage.ask("/queries", "POST", {}), stage.ask("/queries", "DELETE"), stage.ask("/queries/nope", "GET")]
    found += [
        stage.ask(f"/queries/nope/{what}", "GET") for what in ("level", "query", "modality", "answers", "answers/0")
    ]
    found += [
        stage.ask("/queries/{q}", "DELETE"),
        stage.ask("/queries/{q}/level", "GET"),
        stage.ask("/queries/{q}", "DELETE"),
    ]
    all_of(found)


def test_bad_queries_are_refused_alike(stage: Stage) -> None:
    bodies: list[object] = [
        {}, {"Level": "Nope"}, {"Level": "study"}, {"Level": "Studies", "Query": {}}, {"Level": 1, "Query": {}},
        {"Level": "Study", "Query": []}, {"Level": "Study", "Query": {"Nope": "1"}}, {"Level": "Study", "Query": {"PatientID": 1}},
        {"Level": "Study", "Query": {}, "Timeout": "x"}, {"Level": "Study", "Query": {}, "LocalAet": 3}, b"", b"x", [],
        {"Level": "Study", "Query": {"ReferencedStudySequence": [{"ReferencedSOPInstanceUID": ""}]}},
        {"Level": "Study", "Query": {"PatientName": "é", "SpecificCharacterSet": "NOPE"}},
        {"Level": "Study", "Query": {"0028,0010": "x"}, "Normalize": False}, {"Level": "Study", "Query": {}, "Normalize": 1},
    ]  # fmt: skip
    finds: list[object] = [
        {},
        b"",
        [],
        {"NoSuchTag": "1"},
        {"PatientID": 1},
        {"PatientID": "P1"},
        {"AccessionNumber": "A1"},
    ]
    worklists: list[object] = [b"", {"Query": {"PatientID": 1}}, {"Query": {"Bogus": "1"}}, {"Query": []}]
    all_of(
        [
            *(stage.ask("/modalities/rec/query", "POST", body) for body in bodies),
            *(
                stage.ask(f"/modalities/rec/find-{level}", "POST", body)
                for level in ("study", "series")
                for body in finds
            ),
            *(stage.ask("/modalities/rec/find-worklist", "POST", body) for body in worklists),
            stage.ask("/modalities/nope/query", "POST", {"Level": "Study", "Query": {}}),
            stage.ask("/modalities/rec/query", "GET"),
        ]
    )


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC000, 0xC123, 0xFE00])
def test_a_failing_query_is_told_alike(stage: Stage, status: int) -> None:
    stage.rec.status = status
    try:
        all_of([stage.ask("/modalities/rec/query", "POST", {"Level": "Study", "Query": {}})])
    finally:
        stage.rec.status = 0


def test_queries_go_on_below_an_answer(stage: Stage) -> None:
    found = []
    for level, below in (
        ("Patient", ("studies", "series", "instances")),
        ("Study", ("studies", "series", "instances")),
        ("Series", ("series", "instances")),
        ("Instance", ("instances",)),
    ):
        for name in below:
            found.append(stage.ask("/modalities/rec/query", "POST", {"Level": level, "Query": {}}))
            found.append(stage.ask("/queries/{q}/answers/0", "GET"))
            stage.rec.take()
            body = {"Query": {"StudyDescription": "*", "Modality": "CT", "PatientID": "X"}, "Normalize": False}
            found.append(stage.ask(f"/queries/{{q}}/answers/1/query-{name}", "POST", body))
            ours, theirs = sent(stage)
            assert ours == theirs
            found += [stage.ask("/queries/{q}/query?simplify", "GET"), stage.ask("/queries/{q}/level", "GET")]
    found.append(stage.ask("/modalities/rec/query", "POST", {"Level": "Study", "Query": {}}))
    bodies: list[object] = [b"", {"Query": {"Bogus": "1"}}, {"Query": []}, {"Timeout": "x"}]
    found += [stage.ask("/queries/{q}/answers/0/query-series", "POST", body) for body in bodies]
    found.append(stage.ask("/queries/{q}/answers/7/query-series", "POST", {}))
    all_of(found)


def test_worklists_are_asked_for_and_shown_alike(stage: Stage) -> None:
    usual = stage.rec.answers
    stage.rec.answers = [
        {
            0x00080050: "A1",
            0x00100010: "Müller^Jörg",
            0x00100020: "P1",
            0x00400100: ({0x00080060: "CT", 0x00400001: "STATION", 0x00400002: "20200101"},),
        }
    ]
    step = {"Modality": "CT", "ScheduledStationAETitle": "", "ScheduledProcedureStepStartDate": "20200101-"}
    bodies: list[object] = [
        {"Query": {"PatientID": "P1", "ScheduledProcedureStepSequence": [step]}},
        {"PatientID": "", "ScheduledProcedureStepSequence": []},
        {"Query": {"PatientID": "P1"}, "Short": True},
        {"Query": {"PatientID": "P1"}, "Full": True},
    ]
    try:
        stage.rec.take()
        found = []
        for body in bodies:
            found.append(stage.ask("/modalities/rec/find-worklist", "POST", body))
            ours, theirs = sent(stage)
            assert ours == theirs
        all_of(found)
    finally:
        stage.rec.answers = usual


def test_only_so_many_queries_are_kept(oracle: Oracle, tmp_path: Path) -> None:
    with recording_scp() as rec, start_pair(oracle, tmp_path, '"QueryRetrieveSize" : 2,') as pair:
        made = Stage(pair, rec)
        made.ask("/modalities/rec", "PUT", ["REC", "127.0.0.1", rec.port])
        names: dict[str, list[str]] = {pair.ours.name: [], pair.theirs.name: []}
        for _ in range(3):
            assert_same(made.ask("/modalities/rec/query", "POST", {"Level": "Study", "Query": {}}))
            for who, name in made.queries.items():
                names[who].append(name)
        for server in (pair.ours, pair.theirs):
            assert server.get_json("/queries") == sorted(names[server.name][1:])
