"""The text of values, as Orthanc 1.12.7 shows it in `/instances/{id}/tags`."""

from struct import pack

import pytest

from store.dicom.charsets import charset_of
from store.dicom.values import text

IMAGE_INDEX = 0x00541330  # US in the dictionary
INSTITUTION = 0x00080080  # LO in the dictionary


@pytest.mark.parametrize(
    ("vr", "raw", "shown"),
    [
        ("LO", b"P1  ", "P1"),
        ("LO", b"  P1", "  P1"),
        ("LO", b"P1 ", "P1 "),  # of odd length: the space is no padding
        ("LO", b"P1 \0", "P1 "),
        ("LO", b" P1\0 ", " P1"),
        ("LO", b"P1\0Q2 ", "P1"),
        ("LO", b"\t\t", "\t\t"),
        ("LO", b"", ""),
        ("LO", b"\0\0", ""),
        ("PN", b"a \\ b ", "a \\ b"),
        ("DA", b"2020.01.01 ", "2020.01.01 "),
        ("UI", b"1.2\0", "1.2"),
        ("UI", b" 1 .2\\ 3\t", "1.2\\3"),
        ("US", b"\1\0\2\0", "1\\2"),
        ("US", b"\1", "1"),
        ("US", b"", None),
        ("SS", b"\1\0\xff\xff", "1\\-1"),
        ("UL", b"\1\0\xff\xff", "4294901761"),
        ("UL", b"\1\2\3\4\5\6", "67305985"),
        ("UL", b"\1\2", None),
        ("SL", b"\1\0\xff\xff", "-65535"),
        ("FL", pack("<ff", 1 / 3, 1e20), "0.3333333432674408\\1.0000000200408773e+20"),
        ("FD", pack("<ddd", 1 / 3, 1e20, 2), "0.33333333333333331\\1e+20\\2"),
        ("FD", pack("<d", float("nan")), "nan"),
        ("FD", pack("<d", float("-inf")), "-inf"),
        ("AT", b"\x08\0\x18\0\x10\0\xab\xcd", "0008,0018"),  # the first only
        ("SV", b"\1" * 8, None),
        ("UV", b"\1" * 8, None),
        ("OB", b"ab", None),
        ("OF", bytes(4), None),
        ("XX", b"ab", None),
    ],
)
def test_the_text_of_a_value(vr: str, raw: bytes, shown: str | None) -> None:
    assert text(raw, IMAGE_INDEX, vr, charset_of("", "Latin1"), True) == shown


@pytest.mark.parametrize(
    ("tag", "raw", "shown"),
    [
        (INSTITUTION, b"\xe9t ", "ét "),  # padding stays
        (INSTITUTION, b"abc\0", "abc"),
        (INSTITUTION, b"ab\0\0", "ab\0"),
        (IMAGE_INDEX, b"AB", None),
        (0x00291010, b"AB", None),
    ],
)
def test_un_is_text_where_the_dictionary_says_so(tag: int, raw: bytes, shown: str | None) -> None:
    assert text(raw, tag, "UN", charset_of("", "Latin1"), True) == shown


def test_numbers_in_big_endian() -> None:
    charset = charset_of("", "Latin1")
    assert text(b"\0\1", 0x00280010, "US", charset, False) == "1"
    assert text(b"\0\x08\0\x18", 0x00280009, "AT", charset, False) == "0008,0018"
