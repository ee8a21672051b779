"""What becomes of a file that is anonymised, and where the standard is followed instead of Orthanc: docs/anonymization.md."""

import struct

import pydicom
import pytest
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from events.errors import InvalidDicom
from events.identifiers import Level
from store.dicom.change.basic_profile import EDITIONS, profile
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.dicom.change.request import Flags, read_modify
from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.regular import is_regular
from tests.contract.changed_datasets import anonymize, item, modify, read
from tests.data_factory import add_pixels, all_files, dataset, encode, uid
from tests.dicom_bytes import MR
from tests.peer.changed_files import unknown_sequence

DRAWN = Drawn(new_secret())


# ------------------------------------------------------------------------------------------------------- consistency


def test_an_identifier_becomes_the_same_in_all_files_of_a_request() -> None:
    secret = new_secret()
    first = add_pixels(dataset(1, 1, 1, 1, FrameOfReferenceUID="1.2.9"))
    second = add_pixels(dataset(1, 1, 1, 2, FrameOfReferenceUID="1.2.9"))
    second.SourceImageSequence = Sequence(
        [
            item(
                ReferencedSOPInstanceUID=uid(1, 1, 1, 1),
                StudyInstanceUID=uid(1, 1),
                SeriesInstanceUID=uid(1, 1, 1),
                PatientID="PAT1",
            )
        ]
    )
    one, other = (read(anonymize(encode(made), secret)) for made in (first, second))
    reference = other.SourceImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == one.SOPInstanceUID != first.SOPInstanceUID
    assert reference.StudyInstanceUID == one.StudyInstanceUID == other.StudyInstanceUID != uid(1, 1)
    assert reference.SeriesInstanceUID == one.SeriesInstanceUID
    assert one.FrameOfReferenceUID == other.FrameOfReferenceUID != "1.2.9"
    assert reference.PatientID == one.PatientID == other.PatientID != "PAT1"
    assert read(anonymize(encode(first))).SOPInstanceUID != one.SOPInstanceUID  # another request draws others


def test_what_the_client_keeps_or_says_holds_for_references_too() -> None:
    made = dataset(1, FrameOfReferenceUID="1.2.9")
    made.SourceImageSequence = Sequence(
        [item(ReferencedSOPInstanceUID=made.SOPInstanceUID, FrameOfReferenceUID="1.2.9", PatientID="PAT1")]
    )
    kept = read(anonymize(encode(made), Keep=["SOPInstanceUID", "FrameOfReferenceUID"]))
    assert kept.SourceImageSequence[0].ReferencedSOPInstanceUID == kept.SOPInstanceUID == made.SOPInstanceUID
    assert kept.SourceImageSequence[0].FrameOfReferenceUID == "1.2.9"
    said = read(
        anonymize(encode(made), Replace={"SOPInstanceUID": "1.5", "FrameOfReferenceUID": "1.6", "PatientID": "NEW"})
    )
    reference = said.SourceImageSequence[0]
    assert (reference.ReferencedSOPInstanceUID, reference.FrameOfReferenceUID, reference.PatientID) == (
        "1.5",
        "1.6",
        "NEW",
    )


def test_several_uids_in_a_value_become_several() -> None:
    made = dataset(1, SOPInstanceUID="1.2.8")
    made.add_new(0x00080058, "UI", ["1.2.7", "1.2.8"])
    result = read(anonymize(encode(made)))
    failed = list(result[0x00080058].value)
    assert len(set(failed)) == 2
    assert failed[1] == result.SOPInstanceUID


# ------------------------------------------------------------------------------------------ where the standard holds


def test_curves_and_overlays_leave() -> None:
    made = dataset(1)
    for tag, vr, value in (
        (0x50000022, "LO", "curve"),
        (0x50023000, "OW", b"\1\2"),
        (0x60003000, "OW", b"\1\2"),
        (0x60024000, "LT", "c"),
    ):
        made.add_new(tag, vr, value)
    made.add_new(0x60000010, "US", 1)
    for edition in EDITIONS:
        left = {int(tag) for tag in read(anonymize(encode(made), DicomVersion=edition)).keys() if tag.group >= 0x5000}  # noqa: SIM118 # likewise
        assert left == (set() if edition != "2008" else {0x50000022, 0x50023000, 0x60000010, 0x60003000, 0x60024000})


def test_a_sequence_that_says_it_is_unknown_is_searched() -> None:
    plain = encode(dataset(1))
    place = plain.index(struct.pack("<HH", 0x0010, 0x0010))
    hidden = plain[:place] + unknown_sequence(0x00082112, "Hidden^Name ") + plain[place:]
    assert b"Hidden^Name" not in anonymize(hidden)
    broken = hidden.replace(b"\xfe\xff\x00\xe0", b"\xfe\xff\x01\xe0")  # no item where one has to be
    assert b"Hidden^Name" not in anonymize(broken)


def test_private_elements_leave_items_too() -> None:
    made = dataset(1)
    inner = item(PatientName="x")
    inner.add_new(0x00090010, "LO", "CREATOR")
    inner.add_new(0x00091001, "LO", "private")
    made.ReferencedStudySequence = Sequence([inner])
    assert b"private" in modify(encode(made))
    result = read(modify(encode(made), RemovePrivateTags=True))
    assert [int(tag) for tag in result.ReferencedStudySequence[0].keys()] == [0x00100010]  # noqa: SIM118 # likewise
    assert b"private" not in anonymize(encode(made), DicomVersion="2008")
    assert b"private" in anonymize(encode(made), DicomVersion="2008", KeepPrivateTags=True)


SR, RT_PLAN, ENHANCED_MR = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("88.11", "481.5", "4.1"))


@pytest.mark.parametrize("edition", [edition for edition in EDITIONS if edition != "2008"])
@pytest.mark.parametrize(
    ("sop_class", "keyword", "left"),
    [  # the types are PS3.3's: Tables C.17-2, C.17-1, C.8-42, C.8-37, C.7-8b; an MR image needs none of them
        (SR, "ContentDate", "19000101"), (SR, "ContentTime", "000000"), (SR, "ReferencedPerformedProcedureStepSequence", ""),
        (SR, "ContentSequence", None), (RT_PLAN, "RTPlanLabel", "REMOVED"), (RT_PLAN, "RTPlanDate", ""), (RT_PLAN, "OperatorsName", ""),
        (ENHANCED_MR, "DeviceSerialNumber", "REMOVED"), (MR, "ContentDate", ""), (MR, "DeviceSerialNumber", None), (MR, "OperatorsName", None),
    ],
)  # fmt: skip
def test_what_an_object_needs_is_there_and_says_nothing(
    edition: str, sop_class: str, keyword: str, left: str | None
) -> None:
    made = dataset(1, SOPClassUID=sop_class)
    tag = pydicom.datadict.tag_for_keyword(keyword)
    assert tag is not None
    vr = pydicom.datadict.dictionary_VR(tag)
    setattr(
        made, keyword, Sequence([item(PatientName="Doe^Jane")]) if vr == "SQ" else {"TM": "101112"}.get(vr, "20200101")
    )
    result = read(anonymize(encode(made), DicomVersion=edition))
    if tag in profile(edition):
        assert (keyword in result) is (left is not None)
        assert str(result.get(keyword) or "") == (left or "")
        assert keyword not in read(anonymize(encode(made), DicomVersion=edition, Remove=[keyword]))
    else:
        assert result[keyword].value == "20200101"


def test_what_an_item_needs_is_there_and_says_nothing() -> None:
    made = dataset(1, SOPClassUID=RT_PLAN)
    made.BeamSequence = Sequence([item(TreatmentMachineName="Linac 1", BeamName="a")])
    observer = item(VerifyingObserverName="Doe^Jane", VerifyingOrganization="Klinikum", VerificationDateTime="20200101")
    made.VerifyingObserverSequence = Sequence([observer])
    result = read(anonymize(encode(made)))
    assert (result.BeamSequence[0].TreatmentMachineName, result.BeamSequence[0].BeamName) == ("", "a")
    assert list(result.VerifyingObserverSequence) == []
    made.SOPClassUID = SR
    (observer,) = read(anonymize(encode(made))).VerifyingObserverSequence
    assert [str(each.value or "") for each in observer] == ["REMOVED", "19000101000000", "REMOVED^REMOVED", ""]


def test_a_private_block_is_reserved_for_its_creator() -> None:
    result = read(modify(encode(dataset(1)), Replace={"0031,1020": "x"}, PrivateCreator="ME"))
    assert (result[0x00310010].value, result[0x00310010].VR) == ("ME", "LO")
    made = dataset(1)
    made.private_block(0x0031, "OTHER", create=True).add_new(0x20, "LO", "y")
    assert read(modify(encode(made), Replace={"0031,1020": "x"}, PrivateCreator="ME"))[0x00310010].value == "OTHER"


@pytest.mark.parametrize(("value", "sign", "expected"), [("-3", 1, -3), ("40000", 0, 40000)])
def test_a_value_of_pixels_has_their_sign(value: str, sign: int, expected: int) -> None:
    made = dataset(1, PixelRepresentation=sign)
    assert read(modify(encode(made), Replace={"SmallestImagePixelValue": value})).SmallestImagePixelValue == expected


def test_the_newer_editions_take_out_what_they_have_over_the_older() -> None:
    made = dataset(1)
    gone = sorted(set(profile("2026c")) - set(profile("2023b")))
    assert len(gone) > 30
    known = [
        tag
        for tag in gone
        if pydicom.datadict.dictionary_has_tag(tag) and pydicom.datadict.dictionary_VR(tag) in {"LO", "SH", "DA", "PN"}
    ]
    for tag in known:
        made.add_new(tag, pydicom.datadict.dictionary_VR(tag), "20200101")
    older, newer = (read(anonymize(encode(made), DicomVersion=edition)) for edition in ("2023b", "2026c"))
    for tag in known:
        assert older[Tag(tag)].value == "20200101"
        assert tag not in newer or not newer[Tag(tag)].value


# ---------------------------------------------------------------------------------------------- what does not change


def test_what_is_not_named_keeps_its_bytes() -> None:
    """Of a dataset in good order in which nothing changes each byte stays; a replaced element is all that is made anew."""
    own = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    nothing, comment = ({"Keep": own}, {"Keep": own, "Replace": {"PatientComments": "a new comment "}})
    count = 0
    for sample in all_files():
        try:
            file = open_part10(sample.data)
            elements = read_elements(file.data, file.start, file.syntax)
        except InvalidDicom:
            continue
        in_order = file.syntax.little and not file.inflated and is_regular(file.data, file.start, file.syntax)
        if not in_order or any(not element.tag & 0xFFFF or element.tag == 0x00104000 for element in elements):
            continue
        count += 1
        dataset_bytes = bytes(file.data[file.start :])
        head, *parts = Editor(read_modify(nothing, Level.INSTANCE, Flags(force=True)), DRAWN, "Latin1").edit(file).parts
        assert b"".join(parts) == dataset_bytes, sample.name
        assert bytes(head).endswith(b"SINOGRAM"), sample.name
        head, *parts = Editor(read_modify(comment, Level.INSTANCE, Flags(force=True)), DRAWN, "Latin1").edit(file).parts
        made = [part for part in parts if not isinstance(part, memoryview)]
        assert [part.count(b"a new comment ") for part in made] == [1], sample.name
        assert b"".join(part for part in parts if isinstance(part, memoryview)) == dataset_bytes, sample.name
    assert count > 60
