"""Which fragments make a frame, whatever the offset table says."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.frames import find_frames
from store.dicom.pixels.image_module import describe_pixels
from tests.pixel_files import JPEG_LS, RLE, offsets, pixel_file

SAMPLES = np.zeros((4, 6), "u1")
JPEGS = [b"\xff\xd8\xff\xf7" + bytes([number]) * (20 + 2 * number) for number in range(3)]
RUNS = [b"\1\0\0\0" + bytes([number]) * (80 + 2 * number) for number in range(3)]
IN_TWO = [[JPEGS[0]], [JPEGS[1][:10], JPEGS[1][10:]], [JPEGS[2][:16], JPEGS[2][16:]]]
RUNS_IN_TWO = [[RUNS[0]], [RUNS[1][:50], RUNS[1][50:]], [RUNS[2]]]


def found(file: bytes) -> list[bytes]:
    """The bytes of each frame."""
    part10 = open_part10(file)
    elements = read_elements(part10.data, part10.start, part10.syntax)
    frames = find_frames(part10.data, elements, describe_pixels(part10.data, elements).frames)
    return [b"".join(file[start : start + length] for start, length in frame.extents) for frame in frames]


RIGHT = offsets([[frame] for frame in JPEGS])
TABLES: dict[str, Sequence[int] | bytes] = {
    "right": RIGHT,
    "none": (),
    "too large by 8": [offset + 8 for offset in RIGHT],
    "of the first frame": RIGHT[:1],
    "of two frames": RIGHT[:2],
    "of one frame more": [*RIGHT, 900],
    "all zero": [0, 0, 0],
    "backwards": RIGHT[::-1],
    "of big endian": struct.pack(">3I", *RIGHT),
    "of an odd length": b"\0\0\0\0\1\0",
    "beyond all": [0, 0xFFFFFFF0, 0xFFFFFFFE],
}


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize(("syntax", "frames"), [(JPEG_LS, JPEGS), (RLE, RUNS)])
def test_as_many_fragments_as_frames_are_one_each(syntax: str, frames: list[bytes], what: str) -> None:
    assert found(pixel_file(syntax, SAMPLES, frames, table=TABLES[what])) == frames


@pytest.mark.parametrize("what", TABLES)
def test_frames_of_several_fragments_begin_where_codestreams_do(what: str) -> None:
    assert found(pixel_file(JPEG_LS, SAMPLES, IN_TWO, table=TABLES[what])) == JPEGS


def test_one_frame_is_all_fragments() -> None:
    parts = [JPEGS[2][start : start + 2] for start in range(0, len(JPEGS[2]), 2)]
    assert found(pixel_file(JPEG_LS, SAMPLES, [parts])) == [JPEGS[2]]


def test_where_no_beginning_can_be_seen_a_right_table_decides() -> None:
    assert found(pixel_file(RLE, SAMPLES, RUNS_IN_TWO, table=offsets(RUNS_IN_TWO))) == RUNS


def test_the_extended_offset_table_decides_likewise() -> None:
    table = struct.pack("<3Q", *offsets(RUNS_IN_TWO))
    assert found(pixel_file(RLE, SAMPLES, RUNS_IN_TWO, ExtendedOffsetTable=table)) == RUNS


@pytest.mark.parametrize("shift", [1, 2, -1, 1 << 20])
def test_where_no_beginning_can_be_seen_a_wrong_table_is_an_error(shift: int) -> None:
    table = [0, *(max(0, offset + shift) for offset in offsets(RUNS_IN_TWO)[1:])]
    for attributes in ({"table": table}, {"ExtendedOffsetTable": struct.pack("<3Q", *table)}, {}):
        with pytest.raises(UndecodablePixels, match="no offset table that is right"):
            found(pixel_file(RLE, SAMPLES, RUNS_IN_TWO, **attributes))


@pytest.mark.parametrize("count", ["4", "5", "1000000", "2147483647"])
def test_more_frames_than_fragments_are_an_error(count: str) -> None:
    with pytest.raises(UndecodablePixels, match="3 fragments"):
        found(pixel_file(JPEG_LS, SAMPLES, JPEGS, NumberOfFrames=count))


def test_fewer_frames_than_codestreams_are_an_error() -> None:
    with pytest.raises(UndecodablePixels, match="2 frames are announced"):
        found(pixel_file(JPEG_LS, SAMPLES, JPEGS, NumberOfFrames="2"))


@pytest.mark.parametrize("count", ["-1", "x", "1.5", "99999999999999999999"])
def test_a_number_of_frames_that_is_none_is_an_error(count: str) -> None:
    with pytest.raises(UndecodablePixels, match="Number of Frames"):
        found(pixel_file(JPEG_LS, SAMPLES, JPEGS[:1], NumberOfFrames=count))


@pytest.mark.parametrize("count", [None, "", "0", "1", " 1 ", "+1", "01"])
def test_an_absent_number_of_frames_is_one(count: str | None) -> None:
    assert found(pixel_file(JPEG_LS, SAMPLES, JPEGS[:1], NumberOfFrames=count)) == JPEGS[:1]


def test_no_fragments_are_no_frames() -> None:
    with pytest.raises(UndecodablePixels, match="0 fragments"):
        found(pixel_file(JPEG_LS, SAMPLES, [], NumberOfFrames="1"))


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": None},
        {"Columns": 0},
        {"BitsAllocated": 12},
        {"BitsAllocated": 64},
        {"BitsStored": 9},
        {"BitsStored": 0},
        {"HighBit": 8},
        {"BitsStored": 6, "HighBit": 4},
        {"SamplesPerPixel": 2},
        {"SamplesPerPixel": 4},
        {"SamplesPerPixel": None},
    ],
)
def test_a_description_without_sense_is_an_error(attributes: dict[str, Any]) -> None:
    file = pixel_file(JPEG_LS, SAMPLES, JPEGS[:1], **attributes)
    with pytest.raises(UndecodablePixels):
        found(file)
