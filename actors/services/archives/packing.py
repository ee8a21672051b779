"""How members are compressed."""

from collections.abc import Sequence
from typing import Final

from isal import isal_zlib

from store.dicom.elements import Buffer

LAST_BLOCK: Final = b"\x03\x00"  # an empty one that ends a stream, behind pieces that do not

_LEVEL: Final = 2  # see docs/dependencies.md, "Why this zlib"
_WINDOW: Final = -15  # zlib's code for: a raw stream, largest window


def pack(parts: Sequence[Buffer]) -> tuple[bytes, int]:
    """Return a content as a stream of its own, and its CRC."""
    whole = parts[0] if len(parts) == 1 else b"".join(parts)
    return isal_zlib.compress(whole, _LEVEL, _WINDOW), isal_zlib.crc32(whole)


def pack_piece(piece: Buffer) -> tuple[Buffer, bytes]:
    """Return a piece, and the part of a stream that it becomes; it needs none of the others."""
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _WINDOW)
    return piece, packer.compress(piece) + packer.flush(isal_zlib.Z_FULL_FLUSH)


def add_to_crc(crc: int, piece: Buffer) -> int:
    """Return the CRC of all up to a piece."""
    return isal_zlib.crc32(piece, crc)
