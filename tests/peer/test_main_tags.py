"""`ExtraMainDicomTags` at every level, sequences and private tags among them: shown, searched and signed as by Orthanc."""

import shutil
import struct
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.dicom_bytes import Sample, dataset, element, encode, handmade, item
from tests.peer.comparison import Difference, assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle
from tests.peer.test_find import IMAGE, PATIENT, SERIES, STUDY, ask_both
from tests.peer.test_find import assert_same as assert_found

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

OPTIONS = """
  "DicomAlwaysAllowFind": true,
  "ExtraMainDicomTags": {
    "Patient": ["PatientComments", "EthnicGroup", "0010,0010"],
    "study": ["BodyPartExamined", "ReferencedStudySequence", "0009,1001", "0009-1002", "00091003", "PatientAge", "ModalitiesInStudy"],
    "Series": ["StudyDate", "SpacingBetweenSlices", "PatientID", "Rows", "RetrieveAETitle"],
    "INSTANCE": ["PixelData", "SpecificCharacterSet", "SliceThickness", "ReferencedImageSequence", "0011,0010", "0011,1001",
      "Modality", "ImageType", "0010,0000", "Rows", "SOPClassUID", "DimensionIndexPointer", "DiffusionBValue", "ContentSequence",
      "OtherPatientNames", "0002,0010", "NumberOfStudyRelatedSeries"]
  },
"""
LEVELS = ("patients", "studies", "series", "instances")
_ITEM = item(element(0x00080100, "SH", b"CODE"))
_LONG = item(
    element(0x00081030, "LO", b"x" * 300), element(0x00091001, "LO", b"in an item "), element(0x7FE00010, "OB", b"ab")
)
REQUESTED = (
    "PatientComments;EthnicGroup;PatientName", "BodyPartExamined;ReferencedStudySequence;0009,1001;0009,1003", "PatientAge",
    "StudyDate;SpacingBetweenSlices;PatientID;Rows", "SliceThickness", "Modality;ImageType;SOPClassUID;ContentSequence;ReferencedImageSequence",
    "0011,0010;0011,1001;SpecificCharacterSet;DiffusionBValue;PixelData", "TransferSyntaxUID", "RequestAttributesSequence",
)  # fmt: skip


def _image(instance: int) -> bytes:
    made = dataset(
        1, 1, 1, instance, PatientComments=f"comment {instance}", EthnicGroup="e" * 300, SliceThickness="1.5 ",
        ImageType=["ORIGINAL", "AXIAL"], BodyPartExamined=" HEAD ", PatientAge="", SpecificCharacterSet="ISO_IR 100",
        DimensionIndexPointer=0x00200013, DiffusionBValue=1.25, SpacingBetweenSlices="2", Rows=8,
    )  # fmt: skip
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.3", f"1.2.3.{instance}"
    made.ReferencedImageSequence = made.ReferencedStudySequence = Sequence([reference])
    for group in (0x0009, 0x0011):
        made.private_block(group, "SINOGRAM TEST", create=True).add_new(1, "LO", f"private {group}")
    return encode(made)


FILES = (
    Sample("images", _image(1)),
    Sample("images", _image(2)),
    Sample("another-study", encode(dataset(1, 2, 1, 1, PatientComments="of the second study", StudyDate="20250101"))),
    Sample("private-sequence", handmade(1, (0x00090010, "LO", b"ACME"), (0x00091001, "SQ", _ITEM), (0x00091002, "UN", b"text"), (0x00091003, "DS", b"1.5 "))),
    Sample("sequences-as-text", handmade(2, (0x00081110, "LO", b"abc "), (0x00180050, "SQ", _ITEM), (0x00400275, "SH", b"text"), (0x00080008, "OB", b"AB"))),
    Sample("much", handmade(3, (0x0040A730, "SQ", item(element(0x00081030, "LO", b"x" * 60)) * 2000), (0x00104000, "LT", b"y" * 257))),
    Sample("in-items", handmade(4, (0x0040A730, "SQ", _LONG + item()), (0x00104000, "LT", b"y" * 256), (0x00100000, "UL", struct.pack("<I", 12)))),
    Sample("nested", handmade(5, (0x0040A730, "SQ", item(element(0x0040A730, "SQ", _ITEM))), (0x00101001, "PN", b"A\\B "))),
    Sample("nothing-in-it", handmade(6, (0x0040A730, "SQ", b""), (0x00104000, "LT", b""))),
)  # fmt: skip


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("main-tags"), OPTIONS) as made:
        for sample in FILES:
            for server in (made.ours, made.theirs):
                assert server.ask(Request("/instances", "POST", sample.data)).status == 200, sample.name
        made.wait_until_stable()
        yield made


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


def test_the_system_names_them(pair: Pair) -> None:
    ours, theirs = (server.get_json("/system") for server in (pair.ours, pair.theirs))
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    assert ours["MainDicomTags"] == theirs["MainDicomTags"]


QUERIES: dict[str, tuple[str, ...]] = {
    "patients by comment": (PATIENT, "PatientComments=comment*", "PatientID", "PatientName"),
    "patients by a tag of studies": (PATIENT, "BodyPartExamined=HEAD", "PatientID"),
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
