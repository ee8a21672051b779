"""Where uncompressed frames lie, and what is said of their samples."""

from typing import Any

import numpy as np
import pytest

from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.image import Pixels, find_pixels
from tests.native_pixels import BIG, EXPLICIT, GE, IMPLICIT, LAYOUTS, Native, ramp, turned


def found(file: bytes) -> Pixels:
    part10 = open_part10(file)
    return find_pixels(part10, read_elements(part10.data, part10.start, part10.syntax))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, GE])
@pytest.mark.parametrize("what", LAYOUTS)
def test_each_frame_is_cut_out_of_the_whole(what: str, syntax: str) -> None:
    native = LAYOUTS[what]
    file = native.file(syntax)
    pixels = found(file)
    layout = pixels.described.native
    assert layout is not None
    size_bits = len(native.stream()) * 8 // len(native.samples) if native.bits > 1 else native.samples[0].size
    everything = np.unpackbits(np.frombuffer(native.stream(), "u1"), bitorder="little")
    assert len(pixels.frames) == len(native.samples)
    for number, frame in enumerate(pixels.frames):
        ((start, length),) = frame.extents
        cut = turned(file[start : start + length], layout.word_bytes)
        bits = np.unpackbits(np.frombuffer(cut, "u1"), bitorder="little")[frame.skipped_bits :]
        assert frame.skipped_bits < 8 * layout.word_bytes
        assert length * 8 < size_bits + 2 * 8 * layout.word_bytes
        assert np.array_equal(bits[:size_bits], everything[number * size_bits : (number + 1) * size_bits])


def test_a_million_frames_are_found_without_listing_them() -> None:
    file = Native(samples=ramp("bit", 9, 1, 100), bits=1).file(EXPLICIT, Rows=1, Columns=1, NumberOfFrames="900")
    frames = found(file).frames
    assert (len(frames), frames[899].skipped_bits) == (900, 899 % 8)
    assert [frame.skipped_bits for frame in frames[7:9]] == [7, 0]
    with pytest.raises(IndexError):
        frames[900]


@pytest.mark.parametrize("what", LAYOUTS)
@pytest.mark.parametrize("attribute", ["Rows", "NumberOfFrames"])
def test_fewer_samples_than_are_announced_are_an_error(what: str, attribute: str) -> None:
    native = LAYOUTS[what]
    frames, rows = native.samples.shape[:2]
    more: dict[str, Any] = {"Rows": 4 * rows} if attribute == "Rows" else {"NumberOfFrames": str(4 * frames)}
    with pytest.raises(UndecodablePixels, match="are announced"):
        found(native.file(EXPLICIT, **more))


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 0},
        {"Columns": None},
        {"BitsAllocated": 12},
        {"BitsAllocated": 64},
        {"BitsStored": 9},
        {"HighBit": 9},
        {"SamplesPerPixel": 2},
        {"BitsAllocated": 1},  # of which 8 are stored
    ],
)
def test_a_description_without_sense_is_an_error(attributes: dict[str, Any]) -> None:
    with pytest.raises(UndecodablePixels):
        found(LAYOUTS["8 bits"].file(EXPLICIT, **attributes))


def test_no_pixels_are_an_error() -> None:
    with pytest.raises(UndecodablePixels, match="no Pixel Data"):
        found(Native(samples=ramp("u1"), element="EncapsulatedDocument", vr="OB").file(EXPLICIT))


@pytest.mark.parametrize("attributes", [{"Columns": 5}, {"PlanarConfiguration": 1}])
def test_pixels_that_share_colours_come_in_pairs(attributes: dict[str, Any]) -> None:
    with pytest.raises(UndecodablePixels, match="share their colours"):
        found(LAYOUTS["YBR_FULL_422"].file(EXPLICIT, **attributes))


def test_a_label_of_subsampling_with_all_samples_is_no_subsampling() -> None:
    native = Native(samples=ramp("u1", 2, 5, 6, 3), label="YBR_FULL", planar=0)
    layout = found(native.file(EXPLICIT, PhotometricInterpretation="YBR_FULL_422")).described.native
    assert layout is not None
    assert not layout.subsampled
    with pytest.raises(UndecodablePixels, match="longer than announced"):
        found(native.file(EXPLICIT, PhotometricInterpretation="YBR_FULL_422", NumberOfFrames="1"))
