"""Studies whose pictures are known: a CT of squares that move from slice to slice, stored in several transfer syntaxes."""

import io
from collections.abc import Iterator
from typing import Any, Final

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless

SLICES: Final = 8
SIZE: Final = 128
ROOT: Final = "1.2.826.0.1.3680043.8.498.77"
STUDIES: Final = {name: f"{ROOT}.{number}" for number, name in enumerate(("plain", "JPEG-LS", "JPEG 2000"), 1)}
_SYNTAXES: Final = {"plain": ExplicitVRLittleEndian, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
_WHITE, _GRAY = 2000, 1064  # with the rescaling and the window below: beyond the window, and its middle


def stored(number: int) -> Any:
    """Return the stored values of a slice, counted from 0: a broad white bar, and a gray one that moves."""
    values = np.zeros((SIZE, SIZE), np.int16)
    values[16:48, 16:80] = _WHITE
    values[80:112, 8 + 12 * number : 24 + 12 * number] = _GRAY
    return values


def grays(number: int) -> Any:
    """Return how a slice is shown: PS3.3 §C.11.2.1.2, of center 40 and width 400 of CT numbers."""
    value = stored(number).astype(float) - 1024
    return np.clip(((value - 39.5) / 399 + 0.5) * 255, 0, 255)


def files(name: str) -> Iterator[bytes]:
    """Yield the files of one of the studies."""
    study = STUDIES[name]
    for number in range(SLICES):
        dataset = _slice(study, number)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = _SYNTAXES[name]
        dataset.PixelData = _encoded(name, stored(number))
        with io.BytesIO() as file:
            dataset.save_as(file, enforce_file_format=True)
            yield file.getvalue()


def _encoded(name: str, values: Any) -> bytes:
    if name == "plain":
        return bytes(values.tobytes())
    positive = values.astype(np.uint16)
    if name == "JPEG-LS":
        return encapsulate([bytes(imagecodecs.jpegls_encode(positive))])
    return encapsulate([bytes(imagecodecs.jpeg2k_encode(positive, codecformat="j2k", reversible=True))])


def _slice(study: str, number: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{study}.1.{number + 1}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.FrameOfReferenceUID = f"{study}.9"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = (
        "Phantom^Ct",
        study[-3:],
        "",
        "",
    )
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.StudyID = "20260101", "101010", "A1", "1"
    dataset.StudyDescription, dataset.SeriesDescription = "Moving bar", "Axial"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 1, number + 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient = [0, 0, -2 * number]  # the first slice is on top, where OHIF begins
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 2
    dataset.Rows = dataset.Columns = SIZE
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    return dataset
