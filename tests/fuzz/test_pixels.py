"""Mutated files with compressed pixels: nothing dies but a codec's process, and what succeeds is complete.

A short run with a fixed seed is part of the suite; SINOGRAM_FUZZ_INPUTS makes it longer, SINOGRAM_FUZZ_SEED another one. What
fails names its seed and number, from which `make_input` makes the same bytes again.
"""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from actors.services.codecs.limits import CodecSettings
from actors.services.codecs.pool import CodecPool
from events.errors import InvalidDicom
from store.dicom.elements import read_elements
from store.dicom.part10 import file_meta
from store.dicom.pixels.image_module import describe_pixels
from store.dicom.syntax import Syntax
from store.dicom.tags import PIXEL_DATA
from store.dicom.uids import EXPLICIT_LE
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
    JPEG_XL,
    RLE,
    color,
    gray,
    offsets,
    pixel_file,
)
from tests.transcoded import transcode

INPUTS: Final = int(os.environ.get("SINOGRAM_FUZZ_INPUTS", "200"))
SEED: Final = int(os.environ.get("SINOGRAM_FUZZ_SEED", "1"))
SYNTAXES: Final = (*EXACT, BASELINE, EXTENDED, JPEG_LS_NEAR, J2K, JPEG_XL)
ENCODED_EACH: Final = 3  # of so many inputs one is compressed anew
PARTS: Final = 8  # the run is cut into so many tests, each of which would be tried again alone

_LABELS: Final = [
    "MONOCHROME1",
    "MONOCHROME2",
    "RGB",
    "YBR_FULL",
    "YBR_FULL_422",
    "YBR_RCT",
    "YBR_ICT",
    "PALETTE COLOR",
    "",
    "?",
]
_NUMBERS: Final = (0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 64, 255, 0x7FFF, 0xFFFF)


@dataclass(slots=True)
class Input:
    """One file in the making."""

    syntax: str
    samples: Any
    frames: list[list[bytes]]
    table: Any = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    is_only_cut: bool = True  # nothing was done but taking bytes away from the end of a frame

    def encode(self) -> bytes:
        return pixel_file(self.syntax, self.samples, self.frames, table=self.table, **self.attributes)


def make_input(seed: int, number: int) -> tuple[Input, bytes]:
    """Return a mutated file and the one it was made from."""
    chance = random.Random(f"{seed}/{number}")
    made = _sound_input(chance)
    sound = made.encode()
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        chance.choice(_MUTATIONS)(chance, made)
    return made, sound


def _sound_input(chance: random.Random) -> Input:
    syntax = chance.choice(SYNTAXES)
    rows, columns = chance.choice(((9, 7), (24, 30), (33, 64)))
    count = chance.choice((1, 1, 2, 3))
    if syntax != EXTENDED and chance.random() < 0.3:
        samples = [color(rows, columns) for _ in range(count)]
        label = {J2K_LOSSLESS: "YBR_RCT", J2K: "YBR_ICT", HTJ2K: "YBR_RCT", BASELINE: "YBR_FULL_422"}.get(syntax, "RGB")
        attributes: dict[str, Any] = {"PhotometricInterpretation": label}
    else:
        bits = {EXTENDED: 12, BASELINE: 8}.get(syntax) or chance.choice((8, 16))
        samples = [gray(bits, rows, columns, seed=place) for place in range(count)]
        attributes = {"BitsStored": bits}
    frames = [[ENCODERS[syntax](each)] for each in samples]
    return Input(syntax, samples[0], frames, attributes=attributes)


# --- mutations ---


def _change_frame(chance: random.Random, made: Input, change: Callable[[bytearray], object]) -> None:
    parts = chance.choice(made.frames or [[b""]])
    if parts:
        place = chance.randrange(len(parts))
        data = bytearray(parts[place])
        change(data)
        parts[place] = bytes(data)


def _flip_bits(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False

    def flip(data: bytearray) -> None:
        for _ in range(chance.choice((1, 1, 4, 30))):
            if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)

    _change_frame(chance, made, flip)


def _flip_header(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False

    def flip(data: bytearray) -> None:
        for _ in range(chance.choice((1, 2, 5))):
            if data:
                data[chance.randrange(min(len(data), 120))] = chance.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
                )

    _change_frame(chance, made, flip)


def _cut(chance: random.Random, made: Input) -> None:
    def cut(data: bytearray) -> None:
        del data[chance.randrange(len(data) + 1) :]

    _change_frame(chance, made, cut)


def _cut_and_close(chance: random.Random, made: Input) -> None:
    def cut(data: bytearray) -> None:
        del data[chance.randrange(len(data) + 1) :]
        data += b"\xff\xd9"

    _change_frame(chance, made, cut)


def _take_out(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False

    def take(data: bytearray) -> None:
        at = chance.randrange(len(data) + 1)
        del data[at : at + chance.choice((1, 2, 16, 200))]

    _change_frame(chance, made, take)


def _put_in(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False

    def put(data: bytearray) -> None:
        at = chance.randrange(len(data) + 1)
        data[at:at] = chance.choice(
            (b"\0", b"\xff", b"\xff\xd8\xff", b"\xff\xd9", b"\xff\x90", data[: chance.randrange(50)])
        )

    _change_frame(chance, made, put)


def _split(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False
    for parts in made.frames:
        whole = b"".join(parts)
        at = chance.randrange(len(whole) + 1) & ~1
        parts[:] = [whole[:at], whole[at:]]
    made.table = offsets(made.frames) if chance.random() < 0.5 else ()


def _shuffle(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False
    if made.frames:
        chance.choice((chance.shuffle, lambda frames: frames.append(frames[0]), lambda frames: frames.pop()))(
            made.frames
        )


def _change_table(chance: random.Random, made: Input) -> None:
    made.table = [chance.choice((0, 8, 100, 0xFFFFFFFF, chance.randrange(3000))) for _ in range(chance.randrange(5))]


def _change_attribute(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False
    name = chance.choice(
        (
            *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
            *("PlanarConfiguration", "PhotometricInterpretation", "NumberOfFrames"),
        )
    )
    value: Any = chance.choice((*_NUMBERS, None))
    if name == "PhotometricInterpretation":
        value = chance.choice(_LABELS)
    elif name == "NumberOfFrames":
        value = chance.choice(("0", "1", "2", "3", "4", "1000000", "", "-1", "x", None))
    made.attributes[name] = value


def _change_syntax(chance: random.Random, made: Input) -> None:
    made.is_only_cut = False
    made.syntax = chance.choice(SYNTAXES)


_MUTATIONS: Final = (
    *(_flip_bits, _flip_bits, _flip_header, _flip_header, _cut, _cut_and_close, _take_out, _put_in, _split),
    *(_shuffle, _change_table, _change_attribute, _change_attribute, _change_syntax),
)


# --- what must hold ---


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def check(codecs: CodecPool, number: int) -> bool:
    """Decode an input; returns whether it could be. Raises AssertionError where it came out incomplete."""
    made, sound = make_input(SEED, number)
    told = f"input {number} of seed {SEED}"
    compressed = b"" if number % ENCODED_EACH else _compress(made.encode(), codecs)
    try:
        dataset = bytes(transcode(made.encode(), EXPLICIT_LE, codecs))
    except InvalidDicom:
        assert not compressed, f"{told} was encoded, and cannot be decoded"
        return False
    if compressed:
        assert pixels_of(bytes(transcode(compressed, EXPLICIT_LE, codecs))) == pixels_of(dataset), told
    elements = read_elements(dataset, 0, Syntax())
    pixels = next(element for element in elements if element.tag == PIXEL_DATA)
    described = describe_pixels(dataset, elements)
    wanted = described.frames * described.frame_bytes
    assert pixels.fragments is None, told
    assert pixels.length == wanted + (wanted & 1), told
    if made.is_only_cut:  # if it succeeds nonetheless, nothing that matters was cut
        assert dataset == bytes(transcode(sound, EXPLICIT_LE, codecs)), told
    return True


def _compress(file: bytes, codecs: CodecPool) -> bytes:
    """The file with its pixels in RLE, or in JPEG-LS; nothing if it cannot be had."""
    for syntax in (RLE, JPEG_LS):
        with suppress(InvalidDicom):
            return file_meta("1.2", "1.2.3", syntax) + bytes(transcode(file, syntax, codecs))
    return b""


def pixels_of(dataset: bytes) -> bytes:
    """The value of Pixel Data."""
    pixels = next(element for element in read_elements(dataset, 0, Syntax()) if element.tag == PIXEL_DATA)
    return dataset[pixels.value : pixels.value + pixels.length]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.timeout(0 if INPUTS > 10_000 else 300)
def test_nothing_dies_but_a_codec_and_what_succeeds_is_complete(part: int) -> None:
    descriptors = _descriptors()
    codecs = CodecPool(CodecSettings(processes=1, timeout_s=20, memory_mb=1024))
    try:
        outcomes = [check(codecs, number) for number in range(part, INPUTS, PARTS)]
    finally:
        codecs.close()
    assert any(outcomes), "no input was decoded: the mutations are too wild, or nothing works"
    assert not all(outcomes)
    assert _descriptors() == descriptors


def test_the_inputs_are_sound_before_they_are_mutated() -> None:
    codecs = CodecPool()
    try:
        for number in range(60):
            _, sound = make_input(SEED, number)
            transcode(sound, EXPLICIT_LE, codecs)
    finally:
        codecs.close()
