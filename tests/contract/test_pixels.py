"""Compressed pixels of every syntax, decoded in codec processes: exactly what was encoded, or an error."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from actors.services.codecs.pool import CodecPool
from actors.services.transcoding.targets import CannotTranscode
from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.syntax import Syntax
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.pixel_files import (
    BASELINE,
    ENCODERS,
    EXACT,
    EXTENDED,
    HTJ2K,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR,
    LOSSLESS,
    LOSSLESS_SV1,
    RLE,
    Samples,
    color,
    gray,
    offsets,
    pixel_file,
)
from tests.transcoded import transcode

_DEPTHS = {8: "u1", 16: "<u2", 32: "<u4"}


@pytest.fixture(scope="module")
def pool() -> Iterator[CodecPool]:
    made = CodecPool()
    yield made
    made.close()


class Decoded:
    """A dataset as it was transcoded."""

    def __init__(self, pool: CodecPool, file: bytes, target: str = EXPLICIT_LE) -> None:
        self._data = bytes(transcode(file, target, pool))
        elements = read_elements(self._data, 0, Syntax(explicit=target == EXPLICIT_LE))
        self._elements = {element.tag: element for element in elements}

    def value(self, tag: int) -> bytes:
        element = self._elements[tag]
        return self._data[element.value : element.value + element.length]

    def number(self, tag: int) -> int:
        return int.from_bytes(self.value(tag), "little")

    @property
    def samples(self) -> Samples:
        return np.frombuffer(self.value(0x7FE00010), _DEPTHS[self.number(0x00280100)])


def assert_same(decoded: Decoded, *frames: Samples) -> None:
    wanted = np.concatenate([frame.reshape(-1) for frame in frames])
    assert np.array_equal(decoded.samples[: wanted.size], wanted)
    assert decoded.samples.size - wanted.size in {0, 1}  # an odd length is padded


def assert_refused(pool: CodecPool, file: bytes, match: str | None = None) -> None:
    with pytest.raises(CannotTranscode, match=match):
        transcode(file, EXPLICIT_LE, pool)


# --- bits ---


@pytest.mark.parametrize("bits", range(2, 17))
@pytest.mark.parametrize("syntax", [LOSSLESS, LOSSLESS_SV1])
def test_lossless_jpeg_of_any_depth(pool: CodecPool, syntax: str, bits: int) -> None:
    samples = gray(bits)
    assert_same(
        Decoded(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples, bits=bits)], BitsStored=bits)), samples
    )


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("target", [EXPLICIT_LE, IMPLICIT_LE])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_lossless_syntax_is_exact(pool: CodecPool, syntax: str, target: str, bits: int) -> None:
    samples = gray(bits, 25, 31)  # an odd number of bytes
    assert_same(Decoded(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples)]), target), samples)


@pytest.mark.parametrize(
    ("syntax", "bits", "worst"), [(BASELINE, 8, 3), (EXTENDED, 12, 3), (JPEG_LS_NEAR, 8, 2), (J2K, 8, 4)]
)
def test_every_lossy_syntax_is_near(pool: CodecPool, syntax: str, bits: int, worst: int) -> None:
    samples = (np.add.outer(np.arange(24), np.arange(40)) * ((1 << bits) // 80)).astype("u1" if bits == 8 else "<u2")
    decoded = Decoded(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples)], BitsStored=bits))
    assert abs(decoded.samples.astype(int) - samples.reshape(-1)).max() <= worst


def test_runs_of_32_bits_are_exact(pool: CodecPool) -> None:
    samples = gray(16).astype("<u4") * 70001
    assert_same(Decoded(pool, pixel_file(RLE, samples, [ENCODERS[RLE](samples)])), samples)


@pytest.mark.parametrize("syntax", [LOSSLESS, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K])
def test_8_bits_in_words_of_16_stay_so(pool: CodecPool, syntax: str) -> None:
    samples = gray(8)
    frame = ENCODERS[syntax](samples)
    decoded = Decoded(pool, pixel_file(syntax, samples.astype("<u2"), [frame], BitsStored=8))
    assert_same(decoded, samples.astype("<u2"))
    assert decoded.number(0x00280100) == 16


@pytest.mark.parametrize("syntax", [BASELINE, LOSSLESS, LOSSLESS_SV1, JPEG_LS])
def test_jpeg_with_32_bits_allocated_is_refused(pool: CodecPool, syntax: str) -> None:
    samples = gray(8)
    assert_refused(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples)], BitsAllocated=32), "32")


@pytest.mark.parametrize(
    ("bits", "described"),
    [
        (16, {"BitsStored": 12}),
        (16, {"BitsStored": 12, "PixelRepresentation": 1}),
        (16, {"BitsStored": 10, "HighBit": 13}),
        (8, {"BitsStored": 7}),
    ],
)
def test_overlays_above_the_samples_stay_where_they_are_in_rle(
    pool: CodecPool, bits: int, described: dict[str, Any]
) -> None:
    """As from Orthanc 1.12.7 (PS3.5 §8.1.2, as it was until 2004)."""
    samples = gray(bits) | (1 << (bits - 1))
    assert_same(Decoded(pool, pixel_file(RLE, samples, [ENCODERS[RLE](samples)], **described)), samples)


@pytest.mark.parametrize("syntax", [LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K])
def test_more_bits_than_announced_are_refused_only_where_a_sample_uses_them(pool: CodecPool, syntax: str) -> None:
    small, large = gray(10), gray(16) | 0x4000
    assert_same(Decoded(pool, pixel_file(syntax, small, [ENCODERS[syntax](small)], BitsStored=10)), small)
    assert_refused(pool, pixel_file(syntax, large, [ENCODERS[syntax](large)], BitsStored=10), "more than the 10 bits")


@pytest.mark.parametrize("syntax", [LOSSLESS_SV1, JPEG_LS])
@pytest.mark.parametrize("bits", [12, 16])
def test_signed_samples_are_twos_complement(pool: CodecPool, syntax: str, bits: int) -> None:
    samples = gray(bits).astype("<i2")
    samples -= 1 << (bits - 1) if bits < 16 else 0
    coded = (samples.view("<u2") & ((1 << bits) - 1)).astype("<u2")
    options = {"bits": bits} if syntax == LOSSLESS_SV1 else {}
    file = pixel_file(syntax, samples, [ENCODERS[syntax](coded, **options)], BitsStored=bits, PixelRepresentation=1)
    decoded = Decoded(pool, file).samples.view("<i2")
    shift = 16 - bits
    assert np.array_equal(decoded << shift >> shift, samples.reshape(-1))


def test_signed_samples_of_jpeg_2000_need_a_signed_dataset(pool: CodecPool) -> None:
    samples = gray(12).astype("<i2") - 2048
    frame = ENCODERS[J2K_LOSSLESS](samples)
    decoded = Decoded(pool, pixel_file(J2K_LOSSLESS, samples, [frame], PixelRepresentation=1))
    assert np.array_equal(decoded.samples.view("<i2"), samples.reshape(-1))
    assert_refused(pool, pixel_file(J2K_LOSSLESS, samples, [frame]), "negative")


# --- colours ---


@pytest.mark.parametrize("planar", [0, 1, None, 7])
@pytest.mark.parametrize("syntax", EXACT)
def test_the_planar_configuration_of_compressed_pixels_means_nothing(
    pool: CodecPool, syntax: str, planar: int | None
) -> None:
    samples = color()
    label = {J2K_LOSSLESS: "YBR_RCT", HTJ2K: "YBR_RCT"}.get(syntax, "RGB")
    file = pixel_file(
        syntax, samples, [ENCODERS[syntax](samples)], PlanarConfiguration=planar, PhotometricInterpretation=label
    )
    decoded = Decoded(pool, file)
    assert_same(decoded, samples)
    assert (decoded.number(0x00280006), decoded.value(0x00280004)) == (0, b"RGB ")


@pytest.mark.parametrize("planar", [0, 1, None])
@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({}, "YBR_FULL_422"),
        ({}, "YBR_FULL"),
        ({"subsampling": "422"}, "YBR_FULL_422"),
        ({"outcolorspace": "RGB"}, "RGB"),
    ],
)
def test_colours_of_lossy_jpeg_become_rgb(
    pool: CodecPool, options: dict[str, Any], label: str, planar: int | None
) -> None:
    samples = color()
    frame = ENCODERS[BASELINE](samples, **options)
    file = pixel_file(BASELINE, samples, [frame], PhotometricInterpretation=label, PlanarConfiguration=planar)
    decoded = Decoded(pool, file)
    assert abs(decoded.samples.astype(int) - samples.reshape(-1)).max() <= 12
    assert (decoded.number(0x00280006), decoded.value(0x00280004)) == (0, b"RGB ")


@pytest.mark.parametrize(
    ("syntax", "options", "label"),
    [
        (BASELINE, {}, "RGB"),
        (BASELINE, {"outcolorspace": "RGB"}, "YBR_FULL_422"),
        (BASELINE, {}, "YBR_ICT"),
        (J2K_LOSSLESS, {}, "YBR_FULL"),
        (J2K_LOSSLESS, {"mct": False}, "YBR_RCT"),
        (LOSSLESS_SV1, {}, "MONOCHROME2"),
        (RLE, {}, "YBR_RCT"),
    ],
)
def test_a_label_that_contradicts_the_codestream_is_refused(
    pool: CodecPool, syntax: str, options: dict[str, Any], label: str
) -> None:
    samples = color()
    file = pixel_file(syntax, samples, [ENCODERS[syntax](samples, **options)], PhotometricInterpretation=label)
    assert_refused(pool, file, "Photometric Interpretation")


@pytest.mark.parametrize("syntax", [RLE, LOSSLESS, JPEG_LS])
def test_ybr_without_loss_stays_what_it_is(pool: CodecPool, syntax: str) -> None:
    samples = color()
    for label in ("YBR_FULL", "YBR_FULL_422"):
        file = pixel_file(syntax, samples, [ENCODERS[syntax](samples)], PhotometricInterpretation=label)
        decoded = Decoded(pool, file)
        assert_same(decoded, samples)
        assert decoded.value(0x00280004) == b"YBR_FULL"


def test_palette_colour_stays_what_it_is(pool: CodecPool) -> None:
    samples = gray(8)
    for syntax in EXACT:
        file = pixel_file(syntax, samples, [ENCODERS[syntax](samples)], PhotometricInterpretation="PALETTE COLOR")
        decoded = Decoded(pool, file)
        assert_same(decoded, samples)
        assert decoded.value(0x00280004) == b"PALETTE COLOR "


# --- shape ---


@pytest.mark.parametrize("syntax", [*EXACT, BASELINE])
@pytest.mark.parametrize(
    ("attribute", "by"), [("Rows", 1), ("Rows", -1), ("Columns", 1), ("Columns", -1), ("Rows", 4000)]
)
def test_another_size_than_the_codestreams_is_refused(pool: CodecPool, syntax: str, attribute: str, by: int) -> None:
    samples = gray(8)
    size = samples.shape[0 if attribute == "Rows" else 1] + by
    assert_refused(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples)], **{attribute: size}))


@pytest.mark.parametrize("syntax", [*EXACT, BASELINE])
def test_another_number_of_samples_than_the_codestreams_is_refused(pool: CodecPool, syntax: str) -> None:
    grays, colors = gray(8), color()
    as_color = pixel_file(
        syntax,
        grays,
        [ENCODERS[syntax](grays)],
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    )
    as_gray = pixel_file(
        syntax, colors, [ENCODERS[syntax](colors)], SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2"
    )
    for file in (as_color, as_gray):
        assert_refused(pool, file)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 15, 16, 255])
def test_another_number_of_segments_is_refused(pool: CodecPool, count: int) -> None:
    samples = gray(16)
    frame = bytearray(ENCODERS[RLE](samples))
    struct.pack_into("<I", frame, 0, count)
    assert_refused(pool, pixel_file(RLE, samples, [bytes(frame)]), "segments")


# --- frames ---


def _three(syntax: str) -> tuple[list[Samples], list[bytes]]:
    samples = [gray(16, seed=seed) for seed in range(3)]
    return samples, [ENCODERS[syntax](each) for each in samples]


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("table", [(), (0,), (0, 0, 0), (8, 99, 1000), b"\0\0\0\1"])
def test_frames_are_all_there_under_any_offset_table(pool: CodecPool, syntax: str, table: Any) -> None:
    samples, frames = _three(syntax)
    assert_same(Decoded(pool, pixel_file(syntax, samples[0], frames, table=table)), *samples)


@pytest.mark.parametrize("syntax", [LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K])
@pytest.mark.parametrize("size", [6, 40, 300])
def test_frames_in_many_fragments(pool: CodecPool, syntax: str, size: int) -> None:
    samples, frames = _three(syntax)
    parts = [[frame[at : at + size] for at in range(0, len(frame), size)] for frame in frames]
    assert_same(Decoded(pool, pixel_file(syntax, samples[0], parts)), *samples)
    assert_same(Decoded(pool, pixel_file(syntax, samples[0], parts, table=offsets(parts))), *samples)
    assert_same(Decoded(pool, pixel_file(syntax, samples[0], [parts[0]])), samples[0])


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("count", ["1", None, "2", "4", "300", "0"])
def test_another_number_of_frames_than_there_are_is_refused(pool: CodecPool, syntax: str, count: str | None) -> None:
    samples, frames = _three(syntax)
    assert_refused(pool, pixel_file(syntax, samples[0], frames, NumberOfFrames=count))


@pytest.mark.parametrize("syntax", EXACT)
def test_frames_in_one_fragment_are_refused(pool: CodecPool, syntax: str) -> None:
    samples, frames = _three(syntax)
    assert_refused(pool, pixel_file(syntax, samples[0], [b"".join(frames)], NumberOfFrames="3"))
    assert_refused(pool, pixel_file(syntax, samples[0], [b"".join(frames)]))


@pytest.mark.parametrize("syntax", EXACT)
def test_one_bad_frame_is_the_whole_images_error(pool: CodecPool, syntax: str) -> None:
    samples, frames = _three(syntax)
    frames[1] = frames[1][: len(frames[1]) // 2]
    assert_refused(pool, pixel_file(syntax, samples[0], frames))


# --- damage ---


@pytest.mark.parametrize("syntax", [*EXACT, BASELINE, EXTENDED, JPEG_LS_NEAR, J2K])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9", bytes(64)])
def test_what_is_cut_short_is_an_error(pool: CodecPool, syntax: str, share: float, end: bytes) -> None:
    depth = 12 if syntax == EXTENDED else 8
    samples = gray(depth, 64, 64)
    frame = ENCODERS[syntax](samples)
    cut = frame[: int(len(frame) * share)] + end
    assert_refused(pool, pixel_file(syntax, samples, [cut], BitsStored=depth))


@pytest.mark.parametrize("syntax", [*EXACT, BASELINE])
@pytest.mark.parametrize("behind", [b"\0", b"\0\0\0", b"\xff\xff"])
def test_padding_behind_a_frame_is_nothing(pool: CodecPool, syntax: str, behind: bytes) -> None:
    if syntax == RLE and behind.startswith(b"\xff"):
        pytest.skip("in RLE that would be a run")
    samples = gray(8)
    whole = Decoded(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples)]))
    padded = Decoded(pool, pixel_file(syntax, samples, [ENCODERS[syntax](samples) + behind]))
    assert np.array_equal(whole.samples, padded.samples)


@pytest.mark.parametrize("syntax", EXACT)
def test_a_frame_of_another_syntax_is_an_error(pool: CodecPool, syntax: str) -> None:
    samples = gray(8)
    kin = {LOSSLESS: LOSSLESS_SV1, LOSSLESS_SV1: LOSSLESS, J2K_LOSSLESS: HTJ2K, HTJ2K: J2K_LOSSLESS}
    for other in set(EXACT) - {syntax, kin.get(syntax)}:
        assert_refused(pool, pixel_file(syntax, samples, [ENCODERS[other](samples)]))


def test_a_large_image_waits_in_a_file(pool: CodecPool, monkeypatch: pytest.MonkeyPatch) -> None:
    samples, frames = _three(LOSSLESS_SV1)
    file = pixel_file(LOSSLESS_SV1, samples[0], frames)
    in_memory = bytes(transcode(file, EXPLICIT_LE, pool))
    monkeypatch.setattr("actors.services.transcoding.decompression.IN_MEMORY_BYTES", 100)
    assert bytes(transcode(file, EXPLICIT_LE, pool)) == in_memory


def test_pixels_that_no_dataset_can_hold_are_refused_before_they_are_decoded(pool: CodecPool) -> None:
    samples = gray(8, 2, 2)
    frames = [ENCODERS[JPEG_LS](samples)] * 2
    file = pixel_file(JPEG_LS, samples, frames, Rows=65535, Columns=65535)
    assert_refused(pool, file, "longer than")


def test_what_is_no_compressed_file_is_told_as_such(pool: CodecPool) -> None:
    file = pixel_file("1.2.840.10008.1.2.4.102", gray(8), [b"video"])
    assert_refused(pool, file, r"4\.102")
    assert open_part10(file).syntax.encapsulated
