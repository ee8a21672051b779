"""The beginning of a DICOM file, up to Pixel Data, as a file of its own: as much of it as shows tags.

What follows Pixel Data is not shown either way. The element itself is: it stays, without a value.
"""

from struct import pack
from typing import Final

from store.dicom.elements import LONG_VRS
from store.dicom.syntax import Syntax, read_syntax
from store.dicom.tags import ITEM, SEQUENCE_END

HEADER_BYTES: Final = 12  # the longest header of Pixel Data


def can_end_at_pixels(transfer_syntax: str) -> bool:
    """Tell whether a file's dataset lies open in it, so that a part of it can be read."""
    syntax = read_syntax(transfer_syntax)
    return syntax is not None and not syntax.deflated


def end_at_pixels(beginning: bytes, offset: int, transfer_syntax: str) -> bytes:
    """Return a file that ends with a Pixel Data element of no value.

    `offset` is that of Pixel Data; its header is the last of the beginning that is looked at.
    """
    syntax = read_syntax(transfer_syntax)
    assert syntax is not None
    return beginning[:offset] + _empty(beginning[offset : offset + HEADER_BYTES], syntax)


def _empty(header: bytes, syntax: Syntax) -> bytes:
    """Return the element without its value; of an undefined length, without its fragments."""
    if syntax.explicit:
        place, end = (8, 12) if header[4:6] in LONG_VRS else (6, 8)
    else:
        place, end = 4, 8
    if header[place:end] != b"\xff" * 4:
        return header[:place] + bytes(end - place)
    order = "<" if syntax.little else ">"
    return header[:end] + b"".join(pack(f"{order}HHI", tag >> 16, tag & 0xFFFF, 0) for tag in (ITEM, SEQUENCE_END))
