"""Varied DICOM files for tests: deterministic, small, made with pydicom or shipped with it (nothing is downloaded).

`made_files()` are ours: each shows one thing (a private tag, an empty value, a hierarchy shared by siblings …).
`shipped_files()` are pydicom's: character sets, compressed syntaxes, reports, waveforms, broken files.
Every sample has a name that a failing test can print. UIDs live below the root `2.25.7305.` plus a readable suffix.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pydicom.data
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from tests.dicom_bytes import (
    CT,
    MR,
    MULTIFRAME_GRAYSCALE,
    RAW_DATA,
    SECONDARY_CAPTURE,
    VIDEO,
    Sample,
    add_pixels,
    dataset,
    encode,
    uid,
)
from tests.handmade_files import handmade_files

__all__ = [
    "SECONDARY_CAPTURE",
    "Sample",
    "add_pixels",
    "all_files",
    "dataset",
    "encode",
    "made_files",
    "shipped_files",
    "uid",
]


# Shipped files that are not DICOM at all, or so large that they would only cost time.
_NOT_SAMPLES = (
    ".txt",
    ".json",
    ".dump",
    ".icc",
    ".gz",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "waveform_ecg.dcm",
)
# The value of (0008,0018) in either byte order and with explicit or implicit VR.
_SOP_INSTANCE_UID = re.compile(rb"(?:\x08\0\x18\0|\0\x08\0\x18)(?:UI..|....)([0-9.]{8,64})", re.DOTALL)


def _sequences() -> Dataset:
    made = dataset(2, 1, 1, 1)
    inner = Dataset()
    inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = "T-D1100", "SRT", "Head"
    outer = Dataset()
    outer.StudyInstanceUID = uid(9, 9)
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    empty_item = Dataset()
    made.ReferencedStudySequence = Sequence([outer, empty_item])
    made.RequestAttributesSequence = Sequence([])
    made.ProcedureCodeSequence = Sequence([inner])
    return made


def _undefined_lengths() -> Dataset:
    made = _sequences()
    made.SOPInstanceUID = uid(2, 1, 1, 2)
    made["ReferencedStudySequence"].is_undefined_length = True
    for item in made.ReferencedStudySequence:
        item.is_undefined_length_sequence_item = True
    return made


def _private() -> Dataset:
    made = dataset(2, 1, 1, 3)
    block = made.private_block(0x0009, "SINOGRAM TEST 1", create=True)
    block.add_new(0x01, "LO", "private text")
    block.add_new(0x02, "DS", ["1.5", "2.5"])
    block.add_new(0x03, "UN", b"\x00\x01\x02\x03")
    block.add_new(0x04, "OB", b"\xff\xfe")
    block.add_new(0x05, "FD", 1.25)
    other = made.private_block(0x0011, "SINOGRAM TEST 2", create=True)
    item = Dataset()
    item.add_new(Tag(0x0011, 0x0010), "LO", "SINOGRAM TEST 3")
    item.add_new(Tag(0x0011, 0x1001), "SH", "in item")
    other.add_new(0x01, "SQ", Sequence([item]))
    siemens = made.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    siemens.add_new(0x08, "CS", "IMAGE NUM 4")
    siemens.add_new(0x10, "OB", b"SV10" + bytes(12))
    return made


def _orphan_private() -> Dataset:
    made = dataset(2, 1, 1, 4)
    made.add_new(Tag(0x0013, 0x1001), "LO", "private without creator")
    made.add_new(Tag(0x0013, 0x1002), "UN", b"text?")
    return made


def _empty_values() -> Dataset:
    return dataset(
        2, 2, 1, 1, StudyDate="", AccessionNumber="", PatientName="", StudyID="", SeriesNumber="", InstanceNumber="",
        ReferringPhysicianName="", ImageType="", PatientSex="", ImagePositionPatient="", BodyPartExamined="",
    )  # fmt: skip


def _few_values() -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = MR, uid(2, 3, 1, 1)
    made.StudyInstanceUID, made.SeriesInstanceUID = uid(2, 3), uid(2, 3, 1)
    return made


def _numbers() -> Dataset:
    made = dataset(3, 1, 1, 1, SOPClassUID=RAW_DATA)
    made.add_new(0x00080301, "US", 513)  # Private Group Reference
    made.add_new(0x00189219, "SS", -5)  # Tag Angle Second Axis
    made.add_new(0x00186020, "SL", [-70000, 5])  # Reference Pixel X0
    made.add_new(0x00186018, "UL", [1, 2, 4294967295])  # Region Location Min X0
    made.add_new(0x00189087, "FD", [1000.0, 0.1, 1e-7, 1.0e20])  # Diffusion b-value
    made.add_new(0x00081163, "FD", [2.0, -0.5])  # Time Range
    made.add_new(0x00089459, "FL", [0.1, 3.4e38, -0.0])  # Recommended Display Frame Rate in Float
    made.add_new(0x00280009, "AT", [0x00181063, 0x00181065])  # Frame Increment Pointer
    made.add_new(0x00080040, "US", 7)
    made.add_new(0x00720082, "SV", [-1, 2**62])  # Selector SV Value
    made.add_new(0x00720083, "UV", [1, 2**63])  # Selector UV Value
    made.add_new(0x00720081, "OV", bytes(range(16)))  # Selector OV Value
    made.add_new(0x00720069, "OB", bytes(range(6)))  # Selector OB Value
    made.add_new(0x00660016, "OF", b"\0\0\x80\x3f\0\0\0\x40")  # Point Coordinates Data
    made.add_new(0x0070150D, "OD", bytes(8))
    made.add_new(0x00660129, "OL", bytes(range(8)))
    made.add_new(0x0008041C, "UC", "unlimited characters ")
    made.add_new(0x00080120, "UR", "http://example.org/a?b=c")
    made.add_new(0x00189074, "DT", "20240102030405.123456+0100")
    made.add_new(0x00101010, "AS", "042Y")
    made.add_new(0x00321060, "LO", ["with ", " backslash"])
    return made


def _spaces() -> Dataset:
    return dataset(
        3, 1, 2, 1, SeriesNumber=" 7 ", InstanceNumber=" +3", PatientID=" LEAD and TRAIL ", PatientName="  Space^Sam ",
        StudyDescription="inner  spaces  ", SliceThickness=" 1.50 ", PixelSpacing=["0.50 ", " 0.5"],
        ImagePositionPatient=["-1.0e+01", "2", "3.00"], ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        ImageComments="line one\r\nline two\ttab", ProtocolName='quote " slash / back', Modality="mr ",
    )  # fmt: skip


def _long_values() -> Dataset:
    made = dataset(3, 2, 1, 1, ImageComments="long " * 100, AdditionalPatientHistory="x" * 255)
    made.add_new(0x00324000, "LT", "y" * 256)  # Study Comments
    made.add_new(0x00204000, "LT", "z" * 257)  # Image Comments
    made.add_new(0x00402400, "LT", "w" * 2000)
    made.add_new(0x00081030, "LO", "d" * 300)
    made.add_new(0x0040A160, "UT", "t" * 70000)  # beyond a 16-bit length
    return made


def _binary() -> Dataset:
    made = dataset(3, 2, 1, 2, SOPClassUID=RAW_DATA)
    made.add_new(0x00420011, "OB", b"%PDF-1.4 not really" + bytes(range(256)))  # Encapsulated Document
    made.add_new(0x54001010, "OW", bytes(range(200)) * 2)  # Waveform Data
    made.add_new(0x00281201, "OW", bytes(range(256)) * 2)  # Red Palette Color Lookup Table Data
    made.add_new(0x00420010, "ST", "document \x01 title")
    made.add_new(0x00185555, "UN", b"unknown element\0")
    made.add_new(0x00091001, "UN", b"")
    return made


def _wrong_charsets() -> Iterator[Sample]:
    """Names whose bytes are not in the character set that the file declares (or in none that it declares)."""
    utf8, latin1 = "Grün^Jürgen ".encode(), "Grün^Jürge".encode("latin-1")
    cases = {
        "utf8-undeclared": (utf8, None),
        "utf8-declared-latin1": (utf8, "ISO_IR 100"),
        "latin1-declared-utf8": (latin1, "ISO_IR 192"),
        "latin1-undeclared": (latin1, None),
        "latin1-unknown-charset": (latin1, "ISO_IR 999"),
        "ascii-unknown-charset": (b"Plain^Name", "ISO_IR 999"),
    }
    for number, (name, (value, declared)) in enumerate(cases.items(), start=1):
        stand_in = b"?" * len(value)  # same length, so the bytes can be put in afterwards
        made = dataset(4, 1, 1, number, PatientName=stand_in.decode())
        if declared is not None:
            made.add_new(
                0x00080005, "CS", "ISO_IR 100"
            )  # another stand-in: pydicom would warn of what it does not know
        yield Sample(name, encode(made).replace(stand_in, value).replace(b"ISO_IR 100", (declared or "").encode()))


def _charset(declared: str | list[str], name: str, instance: int) -> Callable[[], Dataset]:
    def make() -> Dataset:
        return dataset(
            4,
            2,
            1,
            instance,
            SpecificCharacterSet=declared,
            PatientName=name,
            StudyDescription=name,
            SeriesDescription=name,
        )

    return make


def _series_of(instance: int, **values: object) -> Callable[[], Dataset]:
    return lambda: dataset(5, 1, 1, instance, **values)


def _expected_by_slices(instance: int) -> Callable[[], Dataset]:
    return lambda: dataset(5, 1, 2, instance, NumberOfSlices=2, ImageIndex=instance)


def _expected_by_acquisition(instance: int) -> Callable[[], Dataset]:
    return lambda: dataset(
        5, 2, 1, instance, ImagesInAcquisition="3", NumberOfTemporalPositions="2", CardiacNumberOfImages="4"
    )


_DATASETS: dict[str, Callable[[], Dataset]] = {
    "plain": lambda: add_pixels(dataset(1, 1, 1, 1)),
    "sibling-instance": lambda: add_pixels(dataset(1, 1, 1, 2, AcquisitionNumber="2", ImageComments="second")),
    "sibling-series": lambda: dataset(1, 1, 2, 1, Modality="CT", SOPClassUID=CT),
    "sibling-study": lambda: dataset(1, 2, 1, 1),
    "same-study-other-patient-tags": lambda: dataset(1, 1, 3, 1, PatientName="Other^Name", StudyDescription="changed"),
    "sequences": _sequences,
    "undefined-lengths": _undefined_lengths,
    "private": _private,
    "private-without-creator": _orphan_private,
    "empty-values": _empty_values,
    "few-values": _few_values,
    "no-patient-id": lambda: dataset(2, 4, 1, 1, PatientID=None),
    "empty-patient-id": lambda: dataset(2, 5, 1, 1, PatientID=""),
    "no-sop-class": lambda: dataset(2, 6, 1, 1, SOPClassUID=None),
    "numbers": _numbers,
    "spaces": _spaces,
    "long-values": _long_values,
    "binary": _binary,
    "charset-utf8": _charset("ISO_IR 192", "山田^太郎=Ωmega^Ελλη", 1),
    "charset-latin2": _charset("ISO_IR 101", "Dvořák^Antonín", 2),
    "charset-cyrillic": _charset("ISO_IR 144", "Люкceмбypг", 3),
    "charset-greek": _charset("ISO_IR 126", "Διονυσιος", 4),
    "charset-gb18030": _charset("GB18030", "Wang^XiaoDong=王^小东", 5),
    "charset-japanese": _charset(["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", 6),
    "charset-korean": _charset(["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", 7),
    "charset-thai": _charset("ISO_IR 166", "ไทย", 8),
    "series-1": _series_of(1, ImagePositionPatient=["0", "0", "1"]),
    "series-3": _series_of(3, ImagePositionPatient=["0", "0", "3"]),
    "series-2": _series_of(2, ImagePositionPatient=["0", "0", "2"]),
    "complete-1": _expected_by_slices(1),
    "complete-2": _expected_by_slices(2),
    "incomplete-1": _expected_by_acquisition(1),
    "multi-frame": lambda: add_pixels(dataset(6, 1, 1, 1, SOPClassUID=MULTIFRAME_GRAYSCALE), frames=3),
    "bytes-odd": lambda: add_pixels(dataset(6, 1, 1, 2, SOPClassUID=SECONDARY_CAPTURE), rows=3, columns=3, bits=8),
}


def _encapsulated() -> Iterator[Sample]:
    for number, syntax in enumerate((JPEGBaseline8Bit, JPEG2000Lossless, MPEG4HP41), start=1):
        made = add_pixels(dataset(6, 2, number, 1, SOPClassUID=VIDEO), frames=2, bits=8)
        made.PixelData = encapsulate([b"\xff\xd8 frame one \xff\xd9", b"\xff\xd8 frame two\xff\xd9\0"])
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
        yield Sample(f"encapsulated-{syntax}", encode(made, syntax))


def _odd_encodings() -> Iterator[Sample]:
    syntaxes = {
        "implicit": ImplicitVRLittleEndian,
        "deflated": DeflatedExplicitVRLittleEndian,
        "big-endian": ExplicitVRBigEndian,
    }
    for number, (name, syntax) in enumerate(syntaxes.items(), start=1):
        made = _numbers()
        made.StudyInstanceUID, made.SeriesInstanceUID = uid(7, 1), uid(7, 1, number)
        made.SOPInstanceUID = uid(7, 1, number, 1)
        yield Sample(f"syntax-{name}", encode(made, syntax))
        private = _private()
        private.StudyInstanceUID, private.SeriesInstanceUID = uid(7, 2), uid(7, 2, number)
        private.SOPInstanceUID = uid(7, 2, number, 1)
        yield Sample(f"private-{name}", encode(private, syntax))
    yield Sample("preamble-filled", encode(dataset(7, 3, 1, 1), preamble=b"II*\0" + b"\x55" * 124))
    padded = dataset(7, 3, 1, 2)
    padded.add_new(0xFFFCFFFC, "OB", bytes(64))  # Data Set Trailing Padding
    yield Sample("trailing-padding", encode(padded))


def made_files() -> list[Sample]:
    """Our own samples, every one accepted by Orthanc unless its name says otherwise."""
    with pydicom_config.disable_value_validation():
        plain = [Sample(name, encode(make())) for name, make in _DATASETS.items()]
        return [*plain, *_wrong_charsets(), *_encapsulated(), *_odd_encodings(), *handmade_files()]


def shipped_files() -> list[Sample]:
    """Files that lie inside the pydicom package, broken ones included; names are unique.

    Many are one image in several encodings: those that come later get a SOP Instance UID of their own, of equal length.
    """
    root = Path(pydicom.data.__file__).parent
    folders = (root / "charset_files", root / "test_files")
    paths = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    seen: set[bytes] = set()
    return [
        Sample(path.name, _distinct(path.read_bytes(), seen)) for path in paths if not path.name.endswith(_NOT_SAMPLES)
    ]


def _distinct(data: bytes, seen: set[bytes]) -> bytes:
    found = _SOP_INSTANCE_UID.search(data)
    if found is None:
        return data
    old = new = found[1]
    for number in range(100, 1000):
        if new not in seen:
            break
        new = old[:-3] + str(number).encode()
    seen.add(new)
    return data.replace(old, new)


@cache
def all_files() -> tuple[Sample, ...]:
    """Everything above, made files first."""
    return (*made_files(), *shipped_files())
