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
        # The first alone where the length is no multiple of a value's
        ("UL", pack("<II", 1, 2) + b"ab", "1"),
        ("FL", pack("<ff", 1, 2) + b"a", "1"),
        ("FL", pack("<ff", 1, 2) + b"\0\0\x80", "1\\2\\1.1754943508222875e-38"),  # an odd length gets a byte
        ("FD", pack("<dd", 1, 2) + b"abcd", "1"),
        # "Other" numbers, as Orthanc 1.12.11 shows them
        ("OF", pack("<fff", 1.5, -2.25, 1e30), "1.5\\-2.25\\1.0000000150474662e+30"),
        ("OF", pack("<fff", float("nan"), float("inf"), -float("inf")), "nan\\inf\\-inf"),
        ("OF", bytes(4), "0"),
        ("OF", b"", None),
        ("OF", pack("<ff", 1, 2) + b"ab", "1"),
        ("OD", pack("<dd", 1 / 3, -1e300), "0.33333333333333331\\-1.0000000000000001e+300"),
        ("OD", b"abcd", None),
        ("OL", pack("<III", 7, 8, 2**32 - 1), "7\\8\\4294967295"),
        ("OL", pack("<II", 7, 8) + b"ab", "7"),
        ("OV", pack("<QQQ", 7, 8, 2**64 - 1), "7\\8\\18446744073709551615"),
        ("OV", bytes(12), "0"),
        ("OW", bytes(4), None),
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
    assert text(pack(">ff", 1.5, 2), 0x00660016, "OF", charset, False) == "1.5\\2"
    assert text(pack(">dd", 1.5, 2), 0x00660022, "OD", charset, False) == "1.5\\2"
    assert text(pack(">II", 1, 2), 0x00660040, "OL", charset, False) == "1\\2"
    assert text(pack(">QQ", 1, 2), 0x7FE00001, "OV", charset, False) == "1\\2"
    assert text(b"\0\x08\0\x18", 0x00280009, "AT", charset, False) == "0008,0018"
