"""What `/tools/find` promises of itself: its plan, what it reads, how much it keeps, what becomes of what goes meanwhile.

That its answers are Orthanc's is shown by `tests/peer/test_tools_find.py`.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.rest import resources
from store.blobs.store import BlobStore
from store.views.selection import Selector
from tests.contract.rest_stage import RestStage, pieces, rest_stage
from tests.dicom_bytes import MR, dataset, encode
from tests.examples import examples
from tools.bench.filling import Shape, fill
from tools.server.core import Core

MANY = 2_200  # studies


# As Orthanc 1.12.7 answers: HTTP status, its code, its details.
REFUSED = (
    ("x", 400, 8, "The body must contain a JSON object"),
    ('{"Query": {}}', 400, 8, 'Field "Level" is missing, or should be a string'),
    ('{"Level": "Study"}', 400, 8, 'Field "Query" is missing, or should be a JSON object'),
    ('{"Level": "Nope", "Query": {}}', 400, 3, "Invalid resource type 'Nope'"),
    ('{"Level": "Study", "Query": {"Nope": "x"}}', 500, 27, "Nope"),
    ('{"Level": "Study", "Query": {"StudyDate": "2024*"}}', 400, 3, "Wildcards are not allowed on tag 0008,0020"),
    ('{"Level": "Study", "Query": {"PatientName": 1}}', 400, 8, 'Tag "PatientName" must be associated with a string'),
    ('{"Level": "Study", "Query": {}, "CaseSensitive": 1}', 400, 8, 'Field "CaseSensitive" must be a Boolean'),
    ('{"Level": "Study", "Query": {}, "Labels": [1]}', 400, 8, 'Field "Labels" must contain strings'),
    ('{"Level": "Study", "Query": {}, "ParentStudy": 1}', 400, 8, 'Field "ParentStudy" must be a string'),
)
REFUSED_BY_FIND = (
    ('{"Level": "Study", "Query": {}, "Limit": -1}', 400, 3, 'Field "Limit" must be a positive integer'),
    ('{"Level": "Study", "Query": {}, "Since": "1"}', 400, 8, 'Field "Since" must be an integer'),
    ('{"Level": "Study", "Query": {}, "Full": 1}', 400, 15, "Boolean value expected in field: Full"),
    ('{"Level": "Study", "Query": {}, "OrderBy": [{}]}', 400, 8, 'Field "Key" must be a string'),
    (
        '{"Level": "Study", "Query": {"Rows": "8"}, "Since": 1}', 400, 8,
        "Unable to use 'Since' in tools/find when querying tags that are not stored as MainDicomTags in the Database",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("body", "status", "code", "details"), REFUSED + REFUSED_BY_FIND)
def test_what_is_wrong_is_refused(stage: RestStage, body: str, status: int, code: int, details: str) -> None:
    paths = (
        ["/tools/find"]
        if (body, status, code, details) in REFUSED_BY_FIND
        else ["/tools/find", "/tools/count-resources"]
    )
    for path in paths:
        answer = stage.ask(path, "POST", body.encode())
        told = json.loads(answer.body)
        assert (answer.status, told["OrthancStatus"], told["Details"]) == (status, code, details)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
        ["Study", "*", "PatientName", "0010,0010", "7fe00010", "DicomTag", "Metadata", "LastUpdate", "1024", "ASC", "-", "\\", "a" * 600]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9) | st.sampled_from(["PatientID", "Key", "Rows", "Type"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = (
    "Level", "Query", "Expand", "Limit", "Since", "CaseSensitive", "Full", "Short", "RequestedTags", "Labels", "LabelsConstraint", "OrderBy",
    "ParentPatient", "ParentStudy", "ParentSeries", "MetadataQuery", "ResponseContent", "Explain",
)  # fmt: skip


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(st.sampled_from(FIELDS), ODD, max_size=4), level=st.sampled_from(["Patient", "Study", "image"])
)
def test_no_request_breaks_it(stage: RestStage, body: dict[str, object], level: str) -> None:
    """Whatever comes is answered, or refused as the caller's mistake: 500 has names of tags that are none, as in Orthanc."""
    request = json.dumps({"Level": level, "Query": {"PatientName": "d*"}, **body}).encode()
    for path in ("/tools/find", "/tools/count-resources"):
        answer = stage.ask(path, "POST", request)
        told = json.loads(answer.body)
        assert answer.status in {200, 400, 404} or (answer.status, told["OrthancStatus"]) == (500, 27), answer


def test_counts_are_those_of_the_answers(stage: RestStage) -> None:
    for query in ({}, {"PatientName": "doe^jane^1"}, {"InstitutionName": "GENERAL*"}, {"StudyDate": "20240102-"}):
        for level in ("Study", "Series", "Instance"):
            found = ask(stage, Level=level, Query=query)
            assert ask(stage, "/tools/count-resources", Level=level, Query=query) == {"Count": len(found)}


def test_a_first_page_is_limited_by_the_configuration(archive: Core) -> None:
    pages: list[dict[str, Any]] = [{}, {"Limit": 1}, {"Limit": 3}, {"Since": 1}]
    with rest_stage(archive, limit_find_results=2, limit_find_instances=1) as stage:
        for study in (1, 2, 3, 4):
            stage.upload(encode(dataset(1, study)))
        assert [len(ask(stage, **page)) for page in pages] == [2, 1, 2, 3]
        assert len(ask(stage, Level="Instance")) == 1


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        for patient in (1, 2, 3):
            for study in (1, 2):
                file = encode(dataset(patient, study, PatientPosition="HFS" if study == 1 else "FFS"))
                assert made.upload(file).status == 200
        yield made


def ask(stage: RestStage, path: str = "/tools/find", **body: Any) -> Any:
    answer = stage.ask(path, "POST", json.dumps({"Level": "Study", "Query": {}, **body}).encode())
    assert answer.status == 200, answer
    return json.loads(answer.body)


def explain(stage: RestStage, query: dict[str, str], **body: Any) -> dict[str, Any]:
    plan: dict[str, Any] = ask(stage, Query=query, Explain=True, **body)
    return plan


def test_the_plan_names_the_index_and_what_is_looked_at(stage: RestStage) -> None:
    plan = explain(stage, {"StudyDate": "20240101", "InstitutionName": "General*"})
    assert (plan["Index"], plan["IndexRows"], plan["IndexRowsAreAll"]) == ("StudyDate", 3, True)
    assert plan["Compared"] == {"Index": ["InstitutionName", "StudyDate"], "Computed": [], "Files": []}
    assert (plan["IndexDecides"], plan["ReadsFiles"], plan["Answers"]) == (False, False, "collected")
    assert explain(stage, {"StudyDate": "20240101"})["IndexDecides"]


def test_the_plan_tells_of_files(stage: RestStage) -> None:
    plan = explain(stage, {"PatientPosition": "HFS", "NumberOfStudyRelatedSeries": "1"})
    assert plan["Compared"] == {
        "Index": [],
        "Computed": ["NumberOfStudyRelatedSeries"],
        "Files": ["PatientPosition"],
    }
    assert (plan["ReadsFiles"], plan["Index"], plan["IndexRows"]) == (True, None, None)


@pytest.mark.parametrize(
    ("body", "index", "level"),
    [
        ({"Query": {"PatientID": "PAT1"}}, "PatientID", "Patient"),
        ({"Query": {"PatientName": "doe*"}}, "PatientName", "Study"),
        ({"Query": {"ModalitiesInStudy": "MR"}}, "ModalitiesInStudy", "Study"),
        ({"Query": {"InstitutionName": "x"}}, "InstitutionName", "Study"),
        ({"Labels": ["a"]}, "labels", "Study"),
        ({"ParentPatient": "x"}, "parents", "Patient"),
        ({"Level": "Series", "Query": {"Modality": "MR", "PatientID": "PAT1"}}, "PatientID", "Patient"),
    ],
)
def test_the_cheapest_index_is_taken(stage: RestStage, body: dict[str, Any], index: str, level: str) -> None:
    plan = ask(stage, Explain=True, **body)
    assert (plan["Index"], plan["IndexLevel"]) == (index, level)
    assert ask(stage, "/tools/count-resources", Explain=True, **body)["Index"] == index


def test_the_plan_tells_where_an_order_comes_from(stage: RestStage) -> None:
    def way(query: dict[str, str], key: str) -> object:
        return explain(stage, query, OrderBy=[{"Type": "DicomTag", "Key": key, "Direction": "ASC"}])["Answers"]

    assert way({}, "StudyDate") == way({"PatientName": "D*"}, "StudyDate") == "index of values"
    assert way({}, "StudyTime") == way({"InstitutionName": "G*"}, "StudyDate") == "values"


def test_no_file_is_read_where_the_index_has_the_answer(stage: RestStage) -> None:
    by_index: list[dict[str, Any]] = [
        {"Query": {"PatientName": "doe*", "InstitutionName": "*hosp*", "ModalitiesInStudy": "MR"}},
        {"Query": {"NumberOfStudyRelatedInstances": "1"}},
        {"Expand": True, "RequestedTags": ["PatientName", "ModalitiesInStudy", "StudyTime"]},
        {"OrderBy": [{"Type": "DicomTag", "Key": "StudyTime", "Direction": "ASC"}]},
        {"ResponseContent": ["MainDicomTags", "Metadata", "Children", "Labels", "Attachments", "Status", "IsStable"]},
    ]
    with (
        patch.object(BlobStore, "open", side_effect=AssertionError),
        patch.object(BlobStore, "read_instance", side_effect=AssertionError),
    ):
        assert [len(ask(stage, **body)) for body in by_index] == [6] * len(by_index)


def test_what_the_index_has_not_is_read_from_files(stage: RestStage) -> None:
    found = ask(stage, Query={"PatientPosition": "hfs"}, Expand=True, RequestedTags=["PatientPosition"])
    assert [each["RequestedTags"] for each in found] == [{"PatientPosition": "HFS"}] * 3
    assert len(ask(stage, Query={"PatientPosition": "hfs"}, CaseSensitive=True)) == 0
    assert len(ask(stage, Query={"PatientPosition": "HFS"}, Limit=2)) == 2


def test_files_are_left_alone_if_the_configuration_says_so(archive: Core) -> None:
    with rest_stage(archive, reads_files=False) as stage:
        stage.upload(encode(dataset(1, 1, PatientPosition="HFS")))
        assert ask(stage, Query={"PatientPosition": "HFS"}) == []
        shown = ask(stage, Expand=True, RequestedTags=["PatientPosition", "PatientName"])
        assert shown[0]["RequestedTags"] == {"PatientName": "Doe^Jane^1"}
        listed = json.loads(stage.ask("/studies?expand&requested-tags=PatientPosition").body)
        assert listed[0]["RequestedTags"] == {}


def test_what_is_deleted_before_it_is_shown_is_left_out(stage: RestStage) -> None:
    doomed, *rest = ask(stage)
    select = Selector.select

    def select_then_delete(self: Selector, *arguments: Any) -> Any:
        found = list(select(self, *arguments))
        assert stage.ask(f"/studies/{doomed}", "DELETE").status == 200
        return iter(found)

    with patch.object(Selector, "select", select_then_delete):
        shown = ask(stage, Expand=True)
    assert [each["ID"] for each in shown] == rest == ask(stage)


def test_answers_are_made_as_they_leave(archive_factory: Callable[..., Core], tmp_path: Path) -> None:
    """Of a long answer two pieces are there at a time, however it is found: memory holds those, and identifiers."""
    fill(tmp_path / "index", Shape(patients=MANY // 2, studies=MANY, series=MANY, instances=MANY))
    (tmp_path / "storage").symlink_to(tmp_path / "index")
    by_date = {"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}
    bodies: list[dict[str, object]] = [
        {"Query": {}},
        {"Query": {"PatientName": "F*"}},  # which an index decides
        {"Query": {"StudyID": "*"}},  # by rows
        {"Query": {"AccessionNumber": "A*"}, "OrderBy": [by_date]},
    ]
    with rest_stage(archive_factory()) as stage:
        for body in bodies:
            assert max(_count_kept(stage, body)) <= 2 * resources.CHUNK_RECORDS


def _count_kept(stage: RestStage, body: dict[str, object]) -> Iterator[int]:
    """Iterate over how many answers have been made and have not left, at each piece of a long answer."""
    request = json.dumps({"Level": "Study", "Query": {}, "Expand": True, **body}).encode()
    made: list[object] = []
    render = resources.Style.render

    def count(*arguments: Any) -> dict[str, Any]:
        made.append(None)
        return render(*arguments)

    left = 0
    with patch.object(resources.Style, "render", count):
        for piece in pieces(stage.app, "/tools/find", "POST", request):
            yield len(made) - left
            left += piece.count(b'"ParentPatient"')
    assert left == MANY


def test_of_several_texts_all_must_match(stage: RestStage) -> None:
    """This server's own: words are found in any order."""
    both = ["*patient 2*", "*Study 1*"]
    for query, count in (
        ({"StudyDescription": both}, 1), ({"StudyDescription": both[::-1]}, 1), ({"StudyDescription": [*both, "*nope*"]}, 0),
        ({"PatientName": ["*jane*", "*DOE*"]}, 6), ({"PatientName": ["*3*", "*doe*"]}, 2), ({"PatientID": ["*T2", "PAT*"]}, 2),
        ({"PatientName": ["", "*3*"]}, 2), ({"PatientName": ["*", ""]}, 6), ({"InstitutionName": ["*hosp*", "gen*"]}, 6),
    ):  # fmt: skip
        assert len(ask(stage, QueryAll=query)) == count, query
        assert ask(stage, "/tools/count-resources", QueryAll=query) == {"Count": count}, query
    for name, count in (("DOE^J*", 6), ("*3", 2), ("SMITH*", 0)):
        assert len(ask(stage, Query={"PatientName": name}, QueryAll={"PatientName": ["*jane*", "*doe*"]})) == count


def test_of_several_texts_each_may_match_another_value_of_a_list(stage: RestStage) -> None:
    ct, sr = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.11"
    for series, sop_class, modality in ((2, ct, "CT"), (3, sr, "SR")):
        file = encode(dataset(1, 1, series, SOPClassUID=sop_class, Modality=modality))
        assert stage.upload(file).status == 200
    for tag, many, all_studies in (
        ("ModalitiesInStudy", ["MR", "CT", "SR"], "M*"),
        ("SOPClassesInStudy", [MR, ct, sr], MR),
    ):
        for query, count in (
            (many, 1), (many[::-1], 1), ([many[0], many[1]], 1), ([many[0], all_studies], 6), ([*many, "1.2.3"], 0),
            (many[1:], 1), ([many[1], f"{many[0]}\\{many[2]}"], 1),
        ):  # fmt: skip
            assert len(ask(stage, QueryAll={tag: query})) == count, (tag, query)
            if tag == "ModalitiesInStudy":  # the other is no main tag, by which alone can be counted
                assert ask(stage, "/tools/count-resources", QueryAll={tag: query}) == {"Count": count}, query


@pytest.mark.parametrize("value", [[], [""], ["", ""], "a", ["a", 1], None])
def test_what_is_no_array_of_texts_does_not_select_everything(stage: RestStage, value: object) -> None:
    body = json.dumps({"Level": "Study", "Query": {}, "QueryAll": {"PatientName": value}}).encode()
    for path in ("/tools/find", "/tools/count-resources"):
        answer = stage.ask(path, "POST", body)
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (400, 8)


def test_an_array_in_a_query_is_refused_as_by_orthanc(stage: RestStage) -> None:
    answer = stage.ask("/tools/find", "POST", b'{"Level": "Study", "Query": {"PatientName": ["a"]}}')
    told = json.loads(answer.body)
    assert (answer.status, told["Details"]) == (400, 'Tag "PatientName" must be associated with a string')
