"""Names of tags; expected ones are those Orthanc 1.12.7 shows for a file that holds these tags."""

import pytest

from store.dicom.dictionary import dictionary_vr, format_tag, parse_tag, tag_name


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x00100010, "PatientName"),
        (0x00080001, "RETIRED_LengthToEnd"),
        (0x00101000, "OtherPatientIDs"),  # retired since, but not for Orthanc
        (0x30040012, "DoseValue"),
        (0x003A0325, "AnalogFilterTypeCodeSequence"),
        (0x00020000, "FileMetaInformationGroupLength"),
        (0x00080000, "GenericGroupLength"),
        (0x00090000, "PrivateGroupLength"),
        (0x00070000, "IllegalGroupLength"),
        (0x00090010, "PrivateCreator"),
        (0x000900FF, "PrivateCreator"),
        (0x00070010, "IllegalPrivateCreator"),
        (0x0009000F, "Unknown Tag & Data"),
        (0x00090100, "Unknown Tag & Data"),
        (0x00291010, "Unknown Tag & Data"),
        (0x00401281, "Unknown Tag & Data"),
        (0x00080202, "Unknown Tag & Data"),  # PS3.6 has it without a name
        (0x60000010, "OverlayRows"),
        (0x60FE0010, "OverlayRows"),
        (0x60010010, "PrivateCreator"),
        (0x61000010, "Unknown Tag & Data"),
        (0x50020005, "RETIRED_CurveDimensions"),
        (0x7FDE0040, "RETIRED_VariableCoefficientsSDDN"),
        (0x002031FE, "RETIRED_SourceImageIDs"),
        (0x00203101, "Unknown Tag & Data"),
        (0x00280412, "RETIRED_CoefficientCoding"),
        (0x00280422, "Unknown Tag & Data"),
        (0x10000010, "RETIRED_EscapeTriplet"),
        (0x10000020, "Unknown Tag & Data"),
    ],
)
def test_a_tag_has_the_name_orthanc_gives_it(tag: int, name: str) -> None:
    assert tag_name(tag) == name


@pytest.mark.parametrize("text", ["PatientName", "0010,0010", "0010-0010", "00100010"])
def test_a_tag_may_be_written_in_four_ways(text: str) -> None:
    assert parse_tag(text) == 0x00100010


def test_hexadecimal_digits_may_be_of_either_case() -> None:
    assert parse_tag("0020,000d") == parse_tag("0020000D") == 0x0020000D


@pytest.mark.parametrize("text", ["", "foo", "patientname", "0010.0010", "0010,001", "zzzz-0010", "Unknown Tag & Data"])
def test_what_is_not_a_tag(text: str) -> None:
    assert parse_tag(text) is None


def test_every_name_leads_back_to_its_tag() -> None:
    assert parse_tag("RETIRED_LengthToEnd") == 0x00080001
    assert parse_tag("OtherPatientIDs") == 0x00101000
    assert format_tag(0x0020000D) == "0020,000d"
    assert (dictionary_vr(0x00401012), dictionary_vr(0x00291010)) == ("SQ", "")
