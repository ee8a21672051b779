"""A file's dataset with a modification applied.

Elements that do not change keep their bytes: they are views of the file, joined to one where they follow each other, so that pixels
are never copied. Sequences in which something changes are written anew, with defined lengths. The file's head is ours, as Orthanc's is
its own: nothing of the old one, which may name people and places, is left. Group lengths are left out: they would be wrong now.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from store.dicom.change.drawn import Drawn
from store.dicom.change.items import ItemEditor, Paths, changed_value, is_sequence, known_values
from store.dicom.change.modification import Modification, NewValue
from store.dicom.change.rules import FOREIGN_GROUPS, Act, Rules
from store.dicom.change.values import Form, encode_value, write_bytes, write_element
from store.dicom.charsets import Charset, charset_of
from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import Buffer, Element, in_order, read_elements
from store.dicom.inflating import deflate
from store.dicom.part10 import Part10, file_meta
from store.dicom.rendering import dataset_charset
from store.dicom.tags import (
    PATIENT_ID,
    PIXEL_REPRESENTATION,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
)
from store.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Changed:
    """A whole file, in parts; they are views of the source as far as nothing changed."""

    parts: tuple[bytes | memoryview, ...]
    sop_instance: str
    transfer_syntax: str

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self.parts))

    def pieces(self, most_bytes: int) -> Iterator[bytes]:
        """Iterate over the file in pieces of at most so many bytes."""
        for part in self.parts:
            for start in range(0, len(part), most_bytes):
                yield bytes(part[start : start + most_bytes])


class Editor:
    """Applies one modification to files. Thread-safe."""

    def __init__(self, change: Modification, drawn: Drawn, default_encoding: str) -> None:
        self._change = change
        self._drawn = drawn
        self._default_encoding = default_encoding
        self._rules = Rules(change)
        self._paths = Paths.of(change)
        self._root = {**self._rules.root, **dict.fromkeys(change.new_uids, Act.NEW_UID)}
        self._roots: dict[str, Mapping[int, Act]] = {}  # by SOP class
        self._values = {path.tag: value for path, value in change.replace.items() if not path.parents}
        self._written: dict[Form, Mapping[int, bytes]] = {}
        self._pinned = self._find_pinned() if change.is_anonymization else {}

    def edit(self, file: Part10) -> Changed:
        """Return a file anew. Raises InvalidDicom; UnfitValue; Busy."""
        elements = in_order(read_elements(file.data, file.start, file.syntax))
        charset = self._charset(file, elements)
        form = Form(file.syntax.explicit, file.syntax.little, charset.written, _is_signed(file, elements))
        drawn = self._drawn
        if self._pinned:
            drawn = drawn.with_known(known_values(file.data, elements, self._pinned))
        new = dict(self._write_values(form)) | self._creators(elements, form)
        editing = _Editing(
            memoryview(file.data), self._root_of(file.data, elements), self._rules, self._paths, drawn, form
        )
        items = ItemEditor(file.data, self._rules, drawn, charset, file.syntax)
        parts = list(editing.run(elements, new, items))
        sop_class, sop_instance = self._identity(file.data, elements, drawn)
        if file.syntax.deflated:
            dataset = b"".join(parts)
            parts = [deflate(dataset, 0, len(dataset))]
        syntax = _told_syntax(file)
        return Changed((file_meta(sop_class, sop_instance, syntax), *parts), sop_instance, syntax)

    def _root_of(self, data: Buffer, elements: tuple[Element, ...]) -> Mapping[int, Act]:
        """Return what happens to each attribute at the top level of a file, which depends on what object it is."""
        if not self._change.is_anonymization:
            return self._root
        told = next((element for element in elements if element.tag == SOP_CLASS_UID), None)
        sop_class = (
            "" if told is None else str(data[told.value : told.value + told.length], "ascii", "replace").strip(" \0")
        )
        root = self._roots.get(sop_class)
        if root is None:
            root = self._roots[sop_class] = {**self._root, **self._rules.needed_in(sop_class)}
        return root

    def _charset(self, file: Part10, elements: tuple[Element, ...]) -> Charset:
        """Return that of the result, in which new text is written; other text is not converted, as by Orthanc."""
        declared = self._values.get(SPECIFIC_CHARACTER_SET)
        if isinstance(declared, str):
            return charset_of(declared, self._default_encoding)
        return dataset_charset(file, elements, self._default_encoding)

    def _write_values(self, form: Form) -> Mapping[int, bytes]:
        """Return the replaced elements, written once for all files of a form."""
        written = self._written.get(form)
        if written is None:
            values = {
                tag: value for tag, value in self._values.items() if tag >> 16 not in FOREIGN_GROUPS and tag & 0xFFFF
            }
            written = self._written[form] = {tag: write_element(tag, value, form) for tag, value in values.items()}
        return written

    def _creators(self, elements: tuple[Element, ...], form: Form) -> dict[int, bytes]:
        """Return the reservations that replaced private elements lack (PS3.5 §7.8.1); Orthanc adds none."""
        if not self._change.private_creator:
            return {}
        blocks = {
            tag & 0xFFFF0000 | tag >> 8 & 0xFF for tag in self._values if tag & 0x10000 and tag & 0xFFFF >= 0x1000
        }
        there = {element.tag for element in elements if self._act(element.tag) is not Act.REMOVE} | self._values.keys()
        return {block: write_element(block, self._change.private_creator, form) for block in blocks - there}

    def _act(self, tag: int) -> Act:
        act = self._root.get(tag)
        return self._rules.of_other(tag) if act is None else act

    def _find_pinned(self) -> dict[int, bytes | None]:
        """Return the identifiers whose new value the client says, and None for those that it keeps: references follow."""
        pinned: dict[int, bytes | None] = {}
        form = Form(explicit=True, little=True, encoding="Utf8")
        for tag in {path.tag for path in (*self._change.keep, *self._change.replace) if not path.parents}:
            if tag == PATIENT_ID or dictionary_vr(tag) == "UI":
                pinned[tag] = _text_bytes(tag, self._values.get(tag), form)
        return pinned

    def _identity(self, data: Buffer, elements: tuple[Element, ...], drawn: Drawn) -> tuple[str, str]:
        """Return SOP class and instance of the result."""
        found = dict.fromkeys((SOP_CLASS_UID, SOP_INSTANCE_UID), "")
        for element in elements:
            if element.tag in found and self._act(element.tag) is not Act.REMOVE:
                raw = bytes(data[element.value : element.value + element.length]).strip(b" \0")
                found[element.tag] = (drawn.uid(raw) if self._act(element.tag) is Act.NEW_UID else raw).decode(
                    "ascii", "replace"
                )
        for tag in found:
            value = self._values.get(tag)
            if isinstance(value, str):
                found[tag] = value
        return found[SOP_CLASS_UID], found[SOP_INSTANCE_UID]


@dataclass(frozen=True, slots=True)
class _Editing:
    """One file on its way through."""

    data: memoryview
    root: Mapping[int, Act]
    rules: Rules
    paths: Paths
    drawn: Drawn
    form: Form

    def run(
        self, elements: tuple[Element, ...], new: dict[int, bytes], items: ItemEditor
    ) -> Iterator[bytes | memoryview]:
        """Iterate over the parts of the dataset."""
        waiting = sorted(new, reverse=True)
        begin = end = 0  # of what stays as it is and has not been given out yet
        for element in elements:
            tag = element.tag
            made: bytes | None = b""
            if tag >> 16 in FOREIGN_GROUPS or not tag & 0xFFFF or tag in new:
                pass
            else:
                made = self._element(element, items)
            due = b""
            while waiting and waiting[-1] <= tag:
                due += new[waiting.pop()]
            if made is None and not due and element.start == end:
                end = element.end
                continue
            if begin < end:
                yield self.data[begin:end]
            begin = end = 0
            if due:
                yield due
            if made is None:
                begin, end = element.start, element.end
            elif made:
                yield made
        if begin < end:
            yield self.data[begin:end]
        while waiting:
            yield new[waiting.pop()]

    def _element(self, element: Element, items: ItemEditor) -> bytes | None:
        """Return an element anew; None if it stays, b"" if it leaves."""
        act = self.root.get(element.tag)
        if act is None:
            act = self.rules.of_other(element.tag)
        if act is Act.LOOK_INTO:
            looks = self.rules.looks_into_items or element.tag in self.rules.path_roots
            if looks and is_sequence(self.data, element):
                return items.sequence(element, self.paths)
            return self._as_it_is(element)
        if act is Act.KEEP:
            return self._as_it_is(element)
        if act is Act.REMOVE:
            return b""
        return changed_value(self.data, element, act, self.drawn, self.form)

    def _as_it_is(self, element: Element) -> bytes | None:
        """Return None, unless the value's length is odd, which no reader has to take: it is padded."""
        if not element.length & 1 or element.items is not None or element.fragments is not None:
            return None
        value = bytes(self.data[element.value : element.value + element.length])
        return write_bytes(element.tag, element.vr, value, self.form)


def _told_syntax(file: Part10) -> str:
    """Return the transfer syntax that a file names; if that is no UID, and may tell anything, the one that it is in."""
    if _UID.fullmatch(file.transfer_syntax):
        return file.transfer_syntax
    if not file.syntax.explicit:
        return IMPLICIT_LE
    return EXPLICIT_LE if file.syntax.little else EXPLICIT_BE


def _text_bytes(tag: int, value: NewValue | None, form: Form) -> bytes | None:
    return encode_value(tag, "UI", value, form) if isinstance(value, str) else None


def _is_signed(file: Part10, elements: tuple[Element, ...]) -> bool:
    for element in elements:
        if element.tag == PIXEL_REPRESENTATION and element.length >= 2:
            raw = bytes(file.data[element.value : element.value + 2])
            return int.from_bytes(raw, "little" if file.syntax.little else "big") == 1
    return False
