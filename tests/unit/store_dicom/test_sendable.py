"""What is sent of a file: even lengths, each element once and in order, nothing of other groups; untouched where that holds."""

import zlib
from struct import pack, unpack

import pytest

from store.dicom.elements import Element, read_elements
from store.dicom.encoding import sendable_dataset
from store.dicom.part10 import open_part10
from store.dicom.regular import are_regular, is_regular
from store.dicom.rendering import render_tags
from store.dicom.summary import summarize
from store.dicom.syntax import Syntax
from store.dicom.tags import EXTENDED_OFFSET_TABLE
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.unit.store_dicom.dicom_bytes import (
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    big,
    explicit,
    identity,
    implicit,
    implicit_instance,
    instance,
    item,
    open_item,
    open_sequence,
    part10,
    sequence,
)

JPEG = "1.2.840.10008.1.2.4.70"
PIXELS = 0x7FE00010
REQUEST = 0x00400275
COMMENT = 0x00400280


def sent(file: bytes) -> tuple[bytes, tuple[Element, ...]]:
    """What is sent, as a file's bytes, and its elements; it is regular, and sent again as it is."""
    data = bytes(sendable_dataset(file))
    assert not len(data) & 1
    again = part10(data, open_part10(file).transfer_syntax)
    opened = open_part10(again)
    elements = read_elements(opened.data, opened.start, opened.syntax)
    assert are_regular(elements)
    assert bytes(sendable_dataset(again)) == data
    shown, shown_again = render_tags(file, "simplify"), render_tags(again, "simplify")
    moved = {"ExtendedOffsetTable", "ExtendedOffsetTableLengths"}
    kept = shown_again.keys() - moved
    assert {name: shown[name] for name in kept} == {name: shown_again[name] for name in kept}
    assert all("Length" in name or name.startswith("0000") or "Affected" in name for name in shown.keys() - shown_again)
    assert summarize(file).ids == summarize(again).ids
    return bytes(opened.data), elements


def value(data: bytes, elements: tuple[Element, ...], tag: int) -> bytes:
    (found,) = [element for element in elements if element.tag == tag]
    return data[found.value : found.value + found.length]


REGULAR = {
    "flat": instance(explicit(COMMENT, "ST", b"text"), explicit(PIXELS, "OW", bytes(6))),
    "implicit VR": implicit_instance(implicit(COMMENT, b"text"), implicit(PIXELS, bytes(6))),
    "sequences of defined length": instance(sequence(REQUEST, item(explicit(0x00400009, "SH", b"ab")), item(b""))),
    "sequences of undefined length": instance(
        open_sequence(REQUEST, open_item(sequence(0x00400008, open_item(explicit(0x00080100, "SH", b"ab")))))
    ),
    "sequences in implicit VR": implicit_instance(
        implicit(REQUEST, item(implicit(0x00400009, b"ab"))),
        implicit(0x00400555, item(implicit(0x0040A160, b"ab")) + SEQUENCE_END, UNDEFINED),
        implicit(0x00411001, item(implicit(0x00411002, b"ab")) + SEQUENCE_END, UNDEFINED),
    ),
    "fragments": part10(identity() + explicit(PIXELS, "OB", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED), JPEG),
    "trailing padding": instance(explicit(0xFFFCFFFC, "OB", bytes(10))),
    "group lengths": part10(explicit(0x00080000, "UL", pack("<I", 60)) + identity()),
    "UN of undefined length": instance(
        explicit(0x00411001, "UN", item(implicit(0x00400009, b"ab")) + SEQUENCE_END, UNDEFINED)
    ),
    "big endian": part10(
        big(0x00080018, "UI", b"1.2.3.4\0") + big(0x0020000D, "UI", b"1.23") + big(0x0020000E, "UI", b"1.24"),
        EXPLICIT_BE,
    ),
}


@pytest.mark.parametrize("kind", REGULAR)
def test_what_is_regular_leaves_as_it_is_stored(kind: str) -> None:
    file = REGULAR[kind]
    dataset = sendable_dataset(file)
    assert dataset.obj is file, "a view of the file, not a copy"
    assert file.endswith(bytes(dataset))
    sent(file)


ODD_VALUES = {
    "a name": (0x00100010, "PN", b"ODD", b"ODD "),
    "a name that ends with a blank": (0x00100010, "PN", b"ODD  ", b"ODD  \0"),
    "a code": (0x00080060, "CS", b"MR1", b"MR1 "),
    "a long text": (0x0040A160, "UT", b"abc", b"abc "),
    "a UID": (0x00200052, "UI", b"1.2.3", b"1.2.3\0"),
    "bytes": (0x00420011, "OB", b"%PDF-1.4x", b"%PDF-1.4x\0"),
    "pixels": (PIXELS, "OB", b"abcdefg", b"abcdefg\0"),
    "unknown bytes": (0x00411001, "UN", b"abc", b"abc\0"),
    "a number cut short": (0x00280010, "US", b"\1\0\2", b"\1\0\2\0"),
}


@pytest.mark.parametrize("kind", ODD_VALUES)
@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE, DEFLATED_LE])
def test_values_of_odd_length_are_padded_by_their_vr(syntax: str, kind: str) -> None:
    tag, vr, raw, padded = ODD_VALUES[kind]
    file = implicit_instance(implicit(tag, raw)) if syntax == IMPLICIT_LE else instance(explicit(tag, vr, raw))
    if syntax == DEFLATED_LE:
        stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        opened = open_part10(file)
        file = part10(stream.compress(file[opened.start :]) + stream.flush(), DEFLATED_LE)
    dataset, elements = sent(file)
    assert value(dataset, elements, tag) == padded


def test_odd_lengths_in_big_endian_keep_their_byte_order() -> None:
    made = (
        big(0x00080018, "UI", b"1.2.3.4\0"), big(0x00100010, "PN", b"ODD"), big(0x0020000D, "UI", b"1.23"),
        big(0x0020000E, "UI", b"1.24"), big(0x00280010, "US", b"\1\2"),
        big(REQUEST, "SQ", pack(">HHI", 0xFFFE, 0xE000, 11) + big(0x00400009, "SH", b"odd")),
    )  # fmt: skip
    dataset, elements = sent(part10(b"".join(made), EXPLICIT_BE))
    assert value(dataset, elements, 0x00280010) == b"\1\2"
    assert value(dataset, elements, 0x00100010) == b"ODD "
    (request,) = [element for element in elements if element.items]
    assert [member.length for each in request.items or () for member in each.elements] == [4]


NESTED_ODD = {
    "an item of defined length": sequence(REQUEST, item(explicit(0x00400009, "SH", b"odd"))),
    "an item of undefined length": open_sequence(REQUEST, open_item(explicit(0x00400009, "SH", b"odd"))),
    "an item in an item": sequence(REQUEST, item(sequence(0x00400008, item(explicit(0x00080100, "SH", b"odd"))))),
    "two odd ones that make an even item": sequence(
        REQUEST, item(explicit(0x00400009, "SH", b"odd") + explicit(0x00401001, "SH", b"odd"))
    ),
    "a sequence without a dictionary": explicit(
        0x00411001, "UN", item(implicit(0x00400009, b"odd")) + SEQUENCE_END, UNDEFINED
    ),
    "an open item in a sequence of defined length": sequence(REQUEST, open_item(explicit(0x00400009, "SH", b"odd"))),
}


def lengths(elements: tuple[Element, ...]) -> list[int]:
    return [
        length
        for element in elements
        for length in (element.length, *lengths(tuple(m for each in element.items or () for m in each.elements)))
    ]


@pytest.mark.parametrize("kind", NESTED_ODD)
def test_odd_lengths_inside_sequences_are_padded_and_those_around_corrected(kind: str) -> None:
    file = instance(NESTED_ODD[kind], explicit(0x00400280, "ST", b"kept"))
    dataset, elements = sent(file)
    assert not any(length & 1 for length in lengths(elements))
    assert value(dataset, elements, COMMENT) == b"kept"


IRREGULAR = {
    "an element twice": explicit(0x00100020, "LO", b"P2"),
    "an element out of order": explicit(0x00080060, "CS", b"MR"),
    "another instance's UID behind": explicit(0x00080018, "UI", b"9.9.9.9\0"),
    "an element of a file's head": explicit(0x00020010, "UI", b"1.2.840.10008.1.2.4.70"),
    "an element of a command": explicit(0x00000002, "UI", b"1.2\0"),
    "an item delimiter": ITEM_END,
    "an item that reaches over the next element": sequence(REQUEST, item(explicit(0x00400009, "SH", b"ab"), 12))
    + explicit(COMMENT, "ST", b"xx"),
    "a delimiter in an item of defined length": sequence(REQUEST, item(explicit(0x00400009, "SH", b"ab") + ITEM_END)),
    "a sequence shorter than its item": explicit(REQUEST, "SQ", item(explicit(0x00400009, "SH", b"ab")), 10),
    "an element twice in an item": sequence(
        REQUEST, item(explicit(0x00400009, "SH", b"ab") + explicit(0x00400009, "SH", b"cd"))
    ),
    "an unknown VR": b"\x41\0\x01\x10XX\0\0\x02\0\0\0ab",
}


@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_others_might_read_otherwise_is_put_right(kind: str) -> None:
    file = instance(IRREGULAR[kind])
    dataset, elements = sent(file)
    assert is_regular(bytes(sendable_dataset(file)), 0, Syntax())
    assert value(dataset, elements, 0x00100020) == b"P1"
    assert value(dataset, elements, 0x00080018) == b"1.2.3.4\0"
    assert all(element.tag >> 16 not in {0, 2} for element in elements)


def fragments(*values: bytes) -> bytes:
    return explicit(PIXELS, "OB", b"".join(map(item, values)) + SEQUENCE_END, UNDEFINED)


def frames(dataset: bytes, elements: tuple[Element, ...]) -> list[tuple[int, bytes]]:
    """Fragments with the offset by which a table names them."""
    found = next(element for element in elements if element.tag == PIXELS).fragments
    assert found is not None
    begin = found[1][0]
    return [(start - begin, dataset[start : start + length]) for start, length in found[1:]]


@pytest.mark.parametrize(
    "values", [(b"abc",), (b"abc", b"defg", b"hij", b"kl"), (b"ab", b"c", b"d", b"e"), (b"", b"a", b"bc")]
)
def test_fragments_of_odd_length_are_padded_and_the_table_of_offsets_moves(values: tuple[bytes, ...]) -> None:
    starts = [sum(8 + len(each) for each in values[:place]) for place in range(len(values))]
    table = pack(f"<{len(values)}I", *starts)
    dataset, elements = sent(part10(identity() + fragments(table, *values), JPEG))
    told = frames(dataset, elements)
    assert [data for _, data in told] == [each + bytes(len(each) & 1) for each in values]
    (start, length), *_ = next(each for each in elements if each.tag == PIXELS).fragments or ()
    assert list(unpack(f"<{len(values)}I", dataset[start : start + length])) == [offset for offset, _ in told]


def test_the_extended_table_of_offsets_moves_too() -> None:
    values = (b"abc", b"defg", b"hij")
    extended = explicit(EXTENDED_OFFSET_TABLE, "OV", pack("<3Q", 0, 11, 23)) + explicit(
        0x7FE00002, "OV", pack("<3Q", 3, 4, 3)
    )
    dataset, elements = sent(part10(identity() + extended + fragments(b"", *values), JPEG))
    told = unpack("<3Q", value(dataset, elements, EXTENDED_OFFSET_TABLE))
    assert list(told) == [offset for offset, _ in frames(dataset, elements)]
    assert unpack("<3Q", value(dataset, elements, 0x7FE00002)) == (3, 4, 3)


def test_an_icon_of_odd_fragments_goes_with_its_sequence() -> None:
    icon = sequence(0x00880200, item(fragments(b"", b"abc")))
    dataset, elements = sent(part10(identity() + icon + fragments(b"", b"abcd"), JPEG))
    (found,) = [element for element in elements if element.items]
    (inner,) = (found.items or ())[0].elements
    assert inner.fragments is not None
    assert [dataset[start : start + length] for start, length in inner.fragments] == [b"", b"abc\0"]
