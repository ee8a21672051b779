"""`/queries`: answers in files that every gateway reads, and what goes on from them."""

import json
from collections.abc import Callable, Iterator

import pytest

from actors.services.jobs.operations.retrieve_plan import RetrievePlan, from_plan
from store.dicom.matching import Dataset
from store.views.jobs import get_plan, list_jobs
from tests.contract.rest_stage import Answer, RestStage, rest_stage, shown
from tests.recording_scp import RecordingScp, recording_scp
from tools.server.core import Core

ANSWERS: list[Dataset] = [
    {
        0x00080018: f"1.2.3.{number}",
        0x00080050: "A1",
        0x00100010: "山田^太郎",
        0x00100020: f"P{number}",
        0x0020000D: f"1.2.{number}",
        0x0020000E: "1.2.3",
        0x00081140: ({0x00081155: "1"},),
        0x00090010: "ACME",
        0x00091001: "private",
    }
    for number in range(2)
]


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, query_retrieve_size=3) as made:
        yield made


@pytest.fixture
def rec(stage: RestStage) -> Iterator[RecordingScp]:
    with recording_scp([{**answer, 0x00080005: "ISO_IR 192"} for answer in ANSWERS]) as running:
        running.encoding = "Utf8"
        put(stage, running)
        yield running


def put(stage: RestStage, rec: RecordingScp, **more: object) -> None:
    body = {"AET": "REC", "Host": "127.0.0.1", "Port": rec.port, **more}
    assert stage.ask("/modalities/rec", "PUT", json.dumps(body).encode()).status == 200


def post(stage: RestStage, path: str, body: object = None) -> Answer:
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return stage.ask(path, "POST", data)


def query(stage: RestStage, level: str = "Study", **keys: str) -> str:
    path: str = shown(post(stage, "/modalities/rec/query", {"Level": level, "Query": keys}))["Path"]
    return path


@pytest.mark.usefixtures("rec")
def test_a_query_tells_what_was_asked_of_whom(stage: RestStage) -> None:
    path = query(stage, PatientID="P*", SeriesDescription="x")
    assert stage.ask(f"{path}/level").body == b"Study"
    assert stage.ask(f"{path}/modality").body == b"rec"
    assert shown(stage.ask(f"{path}/query?simplify")) == {"PatientID": "P*", "SeriesDescription": "x"}
    assert shown(stage.ask(path)) == ["answers", "level", "modality", "query", "retrieve"]


@pytest.mark.usefixtures("rec")
def test_answers_lose_sequences_and_private_values_but_no_character(stage: RestStage) -> None:
    path = query(stage)
    assert shown(stage.ask(f"{path}/answers")) == ["0", "1"]
    expected = {
        "AccessionNumber": "A1",
        "MediaStorageSOPInstanceUID": "1.2.3.1",
        "PatientID": "P1",
        "PatientName": "山田^太郎",
        "PrivateCreator": None,
        "SOPInstanceUID": "1.2.3.1",
        "SeriesInstanceUID": "1.2.3",
        "SpecificCharacterSet": "ISO_IR 100",
        "StudyInstanceUID": "1.2.1",
    }
    assert shown(stage.ask(f"{path}/answers/1/content?simplify")) == expected
    assert shown(stage.ask(f"{path}/answers?expand&simplify"))[1] == expected
    assert shown(stage.ask(f"{path}/answers/0/content"))["0010,0020"] == {
        "Name": "PatientID",
        "Type": "String",
        "Value": "P0",
    }


@pytest.mark.usefixtures("rec")
@pytest.mark.parametrize(
    ("asked", "patients"),
    [
        ("since=0&limit=0", ["P0", "P1"]),
        ("since=0&limit=1", ["P0"]),
        ("since=1&limit=9", ["P1"]),
        ("since=2&limit=1", []),
    ],
)
def test_a_part_of_the_answers_is_shown(stage: RestStage, asked: str, patients: list[str]) -> None:
    found = shown(stage.ask(f"{query(stage)}/answers?expand&simplify&{asked}"))
    assert [answer["PatientID"] for answer in found] == patients


@pytest.mark.usefixtures("rec")
def test_a_part_of_the_answers_has_a_beginning_and_an_end(stage: RestStage) -> None:
    path = query(stage)
    for asked in ("since=0", "limit=1", "since=-1&limit=1", "since=0&limit=x"):
        assert stage.ask(f"{path}/answers?expand&{asked}").status == 400


@pytest.mark.usefixtures("rec")
def test_another_gateway_answers_for_the_same_queries(stage: RestStage, archive: Core) -> None:
    path = query(stage)
    with rest_stage(archive) as other:
        assert shown(other.ask("/queries")) == [path.removeprefix("/queries/")]
        assert shown(other.ask(f"{path}/answers")) == ["0", "1"]
        assert other.ask(path, "DELETE").status == 200
    assert stage.ask(path).status == 404


@pytest.mark.usefixtures("rec")
def test_the_oldest_queries_make_room(stage: RestStage) -> None:
    paths = [query(stage) for _ in range(5)]
    kept = sorted(path.removeprefix("/queries/") for path in paths[2:])
    assert shown(stage.ask("/queries")) == kept


def test_a_query_below_an_answer_takes_over_what_names_it(stage: RestStage, rec: RecordingScp) -> None:
    path = query(stage, "Patient")
    assert "query-study" in shown(stage.ask(f"{path}/answers/0"))
    rec.take()
    below = shown(post(stage, f"{path}/answers/1/query-series", {"Query": {"Modality": "CT", "PatientID": "X"}}))[
        "Path"
    ]
    keys = rec.take()[0][2]
    assert (keys[0x00080052], keys[0x00100020], keys[0x00080060]) == ("SERIES", "P1", "CT")
    assert stage.ask(f"{below}/level").body == b"Series"
    assert post(stage, f"{below}/answers/0/query-studies", {}).status == 404


def test_a_start_forgets_all_queries(archive_factory: Callable[..., Core]) -> None:
    archive = archive_factory()
    with rest_stage(archive) as stage, recording_scp() as rec:
        put(stage, rec)
        query(stage)
    archive.stop()
    with rest_stage(archive_factory()) as stage:
        assert shown(stage.ask("/queries")) == []


# -- retrieval --------------------------------------------------------------------------------------------------------


def plans(stage: RestStage) -> list[tuple[str, int, RetrievePlan]]:
    """Return type, steps and plan of every job."""
    with stage.deps.views.snapshot() as s:
        found = []
        for job in list_jobs(s):
            plan = get_plan(s, job.ref)
            assert plan is not None
            found.append((job.type, job.steps, from_plan(dict(plan.values))))
        return found


def retrieve(stage: RestStage, path: str, body: object) -> tuple[str, int, RetrievePlan]:
    """Have a job made; returns what is new."""
    before = plans(stage)
    assert shown(post(stage, path, body))["Path"].startswith("/jobs/")
    return next(each for each in plans(stage) if each not in before)


@pytest.mark.usefixtures("rec")
def test_retrieving_makes_a_job_with_one_step_an_answer(stage: RestStage) -> None:
    path = query(stage)
    kind, steps, plan = retrieve(stage, f"{path}/retrieve", {"TargetAet": "T", "Asynchronous": True, "Timeout": 7})
    assert (kind, steps) == ("DicomMoveScu", 2)
    assert (plan.method, plan.local_aet, plan.target_aet, plan.timeout_s) == ("C-MOVE", "SINOGRAM", "T", 7)
    assert plan.modality.name == "rec"
    assert plan.queries[1].sent_keys("C-MOVE") == {0x0020000D: "1.2.1", 0x00080052: "STUDY"}
    assert plan.queries[1].shown_keys() == {
        0x00020003: "1.2.3.1",
        0x00080018: "1.2.3.1",
        0x00080050: "A1",
        0x00080052: "STUDY",
        0x00100020: "P1",
        0x0020000D: "1.2.1",
        0x0020000E: "1.2.3",
    }


def test_the_method_of_a_request_wins_over_that_of_the_modality(stage: RestStage, rec: RecordingScp) -> None:
    put(stage, rec, RetrieveMethod="C-GET")
    path = query(stage)
    one = f"{path}/answers/0/retrieve"
    kind, steps, plan = retrieve(stage, one, {"Asynchronous": True})
    assert (kind, steps, plan.target_aet) == ("DicomGetScu", 1, "")
    assert plan.queries[0].sent_keys("C-GET").keys() == {
        *(0x00080018, 0x00080050, 0x00080052, 0x00100020, 0x0020000D, 0x0020000E)
    }
    kind, _, plan = retrieve(stage, one, {"Asynchronous": True, "RetrieveMethod": "C-MOVE"})
    assert (kind, plan.target_aet) == ("DicomMoveScu", "SINOGRAM")


def test_a_body_that_is_no_json_names_the_target(stage: RestStage, rec: RecordingScp) -> None:
    rec.answers = []
    path = query(stage)
    answer = post(stage, f"{path}/retrieve", b'{"TargetAet": 5}')
    assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (400, 5)
    assert post(stage, f"{path}/retrieve", b"[]").status == 400
    assert post(stage, f"{path}/answers/0/retrieve", b"T").status == 400


@pytest.mark.usefixtures("rec")
@pytest.mark.parametrize(
    ("body", "status", "code", "details"),
    [
        ({}, 400, 15, "Must provide a JSON body containing fields Resources and Level"),
        ({"Level": "Study"}, 400, 15, "Must provide a JSON body containing fields Resources and Level"),
        ({"Level": "Bad", "Resources": []}, 400, 3, "Invalid resource type 'Bad'"),
        ({"Level": "Study", "Resources": ["1"]}, 400, 15, "Expecting an object in field 'Resources elements'"),
        (
            {"Level": "Study", "Resources": [{"StudyInstanceUID": 1}]},
            400,
            15,
            "Expecting a string in field 'StudyInstanceUID'",
        ),
        ({"Level": "Study", "Resources": [{"Bogus": "1"}]}, 500, 27, "Bogus"),
        ({"Level": "Study", "Resources": [{}]}, 400, 8, "Missing tag 0020,000d"),
        ({"Level": "Series", "Resources": [{"SeriesInstanceUID": "1"}]}, 400, 8, "Missing tag 0020,000d"),
        ({"Level": "Study", "Resources": [], "Timeout": "x"}, 400, 15, "Integer value expected in field: Timeout"),
        (
            {"Level": "Study", "Resources": [], "Permissive": "x"},
            400,
            15,
            "Boolean value expected in field: Permissive",
        ),
    ],
)
def test_a_move_that_cannot_be_understood_is_refused(
    stage: RestStage, body: object, status: int, code: int, details: str
) -> None:
    answer = post(stage, "/modalities/rec/move", body)
    error = json.loads(answer.body)
    assert (answer.status, error["OrthancStatus"], error["Details"]) == (status, code, details)


@pytest.mark.usefixtures("rec")
def test_move_and_get_name_resources_by_tags(stage: RestStage) -> None:
    body = {"Level": "Study", "Resources": [{"0020,000d": "1.2", "PatientID": "P"}], "Asynchronous": True}
    kind, steps, plan = retrieve(stage, "/modalities/rec/move", body)
    assert (kind, steps, plan.target_aet) == ("DicomMoveScu", 1, "SINOGRAM")
    assert plan.queries[0].sent_keys("C-MOVE") == {0x0020000D: "1.2", 0x00080052: "STUDY"}
    kind, _, plan = retrieve(stage, "/modalities/rec/get", body)
    assert kind == "DicomGetScu"
    assert plan.queries[0].sent_keys("C-GET") == {0x0020000D: "1.2", 0x00100020: "P", 0x00080052: "STUDY"}
