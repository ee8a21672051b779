"""Whatever a peer sends, with whatever around it: what is kept, and what is sent on, is the same instance with the same values."""

from collections.abc import Iterable
from struct import pack
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.dicom.dictionary import dictionary_vr
from store.dicom.elements import Element, in_order, read_elements
from store.dicom.encoding import rewrite_dataset, sendable_dataset
from store.dicom.part10 import open_part10
from store.dicom.received import Announced, trim
from store.dicom.regular import are_regular, is_regular
from store.dicom.summary import summarize
from store.dicom.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from store.dicom.values import TEXT_VRS

MR, SOP = "1.2.840.10008.5.1.4.1.1.4", "2.25.7305.4"
SYNTAXES = (EXPLICIT_LE, IMPLICIT_LE, EXPLICIT_BE)
_LONG = ("OB", "SQ", "UN", "UT")
_UNDEFINED = 0xFFFFFFFF
_IDENTITY = (
    (0x00080016, MR.encode()), (0x00080018, SOP.encode()), (0x00100020, b"PAT4"),
    (0x0020000D, b"2.25.7305.4.1"), (0x0020000E, b"2.25.7305.4.2"),
)  # fmt: skip
_TAGS = (0x00080060, 0x00100010, 0x00100020, 0x00081030, 0x00200013, 0x00281052, 0x0040A160, 0x00420011, 0x00080018)
_SEQUENCES = (0x00081140, 0x00400275, 0x0040A730)

# A tag, and bytes or items with whether their lengths are undefined.
Made: TypeAlias = "tuple[int, bytes | tuple[bool, list[list[Made]]]]"

_values = st.binary(max_size=9)
_leaves: "st.SearchStrategy[Made]" = st.tuples(st.sampled_from(_TAGS), _values)


def _sequence_of(members: "st.SearchStrategy[list[Made]]") -> "st.SearchStrategy[Made]":
    return st.tuples(st.sampled_from(_SEQUENCES), st.tuples(st.booleans(), st.lists(members, max_size=2)))


_datasets = st.recursive(
    st.lists(_leaves, max_size=5), lambda inner: st.lists(_leaves | _sequence_of(inner), max_size=4)
)


def encode(made: "Iterable[Made]", syntax: str) -> bytes:
    order = ">" if syntax == EXPLICIT_BE else "<"

    def head(tag: int, length: int) -> bytes:
        vr = dictionary_vr(tag)
        start = pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if syntax == IMPLICIT_LE or tag >> 16 == 0xFFFE:
            return start + pack(order + "I", length)
        if vr in _LONG:
            return start + vr.encode() + b"\0\0" + pack(order + "I", length)
        return start + vr.encode() + pack(order + "H", length)

    def one(tag: int, value: "bytes | tuple[bool, list[list[Made]]]") -> bytes:
        if isinstance(value, bytes):
            return head(tag, len(value)) + value
        is_open, items = value
        parts = b""
        for members in items:
            body = encode(members, syntax)
            parts += head(0xFFFEE000, _UNDEFINED if is_open else len(body)) + body
            parts += head(0xFFFEE00D, 0) if is_open else b""
        return head(tag, _UNDEFINED if is_open else len(parts)) + parts + (head(0xFFFEE0DD, 0) if is_open else b"")

    return b"".join(one(tag, value) for tag, value in made)


def shown(data: bytes, elements: Iterable[Element]) -> list[object]:
    """All values without what may pad them; of elements that occur twice the first."""
    return [
        (each.tag, [shown(data, item.elements) for item in each.items])
        if each.items is not None
        else (each.tag, without_padding(data[each.value : each.value + each.length], each.vr))
        for each in in_order(elements)
    ]


def without_padding(value: bytes, vr: str) -> bytes:
    return value.rstrip(b"\0 ") if vr in TEXT_VRS else value.rstrip(b"\0")


_padding = st.one_of(
    st.binary(max_size=7),
    st.integers(0, 300).map(bytes),
    st.integers(0, 40).map(lambda count: b" " * count),
)


@pytest.mark.parametrize("syntax", SYNTAXES)
@settings(max_examples=40, deadline=None)
@given(made=_datasets, has_head=st.booleans(), padding=_padding)
def test_what_is_kept_and_what_is_sent_on_is_what_was_meant(
    syntax: str, made: "list[Made]", has_head: bool, padding: bytes
) -> None:
    meant = encode([*_IDENTITY, *made], syntax)
    announced = Announced(MR, SOP, syntax)
    head = announced.file_meta("PEER")
    before = encode([(0x00020010, b"1.2.840.10008.1.2.4.70")], EXPLICIT_LE) if has_head else b""
    received = head + before + meant + padding
    trimmed = trim(received, len(head), announced)
    first, end = (len(head), len(received)) if trimmed is None else (trimmed.start, trimmed.end)
    assert received[first:end].startswith(meant)
    assert not received[first + len(meant) : end].strip(b"\0 "), (
        "nothing but what can be read as an element of zeros or blanks"
    )
    kept = head + meant

    sent = bytes(sendable_dataset(kept))
    again = head + sent
    opened, reopened = open_part10(kept), open_part10(again)
    before_it = read_elements(kept, opened.start, opened.syntax)
    after_it = read_elements(again, reopened.start, reopened.syntax)
    assert not len(sent) & 1
    assert are_regular(after_it)
    assert shown(again, after_it) == shown(kept, before_it)
    assert summarize(again).sop_uid == summarize(kept).sop_uid
    assert bytes(sendable_dataset(again)) == sent
    if syntax != EXPLICIT_BE and is_regular(kept, opened.start, opened.syntax):
        assert sent == meant
        assert shown(
            rewritten := bytes(rewrite_dataset(opened, before_it)), read_elements(rewritten, 0, opened.syntax)
        ) == shown(kept, before_it)
