"""Who has reserved which blocks of private elements (PS3.5 §7.8.1), and what the dictionary then knows of them."""

from collections.abc import Iterable, Mapping
from typing import Final

from store.dicom.additions import has_private_tags
from store.dicom.dictionary import known_in
from store.dicom.elements import Buffer, Element, as_sequence
from store.dicom.syntax import Syntax
from store.dicom.values import TEXT_VRS, strip_padding

HEAD_BYTES: Final = 1 << 12  # of a value that should be some words at most
MAX_DEPTH: Final = 50
Creators = Mapping[int, tuple[int, str]]  # block of a group -> offset of its creator element, its name


def find_creators(data: Buffer, elements: Iterable[Element]) -> Creators:
    """Who owns each block among the elements of one dataset; names are taken as UTF-8 whatever the charset is.

    One that stands behind a higher tag does not count.
    """
    creators = {}
    highest = -1
    for element in elements:
        in_place, highest = element.tag > highest, max(highest, element.tag)
        if in_place and is_creator(element.tag) and element.vr in TEXT_VRS:
            creators[element.tag >> 16 << 8 | element.tag & 0xFF] = (element.start, read_creator(data, element))
    return creators


def read_creator(data: Buffer, element: Element) -> str:
    raw = bytes(data[element.value : element.value + min(element.length, HEAD_BYTES)])
    return strip_padding(raw, element.vr).decode("utf-8", "replace")


def creator_of(element: Element, creators: Creators) -> str | None:
    """The owner of the block of a private element that stands behind the owner's; None for any other."""
    owner = creators.get(_block(element.tag))
    return owner[1] if owner is not None and owner[0] < element.start else None


def creator_tag(tag: int) -> int | None:
    """The tag whose value names the owner of a private tag; None for tags that have none."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF if _block(tag) >= 0 else None


def typed(
    data: Buffer, elements: tuple[Element, ...], creators: Creators, depth: int, *, explicit: bool, little: bool
) -> tuple[Element, ...]:
    """Elements of a dataset, in implicit VR with the VRs that the dictionary has of their creators' tags.

    `depth` tells in how many sequences the dataset lies: beyond `MAX_DEPTH` nothing is opened any more.
    """
    if explicit or not creators or depth > MAX_DEPTH or not has_private_tags():
        return elements
    return tuple(_typed(data, element, creator_of(element, creators), little=little) for element in elements)


def _typed(data: Buffer, element: Element, creator: str | None, *, little: bool) -> Element:
    vr = known_in(element.tag, creator).vr if creator is not None and element.vr == "UN" else ""
    if vr == "SQ":
        return as_sequence(data, element, Syntax(explicit=False, little=little))
    return element._replace(vr=vr) if vr else element


def is_creator(tag: int) -> bool:
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF


def _block(tag: int) -> int:
    """The block of a private element as `find_creators` names it; -1 for any other element."""
    return tag >> 16 << 8 | tag >> 8 & 0xFF if tag & 0x10000 and tag & 0xFFFF > 0xFF else -1
