"""Lossless JPEG as our encoder writes it: libjpeg-turbo decodes every sample as it was."""

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from actors.services.codecs.predicted import Unsuited, encode_predicted
from store.dicom.pixels.agreement import agree
from store.dicom.pixels.decodable import read_codestream
from store.dicom.pixels.description import PixelDescription
from tests.pixel_files import LOSSLESS_SV1


def decoded(samples: Any, bits: int) -> Any:
    """What an independent decoder makes of the codestream, whose own headers say what the dataset does."""
    codestream = encode_predicted(samples, bits)
    described = PixelDescription(
        frames=1,
        rows=samples.shape[0],
        columns=samples.shape[1],
        samples=1,
        bits_allocated=8 * samples.itemsize,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=False,
        photometric_interpretation="MONOCHROME2",
    )
    found = read_codestream(codestream, LOSSLESS_SV1, described)
    agree(described, found)
    assert found.size_bytes == len(codestream)
    return import_module("imagecodecs").jpeg8_decode(codestream).reshape(samples.shape)


def walk(bits: int, rows: int, columns: int, step: int, seed: int) -> Any:
    """Samples that go up and down by a few from one to the next."""
    steps = np.random.default_rng(seed).integers(-step, step + 1, rows * columns)
    walked = np.cumsum(steps).reshape(rows, columns) % (1 << bits)
    return walked.astype("u1" if bits <= 8 else "<u2")


@settings(max_examples=80, deadline=None)
@given(
    bits=st.integers(2, 16),
    rows=st.integers(1, 30),
    columns=st.integers(1, 30),
    step=st.integers(0, 60),
    seed=st.integers(0, 1 << 30),
)
def test_samples_come_back(bits: int, rows: int, columns: int, step: int, seed: int) -> None:
    samples = walk(bits, rows, columns, step, seed)
    try:
        assert np.array_equal(decoded(samples, bits), samples)
    except Unsuited:  # a few samples of noise
        reject()


@pytest.mark.parametrize("bits", range(2, 17))
def test_differences_of_all_sizes_come_back(bits: int) -> None:
    """Few of each among many of none: the greatest is half the range of 16 bits, which has a category of its own."""
    samples = np.zeros((64, 64), "u1" if bits <= 8 else "<u2")
    for place in range(bits):
        samples[4 * place, 5:50:7] = 1 << place
        samples[4 * place + 2, 3:50:9] = (1 << place + 1) - 1
    assert np.array_equal(decoded(samples, bits), samples)


def test_long_codes_of_many_samples_come_back() -> None:
    """Each size of difference is half as frequent as the one before: codes of all lengths, and bytes of ones among them."""
    chance = np.random.default_rng(5)
    sizes = np.minimum(chance.geometric(0.5, 90_000), 14)
    signs = chance.choice([-1, 1], len(sizes))
    samples = (np.cumsum(signs * (1 << sizes - 1)) % (1 << 16)).astype("<u2").reshape(300, 300)
    codestream = encode_predicted(samples, 16)
    assert b"\xff\x00" in codestream
    assert np.array_equal(decoded(samples, 16), samples)


def test_what_it_is_not_made_for_is_left_to_others() -> None:
    noise = np.random.default_rng(1).integers(0, 1 << 16, (40, 40)).astype("<u2")
    with pytest.raises(Unsuited):
        encode_predicted(noise, 16)
    fibonacci = [1, 1]
    while len(fibonacci) < 17:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    sizes = np.repeat(np.arange(17)[::-1], fibonacci)  # codes as long as there are sizes
    samples = np.cumsum(np.where(sizes, 1 << np.maximum(sizes - 1, 0), 0))
    from_the_middle = (samples + (1 << 15)) % (1 << 16)
    with pytest.raises(Unsuited):
        encode_predicted(from_the_middle.astype("<u2").reshape(1, -1), 16)
