"""DICOM files with compressed pixels, well made or wrong on purpose. The encoders are those of imagecodecs."""

import struct
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np

from tests.dicom_bytes import dataset, encode

FAMILY: Final = "1.2.840.10008.1.2.4."
RLE: Final = "1.2.840.10008.1.2.5"
BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1 = (FAMILY + number for number in ("50", "51", "57", "70"))
JPEG_LS, JPEG_LS_NEAR, J2K_LOSSLESS, J2K, HTJ2K = (FAMILY + number for number in ("80", "81", "90", "91", "201"))

Samples = Any  # an array of numpy's: rows, columns[, samples]


def gray(bits: int, rows: int = 24, columns: int = 30, *, seed: int = 0) -> Samples:
    """Samples of so many bits, in which no two rows are equal."""
    numbers = np.random.default_rng(seed).integers(0, 3, (rows, columns))
    ramp = np.arange(rows)[:, None] * 7 + np.arange(columns) * 3 + numbers + seed * 5
    return (ramp % (1 << bits)).astype("u1" if bits <= 8 else "<u2")


def color(rows: int = 24, columns: int = 32) -> Samples:
    made = np.zeros((rows, columns, 3), "u1")
    made[..., 0], made[..., 1], made[..., 2] = np.arange(columns) * 7, (np.arange(rows) * 10)[:, None], 99
    return made


def _codec(name: str) -> Any:
    return getattr(import_module("imagecodecs"), name)


def run_lengths(samples: Samples) -> bytes:
    """A frame of RLE."""
    flat = samples.reshape(samples.shape[0] * samples.shape[1], -1)
    width = samples.itemsize
    planes = flat.view("u1").reshape(len(flat), -1, width)
    segments = []
    for sample in range(planes.shape[1]):
        for byte in reversed(range(width)):
            packed = _codec("packbits_encode")(planes[:, sample, byte].tobytes())
            segments.append(packed + b"\0" * (len(packed) & 1))
    offsets = [64]
    for segment in segments[:-1]:
        offsets.append(offsets[-1] + len(segment))
    return struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(offsets))) + b"".join(segments)


def _lossless(samples: Samples, **options: Any) -> bytes:
    bits = options.pop("bits", samples.itemsize * 8)
    return bytes(_codec("jpeg8_encode")(samples, lossless=True, bitspersample=bits, **options))


def _with_loss(samples: Samples, **options: Any) -> bytes:
    bits = 12 if samples.itemsize == 2 else 8
    return bytes(_codec("jpeg8_encode")(samples, bitspersample=bits, **{"level": 100, **options}))


JPEG_XL, JPEG_XL_LOSSY = (FAMILY + number for number in ("110", "112"))
ENCODERS: Final[dict[str, Callable[..., bytes]]] = {
    RLE: run_lengths,
    BASELINE: _with_loss,
    EXTENDED: _with_loss,
    LOSSLESS: lambda samples, **options: _lossless(samples, predictor=4, **options),
    LOSSLESS_SV1: _lossless,
    JPEG_XL: lambda samples: bytes(_codec("jpegxl_encode")(samples, lossless=True, effort=3)),
    JPEG_XL_LOSSY: lambda samples: bytes(_codec("jpegxl_encode")(samples, distance=0.1)),
    JPEG_LS: lambda samples: bytes(_codec("jpegls_encode")(samples)),
    JPEG_LS_NEAR: lambda samples: bytes(_codec("jpegls_encode")(samples, level=2)),
    J2K_LOSSLESS: lambda samples, **options: bytes(
        _codec("jpeg2k_encode")(samples, codecformat="J2K", level=0, reversible=True, **options)
    ),
    J2K: lambda samples: bytes(_codec("jpeg2k_encode")(samples, codecformat="J2K", level=60)),
    HTJ2K: lambda samples: bytes(_codec("htj2k_encode")(samples)),
}
EXACT: Final = (RLE, LOSSLESS, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K)


def fragment(data: bytes) -> bytes:
    data += b"\0" * (len(data) & 1)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data


def offsets(frames: Sequence[Sequence[bytes]]) -> list[int]:
    """The Basic Offset Table of frames of fragments."""
    found, position = [], 0
    for frame in frames:
        found.append(position)
        position += sum(len(fragment(part)) for part in frame)
    return found


def pixel_file(
    syntax: str,
    samples: Samples,
    frames: Sequence[bytes | Sequence[bytes]],
    *,
    table: Sequence[int] | bytes = (),
    instance: int = 1,
    **attributes: Any,
) -> bytes:
    """A file whose header describes `samples`, changed by `attributes` (None leaves one out); each frame is its fragments."""
    fragments = [part for frame in frames for part in ([frame] if isinstance(frame, bytes) else frame)]
    bits = samples.itemsize * 8
    described: dict[str, Any] = {
        "SamplesPerPixel": 1 if samples.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if samples.ndim == 2 else "RGB",
        "PlanarConfiguration": None if samples.ndim == 2 else 0,
        "NumberOfFrames": None if len(frames) == 1 else str(len(frames)),
        "Rows": samples.shape[0],
        "Columns": samples.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": None,
        "PixelRepresentation": 0,
        **attributes,
    }
    if described["HighBit"] is None:
        described["HighBit"] = (described["BitsStored"] or 1) - 1
    count = described["NumberOfFrames"] or ""
    count += " " * (len(count) & 1)
    if count:
        described["NumberOfFrames"] = "7" * len(count)  # pydicom writes numbers alone
    made = dataset(9, instance=instance, **described)
    packed = table if isinstance(table, bytes) else struct.pack(f"<{len(table)}I", *table)
    made.PixelData = fragment(packed) + b"".join(map(fragment, fragments))
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    head = b"\x28\0\x08\0IS" + len(count).to_bytes(2, "little")
    return encode(made, syntax).replace(head + b"7" * len(count), head + count.encode(), 1)
