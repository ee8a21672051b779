"""An archive of what can be shown and what cannot, and plain models of what is to be seen: for rendered resources and WADO-URI."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.clock import Clock
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.dicom_bytes import RAW_DATA, SECONDARY_CAPTURE, dataset, encode, uid
from tests.native_pixels import EXPLICIT, Native, ramp
from tests.pixel_files import ENCODERS, JPEG_LS, fragment, pixel_file
from tools.core_settings import CoreSettings
from tools.server.core import Core

PDF: Final = b"%PDF-1.4 not much of one %%EOF"
VIDEO: Final = bytes(range(256)) * 2048
VALUES: Final = np.arange(40 * 30, dtype="<i2").reshape(1, 40, 30, 1) * 3
SLOPE, INTERCEPT = 2.0, -1024.0
FRAMES: Final = ramp("<u2", 3, 9, 8)
COLOURS: Final = ramp("u1", 1, 12, 10, 3)
MPEG2: Final = "1.2.840.10008.1.2.4.100"

# Studies of patient 9: each holds one series of one instance, but for SLICES.
GRAY, FRAMED, COLOURED, DOCUMENT, FILM, REPORT, SLICES, BROKEN, BROKEN_LATE, WINDOWED, RAW = range(1, 12)
_SR: Final = "1.2.840.10008.5.1.4.1.1.88.11"
_ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_VIDEO: Final = "1.2.840.10008.5.1.4.1.1.77.1.4.1"


def uids(study: int, instance: int = 1) -> tuple[str, str, str]:
    return uid(9, study), uid(9, study, 1), uid(9, study, 1, instance)


def _named(study: int, instance: int = 1) -> Any:
    names = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    return dict(zip(names, uids(study, instance), strict=True)) | {"InstanceNumber": str(instance)}


def _film() -> bytes:
    made = dataset(9, **_named(FILM), SOPClassUID=_VIDEO, NumberOfFrames="20", Rows=16, Columns=16)
    made.PixelData = fragment(b"") + fragment(VIDEO[:300_000]) + fragment(VIDEO[300_000:])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return encode(made, MPEG2)


def _coded(meaning: str) -> Any:
    return Sequence([dataset_of(CodeValue="1", CodingSchemeDesignator="99", CodeMeaning=meaning)])


def dataset_of(**values: Any) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def _report() -> Dataset:
    number = dataset_of(NumericValue="12.5", MeasurementUnitsCodeSequence=_coded("millimeter"))
    items = [
        dataset_of(
            ValueType="CONTAINER",
            ConceptNameCodeSequence=_coded("Findings"),
            ContentSequence=Sequence(
                [
                    dataset_of(
                        ValueType="TEXT", ConceptNameCodeSequence=_coded("Finding"), TextValue="<b>Größe</b> & more"
                    ),
                    dataset_of(
                        ValueType="NUM",
                        ConceptNameCodeSequence=_coded("Diameter"),
                        MeasuredValueSequence=Sequence([number]),
                    ),
                ]
            ),
        ),
        dataset_of(
            ValueType="CODE", ConceptNameCodeSequence=_coded("Conclusion"), ConceptCodeSequence=_coded("Normal")
        ),
    ]
    return dataset(
        9,
        **_named(REPORT),
        SOPClassUID=_SR,
        Modality="SR",
        SpecificCharacterSet="ISO_IR 100",
        ValueType="CONTAINER",
        ConceptNameCodeSequence=_coded("Radiology Report"),
        ContentSequence=Sequence(items),
    )


def slice_of(instance: int) -> Any:
    return np.full((1, 4, 6, 1), instance, "u1") * np.arange(1, 7, dtype="u1").reshape(1, 1, 6, 1)


def _files() -> Iterator[bytes]:
    gray = Native(samples=VALUES, bits=16)
    rescaled: Any = {"RescaleSlope": str(SLOPE), "RescaleIntercept": str(INTERCEPT)}
    yield gray.file(EXPLICIT, **_named(GRAY), SOPClassUID=SECONDARY_CAPTURE, **rescaled)
    rescaled |= {"WindowCenter": "100", "WindowWidth": "900", "BurnedInAnnotation": "NO"}
    yield gray.file(EXPLICIT, **_named(WINDOWED), SOPClassUID=SECONDARY_CAPTURE, **rescaled)
    framed = _named(FRAMED) | {"SOPClassUID": SECONDARY_CAPTURE, "FrameTime": "250"}
    yield Native(samples=FRAMES, bits=16).file(EXPLICIT, **framed)
    yield Native(samples=COLOURS, label="RGB", planar=0).file(
        EXPLICIT, **_named(COLOURED), SOPClassUID=SECONDARY_CAPTURE, BurnedInAnnotation="YES"
    )
    document: Any = {"SOPClassUID": _ENCAPSULATED_PDF, "MIMETypeOfEncapsulatedDocument": "application/pdf"}
    yield encode(dataset(9, **_named(DOCUMENT), **document, EncapsulatedDocument=PDF))
    yield _film()
    yield encode(_report())
    yield encode(dataset(9, **_named(RAW), SOPClassUID=RAW_DATA))
    for instance in (4, 1, 5, 2, 3):
        yield Native(samples=slice_of(instance)).file(
            EXPLICIT, **_named(SLICES, instance), SOPClassUID=SECONDARY_CAPTURE
        )
    # More reports than slices, in a series of their own: a study is shown by what can be shown.
    for instance in range(11, 18):
        other = _named(SLICES, instance) | {"SeriesInstanceUID": uid(9, SLICES, 2)}
        yield encode(dataset(9, **other, SOPClassUID=_SR, Modality="SR"))
    noise = np.random.default_rng(1).integers(0, 128, (700, 500), "u1")  # a picture of more bytes than one piece
    for study, samples in ((BROKEN, noise[:20, :20].copy()), (BROKEN_LATE, noise)):
        frames = [ENCODERS[JPEG_LS](samples), b"\xff\xd8\xff\0" * 20]
        yield pixel_file(JPEG_LS, samples, frames, **_named(study), SOPClassUID=SECONDARY_CAPTURE)


@contextmanager
def picture_stage(folder: Path, **settings: Any) -> Iterator[RestStage]:
    """The REST API and DICOMweb on an archive with all of it."""
    core = Core(CoreSettings(index_directory=folder / "index", storage_directory=folder / "storage"), clock=Clock())
    with rest_stage(core, **settings) as stage:
        for file in _files():
            assert stage.upload(file).status == 200
        yield stage
    core.stop()


def decoded(answer: Answer) -> Any:
    """Return the pixels of a picture."""
    assert answer.status == 200, answer
    kind = answer.headers["Content-Type"].removeprefix("image/").replace("jpeg", "jpeg8")
    made = getattr(import_module("imagecodecs"), f"{kind}_decode")(answer.body)
    is_gray = kind == "gif" and made.ndim == 3 and (made == made[..., :1]).all()
    return made[..., 0] if is_gray else made


def stretched(values: Any) -> Any:
    """The full range as grays."""
    low, high = float(values.min()), float(values.max())
    return (values.astype("f8") - low) * 255 / (high - low)


def windowed(values: Any, center: float, width: float, function: str) -> Any:
    """PS3.3 §C.11.2.1.2 and §C.11.2.1.3, for an output from 0 to 255."""
    x = values.astype("f8")
    if function == "sigmoid":
        with np.errstate(over="ignore"):
            return 255 / (1 + np.exp(-4 * (x - center) / width))
    if function == "linear":
        y = ((x - (center - 0.5)) / (width - 1) + 0.5) * 255
        return np.where(x <= center - 0.5 - (width - 1) / 2, 0, np.where(x > center - 0.5 + (width - 1) / 2, 255, y))
    y = ((x - center) / width + 0.5) * 255
    return np.where(x <= center - width / 2, 0, np.where(x > center + width / 2, 255, y))


def scaled(picture: Any, rows: int, columns: int) -> Any:
    """Each pixel is the one below its middle."""
    down = ((np.arange(rows) + 0.5) * picture.shape[0] / rows).astype(int)
    across = ((np.arange(columns) + 0.5) * picture.shape[1] / columns).astype(int)
    return picture[down[:, None], across[None, :]]


def is_close(made: Any, wanted: Any, tolerance: float = 0.501) -> bool:
    return made.shape == wanted.shape and bool(abs(made.astype("f8") - wanted).max() <= tolerance)
