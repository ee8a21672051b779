"""Uncompressed pixels of every layout leave a codec's process by pixel, in little endian."""

from collections.abc import Iterator

import numpy as np
import pytest

from actors.services.codecs.native import decode_frames, readable
from actors.services.codecs.pool import CodecPool
from store.dicom.elements import read_elements
from store.dicom.part10 import open_part10
from store.dicom.pixels.description import UndecodablePixels
from store.dicom.pixels.image import find_pixels
from tests.native_pixels import BIG, DEFLATED, EXPLICIT, GE, IMPLICIT, LAYOUTS, Native, ybr_pairs


@pytest.fixture(scope="module")
def pool() -> Iterator[CodecPool]:
    made = CodecPool()
    yield made
    made.close()


def decoded(pool: CodecPool, file: bytes, *, cut: int = 0) -> tuple[bytes, str]:
    """The pixels of all frames, and their photometric interpretation; of a file that has been cut short meanwhile."""
    part10 = open_part10(file)
    pixels = find_pixels(part10, read_elements(part10.data, part10.start, part10.syntax))
    described = pixels.described
    into = bytearray(described.frame_bytes * described.frames)
    labels = []

    def place(label: str) -> memoryview:
        labels.append(label)
        return memoryview(into)

    with readable(bytes(part10.data)[: len(part10.data) - cut], None) as opened:
        decode_frames(pool, opened, pixels.transfer_syntax, described, pixels.frames, place)
    return bytes(into), labels[0]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, GE])
@pytest.mark.parametrize("what", LAYOUTS)
def test_samples_are_those_that_were_written(pool: CodecPool, what: str, syntax: str) -> None:
    native = LAYOUTS[what]
    label = "YBR_FULL" if native.label == "YBR_FULL_422" else native.label
    assert decoded(pool, native.file(syntax)) == (np.ascontiguousarray(native.samples).tobytes(), label)


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG])
def test_the_partial_range_keeps_its_label(pool: CodecPool, syntax: str) -> None:
    samples = ybr_pairs(2)
    assert decoded(pool, Native(samples=samples, label="YBR_PARTIAL_422", planar=0).file(syntax)) == (
        samples.tobytes(),
        "YBR_PARTIAL_422",
    )


def test_a_file_that_was_cut_short_meanwhile_is_an_error(pool: CodecPool) -> None:
    for what in ("16 bits", "RGB by plane", "1 bit"):
        with pytest.raises(UndecodablePixels, match="ends before its pixels do"):
            decoded(pool, LAYOUTS[what].file(EXPLICIT), cut=3)
