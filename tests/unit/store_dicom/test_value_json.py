"""Values that are text as DICOM JSON (PS3.18 Annex F), read back by pydicom."""

import json
from typing import Any

import pytest
from pydicom.dataset import Dataset

from store.dicom.dictionary import parse_tag
from store.dicom.matching import Value
from store.dicom.value_json import render_values


def element(name: str, value: Value) -> dict[str, Any]:
    tag = parse_tag(name)
    assert tag is not None
    rendered = render_values({tag: value})
    assert [*rendered] == [f"{tag:08X}"]
    shown: dict[str, Any] = json.loads(json.dumps(rendered))[f"{tag:08X}"]
    Dataset.from_json(rendered)  # which raises for what is no DICOM JSON
    return shown


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("PatientID", "P 1", {"vr": "LO", "Value": ["P 1"]}),
        ("PatientID", " P ", {"vr": "LO", "Value": [" P"]}),
        ("OtherPatientIDs", "A \\B ", {"vr": "LO", "Value": ["A", "B"]}),
        ("PatientSex", " ", {"vr": "CS"}),
        ("PatientID", "", {"vr": "LO"}),
        ("PatientID", None, {"vr": "LO"}),
        ("ImageType", "A\\\\B", {"vr": "CS", "Value": ["A", None, "B"]}),
        ("PatientName", "A^B=山=や", {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "山", "Phonetic": "や"}]}),
        ("OtherPatientNames", "A\\B", {"vr": "PN", "Value": [{"Alphabetic": "A"}, {"Alphabetic": "B"}]}),
        ("SeriesNumber", "7", {"vr": "IS", "Value": [7]}),
        ("SeriesNumber", "x", {"vr": "IS"}),
        ("Rows", "256", {"vr": "US", "Value": [256]}),
        ("SmallestImagePixelValue", "5", {"vr": "US", "Value": [5]}),
        ("FrameIncrementPointer", "0018,1063", {"vr": "AT", "Value": ["00181063"]}),
        ("ImageComments", "a\\b", {"vr": "LT", "Value": ["a\\b"]}),
        ("PixelData", None, {"vr": "OW"}),
        ("RequestAttributesSequence", (), {"vr": "SQ"}),
        ("RequestAttributesSequence", ({0x00400009: "S"},), {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["S"]}}]}),
        ("00091001", "ab", {"vr": "UN", "InlineBinary": "YWI="}),
    ],
)  # fmt: skip
def test_elements(name: str, value: Value, wanted: dict[str, Any]) -> None:
    assert element(name, value) == wanted


def test_elements_come_in_order() -> None:
    assert [*render_values({0x00200010: "1", 0x00080020: "2"})] == ["00080020", "00200010"]
