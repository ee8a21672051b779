"""Files with uncompressed pixels of every layout, and what their samples are by a plain model of the standard."""

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests.dicom_bytes import dataset, encode

EXPLICIT, IMPLICIT, BIG, DEFLATED = (f"1.2.840.10008.1.2{ending}" for ending in (".1", "", ".2", ".1.99"))
GE: Final = "1.2.840.113619.5.2"
_FLOATING: Final = {"FloatPixelData": ("OF", 32), "DoubleFloatPixelData": ("OD", 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """Samples as an array (frames, rows, columns, samples), and how they are to lie in a file."""

    samples: Any
    bits: int = 8
    label: str = "MONOCHROME2"
    planar: int | None = None
    vr: str = "OW"
    element: str = "PixelData"

    def stream(self) -> bytes:
        """The samples in little endian, before words are made of them."""
        if self.bits == 1:
            return np.packbits(self.samples.reshape(-1), bitorder="little").tobytes()
        if self.label.endswith("_422"):
            pairs = self.samples.reshape(-1, 2, 3)
            return np.concatenate([pairs[:, :, 0], pairs[:, 0, 1:]], axis=1).astype("u1").tobytes()
        laid = self.samples.transpose(0, 3, 1, 2) if self.planar else self.samples
        return np.ascontiguousarray(laid).tobytes()

    def file(self, syntax: str, instance: int = 1, **attributes: Any) -> bytes:
        frames, rows, columns, count = self.samples.shape
        is_float = self.element in _FLOATING
        described: dict[str, Any] = {
            "SamplesPerPixel": count,
            "PhotometricInterpretation": self.label,
            "PlanarConfiguration": self.planar,
            "NumberOfFrames": str(frames) if frames > 1 else None,
            "Rows": rows,
            "Columns": columns,
            "BitsAllocated": self.bits,
            "BitsStored": None if is_float else self.bits,
            "HighBit": None if is_float else self.bits - 1,
            "PixelRepresentation": None if is_float else int(self.samples.dtype.kind == "i"),
            **attributes,
        }
        made = dataset(9, instance=instance, **described)
        value = self.stream()
        value += bytes(len(value) & 1)
        words = {"OB": 1, "OW": 2, "OF": 4, "OD": 8}[self.vr]
        if syntax == GE and not is_float:
            words = 2  # there is no VR that would say OB
        if syntax in {BIG, GE}:
            value = turned(value, words)
        setattr(made, self.element, value)
        made[self.element].VR = self.vr
        return encode(made, syntax)


def turned(value: bytes, word_bytes: int) -> bytes:
    """The bytes of each word in reverse order."""
    return b"".join(value[at : at + word_bytes][::-1] for at in range(0, len(value), word_bytes))


def ramp(kind: str, frames: int = 1, rows: int = 5, columns: int = 6, samples: int = 1) -> Any:
    """Samples of a type of numpy's, among them the least and the greatest; no two frames are equal."""
    count = frames * rows * columns * samples
    if kind == "bit":
        return (
            np.frombuffer(struct.pack("<3Q", 0x123456789ABCDEF0, 0xDEADBEEF0F0F3333, 0x7777AAAA12345678) * 40, "u1")[
                :count
            ].reshape(frames, rows, columns, samples)
            & 1
        )
    if kind.startswith("<f"):
        made = np.linspace(-1e6, 3e6, count)
    else:
        limits = np.iinfo(kind)
        made = np.linspace(limits.min, limits.max, count)
    return made.astype(kind).reshape(frames, rows, columns, samples)


def ybr_pairs(frames: int = 1, rows: int = 5, columns: int = 6) -> Any:
    """Samples of which each two neighbours share CB and CR."""
    made = ramp("u1", frames, rows, columns, 3).copy()
    made[:, :, 1::2, 1:] = made[:, :, ::2, 1:]
    return made


LAYOUTS: Final[dict[str, Native]] = {
    "1 bit": Native(samples=ramp("bit"), bits=1),
    "1 bit, frames within bytes": Native(samples=ramp("bit", 7), bits=1),
    "1 bit of OB": Native(samples=ramp("bit", 7), bits=1, vr="OB"),
    "8 bits": Native(samples=ramp("u1")),
    "8 bits, frames within words": Native(samples=ramp("u1", 3, 5, 5)),
    "8 bits of OB": Native(samples=ramp("u1", 3, 5, 5), vr="OB"),
    "8 bits, signed": Native(samples=ramp("i1")),
    "16 bits": Native(samples=ramp("<u2", 3), bits=16),
    "16 bits, signed": Native(samples=ramp("<i2"), bits=16),
    "32 bits": Native(samples=ramp("<u4", 2), bits=32),
    "32 bits, signed": Native(samples=ramp("<i4"), bits=32),
    "float": Native(samples=ramp("<f4", 2), bits=32, vr="OF", element="FloatPixelData"),
    "double": Native(samples=ramp("<f8", 2), bits=64, vr="OD", element="DoubleFloatPixelData"),
    "RGB": Native(samples=ramp("u1", 2, 5, 5, 3), label="RGB", planar=0),
    "RGB by plane": Native(samples=ramp("u1", 2, 5, 5, 3), label="RGB", planar=1),
    "RGB of 16 bits": Native(samples=ramp("<u2", 1, 5, 5, 3), bits=16, label="RGB", planar=0),
    "RGB of 16 bits by plane": Native(samples=ramp("<u2", 2, 5, 5, 3), bits=16, label="RGB", planar=1),
    "YBR_FULL": Native(samples=ramp("u1", 1, 5, 5, 3), label="YBR_FULL", planar=0),
    "YBR_FULL by plane": Native(samples=ramp("u1", 2, 5, 5, 3), label="YBR_FULL", planar=1),
    "YBR_FULL_422": Native(samples=ybr_pairs(2), label="YBR_FULL_422", planar=0),
    "PALETTE COLOR": Native(samples=ramp("u1"), label="PALETTE COLOR"),
}
