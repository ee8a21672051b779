"""Orthanc's JSON of datasets. Expectations were observed on Orthanc 1.12.7."""

import json
from typing import Any

import pytest

from store.dicom.rendering import MAX_SHOWN_BYTES, reform_sequence, render_header, render_tags
from tests.unit.store_dicom.dicom_bytes import (
    SEQUENCE_END,
    UNDEFINED,
    explicit,
    identity,
    implicit,
    implicit_instance,
    instance,
    item,
    part10,
    sequence,
)

IDENTITY = {"0008,0016", "0008,0018", "0010,0020", "0020,000d", "0020,000e"}


def shown(*elements: bytes, **options: Any) -> dict[str, Any]:
    return {tag: value for tag, value in render_tags(instance(*elements), **options).items() if tag not in IDENTITY}


def test_the_three_forms() -> None:
    file = instance(
        explicit(0x00280010, "US", b"\1\0"), sequence(0x00400275, item(explicit(0x00400009, "SH", b"ab")), item(b""))
    )
    full = render_tags(file)
    assert full["0010,0020"] == {"Name": "PatientID", "Type": "String", "Value": "P1"}
    assert full["0040,0275"] == {
        "Name": "RequestAttributesSequence",
        "Type": "Sequence",
        "Value": [{"0040,0009": {"Name": "ScheduledProcedureStepID", "Type": "String", "Value": "ab"}}, {}],
    }
    assert render_tags(file, "short") == {
        "0008,0016": "1.2.840.10008.5.1.4.1.1.7",
        "0008,0018": "1.2.3.4",
        "0010,0020": "P1",
        "0020,000d": "1.2.3",
        "0020,000e": "1.2.3.1",
        "0028,0010": "1",
        "0040,0275": [{"0040,0009": "ab"}, {}],
    }
    assert list(render_tags(file, "simplify").items()) == [
        ("PatientID", "P1"),
        ("RequestAttributesSequence", [{"ScheduledProcedureStepID": "ab"}, {}]),
        ("Rows", "1"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"),
        ("SOPInstanceUID", "1.2.3.4"),
        ("SeriesInstanceUID", "1.2.3.1"),
        ("StudyInstanceUID", "1.2.3"),
    ]


def test_values_without_text_are_null() -> None:
    elements = (explicit(0x00280010, "US", b""), explicit(0x00281201, "OW", b"abcd"), explicit(0x00400280, "XX", b""))
    tags = shown(*elements[:2], b"\x40\0\x80\x02XX\0\0\x02\0\0\0ab")
    assert {tag: (value["Type"], value["Value"]) for tag, value in tags.items()} == {
        "0028,0010": ("Null", None),
        "0028,1201": ("Null", None),
        "0040,0280": ("Null", None),
    }


def test_text_of_more_than_256_bytes_is_too_long_unless_its_tag_is_named() -> None:
    comments = explicit(0x00400280, "ST", b"x" * 258)
    elements = (explicit(0x00204000, "LT", b"\xe9" * 130), sequence(0x00400275, item(comments)), comments)
    tags = shown(*elements)
    assert tags["0020,4000"] == {"Name": "ImageComments", "Type": "TooLong", "Value": None}
    assert tags["0040,0280"]["Type"] == tags["0040,0275"]["Value"][0]["0040,0280"]["Type"] == "TooLong"
    named = shown(*elements, ignore_length={0x00400280})
    assert named["0040,0280"]["Value"] == named["0040,0275"]["Value"][0]["0040,0280"]["Value"] == "x" * 258
    assert named["0020,4000"]["Type"] == "TooLong"
    assert shown(*elements, form="short")["0020,4000"] is None


def test_private_elements_name_their_creator() -> None:
    tags = shown(
        explicit(0x00410010, "LO", b"ABC "),
        explicit(0x00410011, "UN", b"DEF "),
        explicit(0x00411001, "LO", b"text"),
        sequence(0x00411002, item(explicit(0x00411001, "LO", b"in"))),
        explicit(0x00411101, "LO", b"x "),
        explicit(0x00411201, "LO", b"x "),
    )
    assert tags["0041,0010"] == {"Name": "PrivateCreator", "Type": "String", "Value": "ABC"}
    assert list(tags["0041,1001"].items()) == [
        ("Name", "Unknown Tag & Data"),
        ("PrivateCreator", "ABC"),
        ("Type", "String"),
        ("Value", "text"),
    ]
    without = ("0041,1002", "0041,1101", "0041,1201")  # a sequence, a creator of VR UN, no creator
    assert all("PrivateCreator" not in tags[tag] for tag in without)
    assert "PrivateCreator" not in tags["0041,1002"]["Value"][0]["0041,1001"]  # an item has its own creators


def test_a_creator_behind_its_elements_does_not_count() -> None:
    tags = shown(explicit(0x00411001, "LO", b"x "), explicit(0x00410010, "LO", b"AB"))
    assert "PrivateCreator" not in tags["0041,1001"]


def test_of_names_that_occur_twice_the_last_wins() -> None:
    elements = (explicit(0x00411001, "LO", b"one "), explicit(0x00431001, "LO", b"two "))
    assert render_tags(instance(*elements), "simplify")["Unknown Tag & Data"] == "two"


def test_elements_are_sorted_and_the_first_of_two_is_shown() -> None:
    tags = shown(
        explicit(0x00400280, "ST", b"yy"),
        explicit(0x00400009, "SH", b"a "),
        explicit(0x00400280, "ST", b"xx"),
        form="short",
    )
    assert list(tags.items()) == [("0040,0009", "a"), ("0040,0280", "yy")]


def test_nothing_behind_pixel_data_is_shown_at_the_top_level() -> None:
    tail = explicit(0x7FE00010, "OW", b"ab") + explicit(0x7FE10010, "LO", b"ab") + explicit(0xFFFCFFFC, "OB", b"ab")
    tags = shown(sequence(0x00880200, item(tail)), tail)
    assert list(tags) == ["0088,0200", "7fe0,0010"]
    assert tags["7fe0,0010"] == {"Name": "PixelData", "Type": "Null", "Value": None}
    assert list(tags["0088,0200"]["Value"][0]) == ["7fe0,0010", "7fe1,0010", "fffc,fffc"]


@pytest.mark.parametrize(("vr", "size"), [("OF", 4), ("OD", 8), ("OL", 4), ("OV", 8), ("US", 2), ("FD", 8)])
def test_long_lists_of_numbers_are_too_long_until_somebody_asks(vr: str, size: int) -> None:
    file = instance(explicit(0x00189999, vr, bytes(size * 129)))
    assert render_tags(file)["0018,9999"]["Type"] == "TooLong"
    assert render_tags(file, "simplify")["Unknown Tag & Data"] is None
    free = render_tags(file, ignore_length=frozenset((0x00189999,)))["0018,9999"]
    assert free["Value"] == "\\".join("0" * 129)
    short = instance(explicit(0x00189999, vr, bytes(size * 128)))
    assert render_tags(short, "short")["0018,9999"] == "\\".join("0" * 128)


@pytest.mark.parametrize("vr", ["OF", "OL", "UT", "UC"])
def test_values_beyond_all_measure_are_too_long_for_everybody(vr: str) -> None:
    half = explicit(0x00189998, vr, b"0" * (MAX_SHOWN_BYTES // 2))
    whole = explicit(0x00189999, vr, b"0" * MAX_SHOWN_BYTES)
    tags = render_tags(instance(half, whole), ignore_length=frozenset((0x00189998, 0x00189999)))
    assert tags["0018,9998"]["Type"] == "String"
    assert tags["0018,9999"]["Type"] == "TooLong"


def test_other_numbers_are_null_where_they_are_none_and_json_stays_valid() -> None:
    file = instance(
        explicit(0x00189997, "OF", b""),
        explicit(0x00189998, "OD", b"\0" * 6),
        explicit(0x00189999, "OF", b"\0\0\xc0\x7f\0\0\x80\x7f"),
        explicit(0x7FE00008, "OF", b"\0\0\x80\x3f" * 2),
    )
    tags = render_tags(file)
    assert [tags[f"0018,999{last}"]["Type"] for last in (7, 8)] == ["Null", "Null"]
    assert tags["0018,9999"]["Value"] == "nan\\inf"
    assert tags["7fe0,0008"]["Value"] == "1\\1"
    assert json.loads(json.dumps(tags, allow_nan=False)) == tags


def test_encapsulated_pixel_data_is_null() -> None:
    fragments = explicit(0x7FE00010, "OB", item(b"") + item(b"abcd") + SEQUENCE_END, UNDEFINED)
    assert render_tags(part10(fragments, "1.2.840.10008.1.2.4.50"), "short") == {"7fe0,0010": None}


def test_an_item_has_its_own_character_set_or_that_around_it() -> None:
    name = explicit(0x00400009, "SH", b"\xc4\xd0")
    inner = sequence(0x00400008, item(name))
    nested = item(explicit(0x00080005, "CS", b"ISO_IR 144") + inner + name)
    empty = item(explicit(0x00080005, "CS", b"") + name)
    file = instance(sequence(0x00400275, nested, empty, item(name)), charset=b"ISO_IR 100")
    first, second, third = render_tags(file, "short")["0040,0275"]
    assert first == {"0008,0005": "ISO_IR 144", "0040,0008": [{"0040,0009": "Фа"}], "0040,0009": "Фа"}
    assert second["0040,0009"] == third["0040,0009"] == "ÄÐ"


def test_files_that_declare_no_character_set_have_the_default_encoding() -> None:
    file = instance(explicit(0x00100010, "PN", b"\xc4\xd0"))
    assert render_tags(file, "short")["0010,0010"] == "ÄÐ"
    assert render_tags(file, "short", default_encoding="Cyrillic")["0010,0010"] == "Фа"


@pytest.mark.parametrize(
    ("representation", "smallest", "descriptor"),
    [(None, None, None), (b"", None, None), (b"\0\0", "65535", "1"), (b"\1\0", "-1", "1")],
)
def test_implicit_vr_takes_the_sign_from_pixel_representation(
    representation: bytes | None, smallest: str | None, descriptor: str | None
) -> None:
    elements = [] if representation is None else [implicit(0x00280103, representation)]
    elements += [implicit(0x00280106, b"\xff\xff"), implicit(0x00281101, b"\1\0"), implicit(0x00283002, b"\1\0")]
    tags = render_tags(implicit_instance(*elements), "short")
    assert (tags["0028,0106"], tags["0028,3002"]) == (smallest, descriptor)
    assert tags["0028,1101"] is None  # Orthanc resolves some of these tags, not this one


def test_unknown_elements_of_implicit_vr_are_null_and_sequences_if_they_are_open() -> None:
    nested = item(implicit(0x00400009, b"ab")) + SEQUENCE_END
    file = implicit_instance(
        implicit(0x00410010, b"ABC "), implicit(0x00411001, b"text"), implicit(0x00411002, nested, UNDEFINED)
    )
    tags = render_tags(file, "short")
    assert (tags["0041,1001"], tags["0041,1002"]) == (None, [{"0040,0009": "ab"}])


def test_the_header_shows_known_text_however_long_it_is() -> None:
    meta = (
        explicit(0x00020001, "OB", b"\0\1")
        + explicit(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
        + explicit(0x00020013, "SH", b"X" * 300)
        + explicit(0x00020018, "US", b"")
        + explicit(0x00020099, "LO", b"ab")
    )
    file = bytes(128) + b"DICM" + meta + identity()
    assert render_header(file) == {
        "0002,0010": {"Name": "TransferSyntaxUID", "Type": "String", "Value": "1.2.840.10008.1.2.1"},
        "0002,0013": {"Name": "ImplementationVersionName", "Type": "String", "Value": "X" * 300},
        "0002,0018": {"Name": "ReceivingApplicationEntityTitle", "Type": "Null", "Value": None},
    }
    assert render_header(file, "short")["0002,0010"] == "1.2.840.10008.1.2.1"
    assert list(render_header(file, "simplify")) == [
        "ImplementationVersionName",
        "ReceivingApplicationEntityTitle",
        "TransferSyntaxUID",
    ]
    assert render_header(identity()) == {}


def test_a_stored_sequence_has_three_forms_too() -> None:
    stored = (
        '[{"0040,0008":{"Name":"ScheduledProtocolCodeSequence","Type":"Sequence","Value":'
        '[{"0008,0100":{"Name":"CodeValue","Type":"String","Value":"c"}}]},'
        '"0028,0010":{"Name":"Rows","Type":"Null","Value":null}},{}]'
    )
    assert reform_sequence(stored, "full")[0]["0028,0010"]["Type"] == "Null"
    assert reform_sequence(stored, "short") == [{"0040,0008": [{"0008,0100": "c"}], "0028,0010": None}, {}]
    assert reform_sequence(stored, "simplify") == [
        {"Rows": None, "ScheduledProtocolCodeSequence": [{"CodeValue": "c"}]},
        {},
    ]
