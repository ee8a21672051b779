"""A new value in the bytes of an element. Source: observed on Orthanc 1.12.7; PS3.5 §6.2.

Text is encoded in the character set of its dataset, and what that lacks is left out. A value of numbers has its numbers as text, with
backslashes between them. A private tag, and one that the dictionary does not have, gets VR UN. Unlike Orthanc, a negative number is no value of
an unsigned VR (there it becomes another number), and a tag that is signed or not, as the pixels are, takes what its pixels take (there: none).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from struct import error, pack
from typing import Final

from store.dicom.change.errors import UnfitValue
from store.dicom.change.modification import NewValue
from store.dicom.charset_encoding import encode_text
from store.dicom.dictionary import dictionary_vr, format_tag, parse_tag
from store.dicom.encoding import element_header, padding
from store.dicom.tags import ITEM
from store.dicom.values import FLOAT_VRS, NUMBER_CODES, TEXT_VRS

_INTEGERS: Final = {**{vr: code for vr, code in NUMBER_CODES.items() if vr not in FLOAT_VRS}, "SV": "q", "UV": "Q"}
_DATA_URI: Final = re.compile(r"data:[^;,]*;base64,(.*)", re.DOTALL)
_CHOICES: Final = {"US or SS": "US", "US or SS or OW": "OW", "US or OW": "OW", "OB or OW": "OW", "": "UN"}


class Verbatim(str):
    """A text that is no data URI, whatever it looks like."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Form:
    """How elements of a dataset are written."""

    explicit: bool
    little: bool
    encoding: str  # of `store.dicom.charset_encoding`
    signed: bool = False  # PixelRepresentation


def write_element(tag: int, value: NewValue, form: Form) -> bytes:
    """Return a whole element. Raises UnfitValue."""
    vr = vr_of(tag, signed=form.signed)
    if vr == "SQ" or isinstance(value, tuple):
        if isinstance(value, str):
            raise _unfit(tag, value)
        items = b"".join(_item(item, form) for item in value)
        return element_header(tag, "SQ", len(items), explicit=form.explicit, little=form.little) + items
    return write_bytes(tag, vr, encode_value(tag, vr, value, form), form)


def write_bytes(tag: int, vr: str, value: bytes, form: Form) -> bytes:
    """Return an element of a value that is encoded."""
    value += padding(value, vr)
    return element_header(tag, vr, len(value), explicit=form.explicit, little=form.little) + value


def write_item(value: bytes, *, little: bool) -> bytes:
    return element_header(ITEM, "", len(value), explicit=False, little=little) + value


def _item(members: Mapping[int, NewValue], form: Form) -> bytes:
    parts = (write_element(tag, members[tag], form) for tag in sorted(members))
    return write_item(b"".join(parts), little=form.little)


def vr_of(tag: int, *, signed: bool = False) -> str:
    vr = dictionary_vr(tag)
    if vr == "US or SS" and signed:
        return "SS"
    return "LO" if _is_creator(tag) else "UN" if tag & 0x10000 else _CHOICES.get(vr, vr)


def _is_creator(tag: int) -> bool:
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


def encode_value(tag: int, vr: str, value: str, form: Form) -> bytes:
    """Return the bytes of a text, not padded. Raises UnfitValue."""
    uri = None if isinstance(value, Verbatim) else _DATA_URI.match(value)
    if uri is not None:
        try:
            return base64.b64decode(uri[1], validate=True)
        except binascii.Error:
            raise _unfit(tag, value) from None
    if vr in TEXT_VRS:
        return encode_text(value.rstrip(" "), form.encoding, vr)
    if vr not in {*_INTEGERS, *FLOAT_VRS, "AT"}:
        return encode_text(value, form.encoding, vr)
    try:
        return b"".join(_number(part, vr, "<" if form.little else ">") for part in value.split("\\") if value)
    except (ValueError, OverflowError, error):
        raise _unfit(tag, value) from None


def without_data_uris(value: NewValue) -> NewValue:
    """Return a value whose data URIs are written as the texts they are."""
    if isinstance(value, str):
        return Verbatim(value)
    return tuple({tag: without_data_uris(member) for tag, member in item.items()} for item in value)


def _number(text: str, vr: str, order: str) -> bytes:
    if vr == "AT":
        named = parse_tag(text.strip(" ()"))
        if named is None:
            raise ValueError(text)
        return pack(order + "HH", named >> 16, named & 0xFFFF)
    if vr in FLOAT_VRS:
        return pack(order + NUMBER_CODES[vr], float(text))
    return pack(order + _INTEGERS[vr], int(text))


def _unfit(tag: int, value: str) -> UnfitValue:
    # The value is the client's own; a long one is not repeated.
    shown = value if len(value) <= 64 else f"{value[:64]}…"
    return UnfitValue(f'While creating a DICOM instance, tag ({format_tag(tag)}) has out-of-range value: "{shown}"')
