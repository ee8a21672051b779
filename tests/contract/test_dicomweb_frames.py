"""Frames over DICOMweb: in which types and transfer syntaxes, by which lists, in parts and alone (PS3.18 §10.4, §8.7.3.3)."""

import random
from collections.abc import Iterator
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest

from store.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.contract.dicomweb_stage import HOST, address_of, get, parts_of, related, store
from tests.contract.rest_stage import RestStage, error_of, rest_stage, shown
from tests.native_pixels import BIG, DEFLATED, GE, LAYOUTS, Native, ramp
from tests.pixel_files import (
    BASELINE,
    ENCODERS,
    EXTENDED,
    HTJ2K,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_LS_NEAR,
    JPEG_XL,
    JPEG_XL_LOSSY,
    LOSSLESS,
    LOSSLESS_SV1,
    RLE,
    gray,
    offsets,
    pixel_file,
)
from tools.server.core import Core

OCTETS: Final = "application/octet-stream"
# PS3.18 tables 8.7.3-2 to 8.7.3-5: the type of each compressed syntax
TYPES: Final = {
    RLE: "image/dicom-rle",
    BASELINE: "image/jpeg",
    EXTENDED: "image/jpeg",
    LOSSLESS: "image/jpeg",
    LOSSLESS_SV1: "image/jpeg",
    JPEG_LS: "image/jls",
    JPEG_LS_NEAR: "image/jls",
    J2K_LOSSLESS: "image/jp2",
    J2K: "image/jp2",
    HTJ2K: "image/jphc",
    JPEG_XL: "image/jxl",
    JPEG_XL_LOSSY: "image/jxl",
}
FRAMES: Final = [gray(8, seed=seed) for seed in range(3)]


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def compressed(syntax: str, instance: int = 1) -> tuple[bytes, list[bytes]]:
    """A file of three frames, and their codestreams."""
    frames = [ENCODERS[syntax](samples) for samples in FRAMES]
    return pixel_file(syntax, FRAMES[0], frames, instance=instance), frames


@pytest.mark.parametrize("syntax", [each for each in TYPES if each != EXTENDED])
def test_compressed_frames_leave_as_they_lie_there(stage: RestStage, syntax: str) -> None:
    file, frames = compressed(syntax)
    (address,) = store(stage, file)
    padded = [frame + bytes(len(frame) & 1) for frame in frames]
    name = f"{TYPES[syntax]}; transfer-syntax={syntax}"
    for accept in (related(TYPES[syntax], syntax), related(OCTETS, "*"), related("*/*", "*"), related("image/*", "*")):
        parts = parts_of(get(stage, f"{address}/frames/1,3,2", accept))
        assert [part.content for part in parts] == [padded[0], padded[2], padded[1]]
        assert {part.headers["Content-Type"] for part in parts} == {name}
        places = [part.headers["Content-Location"] for part in parts]
        assert places == [f"http://{HOST}/dicom-web{address}/frames/{number}" for number in (1, 3, 2)]
    old = parts_of(get(stage, f"{address}/frames/2", related(OCTETS, syntax)))
    assert [(part.content, part.headers["Content-Type"]) for part in old] == [
        (padded[1], f"{OCTETS}; transfer-syntax={syntax}")
    ]
    alone = get(stage, f"{address}/frames/2", f"{TYPES[syntax]}; transfer-syntax={syntax}")
    assert (alone.status, alone.headers["Content-Type"], alone.body) == (200, name, padded[1])


@pytest.mark.parametrize("syntax", [RLE, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K, JPEG_XL])
def test_nothing_said_is_bytes_that_are_not_compressed(stage: RestStage, syntax: str) -> None:
    file, _ = compressed(syntax)
    (address,) = store(stage, file)
    for accept in (
        None,
        "*/*",
        related(OCTETS),
        related(OCTETS, EXPLICIT_LE),
        related(OCTETS, IMPLICIT_LE),
        related("*/*"),
    ):
        parts = parts_of(get(stage, f"{address}/frames/2,1", accept))
        assert [part.content for part in parts] == [FRAMES[1].tobytes(), FRAMES[0].tobytes()], accept
        assert {part.headers["Content-Type"] for part in parts} == {f"{OCTETS}; transfer-syntax={EXPLICIT_LE}"}


def test_native_frames_leave_in_little_endian_whatever_they_lie_in(stage: RestStage) -> None:
    instance = 0
    for layout, native in LAYOUTS.items():
        for syntax in (EXPLICIT_LE, IMPLICIT_LE, BIG, DEFLATED, GE):
            instance += 1
            shown(stage.upload(native.file(syntax, instance)))
            address = address_of(native.file(EXPLICIT_LE, instance))
            frames = [_stream(native, frame) for frame in native.samples]
            for accept in (None, related(OCTETS, "*")):
                parts = parts_of(get(stage, f"{address}/frames", accept))
                assert [part.content for part in parts] == frames, (layout, syntax)
                assert parts[0].headers["Content-Type"] == f"{OCTETS}; transfer-syntax={EXPLICIT_LE}"
            assert get(stage, f"{address}/frames/1", OCTETS).body == frames[0]


def _stream(native: Native, frame: Any) -> bytes:
    return Native(samples=frame[None], bits=native.bits, label=native.label, planar=native.planar).stream()


ASKED: Final = {
    "image/jpeg": (LOSSLESS_SV1, imagecodecs.jpeg8_decode),
    "image/jls": (JPEG_LS, imagecodecs.jpegls_decode),
    "image/jp2": (J2K_LOSSLESS, imagecodecs.jpeg2k_decode),
    "image/jphc": (HTJ2K, imagecodecs.htj2k_decode),
    "image/jxl": (JPEG_XL, imagecodecs.jpegxl_decode),
}


def test_frames_are_encoded_as_the_default_of_a_type_or_as_is_asked(stage: RestStage) -> None:
    samples = np.stack(FRAMES)[..., None]
    addresses = store(stage, Native(samples=samples).file(EXPLICIT_LE), compressed(RLE, instance=2)[0])
    for address in addresses:
        for kind, (syntax, decode) in ASKED.items():
            for accept in (related(kind), related(kind, "*"), related(kind, syntax)):
                parts = parts_of(get(stage, f"{address}/frames/3,1", accept))
                assert {part.headers["Content-Type"] for part in parts} == {f"{kind}; transfer-syntax={syntax}"}
                for part, frame in zip(parts, (FRAMES[2], FRAMES[0]), strict=True):
                    assert np.array_equal(decode(part.content), frame), accept


def test_what_the_client_likes_best_of_what_there_is_is_given(stage: RestStage) -> None:
    (address,) = store(stage, compressed(JPEG_LS)[0])

    def given(accept: str, number: str = "1") -> str:
        answer = get(stage, f"{address}/frames/{number}", accept)
        kind = answer.headers["Content-Type"]
        return parts_of(answer)[0].headers["Content-Type"] if kind.startswith("multipart") else f"alone {kind}"

    jls, octets = f"image/jls; transfer-syntax={JPEG_LS}", f"{OCTETS}; transfer-syntax={EXPLICIT_LE}"
    assert given(f"{related('image/png')}, {related('image/jls')};q=0.5, {related(OCTETS)};q=0.4") == jls
    assert given(f"{related('image/jls')};q=0.4, {related(OCTETS)};q=0.9") == octets
    assert given(f"image/jls, {related(OCTETS)}") == f"alone {jls}"
    assert given(f"image/jls, {related(OCTETS)}", "1,2") == octets  # two frames do not fit into one body
    assert given("video/mp4, image/jpx;q=0.9, */*;q=0.1") == octets


def test_what_cannot_be_had_is_406_and_says_what_can(stage: RestStage) -> None:
    damaged = pixel_file(JPEG_LS, FRAMES[0], [ENCODERS[JPEG_LS](FRAMES[0])[:40]], instance=7)
    wide, native, bad = store(
        stage,
        Native(samples=ramp("<u4", 2), bits=32).file(EXPLICIT_LE),
        Native(samples=ramp("u1"), bits=8).file(EXPLICIT_BE, 2),
        damaged,
    )
    for address, accept in (
        (native, "image/png"),
        (native, related("image/jpeg", JPEG_LS)),
        (native, related(OCTETS, "1.2.3")),
        (native, related(OCTETS, EXPLICIT_BE)),
        (native, related("image/jpx")),
        (native, related("video/mp4")),
        (native, f"{OCTETS};q=0"),
        (wide, related("image/jls")),
        (wide, OCTETS + "; transfer-syntax=1.2.3"),
        (bad, related(OCTETS)),
    ):
        status, _, details = error_of(get(stage, f"{address}/frames/1", accept))
        assert status == 406, accept
        assert "can" in details
    assert error_of(get(stage, f"{wide}/frames/1,2", OCTETS))[0] == 406
    assert len(parts_of(get(stage, f"{bad}/frames/1", related(OCTETS, "*")))) == 1


def test_frames_of_many_fragments_are_told_apart(stage: RestStage) -> None:
    frames = [ENCODERS[JPEG_LS](samples) for samples in FRAMES]
    cut = [[frame[:100], frame[100:210], frame[210:]] for frame in frames]
    (address,) = store(stage, pixel_file(JPEG_LS, FRAMES[0], cut, table=offsets(cut)))
    parts = parts_of(get(stage, f"{address}/frames/3,1", related("image/jls")))
    assert [part.content.rstrip(b"\0") for part in parts] == [frames[2], frames[0]]


def test_lists_of_frames_are_checked(stage: RestStage) -> None:
    (address,) = store(stage, compressed(RLE)[0])
    for numbers in ("0", "-1", "1,", ",1", "1,,2", "a", "1;2", "1.0", "9999999999", "1-2", "%20", "¹"):
        assert error_of(get(stage, f"{address}/frames/{numbers}"))[:2] == (400, 3), numbers
    status, _, details = error_of(get(stage, f"{address}/frames/1,4"))
    assert (status, details) == (400, "There is no frame 4: the instance has 3, counted from 1")
    assert error_of(get(stage, f"{address}/frames/" + ",".join(["1"] * 10_001)))[0] == 400
    assert len(parts_of(get(stage, f"{address}/frames/1,1,01"))) == 3
    assert [len(parts_of(get(stage, address + path))) for path in ("/frames", "/frames/")] == [3, 3]
    assert get(stage, f"{address}1/frames/1").status == 404
    assert get(stage, "/studies/1/series/2/instances/3/frames/1").status == 404


def test_a_range_of_a_frame_is_given_alone(stage: RestStage) -> None:
    (address,) = store(stage, Native(samples=ramp("u1", 2, 20, 30)).file(EXPLICIT_LE))
    whole = get(stage, f"{address}/frames/2", OCTETS)
    assert whole.headers["Accept-Ranges"] == "bytes"
    frame = whole.body
    assert len(frame) == 600
    for asked, found in (
        ("bytes=0-9", (0, 10)),
        ("bytes=599-", (599, 600)),
        ("bytes=-5", (595, 600)),
        ("bytes=100-9999", (100, 600)),
        ("bytes=-9999", (0, 600)),
    ):
        answer = get(stage, f"{address}/frames/2", OCTETS, Range=asked)
        assert (answer.status, answer.body) == (206, frame[slice(*found)])
        assert answer.headers["Content-Range"] == f"bytes {found[0]}-{found[1] - 1}/600"
    for beyond in ("bytes=600-", "bytes=700-800", "bytes=-0"):
        answer = get(stage, f"{address}/frames/2", OCTETS, Range=beyond)
        assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */600")  # RFC 9110 §15.5.17
    for ignored in ("bytes=5-1", "lines=1-2", "bytes=1-2,5-6", "bytes=-", "bytes=a-b", ""):
        assert get(stage, f"{address}/frames/2", OCTETS, Range=ignored).body == frame
    assert parts_of(get(stage, f"{address}/frames/2", related(OCTETS), Range="bytes=0-9"))[0].content == frame


def test_no_header_and_no_list_is_a_500(stage: RestStage) -> None:
    addresses = store(stage, compressed(JPEG_LS)[0], Native(samples=ramp("u1", 2)).file(EXPLICIT_LE, 2))
    chance = random.Random(0)
    words = [
        *TYPES,
        *TYPES.values(),
        OCTETS,
        "multipart/related",
        "type=",
        "transfer-syntax=",
        "*",
        "/",
        ";",
        ",",
        '"',
        "q=0.5",
        "q=x",
        "=",
        "é",
    ]
    marks = ["1", "2", "3", "0", ",", "-", "bytes", "=", "99999999999999999999", " "]
    for _ in range(300):
        accept = " ".join(chance.choices(words, k=chance.randrange(6)))
        numbers = "".join(chance.choices(["1", "2", "3", ",", "0", "a"], k=chance.randrange(1, 5)))
        asked = "".join(chance.choices(marks, k=chance.randrange(6)))
        answer = get(stage, f"{chance.choice(addresses)}/frames/{numbers}", accept, Range=asked)
        assert answer.status in {200, 206, 400, 406, 416}, (accept, numbers, asked, answer)


def test_the_one_frame_of_a_video_is_its_stream(stage: RestStage) -> None:
    video = "1.2.840.10008.1.2.4.102"
    stream = [b"\0\0\0\x18ftypmp42", bytes(range(200)), b"end!"]
    (address,) = store(stage, pixel_file(video, gray(8), [stream], NumberOfFrames="250"))
    for accept in (None, related("video/mp4"), related("video/mp4", video), related(OCTETS, "*")):
        for path in ("/frames/1", "/frames"):
            (part,) = parts_of(get(stage, address + path, accept))
            assert part.content == b"".join(stream)
            assert part.headers["Content-Type"] == f"video/mp4; transfer-syntax={video}"
    answer = get(stage, f"{address}/frames/1", "video/mp4", Range="bytes=4-7")
    assert (answer.status, answer.body) == (206, b"ftyp")
    assert error_of(get(stage, f"{address}/frames/2", related("video/mp4")))[0] == 400
    for accept in (related(OCTETS), related("image/jpeg"), related("video/mpeg")):
        assert error_of(get(stage, f"{address}/frames/1", accept))[0] == 406
