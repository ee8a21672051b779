"""Every route that reads a resource, over every resource made of the varied data."""

import pytest

from tests.examples import FACTOR
from tests.peer.comparison import assert_same, compare
from tests.peer.conftest import Pair
from tests.peer.exchange import Answer, Request

pytestmark = pytest.mark.peer

LEVELS = ("patients", "studies", "series", "instances")
FORMS = ("", "?full", "?short", "?simplify")
# Below /{level}/{id}; each is asked for every resource of the level.
ROUTES = {
    "patients": {
        "itself": ("", "?full", "?short", "?full&simplify"),
        "children": ("/studies", "/series", "/instances", "/studies?expand=false", "/series?full", "/instances?short"),
        "parents": ("/patient", "/study", "/patients"),
        "statistics": ("/statistics",),
        "modules": tuple(f"/module{form}" for form in FORMS),
        "tags of instances": (*(f"/shared-tags{form}" for form in FORMS), "/instances-tags", "/instances-tags?short"),
    },
    "studies": {
        "itself": ("", "?full", "?short", "?full&simplify"),
        "children": ("/series", "/instances", "/series?expand=false", "/instances?expand=false", "/series?short"),
        "parents": ("/patient", "/patient?short", "/study", "/studies"),
        "statistics": ("/statistics",),
        "modules": (*(f"/module{form}" for form in FORMS), *(f"/module-patient{form}" for form in FORMS)),
        "tags of instances": (*(f"/shared-tags{form}" for form in FORMS), "/instances-tags?simplify"),
    },
    "series": {
        "itself": ("", "?full", "?short", "?full&simplify"),
        "children": ("/instances", "/instances?expand=false", "/instances?full", "/series"),
        "parents": ("/patient", "/study", "/study?full"),
        "statistics": ("/statistics",),
        "modules": (*(f"/module{form}" for form in FORMS), "/module-patient"),
        "tags of instances": (*(f"/shared-tags{form}" for form in FORMS), "/instances-tags?short"),
    },
    "instances": {
        "itself": ("", "?full", "?short", "?full&simplify"),
        "parents": ("/patient", "/study", "/series", "/series?full", "/instances"),
        "statistics": ("/statistics",),
        "modules": (*(f"/module{form}" for form in FORMS), "/module-patient"),
        "full tags": ("/tags", "/tags?ignore-length=0040-a160,PatientName"),
        "short tags": ("/tags?short",),
        "simplified tags": ("/simplified-tags", "/tags?simplify"),
        "header": tuple(f"/header{form}" for form in FORMS),
        "file": ("/file", "/file?filename=other.bin", "/file?filename="),
    },
}
REQUESTED = (
    "PatientName;StudyDate;Modality;InstanceNumber",
    "0010,0020;0008-1030;00080070",
    "Rows;Columns;SOPClassUID;PixelData",
    "ModalitiesInStudy;NumberOfStudyRelatedInstances;NumberOfStudyRelatedSeries;SOPClassesInStudy",
    "NumberOfSeriesRelatedInstances;NumberOfPatientRelatedStudies;NumberOfPatientRelatedSeries",
    "InstanceAvailability;NumberOfPatientRelatedInstances;TransferSyntaxUID",
    "ReferencedStudySequence;ReferencedImageSequence",
    "0009-1001;SpecificCharacterSet;NumberOfFrames",
    "PatientName;;Nothing",
    "",
)


# An older Orthanc always expands children, reads modules from another instance and names files otherwise.
MODERN_GROUPS = frozenset({"children", "modules", "file"})


def _cases() -> list[tuple[str, str]]:
    return [(level, group) for level, groups in ROUTES.items() for group in groups]


def some(pair: Pair, level: str) -> list[str]:
    """Every resource of a level, but each third instance only, unless there is time."""
    ids = pair.ids(level)
    return ids[::3] if level == "instances" and FACTOR == 1 else ids


@pytest.mark.parametrize(("level", "group"), _cases())
def test_every_resource_answers_as_orthanc_does(
    loaded: Pair, level: str, group: str, request: pytest.FixtureRequest
) -> None:
    if group in MODERN_GROUPS:
        request.getfixturevalue("modern")
    requests = [Request(f"/{level}/{each}{route}") for each in some(loaded, level) for route in ROUTES[level][group]]
    assert_same(loaded.differences(requests))


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize("level", LEVELS)
def test_lists_answer_as_orthanc_does(loaded: Pair, level: str) -> None:
    queries = (
        "", "?expand", "?expand=true", "?expand=false", "?expand=0", "?expand&full", "?expand&short", "?full", "?x=y",
        "?since=0&limit=0", "?since=0&limit=3", "?since=3&limit=2", "?since=7&limit=5&expand", "?since=100000&limit=2",
        "?since=2&limit=100000", "?since=0&limit=4&expand&short", "?since=0&limit=2&expand&requested-tags=PatientName",
        "?expand&response-content=MainDicomTags", "?expand&short&full", "?since=0&limit=2&expand&simplify&full",
        "?response-content=RequestedTags", "?since=0&limit=2&response-content=RequestedTags&requested-tags=PatientName;ModalitiesInStudy",
        "?since=0&limit=2&expand&short&simplify", "?since=1&limit=2&response-content=Labels;Parent&expand=false",
    )  # fmt: skip
    assert_same(loaded.differences([Request(f"/{level}{query}") for query in queries]))


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize("level", LEVELS)
def test_requested_tags_answer_as_orthanc_does(loaded: Pair, level: str) -> None:
    some = loaded.ids(level)[::3]
    plain = [Request(f"/{level}/{each}?requested-tags={tags}") for each in some for tags in REQUESTED]
    forms = [
        Request(f"/{level}/{each}?requestedTags={tags}&{form}")
        for each in some[:5]
        for tags in REQUESTED[:8]
        for form in ("short", "full")
    ]
    assert_same(loaded.differences([*plain, *forms]))


def test_every_element_of_every_instance_has_the_bytes_of_the_file(loaded: Pair) -> None:
    differences = []
    for each in some(loaded, "instances"):
        waiting = [Request(f"/instances/{each}/content")]
        while waiting:
            request = waiting.pop()
            theirs = loaded.theirs.ask(request)
            differences += compare(request, loaded.ours.ask(request), theirs)
            waiting += [Request(f"{request.path}/{name}") for name in _members(theirs)]
    assert_same(differences)


def _members(answer: Answer) -> list[str]:
    """The tags or items that an answer lists; none below an element's bytes."""
    if "json" not in answer.headers.get("content-type", ""):
        return []
    listed = answer.json()
    assert isinstance(listed, list)
    return listed


def test_content_paths_may_be_spelled_as_orthanc_allows(loaded: Pair) -> None:
    spellings = (
        "/", "/PatientName", "/patientname", "/00100010", "/0010,0010", "/0010:0010", "/0010-001", "/Nothing", "/9999-9999",
        "/0002-0010", "/TransferSyntaxUID", "/0010-0010/0", "/0010-0010/0/0010-0010", "/0008-1110", "/ReferencedStudySequence",
        "/0008-1110/0", "/0008-1110/0/", "/0008-1110/1", "/0008-1110/7", "/0008-1110/x", "/0008-1110/0/0010-0010",
        "/0008-1110/0/0040-A170/0/CodeValue", "/0040-0275/0", "/7fe0-0010", "/PixelData", "/7fe0-0010/0", "/7fe0-0010/x",
        "/7fe0-0010/999", "//PatientName//", "/0010-0010?x=1", "/7FE0-0010/1", "/0020-000D", "/SOPInstanceUID/",
    )  # fmt: skip
    requests = [
        Request(f"/instances/{each}/content{path}") for each in loaded.ids("instances")[::3] for path in spellings
    ]
    assert_same(loaded.differences(requests))
