"""IncomingFindRequestFilter and OutgoingFindRequestFilter: what they see, and what the query becomes."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from store.dicom.matching import Dataset
from tests.data_factory import dataset, encode
from tests.peer.comparison import assert_same, compare
from tests.peer.exchange import Request
from tests.peer.lua_stage import LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle
from tests.peer.test_find import find
from tests.recording_scp import RecordingScp, recording_scp

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("modern"),
    pytest.mark.skipif(shutil.which("findscu") is None, reason="DCMTK's findscu is not installed (Debian: dcmtk)"),
]

OPTIONS = '"DicomAlwaysAllowFind": true, "DefaultEncoding": "Utf8", "DicomModalities": {"finder": ["FINDSCU", "127.0.0.1", 104, "EFilm2"]},'
INCOMING = "function IncomingFindRequestFilter(q, ...) trace('IncomingFindRequestFilter', q, ...) %s end"
OUTGOING = "function OutgoingFindRequestFilter(q, ...) trace('OutgoingFindRequestFilter', q, ...) %s end"
RESET = "IncomingFindRequestFilter = nil OutgoingFindRequestFilter = nil"
STUDY = "QueryRetrieveLevel=STUDY"
QUERIES: dict[str, tuple[str | bytes, ...]] = {
    "plain": (STUDY, "PatientID", "PatientName=Doe*", "StudyInstanceUID"),
    "charset": (STUDY, "SpecificCharacterSet=ISO_IR 192", "PatientName=Dö*".encode(), "PatientID"),
    "private": (STUDY, "PatientID", "5555,0010=VENDOR", "5555,1001=x"),
    "sequence": (STUDY, "PatientID", "(0008,1111)[0].(0008,1150)=1.2", "(0008,1110)"),
    "several values": (STUDY, "ModalitiesInStudy=MR\\CT", "StudyInstanceUID=2.25.7305.1.1\\2.25.7305.1.2"),
    "spaces": (STUDY, "PatientID=PAT1 ", "AccessionNumber= ACC11"),
    "image": ("QueryRetrieveLevel=IMAGE", "StudyInstanceUID=2.25.7305.1.1", "SOPInstanceUID", "Rows"),
}
SAME_ANSWERS = {  # of the filter, and the same is found by both
    "the same": "return q",
    "constrained": "q['0010,0020'] = 'PAT2' return q",
    "by name": "q['0010,0020'] = nil q['PatientID'] = 'PAT2' return q",
    "by dash": "q['0010,0020'] = nil q['0010-0020'] = 'PAT2' return q",
    "by digits": "q['0010,0020'] = nil q['00100020'] = 'PAT2' return q",
    "a number": "q['0010,0020'] = nil q['0020,1208'] = 1 return q",
    "two results": "return q, 'more'",
    "freed": "q['0010,0010'] = '' return q",
}
WRONG_ANSWERS = {
    "nil": "return nil", "nothing": "return", "text": "return 'x'", "number": "return 1", "true": "return true", "error": "error('an error')",
    "table value": "q['0010,0020'] = {} return q", "boolean value": "q['0010,0020'] = true return q", "unknown tag": "q['NoSuchTag'] = 'x' return q",
    "list": "return {'x'}",
}  # fmt: skip
REC_ANSWERS: list[Dataset] = [{0x00080052: "STUDY", 0x00100020: "P1", 0x0020000D: "1.2.1"}]


@dataclass
class Stage:
    pair: LuaPair
    rec: RecordingScp

    def query(self, level: str = "Study", normalize: bool | None = None, **query: str) -> list[list[Any]]:
        """Both ask the modality `rec`; what it was asked by each."""
        body: dict[str, Any] = {"Level": level, "Query": query}
        if normalize is not None:
            body["Normalize"] = normalize
        return self.post("/modalities/rec/query", body)

    def post(self, path: str, body: object) -> list[list[Any]]:
        request = Request(path, "POST", json.dumps(body))
        answers, asked = [], []
        for server in self.pair.servers:
            answer = server.ask(request)
            made: Any = answer.json() if answer.body else {}
            answers.append(replace(answer, body=answer.body.replace(str(made.get("ID", "-")).encode(), b"<query>")))
            asked.append(self.rec.take())
        assert_same(compare(request, *answers))
        return asked


@pytest.fixture(scope="module")
def running(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with (
        recording_scp(REC_ANSWERS) as rec,
        start_lua_pair(oracle, tmp_path_factory.mktemp("find"), more=OPTIONS) as pair,
    ):
        files = [encode(dataset(patient, study, 1, 1)) for patient in (1, 2) for study in (1, 2)]
        named = encode(dataset(3, 1, 1, 1, SpecificCharacterSet="ISO_IR 192", PatientName="Dörte"))
        pair.both(lambda server: upload(server, *files, named))
        pair.pair.wait_until_stable()
        pair.settle()
        modality = {"AET": "REC", "Host": "127.0.0.1", "Port": rec.port, "LocalAet": "LOCAL"}
        pair.ask("/modalities/rec", "PUT", json.dumps(modality))
        yield Stage(pair, rec)


@pytest.fixture
def stage(running: Stage) -> Iterator[Stage]:
    running.pair.execute(RESET)
    running.pair.forget()
    yield running
    running.pair.execute(RESET)


@pytest.mark.parametrize("name", QUERIES)
def test_the_filter_sees_what_was_asked(stage: Stage, name: str) -> None:
    stage.pair.execute(INCOMING % "return q")
    ours, theirs = stage.pair.both(lambda server: find(server, QUERIES[name]))
    assert ours.status == theirs.status
    assert [answer.get("00100020") for answer in ours.answers] == [answer.get("00100020") for answer in theirs.answers]
    stage.pair.assert_said_alike()


@pytest.mark.parametrize("name", SAME_ANSWERS)
def test_what_the_filter_returns_is_looked_for(stage: Stage, name: str) -> None:
    stage.pair.execute(INCOMING % SAME_ANSWERS[name])
    ours, theirs = stage.pair.both(lambda server: find(server, (*QUERIES["plain"], "NumberOfStudyRelatedInstances")))
    assert ours.status == theirs.status == "0000"
    found = [[answer["0020000d"] for answer in each.answers] for each in (ours, theirs)]
    assert found[0] == found[1] != []


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_filter_that_fails_fails_the_query(stage: Stage, name: str) -> None:
    stage.pair.execute(INCOMING % WRONG_ANSWERS[name])
    ours, theirs = stage.pair.both(lambda server: find(server, QUERIES["plain"]))
    assert ours == theirs


def test_what_is_not_asked_of_a_filter_that_is_none(stage: Stage) -> None:
    stage.pair.execute("IncomingFindRequestFilter = 'x'")
    ours, theirs = stage.pair.both(lambda server: find(server, QUERIES["plain"]))
    assert ours == theirs
    assert len(ours.answers) == 5


OUTGOING_QUERIES: dict[str, dict[str, Any]] = {
    "plain": {"PatientID": "*", "PatientName": "Doe*", "StudyDescription": ""},
    "private": {"PatientID": "x", "5555,0010": "VENDOR"},
    "charset": {"PatientName": "Dörte*"},
    "empty": {},
    "raw": {"normalize": False, "PatientID": "*"},
    "series": {"level": "Series", "StudyInstanceUID": "1.2", "Modality": "MR"},
}


@pytest.mark.parametrize("name", OUTGOING_QUERIES)
@pytest.mark.parametrize(
    "script",
    [
        "return q",
        "q['0010,0020'] = 'changed' return q",
        "for k, v in pairs(q) do if v == '*' then q[k] = '' end end return q",
        "return {}",
        "return {PatientID = 7}",
    ],
)
def test_what_is_asked_of_a_modality(stage: Stage, name: str, script: str) -> None:
    stage.pair.execute(OUTGOING % script)
    ours, theirs = stage.query(**OUTGOING_QUERIES[name])
    assert ours == theirs
    stage.pair.assert_said_alike()


@pytest.mark.parametrize("name", WRONG_ANSWERS)
def test_a_filter_that_fails_fails_the_request(stage: Stage, name: str) -> None:
    stage.pair.execute(OUTGOING % WRONG_ANSWERS[name])
    assert stage.query(PatientID="x") == [[], []]


def test_other_questions_to_a_modality(stage: Stage) -> None:
    stage.pair.execute(OUTGOING % "return {PatientID = 'changed'}")
    ours, theirs = stage.post("/modalities/rec/find-study", {"PatientID": "x"})
    assert ours == theirs
    ours, theirs = stage.post("/modalities/rec/echo", {})
    stage.pair.assert_said_alike()
