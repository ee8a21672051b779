"""What a dataset says of how its frames are to be shown: slopes, windows and tables, wherever they stand."""

import struct
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.transformation_reader import TransformationReader
from store.dicom.pixels.transformations import Crop, Lut, Rendition, Transformations, Window
from tests.native_pixels import BIG, EXPLICIT, IMPLICIT, LAYOUTS

RED = "RedPaletteColorLookupTable"


def read(file: bytes, frame: int = 0, *, signed: bool = False, is_palette: bool = False) -> Transformations:
    part10 = open_part10(file)
    elements = read_elements(part10.data, part10.start, part10.syntax)
    little = part10.syntax.little
    return TransformationReader(
        part10.data, elements, little=little, signed=signed, is_palette=is_palette
    ).of_frame(frame)  # fmt: skip


def made(syntax: str = EXPLICIT, **attributes: Any) -> bytes:
    return LAYOUTS["8 bits"].file(syntax, **attributes)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_numbers_of_the_dataset(syntax: str) -> None:
    file = made(syntax, RescaleSlope="2.5", RescaleIntercept="-7", WindowCenter="40\\3", WindowWidth="80\\4")
    assert read(file) == Transformations(slope=2.5, intercept=-7.0, window=Window(40.0, 80.0))


def test_nothing_is_said_by_what_is_absent_or_no_number() -> None:
    assert read(made()) == Transformations()
    file = made()
    for number in (b"nan", b"inf", b"1e999", b"abc", b"1,5"):
        text = number + b" " * (len(number) & 1)
        element = b"\x28\0\x53\x10DS" + len(text).to_bytes(2, "little") + text
        at = file.index(b"\xe0\x7f\x10\0")
        assert read(file[:at] + element + file[at:]) == Transformations(), number


def test_a_window_needs_both_of_its_numbers() -> None:
    assert read(made(WindowCenter="40")).window is None
    assert read(made(WindowWidth="40")).window is None


@pytest.mark.parametrize(
    ("told", "function"),
    [("SIGMOID", "SIGMOID"), ("LINEAR_EXACT", "LINEAR_EXACT"), ("LINEAR", "LINEAR"), ("?", "LINEAR")],
)
def test_the_function_of_a_window(told: str, function: str) -> None:
    assert read(made(WindowCenter="1", WindowWidth="2", VOILUTFunction=told)).window == Window(1.0, 2.0, function)


def group(**values: str) -> Dataset:
    voi, pixel, found = Dataset(), Dataset(), Dataset()
    for name, value in values.items():
        setattr(voi if name.startswith("Window") else pixel, name, value)
    if len(voi):
        found.FrameVOILUTSequence = Sequence([voi])
    if len(pixel):
        found.PixelValueTransformationSequence = Sequence([pixel])
    return found


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_a_frames_own_groups_go_before_shared_ones_and_those_before_the_dataset(syntax: str) -> None:
    file = made(
        syntax,
        PerFrameFunctionalGroupsSequence=Sequence([group(WindowCenter="1", WindowWidth="2"), group(RescaleSlope="3")]),
        SharedFunctionalGroupsSequence=Sequence([group(WindowCenter="4", WindowWidth="5", RescaleSlope="6")]),
        RescaleSlope="7",
        RescaleIntercept="8",
        WindowCenter="9",
        WindowWidth="10",
    )
    found = [read(file, frame) for frame in range(3)]
    assert [each.window for each in found] == [Window(1.0, 2.0), Window(4.0, 5.0), Window(4.0, 5.0)]
    assert [each.slope for each in found] == [6.0, 3.0, 6.0]
    assert [each.intercept for each in found] == [8.0] * 3


def palette(count: int, first: int, bits: int, data: bytes, *, segmented: bool = False) -> dict[str, Any]:
    kind = "Segmented{}PaletteColorLookupTableData" if segmented else "{}PaletteColorLookupTableData"
    return {
        **{f"{name}PaletteColorLookupTableDescriptor": [count, first, bits] for name in ("Red", "Green", "Blue")},
        **{kind.format(name): data for name in ("Red", "Green", "Blue")},
    }


def red(attributes: dict[str, Any], *, signed: bool = False) -> Lut:
    found = read(made(**attributes), signed=signed, is_palette=True).palette
    assert found is not None
    assert found[0] == found[1] == found[2]
    return found[0]


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}H", *values)


def test_entries_are_words_or_bytes() -> None:
    assert red(palette(3, 5, 16, words(1, 2, 0xFFFF))) == Lut(5, 16, words(1, 2, 0xFFFF))
    assert red(palette(3, 5, 8, words(1, 2, 255))) == Lut(5, 8, words(1, 2, 255))
    assert red(palette(4, 0, 8, bytes([1, 2, 3, 255]))) == Lut(0, 8, words(1, 2, 3, 255))
    assert len(red(palette(0, 0, 16, bytes(1 << 17))).entries) == 1 << 17


def test_the_first_sample_has_the_sign_of_the_pixels() -> None:
    attributes = palette(1, 0xFFFE, 16, words(1))
    assert (red(attributes).first, red(attributes, signed=True).first) == (0xFFFE, -2)


def test_segments_are_put_together() -> None:
    data = words(0, 2, 10, 20, 1, 4, 60, 2, 1, 0, 0)  # two entries, a line of four steps, the first segment again
    assert red(palette(8, 0, 16, data, segmented=True)).entries == words(10, 20, 30, 40, 50, 60, 10, 20)
    data = bytes([0, 2, 10, 20, 1, 4, 60, 2, 1, 0, 0, 0, 0, 0])
    assert red(palette(8, 0, 8, data, segmented=True)).entries == words(10, 20, 30, 40, 50, 60, 10, 20)
    falling = words(0, 1, 60, 1, 4, 20)
    assert red(palette(5, 0, 16, falling, segmented=True)).entries == words(60, 50, 40, 30, 20)


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        (palette(3, 0, 16, words(1, 2)), "4 bytes for its 3 entries"),
        (palette(3, 0, 17, words(1, 2, 3)), "17 bits"),
        (palette(3, 0, 0, words(1, 2, 3)), "0 bits"),
        (palette(3, 0, 16, words(0, 4, 1, 2), segmented=True), "cut short"),
        (palette(3, 0, 16, words(1, 3, 9), segmented=True), "cut short"),  # a line from nowhere
        (palette(3, 0, 16, words(3, 3, 9), segmented=True), "unknown kind 3"),
        (palette(3, 0, 16, words(0, 2, 1, 2), segmented=True), "3 entries"),
        (palette(3, 0, 16, words(0, 1, 1, 2, 1, 6, 0), segmented=True), "no segment"),
        (palette(5, 0, 16, words(0, 2, 1, 2, 2, 0xFFFF, 0, 0), segmented=True), "5 entries"),
    ],
)
def test_tables_without_sense_are_errors(attributes: dict[str, Any], match: str) -> None:
    with pytest.raises(UndecodablePixels, match=match):
        red(attributes)


def test_a_palette_lacks_a_colour() -> None:
    attributes = palette(1, 0, 16, words(1)) | {"BluePaletteColorLookupTableData": None}
    assert read(made(**attributes), is_palette=True).palette is None


def test_what_travels_to_a_codec_arrives() -> None:
    lut = Lut(-3, 12, b"\1\0\2\0")
    full = Transformations(
        slope=2.0, intercept=1.0, modality=lut, window=Window(1.0, 2.0, "SIGMOID"), voi=lut, palette=(lut, lut, lut)
    )
    for each in (full, Transformations()):
        assert Transformations.unpack(each.pack()) == each
    crop = Crop(1.5, 2.0, None, 3.0, is_fraction=True)
    wanted = Rendition(
        kind="rendered", media_type="image/png", quality=3, width=4, height=5, smooth=True, crop=crop, is_mirrored=True
    )
    for rendition in (wanted, replace(wanted, crop=None, is_mirrored=False, is_upside_down=True)):
        assert Rendition.unpack(rendition.pack()) == rendition


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        (Crop(), (0, 40), (0, 30)),
        (Crop(3, 5), (5, 40), (3, 30)),
        (Crop(3, 5, 7, 8), (5, 13), (3, 10)),
        (Crop(3.4, 5.5, 7.2, 8), (6, 14), (3, 11)),
        (Crop(25, 35, 100, 100), (35, 40), (25, 30)),  # what lies beyond the edges is not there
        (Crop(29.9, 5), (5, 40), (30, 30)),
        (Crop(30, 5), (5, 40), (30, 30)),
        (Crop(1e300, 1e300, 1e300, 1e300), (40, 40), (30, 30)),
        (Crop(3, 5, 0.1, 0.1), (5, 6), (3, 4)),  # a pixel at least
        (Crop(0.5, 0.25, 0.5, 0.5, is_fraction=True), (10, 30), (15, 30)),
        (Crop(0.0, 0.0, 1.0, 1.0, is_fraction=True), (0, 40), (0, 30)),
    ],
)
def test_a_part_of_a_picture_is_whole_pixels(crop: Crop, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    assert crop.within(40, 30) == (*rows, *columns)


def test_a_part_fits_into_what_is_told() -> None:
    wanted = Rendition(kind="preview", media_type="image/png", width=64, height=64, crop=Crop(0, 0, 64, 32))
    assert wanted.fitted(128, 128) == (32, 64)
    assert wanted.fitted(16, 128) == (16, 64)
    assert replace(wanted, crop=Crop(500, 0)).fitted(128, 128) == (128, 0)
