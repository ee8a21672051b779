"""Mutated images become other transfer syntaxes: nothing dies but a codec's process, and what succeeds holds the pixels of its source.

A short run with a fixed seed is part of the suite; SINOGRAM_FUZZ_INPUTS makes it longer, SINOGRAM_FUZZ_SEED another one. What
fails names its seed and number, from which `make_input` makes the same bytes again.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import numpy as np
import pytest
from pydicom.pixels.decoders.rle import _rle_decode_frame

from actors.services.codecs.encoding import NEAR
from actors.services.codecs.limits import CodecSettings
from actors.services.codecs.native import decode_frames, readable
from actors.services.codecs.pool import CodecPool
from actors.services.images.image import describe_image
from actors.services.transcoding.source import Source
from actors.services.transcoding.targets import MAKEABLE, READABLE, Target
from actors.services.transcoding.transcode import transcode
from events.errors import InvalidDicom
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import PixelDescription
from store.dicom.pixels.encodable import HIGH_THROUGHPUT, HTJ2K, LS_NEAR, PREDICTED, is_lossy
from store.dicom.pixels.image import find_pixels
from store.dicom.uids import EXPLICIT_BE
from tests.fuzz.mutation import SEED, nothing_left
from tests.fuzz.pixel_inputs import make_input
from tests.pixel_files import RLE

INPUTS: Final = int(os.environ.get("SINOGRAM_FUZZ_INPUTS", "160"))
PARTS: Final = 4  # the run is cut into so many tests, each of which would be tried again alone
TARGETS: Final = sorted(MAKEABLE)
MOST_ERROR: Final = 0.15  # of the range of samples, on average: noise that loses its colours to 4:2:2 has 0.1


Decoded = tuple[PixelDescription, str, bytes]


@contextmanager
def input_told(number: int) -> Iterator[None]:
    """Let a failure name its input."""
    try:
        yield
    except BaseException as exc:
        exc.add_note(f"input {number} of seed {SEED}")
        raise


def outcomes_of(part: int, check: Callable[[CodecPool, int], bool]) -> list[bool]:
    """Check each input of a part; nothing is left behind."""
    codecs = CodecPool(CodecSettings(processes=1, timeout_s=20, memory_mb=1024))
    outcomes = []
    with nothing_left(256 << 20):
        try:
            for number in range(part, INPUTS, PARTS):
                with input_told(number):
                    outcomes.append(check(codecs, number))
        finally:
            codecs.close()
    return outcomes


def pixels_of(file: bytes | memoryview, codecs: CodecPool) -> Decoded:
    """What the pixels of a file are said to be, their colours when decoded, and themselves."""
    source = Source.of(file)
    found = find_pixels(source.part10, source.elements)
    made = bytearray(found.described.frames * found.described.frame_bytes)
    labels = []

    def place(label: str) -> memoryview:
        labels.append(label)
        return memoryview(made)

    with readable(source.part10.data, None) as descriptor:
        decode_frames(codecs, descriptor, found.transfer_syntax, found.described, found.frames, place)
    return found.described, labels[0], bytes(made)


def check(codecs: CodecPool, number: int) -> bool:
    """Transcode an input; returns whether it could be. Raises AssertionError where what was made is not what was there."""
    made, sound = make_input(SEED, number)
    file = made.encode()
    targets = TARGETS if made.has_right_vrs else [syntax for syntax in TARGETS if syntax != EXPLICIT_BE]
    target = Target(random.Random(f"{SEED}/{number}/target").choice(targets))
    try:
        transcoded = transcode(file, target, codecs)
    except InvalidDicom:
        return False
    if made.syntax == EXPLICIT_BE and not made.has_right_vrs:
        return True
    result = transcoded.head() + bytes(transcoded.dataset)
    try:
        before = pixels_of(file, codecs)
    except InvalidDicom:
        # Uncompressed syntaxes are made of each other without a look at pixels, and of what has none without any.
        assert target.transfer_syntax in READABLE
        if Source.of(file).has_pixel_data:
            with pytest.raises(InvalidDicom):
                pixels_of(result, codecs)
        return False
    _compare(before, pixels_of(result, codecs), target)
    _decode_elsewhere(result, target.transfer_syntax, before)
    if made.is_only_cut:  # if it succeeds nonetheless, nothing that matters was cut
        assert before[2] == pixels_of(sound, codecs)[2]
    return True


def _compare(before: Decoded, after: Decoded, target: Target) -> None:
    was, now = before[0], after[0]
    assert (was.frames, was.rows, was.columns, was.samples) == (now.frames, now.rows, now.columns, now.samples)
    assert was.signed == now.signed
    if not is_lossy(*target):
        assert (was.bits_allocated, was.bits_stored, was.high_bit) == (
            now.bits_allocated,
            now.bits_stored,
            now.high_bit,
        )
        assert before[1:] == after[1:]
        return
    if target.transfer_syntax == LS_NEAR:
        assert before[1] == after[1]
        assert np.abs(_samples(before) - _samples(after)).max() <= NEAR
        return
    error = np.abs(_as_rgb(before) - _as_rgb(after))
    assert error.mean() <= MOST_ERROR * (1 << was.bits_stored)


def _samples(decoded: Decoded) -> Any:
    described, _, data = decoded
    kind = "i" if described.signed else "u"
    return np.frombuffer(data, f"<{kind}{described.sample_bytes}").astype("f8")


def _as_rgb(decoded: Decoded) -> Any:
    values = _samples(decoded)
    if decoded[1] == "YBR_FULL":
        y, blue, red = values.reshape(-1, 3).T - np.array([[0], [128], [128]])
        values = np.clip([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], 0, 255).T
    return values.reshape(-1)


def _decode_elsewhere(result: bytes, syntax: str, before: Decoded) -> None:
    """Decode the frames by a library that is not the one of this server, where there is one for them."""
    described, _, data = before
    decode = _elsewhere(syntax, described)
    if decode is None:
        return
    source = Source.of(result)
    for place, frame in enumerate(find_pixels(source.part10, source.elements).frames):
        codestream = b"".join(result[start : start + length] for start, length in frame.extents)
        expected = data[place * described.frame_bytes : (place + 1) * described.frame_bytes]
        assert decode(codestream) == expected, syntax


def _elsewhere(syntax: str, described: PixelDescription) -> Callable[[bytes], bytes] | None:
    library: Any = import_module("imagecodecs")
    if syntax == RLE:
        return lambda codestream: _run_lengths(codestream, described)
    if described.signed or described.bits_stored != described.bits_allocated or described.samples == 3:
        return None  # what others make of signs and colours is compared with whole files, not here
    if syntax in PREDICTED:
        return lambda codestream: bytes(library.ljpeg_decode(codestream).tobytes())
    if syntax in HIGH_THROUGHPUT and syntax != HTJ2K:
        return lambda codestream: bytes(library.htj2k_decode(codestream).tobytes())
    return None


def _run_lengths(codestream: bytes, described: PixelDescription) -> bytes:
    """pydicom's own decoder, which is written in Python; color by plane there."""
    planes = _rle_decode_frame(
        codestream, described.rows, described.columns, described.samples, described.bits_allocated, ">"
    )
    shape = (described.samples, described.rows * described.columns, described.sample_bytes)
    return np.frombuffer(bytes(planes), "u1").reshape(shape).transpose(1, 0, 2).tobytes()


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(0 if INPUTS > 10_000 else 300)
def test_nothing_dies_but_a_codec_and_what_succeeds_is_complete(part: int) -> None:
    outcomes = outcomes_of(part, check)
    assert any(outcomes), "no input was decoded: the mutations are too wild, or nothing works"
    assert not all(outcomes)


def test_the_inputs_are_sound_before_they_are_mutated() -> None:
    codecs = CodecPool()
    try:
        for number in range(60):
            _, sound = make_input(SEED, number)
            with input_told(number):
                pixels_of(sound, codecs)
                describe_image(open_part10(sound), None)
    finally:
        codecs.close()
