"""A dataset made of values: `/tools/create-dicom`. In explicit VR little endian, or with encapsulated pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from events.identifiers import Level
from store.dicom.change.modification import NewValue
from store.dicom.change.values import Form, write_bytes, write_element
from store.dicom.elements import UNDEFINED
from store.dicom.encoding import element_header
from store.dicom.part10 import file_meta
from store.dicom.pixels.codestream import Codestream
from store.dicom.tags import ITEM, PIXEL_DATA, SEQUENCE_END, SOP_CLASS_UID, SOP_INSTANCE_UID
from store.dicom.uids import EXPLICIT_LE

# The date and the time of a study, a series, and of instance creation, acquisition and content, by what holds them.
_MOMENTS: Final = {
    Level.STUDY: ((0x00080020,), (0x00080030,)),
    Level.SERIES: ((0x00080021,), (0x00080031,)),
    Level.INSTANCE: ((0x00080012, 0x00080022, 0x00080023), (0x00080013, 0x00080032, 0x00080033)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Pixels of an instance: native ones, or codestreams in a compressed syntax."""

    described: Mapping[int, NewValue]  # the attributes of the Image Pixel module
    pixels: bytes
    transfer_syntax: str = EXPLICIT_LE


def dated(now: datetime, below: Level | None) -> dict[int, NewValue]:
    """Return when what is new was made, below what is there already, for an instance that says nothing else.

    Source: observed on Orthanc 1.12.7.
    """
    found: dict[int, NewValue] = {}
    for level, (dates, times) in _MOMENTS.items():
        if below is None or level > below:
            found |= dict.fromkeys(dates, f"{now:%Y%m%d}")
            found |= dict.fromkeys(times, f"{now:%H%M%S}.000000")
    return found


def describe_image(found: Codestream, photometric_interpretation: str) -> dict[int, NewValue]:
    """Return the attributes of the Image Pixel module of an image whose samples are unsigned."""
    colour: dict[int, NewValue] = {0x00280006: "0"} if found.samples > 1 else {}
    return colour | {
        0x00280002: str(found.samples),
        0x00280004: photometric_interpretation,
        0x00280010: str(found.rows),
        0x00280011: str(found.columns),
        0x00280100: str(found.bits),
        0x00280101: str(found.bits),
        0x00280102: str(found.bits - 1),
        0x00280103: "0",
    }


def new_file(
    values: Mapping[int, NewValue], encoding: str, picture: Picture | None = None, document: bytes | None = None
) -> tuple[bytes, ...]:
    """Return a whole file, in parts; `encoding` is of `store.dicom.charset_encoding`. Raises UnfitValue.

    `document` is the value of Encapsulated Document.
    """
    form = Form(explicit=True, little=True, encoding=encoding)
    if picture is not None:
        values = {**values, **picture.described}
    parts = {tag: write_element(tag, value, form) for tag, value in values.items()}
    if document is not None:
        parts[0x00420011] = write_bytes(0x00420011, "OB", document, form)
    if picture is not None:
        parts[PIXEL_DATA] = _pixels(picture, form)
    texts = [str(values.get(tag, "")) for tag in (SOP_CLASS_UID, SOP_INSTANCE_UID)]
    syntax = EXPLICIT_LE if picture is None else picture.transfer_syntax
    return file_meta(texts[0], texts[1], syntax), *(parts[tag] for tag in sorted(parts))


def _pixels(picture: Picture, form: Form) -> bytes:
    if picture.transfer_syntax == EXPLICIT_LE:
        # OW as from Orthanc, whatever the bits; both are allowed for 8 (PS3.5 §8.1.2)
        return write_bytes(PIXEL_DATA, "OW", picture.pixels, form)
    return b"".join(
        (
            element_header(PIXEL_DATA, "OB", UNDEFINED, explicit=True, little=True),
            *(_fragment(value) for value in (bytes(4), picture.pixels)),  # the offset table, and the one frame
            element_header(SEQUENCE_END, "", 0, explicit=False, little=True),
        )
    )


def _fragment(value: bytes) -> bytes:
    value += bytes(len(value) & 1)
    return element_header(ITEM, "", len(value), explicit=False, little=True) + value
