"""Encoded frames decode to the samples that they were made of; what a syntax cannot hold is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actors.services.codecs.decoding import Decoder
from actors.services.codecs.encoding import Encoder
from actors.services.codecs.libjpeg import StrictJpeg
from store.dicom.pixels.decodable import read_codestream
from store.dicom.pixels.description import PixelDescription, UndecodablePixels
from store.dicom.pixels.encodable import UnfitPixels, most_codestream_bytes, plan_encoding
from tests.pixel_files import (
    BASELINE,
    ENCODERS,
    EXTENDED,
    FAMILY,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR,
    JPEG_XL,
    JPEG_XL_LOSSY,
    LOSSLESS,
    LOSSLESS_SV1,
    RLE,
)

HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY = (FAMILY + number for number in ("201", "202", "203"))
GRADUAL = (J2K, HTJ2K_LOSSY)  # without loss at the best quality
WITHOUT_LOSS = (JPEG_XL, RLE, LOSSLESS, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K, HTJ2K_RPCL, *GRADUAL)
LABELS = ((1, "MONOCHROME1"), (1, "MONOCHROME2"), (1, "PALETTE COLOR"), (3, "RGB"), (3, "YBR_FULL"))
SHAPES = ((1, 1), (7, 5), (33, 70))


def _give_up(text: str) -> None:
    raise AssertionError(text)


ENCODER, DECODER = Encoder(), Decoder(StrictJpeg(_give_up))


def described(shape: tuple[int, int], bits: int, label: str = "MONOCHROME2", **more: Any) -> PixelDescription:
    values: dict[str, Any] = {
        "frames": 1,
        "rows": shape[0],
        "columns": shape[1],
        "samples": 3 if label in {"RGB", "YBR_FULL"} else 1,
        "bits_allocated": 8 if bits <= 8 else 16,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "signed": False,
        "photometric_interpretation": label,
    }
    return PixelDescription(**values | more)


def samples_of(told: PixelDescription, *, noise: float) -> Any:
    """A slope over the whole range, with noise of a share of it."""
    numbers = np.random.default_rng(told.bits_stored)
    span = (1 << told.bits_stored) - 1
    slope = np.add.outer(np.arange(told.rows), np.arange(told.columns)) * span / (told.rows + told.columns - 1)
    made = np.clip(
        slope[..., None] + numbers.normal(0, 1 + noise * span, (told.rows, told.columns, told.samples)), 0, span
    )
    code = "i" if told.signed else "u"
    return (made.astype("i8") - (told.signed << (told.bits_stored - 1))).astype(f"<{code}{told.bits_allocated // 8}")


def there_and_back(told: PixelDescription, samples: Any, syntax: str, quality: int) -> tuple[Any, str]:
    """Encode and decode; returns the samples as they come back, and what their colours are."""
    frame = memoryview(samples.tobytes())
    codestream, label = ENCODER.encode(frame, told, syntax, quality)
    assert len(codestream) <= most_codestream_bytes(told)
    coded = plan_encoding(told, syntax, quality).described
    assert label == coded.photometric_interpretation
    back = bytearray(coded.frame_bytes)
    colours = DECODER.decode(bytes(codestream), syntax, coded, memoryview(back))
    width = samples.dtype.str[:2] + str(coded.bits_allocated // 8)
    return np.frombuffer(back, width).reshape(samples.shape), colours


@pytest.mark.parametrize("syntax", WITHOUT_LOSS)
def test_without_loss_every_sample_comes_back(syntax: str) -> None:
    for bits in range(1, 17):
        for signed in (False, True)[: min(bits, 2)]:
            for place, (_, label) in enumerate(LABELS):
                for allocated in {8 if bits <= 8 else 16, 16}:
                    shape = SHAPES[(bits + place) % 3]
                    if syntax == JPEG_XL and (signed or label == "YBR_FULL"):
                        continue
                    told = described(shape, bits, label, signed=signed, bits_allocated=allocated)
                    samples = samples_of(told, noise=0.01)
                    back, colours = there_and_back(told, samples, syntax, 100)
                    assert (back == samples).all(), told
                    assert colours == label


def test_run_lengths_hold_samples_of_32_bits_and_whatever_stands_beside_them() -> None:
    samples = np.random.default_rng(0).integers(0, 1 << 32, (9, 11, 1), "<u4")
    told = described((9, 11), 12, bits_allocated=32, high_bit=29)
    assert (there_and_back(told, samples, RLE, 90)[0] == samples).all()


def test_run_lengths_end_with_their_row() -> None:
    """PS3.5 §G.3.1: no run goes over the end of a row."""
    codestream, _ = ENCODER.encode(memoryview(bytes(4 * 50)), described((4, 50), 8), RLE, 90)
    assert bytes(codestream)[64:] == bytes((256 - 49, 0)) * 4


@pytest.mark.parametrize(
    ("syntax", "bits", "label", "signed", "least_db"),
    [
        (BASELINE, 8, "MONOCHROME2", False, 38),
        (BASELINE, 6, "MONOCHROME1", False, 32),
        (BASELINE, 8, "RGB", False, 34),
        (EXTENDED, 8, "MONOCHROME2", False, 38),
        (EXTENDED, 10, "MONOCHROME2", False, 45),
        (EXTENDED, 12, "MONOCHROME2", False, 50),
        (JPEG_LS_NEAR, 8, "RGB", False, 44),
        (JPEG_LS_NEAR, 16, "MONOCHROME2", False, 90),
        *((syntax, bits, label, signed, 50)
          for syntax in GRADUAL
          for bits, label, signed in ((8, "MONOCHROME2", False), (12, "MONOCHROME2", True), (16, "RGB", False), (8, "YBR_FULL", False), (12, "MONOCHROME1", False))),
    ],
)  # fmt: skip
def test_with_loss_at_the_usual_quality_the_error_is_small(
    syntax: str, bits: int, label: str, *, signed: bool, least_db: int
) -> None:
    told = described((130, 102), bits, label, signed=signed)
    samples = samples_of(told, noise=0.01)
    if label == "RGB":  # gray, so that colours that two pixels share are no loss here
        samples = np.repeat(samples[..., :1], 3, axis=2)
    back, colours = there_and_back(told, samples, syntax, 90)
    error = ((back.astype("f8") - samples) ** 2).mean()
    assert colours == label
    assert 10 * np.log10(((1 << bits) - 1) ** 2 / error) >= least_db


@pytest.mark.parametrize("syntax", [BASELINE, *GRADUAL])
def test_quality_decides_how_much_is_lost(syntax: str) -> None:
    told = described((64, 64), 8)
    samples = samples_of(told, noise=0.05)
    sizes = [
        len(ENCODER.encode(memoryview(samples.tobytes()), told, syntax, quality)[0]) for quality in (10, 50, 90, 100)
    ]
    assert sizes == sorted(set(sizes))


REFUSED = (
    (RLE, {"bits": 1, "bits_allocated": 1}, "single bit"),
    (J2K, {"bits": 8, "bits_allocated": 32, "floating": True}, "floating point"),
    *((syntax, {"bits": 20, "bits_allocated": 32}, "RLE") for syntax in (LOSSLESS, JPEG_LS, J2K, HTJ2K)),
    *((syntax, {"bits": 12, "high_bit": 15}, "High Bit") for syntax in (LOSSLESS_SV1, JPEG_LS_NEAR, J2K_LOSSLESS)),
    *((syntax, {"bits": 8, "label": "PALETTE COLOR"}, "palette") for syntax in (BASELINE, EXTENDED, JPEG_LS_NEAR, J2K)),
    *((syntax, {"bits": 8, "signed": True}, "sign") for syntax in (BASELINE, EXTENDED, JPEG_LS_NEAR)),
    (BASELINE, {"bits": 9}, "too long"),
    (EXTENDED, {"bits": 13}, "too long"),
    (EXTENDED, {"bits": 12, "label": "RGB"}, "too long"),
    *((syntax, {"bits": 8, "label": "HSV", "samples": 3}, "HSV") for syntax in (BASELINE, LOSSLESS, J2K)),
    (JPEG_LS, {"bits": 1, "signed": True}, "sign"),
)


@pytest.mark.parametrize(("syntax", "kind", "said"), REFUSED)
def test_what_a_syntax_cannot_hold_is_refused(syntax: str, kind: dict[str, Any], said: str) -> None:
    told = described((4, 4), **kind)
    with pytest.raises(UnfitPixels, match=said):
        ENCODER.encode(memoryview(bytes(told.frame_bytes)), told, syntax, 90)


@pytest.mark.parametrize("syntax", [LOSSLESS, JPEG_LS, J2K, HTJ2K, EXTENDED])
@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_stored_ones_are_not_lost_silently(syntax: str, *, signed: bool) -> None:
    """Old images keep overlays there; a sample with a sign may repeat it."""
    told = described((2, 2), 12, signed=signed)
    samples = np.array([0, 1, 2, 0x1000], "<u2")
    with pytest.raises(UnfitPixels):
        ENCODER.encode(memoryview(samples.tobytes()), told, syntax, 90)


@pytest.mark.parametrize("other", [described((5, 6), 8), described((4, 5), 8), described((4, 6), 5)])
def test_a_codestream_that_is_not_what_the_dataset_says_does_not_leave(
    other: PixelDescription, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = described((4, 6), 8)
    plan = plan_encoding(other, J2K_LOSSLESS, 90)
    made = Encoder()._encode_samples(np.zeros((other.rows, other.columns), "u1"), other, plan)
    monkeypatch.setattr(ENCODER, "_encode_samples", lambda *_: made)
    with pytest.raises(UndecodablePixels):
        ENCODER.encode(memoryview(bytes(told.frame_bytes)), told, J2K_LOSSLESS, 90)


def test_only_what_makes_a_length_even_may_be_anything() -> None:
    """DCMTK leaves the byte behind a codestream of JPEG-LS as it was in memory."""
    told = described((9, 11), 8)
    found = {}
    for level in range(40):  # of a slope that is cut at several levels, for lengths of both kinds
        samples = np.minimum(samples_of(told, noise=0.05), 100 + level)
        codestream, _ = ENCODER.encode(memoryview(samples.tobytes()), told, JPEG_LS, 90)
        found[len(codestream) & 1] = codestream
    assert read_codestream(found[1] + b"\x61", JPEG_LS, told).size_bytes == len(found[1])
    for wrong in (found[0] + b"\x61", found[0] + b"\x61\x61", found[1] + b"\x61\x61"):
        with pytest.raises(UndecodablePixels):
            read_codestream(wrong, JPEG_LS, told)


@pytest.mark.parametrize(
    "shape", [(1, 1), (8, 256), (256, 8), (9, 12), (600, 3), (512, 513), (9, 3000), (1024, 1280), (8193, 2), (2, 9000), (90, 160)]
)  # fmt: skip
@pytest.mark.parametrize("kind", [(8, 1), (8, 3), (16, 1)], ids=["gray", "colours", "words"])
def test_the_headers_of_jpeg_xl_are_read_as_the_library_writes_them(
    shape: tuple[int, int], kind: tuple[int, int]
) -> None:
    bits, count = kind
    samples = np.zeros((*shape, count)[: 3 if count > 1 else 2], f"<u{bits // 8}")
    told = described(shape, bits, "RGB" if count > 1 else "MONOCHROME2")
    for syntax in (JPEG_XL, JPEG_XL_LOSSY):
        found = read_codestream(ENCODERS[syntax](samples), syntax, told)
        assert (found.rows, found.columns, found.samples, found.bits) == (*shape, count, bits)


def test_jpeg_xl_with_loss_is_decoded() -> None:
    for label, colours in (("MONOCHROME2", 1), ("RGB", 3), ("XYB", 3)):
        told = described((64, 72), 8, "RGB" if colours > 1 else "MONOCHROME2")
        samples = np.repeat(samples_of(told, noise=0)[..., :1], colours, axis=2)
        back = bytearray(told.frame_bytes)
        frame = ENCODERS[JPEG_XL_LOSSY](samples if colours > 1 else samples[..., 0])
        label_of_all = replace(told, photometric_interpretation=label)
        found = DECODER.decode(frame, JPEG_XL_LOSSY, label_of_all, memoryview(back))
        assert found == ("RGB" if colours > 1 else label)
        error = np.frombuffer(back, "u1").reshape(samples.shape).astype("f8") - samples
        assert np.abs(error).max() <= 6


@pytest.mark.parametrize("bits", [12, 16])  # a codestream alone, and one in a box
def test_jpeg_xl_that_is_cut_or_not_what_the_dataset_says_is_refused(bits: int) -> None:
    told = described((20, 24), bits)
    samples = samples_of(told, noise=0.01)
    codestream, _ = ENCODER.encode(memoryview(samples.tobytes()), told, JPEG_XL, 90)
    into = memoryview(bytearray(told.frame_bytes))
    for end in (*range(40), len(codestream) // 2, len(codestream) - 5):
        with pytest.raises(Exception, match=r"JPEG XL|JXL|begin|frame count"):
            DECODER.decode(codestream[:end], JPEG_XL, told, into)
    for wrong in (
        {"rows": 24, "columns": 20},
        {"samples": 3, "photometric_interpretation": "RGB"},
        {"bits_allocated": 8, "bits_stored": 8, "high_bit": 7},
    ):
        with pytest.raises(UndecodablePixels):
            DECODER.decode(codestream, JPEG_XL, replace(told, **wrong), into)
