"""The headers of a PNG image that is to become an instance (ISO/IEC 15948): gray of 8 or 16 bits, RGB or RGBA of 8."""

import zlib
from collections.abc import Callable
from struct import error, pack, unpack_from
from typing import Final

from store.dicom.pixels.codestream import Codestream, Coding, Colour
from store.dicom.pixels.description import UndecodablePixels

PNG_IMAGE: Final = "image/png"  # where a transfer syntax stands else

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_KINDS: Final = {
    (0, 8): 1,
    (0, 16): 1,
    (2, 8): 3,
    (6, 8): 3,
}  # colour type and bits -> samples; what is transparent is not kept


def read_png(image: bytes) -> Codestream:
    """Read an image up to its end, each chunk with its checksum. Raises UndecodablePixels."""
    if not image.startswith(_SIGNATURE):
        raise UndecodablePixels("The image is no PNG")
    try:
        columns, rows, bits, colour = unpack_from(">IIBB", image, 16)
        end = _find_end(image)
    except error as exc:
        raise UndecodablePixels("The PNG ends inside a chunk") from exc
    samples = _KINDS.get((colour, bits))
    if samples is None:
        raise UndecodablePixels("Of PNG, gray of 8 or 16 bits and RGB and RGBA of 8 bits can be taken")
    if not rows or not columns or max(rows, columns) > 0xFFFF:
        raise UndecodablePixels("The image has more rows or columns than an instance can have, or none")
    return Codestream(
        coding=Coding.PNG,
        rows=rows,
        columns=columns,
        samples=samples,
        bits=bits,
        colour=Colour.RGB if samples == 3 else Colour.SILENT,
        size_bytes=end,
    )


def write_png(
    columns: int, rows: int, bits: int, colour: int, body: bytes, crc32: Callable[[bytes, int], int] = zlib.crc32
) -> bytes:
    """Return an image of a colour type, of which `body` is the compressed rows; `crc32` may be a faster one than zlib's."""
    chunks = ((b"IHDR", pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)), (b"IDAT", body), (b"IEND", b""))
    return _SIGNATURE + b"".join(
        pack(">I", len(data)) + kind + data + pack(">I", crc32(data, crc32(kind, 0))) for kind, data in chunks
    )


def _find_end(image: bytes) -> int:
    position = len(_SIGNATURE)
    while True:
        (length,) = unpack_from(">I", image, position)
        kind = image[position + 4 : position + 8]
        end = position + 12 + length
        (told,) = unpack_from(">I", image, end - 4)
        if zlib.crc32(image[position + 4 : end - 4]) != told or (position == 8) != (kind == b"IHDR"):
            raise UndecodablePixels("The PNG is damaged")
        if kind == b"IEND":
            return int(end)
        position = end
