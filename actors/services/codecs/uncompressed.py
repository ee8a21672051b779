"""Uncompressed samples, put in the one order in which all pixels leave a codec's process: by pixel, in little endian."""

from importlib import import_module
from typing import Any, Final

from store.dicom.pixels.description import NativeLayout, PixelDescription, UndecodablePixels

_LABELS: Final = {"YBR_FULL_422": "YBR_FULL"}  # what is no longer subsampled


def lie_in_order(skipped_bits: int, described: PixelDescription) -> bool:
    """Tell whether the samples of a frame lie in a file in the order in which they leave a codec."""
    return described.native == NativeLayout() and not skipped_bits and described.bits_allocated > 1


def order_samples(frame: bytes, skipped_bits: int, described: PixelDescription, into: memoryview) -> str:
    """Put the samples of a frame in their place; returns their photometric interpretation. Raises UndecodablePixels."""
    numpy: Any = import_module("numpy")
    layout = described.native or NativeLayout()
    data = numpy.frombuffer(frame, "u1")
    if layout.word_bytes > 1:
        words = len(data) // layout.word_bytes
        data = data[: words * layout.word_bytes].reshape(words, -1)[:, ::-1].reshape(-1)
    target = numpy.frombuffer(into, "u1")
    if described.bits_allocated == 1:
        data = numpy.unpackbits(data, bitorder="little")[skipped_bits:]
    else:
        data = data[skipped_bits // 8 :]
    wanted = len(target) * 2 // 3 if layout.subsampled else len(target)
    if len(data) < wanted:
        raise UndecodablePixels("The file of an instance ends before its pixels do")
    _place(data[:wanted], target, described, layout)
    label = described.photometric_interpretation
    return _LABELS.get(label, label)


def _place(data: Any, target: Any, described: PixelDescription, layout: NativeLayout) -> None:
    count = described.rows * described.columns
    if layout.subsampled:
        pairs, pixels = data.reshape(-1, 4), target.reshape(-1, 2, 3)
        pixels[:, :, 0] = pairs[:, :2]
        pixels[:, :, 1:] = pairs[:, None, 2:]
    elif layout.planar:
        samples = described.samples
        planes = data.reshape(samples, count, described.sample_bytes)
        target.reshape(count, samples, described.sample_bytes)[:] = planes.transpose(1, 0, 2)
    else:
        target[:] = data
