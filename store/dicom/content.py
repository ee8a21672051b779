"""Raw access to the elements of a file: `/instances/{id}/content/{path}`.

A path alternates tags and indices of sequence items: `RequestAttributesSequence/0/0040-0009`. A dataset lists its tags
(`0010-0020`), a sequence its items, Pixel Data its fragments (one if it is native); any other element gives its bytes.
Source: Orthanc's REST route, observed on 1.12.7.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from events.errors import NotFound
from store.dicom.dictionary import parse_tag
from store.dicom.elements import Buffer, Element, in_order
from store.dicom.limits import large_datasets
from store.dicom.part10 import open_part10
from store.dicom.private_blocks import find_creators, typed
from store.dicom.rendering import dataset_elements
from store.dicom.tags import PIXEL_DATA
from store.dicom.values import TEXT_VRS, strip_padding

_WORD_BYTES: Final = {
    **dict.fromkeys(("AT", "OW", "SS", "US", "OB or OW"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}


class UnknownTag(NotFound):
    """A path names a tag that is in no dictionary (Orthanc: 500, UnknownDicomTag, 27)."""


@dataclass(frozen=True, slots=True)
class ContentListing:
    """What one may append to the path."""

    names: list[str]


def content(data: Buffer, path: Sequence[str]) -> ContentListing | bytes:
    """What `path` leads to: a list of names, or the bytes of a value in little endian.

    Raises: InvalidDicom; UnknownTag; NotFound; Busy, if it is a large one and others do not finish.
    """
    with large_datasets.scope():
        return _content(data, [name for name in path if name])


def _content(data: Buffer, names: Sequence[str]) -> ContentListing | bytes:
    file = open_part10(data)
    tags = [_tag(name) for name in names[::2]]
    elements, little, explicit = dataset_elements(file), file.syntax.little, file.syntax.explicit
    for number, tag in enumerate(tags):
        creators = find_creators(file.data, elements)
        element = _find(typed(file.data, elements, creators, number, explicit=explicit, little=little), tag)
        rest = names[2 * number + 1 :]
        if element.items is None:
            return _value(file.data, element, rest, little=little)
        if not rest:
            return ContentListing([str(index) for index in range(len(element.items))])
        item = element.items[_index(rest[0], len(element.items))]
        elements, little, explicit = in_order(item.elements), item.little, item.explicit
    return ContentListing([f"{element.tag >> 16:04x}-{element.tag & 0xFFFF:04x}" for element in elements])


@dataclass(frozen=True, slots=True)
class Value:
    """Where a value lies, which may be large."""

    data: Buffer
    vr: str
    little: bool
    extents: tuple[tuple[int, int], ...]  # offset, length; of encapsulated pixels one for each fragment
    is_encapsulated: bool = False

    def pieces(self) -> Iterator[Buffer]:
        """Yield the value in little endian and of even length; words in another order are turned in memory."""
        view = memoryview(self.data)
        for start, length in self.extents:
            raw = view[start : start + length]
            yield raw if self.little or self.vr not in _WORD_BYTES else _swapped(bytes(raw), _WORD_BYTES[self.vr])
        if not self.is_encapsulated and self.extents[0][1] & 1:
            yield b"\0"


def locate(data: Buffer, path: Sequence[str]) -> Value:
    """Find the value at a path of tags and numbers of items from 1, as in BulkDataURI. Raises NotFound, InvalidDicom, Busy."""
    with large_datasets.scope():
        file = open_part10(data)
        elements, little, explicit = dataset_elements(file), file.syntax.little, file.syntax.explicit
        for depth, name in enumerate(path[::2]):
            creators = find_creators(file.data, elements)
            found = _find(typed(file.data, elements, creators, depth, explicit=explicit, little=little), _tag(name))
            rest = path[2 * depth + 1 :]
            if found.items is None and not rest:
                is_encapsulated = found.fragments is not None
                extents = found.fragments[1:] if found.fragments is not None else ((found.value, found.length),)
                return Value(file.data, found.vr, little or is_encapsulated, extents, is_encapsulated)
            if found.items is None or not rest or not rest[0].isdecimal():
                break
            item = found.items[_index(str(int(rest[0][:9]) - 1), len(found.items))]
            elements, little, explicit = in_order(item.elements), item.little, item.explicit
    raise NotFound("a path ends at a value that is no sequence")


def _value(data: Buffer, element: Element, rest: Sequence[str], *, little: bool) -> ContentListing | bytes:
    if element.tag != PIXEL_DATA:
        if rest:
            raise NotFound("a value has no parts")
        return _bytes(data, element.value, element.length, element.vr, little=little)
    parts = element.fragments if element.fragments is not None else ((element.value, element.length),)
    if not rest:
        return ContentListing([str(index) for index in range(len(parts))])
    if len(rest) > 1:
        raise NotFound("a fragment has no parts")
    start, length = parts[_index(rest[0], len(parts))]
    vr = "OB" if element.fragments is not None else element.vr
    return _bytes(data, start, length, vr, little=little)


def _bytes(data: Buffer, start: int, length: int, vr: str, *, little: bool) -> bytes:
    """A value in little endian, of even length; padding of text that is not needed is taken off."""
    value = bytes(data[start : start + length])
    if vr == "UI":
        value = strip_padding(value, vr)
        value += bytes(len(value) & 1)
    elif length & 1:
        value += b"\0"
    elif vr in TEXT_VRS:
        value = value.rstrip(b" ")
        value += b" " * (len(value) & 1)
    return value if little or vr not in _WORD_BYTES else _swapped(value, _WORD_BYTES[vr])


def _swapped(value: bytes, size: int) -> bytes:
    """Words of `size` bytes in the other byte order; what is left at the end stays as it is."""
    whole = len(value) - len(value) % size
    swapped = bytearray(value)
    for offset in range(size):
        swapped[offset:whole:size] = value[size - 1 - offset : whole : size]
    return bytes(swapped)


def _tag(name: str) -> int:
    tag = parse_tag(name)
    if tag is None:
        raise UnknownTag(name)
    return tag


def _find(elements: Iterable[Element], tag: int) -> Element:
    for element in elements:
        if element.tag == tag:
            return element
    raise NotFound("no such element")


def _index(name: str, count: int) -> int:
    if not name.isdecimal() or int(name) >= count:
        raise NotFound("no such item")
    return int(name)
