"""A DICOM file's dataset in another, uncompressed, transfer syntax, for a peer that cannot take it as it is stored.

Between uncompressed syntaxes only headers and byte order change (`store.dicom.encoding`). What is compressed is
decoded by the library that serves its syntax, frame by frame; the values of all other elements are left as they are,
and so is the SOP Instance UID: the instance is the same. As with DCMTK, and so Orthanc, JPEG's YBR becomes RGB, while
lossless syntaxes keep the samples they hold.

The decoders, and numpy with them, are imported when the first compressed file has to be decoded.
"""

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from actors.remote.extended_jpeg import JPEG_EXTENDED, decode_deep, is_deep
from events.errors import InvalidDicom
from store.dicom.elements import PIXEL_DATA, Buffer, Element, read_elements
from store.dicom.encoding import Change, encode_dataset
from store.dicom.part10 import Part10, open_part10
from store.dicom.syntax import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

UNCOMPRESSED: Final = (EXPLICIT_LE, IMPLICIT_LE)  # what can be made, in the order of preference
READABLE: Final = frozenset({EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE, "1.2.840.10008.1.2.1.99"})

_FAMILY: Final = "1.2.840.10008.1.2."
_RLE: Final = "1.2.840.10008.1.2.5"
_LOSSY_JPEG: Final = frozenset({_FAMILY + "4.50", JPEG_EXTENDED})
# Which library decodes what; pydicom's name of each.
_DECODERS: Final = {
    _RLE: "pydicom",
    **dict.fromkeys((_FAMILY + f"4.{number}" for number in (50, 51, 57, 70, 80, 81)), "gdcm"),
    **dict.fromkeys((_FAMILY + f"4.{number}" for number in (90, 91, 201, 202, 203)), "pylibjpeg"),
}
_PHOTOMETRIC_INTERPRETATION: Final = 0x00280004
_PLANAR_CONFIGURATION: Final = 0x00280006
_BITS_ALLOCATED: Final = 0x00280100
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)


class CannotTranscode(InvalidDicom):
    """A file cannot be had in the transfer syntax that was asked for."""


def can_transcode(source: str, target: str) -> bool:
    """Tell whether files of one transfer syntax can be made into another; a single file may still fail."""
    return target in UNCOMPRESSED and (source in READABLE or source in _DECODERS)


def transcode(file: Buffer, target: str) -> bytes:
    """Return the dataset of a DICOM file, without meta information, in explicit or implicit VR little endian.

    Raises CannotTranscode for a syntax that is not supported, or pixels that cannot be decoded; InvalidDicom for a file
    that is none.
    """
    part10 = open_part10(file)
    source = part10.transfer_syntax
    if not can_transcode(source, target):
        raise CannotTranscode(f"Cannot transcode from {source or 'an unknown transfer syntax'} to {target}")
    elements = read_elements(part10.data, part10.start, part10.syntax)
    changes = _decompress(file, part10, elements) if part10.syntax.encapsulated else {}
    return encode_dataset(part10, elements, explicit=target == EXPLICIT_LE, changes=changes)


def _decompress(file: Buffer, part10: Part10, elements: tuple[Element, ...]) -> dict[int, Change]:
    """Return what has to change in a compressed dataset."""
    changes: dict[int, Change] = dict.fromkeys(_OFFSET_TABLES)
    # A compressed icon inside a sequence goes with its sequence: it is a thumbnail of what is there.
    changes |= dict.fromkeys(element.tag for element in elements if _holds_fragments(element))
    if any(element.tag == PIXEL_DATA for element in elements):
        changes |= _decode(file, part10.transfer_syntax)
    return changes


def _holds_fragments(element: Element) -> bool:
    return any(
        member.fragments is not None or _holds_fragments(member)
        for item in element.items or ()
        for member in item.elements
    )


def _decode(file: Buffer, syntax: str) -> dict[int, Change]:
    """Decode all frames; returns the elements that describe them and Pixel Data itself."""
    frames, described = _decode_frames(file, syntax)
    pixels = b"".join(frame.tobytes() for frame in frames)
    bits = 8 * frames[0].itemsize
    changes: dict[int, Change] = {
        _PHOTOMETRIC_INTERPRETATION: ("CS", _even(str(described["photometric_interpretation"]))),
        _BITS_ALLOCATED: ("US", bits.to_bytes(2, "little")),
        PIXEL_DATA: ("OB" if bits == 8 else "OW", pixels),
    }
    if described["samples_per_pixel"] > 1:
        changes[_PLANAR_CONFIGURATION] = ("US", bytes(2))  # numpy's frames are in the order of pixels
    return changes


def _decode_frames(file: Buffer, syntax: str) -> tuple[list[Any], dict[str, Any]]:
    from pydicom import dcmread

    with warnings.catch_warnings():  # what else is odd about the file is not ours to say
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(BytesIO(file), force=True, specific_tags=_pixel_tags())
            decoded = list(_iterate(dataset, syntax))
        except Exception as exc:  # libraries of several kinds, each with errors of its own
            raise CannotTranscode(f"Cannot decode the pixels of an instance in {syntax}: {type(exc).__name__}") from exc
    if not decoded:
        raise CannotTranscode("An instance has no frames to decode")
    return [array for array, _ in decoded], dict(decoded[-1][1])


def _iterate(dataset: Any, syntax: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Iterate over decoded frames as arrays, each with the attributes that describe it now."""
    if is_deep(dataset, syntax):
        described = {"photometric_interpretation": dataset.PhotometricInterpretation, "samples_per_pixel": 1}
        yield from ((frame, described) for frame in decode_deep(dataset))
        return
    from pydicom.pixels.decoders.base import get_decoder

    decoder = get_decoder(syntax)
    plugin = _DECODERS[syntax]
    yield from decoder.iter_array(dataset, decoding_plugin=plugin, raw=False, as_rgb=syntax in _LOSSY_JPEG)


def _pixel_tags() -> list[int]:
    """The elements that decoding needs: the Image Pixel module, and how many frames there are (PS3.3 §C.7.6.3)."""
    group = (2, 4, 6, 8, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103)
    return [*(0x00280000 | number for number in group), *_OFFSET_TABLES, PIXEL_DATA, 0x00080016]


def _even(text: str) -> bytes:
    raw = text.encode("ascii")
    return raw + b" " * (len(raw) & 1)
