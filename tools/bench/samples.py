"""Generated DICOM files for measuring: the same bytes for every server, no UID used twice in a run or between seeds.

A template is made once with pydicom; an instance is a copy with its identifiers patched in place. A patient has one
study of four series of 100 instances, if nothing else is said. `mr` is what an MR scanner sends: 256 × 320 pixels of 16 bits, explicit little
endian, 170 kB, whose pixels are noise, so that no server gains by compressing. `phantom` is the same with an image in it: ellipses with the
noise of a scanner (Rician), which zlib makes half as large. `small` has 8 × 8 pixels and few tags: 1 kB, for filling an archive.
"""

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from io import BytesIO
from math import hypot
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless

from store.dicom.uids import MR_IMAGE_STORAGE

INSTANCES_PER_SERIES: Final = 100
SERIES_PER_STUDY: Final = 4

# Of the phantom: centre, radii, brightness; sides are 1.
_ELLIPSES: Final = (
    (0.0, 0.0, 0.7, 0.9, 600),
    (0.0, 0.0, 0.62, 0.82, -200),
    (0.2, 0.1, 0.2, 0.3, 350),
    (-0.25, 0.1, 0.15, 0.35, 300),
    (0.0, -0.4, 0.2, 0.15, 500),
)
# Transfer syntaxes that files can be made in, and how.
COMPRESSED: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    JPEGLosslessSV1: ("jpeg8_encode", {"lossless": True, "bitspersample": 16}),
    JPEGLSLossless: ("jpegls_encode", {}),
}
PATIENT: Final = "BENCH-PATIENT-0000000000"


def make_uid(kind: int, seed: int, number: int) -> str:
    """Make a UID of 38 characters, a decimal below 2**128 (PS3.5 Annex B.2); `kind` 1 study, 2 series, 3 instance, 4 frame of reference."""
    return f"2.25.1{kind}{seed:010d}{number:021d}"


PLACEHOLDERS: Final = {kind: make_uid(kind, 0, 0) for kind in (1, 2, 3, 4)}


@dataclass(slots=True)
class Samples:
    """An endless supply: each call of `take` gives the next instances, the same ones for the same seed."""

    seed: int  # < 10**10
    size: str = "mr"
    syntax: str = ExplicitVRLittleEndian  # or one of `COMPRESSED`
    series_length: int = INSTANCES_PER_SERIES
    _next: int = 0
    _template: bytes = b""
    _places: dict[bytes, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._template = _template(self.size, self.seed, self.syntax)
        for text in self._values(0):
            self._places[text.encode()] = list(_find_all(self._template, text.encode()))

    def take(self, count: int) -> list[bytes]:
        """Return `count` new files."""
        return list(self.stream(self.reserve(count)))

    def reserve(self, count: int) -> range:
        """Set `count` instances apart, to be made with `stream`, elsewhere or later."""
        first, self._next = self._next, self._next + count
        return range(first, self._next)

    def stream(self, numbers: range) -> Iterator[bytes]:
        """Make the instances with these numbers."""
        for number in numbers:
            file = bytearray(self._template)
            for placeholder, value in self._values(number).items():
                self._patch(file, placeholder, value)
            yield bytes(file)

    def _values(self, number: int) -> dict[str, str]:
        """What stands in an instance in place of each placeholder."""
        series = number // self.series_length
        study = series // SERIES_PER_STUDY
        numbers = {1: study, 2: series, 3: number, 4: study}
        uids = {placeholder: make_uid(kind, self.seed, numbers[kind]) for kind, placeholder in PLACEHOLDERS.items()}
        return uids | {PATIENT: f"BENCH-PATIENT-{self.seed % 10000:04d}{study:06d}"}

    def _patch(self, file: bytearray, placeholder: str, value: str) -> None:
        raw = value.encode()
        assert len(raw) == len(placeholder)
        for place in self._places[placeholder.encode()]:
            file[place : place + len(raw)] = raw


def _find_all(data: bytes, part: bytes) -> Iterator[int]:
    place = data.find(part)
    while place >= 0:
        yield place
        place = data.find(part, place + len(part))


def _template(size: str, seed: int, syntax: str) -> bytes:
    dataset = _identity()
    rows, columns = (8, 8) if size == "small" else (256, 320)
    if size != "small":
        _add_scanner_tags(dataset)
    chance = random.Random(seed)  # noqa: S311 — noise
    pixels = _phantom(rows, columns, chance) if size == "phantom" else chance.randbytes(rows * columns * 2)
    dataset.update(_pixels(rows, columns, pixels))
    if syntax != ExplicitVRLittleEndian:
        dataset["PixelData"] = DataElement("PixelData", "OB", encapsulate([_compress(rows, columns, pixels, syntax)]))
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(MR_IMAGE_STORAGE)
    meta.MediaStorageSOPInstanceUID = UID(PLACEHOLDERS[3])
    meta.TransferSyntaxUID = UID(syntax)
    file = BytesIO()
    dataset.file_meta = meta
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _dataset(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _identity() -> Dataset:
    return _dataset(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=MR_IMAGE_STORAGE,
        SOPInstanceUID=PLACEHOLDERS[3],
        StudyDate="20240229",
        StudyTime="101112",
        AccessionNumber="A240229",
        Modality="MR",
        StudyDescription="Head",
        SeriesDescription="t1 mprage sag",
        PatientName="Bench^Mark",
        PatientID=PATIENT,
        PatientBirthDate="19700101",
        PatientSex="O",
        StudyInstanceUID=PLACEHOLDERS[1],
        SeriesInstanceUID=PLACEHOLDERS[2],
        StudyID="1",
        SeriesNumber=3,
        InstanceNumber=1,
    )


def _pixels(rows: int, columns: int, data: bytes) -> Dataset:
    return _dataset(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=rows,
        Columns=columns,
        BitsAllocated=16,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=0,
        PixelData=data,
    )


def _compress(rows: int, columns: int, pixels: bytes, syntax: str) -> bytes:
    """Return a frame's codestream, by a library that is loaded here alone."""
    samples = import_module("numpy").frombuffer(pixels, "<u2").reshape(rows, columns)
    encoder, options = COMPRESSED[syntax]
    return bytes(getattr(import_module("imagecodecs"), encoder)(samples, **options))


def _phantom(rows: int, columns: int, chance: random.Random) -> bytes:
    """Return pixels of 16 bits: ellipses, brighter towards one side, in noise of which a tenth of the range is used."""
    pixels = array("H")
    for row in range(rows):
        y = 2 * row / rows - 1
        for column in range(columns):
            x = 2 * column / columns - 1
            signal = sum(value for a, b, c, d, value in _ELLIPSES if ((x - a) / c) ** 2 + ((y - b) / d) ** 2 < 1)
            real, imaginary = signal * (1 + x / 5) + chance.gauss(0, 12), chance.gauss(0, 12)
            pixels.append(int(hypot(real, imaginary)))
    return pixels.tobytes()


def _add_scanner_tags(dataset: Dataset) -> None:
    """Add what a scanner's header has: some 90 elements, sequences and private data among them."""
    dataset.update(
        _dataset(
            ImageType=["ORIGINAL", "PRIMARY", "M", "ND"],
            InstanceCreationDate="20240229",
            InstanceCreationTime="101213.123000",
            SeriesDate="20240229",
            AcquisitionDate="20240229",
            ContentDate="20240229",
            SeriesTime="101112.5",
            AcquisitionTime="101112.6",
            ContentTime="101213.1",
            Manufacturer="Sinogram",
            InstitutionName="Sinogram bench",
            ReferringPhysicianName="Referring^Physician",
            StationName="MR01",
            InstitutionalDepartmentName="Radiology",
            PerformingPhysicianName="Performing^Physician",
            OperatorsName="Operator^One",
            ManufacturerModelName="Generator",
            PatientAge="054Y",
            PatientSize="1.75",
            PatientWeight="75",
            BodyPartExamined="HEAD",
            ScanningSequence=["GR", "IR"],
            SequenceVariant=["SP", "MP"],
            ScanOptions="IR",
            MRAcquisitionType="3D",
            SequenceName="*tfl3d1_16ns",
            AngioFlag="N",
            SliceThickness="1",
            RepetitionTime="2300",
            EchoTime="2.98",
            InversionTime="900",
            NumberOfAverages="1",
            ImagingFrequency="123.2",
            ImagedNucleus="1H",
            EchoNumbers=1,
            MagneticFieldStrength="3",
            NumberOfPhaseEncodingSteps=255,
            EchoTrainLength=1,
            PercentSampling="100",
            PercentPhaseFieldOfView="93.75",
            PixelBandwidth="240",
            DeviceSerialNumber="12345",
            SoftwareVersions="B1",
            ProtocolName="t1_mprage_sag",
            TransmitCoilName="Body",
            AcquisitionMatrix=[0, 256, 240, 0],
            InPlanePhaseEncodingDirection="ROW",
            FlipAngle="9",
            VariableFlipAngleFlag="N",
            SAR="0.05",
            PatientPosition="HFS",
            AcquisitionNumber=1,
            ImagePositionPatient=[-88, -120, 118],
            ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
            FrameOfReferenceUID=PLACEHOLDERS[4],
            PositionReferenceIndicator="",
            SliceLocation="-88",
            PixelSpacing=[1, 1],
            SmallestImagePixelValue=0,
            LargestImagePixelValue=65535,
            WindowCenter="300",
            WindowWidth="700",
            WindowCenterWidthExplanation="Algo1",
            RequestedProcedureDescription="MR head",
            PerformedProcedureStepStartDate="20240229",
            PerformedProcedureStepStartTime="101000",
            PerformedProcedureStepID="MR20240229101000",
            PerformedProcedureStepDescription="Head",
            ReferencedImageSequence=Sequence(
                _dataset(ReferencedSOPClassUID=MR_IMAGE_STORAGE, ReferencedSOPInstanceUID=f"2.25.{number}")
                for number in (11, 12, 13)
            ),
        )
    )
    block = dataset.private_block(0x0029, "SINOGRAM BENCH HEADER", create=True)
    block.add_new(0x10, "OB", bytes(range(256)) * 8)  # scanners keep kilobytes of their own here
    block.add_new(0x18, "LO", "IMAGE NUM 4")
