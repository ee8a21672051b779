"""The file that is transcoded, opened: its elements, the values that others follow from, what has no place in the result."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from store.dicom.elements import Buffer, Element, read_elements
from store.dicom.encoding import Change
from store.dicom.part10 import Part10, open_part10
from store.dicom.tags import PIXEL_DATA

IN_MEMORY_BYTES: Final = 64 << 20  # a larger dataset lies in a file
_OFFSET_TABLES: Final = (0x7FE00001, 0x7FE00002, 0x7FE00003)


@dataclass(frozen=True)
class Source:
    """One file."""

    part10: Part10

    @classmethod
    def of(cls, file: Buffer) -> "Source":
        """Raises InvalidDicom."""
        return cls(open_part10(file))

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The elements of the top level. Raises InvalidDicom, Busy."""
        return read_elements(self.part10.data, self.part10.start, self.part10.syntax)

    @cached_property
    def _by_tag(self) -> dict[int, Element]:
        """The elements by their tag; of several the first."""
        return {element.tag: element for element in reversed(self.elements)}

    @property
    def has_pixel_data(self) -> bool:
        return PIXEL_DATA in self._by_tag

    def raw(self, tags: Iterable[int]) -> dict[int, bytes]:
        """Return the values of those elements that there are."""
        data = self.part10.data
        found = [self._by_tag[tag] for tag in tags if tag in self._by_tag]
        return {element.tag: bytes(data[element.value : element.value + element.length]) for element in found}

    def text(self, tag: int) -> str:
        """Return the value of a UID, "" where there is none."""
        return self.raw((tag,)).get(tag, b"").partition(b"\0")[0].decode("ascii", "replace").strip()

    def without_fragments(self) -> dict[int, Change]:
        """Return what has no place in a dataset of other fragments, or of none."""
        changes: dict[int, Change] = dict.fromkeys(_OFFSET_TABLES)
        # A compressed icon inside a sequence goes with its sequence: it is a thumbnail of what is there.
        return changes | dict.fromkeys(element.tag for element in self.elements if _holds_fragments(element))


def _holds_fragments(element: Element) -> bool:
    return any(
        member.fragments is not None or _holds_fragments(member)
        for item in element.items or ()
        for member in item.elements
    )
