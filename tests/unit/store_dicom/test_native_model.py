"""The Native DICOM Model (PS3.19 Annex A.1) of a dataset; expected texts are what Orthanc 1.12.7 has answered, but for two places."""

import xml.etree.ElementTree as ET

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from store.dicom import dicom_json, native_model
from store.dicom.dicom_json import TooLargeForJson, render_dicom_json
from store.dicom.native_model import render_native_model
from store.dicom.native_model_reader import read_native_model
from store.dicom.xml_text import escape_as_orthanc
from tests.dicom_bytes import dataset, encode

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
HEAD = (
    f'<?xml version="1.0" encoding="utf-8"?>\n<NativeDicomModel xmlns="{NAMESPACE}" xsi:schemaLocation="{NAMESPACE}" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
)
VALUES = {
    "00080005": {"vr": "CS"},
    "00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "A<B&C>\"'"]},
    "00080090": {"vr": "PN", "Value": [{"Alphabetic": "^^^^"}]},
    "00089459": {"vr": "FL", "Value": ["NaN", "-inf", 0.10000000149011612, 2]},
    "00090010": {"vr": "LO", "Value": ["CREATOR"]},
    "00091001": {"vr": "UN", "InlineBinary": "AAE="},
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Two^B", "Ideographic": "Zwei"}, None]},
    "00102210": {"vr": "CS", "Value": ["a\x01\x0bb\tc\r\n"]},
    "00200013": {"vr": "IS", "Value": [7]},
    "00280009": {"vr": "AT", "Value": ["00181063"]},
    "00420099": {"vr": "LO", "Value": ["of no dictionary"]},
}
SHOWN = """\
  <DicomAttribute tag="00080005" vr="CS" keyword="SpecificCharacterSet" />
  <DicomAttribute tag="00080008" vr="CS" keyword="ImageType">
    <Value number="1">ORIGINAL</Value>
    <Value number="2" />
    <Value number="3">A&lt;B&amp;C&gt;"'</Value>
  </DicomAttribute>
  <DicomAttribute tag="00080090" vr="PN" keyword="ReferringPhysicianName">
    <PersonName number="1">
      <Alphabetic>
        <FamilyName></FamilyName>
        <GivenName></GivenName>
        <MiddleName></MiddleName>
        <NamePrefix></NamePrefix>
        <NameSuffix></NameSuffix>
      </Alphabetic>
    </PersonName>
  </DicomAttribute>
  <DicomAttribute tag="00089459" vr="FL" keyword="RecommendedDisplayFrameRateInFloat">
    <Value number="1">nan</Value>
    <Value number="2">-inf</Value>
    <Value number="3">0.100000001</Value>
    <Value number="4">2</Value>
  </DicomAttribute>
  <DicomAttribute tag="00090010" vr="LO" keyword="PrivateCreator">
    <Value number="1">CREATOR</Value>
  </DicomAttribute>
  <DicomAttribute tag="00091001" vr="UN">
    <InlineBinary>AAE=</InlineBinary>
  </DicomAttribute>
  <DicomAttribute tag="00100010" vr="PN" keyword="PatientName">
    <PersonName number="1">
      <Alphabetic>
        <FamilyName>Two</FamilyName>
        <GivenName>B</GivenName>
      </Alphabetic>
      <Ideographic>
        <FamilyName>Zwei</FamilyName>
      </Ideographic>
    </PersonName>
    <PersonName number="2" />
  </DicomAttribute>
  <DicomAttribute tag="00102210" vr="CS" keyword="AnatomicalOrientationType">
    <Value number="1">a&#01;&#11;b\tc\r\n</Value>
  </DicomAttribute>
  <DicomAttribute tag="00200013" vr="IS" keyword="InstanceNumber">
    <Value number="1">7</Value>
  </DicomAttribute>
  <DicomAttribute tag="00280009" vr="AT" keyword="FrameIncrementPointer">
    <Value number="1">00181063</Value>
  </DicomAttribute>
  <DicomAttribute tag="00420099" vr="LO">
    <Value number="1">of no dictionary</Value>
  </DicomAttribute>
</NativeDicomModel>
"""


def test_values_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = HEAD + SHOWN
    assert render_native_model(VALUES, escape_as_orthanc).decode() == expected
    monkeypatch.setattr(native_model, "PIECE_LINES", 3)
    assert render_native_model(VALUES, escape_as_orthanc).decode() == expected


def test_every_character_that_xml_can_hold_comes_back_and_no_other_spoils_the_document() -> None:
    whole = "a\tb\r\nc\rd\n<&>\"'\u00e4\u4e2d\U0001f9fb"
    document = render_native_model(
        {
            "00104000": {"vr": "LT", "Value": [whole, "a\0b\x1fc\ufffed\ud800e"]},
            "00282000": {"vr": "OB", "BulkDataURI": 'http://a/?b="c"&d'},
        }
    )
    assert read_native_model(document) == {
        "00104000": {"vr": "LT", "Value": [whole, "a\ufffdb\ufffdc\ufffdd\ufffde"]},
        "00282000": {"vr": "OB", "BulkDataURI": 'http://a/?b="c"&d'},
    }


def test_a_double_keeps_its_digits() -> None:
    """As PS3.5 §6.2 has them; Orthanc writes 862399744 for this one, the nearest in single precision."""
    made = dataset()
    made.add_new(0x00189087, "FD", [862399761.111079, 0.1])
    values = ET.fromstring(render_native_model(render_dicom_json(encode(made)))).findall(
        ".//{*}*[@tag='00189087']/{*}Value"
    )
    assert [float(value.text or "") for value in values] == [862399761.111079, 0.1]


def test_a_sequence_holds_items_and_nothing_else() -> None:
    """As the schema of PS3.19 §A.1.6 has it; Orthanc writes an empty value behind each item."""
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "1"
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    made = dataset(ReferencedImageSequence=Sequence([outer]), ReferencedStudySequence=Sequence([]))
    root = ET.fromstring(render_native_model(render_dicom_json(encode(made))))
    sequences = root.findall(".//{*}DicomAttribute[@vr='SQ']")
    assert [[child.tag.partition("}")[2] for child in sequence] for sequence in sequences] == [
        [],
        ["Item"],
        ["Item", "Item"],
    ]
    assert [item.get("number") for item in sequences[2]] == ["1", "2"]
    assert [value.text for value in sequences[2].findall(".//{*}Value")] == ["1", "1"]


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [(0x00720078, "US", [1] * 1000), (0x00280009, "AT", [0x10] * 1000), (0x00104000, "LT", "\\" * 1000)],
)
def test_many_values_count_for_more_than_their_bytes(
    tag: int, vr: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataset()
    made.add_new(tag, vr, value)
    monkeypatch.setattr(dicom_json, "MAX_BYTES", 1000 * (4 + dicom_json.ONE_VALUE_BYTES) + 1000)
    assert render_dicom_json(encode(made))
    monkeypatch.setattr(dicom_json, "MAX_BYTES", 1000 * dicom_json.ONE_VALUE_BYTES)
    with pytest.raises(TooLargeForJson):
        render_dicom_json(encode(made))
