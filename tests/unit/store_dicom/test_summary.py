"""Identity and main tags of a file. Expectations were observed on Orthanc 1.12.7, except where a test says otherwise."""

import hashlib
import mmap
from pathlib import Path
from struct import pack

import pytest

from events.errors import InvalidDicom, MissingTag
from events.identifiers import Level, format_resource_id
from store.dicom.summary import IndexPlan, summarize
from store.dicom.uids import EXPLICIT_BE
from tests.unit.store_dicom.dicom_bytes import (
    SEQUENCE_END,
    UNDEFINED,
    big,
    explicit,
    identity,
    implicit,
    implicit_instance,
    instance,
    item,
    part10,
    sequence,
)

PIXELS = 0x7FE00010


def sha1(*chain: str) -> str:
    digest = hashlib.sha1("|".join(chain).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def test_identifiers_are_the_sha1_of_the_chain() -> None:
    ids = summarize(instance()).ids
    assert format_resource_id(ids.patient) == sha1("P1")
    assert format_resource_id(ids.study) == sha1("P1", "1.2.3")
    assert format_resource_id(ids.series) == sha1("P1", "1.2.3", "1.2.3.1")
    assert format_resource_id(ids.instance) == sha1("P1", "1.2.3", "1.2.3.1", "1.2.3.4")


@pytest.mark.parametrize(
    ("charset", "raw", "hashed"),
    [
        (None, b"P1 ", "P1 "),
        (None, b"  P1", "  P1"),
        (None, b"P1\0\0", "P1"),
        (None, b"P1\\P2 ", "P1\\P2"),
        (None, b"    ", ""),
        (None, b"", ""),
        (None, None, ""),
        (None, b"\xe9 ", "é"),
        (b"ISO_IR 192", "é".encode(), "é"),
        (b"ISO_IR 192", b"A\xe9", "A"),
        (b"ISO_IR 6 ", b"A\xe9", "A"),
        (b"FOO_BAR ", b"A\xe9", "A"),
        (None, b"P" * 256, "P" * 256),
    ],
)
def test_the_patient_identifier_is_hashed_as_it_is_shown(charset: bytes | None, raw: bytes | None, hashed: str) -> None:
    summary = summarize(part10(identity(raw, charset=charset)))
    assert format_resource_id(summary.ids.patient) == sha1(hashed)
    assert summary.patient_id == hashed
    assert summary.tags[Level.PATIENT] == ({} if raw is None else {0x00100020: hashed})


@pytest.mark.parametrize(
    "element", [explicit(0x00100020, "LO", b"P" * 258), explicit(0x00100020, "OB", b"P1"), sequence(0x00100020)]
)
def test_a_patient_identifier_that_is_no_text_is_refused(element: bytes) -> None:
    with pytest.raises(InvalidDicom):
        summarize(part10(identity(None) + element))


@pytest.mark.parametrize("uid", ["study", "series", "sop"])
def test_the_three_uids_must_be_there_and_not_empty(uid: str) -> None:
    with pytest.raises(MissingTag):
        summarize(part10(identity(**{uid: None})))
    for empty in (b"", b"  ", b"\0\0"):
        with pytest.raises(InvalidDicom):
            summarize(part10(identity(**{uid: empty})))
    assert summarize(part10(identity(**{uid: b" 1. 2 "}))).ids


def test_the_sop_class_may_be_absent() -> None:
    file = part10(identity().replace(b"\x08\0\x16\0", b"\x08\0\x17\0"))
    assert summarize(file).sop_class == ""
    assert summarize(instance()).sop_class == "1.2.840.10008.5.1.4.1.1.7"


def test_main_tags_are_sorted_by_level_and_absent_if_they_have_no_text() -> None:
    tags = summarize(
        instance(
            explicit(0x00080020, "DA", b""),
            explicit(0x00080060, "CS", b"MR"),
            explicit(0x00204000, "LT", b"x" * 258),
            explicit(0x00540081, "US", b""),
            explicit(0x00540101, "US", b"\1\0" * 300),  # long, but numbers have no limit
            explicit(0x00280008, "OB", b"ab"),
        )
    ).tags
    assert tags[Level.STUDY] == {0x00080020: "", 0x0020000D: "1.2.3"}
    assert tags[Level.SERIES] == {0x00080060: "MR", 0x0020000E: "1.2.3.1", 0x00540101: "\\".join("1" * 300)}
    assert tags[Level.INSTANCE] == {0x00080018: "1.2.3.4"}


def test_a_tag_of_two_levels_is_shown_at_both() -> None:
    tags = summarize(instance(explicit(0x00080201, "SH", b"+0100 "))).tags
    assert tags[Level.STUDY][0x00080201] == tags[Level.SERIES][0x00080201] == "+0100"


def test_the_limit_of_256_is_of_utf8_and_without_padding() -> None:
    def comments(raw: bytes) -> str | None:
        return summarize(instance(explicit(0x00204000, "LT", raw))).tags[Level.INSTANCE].get(0x00204000)

    assert comments(b"\xe9" * 128) == "é" * 128
    assert comments(b"\xe9" * 130) is None
    assert comments(b"x" * 250 + b" " * 100) == "x" * 250


def test_a_sequence_is_kept_as_json_in_full_form() -> None:
    tags = summarize(instance(sequence(0x00400275, item(explicit(0x00400009, "SH", b"ab")), item(b"")))).tags
    assert tags[Level.SERIES][0x00400275] == (
        '[{"0040,0009":{"Name":"ScheduledProcedureStepID","Type":"String","Value":"ab"}},{}]'
    )


def test_the_first_of_two_elements_with_one_tag_counts() -> None:
    assert summarize(instance(explicit(0x00100020, "LO", b"P2"))).patient_id == "P1"


def test_other_main_tags_can_be_asked_for() -> None:
    plan = IndexPlan({Level.STUDY: (0x00080070,)})
    summary = summarize(instance(explicit(0x00080070, "LO", b"ACME")), plan=plan)
    assert summary.tags == {Level.STUDY: {0x00080070: "ACME"}}
    assert summary.study_uid == "1.2.3"


@pytest.mark.parametrize(
    ("number", "index"),
    [("1", 1), ("+5", 5), ("010", 10), (" 7", 7), ("0", 0), ("4294967295", 4294967295)]
    + [(text, None) for text in ("-3", "-0", "7.0", "abc", "", "1\\2", "5a", "0x10", "1e2", "4294967296", "9" * 30)],
)
def test_index_in_series_is_the_instance_number_if_it_is_one(number: str, index: int | None) -> None:
    assert summarize(instance(explicit(0x00200013, "IS", number.encode()))).index_in_series == index


def test_index_in_series_may_be_the_image_index() -> None:
    image_index = explicit(0x00541330, "US", b"\5\0")
    assert summarize(instance(image_index)).index_in_series == 5
    assert summarize(instance(explicit(0x00200013, "IS", b"abc "), image_index)).index_in_series is None


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({}, None),
        ({"acquired": "10"}, None),
        ({"acquired": "10", "positions": "2"}, 20),
        ({"acquired": "10", "positions": "2", "cardiac": "4"}, 20),
        ({"acquired": "10", "positions": "abc", "cardiac": "4"}, None),
        ({"acquired": "10", "cardiac": "4"}, 4),
        ({"acquired": "0", "positions": "5"}, None),
        ({"acquired": "-2", "positions": "-5"}, 10),
        ({"cardiac": "4.0"}, None),
        ({"cardiac": "-4"}, None),
        ({"cardiac": "3000000000"}, 3000000000),
        ({"slices": 3}, None),
        ({"slices": 3, "times": 2}, 6),
        ({"slices": 3, "times": 2, "cardiac": "4"}, 6),
        ({"slices": 3, "times": 2, "acquired": "10", "positions": "2"}, 20),
    ],
)
def test_expected_instances(numbers: dict[str, str | int], expected: int | None) -> None:
    tags = {
        "acquired": 0x00201002,
        "positions": 0x00200105,
        "cardiac": 0x00181090,
        "slices": 0x00540081,
        "times": 0x00540101,
    }
    elements = [
        explicit(tags[name], "US", pack("<H", number))
        if isinstance(number, int)
        else explicit(tags[name], "IS", number.encode())
        for name, number in numbers.items()
    ]
    assert summarize(instance(*elements)).expected_instances == expected


@pytest.mark.parametrize(
    ("vr", "bits", "shown"),
    [
        ("OB", None, ""),
        ("OW", None, "OW"),
        ("OB", 8, ""),
        ("OW", 8, "OW"),
        ("OB", 16, "OB"),
        ("OW", 16, ""),
        ("UN", 16, "UN"),
    ],
)
def test_where_pixel_data_is_and_its_vr_if_unexpected(vr: str, bits: int | None, shown: str) -> None:
    file = instance(
        b"" if bits is None else explicit(0x00280100, "US", pack("<H", bits)), explicit(PIXELS, vr, b"abcd")
    )
    summary = summarize(file)
    assert summary.pixel_data_vr == shown
    assert summary.pixel_data_offset == file.index(b"\xe0\x7f\x10\0")


def test_pixel_data_in_implicit_vr_and_in_fragments_has_no_unexpected_vr() -> None:
    fragments = explicit(PIXELS, "OW", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED)
    for file in (
        implicit_instance(implicit(PIXELS, b"abcd")),
        part10(identity() + fragments, "1.2.840.10008.1.2.4.50"),
    ):
        assert summarize(file).pixel_data_vr == ""
        assert summarize(file).pixel_data_offset == file.index(b"\xe0\x7f\x10\0")


def test_a_file_without_meta_information_has_no_pixel_data_offset() -> None:
    assert summarize(identity() + explicit(PIXELS, "OB", b"abcd")).pixel_data_offset is None


def test_big_endian() -> None:
    dataset = (
        big(0x00080018, "UI", b"1.2.3.4\0")
        + big(0x00100020, "LO", b"P1")
        + big(0x0020000D, "UI", b"1.2.3\0")
        + big(0x0020000E, "UI", b"1.2.3.1\0")
        + big(0x00540101, "US", b"\0\1")
    )
    summary = summarize(part10(dataset, EXPLICIT_BE))
    assert summary.ids == summarize(instance()).ids
    assert summary.tags[Level.SERIES][0x00540101] == "1"


def test_any_buffer_gives_the_same_summary(tmp_path: Path) -> None:
    file = instance(sequence(0x00400275, item(explicit(0x00400009, "SH", b"ab"))), explicit(PIXELS, "OB", bytes(9000)))
    path = tmp_path / "file"
    path.write_bytes(file)
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert summarize(mapped) == summarize(memoryview(file)) == summarize(file)


def test_only_headers_of_a_large_file_are_touched() -> None:
    """Ours: a file of 3 GB in anonymous memory is never there as a whole, because nobody reads its pixels."""
    size = 3 << 30
    head = instance() + explicit(PIXELS, "OB", b"", size)
    with mmap.mmap(-1, len(head) + size) as file:
        file[: len(head)] = head
        before = resident_bytes()
        assert summarize(file).pixel_data_offset == head.index(b"\xe0\x7f\x10\0")
        assert resident_bytes() - before < 8 << 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
