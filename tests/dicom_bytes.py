"""DICOM files for tests, one at a time: from attributes with pydicom, or byte by byte where no library would write them.

Everything is deterministic and small. UIDs lie below the root `2.25.7305.`, with a readable suffix.
"""

import struct
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

UID_ROOT = "2.25.7305"
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
MULTIFRAME_GRAYSCALE = "1.2.840.10008.5.1.4.1.1.7.2"
RAW_DATA = "1.2.840.10008.5.1.4.1.1.66"
VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.4.1"


@dataclass(frozen=True, slots=True)
class Sample:
    """A DICOM file and the name by which a test speaks of it."""

    name: str
    data: bytes


def uid(*parts: int) -> str:
    """A UID of the tests' own root, e.g. `uid(1, 2)` for study 2 of patient 1."""
    return ".".join([UID_ROOT, *map(str, parts)])


def dataset(patient: int = 1, study: int = 1, series: int = 1, instance: int = 1, **values: object) -> Dataset:
    """A small MR instance without pixel data; `values` are set by keyword, and `None` leaves an attribute out."""
    made = Dataset()
    defaults: dict[str, object] = {
        "SOPClassUID": MR,
        "SOPInstanceUID": uid(patient, study, series, instance),
        "StudyDate": f"202401{study:02d}",
        "StudyTime": "101112.131415",
        "SeriesDate": f"202401{study:02d}",
        "AccessionNumber": f"ACC{patient}{study}",
        "Modality": "MR",
        "Manufacturer": "Sinogram",
        "InstitutionName": "General Hospital",
        "ReferringPhysicianName": "Referrer^Rita",
        "StudyDescription": f"Study {study} of patient {patient}",
        "SeriesDescription": f"Series {series}",
        "PatientName": f"Doe^Jane^{patient}",
        "PatientID": f"PAT{patient}",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "StudyInstanceUID": uid(patient, study),
        "SeriesInstanceUID": uid(patient, study, series),
        "StudyID": f"{study}",
        "SeriesNumber": f"{series}",
        "InstanceNumber": f"{instance}",
    }
    with pydicom_config.disable_value_validation():
        for keyword, value in (defaults | values).items():
            if value is not None:
                setattr(made, keyword, value)
    return made


def add_pixels(made: Dataset, *, frames: int = 1, rows: int = 8, columns: int = 6, bits: int = 16) -> Dataset:
    """Gives a dataset grayscale pixels: a ramp (`frames, rows, columns`), so that no two frames are equal."""
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit = bits - 1
    made.PixelRepresentation = 0
    if frames > 1:
        made.NumberOfFrames = str(frames)
    made.PixelData = (np.arange(frames * rows * columns) % 251).astype(f"<u{bits // 8}").tobytes()
    if len(made.PixelData) % 2:
        made.PixelData += b"\0"
    made["PixelData"].VR = "OW" if bits > 8 else "OB"
    return made


_JPEG_XL = "1.2.840.10008.1.2.4.11"  # which pydicom does not write
_AS_LONG = "1.2.840.10008.1.2.4.201"


def encode(made: Dataset, syntax: str = ExplicitVRLittleEndian, *, preamble: bytes = b"\0" * 128) -> bytes:
    """The DICOM file of a dataset, written as it stands: nothing is corrected or completed."""
    out = BytesIO()
    with pydicom_config.disable_value_validation():  # nothing is corrected, so nothing is refused
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\0\1"
        meta.MediaStorageSOPClassUID = made.get("SOPClassUID", "")
        meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "")
        written = syntax if UID(syntax).is_transfer_syntax or not syntax.startswith(_JPEG_XL) else _AS_LONG
        meta.TransferSyntaxUID = UID(written)
        meta.ImplementationClassUID = UID(uid(0))
        meta.ImplementationVersionName = "SINOGRAMTEST"
        whole = FileDataset(out, made, preamble=preamble, file_meta=meta)
        dcmwrite(out, whole, enforce_file_format=False, overwrite=True)
    return out.getvalue().replace(written.encode(), syntax.encode(), 1) if written != syntax else out.getvalue()


_LONG_LENGTH = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
Element = tuple[int, str, bytes]  # tag, VR, value as it stands


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian; its length may be claimed to be another."""
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HI", 0, size) if vr in _LONG_LENGTH else struct.pack("<H", size)) + value


def item(*elements: bytes, undefined: bool = False) -> bytes:
    """A sequence item."""
    body = b"".join(elements)
    if undefined:
        return struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + body + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body


def handmade(instance: int, *elements: Element, order: bool = True) -> bytes:
    """A file of patient 8 with these elements instead of or besides the identifiers, in the order of their tags or as given."""
    needed: list[Element] = [
        (0x00080016, "UI", MR.encode() + b"\0" * (len(MR) % 2)),
        (0x00080018, "UI", _padded(uid(8, 1, 1, instance))),
        (0x00100020, "LO", b"PAT8"),
        (0x0020000D, "UI", _padded(uid(8, 1))),
        (0x0020000E, "UI", _padded(uid(8, 1, 1))),
    ]
    given = {tag for tag, _, _ in elements}
    whole = [*(each for each in needed if each[0] not in given), *elements]
    if order:
        whole.sort(key=lambda each: each[0])
    empty = Dataset()
    empty.SOPClassUID, empty.SOPInstanceUID = MR, uid(8, 1, 1, instance)
    meta = encode(empty)
    return meta[: meta.index(b"\x08\0\x16\0UI")] + b"".join(element(*each) for each in whole)


def _padded(text: str) -> bytes:
    return text.encode() + b"\0" * (len(text) % 2)
