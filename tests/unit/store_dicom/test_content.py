"""Raw access to elements. Expectations were observed on Orthanc 1.12.7's `/instances/{id}/content/…`."""

import pytest

from events.errors import NotFound
from store.dicom.content import ContentListing, UnknownTag, content
from store.dicom.uids import EXPLICIT_BE
from tests.unit.store_dicom.dicom_bytes import (
    SEQUENCE_END,
    UNDEFINED,
    big,
    explicit,
    identity,
    instance,
    item,
    part10,
    sequence,
)

CODE = sequence(0x00400008, item(explicit(0x00080100, "SH", b"c ")))
FILE = instance(
    explicit(0x00280010, "US", b"\1\2"),
    sequence(0x00400275, item(explicit(0x00400009, "SH", b"in ") + CODE), item(b"")),
    explicit(0x00410010, "LO", b"ABC "),
    explicit(0xFFFCFFFC, "OB", b"ab"),
)
FRAGMENTS = explicit(0x7FE00010, "OB", item(bytes(4)) + item(b"abcd") + item(b"efg") + SEQUENCE_END, UNDEFINED)
ENCAPSULATED = part10(identity() + FRAGMENTS, "1.2.840.10008.1.2.4.50")
NATIVE = instance(explicit(0x7FE00010, "OW", b"abcd"))


def at(path: str, file: bytes = FILE) -> list[str] | bytes:
    found = content(file, path.split("/"))
    return found.names if isinstance(found, ContentListing) else found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("0040-0275", ["0", "1"]),
        ("0040-0275/", ["0", "1"]),
        ("RequestAttributesSequence/0", ["0040-0008", "0040-0009"]),
        ("0040-0275/00", ["0040-0008", "0040-0009"]),
        ("0040-0275/1", []),
        ("0040-0275/0/0040-0009", b"in \0"),
        ("0040-0275/0/0040-0008/0/0008-0100", b"c "),
        ("Rows", b"\1\2"),
        ("00280010", b"\1\2"),
        ("0028,0010/", b"\1\2"),
        ("0041-0010", b"ABC "),
        ("0020-000d", b"1.2.3\0"),
        ("fffc-fffc", b"ab"),
    ],
)
def test_what_a_path_leads_to(path: str, found: list[str] | bytes) -> None:
    assert at(path) == found


def test_a_dataset_lists_all_its_tags() -> None:
    identifiers = ["0008-0016", "0008-0018", "0010-0020", "0020-000d", "0020-000e"]
    assert at("") == [*identifiers, "0028-0010", "0040-0275", "0041-0010", "fffc-fffc"]


@pytest.mark.parametrize(
    "path",
    ["PatientName", "0002-0010", "0040-0275/2", "0040-0275/x", "0040-0275/0/0010-0010", "Rows/0", "PatientID/0/1"],
)
def test_what_no_path_leads_to(path: str) -> None:
    with pytest.raises(NotFound):
        at(path)


@pytest.mark.parametrize("path", ["foo", "rows", "zzzz-0010"])
def test_a_name_that_is_no_tag(path: str) -> None:
    with pytest.raises(UnknownTag):
        at(path)


def test_pixel_data_consists_of_fragments() -> None:
    assert at("7fe0-0010", ENCAPSULATED) == ["0", "1", "2"]
    assert at("7fe0-0010/0", ENCAPSULATED) == bytes(4)
    assert at("PixelData/2", ENCAPSULATED) == b"efg\0"
    assert at("7fe0-0010", NATIVE) == ["0"]
    assert at("7fe0-0010/0", NATIVE) == b"abcd"
    for path in ("7fe0-0010/3", "7fe0-0010/1/x"):
        with pytest.raises(NotFound):
            at(path, ENCAPSULATED)


@pytest.mark.parametrize(
    ("vr", "raw", "found"),
    [
        ("SH", b"ab  ", b"ab"),
        ("SH", b"abc ", b"abc "),
        ("SH", b"  ", b""),
        ("UI", b" 1.2 ", b"1.2\0"),
        ("UN", b"ab  ", b"ab  "),
    ],
)
def test_padding_is_as_short_as_it_can_be(vr: str, raw: bytes, found: bytes) -> None:
    assert at("0040-0009", instance(explicit(0x00400009, vr, raw))) == found


def test_values_are_given_in_little_endian() -> None:
    file = part10(
        big(0x00280009, "AT", b"\x00\x08\x00\x18")
        + big(0x00280010, "US", b"\1\2")
        + big(0x00281201, "UL", b"\1\2\3\4\5\6")
        + big(0x7FE00010, "OW", b"abcd"),
        EXPLICIT_BE,
    )
    assert at("0028-0009", file) == b"\x08\x00\x18\x00"
    assert at("0028-0010", file) == b"\2\1"
    assert at("0028-1201", file) == b"\4\3\2\1\5\6"
    assert at("7fe0-0010/0", file) == b"badc"
