"""QIDO-RS (PS3.18 §10.6) on a small archive: what is found at each address, what is told of it, and how.

That it finds what Orthanc's plugin finds is shown by `tests/peer/test_dicomweb_search.py`, that pages are exact by
`tests/property/test_pages_equal_brute_force.py`.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from actors.messages.dicomweb_settings import DicomWebSettings
from api.app import create_app, create_application
from api.rest.serving.client_gone import IS_CLIENT_GONE
from api.rest.serving.in_process import InProcess
from api.rest.settings import RestSettings
from store.views.find_files import TagFiles
from tests.clock import Clock
from tests.contract.dicomweb_stage import get, parts_of, related
from tests.contract.rest_stage import RestStage, environ_of, error_of, rest_stage
from tests.dicom_bytes import CT, MR, dataset, encode, uid
from tests.examples import examples
from tools.core_settings import CoreSettings
from tools.server.core import Core

STUDY_UID, SERIES_UID, SOP_UID = "0020000D", "0020000E", "00080018"
Found = dict[str, Any]


def _request(step: str, procedure: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID = step
    item.RequestedProcedureID = procedure
    return item


def _files() -> Iterator[Dataset]:
    """Studies 1.1 (MR of two instances, CT), 1.2 (nameless), 2.1 (names beyond ASCII), in this order."""
    yield dataset(
        1, 1, 1, 1, Rows=8, Columns=6, BitsAllocated=16, NumberOfFrames="3", ImageComments="first", InstanceNumber="1"
    )
    yield dataset(1, 1, 1, 2, ImageType=["DERIVED", "PRIMARY"], InstanceNumber="2", TimezoneOffsetFromUTC="+0100")
    yield dataset(
        1, 1, 2, 1, Modality="CT", SOPClassUID=CT, StationName="S2", BodyPartExamined="HEAD",
        RequestAttributesSequence=[_request("A", "P1"), _request("B", "P2")],
    )  # fmt: skip
    yield dataset(1, 2, 1, 1, PatientName=None, AccessionNumber="", Modality="PT", StudyDescription="Head, Neck")
    yield dataset(
        2,
        1,
        1,
        1,
        PatientName="Müller^Eva=山田^太郎",
        SpecificCharacterSet="ISO_IR 192",
        Modality="US",
        StudyDate="20230506",
    )


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    folder = tmp_path_factory.mktemp("search")
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"), clock=Clock())
    with rest_stage(core) as stage:
        for file in _files():
            assert stage.upload(encode(file)).status == 200
        yield stage
    core.stop()


def search(stage: RestStage, address: str) -> list[Found]:
    answer = get(stage, address)
    if answer.status == 204:
        assert answer.body == b""
        return []
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/dicom+json"
    found: list[Found] = json.loads(answer.body.decode())
    assert found
    for each in found:
        Dataset.from_json(each)
    return found


def value(found: Found, tag: str) -> Any:
    """Return the first value of an attribute that is there."""
    return found[tag].get("Value", [None])[0]


def uids(found: list[Found], tag: str) -> list[str]:
    return [value(each, tag) for each in found]


ALL_SERIES = [uid(1, 1, 1), uid(1, 1, 2), uid(1, 2, 1), uid(2, 1, 1)]


@pytest.mark.parametrize(
    ("address", "tag", "wanted"),
    # PS3.18 Table 10.6.1-1: all resources of a search.
    [
        ("/studies", STUDY_UID, [uid(1, 1), uid(1, 2), uid(2, 1)]),
        ("/series", SERIES_UID, ALL_SERIES),
        ("/instances", SOP_UID, [uid(1, 1, 1, 1), uid(1, 1, 1, 2), uid(1, 1, 2, 1), uid(1, 2, 1, 1), uid(2, 1, 1, 1)]),
        (f"/studies/{uid(1, 1)}/series", SERIES_UID, [uid(1, 1, 1), uid(1, 1, 2)]),
        (f"/studies/{uid(1, 1)}/instances", SOP_UID, [uid(1, 1, 1, 1), uid(1, 1, 1, 2), uid(1, 1, 2, 1)]),
        (f"/studies/{uid(1, 1)}/series/{uid(1, 1, 1)}/instances", SOP_UID, [uid(1, 1, 1, 1), uid(1, 1, 1, 2)]),
        (f"/studies/{uid(1, 2)}/series/{uid(1, 1, 1)}/instances", SOP_UID, []),  # of another study
        ("/studies/9.9/series", SERIES_UID, []),
        ("/studies/9.9/instances", SOP_UID, []),
    ],
)
def test_resources_in_the_order_in_which_they_came(rest: RestStage, address: str, tag: str, wanted: list[str]) -> None:
    assert uids(search(rest, address), tag) == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("studies?PatientID=PAT1", 2),
        ("studies?00100020=PAT1,PAT2", 3),
        ("studies?PatientID=PAT1%5CPAT2", 3),
        (f"studies?StudyInstanceUID={uid(1, 1)},{uid(2, 1)}", 2),
        (f"studies?StudyInstanceUID={uid(1, 1)}%5C{uid(2, 1)}", 2),
        ("studies?StudyDate=20240101-20240131", 2),
        ("studies?StudyDate=-20231231", 1),
        ("studies?StudyTime=10-11", 3),
        ("studies?PatientName=doe*", 1),
        ("studies?PatientName=D?e*", 1),
        ("studies?PatientName=", 3),
        ("studies?PatientName=*", 3),  # universal (PS3.4 §C.2.2.2.4)
        ("studies?PatientName=%22%22&emptyvaluematching=true", 1),
        ("studies?AccessionNumber=%22%22&emptyvaluematching=true", 1),
        ("studies?PatientName=%22%22", 0),
        ("studies?PatientName=M%C3%BCller*", 1),
        ("studies?PatientName=miller&fuzzymatching=true", 1),
        ("studies?PatientName=jon%20doe&fuzzymatching=true", 1),
        ("studies?PatientName=miller", 0),
        ("studies?PatientName=miller&fuzzymatching=false", 0),
        ("studies?ReferringPhysicianName=rita&fuzzymatching=true", 3),
        ("studies?ModalitiesInStudy=CT", 1),
        ("studies?ModalitiesInStudy=CT,PT", 2),
        ("studies?ModalitiesInStudy=CT%5CMR&multiplevaluematching=true", 1),
        ("studies?ModalitiesInStudy=CT%5CPT&multiplevaluematching=true", 0),
        ("studies?ModalitiesInStudy=C*", 1),
        ("studies?Modality=CT", 1),
        ("studies?StudyDescription=Head,%20Neck", 1),
        ("studies?InstanceAvailability=ONLINE", 3),
        ("studies?InstanceAvailability=NEARLINE", 0),
        ("studies?NumberOfStudyRelatedInstances=3", 1),
        ("studies?PatientID=PAT1&StudyDate=20240102", 1),
        ("series?ModalitiesInStudy=CT", 2),
        ("series?NumberOfStudyRelatedSeries=2", 2),
        ("series?Modality=MR", 1),
        ("series?PatientName=doe*&Modality=CT", 1),
        ("series?BodyPartExamined=HEAD", 1),
        ("series?RequestAttributesSequence.ScheduledProcedureStepID=A", 1),
        ("series?00400275.00400009=A&00400275.00401001=P1", 1),
        ("series?00400275.00400009=A&00400275.00401001=P2", 0),
        (f"studies/{uid(1, 1)}/series?Modality=CT", 1),
        (f"studies/{uid(1, 1)}/series?StudyInstanceUID={uid(1, 1)}", 2),
        (f"studies/{uid(1, 1)}/series?StudyInstanceUID={uid(1, 2)}", 0),
        ("instances?ModalitiesInStudy=CT", 3),
        (f"instances?SOPClassUID={MR}", 4),
        ("instances?Rows=8", 1),  # from the file
        ("instances?ImageType=derived", 1),  # one of its values
        ("instances?ImageComments=first", 1),
        ("instances?StudyDate=2024-", 4),
        (f"studies/{uid(1, 1)}/instances?InstanceNumber=2", 1),
        ("instances?FrameOfReferenceUID=%22%22&emptyvaluematching=true", 5),
    ],
)
def test_matching(rest: RestStage, query: str, wanted: int) -> None:
    assert len(search(rest, f"/{query}")) == wanted


# PS3.18 Tables 10.6.3-3 to -5; those of the levels above, too, as where no study is named.
STUDY_SHOWN = frozenset(("00080005", "00080020", "00080030", "00080050", "00080090", "00081190"))
STUDY_SHOWN |= {"00100010", "00100020", "00100030", "00100040", "0020000D", "00200010"}
OF_STUDIES = STUDY_SHOWN | {"00080056", "00080061", "00201206", "00201208"}
OF_SERIES = STUDY_SHOWN | {"00080060", "0020000E", "00200011", "00201209", "0008103E"}
OF_INSTANCES = (OF_SERIES - {"00201209"}) | {"00080056", "00080016", "00080018", "00200013"}


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("/studies", OF_STUDIES),
        ("/series", OF_SERIES),
        (f"/studies/{uid(1, 1)}/series", OF_SERIES),
        ("/instances", OF_INSTANCES | {"00280010", "00280011", "00280100", "00280008"}),
        (f"/studies/{uid(1, 2)}/instances", OF_INSTANCES),  # no image: no rows
    ],
)
def test_attributes_of_each_level(rest: RestStage, address: str, wanted: set[str]) -> None:
    assert set(search(rest, address)[0]) == wanted


def test_values_of_a_study(rest: RestStage) -> None:
    found = search(rest, f"/studies?StudyInstanceUID={uid(1, 1)}")[0]
    assert [*found] == sorted(found)
    assert {tag: element.get("Value") for tag, element in found.items()} == {
        "00080005": ["ISO_IR 192"],
        "00080020": ["20240101"],
        "00080030": ["101112.131415"],
        "00080050": ["ACC11"],
        "00080056": ["ONLINE"],
        "00080061": ["CT", "MR"],
        "00080090": [{"Alphabetic": "Referrer^Rita"}],
        "00081190": [f"http://pacs.test:8042/dicom-web/studies/{uid(1, 1)}"],
        "00100010": [{"Alphabetic": "Doe^Jane^1"}],
        "00100020": ["PAT1"],
        "00100030": ["19700102"],
        "00100040": ["F"],
        "0020000D": [uid(1, 1)],
        "00200010": ["1"],
        "00201206": [2],
        "00201208": [3],
    }


def test_values_of_series_and_instances(rest: RestStage) -> None:
    series = search(rest, f"/studies/{uid(1, 1)}/series")[1]
    assert value(series, "00081190").endswith(f"/studies/{uid(1, 1)}/series/{uid(1, 1, 2)}")
    assert [each["00400009"]["Value"] for each in series["00400275"]["Value"]] == [["A"], ["B"]]
    instance = search(rest, "/instances?Rows=8")[0]
    assert value(instance, "00081190").endswith(f"/series/{uid(1, 1, 1)}/instances/{uid(1, 1, 1, 1)}")
    assert [instance[tag]["Value"] for tag in ("00280010", "00280011", "00280100", "00280008")] == [[8], [6], [16], [3]]


def test_an_empty_value_is_there_and_empty(rest: RestStage) -> None:
    found = search(rest, f"/studies?StudyInstanceUID={uid(1, 2)}")[0]
    assert (found["00100010"], found["00080050"]) == ({"vr": "PN"}, {"vr": "SH"})


def test_text_is_utf_8(rest: RestStage) -> None:
    found = search(rest, "/studies?PatientID=PAT2")[0]
    assert value(found, "00100010") == {"Alphabetic": "Müller^Eva", "Ideographic": "山田^太郎"}


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("includefield=StudyDescription&includefield=00080080", {"00081030", "00080080"}),
        ("includefield=StudyDescription,InstitutionName", {"00081030", "00080080"}),
        ("StudyDescription=*", {"00081030"}),  # what is asked for is told
        ("includefield=all", {"00081030", "00080080"}),
        ("includefield=PatientAge", {"00101010"}),  # of no level by itself: empty where the file lacks it
        ("includefield=SOPClassesInStudy", {"00080062"}),
        ("includefield=Modality,Rows,SeriesDescription", set()),  # of lower levels
        ("includefield=", set()),
    ],
)
def test_fields_that_are_asked_for(rest: RestStage, query: str, tags: set[str]) -> None:
    assert set(search(rest, f"/studies?StudyInstanceUID={uid(1, 1)}&{query}")[0]) == OF_STUDIES | tags


def test_fields_from_files(rest: RestStage) -> None:
    found = search(rest, "/instances?includefield=ImageComments,ImageType")
    assert [each["00204000"].get("Value") for each in found] == [["first"], None, None, None, None]
    assert found[1]["00080008"]["Value"] == ["DERIVED", "PRIMARY"]


def test_a_path_shows_a_part_of_a_sequence(rest: RestStage) -> None:
    for query in ("includefield=00400275.00400009", "00400275.00400009=A", "00400275.00400009=*"):
        found = search(rest, f"/series?Modality=CT&{query}")[0]
        assert [set(each) for each in found["00400275"]["Value"]] == [{"00400009"}, {"00400009"}]
    found = search(rest, "/series?Modality=CT&00400275.00400009=A&includefield=00400275")[0]
    assert [set(each) for each in found["00400275"]["Value"]] == [{"00400009", "00401001"}] * 2


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "wanted", "remaining"),
    # PS3.18 §8.3.4.4.1; a limit of 0 is none, as by the plugin.
    [
        ("limit=2", [0, 1], "2 "),
        ("limit=2&offset=2", [2, 3], None),
        ("limit=2&offset=1", [1, 2], "1 "),
        ("offset=3", [3], None),
        ("offset=4", [], None),
        ("offset=9000000000000000000", [], None),
        ("limit=9000000000000000000", [0, 1, 2, 3], None),
        ("limit=0", [0, 1, 2, 3], None),
        ("Modality=*&limit=1", [0], "3 "),
        ("SeriesDescription=Series%201&limit=1&offset=1", [2], ""),  # how many more is not known
        ("PatientID=PAT1&limit=1", [0], ""),
        ("StudyDate=2024-&limit=1", [0], "2 "),  # the index tells
    ],
)
def test_pages(rest: RestStage, query: str, wanted: list[int], remaining: str | None) -> None:
    answer = get(rest, f"/series?{query}")
    assert uids(search(rest, f"/series?{query}"), SERIES_UID) == [ALL_SERIES[number] for number in wanted]
    told = f"299 http://pacs.test:8042/dicom-web: There are {remaining}additional results that can be requested"
    assert answer.headers.get("Warning") == (None if remaining is None else told)


def test_the_configuration_limits_answers(rest: RestStage) -> None:
    limited = configured(rest, limit_find_results=2, limit_find_instances=1)
    for query, count in (("series", 2), ("series?limit=1", 1), ("series?limit=3", 2), ("instances", 1)):
        answer = get(limited, f"/{query}")
        assert len(json.loads(answer.body)) == count
        assert "additional results" in answer.headers["Warning"]
    assert uids(search(limited, "/series?offset=2"), SERIES_UID) == ALL_SERIES[2:]


def configured(rest: RestStage, **options: Any) -> RestStage:
    """The same archive behind another configuration."""
    deps = replace(rest.deps, settings=RestSettings(**options))
    return RestStage(create_app(deps), deps)


# -- forms and errors -------------------------------------------------------------------------------------------------


def test_xml(rest: RestStage) -> None:
    documents = parts_of(get(rest, "/studies", related("application/dicom+xml")))
    assert [part.headers["Content-Type"] for part in documents] == ["application/dicom+xml"] * 3
    name = ET.fromstring(documents[2].content).find(".//{*}DicomAttribute[@keyword='PatientName']//{*}FamilyName")
    assert name is not None
    assert name.text == "Müller"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/dicom+json", "text/html, */*;q=0.1"])
def test_json_is_what_everybody_takes(rest: RestStage, accept: str) -> None:
    assert get(rest, "/studies", accept).headers["Content-Type"] == "application/dicom+json"


def test_what_cannot_be_had_is_406(rest: RestStage) -> None:
    assert get(rest, "/studies", "image/png").status == 406


def test_an_unknown_attribute_is_an_error(rest: RestStage) -> None:
    status, _, details = error_of(get(rest, "/studies?Patient=Doe"))
    assert (status, '"Patient" is no attribute' in details) == (400, True)


def test_case_counts_by_configuration(rest: RestStage) -> None:
    strict = configured(rest, dicom_web=DicomWebSettings(qido_case_sensitive=True))
    assert [len(search(strict, f"/studies?PatientName={name}*")) for name in ("Doe", "doe")] == [1, 0]


def test_an_index_alone_answers_where_files_are_not_read(rest: RestStage) -> None:
    indexed = configured(rest, reads_files=False)
    assert "00280010" not in search(indexed, "/instances")[0]
    assert search(indexed, "/instances?Rows=8") == []


def test_files_are_not_opened_for_what_the_index_has(rest: RestStage) -> None:
    """The tables' attributes of studies and series are main tags."""
    with patch.object(TagFiles, "_read", side_effect=AssertionError):
        for address in ("/studies", "/series", "/studies?includefield=all", "/series?includefield=all&PatientName=D*"):
            assert search(rest, address)


def test_scripts_search_too(rest: RestStage) -> None:
    in_process = InProcess(create_application(rest.deps))
    answer = in_process.call("GET", "/dicom-web/studies?PatientID=PAT2", b"", {})
    assert answer is not None
    (found,) = json.loads(answer)
    assert value(found, "00081190") == f"http://localhost:8042/dicom-web/studies/{uid(2, 1)}"  # as in Orthanc
    assert in_process.call("GET", "/dicom-web/studies?PatientID=none", b"", {}) == b""


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    address=st.sampled_from(["studies", "series", "instances", f"studies/{uid(1, 1)}/series"]),
    query=st.one_of(
        st.text(max_size=40).map(quote), st.text(max_size=40).map(lambda text: f"PatientName={quote(text)}")
    ),
    flags=st.sampled_from(
        ["", "&fuzzymatching=true", "&emptyvaluematching=true&limit=1", "&includefield=all&offset=1"]
    ),
)
def test_no_query_breaks_the_server(rest: RestStage, address: str, query: str, flags: str) -> None:
    answer = get(rest, f"/{address}?{query}{flags}")
    assert answer.status in {200, 204, 400}, (query, answer)


def test_a_search_that_finds_nothing_ends_with_its_client(rest: RestStage) -> None:
    """No piece of an answer tells then that nobody takes it, and all files of an archive may be read meanwhile."""
    read: list[object] = []
    environ = environ_of("/dicom-web/instances?ImageType=NONE", "GET", b"", {})
    environ[IS_CLIENT_GONE] = lambda: bool(read)
    with (
        patch("store.views.find_page.BATCH_ROWS", 1),
        patch.object(TagFiles, "complete", lambda *arguments: read.append(arguments)),
    ):
        list(rest.app(environ, lambda *_: None))
    assert len(read) == 1
