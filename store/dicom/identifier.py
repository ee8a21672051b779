"""Datasets as plain values, from and to their bytes: the identifiers of C-FIND, and tags picked out of a file.

Values are text as the index has it (`store.dicom.values`), sequences tuples of datasets. Elements are encoded with the VR of
the dictionary; a tag that is in none becomes UN.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import pack
from typing import Any, Final, Literal

from events.errors import InvalidDicom
from store.dicom.additions import has_private_tags
from store.dicom.charset_encoding import encode_text
from store.dicom.charsets import Charset, charset_of
from store.dicom.dictionary import dictionary_vr, known_in
from store.dicom.elements import LONG_VRS, Buffer, Element, read_element
from store.dicom.limits import large_datasets
from store.dicom.matching import Dataset, Value
from store.dicom.padding import read_received
from store.dicom.part10 import open_part10
from store.dicom.private_blocks import creator_of, creator_tag, find_creators, typed
from store.dicom.rendering import dataset_charset, declared_charset, item_charset
from store.dicom.scan import scan, wire_tag
from store.dicom.syntax import Syntax, read_syntax
from store.dicom.tags import SPECIFIC_CHARACTER_SET
from store.dicom.values import FLOAT_VRS, NUMBER_CODES, TEXT_VRS, text, unknown_text

MAX_VALUE_BYTES: Final = 1 << 20  # a longer value has no text: neither a query nor an answer has room for it

_LONG_VRS: Final = frozenset(LONG_VRS.values())


# -- bytes to values --------------------------------------------------------------------------------------------------


def _syntax_of(transfer_syntax: str) -> Syntax:
    syntax = read_syntax(transfer_syntax)
    if syntax is None:
        raise InvalidDicom(f"a dataset in the unknown transfer syntax {transfer_syntax}")
    return syntax


def decode_dataset(data: Buffer, transfer_syntax: str, default_encoding: str) -> tuple[Dataset, dict[int, str]]:
    """The values of a dataset that a peer has sent, and the VRs of those whose tags are in no dictionary.

    What it has put around the dataset is left out: see `store.dicom.padding`. `default_encoding` holds where
    SpecificCharacterSet is absent. Raises: InvalidDicom.
    """
    syntax = _syntax_of(transfer_syntax)
    elements = read_received(data, syntax)
    declared = declared_charset(data, elements, little=syntax.little)
    charset = charset_of(declared or "", default_encoding)
    elements = typed(data, elements, find_creators(data, elements), 0, explicit=syntax.explicit, little=syntax.little)
    return _dataset(data, elements, charset, little=syntax.little, explicit=True), _unknown_vrs(elements)


def pick(data: Buffer, tags: Iterable[int], default_encoding: str) -> Dataset:
    """The values of those of `tags` that a DICOM file has. Raises: InvalidDicom; Busy."""
    file, tags = open_part10(data), frozenset(tags)
    owners = {owner for tag in tags if (owner := creator_tag(tag)) is not None} if has_private_tags() else ()
    wanted = {SPECIFIC_CHARACTER_SET, *tags, *owners}
    found, _ = scan(file.data, file.start, file.syntax, {wire_tag(tag): tag for tag in wanted})
    with large_datasets.scope():
        starts = sorted(start for _, _, _, start in found.values())
        elements = tuple(read_element(file.data, start, file.syntax, keeps=True) for start in starts)
        charset = dataset_charset(file, elements, default_encoding)
        values = _dataset(file.data, elements, charset, little=file.syntax.little, explicit=file.syntax.explicit)
    return {tag: value for tag, value in values.items() if tag in tags}


def parse_items(rendered: str) -> tuple[Dataset, ...]:
    """The items of a sequence as the index keeps them: see `store.dicom.rendering.render_sequence`."""
    return tuple(_parse_item(item) for item in json.loads(rendered))


def _parse_item(item: dict[str, dict[str, Any]]) -> Dataset:
    parsed: Dataset = {}
    for name, labelled in item.items():
        value = labelled["Value"]
        is_sequence = labelled["Type"] == "Sequence"
        parsed[int(name.replace(",", ""), 16)] = tuple(map(_parse_item, value)) if is_sequence else value
    return parsed


def _dataset(
    data: Buffer, elements: tuple[Element, ...], charset: Charset, depth: int = 0, *, little: bool, explicit: bool
) -> Dataset:
    creators = find_creators(data, elements)
    values: Dataset = {}
    for element in typed(data, elements, creators, depth, explicit=explicit, little=little):
        values.setdefault(
            element.tag, _value(data, element, charset, creator_of(element, creators), depth, little=little)
        )
    return values


def _value(data: Buffer, element: Element, charset: Charset, creator: str | None, depth: int, *, little: bool) -> Value:
    if element.items is not None:
        return tuple(
            _dataset(
                data,
                item.elements,
                item_charset(data, item, charset),
                depth + 1,
                little=item.little,
                explicit=item.explicit,
            )
            for item in element.items
        )
    if element.fragments is not None or element.length > MAX_VALUE_BYTES:
        return None
    raw = bytes(data[element.value : element.value + element.length])
    if element.vr == "UN":
        known = known_in(element.tag, creator).vr
        return unknown_text(raw, known, charset) if known else _guess_text(raw, charset)
    return text(raw, element.tag, element.vr, charset, little=little)


def _guess_text(raw: bytes, charset: Charset) -> str | None:
    """The text of a private value in implicit VR, which most of them have; None where it does not look like text."""
    shown = charset.decode(raw.rstrip(b"\0 "), "UN")
    return shown if shown.isprintable() else None


def _unknown_vrs(elements: Iterable[Element]) -> dict[int, str]:
    return {each.tag: each.vr for each in elements if not dictionary_vr(each.tag)}


# -- values to bytes --------------------------------------------------------------------------------------------------


def encode_dataset(values: Mapping[int, Value], transfer_syntax: str, encoding: str) -> bytes:
    """The bytes of a dataset, in order of tags; text in an encoding of `store.dicom.charset_encoding`, which it should declare."""
    syntax = _syntax_of(transfer_syntax)
    return b"".join([_element(tag, values[tag], syntax, encoding) for tag in sorted(values)])


def _element(tag: int, value: Value, syntax: Syntax, encoding: str) -> bytes:
    vr, head, padding, is_long = _head(tag, explicit=syntax.explicit, little=syntax.little)
    if isinstance(value, tuple) or vr == "SQ":
        items = b"".join(_item(item, syntax, encoding) for item in (value if isinstance(value, tuple) else ()))
        return _sequence_head(tag, syntax) + pack("<I" if syntax.little else ">I", len(items)) + items
    raw = (
        encode_text(value or "", encoding, vr) if padding else _packed(value or "", vr, syntax)
    )  # whatever the VR: as it was read
    if len(raw) & 1:
        raw += padding
    order: Literal["little", "big"] = "little" if syntax.little else "big"
    if is_long:
        return head + len(raw).to_bytes(4, order) + raw
    raw = raw[:0xFFFE]
    return head + len(raw).to_bytes(2, order) + raw


@lru_cache(maxsize=4096)
def _head(tag: int, *, explicit: bool, little: bool) -> tuple[str, bytes, bytes, bool]:
    """The VR of a tag, its bytes up to the length, what pads its text (nothing if it has none), and whether the length has 32 bits."""
    vr = dictionary_vr(tag).partition(" ")[0] or "UN"  # the first where the dictionary leaves a choice
    padding = b"\0" if vr in {"UI", "UN"} else b" " if vr in TEXT_VRS else b""
    head = pack("<HH" if little else ">HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return vr, head, padding, True
    return vr, head + vr.encode() + (b"\0\0" if vr in _LONG_VRS else b""), padding, vr in _LONG_VRS


def _sequence_head(tag: int, syntax: Syntax) -> bytes:
    head = pack("<HH" if syntax.little else ">HH", tag >> 16, tag & 0xFFFF)
    return head + b"SQ\0\0" if syntax.explicit else head


def _item(values: Dataset, syntax: Syntax, encoding: str) -> bytes:
    # The set of the whole holds in items, too; what an item declared when it was read is over.
    raw = b"".join(
        _element(tag, values[tag], syntax, encoding) for tag in sorted(values) if tag != SPECIFIC_CHARACTER_SET
    )
    return pack(("<" if syntax.little else ">") + "HHI", 0xFFFE, 0xE000, len(raw)) + raw


def _packed(value: str, vr: str, syntax: Syntax) -> bytes:
    """The bytes of numbers; nothing for what is none, and for VRs that have no text."""
    if vr not in NUMBER_CODES and vr != "AT":
        return b""
    try:
        return _numbers(value, vr, "<" if syntax.little else ">")
    except (ValueError, OverflowError):
        return b""


def _numbers(value: str, vr: str, order: str) -> bytes:
    if not value:
        return b""
    parts = value.split("\\")
    if vr == "AT":
        return b"".join(pack(order + "HH", int(part[:4], 16), int(part[5:9], 16)) for part in parts)
    try:
        return b"".join(pack(order + NUMBER_CODES[vr], float(part) if vr in FLOAT_VRS else int(part)) for part in parts)
    except Exception as exc:
        raise ValueError(vr) from exc
