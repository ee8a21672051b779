"""The main header and the tile-parts of a JPEG 2000 codestream (ITU-T T.800 §A); HTJ2K has the same."""

from struct import error, unpack_from
from typing import Final

from store.dicom.pixels.codestream import Codestream, Coding, Colour
from store.dicom.pixels.description import UndecodablePixels

_BEGINNING: Final = b"\xff\x4f\xff\x51"  # SOC, SIZ
_COD: Final = 0xFF52
_SOT: Final = 0xFF90
_EOC: Final = 0xFFD9
_LEAST_MARKER: Final = 0xFF30
_SIGNED: Final = 0x80


def read_jpeg_2000(frame: bytes) -> Codestream:
    """Read a codestream; all of its tile-parts must be there. Raises UndecodablePixels."""
    if not frame.startswith(_BEGINNING):
        raise UndecodablePixels("A frame does not begin as a JPEG 2000 codestream does")
    try:
        return _read(frame)
    except (error, ZeroDivisionError) as exc:
        raise UndecodablePixels("A frame of JPEG 2000 is cut short inside a header") from exc


def _read(frame: bytes) -> Codestream:
    length, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, count = unpack_from(
        ">HHIIIIIIIIH", frame, 4
    )
    components = [unpack_from(">BBB", frame, 42 + 3 * place) for place in range(min(count, 4))]
    if length != 38 + 3 * count or len(set(components)) != 1:
        raise UndecodablePixels("The components of a frame of JPEG 2000 differ from each other")
    depth, *steps = components[0]
    if steps != [1, 1]:
        raise UndecodablePixels("The components of a frame of JPEG 2000 are subsampled")
    position, is_transformed = _main_header(frame, 4 + length)
    across, down = -(-(right - tile_left) // tile_width), -(-(bottom - tile_top) // tile_height)
    return Codestream(
        coding=Coding.WAVELET,
        rows=bottom - top,
        columns=right - left,
        samples=count,
        bits=(depth & ~_SIGNED) + 1,
        signed=bool(depth & _SIGNED),
        colour=Colour.TRANSFORMED if is_transformed else Colour.SILENT,
        size_bytes=_tile_parts(frame, position, across * down),
    )


def _main_header(frame: bytes, position: int) -> tuple[int, bool]:
    """Where the first tile-part begins, and whether the components were transformed together."""
    is_transformed = False
    while True:
        marker, length = unpack_from(">HH", frame, position)
        if marker == _SOT:
            return position, is_transformed
        if marker < _LEAST_MARKER or length < 2:
            raise UndecodablePixels("A frame of JPEG 2000 holds something between its segments")
        if marker == _COD:
            is_transformed = unpack_from(">B", frame, position + 8)[0] == 1
        position += 2 + length


def _tile_parts(frame: bytes, position: int, tiles: int) -> int:
    """Walk over the tile-parts; returns where the codestream ends. Raises UndecodablePixels."""
    seen: set[int] = set()
    while True:
        (marker,) = unpack_from(">H", frame, position)
        if marker == _EOC:
            break
        if marker != _SOT:
            raise UndecodablePixels("A frame of JPEG 2000 holds something between its tiles")
        tile, length = unpack_from(">HI", frame, position + 4)
        seen.add(tile)
        if not length:  # the last one, up to the end
            position = frame.rstrip(b"\0").rfind(b"\xff\xd9")
            if position < 0:
                raise UndecodablePixels("A frame of JPEG 2000 is cut short: its end is missing")
            break
        if length < 14:
            raise UndecodablePixels("A tile of JPEG 2000 has an impossible length")
        position += length
    if len(seen) != tiles:
        raise UndecodablePixels(f"A frame of JPEG 2000 has {len(seen)} of its {tiles} tiles")
    return position + 2
