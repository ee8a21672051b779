"""The datasets of a series as text of the DICOM JSON Model, without bulk data: those are told by addresses (PS3.18 §10.4.1.1.2, §F.2.6).

Most elements are the same from instance to instance, byte for byte, so their text is kept while a series is written, and where the order of those that
differ is known, only these are read: an MR image of 105 elements takes 0.07 ms, 0.15 without that order, and 0.6 rendered anew. Pixel Data is not looked at.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from store.dicom.charsets import Charset
from store.dicom.dicom_json import MAX_BYTES, Renderer, TooLargeForJson
from store.dicom.elements import Buffer, Element, in_order, read_element, read_elements
from store.dicom.limits import large_datasets
from store.dicom.metadata_pattern import MOST_COMPARED_BYTES, Pattern, Single, Written, first_pattern
from store.dicom.part10 import Part10, open_part10
from store.dicom.private_blocks import is_creator
from store.dicom.rendering import dataset_charset
from store.dicom.scan import Found, scan
from store.dicom.syntax import Syntax
from store.dicom.tags import PIXEL_DATA, PIXEL_REPRESENTATION, SPECIFIC_CHARACTER_SET

MARK: Final = b"\0"  # stands where the address of an instance's bulk data goes; JSON has no such byte
_PIXELS: Final = frozenset((PIXEL_DATA, 0x7FE00008, 0x7FE00009))
# Where frames lie in the file, and what pads it: of the file, not of the instance.
_LAYOUT: Final = frozenset((0x7FE00001, 0x7FE00002, 0x7FE00003, 0xFFFCFFFC))
_LONG: Final = 1 << 12  # of an element whose text is not kept
_KEPT_BYTES: Final = 64 << 20  # at most, as an element counts as the longest that is kept
_PLACE: Final = "\0"
# Quotation marks within a value have a backslash before them: no value looks like this.
_AS_WRITTEN: Final = '"BulkDataURI":"\\u0000'
_MARKED: Final = f'"BulkDataURI":"{_PLACE}'


class _Every(dict[int, int]):
    """All tags, by their wire tags."""

    def __contains__(self, wire: object) -> bool:
        return True

    def __missing__(self, wire: int) -> int:
        tag = self[wire] = (wire & 0xFFFF) << 16 | wire >> 16
        return tag


class MetadataWriter:
    """Writes datasets one after the other; those of one series are alike. Not thread-safe."""

    def __init__(self, default_encoding: str) -> None:
        self._default_encoding = default_encoding
        self._every = _Every()
        self._texts: dict[object, dict[object, bytes]] = {}  # by what an element's text depends on besides
        self._kept_bytes = 0
        self._pattern: Pattern | None = None
        self._context: object = None  # of the pattern
        self._charset: Charset

    def write(self, head: Buffer) -> bytes:
        """Return the text of a DICOM file that may end at Pixel Data. Raises InvalidDicom, TooLargeForJson, Busy."""
        file = open_part10(head)
        with large_datasets.scope():
            texts = self._by_pattern(file)
            if texts is None:
                texts = self._by_scan(file) if file.syntax.little else self._by_elements(file)
            if sum(map(len, texts)) > 2 * MAX_BYTES:  # a value of text may take two bytes for each of its own
                raise TooLargeForJson(f"The values are more than {MAX_BYTES >> 20} MiB: ask for application/dicom")
            return b"{%b}" % b",".join(texts)

    def _by_pattern(self, file: Part10) -> list[bytes] | None:
        """Return the texts of a dataset that is like the one before, None for another one."""
        if self._pattern is None or not file.syntax.little or not file.syntax.explicit:
            return None
        found = self._pattern.find(file.data, file.start, file.syntax)
        if found is None:
            return None
        texts = [each if isinstance(each, bytes) else self._single(each, file.syntax) for each in found]
        return [text for text in texts if text]

    def _single(self, single: Single, syntax: Syntax) -> bytes:
        tag, raw, vr, creator = single
        if not _is_shown(tag):
            return b""
        if tag in _PIXELS:
            return _pixels(tag, vr)
        kept = self._texts[self._context]
        key = (raw, creator) if tag & 0x10000 else raw
        text = kept.get(key)
        if text is None:
            data = creator + raw
            elements = [read_element(data, place, syntax, keeps=True) for place in dict.fromkeys((0, len(creator)))]
            shown = Renderer(data, _PLACE).dataset(in_order(elements), self._charset, little=True, explicit=True)
            name = f"{tag:08X}"
            text = _text(name, shown[name]) if name in shown else b""
            if len(raw) <= _LONG:
                self._keep(kept, key, text)
        return text

    def _by_scan(self, file: Part10) -> list[bytes]:
        found, end = scan(file.data, file.start, file.syntax, self._every)
        dataset = _Dataset(file, found, self._default_encoding)
        kept = self._texts.setdefault(dataset.context, {})
        texts = {tag: self._write(dataset, kept, tag) for tag in dataset.tags}
        self._learn(dataset, texts, end)
        return [text for text in texts.values() if text]

    def _write(self, dataset: "_Dataset", kept: dict[object, bytes], tag: int) -> bytes:
        vr, value, length, start = dataset.found[tag]
        if tag in _PIXELS:
            return _pixels(tag, vr)
        if length > _LONG:
            return dataset.render(tag)
        key: object = bytes(dataset.data[start : value + length])
        if tag & 0x10000:
            key = key, dataset.creator(tag)
        text = kept.get(key)
        if text is None:
            text = dataset.render(tag)
            self._keep(kept, key, text)
        return text

    def _learn(self, dataset: "_Dataset", texts: Mapping[int, bytes], end: int) -> None:
        """See what this dataset has in common with the one before."""
        before, self._pattern = (self._pattern, None) if dataset.context == self._context else (None, None)
        self._context, self._charset = dataset.context, dataset.charset
        if (raws := dataset.raws(end)) is not None:
            written = [Written(tag, raw, texts.get(tag, b"")) for tag, raw in raws.items()]
            self._pattern = first_pattern(written) if before is None else before.followed_by(written)

    def _keep(self, kept: dict[object, bytes], key: object, text: bytes) -> None:
        self._kept_bytes += _LONG + len(text)
        if self._kept_bytes > _KEPT_BYTES:  # more than a series has that is alike
            for each in self._texts.values():
                each.clear()
            self._kept_bytes = 0
        kept[key] = text

    def _by_elements(self, file: Part10) -> list[bytes]:
        elements = in_order(read_elements(file.data, file.start, file.syntax))
        shown = Renderer(file.data, _PLACE).dataset(
            [element for element in elements if element.tag not in _PIXELS | _LAYOUT],
            dataset_charset(file, elements, self._default_encoding),
            little=file.syntax.little,
            explicit=file.syntax.explicit,
        )
        texts = [(tag, _text(tag, value)) for tag, value in shown.items()]
        texts += [(f"{each.tag:08X}", _pixels(each.tag, each.vr)) for each in elements if each.tag in _PIXELS]
        return [text for _, text in sorted(texts)]


class _Dataset:
    """One dataset in little endian, whose elements have been found."""

    def __init__(self, file: Part10, found: Mapping[int, Found], default_encoding: str) -> None:
        self._file = file
        self.data = file.data
        self.found = found
        self._default_encoding = default_encoding
        self.tags = [tag for tag in sorted(found) if _is_shown(tag)]
        is_implicit = not file.syntax.explicit
        self.context = (
            is_implicit,
            self._raw(SPECIFIC_CHARACTER_SET),
            self._raw(PIXEL_REPRESENTATION) if is_implicit else b"",
        )

    def _raw(self, tag: int) -> bytes:
        vr, value, length, start = self.found.get(tag, ("", 0, 0, 0))
        return bytes(self.data[start : value + length]) if vr else b""

    @property
    def charset(self) -> Charset:
        told = [self._element(SPECIFIC_CHARACTER_SET)] if SPECIFIC_CHARACTER_SET in self.found else []
        return dataset_charset(self._file, told, self._default_encoding)

    def raws(self, end: int) -> dict[int, bytes] | None:
        """Return the bytes of each element of a dataset that ends there, None where they cannot be compared with others'."""
        data, tags = self.data, sorted(self.found)
        starts = [self.found[tag][3] for tag in tags]
        is_plain = self._file.syntax.explicit and isinstance(data, bytes) and end == len(data) < MOST_COMPARED_BYTES
        if not is_plain or starts != sorted(starts) or starts[:1] != [self._file.start]:
            return None
        return {tag: bytes(data[start:stop]) for tag, start, stop in zip(tags, starts, [*starts[1:], end], strict=True)}

    def creator(self, tag: int) -> bytes:
        """The element that names the owner of a private one, b"" for others."""
        return self._raw(_creator(tag)) if tag & 0x10000 else b""

    def render(self, tag: int) -> bytes:
        """Return the text of an element, b"" for one without."""
        file, told = self._file, (SPECIFIC_CHARACTER_SET, PIXEL_REPRESENTATION, _creator(tag), tag)
        elements = [self._element(each) for each in dict.fromkeys(told) if each in self.found]
        charset: Charset = dataset_charset(file, elements, self._default_encoding)
        shown = Renderer(file.data, _PLACE).dataset(
            in_order(elements), charset, little=True, explicit=file.syntax.explicit
        )
        name = f"{tag:08X}"
        return _text(name, shown[name]) if name in shown else b""

    def _element(self, tag: int) -> Element:
        vr, value, length, start = self.found[tag]
        if length < 0 or vr in {"SQ", "UN"}:
            return read_element(self.data, start, self._file.syntax, keeps=True)
        return Element(tag, vr, start, value, length, value + length)


def _is_shown(tag: int) -> bool:
    """Tell whether an element has a place in JSON: not those of messages, lengths of groups and what is of the file."""
    return bool(tag & 0xFFFF) and tag >> 16 > 2 and tag not in _LAYOUT


def _creator(tag: int) -> int:
    """The tag of the element that names the owner of a private element; its own where it has none."""
    owner = tag & 0xFFFF0000 | tag >> 8 & 0xFF
    return owner if tag & 0x10000 and is_creator(owner) else tag


def _pixels(tag: int, vr: str) -> bytes:
    return _text(f"{tag:08X}", {"vr": vr if len(vr) == 2 else "OW", "BulkDataURI": f"{_PLACE}{tag:08x}"})


def _text(name: str, value: Any) -> bytes:
    text = json.dumps({name: value}, ensure_ascii=False, separators=(",", ":"))
    return text[1:-1].replace(_AS_WRITTEN, _MARKED).encode("utf-8", "replace")
