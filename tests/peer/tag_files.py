"""The DICOM files and the configuration of `test_tag_options.py`."""

import json
import random
import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from tests.dicom_bytes import Sample, dataset, element, encode, handmade, item

EXTRA_MAIN_TAGS = {
    "Patient": ["PatientComments", "EthnicGroup", "0010,0010"],
    "study": [
        *("PatientWeight", "ReferencedStudySequence", "0009,1001", "0009-1002", "00091003", "PatientAge"),
        *("ModalitiesInStudy", "AdmittingDiagnosesDescription", "EvenTag", "InItsBlock"),
    ],
    "Series": ["StudyDate", "SpacingBetweenSlices", "PatientID", "Rows", "RetrieveAETitle"],
    "INSTANCE": [
        *("PixelData", "SpecificCharacterSet", "SliceThickness", "ReferencedImageSequence", "0011,0010", "0011,1001"),
        *("Modality", "ImageType", "0010,0000", "Rows", "SOPClassUID", "DimensionIndexPointer", "DiffusionBValue"),
        *("ContentSequence", "OtherPatientNames", "0002,0010", "NumberOfStudyRelatedSeries", "2001,1262"),
    ],
}
DICTIONARY = {
    "2001,5f": ["SQ", "StackSequence", 1, 1, "Philips"],
    "2001,1060": ["DS", "InItsBlock", 1, 1, "Philips"],
    "2001,61": ["DS", "InAnyBlock", 1, 2, "Philips"],
    "2001,62": ["US", "Count", 1, 1, "Philips"],
    "0009,1051": ["LO", "OfNobody", 1, 1],
    "0015,1001": ["LO", "Text", 1, 1, "A"],
    "0015-1002": ["US", "Number", 1, 1, "A"],
    "00151003": ["OB", "Binary", 1, 1, "A"],
    "0015,1004": ["UI", "Two Words", 1, 1, "A"],
    "0015,05": ["FD", "Floats", 1, 0, "A"],
    "0015,1006": ["SH", "OfB", 1, 1, "B"],
    "0021,1001": ["SQ", "Items", 1, 1, "A"],
    "0010,0011": ["LO", "EvenTag", 1, 1],
}
OPTIONS = f"""
  "DicomAlwaysAllowFind": true,
  "ExtraMainDicomTags": {json.dumps(EXTRA_MAIN_TAGS)},
  "Dictionary": {json.dumps(DICTIONARY)},
"""
_ITEM = item(element(0x00080100, "SH", b"CODE"))
_LONG = item(
    element(0x00081030, "LO", b"x" * 300), element(0x00091001, "LO", b"in an item "), element(0x7FE00010, "OB", b"ab")
)


def _image(instance: int) -> bytes:
    made = dataset(
        1, 1, 1, instance, PatientComments=f"comment {instance}", EthnicGroup="e" * 300, SliceThickness="1.5 ",
        ImageType=["ORIGINAL", "AXIAL"], PatientWeight=" 70.5 ", PatientAge="", SpecificCharacterSet="ISO_IR 100",
        DimensionIndexPointer=0x00200013, DiffusionBValue=1.25, SpacingBetweenSlices="2", Rows=8,
    )  # fmt: skip
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.3", f"1.2.3.{instance}"
    made.ReferencedImageSequence = made.ReferencedStudySequence = Sequence([reference])
    for group in (0x0009, 0x0011):
        made.private_block(group, "SINOGRAM TEST", create=True).add_new(1, "LO", f"private {group}")
    return encode(made)


MAIN_TAG_FILES = (
    Sample("images", _image(1)),
    Sample("images", _image(2)),
    Sample("another-study", encode(dataset(1, 2, 1, 1, PatientComments="of the second study", StudyDate="20250101"))),
    Sample("private-sequence", handmade(1, (0x00090010, "LO", b"ACME"), (0x00091001, "SQ", _ITEM), (0x00091002, "UN", b"text"), (0x00091003, "DS", b"1.5 "))),
    Sample("sequences-as-text", handmade(2, (0x00081110, "LO", b"abc "), (0x00180050, "SQ", _ITEM), (0x00400275, "SH", b"text"), (0x00080008, "OB", b"AB"))),
    Sample("much", handmade(3, (0x0040A730, "SQ", item(element(0x00081030, "LO", b"x" * 60)) * 200), (0x00104000, "LT", b"y" * 257))),
    Sample("in-items", handmade(4, (0x0040A730, "SQ", _LONG + item()), (0x00104000, "LT", b"y" * 256), (0x00100000, "UL", struct.pack("<I", 12)))),
    Sample("nested", handmade(5, (0x0040A730, "SQ", item(element(0x0040A730, "SQ", _ITEM))), (0x00101001, "PN", b"A\\B "))),
    Sample("nothing-in-it", handmade(6, (0x0040A730, "SQ", b""), (0x00104000, "LT", b""))),
)  # fmt: skip


def inconsistent_files() -> Iterator[bytes]:
    """Instances of two patients that describe what they belong to each in its own way; they come in no order of any kind."""
    chosen = random.Random(5)
    for number in range(24):
        made = dataset(
            chosen.choice((31, 31, 32)),
            chosen.choice((1, 2, 3)),
            chosen.choice((1, 2)),
            chosen.randrange(10**9),
            PatientName=f"Name {number}",
            StudyDescription=f"study {number}" if number % 3 else None,
            SeriesDescription=f"series {number}" if number % 4 else None,
            AccessionNumber=f"ACC{number}",
            AdmittingDiagnosesDescription=f"diagnosis {number}",
            PatientComments=f"comment {number}" if number % 5 else None,
            SliceThickness=str(number),
            SpacingBetweenSlices=str(number),
            ImagesInAcquisition=str(number) if number % 2 else None,
        )
        made.private_block(0x0009, "SINOGRAM TEST", create=True).add_new(1, "LO", f"private {number}")
        yield encode(made)


_CODE = struct.pack("<HHI", 0xFFFE, 0xE000, 12) + struct.pack("<HHI", 8, 0x100, 4) + b"CODE"
_PRIVATE = (
    *((0x00090010, b"X "), (0x00091051, b"nobody's"), (0x00091101, b"in no block "), (0x00100011, b"even")),
    *((0x00150010, b"A "), (0x00150011, b"B "), (0x00151001, b"a "), (0x00151002, b"\5\0"), (0x00151003, b"\1\2")),
    *(
        (0x00151004, b"1.2.3\0"),
        (0x00151005, struct.pack("<dd", 1.5, 2.5)),
        (0x00151006, b"of A"),
        (0x00151106, b"of B"),
    ),
    *(
        (0x00170010, b"A "),
        (0x00171001, b"another group "),
        (0x00210010, b"A "),
        (0x00211001, _CODE),
        (0x00211101, b"lost"),
    ),
    *((0x20010010, b"Philips "), (0x20010011, b"Other "), (0x20010012, b"Philips "), (0x2001105F, _CODE)),
    *((0x20011060, b"1.0 "), (0x20011061, b"2.0\\3 "), (0x2001115F, b"text"), (0x2001125F, _CODE), (0x20011260, b"4 ")),
    *((0x20011261, b"5.0 "), (0x20011262, b"\7\0")),
)


def _implicit() -> bytes:
    """The private elements in implicit VR, among those of a small dataset."""
    written = encode(dataset(33, 1, 1, 1), ImplicitVRLittleEndian)
    start = written.index(struct.pack("<HH", 0x0008, 0x0016))
    elements = []
    position = start
    while position < len(written):
        end = position + 8 + struct.unpack_from("<I", written, position + 4)[0]
        elements.append(written[position:end])
        position = end
    elements += [struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in _PRIVATE]
    elements.sort(key=lambda each: struct.unpack_from("<HH", each))
    return written[:start] + b"".join(elements)


def _explicit(instance: int, vr: str) -> bytes:
    named = [(tag, "LO" if tag >> 16 & 1 and tag & 0xFFFF < 0x100 else vr, value) for tag, value in _PRIVATE]
    return handmade(instance, *named)


PRIVATE_FILES = {"implicit": _implicit(), "unknown": _explicit(21, "UN"), "otherwise": _explicit(22, "LT")}
