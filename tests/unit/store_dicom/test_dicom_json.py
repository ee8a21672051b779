"""DICOM JSON of a dataset (PS3.18 Annex F), in the forms in which Orthanc 1.12.7 gives it."""

import base64
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from store.dicom import dicom_json
from store.dicom.dicom_json import TooLargeForJson, render_dicom_json
from tests.dicom_bytes import dataset, encode

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"


def shown(made: Dataset, syntax: str = EXPLICIT) -> dict[str, Any]:
    return render_dicom_json(encode(made, syntax))


def element(tag: int, vr: str, value: object, syntax: str = EXPLICIT) -> Any:
    made = dataset()
    made.add_new(tag, vr, value)
    return shown(made, syntax)[f"{tag:08X}"]


@pytest.mark.parametrize(
    ("tag", "vr", "value", "expected"),
    [
        (0x00080008, "CS", ["ORIGINAL", "", "X"], ["ORIGINAL", None, "X"]),
        (0x00104000, "LT", " two\\parts ", [" two", "parts"]),
        (0x00101030, "DS", "70.50", ["70.50"]),
        (0x00280008, "IS", ["1", "-2", "+3"], [1, -2, 3]),
        (0x00280009, "AT", [0x00181063, 0x7FE00010], ["00181063", "7FE00010"]),
        (0x00081161, "UL", [1, 0xFFFFFFFF], [1, 0xFFFFFFFF]),
        (0x00189219, "SS", -3, [-3]),
        (0x00186060, "FL", [1.5, -2.25, 4.0], [1.5, -2.25, 4]),
        (0x00189087, "FD", [0.1, 1e300], [0.1, 1e300]),
        (0x00189087, "FD", [float("nan"), float("inf"), float("-inf")], ["NaN", "inf", "-inf"]),
        (0x00720082, "SV", -5, [-5]),
        (0x00720083, "UV", 2**63, [2**63]),
        (
            0x00080090,
            "PN",
            ["Doe^Jane=Ideo=Phon", "Roe^Rita", "=Ideo"],
            [
                {"Alphabetic": "Doe^Jane", "Ideographic": "Ideo", "Phonetic": "Phon"},
                {"Alphabetic": "Roe^Rita"},
                {"Ideographic": "Ideo"},
            ],
        ),
    ],
)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_values(tag: int, vr: str, value: object, expected: list[object], syntax: str) -> None:
    assert element(tag, vr, value, syntax) == {"vr": vr, "Value": expected}


@pytest.mark.parametrize(
    ("tag", "vr"), [(0x00080008, "CS"), (0x00189219, "SS"), (0x00420011, "OB"), (0x00081110, "SQ")]
)
def test_an_empty_value_has_only_its_vr(tag: int, vr: str) -> None:
    assert element(tag, vr, Sequence([]) if vr == "SQ" else b"" if vr == "OB" else None) == {"vr": vr}


@pytest.mark.parametrize(
    ("vr", "tag"), [("OW", 0x00281201), ("OF", 0x00660016), ("OD", 0x0070150D), ("OV", 0x00720081)]
)
def test_binary_values_are_little_endian_base64(vr: str, tag: int) -> None:
    expected = {"vr": vr, "InlineBinary": base64.b64encode(bytes(range(16))).decode()}
    assert element(tag, vr, bytes(range(16))) == expected
    size = {"OW": 2, "OF": 4}.get(vr, 8)
    swapped = b"".join(bytes(range(start, start + size))[::-1] for start in range(0, 16, size))
    assert element(tag, vr, swapped, BIG_ENDIAN) == expected


def test_sequences_leave_out_empty_items_and_have_character_sets_of_their_own() -> None:
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.CodeMeaning = "é"
    made = dataset(
        SpecificCharacterSet="ISO_IR 100", StudyDescription="ü", ProcedureCodeSequence=Sequence([item, Dataset()])
    )
    rendered = shown(made)
    assert rendered["00081030"]["Value"] == ["ü"]
    (only,) = rendered["00081032"]["Value"]
    assert only["00080104"] == {"vr": "LO", "Value": ["é"]}


@pytest.mark.parametrize(("representation", "vr", "value"), [(0, "US", 65535), (1, "SS", -1)])
def test_values_with_the_sign_of_pixels_have_it_in_implicit_vr(representation: int, vr: str, value: int) -> None:
    made = dataset(PixelRepresentation=representation)
    made.add_new(0x00280106, vr, value)
    assert shown(made, IMPLICIT)["00280106"] == {"vr": vr, "Value": [value]}


def test_group_lengths_file_meta_and_encapsulated_pixels_are_left_out() -> None:
    made = dataset(PixelData=encapsulate([b"\1\2\3\4"]))
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.add_new(0x00080000, "UL", 4)
    keys = set(shown(made, "1.2.840.10008.1.2.4.50"))
    assert "00100020" in keys
    assert not keys & {"7FE00010", "00080000", "00020010"}


def test_native_pixels_are_binary_and_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = dataset(PixelData=bytes(1000))
    made["PixelData"].VR = "OW"
    assert len(base64.b64decode(shown(made)["7FE00010"]["InlineBinary"])) == 1000
    monkeypatch.setattr(dicom_json, "MAX_BYTES", 999)
    with pytest.raises(TooLargeForJson, match="application/dicom"):
        shown(made)


def test_a_number_that_is_none_is_left_out() -> None:
    data = encode(dataset(InstanceNumber="7")).replace(b"IS\x02\x007 ", b"IS\x02\x00x ")
    assert render_dicom_json(data)["00200013"] == {"vr": "IS", "Value": []}
