"""What the datasets of a series have in common, byte for byte: stretches of elements whose text is known, and single elements between them.

Of 100 elements of a CT or MR image some five differ from one instance to the next. Whoever knows the others compares bytes, and reads five elements
instead of 100. A stretch begins and ends where elements do, and holds what its elements' text depends on besides, or the dataset has no pattern.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from events.errors import InvalidDicom
from store.dicom.elements import Buffer, read_element
from store.dicom.private_blocks import is_creator
from store.dicom.syntax import Syntax
from store.dicom.tags import SPECIFIC_CHARACTER_SET

MOST_COMPARED_BYTES: Final = 1 << 20  # of a dataset


class Written(NamedTuple):
    """An element of a dataset, in explicit VR and little endian, and its text, which may be none."""

    tag: int
    raw: bytes
    text: bytes


class Single(NamedTuple):
    """An element of a dataset that differs from that of the instance before."""

    tag: int
    raw: bytes
    vr: str
    creator: bytes  # the element that names the owner of a private one


class _Stretch(NamedTuple):
    raw: bytes
    text: bytes  # with commas, where it has any


class _Place(NamedTuple):
    tag: int
    creator: bytes


class Pattern:
    """Of one dataset, and those that are like it."""

    def __init__(self, written: Sequence[Written], changing: frozenset[int]) -> None:
        """`changing` are the tags that have differed so far in this series."""
        self._written = written
        self._changing = changing
        self._pieces: list[_Stretch | _Place] = []
        creators = {each.tag: each.raw for each in written if is_creator(each.tag)}
        same: list[Written] = []
        for each in written:
            if each.tag not in changing:
                same.append(each)
                continue
            self._end_stretch(same)
            same = []
            owner = each.tag & 0xFFFF0000 | each.tag >> 8 & 0xFF
            self._pieces.append(_Place(each.tag, creators.get(owner, b"") if each.tag & 0x10000 else b""))
        self._end_stretch(same)

    def _end_stretch(self, same: Sequence[Written]) -> None:
        if same:
            texts = b",".join(each.text for each in same if each.text)
            self._pieces.append(_Stretch(b"".join(each.raw for each in same), texts))

    def followed_by(self, written: Sequence[Written]) -> Self | None:
        """Return the pattern that the next dataset shows, None where it differs in what others' text depends on."""
        before = {each.tag: each.raw for each in self._written}
        changing = self._changing | {each.tag for each in written if before.get(each.tag) != each.raw}
        if any(tag == SPECIFIC_CHARACTER_SET or is_creator(tag) for tag in changing):
            return None
        return type(self)(written, changing)

    def find(self, data: Buffer, start: int, syntax: Syntax) -> list[bytes | Single] | None:
        """Return what a dataset consists of, texts and elements that are to be written; None where it is another one. Raises Busy."""
        if not isinstance(data, bytes) or not self._changing:
            return None
        position = start
        found: list[bytes | Single] = []
        for piece in self._pieces:
            if isinstance(piece, _Stretch):
                if not data.startswith(piece.raw, position):
                    return None
                position += len(piece.raw)
                found.append(piece.text)
                continue
            try:
                element = read_element(data, position, syntax)
            except InvalidDicom:  # as by the end of the dataset; whoever reads all of it says what is wrong
                return None
            if element.tag != piece.tag:
                return None
            found.append(Single(piece.tag, data[position : element.end], element.vr, piece.creator))
            position = element.end
        return found if position == len(data) else None


def first_pattern(written: Sequence[Written]) -> Pattern:
    return Pattern(written, frozenset())
