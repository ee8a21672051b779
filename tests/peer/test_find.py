"""C-FIND with DCMTK's findscu to both servers: the same matches, the same attributes, the same statuses."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import config as pydicom_config
from pydicom import dcmread
from pydicom.dataset import Dataset

from events.identifiers import Level
from store.dicom.dictionary import format_tag
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from tests import data_factory
from tests.data_factory import Sample
from tests.peer.conftest import Pair, start_pair
from tests.peer.differences import ACCEPTED_FINDS, Answer
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle
from tests.peer.warnings import WarningLog, logs_of

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("findscu") is None, reason="DCMTK's findscu is not installed (Debian: dcmtk)"),
]

TOOL_TIMEOUT_S = 60
STATUS = re.compile(r"DIMSE Status\s*: 0x([0-9a-f]{4})")
PATIENT, STUDY, SERIES, IMAGE = (f"QueryRetrieveLevel={level}" for level in ("PATIENT", "STUDY", "SERIES", "IMAGE"))
STUDY_11 = "StudyInstanceUID=2.25.7305.1.1"


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a query."""

    status: str
    answers: list[Answer]


def find(server: Server, keys: tuple[str | bytes, ...], *options: str) -> Found:
    """Ask one server; answers are sorted, for their order means nothing."""
    with tempfile.TemporaryDirectory() as folder:
        arguments: list[str | bytes] = ["findscu", "-d", "-S", "-X", "-od", folder, "-aec", "PEER", *options]
        for key in keys:
            arguments += ["-k", key]
        arguments += ["127.0.0.1", str(server.dicom_port)]
        done = subprocess.run(arguments, capture_output=True, timeout=TOOL_TIMEOUT_S, check=False)
        log = (done.stdout + done.stderr).decode("latin-1")
        statuses = STATUS.findall(log)
        answers = [_read(path) for path in Path(folder).iterdir()]
    return Found(statuses[-1] if statuses else "none", sorted(answers, key=repr))


def _read(path: Path) -> Answer:
    with pydicom_config.disable_value_validation():
        return _plain(dcmread(path, force=True))


def _plain(dataset: Dataset) -> Answer:
    """Tags and values; VRs do not count, for both servers send what they do not know as UN."""
    shown: Answer = {}
    for element in dataset:
        if element.VR == "SQ":
            shown[f"{element.tag:08x}"] = [_plain(item) for item in element.value]
        else:
            value = element.value
            raw = value.rstrip(b"\0 ").decode("latin-1") if isinstance(value, bytes) else str(value or "")
            shown[f"{element.tag:08x}"] = raw
    return shown


def ask_both(pair: Pair, keys: tuple[str | bytes, ...], *options: str) -> tuple[Found, Found]:
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(lambda server: find(server, keys, *options), (pair.ours, pair.theirs))
    return ours, theirs


def assert_same(name: str, ours: Found, theirs: Found) -> None:
    for accepted in ACCEPTED_FINDS:
        if re.fullmatch(accepted.query, name) and accepted.when(
            ours.status, ours.answers, theirs.status, theirs.answers
        ):
            return
    assert ours.status == theirs.status
    extra = [answer for answer in ours.answers if answer not in theirs.answers]
    missing = [answer for answer in theirs.answers if answer not in ours.answers]
    assert not extra, (
        f"{len(ours.answers)} answers instead of {len(theirs.answers)}; instead of {missing[:2]}: {extra[:2]}"
    )
    assert len(ours.answers) == len(theirs.answers), missing[:3]


def _load(server: Server, samples: tuple[Sample, ...]) -> None:
    for sample in samples:
        server.ask(Request("/instances", "POST", sample.data))


def load(pair: Pair) -> None:
    samples = data_factory.all_files()
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda server: _load(server, samples), (pair.ours, pair.theirs)):
            pass


@pytest.fixture(scope="module")
def searched(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("searched"), '"DicomAlwaysAllowFind": true,') as pair:
        load(pair)
        yield pair


QUERIES: dict[str, tuple[str | bytes, ...]] = {
    # every level, and what it tells
    "all patients": (PATIENT, "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "OtherPatientIDs"),
    "all studies": (
        STUDY, "PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID",
        "StudyDescription", "ReferringPhysicianName", "InstitutionName", "RequestedProcedureDescription",
    ),
    "all series": (
        SERIES, "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "PatientID", "StudyDescription",
        "PatientName", "BodyPartExamined", "ProtocolName", "Manufacturer", "NumberOfSeriesRelatedInstances",
    ),
    "all instances": (IMAGE, "SOPInstanceUID", "InstanceNumber", "SOPClassUID", "SeriesInstanceUID", "PatientName"),
    "level alone": (STUDY,),
    "level in lower case": ("QueryRetrieveLevel=study", "PatientID=PAT1"),
    "level named INSTANCE": ("QueryRetrieveLevel=INSTANCE", "PatientID=PAT1", "SOPInstanceUID"),
    # counters and other computed attributes
    "counters of patients": (
        PATIENT, "PatientID", "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances", "NumberOfStudyRelatedSeries",
    ),
    "counters of studies": (
        STUDY, "StudyInstanceUID", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
        "NumberOfPatientRelatedStudies", "NumberOfSeriesRelatedInstances",
    ),
    "modalities and classes of studies": (STUDY, "StudyInstanceUID", "ModalitiesInStudy", "SOPClassesInStudy"),
    "modalities at series level": (SERIES, STUDY_11, "ModalitiesInStudy", "SOPClassesInStudy"),
    "modalities at patient level": (PATIENT, "PatientID=PAT1", "ModalitiesInStudy"),
    "modalities at image level": (IMAGE, STUDY_11, "ModalitiesInStudy"),
    "classes at image level": (IMAGE, STUDY_11, "SOPClassesInStudy"),
    "availability of studies": (STUDY, STUDY_11, "InstanceAvailability"),
    "availability of instances": (IMAGE, STUDY_11, "InstanceAvailability", "SOPInstanceUID"),
    "retrieve title asked for": (STUDY, STUDY_11, "RetrieveAETitle"),
    "counter as a key": (STUDY, "NumberOfStudyRelatedInstances=4", "StudyInstanceUID"),
    "counter as a key with a zero": (STUDY, "NumberOfStudyRelatedInstances=04"),
    # modalities and classes as keys
    "modality in study": (STUDY, "ModalitiesInStudy=CT", "StudyInstanceUID"),
    "modalities in study": (STUDY, "ModalitiesInStudy=CT\\US\\MR", "StudyInstanceUID"),
    "modality in study in lower case": (STUDY, "ModalitiesInStudy=mr", "StudyInstanceUID"),
    "modality in study by wildcard": (STUDY, "ModalitiesInStudy=C*", "StudyInstanceUID"),
    "modality in study at series level": (SERIES, "ModalitiesInStudy=CT"),
    "class in study": (STUDY, "SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.2", "StudyInstanceUID"),
    "classes of instances": (IMAGE, "SOPClassUID=1.2.840.10008.5.1.4.1.1.2\\1.2.840.10008.5.1.4.1.1.7", "SOPInstanceUID"),
    "modality of series": (SERIES, "Modality=M?", "SeriesInstanceUID"),
    "modality of series by a star": (SERIES, "Modality=*", "SeriesInstanceUID"),
    "modalities of series": (SERIES, "Modality=CT\\US", "SeriesInstanceUID"),
    "modality at study level": (STUDY, "Modality=CT", "StudyInstanceUID"),
    # identifiers
    "patient identifier": (STUDY, "PatientID=PAT1", "StudyInstanceUID"),
    "patient identifier in lower case": (STUDY, "PatientID=pat1", "StudyInstanceUID"),
    "patient identifier with trailing space": (STUDY, "PatientID=PAT1 ", "StudyInstanceUID"),
    "patient identifier with leading space": (STUDY, "PatientID= PAT1", "StudyInstanceUID"),
    "patient identifier with both": (STUDY, "PatientID= LEAD and TRAIL", "StudyInstanceUID"),
    "patient identifier by prefix": (STUDY, "PatientID=PAT*", "StudyInstanceUID"),
    "patient identifier by suffix": (STUDY, "PatientID=*T1", "StudyInstanceUID"),
    "patient identifier by question mark": (STUDY, "PatientID=P?T?", "StudyInstanceUID"),
    "patient identifier by star": (STUDY, "PatientID=*", "StudyInstanceUID"),
    "patient identifier by two stars": (STUDY, "PatientID=**", "StudyInstanceUID"),
    "patient identifiers": (STUDY, "PatientID=PAT1\\PAT2", "StudyInstanceUID"),
    "patient identifiers with wildcard": (STUDY, "PatientID=PAT?\\X", "StudyInstanceUID"),
    "characters of other pattern languages": (STUDY, "PatientID=P.T%_[1]", "StudyInstanceUID"),
    "accession number": (STUDY, "AccessionNumber=ACC11", "StudyInstanceUID"),
    "accession number by prefix": (SERIES, "AccessionNumber=ACC1*", "SeriesInstanceUID"),
    "study identifiers": (STUDY, "StudyInstanceUID=2.25.7305.1.1\\2.25.7305.1.2\\9.9"),
    "study identifier twice": (STUDY, "StudyInstanceUID=2.25.7305.1.1\\2.25.7305.1.1\\"),
    "study identifier by wildcard": (STUDY, "StudyInstanceUID=2.25.7305.1.*"),
    "series identifiers": (SERIES, "SeriesInstanceUID=2.25.7305.1.1.1\\2.25.7305.1.1.2", "Modality"),
    "instance identifier": (IMAGE, "SOPInstanceUID=2.25.7305.1.1.1.2", "InstanceNumber", "ImageComments"),
    "instances of a patient": (IMAGE, "PatientID=PAT6", "SOPInstanceUID", "NumberOfFrames"),
    "series of studies": (SERIES, "StudyInstanceUID=2.25.7305.1.1\\2.25.7305.1.2", "SeriesInstanceUID", "StudyDate"),
    # names
    "name in upper case": (STUDY, "PatientName=DOE^JANE^1", "StudyInstanceUID"),
    "name without all components": (STUDY, "PatientName=Doe^Jane", "StudyInstanceUID"),
    "name by prefix": (STUDY, "PatientName=doe*", "StudyInstanceUID"),
    "name of patients by prefix": (PATIENT, "PatientName=compressed*", "PatientID"),
    "name by infix": (SERIES, "PatientName=*jane*", "SeriesInstanceUID"),
    "name by question mark": (PATIENT, "PatientName=doe^jane^?"),
    "name with leading spaces": (STUDY, "PatientName=  space^sam", "StudyInstanceUID"),
    "name without leading spaces": (STUDY, "PatientName=space*", "StudyInstanceUID"),
    "name with groups": (PATIENT, "PatientName=*=*", "PatientID"),
    "name in latin1": (STUDY, "SpecificCharacterSet=ISO_IR 100", "PatientName=buc^jérôme".encode("latin-1"), "PatientID"),
    "name in utf8": (STUDY, "SpecificCharacterSet=ISO_IR 192", "PatientName=äneas*".encode(), "PatientID"),
    "name in undeclared latin1": (STUDY, "PatientName=ÄNEAS*".encode("latin-1"), "PatientID"),
    "name in an unknown set": (STUDY, "SpecificCharacterSet=ISO_IR 999", "PatientName=Buc*", "PatientID"),
    "name in japanese": (STUDY, "SpecificCharacterSet=ISO_IR 192", "PatientName=*山田*".encode(), "PatientID"),
    "referrer of a study": (SERIES, "ReferringPhysicianName=REFERRER*", STUDY_11),
    # dates and times
    "date": (STUDY, "StudyDate=20240101", "StudyInstanceUID"),
    "dates": (STUDY, "StudyDate=20240101-20240102", "StudyInstanceUID", "StudyTime"),
    "dates from": (STUDY, "StudyDate=20240102-", "StudyInstanceUID"),
    "dates until": (STUDY, "StudyDate=-20040826", "StudyInstanceUID"),
    "dates without end": (STUDY, "StudyDate=-", "StudyInstanceUID"),
    "dates upside down": (STUDY, "StudyDate=20240102-20240101", "StudyInstanceUID"),
    "dates of three": (STUDY, "StudyDate=20240101-20240102-20240103", "StudyInstanceUID"),
    "list of dates": (STUDY, "StudyDate=20240101\\20240102", "StudyInstanceUID"),
    "date by wildcard": (STUDY, "StudyDate=2024*"),
    "date by star": (STUDY, "StudyDate=*"),
    "date that is none": (STUDY, "StudyDate=abc-def"),
    "month": (STUDY, "StudyDate=202401"),
    "birth dates": (PATIENT, "PatientBirthDate=19700101-19700103", "PatientID"),
    "dates of series' studies": (SERIES, "StudyDate=20240102-20240103", "SeriesInstanceUID"),
    "date at patient level": (PATIENT, "StudyDate=20240102", "PatientID"),
    "time": (STUDY, "StudyTime=101112.131415", "StudyInstanceUID"),
    "times": (STUDY, "StudyTime=1011-1012", "StudyInstanceUID"),
    "times from": (STUDY, "StudyTime=101112-", "StudyInstanceUID"),
    "times until": (STUDY, "StudyTime=-101112", "StudyInstanceUID"),
    "time by wildcard": (STUDY, "StudyTime=10*"),
    "date and times": (STUDY, "StudyDate=20240101", "StudyTime=100000-120000", "StudyInstanceUID"),
    "dates and times": (STUDY, "StudyDate=20240101-20240102", "StudyTime=100000-050000", "StudyInstanceUID"),
    "date-times": (IMAGE, "FrameAcquisitionDateTime=2024-", "SOPInstanceUID"),
    "date-times until": (IMAGE, "AcquisitionDateTime=-2003", "SOPInstanceUID"),
    # tags that lie in files
    "rows": (IMAGE, "Rows=8", "Columns", "SOPInstanceUID"),
    "list of rows": (IMAGE, "Rows=3\\8", "SOPInstanceUID"),
    "number by text": (IMAGE, "SliceThickness=1.5", "SOPInstanceUID"),
    "number as written": (IMAGE, "SliceThickness=1.50", "SOPInstanceUID"),
    "number by wildcard": (SERIES, "SeriesNumber=*"),
    "integer with a zero": (SERIES, "SeriesNumber=01"),
    "integers": (SERIES, "SeriesNumber=1\\2", "SeriesInstanceUID"),
    "image type": (IMAGE, "ImageType=ORIGINAL*", "SOPInstanceUID"),
    "image type by one value": (IMAGE, "ImageType=ORIGINAL", "SOPInstanceUID"),
    "binary and numbers": (
        IMAGE, "PatientID=PAT3", "SOPInstanceUID", "TagAngleSecondAxis", "ReferencePixelX0", "RegionLocationMinX0",
        "FrameIncrementPointer", "SelectorOBValue", "RecommendedDisplayFrameRateInFloat", "URNCodeValue", "PatientAge",
    ),
    "long texts": (IMAGE, "PatientID=PAT3", "SOPInstanceUID", "ImageComments", "AdditionalPatientHistory", "StudyComments"),
    "lower tags of a study": (STUDY, STUDY_11, "SeriesDescription", "SeriesInstanceUID", "SOPInstanceUID", "Manufacturer"),
    "lower tag as a key": (STUDY, "SeriesDescription=Series 2", "StudyInstanceUID"),
    "lower tags of a patient": (PATIENT, "PatientID=PAT1", "StudyInstanceUID", "StudyDate", "AccessionNumber"),
    "pointer": (IMAGE, "FrameIncrementPointer=(0018,1063)", "SOPInstanceUID"),
    # keys together
    "three keys": (STUDY, "PatientID=PAT1", "PatientName=doe*", "StudyDescription=Study 1*", "StudyInstanceUID"),
    "keys of all levels": (
        IMAGE, "PatientName=doe*", "StudyDate=20240101-20240102", "Modality=MR", "InstanceNumber=1", "SOPInstanceUID",
    ),
    "institution in lower case": (SERIES, "InstitutionName=general*", "SeriesInstanceUID"),
    "institution": (SERIES, "InstitutionName=General*", "SeriesInstanceUID", "PatientSex=F"),
    "changed name of a study": (SERIES, "PatientName=other*", "SeriesInstanceUID"),
    # odd queries
    "no level": ("PatientID=PAT1",),
    "empty level": ("QueryRetrieveLevel", "PatientID=PAT1"),
    "unknown level": ("QueryRetrieveLevel=FOO", "PatientID=PAT1"),
    "two levels": ("QueryRetrieveLevel=STUDY\\SERIES", "PatientID=PAT1"),
    "time zone": (STUDY, "PatientID=PAT1", "TimezoneOffsetFromUTC=+0100"),
    "unknown tag": (STUDY, "PatientID=PAT1", "0020,0042"),
    "unknown tag as a key": (STUDY, "PatientID=PAT1", "0020,0042=FOO"),
    "directory record": (STUDY, "PatientID=PAT1", "0004,1500=X"),
    "private tag": (IMAGE, "SOPInstanceUID=2.25.7305.2.1.1.3", "0009,0010=SINOGRAM TEST 1", "0009,1001"),
    "private tag as a key": (IMAGE, "0009,1001=private text", "SOPInstanceUID"),
    "private tag by wildcard": (IMAGE, "0009,0010=SINOGRAM TEST 1", "0009,1001=private*", "SOPInstanceUID"),
    "sequence": (STUDY, "PatientID=PAT2", "ProcedureCodeSequence"),
    "sequence as a key": (STUDY, "PatientID=PAT2", "ProcedureCodeSequence[0].CodeValue=T-D1100", "StudyInstanceUID"),
    "sequence as a key of nothing": (SERIES, "RequestAttributesSequence[0].ScheduledProcedureStepID=1"),
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_an_answer_equals_orthancs(searched: Pair, name: str) -> None:
    assert_same(name, *ask_both(searched, QUERIES[name]))


@pytest.mark.parametrize("proposal", ["-xe", "-xb", "-xi", "-P"])
def test_any_transfer_syntax_and_root_will_do(searched: Pair, proposal: str) -> None:
    keys = (STUDY, "PatientID=PAT*", "PatientName", "NumberOfStudyRelatedInstances", "ModalitiesInStudy=MR")
    ours, theirs = ask_both(searched, keys, proposal)
    assert_same("any syntax", ours, theirs)
    assert len(ours.answers) > 10


@pytest.mark.parametrize(
    ("level", "query"),
    [
        ("Patient", {"PatientID": "PAT*"}),
        ("Study", {"PatientName": "Doe*", "StudyDate": "20240101-20240102"}),
        ("Series", {"StudyInstanceUID": "2.25.7305.1.1", "Modality": "MR"}),
        ("Instance", {"SeriesInstanceUID": "2.25.7305.1.1.1"}),
    ],
)
def test_orthanc_finds_the_same_here_and_in_itself(searched: Pair, level: str, query: dict[str, str]) -> None:
    """With `/modalities/{id}/query`, which asks for a set of tags of its own."""
    found = []
    for server in (searched.ours, searched.theirs):
        modality = json.dumps(["PEER", "127.0.0.1", server.dicom_port])
        assert searched.theirs.ask(Request("/modalities/other", "PUT", modality)).status == 200
        asked = Request("/modalities/other/query", "POST", json.dumps({"Level": level, "Query": query}))
        made = searched.theirs.ask(asked).json()
        assert isinstance(made, dict)
        answers = searched.theirs.get_json(f"{made['Path']}/answers?expand&simplify")
        assert isinstance(answers, list)
        found.append(sorted(answers, key=repr))
    assert found[0] == found[1] != []


@pytest.fixture(scope="module")
def searched_otherwise(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    options = """
        "DicomModalities": { "dcmtk": ["FINDSCU", "127.0.0.1", 104, "GenericNoWildcardInDates"] },
        "StorageAccessOnFind": "Never", "CaseSensitivePN": true, "DefaultEncoding": "Utf8",
    """
    with start_pair(oracle, tmp_path_factory.mktemp("otherwise"), options) as pair:
        load(pair)
        yield pair


OTHERWISE: dict[str, tuple[str | bytes, ...]] = {
    "all studies in utf8": (STUDY, "PatientID", "PatientName", "StudyInstanceUID", "StudyDate"),
    "tags of files are not told": (IMAGE, STUDY_11, "SOPInstanceUID", "Rows", "ImageType", "InstanceNumber"),
    "tags of files match nothing": (IMAGE, STUDY_11, "Rows=8"),
    "images of a class": (IMAGE, STUDY_11, "SOPClassUID=1.2.840.10008.5.1.4.1.1.4", "SOPInstanceUID"),
    "lower tags match nothing": (STUDY, "Modality=CT"),
    "modalities in study": (STUDY, "ModalitiesInStudy=CT", "SOPClassesInStudy"),
    "name in the wrong case": (STUDY, "PatientName=doe*"),
    "name in the right case": (STUDY, "PatientName=Doe*", "StudyInstanceUID"),
    "japanese name": (STUDY, "SpecificCharacterSet=ISO_IR 192", "PatientName=*山田*".encode(), "PatientID"),
    "name in undeclared utf8": (STUDY, "PatientName=Buc^Jérôme".encode(), "PatientID"),
    "date by wildcard": (STUDY, "StudyDate=2024*"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_an_answer_equals_orthancs_under_other_options(searched_otherwise: Pair, name: str) -> None:
    ours, theirs = logs_of(searched_otherwise)
    assert_same(name, *ask_both(searched_otherwise, OTHERWISE[name]))
    assert _summed_up(ours) == _summed_up(theirs)


def _summed_up(log: WarningLog) -> set[tuple[str, ...]]:
    """Each warning once, but for main tags of patients and studies: Orthanc looks in files, too, where the index has none."""
    kept = {format_tag(tag) for level in (Level.PATIENT, Level.STUDY) for tag in MAIN_DICOM_TAGS[level]}
    return {(each.number, *tags) for each in log.read() if (tags := [tag for tag in each.tags if tag not in kept])}


def test_who_may_not_ask_is_turned_away(searched_otherwise: Pair) -> None:
    ours, theirs = ask_both(searched_otherwise, (STUDY,), "-aet", "STRANGER")
    assert ours == theirs == Found("none", [])
