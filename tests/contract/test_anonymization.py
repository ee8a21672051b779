"""What leaves a file that is anonymised, and where the standard is followed instead of Orthanc: docs/anonymization.md."""

import io
import re
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from events.errors import InvalidDicom
from events.identifiers import Level
from store.dicom.change.basic_profile import EDITIONS, profile
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.dicom.change.request import Flags, read_anonymize, read_modify
from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.regular import is_regular
from tests.data_factory import add_pixels, all_files, dataset, encode, uid
from tests.dicom_bytes import MR
from tests.peer.changed_files import unknown_sequence

DRAWN = Drawn(new_secret())
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def anonymize(data: bytes, secret: bytes = b"", **body: Any) -> bytes:
    flags = Flags(force=True, keeps_private=body.pop("KeepPrivateTags", False))
    change = read_anonymize(body, flags, "Program 1")
    return b"".join(Editor(change, Drawn(secret or new_secret()), "Latin1").edit(open_part10(data)).parts)


def modify(data: bytes, level: Level = Level.INSTANCE, **body: Any) -> bytes:
    flags = Flags(
        force=True, removes_private=body.pop("RemovePrivateTags", False), private_creator=body.pop("PrivateCreator", "")
    )
    return b"".join(
        Editor(read_modify(body, level, flags), Drawn(new_secret()), "Latin1").edit(open_part10(data)).parts
    )


def read(data: bytes) -> Dataset:
    with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        return pydicom.dcmread(io.BytesIO(data))


def item(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


# ------------------------------------------------------------------------------------------------------------- leaks

SECRETS = ("Geheim^Jürgen", "ID-4711-é", "19610203", "2.25.4711.1", "Klinikum Süd", "private Söcret", "1.2.4711.9")


def told_everywhere(charset: str, values: tuple[str, ...] = SECRETS) -> bytes:
    """A file that says who the patient is wherever the profile looks, at three depths, and in private elements."""
    name, identifier, date, own, place, private, frame = values
    made = add_pixels(dataset(1, SpecificCharacterSet=charset))
    deepest = item(
        PatientName=name, PatientID=identifier, PatientBirthDate=date, InstitutionName=place, FrameOfReferenceUID=frame
    )
    deepest.add_new(0x00090010, "LO", private)
    deepest.add_new(0x00091001, "LO", private)
    middle = item(
        SourceImageSequence=Sequence([deepest]), ReferencedSOPInstanceUID=own, OperatorsName=name, PatientComments=place
    )
    for keyword, value in (
        ("PatientName", name), ("PatientID", identifier), ("PatientBirthDate", date), ("StudyDate", date), ("SeriesDate", date),
        ("AcquisitionDate", date), ("ContentDate", date), ("InstitutionName", place), ("InstitutionAddress", place),
        ("ReferringPhysicianName", name), ("OperatorsName", name), ("OtherPatientIDs", identifier), ("PatientAddress", place),
        ("PatientComments", name), ("StudyDescription", name), ("SeriesDescription", place), ("AccessionNumber", identifier[:16]),
        ("StudyInstanceUID", own + ".1"), ("SeriesInstanceUID", own + ".2"), ("SOPInstanceUID", own), ("FrameOfReferenceUID", frame),
        ("RequestingPhysician", name), ("StationName", place), ("DeviceSerialNumber", identifier), ("ProtocolName", name),
    ):  # fmt: skip
        setattr(made, keyword, value)
    made.SourceImageSequence = Sequence([middle, deepest])
    made.RequestAttributesSequence = Sequence([item(ScheduledProcedureStepDescription=name)])
    block = made.private_block(0x0029, private, create=True)
    block.add_new(1, "LO", private)
    block.add_new(2, "OB", name.encode("utf-16"))
    block.add_new(3, "SQ", Sequence([item(PatientName=name)]))
    made.add_new(0x60004000, "LT", private)
    made.add_new(0x50000022, "LO", private)
    return encode(made, preamble=(b"Geheim^" * 19)[:128])


def spellings(value: str) -> Iterator[bytes]:
    """A value in every encoding in which a file may hold it; words of some length count alone, too."""
    for text in {value, *(word for word in re.split(r"[\^ =\\]", value) if len(word) > 4)}:
        for encoding in (
            "utf-8",
            "latin-1",
            "iso8859-2",
            "iso8859-5",
            "shift_jis",
            "iso2022_jp",
            "euc_kr",
            "gb18030",
            "utf-16-le",
        ):
            try:
                yield text.encode(encoding)
            except UnicodeEncodeError:
                continue


def leaks(data: bytes, values: tuple[str, ...]) -> list[bytes]:
    file = open_part10(data)
    seen = data + bytes(file.data)  # what is deflated is looked at inflated, too
    return [raw for value in values for raw in spellings(value) if raw in seen]


@pytest.mark.parametrize("edition", [edition for edition in EDITIONS if edition != "2008"])
@pytest.mark.parametrize(
    ("charset", "values"),
    [
        ("ISO_IR 192", SECRETS),
        ("ISO_IR 100", SECRETS),
        ("ISO_IR 192", ("山田^太郎=やまだ^たろう", "患者４７１１", "19610203", "2.25.4711.1", "東京病院", "秘密の値です", "1.2.4711.9")),
        ("ISO_IR 144", ("Люкceмбypг^Иван", "ИД-4711-Ж", "19610203", "2.25.4711.1", "Больница", "секретно!", "1.2.4711.9")),
    ],
)  # fmt: skip
def test_no_byte_tells_who_the_patient_was(edition: str, charset: str, values: tuple[str, ...]) -> None:
    data = told_everywhere(charset, values)
    assert leaks(data, values)  # the search finds what is there
    assert leaks(anonymize(data, DicomVersion=edition), values) == []


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_no_transfer_syntax_hides_anything(syntax: str) -> None:
    source = read(told_everywhere("ISO_IR 100"))
    assert leaks(anonymize(encode(source, syntax)), SECRETS) == []


def identifying(data: bytes, edition: str) -> set[bytes]:
    """The values of a file that an edition of the profile takes out, and those of private elements; too short ones are in every file."""
    table = profile(edition)

    def walk(found: Dataset) -> Iterator[bytes]:
        for tag in found.keys():  # noqa: SIM118 # a Dataset is iterated by its elements
            element = found.get_item(tag)
            if getattr(element, "VR", "") == "SQ" or found[tag].VR == "SQ":
                for inner in found[tag].value or ():
                    yield from walk(inner)
            elif (tag in table or tag in (0x00100010, 0x00100020) or tag.is_private) and isinstance(
                element.value, bytes
            ):
                yield element.value.strip(b" \0")

    with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        return {value for value in walk(pydicom.dcmread(io.BytesIO(data), force=True)) if len(value) > 7}


@pytest.mark.parametrize("edition", EDITIONS)
def test_nothing_identifying_is_left_of_any_sample(edition: str) -> None:
    """A value that stands in the pixels, or in an attribute that stays, too, is no leak: it is looked for in what left."""
    left = {}
    count = 0
    for sample in all_files():
        try:
            result = anonymize(sample.data, DicomVersion=edition)
            wanted = identifying(sample.data, edition)
        except Exception:  # noqa: BLE001 # a broken sample, which uploads refuse, or pydicom cannot read
            continue
        kept = identifying_elsewhere(sample.data, edition)
        file = open_part10(result)
        seen = result + bytes(file.data)
        found = {value for value in wanted if value in seen and not any(value in other for other in kept)}
        count += 1
        if found:
            left[sample.name] = found
    assert count > 100
    assert left == {}


def identifying_elsewhere(data: bytes, edition: str) -> list[bytes]:
    """The values of attributes that stay."""
    table = profile(edition)

    def walk(found: Dataset) -> Iterator[bytes]:
        for tag in found.keys():  # noqa: SIM118 # likewise
            if tag in table or tag.is_private:
                continue
            element = found.get_item(tag)
            if found[tag].VR == "SQ":
                for inner in found[tag].value or ():
                    yield from walk(inner)
            elif isinstance(element.value, bytes):
                yield element.value

    with pydicom_config.disable_value_validation(), warnings.catch_warnings(action="ignore"):
        return list(walk(pydicom.dcmread(io.BytesIO(data), force=True)))


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
