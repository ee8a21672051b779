"""Which files are DICOM. Every verdict is that of Orthanc 1.12.7 on the same bytes, except where a test says so."""

import zlib

import pytest

from events.errors import InvalidDicom
from store.dicom.elements import MAX_DEPTH, Element, read_elements
from store.dicom.part10 import open_part10
from store.dicom.summary import summarize
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

JPEG = "1.2.840.10008.1.2.4.50"
STEP_ID = explicit(0x00400009, "SH", b"ab")
REQUEST = 0x00400275
PIXELS = 0x7FE00010
LATER = explicit(0x00400280, "ST", b"xx")


def tree(file: bytes) -> tuple[Element, ...]:
    opened = open_part10(file)
    return read_elements(opened.data, opened.start, opened.syntax)


ACCEPTED = {
    "an empty sequence": sequence(REQUEST),
    "an empty sequence of undefined length": open_sequence(REQUEST),
    "an empty item": sequence(REQUEST, item(b"")),
    "defined lengths": sequence(REQUEST, item(STEP_ID)),
    "undefined lengths": open_sequence(REQUEST, open_item(STEP_ID)),
    "an item delimiter in an item of defined length": sequence(REQUEST, item(STEP_ID + ITEM_END)),
    "a sequence delimiter in a sequence of defined length": sequence(REQUEST, item(STEP_ID) + SEQUENCE_END),
    "a sequence shorter than its item": explicit(REQUEST, "SQ", item(STEP_ID), 10),
    "an item that reaches over the next element": sequence(REQUEST, item(STEP_ID, 12)) + LATER,
    "UN of undefined length, items in implicit VR": explicit(
        REQUEST, "UN", item(implicit(0x00400009, b"ab")) + SEQUENCE_END, UNDEFINED
    ),
    "an unknown VR of capitals has a long length": b"\x40\0\x09\0XX\0\0\x02\0\0\0ab" + LATER,
    "an unknown VR of other characters has a short length": b"\x40\0\x09\0??\x02\0ab" + LATER,
    "an element out of order": explicit(0x00100030, "DA", b"20200101"),
    "an element twice": explicit(0x00100020, "LO", b"P2"),
    "an item delimiter, behind which all is ignored": ITEM_END + b"\xff\xff",
    "trailing padding as an element": explicit(0xFFFCFFFC, "OB", bytes(10)),
    "fragments": explicit(PIXELS, "OB", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED),
    "a fragment of odd length": explicit(PIXELS, "OB", item(b"") + item(b"abc") + SEQUENCE_END, UNDEFINED),
    "fragments without any": explicit(PIXELS, "OB", SEQUENCE_END, UNDEFINED),
}

REFUSED = {
    "a sequence of undefined length without delimiter": explicit(REQUEST, "SQ", open_item(STEP_ID), UNDEFINED),
    "an item of undefined length without delimiter": open_sequence(REQUEST, item(STEP_ID, UNDEFINED)),
    "an item shorter than its element": sequence(REQUEST, item(STEP_ID, 9)) + LATER,
    "a sequence of something else": sequence(REQUEST, STEP_ID),
    "an item outside a sequence": item(STEP_ID),
    "a sequence delimiter outside a sequence": SEQUENCE_END,
    "text of undefined length": explicit(REQUEST, "UT", item(STEP_ID) + SEQUENCE_END, UNDEFINED),
    "binary of undefined length that is not Pixel Data": explicit(REQUEST, "OB", item(b"ab") + SEQUENCE_END, UNDEFINED),
    "UN of undefined length, items in explicit VR": explicit(REQUEST, "UN", item(STEP_ID) + SEQUENCE_END, UNDEFINED),
    "an unknown VR of capitals with a short length": b"\x40\0\x09\0XX\x02\0ab" + LATER,
    "a VR that is not printable": b"\x40\0\x09\0\0\0\x02\0ab" + LATER,
    "an element longer than the file": explicit(REQUEST, "UT", b"ab", 1 << 31),
    "a fragment longer than the file": explicit(PIXELS, "OB", item(b"") + item(b"ab", 400) + SEQUENCE_END, UNDEFINED),
    "a fragment of undefined length": explicit(
        PIXELS, "OB", item(b"") + item(b"ab", UNDEFINED) + SEQUENCE_END, UNDEFINED
    ),
    "fragments without delimiter": explicit(PIXELS, "OB", item(b"") + item(b"abcd"), UNDEFINED),
    "fragments that are not items": explicit(PIXELS, "OB", item(b"") + STEP_ID + SEQUENCE_END, UNDEFINED),
    "a zero behind the last element": b"\0",
    "zeros behind the last element": bytes(12),
    "text behind the last element": b"AAAAAAAAAAAA",
}


@pytest.mark.parametrize("elements", ACCEPTED.values(), ids=ACCEPTED)
def test_a_structure_that_orthanc_accepts(elements: bytes) -> None:
    summarize(instance(elements))
    tree(instance(elements))


@pytest.mark.parametrize("elements", REFUSED.values(), ids=REFUSED)
def test_a_structure_that_orthanc_refuses(elements: bytes) -> None:
    with pytest.raises(InvalidDicom):
        summarize(instance(elements))
    with pytest.raises(InvalidDicom):
        tree(instance(elements))


@pytest.mark.parametrize("name", ["1.2.840.10008.1.2.5", JPEG, "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.100.1"])
def test_compressed_files_need_fragments_at_the_top_level_only(name: str) -> None:
    icon = sequence(0x00880200, item(explicit(PIXELS, "OB", b"abcd")))
    fragments = explicit(PIXELS, "OB", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED)
    summarize(part10(identity() + icon + fragments, name))
    with pytest.raises(InvalidDicom):
        summarize(part10(identity() + explicit(PIXELS, "OB", b"abcd"), name))


@pytest.mark.parametrize("name", ["1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.7.1", "1.2.3.4", ""])
def test_other_and_unknown_syntaxes_take_native_pixel_data(name: str) -> None:
    summarize(part10(identity() + explicit(PIXELS, "OB", b"abcd"), name))


def test_an_unknown_transfer_syntax_is_guessed_from_the_dataset() -> None:
    file = implicit_instance().replace(b"1.2.840.10008.1.2\0", b"1.2.840.10008.9.9\0")
    assert summarize(file).study_uid == "1.2.3"


def test_files_without_preamble_or_meta_information() -> None:
    file = instance()
    dataset = identity()
    assert summarize(file[132:]).study_uid == "1.2.3"  # group 0002 comes first
    assert summarize(dataset).transfer_syntax == EXPLICIT_LE
    assert summarize(file[:132] + dataset).transfer_syntax == EXPLICIT_LE
    opened = open_part10(implicit_instance())
    bare = implicit_instance()[opened.start :]
    assert summarize(bare).transfer_syntax == IMPLICIT_LE
    for refused in (file[128:], implicit_instance()[:132] + bare):
        with pytest.raises(InvalidDicom):
            summarize(refused)


def test_a_bare_big_endian_dataset_is_recognised() -> None:
    dataset = (
        big(0x00080018, "UI", b"1.2.3.4\0")
        + big(0x00100020, "LO", b"P1")
        + big(0x0020000D, "UI", b"1.2.3\0")
        + big(0x0020000E, "UI", b"1.2.3.1\0")
    )
    assert summarize(dataset).transfer_syntax == EXPLICIT_BE


@pytest.mark.parametrize("group_length", [0, 4, 1 << 30])
def test_a_wrong_group_length_does_not_matter(group_length: int) -> None:
    """Orthanc finds no dataset behind the last of them; the others it accepts too."""
    file = bytearray(instance())
    file[140:144] = group_length.to_bytes(4, "little")
    assert summarize(bytes(file)).study_uid == "1.2.3"


@pytest.mark.parametrize("file", [b"", b"x", b"hello world, this is no DICOM file", b"\xff" * 400, bytes(132)])
def test_what_is_not_dicom_at_all(file: bytes) -> None:
    with pytest.raises(InvalidDicom):
        summarize(file)


def test_a_deflated_dataset_may_be_padded_but_not_cut() -> None:
    def deflated(dataset: bytes) -> bytes:
        stream = zlib.compressobj(wbits=-15)
        return stream.compress(dataset) + stream.flush()

    whole = part10(deflated(identity()), DEFLATED_LE)
    for padding in (b"", b"\0", b"abc"):
        assert summarize(whole + padding).study_uid == "1.2.3"
    for refused in (
        whole[:-3],
        part10(identity(), DEFLATED_LE),
        part10(zlib.compress(identity()), DEFLATED_LE),  # with a zlib header
        part10(deflated(identity()[:-1]), DEFLATED_LE),
    ):
        with pytest.raises(InvalidDicom):
            summarize(refused)


def test_nesting_is_limited() -> None:
    """Ours: Orthanc's limit is its stack."""

    def nested(depth: int) -> bytes:
        content = b""
        for _ in range(depth):
            content = open_sequence(0x0040A730, open_item(content))
        return instance(content)

    assert len(tree(nested(MAX_DEPTH))) == 6
    for depth in (MAX_DEPTH + 1, 20_000):
        with pytest.raises(InvalidDicom):
            summarize(nested(depth))


@pytest.mark.parametrize("implicit_vr", [False, True])
def test_every_cut_inside_an_element_is_refused(implicit_vr: bool) -> None:
    if implicit_vr:
        items = implicit(REQUEST, item(implicit(0x00400009, b"ab"), UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)
        file = implicit_instance(items, implicit(PIXELS, b"abcd"))
    else:
        fragments = explicit(PIXELS, "OB", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED)
        file = instance(sequence(REQUEST, item(STEP_ID), open_item(STEP_ID)), open_sequence(REQUEST + 1), fragments)
    ends = {element.end for element in tree(file)}
    start = open_part10(file).start
    for size in range(start + 1, len(file)):
        if size in ends:
            continue
        with pytest.raises(InvalidDicom):
            tree(file[:size])


def test_elements_tell_where_their_values_are() -> None:
    file = instance(
        sequence(REQUEST, item(STEP_ID)), explicit(PIXELS, "OB", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED)
    )
    found = {element.tag: element for element in tree(file)}
    patient = found[0x00100020]
    assert (patient.vr, file[patient.value : patient.end]) == ("LO", b"P1")
    items = found[REQUEST].items
    assert items is not None
    (nested,) = items[0].elements
    assert file[nested.value : nested.value + nested.length] == b"ab"
    pixels = found[PIXELS]
    assert pixels.fragments is not None
    assert [file[start : start + length] for start, length in pixels.fragments] == [b"", b"abcd"]
    assert pixels.end == len(file)
