"""The types of arrays that are made of frames, and the header of NumPy's file format, version 1.0, as Orthanc 1.12.7 writes it."""

from typing import Final

from store.dicom.pixels.description import PixelDescription

_HEADER_BYTES: Final = 128
_MAGIC: Final = b"\x93NUMPY\x01\x00"


def array_type(described: PixelDescription, *, rescales: bool) -> tuple[str, int]:
    """Return the type of the numbers, in NumPy's notation, and how many there are of a pixel."""
    if described.samples > 1:
        return f"<u{described.sample_bytes}", described.samples
    if described.photometric_interpretation == "PALETTE COLOR":
        return "<u1", 3
    if described.floating:
        return f"<f{described.sample_bytes}", 1
    if rescales:
        return "<f4", 1
    return f"<{'i' if described.signed else 'u'}{described.sample_bytes}", 1


def array_bytes(described: PixelDescription, *, rescales: bool) -> int:
    """Return the size of one frame's array."""
    code, depth = array_type(described, rescales=rescales)
    return described.rows * described.columns * depth * int(code[2:])


def array_header(described: PixelDescription, frames: int | None, *, rescales: bool) -> bytes:
    """Return the header of an array of `frames, rows, columns, samples`, without the first where `frames` is None."""
    code, depth = array_type(described, rescales=rescales)
    leading = "" if frames is None else f"{frames}, "
    text = f"{{'descr': '{code}', 'fortran_order': False, 'shape': ({leading}{described.rows},{described.columns},{depth}), }}"
    room = _HEADER_BYTES - len(_MAGIC) - 2
    padded = text.ljust(room - 1).encode() + b"\n"
    return _MAGIC + len(padded).to_bytes(2, "little") + padded
