"""`/modalities`: what REST changes holds at once in every process, for this run or for good; echo and find against peers."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.services.remote.asking import ask, check, create_find_pool
from actors.services.remote.modalities import Modalities
from actors.services.remote.modality import Modality, Operation
from actors.services.remote.query import FIND_MODEL, find_identifier
from actors.services.remote.target import Target
from actors.wire.errors import RemoteFailed
from actors.wire.interruption import Interruption
from events.identifiers import Level
from store.dicom.matching import Dataset
from tests.conformance_statement import read_statement
from tests.contract.rest_stage import Answer, RestStage, error_of, rest_stage, shown
from tests.fault.servers import server_in
from tests.recording_scp import RecordingScp, recording_scp, rude_peer
from tools.server.core import Core

CONFIGURED = (
    Modality(name="b", aet="SAME", host="h", port=1),
    Modality(name="a", aet="same", host="h", port=2, allowed=frozenset({Operation.ECHO})),
)
ANSWERS: list[Dataset] = [{0x00100020: f"P{n}", 0x0020000D: f"1.{n}", 0x00080018: ""} for n in range(3)]


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


@pytest.fixture
def rec(stage: RestStage) -> Iterator[RecordingScp]:
    with recording_scp(ANSWERS) as running:
        assert put(stage, "rec", ["REC", "127.0.0.1", running.port]).status == 200
        yield running


def put(stage: RestStage, name: str, body: object) -> Answer:
    return stage.ask(f"/modalities/{name}", "PUT", json.dumps(body).encode())


def post(stage: RestStage, path: str, body: object = None) -> Answer:
    return stage.ask(path, "POST", b"" if body is None else json.dumps(body).encode())


# -- what there is ------------------------------------------------------------------------------------------------------


def test_what_is_put_is_shown_whole(stage: RestStage) -> None:
    long = {"AET": "A", "Host": "h", "Port": "105", "AllowEcho": False, "AllowStorageCommitment": False, "Timeout": 5}
    assert put(stage, "new", long | {"UseDicomTls": True, "LocalAet": "L", "Manufacturer": "GE"}).status == 200
    assert shown(stage.ask("/modalities?expand")) == {
        "new": {
            "AET": "A",
            "AllowEcho": False,
            "AllowEventReport": False,
            "AllowFind": True,
            "AllowFindWorklist": True,
            "AllowGet": True,
            "AllowMove": True,
            "AllowNAction": False,
            "AllowStore": True,
            "AllowTranscoding": True,
            "Host": "h",
            "LocalAet": "L",
            "Manufacturer": "GE",
            "Port": 105,
            "RetrieveMethod": "SystemDefault",
            "Timeout": 5,
            "UseDicomTls": True,
        }
    }
    assert shown(stage.ask("/modalities")) == ["new"]
    assert "find-worklist" in shown(stage.ask("/modalities/new"))


def test_a_modality_that_is_gone_is_not_found(stage: RestStage) -> None:
    put(stage, "new", ["A", "h", 1])
    assert stage.ask("/modalities/new", "DELETE").status == 200
    assert error_of(stage.ask("/modalities/new", "DELETE"))[:2] == (404, 7)
    assert error_of(stage.ask("/modalities/new/configuration"))[:2] == (404, 7)
    assert stage.ask("/modalities/new").body == b""


def test_a_name_no_key_could_hold_is_refused(stage: RestStage) -> None:
    assert error_of(put(stage, "a" * 5_000, ["A", "h", 1]))[:2] == (400, 15)


def test_changes_of_the_configuration_hold_for_everybody_and_for_this_run(
    archive_factory: Callable[..., Core],
) -> None:
    archive = archive_factory()
    one, other = (Modalities(CONFIGURED, archive.views, archive.client) for _ in range(2))
    assert [modality.name for modality in one.list()] == ["a", "b"]
    assert one.remove("b")
    assert not other.remove("b")
    new = Modality(name="c", aet="C", host="h", port=3, allowed=frozenset(), use_tls=True, timeout_s=7, local_aet="L")
    other.put(new)
    assert one.find("c") == new
    assert [modality.name for modality in one.list()] == ["a", "c"]
    archive.stop()
    archive = archive_factory()
    assert Modalities(CONFIGURED, archive.views, archive.client).list() == (CONFIGURED[1], CONFIGURED[0])


def test_modalities_in_the_database_outlive_the_run_and_leave_the_configuration_alone(
    archive_factory: Callable[..., Core],
) -> None:
    archive = archive_factory()
    one = Modalities(CONFIGURED, archive.views, archive.client, is_stored=True)
    assert one.list() == ()
    for port in (1, 2):
        one.put(Modality(name="c", aet="C", host="h", port=port))
    one.put(Modality(name="d", aet="D", host="h", port=3))
    assert one.remove("d")
    assert not one.remove("d")
    archive.stop()
    archive = archive_factory()
    again = Modalities(CONFIGURED, archive.views, archive.client, is_stored=True)
    assert again.list() == (Modality(name="c", aet="C", host="h", port=2),)


def test_of_two_with_one_title_the_first_by_name_counts(archive: Core) -> None:
    known = Modalities(CONFIGURED, archive.views, archive.client)
    assert known.by_aet("Same") == CONFIGURED[1]
    strict = Modalities(CONFIGURED, archive.views, archive.client, is_strict_aet=True)
    assert strict.by_aet("SAME") == CONFIGURED[0]
    assert strict.by_aet("Same") is None


def test_a_modality_may_ask_as_soon_as_it_is_put_and_no_longer_when_it_is_gone(tmp_path: Path) -> None:
    with server_in(tmp_path) as server:
        server.start()
        here = Target(host="127.0.0.1", port=server.dicom_port, called_aet="ANY", calling_aet="LATER", timeout_s=10)

        def may_find() -> bool:
            identifier = find_identifier(Level.STUDY, {}, "Generic", "Latin1")
            try:
                found = list(
                    ask(here, FIND_MODEL[Level.STUDY], identifier, "Latin1", Interruption(), create_find_pool(0))
                )
            except RemoteFailed:
                return False
            return not found

        for _ in range(3):  # two gateways, of which either may answer either request
            assert not may_find()
            body = json.dumps(["LATER", "127.0.0.1", 104]).encode()
            assert server.request("PUT", "/modalities/later", body).status == 200
            assert all(may_find() for _ in range(4))
            denied = json.dumps({"AET": "LATER", "Host": "127.0.0.1", "Port": 104, "AllowFind": False}).encode()
            assert server.request("PUT", "/modalities/later", denied).status == 200
            assert not may_find()
            assert server.request("DELETE", "/modalities/later").status == 200
        check(here, Interruption(), checks_find=False)


# -- what they are asked ------------------------------------------------------------------------------------------------


def test_an_echo_says_whether_the_modality_is_there(stage: RestStage, rec: RecordingScp) -> None:
    answer = post(stage, "/modalities/rec/echo")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/json", b"{}")
    assert rec.take() == []
    assert post(stage, "/modalities/rec/echo", {"CheckFind": True}).status == 200
    ((model, title, keys),) = rec.take()
    assert (model, title) == (FIND_MODEL[Level.STUDY], "SINOGRAM")
    assert str(keys[0x0020000D]).startswith("2.25.")


def test_an_echo_may_check_queries_by_default(archive: Core) -> None:
    with rest_stage(archive, dicom_echo_checks_find=True) as stage, recording_scp() as rec:
        assert post(stage, "/tools/dicom-echo", ["REC", "127.0.0.1", rec.port]).status == 200
        assert len(rec.take()) == 1
        described = {"AET": "REC", "Host": "127.0.0.1", "Port": rec.port, "CheckFind": False}
        assert post(stage, "/tools/dicom-echo", described).status == 200
        assert rec.take() == []


def test_the_title_of_a_modality_is_used_when_it_is_called(stage: RestStage, rec: RecordingScp) -> None:
    put(stage, "rec", {"AET": "REC", "Host": "127.0.0.1", "Port": rec.port, "LocalAet": "MINE"})
    query = {"Level": "Study", "Query": {}, "LocalAet": "ASKED"}
    assert post(stage, "/modalities/rec/query", query).status == 200
    assert rec.take()[0][1] == "MINE"
    put(stage, "rec", ["REC", "127.0.0.1", rec.port])
    assert post(stage, "/modalities/rec/query", query).status == 200
    assert rec.take()[0][1] == "ASKED"


def test_find_routes_answer_with_names_and_values(stage: RestStage, rec: RecordingScp) -> None:
    found = shown(post(stage, "/modalities/rec/find-study", {"PatientID": "P*1"}))
    assert found[1] == {
        "PatientID": "P1",
        "SOPInstanceUID": "",
        "SpecificCharacterSet": "ISO_IR 100",
        "StudyInstanceUID": "1.1",
    }
    assert [answer["PatientID"] for answer in found] == ["P0", "P1", "P2"]
    assert len(rec.take()) == 1
    assert shown(stage.ask("/queries")) == []


def test_a_query_that_names_too_little_is_not_sent(stage: RestStage, rec: RecordingScp) -> None:
    for path in ("find-study", "find-series", "find-instance"):
        answer = post(stage, f"/modalities/rec/{path}", {"PatientID": "P1", "StudyInstanceUID": "1.2"})
        assert (answer.status, answer.body) == (400, b"")
    assert rec.take() == []


def test_find_goes_down_to_series(stage: RestStage, rec: RecordingScp) -> None:
    patients = shown(post(stage, "/modalities/rec/find", {"PatientID": "P*"}))
    assert [len(study["Series"]) for study in patients[0]["Studies"]] == [3, 3, 3]
    asked = rec.take()
    assert len(asked) == 1 + 3 + 9
    assert [keys[0x00080052] for _, _, keys in asked[:3]] == ["PATIENT", "STUDY", "SERIES"]
    assert asked[3][2][0x0020000D] == "1.1"


def test_a_query_proposes_what_the_conformance_statement_says(stage: RestStage, rec: RecordingScp) -> None:
    stated = read_statement(stage.ask("/tools/dicom-conformance").body.decode())
    shown(post(stage, "/modalities/rec/find-patient", {}))
    request = rec.associations[-1].request
    proposed = {uid for context in request.contexts for uid in (context.abstract_syntax, *context.transfer_syntaxes)}
    assert proposed == {uid for _, uid in stated["C-FIND as SCU"]}
    assert str(request.maximum_length) == dict(stated["Limits"])["P-DATA PDU received as SCU, bytes"]


def test_a_thousand_answers_are_streamed(stage: RestStage, rec: RecordingScp) -> None:
    rec.answers = [{0x00100020: f"P{n}"} for n in range(1_200)]
    names = [f"P{n}" for n in range(1_200)]
    plain = post(stage, "/modalities/rec/find-patient", {})
    assert [answer["PatientID"] for answer in shown(plain)] == names
    xml = stage.ask("/modalities/rec/find-patient", "POST", b"{}", {"Accept": "application/xml"})
    assert re.findall(rb"<PatientID>(\w+)</PatientID>", xml.body) == [name.encode() for name in names]
    assert "Content-Length" not in plain.headers | xml.headers


def test_a_query_that_fails_after_answers_is_an_error(stage: RestStage, rec: RecordingScp) -> None:
    rec.status = 0xA700
    for path in ("find-patient", "find"):
        status, code, details = error_of(post(stage, f"/modalities/rec/{path}", {}))
        assert (status, code) == (500, 9)
        assert details == 'C-FIND SCU to AET "REC" has failed with DIMSE status 0xA700'
    rec.status = 0xC000
    assert error_of(post(stage, "/modalities/rec/query", {"Level": "Study"}))[:2] == (422, 9)
    assert shown(stage.ask("/queries")) == []


def test_a_worklist_is_asked_for_with_its_sequence(stage: RestStage, rec: RecordingScp) -> None:
    rec.answers = [{0x00100010: "Doe^Jane", 0x00400100: ({0x00080060: "CT"},)}]
    step = {"Modality": "CT"}
    found = shown(post(stage, "/modalities/rec/find-worklist", {"Query": {"ScheduledProcedureStepSequence": [step]}}))
    assert found == [{"PatientName": "Doe^Jane", "ScheduledProcedureStepSequence": [step]}]
    assert rec.take()[0][2][0x00400100] == ({0x00080060: "CT"},)


def test_a_modality_without_queries_is_told_apart(stage: RestStage) -> None:
    with rude_peer(None) as silent:
        put(stage, "silent", {"AET": "SILENT", "Host": "127.0.0.1", "Port": silent, "Timeout": 1})
        status, code, _ = error_of(post(stage, "/modalities/silent/echo"))
        assert (status, code) == (500, 9)


def test_a_stopping_server_waits_for_no_modality(stage: RestStage) -> None:
    with rude_peer(None) as silent:
        put(stage, "silent", {"AET": "SILENT", "Host": "127.0.0.1", "Port": silent})
        answers: list[Answer] = []
        waiting = threading.Thread(
            target=lambda: answers.append(post(stage, "/modalities/silent/echo", {"Timeout": 3600}))
        )
        waiting.start()
        stage.deps.stopping.interrupt()
        waiting.join(20)
        assert [answer.status for answer in answers] == [503]
