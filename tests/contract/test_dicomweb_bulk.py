"""Values of single elements over DICOMweb, by the addresses that metadata give them (PS3.18 §10.4.1.1.5)."""

from collections.abc import Iterator
from typing import Final

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from tests.contract.dicomweb_stage import HOST, get, parts_of, related, store
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.native_pixels import Native, ramp, turned
from tests.pixel_files import ENCODERS, JPEG_LS, gray, offsets, pixel_file
from tools.server.core import Core

OCTETS: Final = "application/octet-stream"
VIDEO: Final = "1.2.840.10008.1.2.4.102"
WORDS: Final = bytes(range(60))


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def nested() -> Dataset:
    made = add_pixels(dataset(5))
    made.add_new(0x00281201, "OW", WORDS)
    inner = Dataset()
    inner.add_new(0x00283006, "OW", WORDS[::-1])
    made.add_new(0x00283010, "SQ", Sequence([add_pixels(Dataset()), inner]))
    made.add_new(0x00090010, "LO", "X")
    made.add_new(0x00091002, "OB", b"abc\0")
    made.add_new(0x00091003, "OB", b"")
    return made


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_values_come_in_little_endian_whatever_the_file_is_written_in(stage: RestStage, syntax: str) -> None:
    (address,) = store(stage, encode(nested(), syntax))
    pixels = nested().PixelData
    # Of words that pydicom was given as bytes it turns none: in big endian they are the file's, and come turned.
    expected = {
        "00281201": WORDS,
        "00283010/2/00283006": WORDS[::-1],
        "00283010/1/7fe00010": pixels,
        "7fe00010": pixels,
    }
    for path, value in expected.items():
        if syntax == ExplicitVRBigEndian:
            value = turned(value, 2)  # noqa: PLW2901
        for accept in (None, related(OCTETS), related("*/*")):
            (part,) = parts_of(get(stage, f"{address}/bulk/{path}", accept))
            assert part.content == value, path
            assert part.headers["Content-Location"] == f"http://{HOST}/dicom-web{address}/bulk/{path}"
            assert part.headers["Content-Type"] == OCTETS
        alone = get(stage, f"{address}/bulk/{path}", OCTETS)
        assert (alone.status, alone.headers["Content-Type"], alone.body) == (200, OCTETS, value)
    for path, value in {
        "00091002": b"abc\0",
        "00091003": b"",
        "0009,1002": b"abc\0",
        "PatientID": b"PAT5",
        "00100010": b"Doe^Jane^5",
    }.items():
        assert get(stage, f"{address}/bulk/{path}", OCTETS).body == value


def test_a_range_of_a_value(stage: RestStage) -> None:
    (address,) = store(stage, encode(nested()))
    answer = get(stage, f"{address}/bulk/00281201", OCTETS, Range="bytes=10-19")
    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, WORDS[10:20], "bytes 10-19/60")


def test_compressed_pixels_are_a_part_for_each_frame(stage: RestStage) -> None:
    frames = [ENCODERS[JPEG_LS](gray(8, seed=seed)) for seed in range(3)]
    cut = [[frame[:100], frame[100:]] for frame in frames]
    many, one = store(
        stage,
        pixel_file(JPEG_LS, gray(8), cut, table=offsets(cut)),
        pixel_file(JPEG_LS, gray(8), [frames[0]], instance=2),
    )
    name = f"image/jls; transfer-syntax={JPEG_LS}"
    for accept in (None, related(OCTETS), related("image/jls"), related("image/jls", "*")):
        parts = parts_of(get(stage, f"{many}/bulk/7fe00010", accept))
        assert [part.content.rstrip(b"\0") for part in parts] == [frame.rstrip(b"\0") for frame in frames]
        assert {part.headers["Content-Type"] for part in parts} == {name}
    assert get(stage, f"{many}/bulk/7FE00010", "image/jls").status == 406
    alone = get(stage, f"{one}/bulk/7FE00010", "image/jls")
    assert (alone.headers["Content-Type"], alone.body.rstrip(b"\0")) == (name, frames[0].rstrip(b"\0"))


def test_a_video_is_one_stream(stage: RestStage) -> None:
    stream = [b"\0\0\0\x18ftypmp42", bytes(range(200)), b"end!"]
    (address,) = store(stage, pixel_file(VIDEO, gray(8), [stream], NumberOfFrames="250"))
    alone = get(stage, f"{address}/bulk/7fe00010", "video/mp4")
    assert (alone.headers["Content-Type"], alone.body) == (f"video/mp4; transfer-syntax={VIDEO}", b"".join(stream))
    part = get(stage, f"{address}/bulk/7fe00010", "video/mp4", Range="bytes=4-7")
    assert (part.status, part.body) == (206, b"ftyp")
    assert parts_of(get(stage, f"{address}/bulk/7fe00010", related("video/mp4")))[0].content == b"".join(stream)


def test_what_is_not_there_or_cannot_be_had(stage: RestStage) -> None:
    address, native = store(stage, encode(nested()), Native(samples=ramp("u1", 2)).file(ExplicitVRLittleEndian))
    for path in (
        "00100020/1",
        "00283010",
        "00283010/0/00283006",
        "00283010/3/00283006",
        "00283010/x/00283006",
        "00283010/1",
        "00189999",
        "00283010/99999999999999999999/00283006",
        "00283010/1/00283006/1/00080005",
        "zz",
    ):
        assert get(stage, f"{address}/bulk/{path}").status == 404, path
    for accept in ("image/png", related("image/jpeg"), f"{OCTETS};q=0"):
        assert get(stage, f"{native}/bulk/7fe00010", accept).status == 406
    assert get(stage, f"{address}/bulk").status == 404
