"""Options about tags beside Orthanc: `ExtraMainDicomTags`, reconstruction of what came before, `Dictionary`.

Both archives hold instances that came before the options were there, and some of after.
"""

import shutil
from collections.abc import Iterable, Iterator

import pytest

from tests.peer.changes import ChangeLog
from tests.peer.comparison import Difference, assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle
from tests.peer.tag_files import MAIN_TAG_FILES, OPTIONS, PRIVATE_FILES, inconsistent_files
from tests.peer.test_find import IMAGE, PATIENT, SERIES, STUDY, ask_both
from tests.peer.test_find import assert_same as assert_found
from tests.peer.warnings import logs_of

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

LEVELS = ("patients", "studies", "series", "instances")
REQUESTED = (
    "PatientComments;EthnicGroup;PatientName", "PatientWeight;ReferencedStudySequence;0009,1001;0009,1003", "PatientAge",
    "StudyDate;SpacingBetweenSlices;PatientID;Rows", "SliceThickness", "Modality;ImageType;SOPClassUID;ContentSequence;ReferencedImageSequence",
    "0011,0010;0011,1001;SpecificCharacterSet;DiffusionBValue;PixelData", "TransferSyntaxUID", "RequestAttributesSequence",
)  # fmt: skip


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("tags")
    with start_pair(oracle, folder) as made:
        _upload(made, inconsistent_files())
        made.wait_until_stable()
    with start_pair(oracle, folder, OPTIONS) as made:
        _upload(made, [sample.data for sample in MAIN_TAG_FILES])
        _upload(made, PRIVATE_FILES.values())
        made.wait_until_stable()
        yield made


def _upload(pair: Pair, files: Iterable[bytes]) -> None:
    for data in files:
        for server in (pair.ours, pair.theirs):
            assert server.ask(Request("/instances", "POST", data)).status == 200


# -- ExtraMainDicomTags -------------------------------------------------------------------------------------------


def _is_date(found: Difference) -> bool:
    """Both servers have the instance, but not of the same second."""
    return found.aspect.endswith(("/ReceptionDate", "/LastUpdate"))


@pytest.mark.parametrize("level", LEVELS)
def test_main_tags_are_shown_and_signed_alike(pair: Pair, level: str) -> None:
    shown = [f"/{level}?expand{form}" for form in ("", "&short", "&full")]
    shown.append(f"/{level}?response-content=MainDicomTags;Metadata")
    shown.append(f"/{level}?response-content=MainDicomTags")
    for resource in pair.ids(level):
        shown += [f"/{level}/{resource}", f"/{level}/{resource}/metadata?expand"]
    found = pair.differences([Request(path) for path in shown])
    assert_same([each for each in found if not _is_date(each)])


@pytest.mark.parametrize("tags", REQUESTED)
def test_requested_tags_are_told_alike(pair: Pair, tags: str) -> None:
    paths = [f"/{level}?expand{form}&requested-tags={tags}" for level in LEVELS for form in ("", "&short", "&full")]
    assert_same(pair.differences([Request(path) for path in paths]))


@pytest.mark.parametrize("tags", REQUESTED)
def test_the_log_warns_alike(pair: Pair, tags: str) -> None:
    # Below a patient Orthanc reads a file for tags of the patient that the index has not; nothing is read here.
    for level in LEVELS[:1] if "PatientName" in tags else LEVELS:
        for request in [f"/{level}?expand", *(f"/{level}/{each}?" for each in pair.ids(level)[::3])]:
            ours, theirs = logs_of(pair)
            pair.differences([Request(f"{request}&requested-tags={tags}")])
            assert ours.read() == theirs.read()


def test_the_system_names_them(pair: Pair) -> None:
    ours, theirs = (server.get_json("/system") for server in (pair.ours, pair.theirs))
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    assert ours["MainDicomTags"] == theirs["MainDicomTags"]


# -- reconstruction -----------------------------------------------------------------------------------------------


def _shown(pair: Pair) -> list[Difference]:
    """What the archives say otherwise of some resource."""
    parts = "MainDicomTags;Metadata;Labels;Children;Parent;IsStable;Status"
    found = pair.differences([Request(f"/{level}?response-content={parts}") for level in LEVELS])
    return [each for each in found if not each.aspect.endswith(("/ReceptionDate", "/LastUpdate"))]


def _differences(pair: Pair, request: Request) -> list[Difference]:
    return [*pair.differences([request]), *_shown(pair)]


def test_before_anything_is_read_again_the_old_tags_are_shown(pair: Pair) -> None:
    assert_same(_shown(pair))


@pytest.mark.parametrize("level", LEVELS[::-1])
@pytest.mark.parametrize("body", ['{"LimitToThisLevelMainDicomTags": true}', "", "no JSON"])
def test_a_resource_is_read_again_alike(pair: Pair, level: str, body: str) -> None:
    ids = pair.ids(level)
    for resource in {ids[0], ids[len(ids) // 2], ids[-1]}:
        assert_same(_differences(pair, Request(f"/{level}/{resource}/reconstruct", "POST", body)))


def test_the_level_of_the_uri_is_of_no_account(pair: Pair) -> None:
    assert_same(_differences(pair, Request(f"/studies/{pair.ids('instances')[1]}/reconstruct", "POST")))


def test_everything_is_read_again_alike(pair: Pair) -> None:
    for body in ("", '{"LimitToThisLevelMainDicomTags": true}', '{"ReconstructFiles": false}'):
        assert_same(_differences(pair, Request("/tools/reconstruct", "POST", body)))


def test_wrong_requests_are_refused_alike(pair: Pair) -> None:
    study = pair.ids("studies")[0]
    paths = (f"/studies/{study}/reconstruct", "/tools/reconstruct")
    requests = [
        Request(path, "POST", body) for path in paths for body in ('{"ReconstructFiles": "x"}', "null", '{"a": 1}')
    ]
    requests += [Request(path, method) for path in paths for method in ("GET", "PUT", "DELETE")]
    requests += [
        Request(paths[0], "POST", f'{{"LimitToThisLevelMainDicomTags": {value}}}') for value in ("1", '"no"', "null")
    ]
    requests += [Request(f"/{level}/nope/reconstruct", "POST") for level in LEVELS]
    assert_same(pair.differences(requests))


def test_nothing_is_said_of_it_in_changes(pair: Pair) -> None:
    def changes(server: Server) -> list[str]:
        return sorted(row[0] for row in ChangeLog.of(server).rows())

    assert changes(pair.ours) == changes(pair.theirs)
    assert not any(name.startswith("Updated") for name in changes(pair.ours))


# -- queries, of resources that all have these tags -----------------------------------------------------------------


QUERIES: dict[str, tuple[str, ...]] = {
    "patients by comment": (PATIENT, "PatientComments=comment*", "PatientID", "PatientName"),
    "patients by a tag of studies": (PATIENT, "PatientWeight=70.5", "PatientID"),
    "studies by a tag of patients": (STUDY, "PatientComments=*second*", "StudyInstanceUID", "PatientAge"),
    "studies by a private tag": (STUDY, "0009,1001=private 9", "StudyInstanceUID"),
    "series by date of study": (SERIES, "StudyDate=20250101", "SeriesInstanceUID", "SpacingBetweenSlices", "Rows"),
    "series by patient": (SERIES, "PatientID=PAT1", "SeriesInstanceUID", "StudyDate"),
    "images": (IMAGE, "SOPInstanceUID", "ImageType", "DiffusionBValue", "SOPClassUID", "Modality"),
    "images by thickness": (IMAGE, "SOPInstanceUID", "SliceThickness=1.5"),
}


@pytest.mark.skipif(shutil.which("findscu") is None, reason="DCMTK's findscu is not installed (Debian: dcmtk)")
@pytest.mark.parametrize("name", QUERIES)
def test_queries_find_alike(pair: Pair, name: str) -> None:
    assert_found(name, *ask_both(pair, QUERIES[name]))


# -- Dictionary ---------------------------------------------------------------------------------------------------


def _private_instances(pair: Pair) -> list[str]:
    uids = ("2.25.7305.33.1.1.1", "2.25.7305.8.1.1.21", "2.25.7305.8.1.1.22")
    found = [pair.theirs.ask(Request("/tools/lookup", "POST", uid)).json() for uid in uids]
    return [each[0]["ID"] for each in found]  # type: ignore[index] # plain JSON


def test_private_tags_are_shown_alike(pair: Pair) -> None:
    shown = ("tags", "tags?short", "simplified-tags", "content", "tags?whole", "content/0015-1001", "content/Text")
    paths = [f"/instances/{each}/{what}" for each in _private_instances(pair) for what in shown]
    implicit = _private_instances(pair)[0]
    requests = [Request(path) for path in paths]
    requests += [Request(f"/instances/{implicit}/content/2001-105f/0/CodeValue")]
    requests += [Request(f"/instances/{implicit}/file", headers={"Accept": "application/dicom+json"})]
    requests += [Request(requests[-1].path, headers={"Accept": "application/dicom+xml"})]
    assert_same(pair.differences(requests))


@pytest.mark.parametrize(
    "tags", ["Text;Number", "0015,1001", "InAnyBlock;InItsBlock", "EvenTag", "Items", "Binary", "OfNobody"]
)
def test_private_tags_are_requested_alike(pair: Pair, tags: str) -> None:
    paths = [
        f"/instances/{each}?requested-tags={tags}{form}" for each in _private_instances(pair) for form in ("", "&full")
    ]
    assert_same(pair.differences([Request(path) for path in paths]))


def test_the_new_tags_are_no_reason_for_other_names(pair: Pair) -> None:
    requests = [Request(f"/{level}?expand&full") for level in LEVELS] + [Request("/tools/invalidate-tags", "POST", "x")]
    assert_same(pair.differences(requests))
