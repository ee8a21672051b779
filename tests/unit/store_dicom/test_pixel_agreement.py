"""What a dataset announces against what a codestream says: agreement, or an error."""

from dataclasses import replace

import pytest

from store.dicom.pixels.agreement import Plan, agree
from store.dicom.pixels.codestream import Codestream, Coding, Colour
from store.dicom.pixels.description import PixelDescription, UndecodablePixels

GRAY = PixelDescription(
    frames=1,
    rows=4,
    columns=6,
    samples=1,
    bits_allocated=16,
    bits_stored=12,
    high_bit=11,
    signed=False,
    photometric_interpretation="MONOCHROME2",
)
COLOR = replace(GRAY, samples=3, bits_allocated=8, bits_stored=8, high_bit=7, photometric_interpretation="RGB")
FOUND = Codestream(coding=Coding.PREDICTED, rows=4, columns=6, samples=1, bits=12, size_bytes=1)
FOUND_COLOR = replace(FOUND, samples=3, bits=8)


@pytest.mark.parametrize("change", [{"rows": 5}, {"rows": 3}, {"columns": 7}, {"samples": 3}, {"bits": 17}])
@pytest.mark.parametrize("coding", [Coding.PREDICTED, Coding.JPEG_LS, Coding.WAVELET, Coding.DCT])
def test_another_shape_is_an_error(coding: Coding, change: dict[str, int]) -> None:
    with pytest.raises(UndecodablePixels):
        agree(GRAY, replace(FOUND, coding=coding, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("label", ["MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"])
def test_one_sample_keeps_its_meaning(label: str) -> None:
    assert agree(replace(GRAY, photometric_interpretation=label), FOUND) == Plan(photometric_interpretation=label)


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "", "HSV"])
def test_one_sample_is_no_colour(label: str) -> None:
    with pytest.raises(UndecodablePixels, match="one sample"):
        agree(replace(GRAY, photometric_interpretation=label), FOUND)


RGB = ("RGB", False)
CONVERTED = ("RGB", True)
YBR = ("YBR_FULL", False)
COLOURS = [
    # coding, what the codestream says, what the dataset says, what comes out (None: an error)
    (Coding.DCT, Colour.SILENT, "YBR_FULL_422", CONVERTED),
    (Coding.DCT, Colour.YCC, "YBR_FULL", CONVERTED),
    (Coding.DCT, Colour.RGB, "YBR_FULL_422", None),
    (Coding.DCT, Colour.RGB, "RGB", RGB),
    (Coding.DCT, Colour.SILENT, "RGB", RGB),
    (Coding.DCT, Colour.YCC, "RGB", None),
    (Coding.DCT, Colour.SILENT, "YBR_RCT", None),
    (Coding.DCT, Colour.SILENT, "MONOCHROME2", None),
    (Coding.PREDICTED, Colour.SILENT, "RGB", RGB),
    (Coding.PREDICTED, Colour.SILENT, "YBR_FULL", YBR),
    (Coding.PREDICTED, Colour.SILENT, "YBR_FULL_422", YBR),
    (Coding.PREDICTED, Colour.SILENT, "YBR_ICT", None),
    (Coding.JPEG_LS, Colour.SILENT, "RGB", RGB),
    (Coding.JPEG_LS, Colour.SILENT, "YBR_FULL", YBR),
    (Coding.JPEG_LS, Colour.SILENT, "YBR_RCT", None),
    (Coding.RUNS, Colour.SILENT, "YBR_FULL", YBR),
    (Coding.RUNS, Colour.SILENT, "PALETTE COLOR", None),
    (Coding.WAVELET, Colour.TRANSFORMED, "YBR_RCT", RGB),
    (Coding.WAVELET, Colour.TRANSFORMED, "YBR_ICT", RGB),
    (Coding.WAVELET, Colour.TRANSFORMED, "RGB", RGB),
    (Coding.WAVELET, Colour.TRANSFORMED, "YBR_FULL", None),
    (Coding.WAVELET, Colour.SILENT, "YBR_RCT", None),
    (Coding.WAVELET, Colour.SILENT, "YBR_FULL", YBR),
    (Coding.WAVELET, Colour.SILENT, "RGB", RGB),
]


@pytest.mark.parametrize(("coding", "said", "label", "expected"), COLOURS)
def test_colours(coding: Coding, said: Colour, label: str, expected: tuple[str, bool] | None) -> None:
    described = replace(COLOR, photometric_interpretation=label)
    found = replace(FOUND_COLOR, coding=coding, colour=said)
    if expected is None:
        with pytest.raises(UndecodablePixels, match="Photometric Interpretation"):
            agree(described, found)
    else:
        plan = agree(described, found)
        assert (plan.photometric_interpretation, plan.converts) == expected


@pytest.mark.parametrize("coding", [Coding.PREDICTED, Coding.JPEG_LS])
def test_components_without_loss_are_all_there(coding: Coding) -> None:
    with pytest.raises(UndecodablePixels, match="subsampled"):
        agree(COLOR, replace(FOUND_COLOR, coding=coding, is_subsampled=True))


def test_subsampled_components_are_no_rgb() -> None:
    with pytest.raises(UndecodablePixels, match="YCbCr"):
        agree(COLOR, replace(FOUND_COLOR, coding=Coding.DCT, is_subsampled=True))


@pytest.mark.parametrize(
    ("coding", "stored", "bits", "signed", "expected"),
    [
        (Coding.PREDICTED, 12, 12, False, None),
        (Coding.PREDICTED, 12, 12, True, 12),  # two's complement, as DICOM codes it
        (Coding.JPEG_LS, 16, 16, True, None),  # fills the words
        (Coding.JPEG_LS, 12, 16, True, None),
        (Coding.JPEG_LS, 12, 16, False, None),  # whether a sample uses more is seen when it is decoded
        (Coding.WAVELET, 13, 13, True, 13),
        (Coding.PREDICTED, 12, 10, False, None),
        (Coding.DCT, 12, 12, True, 12),
    ],
)
def test_bits_that_fit(coding: Coding, stored: int, bits: int, *, signed: bool, expected: int | None) -> None:
    described = replace(GRAY, bits_stored=stored, high_bit=stored - 1, signed=signed)
    assert agree(described, replace(FOUND, coding=coding, bits=bits)).sign_bit == expected


@pytest.mark.parametrize(
    ("coding", "stored", "bits", "signed"),
    [
        (Coding.PREDICTED, 12, 14, True),  # where is the sign?
        (Coding.JPEG_LS, 12, 10, True),
        (Coding.DCT, 12, 8, False),  # an image of 8 bits is no image of 12
        (Coding.DCT, 10, 8, False),
        (Coding.PREDICTED, 16, 8, False),  # DCMTK makes noise of these
        (Coding.JPEG_LS, 12, 8, False),
        (Coding.WAVELET, 9, 8, False),
        (Coding.WAVELET, 12, 17, False),
    ],
)
def test_bits_that_do_not_fit(coding: Coding, stored: int, bits: int, *, signed: bool) -> None:
    described = replace(GRAY, bits_stored=stored, high_bit=stored - 1, signed=signed)
    with pytest.raises(UndecodablePixels, match="bits"):
        agree(described, replace(FOUND, coding=coding, bits=bits))


def test_bits_at_the_upper_end_need_a_codestream_that_reaches_there() -> None:
    described = replace(GRAY, high_bit=15)
    assert agree(described, replace(FOUND, bits=16)).sign_bit is None
    for bits in (12, 14, 15):
        with pytest.raises(UndecodablePixels, match="High Bit"):
            agree(described, replace(FOUND, bits=bits))


@pytest.mark.parametrize("coding", [Coding.DCT, Coding.PREDICTED, Coding.JPEG_LS])
def test_jpeg_has_no_32_bits(coding: Coding) -> None:
    described = replace(GRAY, bits_allocated=32)
    with pytest.raises(UndecodablePixels, match="32"):
        agree(described, replace(FOUND, coding=coding))
    assert agree(described, replace(FOUND, coding=Coding.WAVELET)) == Plan(photometric_interpretation="MONOCHROME2")
