"""The picture that stands for an image that cannot be shown (`returnUnsupportedImage`): a gray field, crossed out."""

import zlib
from functools import cache
from typing import Final

from store.dicom.pixels.png import write_png

_COLUMNS: Final = 150
_ROWS: Final = 83
_GRAY, _WHITE = b"\x60", b"\xff"


@cache
def placeholder() -> bytes:
    """Return it as PNG."""
    rows = bytearray()
    for row in range(_ROWS):
        across = row * (_COLUMNS - 1) // (_ROWS - 1)
        line = bytearray(_GRAY * _COLUMNS)
        for place in (across, _COLUMNS - 1 - across):
            line[max(0, place - 1) : place + 2] = _WHITE * (min(_COLUMNS, place + 2) - max(0, place - 1))
        rows += b"\0" + line
    return write_png(_COLUMNS, _ROWS, 8, 0, zlib.compress(bytes(rows)))
