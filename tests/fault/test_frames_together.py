"""Several frames in one request to a codec: none is lost or taken for another, and others are not kept from the codec for long."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from actors.services.codecs.limits import CodecSettings
from actors.services.codecs.messages import MOST_BYTES, MOST_TOGETHER, Request, Wanted
from actors.services.codecs.pool import CodecPool, CodecProcess
from store.dicom.pixels.description import Frame, PixelDescription, UndecodablePixels
from store.dicom.pixels.transformations import Transformations
from tests.pixel_files import ENCODERS, J2K_LOSSLESS, JPEG_LS, gray


@pytest.fixture
def codec() -> Iterator[CodecProcess]:
    pool = CodecPool(CodecSettings(processes=1))
    with pool.lease() as process:
        yield process
    pool.close()


def request_for(samples: Any, syntax: str, length: int) -> Request:
    rows, columns = samples.shape
    described = PixelDescription(
        frames=1,
        rows=rows,
        columns=columns,
        samples=1,
        bits_allocated=16,
        bits_stored=16,
        high_bit=15,
        signed=False,
        photometric_interpretation="MONOCHROME2",
    )
    return Request(
        wanted=Wanted.ARRAY,
        transfer_syntax=syntax,
        frame=Frame(((0, length),)),
        described=described,
        parameters=(False, Transformations().pack()),
    )


def laid_down(codestream: bytes) -> int:
    file = os.memfd_create("frame")
    os.write(file, codestream)
    return file


def made_of(codec: CodecProcess, asked: Sequence[tuple[Request, int]]) -> bytes:
    requests, files = zip(*asked, strict=True)
    with codec.make_some(requests, files, requests[0].described.frame_bytes) as made:
        return bytes(made)


def encoded(seed: int, syntax: str = JPEG_LS, cut: int = 0) -> tuple[Any, tuple[Request, int]]:
    samples = gray(16, seed=seed)
    codestream = ENCODERS[syntax](samples)
    codestream = codestream[: len(codestream) - cut]
    return samples, (request_for(samples, syntax, len(codestream)), laid_down(codestream))


def test_frames_of_many_files_come_back_in_their_order(codec: CodecProcess) -> None:
    frames = [encoded(seed) for seed in range(MOST_TOGETHER)]
    asked = [each for _, each in frames]
    made_of(codec, asked[:1])  # what is loaded once takes longer than frames may take together
    made = b""
    while len(made) < len(frames) * frames[0][0].nbytes:
        made += made_of(codec, asked[len(made) // frames[0][0].nbytes :])
    assert made == b"".join(samples.tobytes() for samples, _ in frames)


def test_a_frame_that_fails_is_the_first_when_it_says_so(codec: CodecProcess) -> None:
    (one, good), (_, broken), (other, following) = encoded(1), encoded(2, cut=40), encoded(3)
    made_of(codec, [good])
    assert made_of(codec, [good, broken, following]) == one.tobytes()
    with pytest.raises(UndecodablePixels, match="its end is missing"):
        made_of(codec, [broken, following])
    assert codec.is_fit
    assert made_of(codec, [following]) == other.tobytes()


def test_frames_that_take_long_do_not_keep_others_from_the_codec(codec: CodecProcess) -> None:
    samples = np.random.default_rng(1).integers(0, 1 << 16, (1000, 1000)).astype("<u2")  # 0.1 s and more
    codestream = ENCODERS[J2K_LOSSLESS](samples)
    slow = request_for(samples, J2K_LOSSLESS, len(codestream)), laid_down(codestream)
    assert made_of(codec, [slow] * 3) == samples.tobytes()


def test_requests_that_are_too_long_together_go_one_by_one(codec: CodecProcess) -> None:
    samples, (request, file) = encoded(1)
    (whole,) = request.frame.extents
    long = replace(request, frame=Frame((whole, *[(0, 0)] * (MOST_BYTES // 5))))
    assert made_of(codec, [(long, file)] * 2) == samples.tobytes()
