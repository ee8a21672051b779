"""What a modification changes within the items of a sequence; a sequence in which nothing changes is left as its bytes are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from events.errors import InvalidDicom
from store.dicom.change.conformance import value_that_says_nothing
from store.dicom.change.drawn import Drawn
from store.dicom.change.modification import Modification, NewValue
from store.dicom.change.rules import Act, Rules
from store.dicom.change.tag_path import TagPath
from store.dicom.change.values import Form, vr_of, write_bytes, write_element, write_item
from store.dicom.charsets import Charset
from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import UNDEFINED, Buffer, Element, Item, in_order, read_unknown_items
from store.dicom.encoding import element_header
from store.dicom.rendering import item_charset
from store.dicom.syntax import Syntax
from store.dicom.tags import SEQUENCE_END

_PADDING: Final = b" \0"
_ITEM: Final = b"\xfe\xff\x00\xe0"  # how one begins in implicit VR little endian, which values of VR UN are in


class Paths(NamedTuple):
    """What is named from here on, the first step being into a sequence of this dataset or none."""

    replace: tuple[tuple[TagPath, NewValue], ...]
    remove: tuple[TagPath, ...]
    keep: tuple[TagPath, ...]

    @classmethod
    def of(cls, change: Modification) -> "Paths":
        """Return those that lead into items."""
        return cls(
            tuple((path, value) for path, value in change.replace.items() if path.parents),
            tuple(path for path in change.remove if path.parents),
            tuple(path for path in change.keep if path.parents),
        )

    def into(self, tag: int, index: int) -> "Paths":
        """Return those that lead through an item, from its inside."""
        return Paths(
            tuple((path.rest(), value) for path, value in self.replace if path.leads_through(tag, index)),
            tuple(path.rest() for path in self.remove if path.leads_through(tag, index)),
            tuple(path.rest() for path in self.keep if path.leads_through(tag, index)),
        )

    def here(self) -> tuple[Mapping[int, NewValue], frozenset[int], frozenset[int]]:
        """Return what is replaced, removed and kept in this very dataset."""
        return (
            {path.tag: value for path, value in self.replace if not path.parents},
            frozenset(path.tag for path in self.remove if not path.parents),
            frozenset(path.tag for path in self.keep if not path.parents),
        )


def new_uids(raw: bytes, drawn: Drawn) -> bytes:
    """Return a value of UIDs with each of them replaced."""
    return b"\\".join(drawn.uid(uid.strip(_PADDING)) for uid in raw.split(b"\\"))


def new_patient_id(raw: bytes, drawn: Drawn) -> bytes:
    return drawn.patient_id(raw.rstrip(_PADDING))


@dataclass(frozen=True, slots=True)
class ItemEditor:
    """For the items of one file."""

    data: Buffer
    rules: Rules
    drawn: Drawn
    charset: Charset
    syntax: Syntax

    def sequence(self, element: Element, paths: Paths) -> bytes | None:
        """Return a sequence of the file anew; None if nothing in it changes, and b"" if it cannot be read and must not stay."""
        return self._sequence(element, paths, explicit=self.syntax.explicit, little=self.syntax.little)

    def _sequence(self, element: Element, paths: Paths, *, explicit: bool, little: bool) -> bytes | None:
        is_unknown = explicit and bytes(self.data[element.start + 4 : element.start + 6]) != b"SQ"
        items = element.items
        if items is None:
            try:
                items = read_unknown_items(self.data, element.value, element.value + element.length)
            except InvalidDicom:
                return b"" if self.rules.looks_into_items else None
        edited = [
            self._item(element.tag, item, paths.into(element.tag, index), explicit=explicit and not is_unknown)
            for index, item in enumerate(items)
        ]
        if all(value is None for value in edited):
            return None
        value = b"".join(
            write_item(self._as_it_is(item) if new is None else new, little=item.little)
            for item, new in zip(items, edited, strict=True)
        )
        if not is_unknown and (explicit or dictionary_vr(element.tag) == "SQ"):
            return element_header(element.tag, "SQ", len(value), explicit=explicit, little=little) + value
        if element.end == element.value + element.length:
            return element_header(element.tag, "UN", len(value), explicit=explicit, little=little) + value
        # A reader that does not know the tag sees by its undefined length that it is a sequence.
        head = element_header(element.tag, "UN", UNDEFINED, explicit=explicit, little=little)
        return head + value + element_header(SEQUENCE_END, "", 0, explicit=False, little=items[0].little)

    def _as_it_is(self, item: Item) -> bytes:
        if not item.elements:
            return b""
        return bytes(self.data[item.elements[0].start : item.elements[-1].end])

    def _item(self, sequence: int, item: Item, paths: Paths, *, explicit: bool) -> bytes | None:
        """Return the content of an item anew; None if nothing in it changes."""
        replace, remove, keep = paths.here()
        elements = in_order(item.elements)
        is_changed = bool(replace) or len(elements) < len(
            item.elements
        )  # of one that occurs twice nobody reads the second
        parts: dict[int, bytes] = {}
        for element in elements:
            if element.tag in replace or (element.tag in remove and element.tag not in keep):
                is_changed = True
                continue
            act = Act.KEEP if element.tag in keep else self.rules.in_item(sequence, element.tag)
            new = None if act is Act.KEEP else self._element(element, act, paths, explicit=explicit, little=item.little)
            is_changed |= new is not None
            parts[element.tag] = bytes(self.data[element.start : element.end]) if new is None else new
        if not is_changed:
            return None
        if replace:
            charset = item_charset(self.data, item, self.charset)
            form = Form(explicit=explicit, little=item.little, encoding=charset.written)
            parts |= {tag: write_element(tag, value, form) for tag, value in replace.items()}
        return b"".join(parts[tag] for tag in sorted(parts))

    def _element(self, element: Element, act: Act, paths: Paths, *, explicit: bool, little: bool) -> bytes | None:
        """Return an element anew; None if it stays, b"" if it leaves."""
        if act is Act.LOOK_INTO:
            if not is_sequence(self.data, element):
                return None
            return self._sequence(element, paths, explicit=explicit, little=little)
        if act is Act.REMOVE:
            return b""
        form = Form(explicit=explicit, little=little, encoding=self.charset.written)
        return changed_value(self.data, element, act, self.drawn, form)


def is_sequence(data: Buffer, element: Element) -> bool:
    """Tell whether an element is a sequence, whatever its VR is said to be; one of an unknown tag shows it by its first item."""
    if element.items is not None:
        return True
    if not element.length or element.fragments is not None:
        return False
    known = dictionary_vr(element.tag)
    if known:
        return known == "SQ"
    return element.vr == "UN" and bytes(data[element.value : element.value + len(_ITEM)]) == _ITEM


def changed_value(data: Buffer, element: Element, act: Act, drawn: Drawn, form: Form) -> bytes:
    """Return an element that is emptied, or whose identifiers are replaced."""
    if act is Act.SAY_NOTHING:
        return write_element(element.tag, value_that_says_nothing(element.tag), form)
    if act is Act.CLEAR:
        return write_bytes(element.tag, vr_of(element.tag), b"", form)
    raw = bytes(data[element.value : element.value + element.length])
    if act is Act.NEW_UID:
        return write_bytes(element.tag, "UI", new_uids(raw, drawn), form)
    return write_bytes(element.tag, "LO", new_patient_id(raw, drawn), form)


def known_values(data: Buffer, elements: Iterable[Element], pinned: Mapping[int, bytes | None]) -> dict[bytes, bytes]:
    """Return what the identifiers of a dataset become whose tags are `pinned`: a value, or None for what they are."""
    known = {}
    for element in elements:
        if element.tag in pinned and element.items is None:
            old = bytes(data[element.value : element.value + element.length]).strip(_PADDING)
            new = pinned[element.tag]
            known[old] = old if new is None else new
    return known
