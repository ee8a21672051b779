r"""Backslashes, tildes and escape sequences in every VR and character set (PS3.5 §6.1.2.3, §6.1.2.5, Annexes H, I, K)."""

import pytest

from store.dicom.charset_encoding import can_encode, encode_text
from store.dicom.charsets import charset_of
from store.dicom.identifier import decode_dataset, encode_dataset
from store.dicom.matching import Dataset
from store.dicom.values import TEXT_VRS, text

EXPLICIT_LE = "1.2.840.10008.1.2.1"
JAPANESE = ("ISO_IR 13", "ISO 2022 IR 13", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 13")
ONE_VALUE = ("LT", "ST", "UT")
CONCERNED = ("LO", "PN", "SH", "UC", *ONE_VALUE)


@pytest.mark.parametrize("declared", JAPANESE)
@pytest.mark.parametrize("vr", sorted(TEXT_VRS - set(ONE_VALUE)))
def test_a_backslash_separates_japanese_values_in_every_vr(declared: str, vr: str) -> None:
    assert text(b"1\\2 ", 0, vr, charset_of(declared, "Latin1"), True) == "1\\2"


@pytest.mark.parametrize("declared", JAPANESE)
@pytest.mark.parametrize("vr", ONE_VALUE)
def test_a_backslash_is_a_yen_sign_where_there_is_one_value(declared: str, vr: str) -> None:
    assert text(b"1\\2 ", 0, vr, charset_of(declared, "Latin1"), True) == "1¥2"


@pytest.mark.parametrize("vr", sorted(TEXT_VRS))
def test_a_tilde_is_an_overline_only_where_the_character_set_concerns_the_vr(vr: str) -> None:
    shown = text(b"a~b ", 0, vr, charset_of("ISO_IR 13", "Latin1"), True)
    assert shown == ("a‾b" if vr in CONCERNED else "a~b")
    assert text(b"a~b ", 0, vr, charset_of("ISO_IR 100", "Latin1"), True) == "a~b"


@pytest.mark.parametrize(
    ("declared", "raw", "shown"),
    [
        ("GB18030", "俓\\B".encode("gb18030"), "俓\\B"),  # 俓 is 82 5C
        ("GBK", "俓\\誠".encode("gbk"), "俓\\誠"),
        ("ISO_IR 13", "表\\ソ".encode("shift_jis"), "表\\ソ"),  # against the standard, and often met
        ("\\ISO 2022 IR 87", b"\x1b$B%=\\\\\x1b(B\\B", "ソ樛\\B"),  # 5C 5C is a character of JIS X 0208
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\x1b$B9=\x1b(J\\\xd4", "構\\ﾔ"),
        ("\\ISO 2022 IR 149", b"\x1b$)C\xfb\xf3\\\x1b$)C\xd1\xce", "洪\\吉"),
    ],
)
def test_a_trail_byte_separates_nothing(declared: str, raw: bytes, shown: str) -> None:
    assert charset_of(declared, "Latin1").decode(raw, "LO") == shown


@pytest.mark.parametrize(
    ("declared", "raw", "shown"),
    [
        (  # PS3.5 H.3.2
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        ),
        ("ISO 2022 IR 87\\ISO 2022 IR 13", b"Y=\x1b$B;3\x1b(B\x1b)I\xd4\xcf", "Y=山ﾔﾏ"),
        ("ISO 2022 IR 6\\ISO 2022 IR 87", b"Y=\x1b$B;3ED\x1b(B", "Y=山田"),
        ("\\ISO 2022 IR 159", b"A=\x1b$(D0!\x1b(B", "A=丂"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"J\xe9=\x1b-L\xbb\xee\xda^\xe9", "Jé=Люк^é"),  # ^ ends the second set
        ("\\ISO 2022 IR 126\\ISO 2022 IR 144", b"D=\x1b-F\xc4\xe9=\x1b-L\xbb", "D=Δι=Л"),
        ("\\ISO 2022 IR 58\\ISO 2022 IR 149", b"\x1b$)A\xd5\xc5=\x1b$)C\xfb\xf3", "张=洪"),
        ("ISO 2022 IR 149", b"H=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce", "H=洪^吉"),  # often met: the term without another
        ("ISO 2022 IR 149", b"\x1b$)CHong", "Hong"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED", "山田"),  # cut off
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\x1b$B;3\nA~", "山\nA‾"),  # so does the end of a line
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"A\x1b%G\xe9\x0eB", "AéB"),  # a sequence that is none of DICOM's
    ],
)
def test_escape_sequences_are_followed(declared: str, raw: bytes, shown: str) -> None:
    assert charset_of(declared, "Latin1").decode(raw, "PN") == shown


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159", "~^丂山～=構‾"),
        ("\\ISO 2022 IR 87", "Yamada^Tarou=表^構"),
        ("\\ISO 2022 IR 13\\ISO 2022 IR 149", "~ﾔ=洪‾"),
        ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞"),
        ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "Jérôme=Люк^é"),
        ("ISO 2022 IR 100\\ISO 2022 IR 203", "é€"),
    ],
)
def test_what_is_written_in_several_sets_is_read_again(declared: str, name: str) -> None:
    written = charset_of(declared, "Latin1").written
    assert written == declared
    assert can_encode(name, written, "PN")
    assert charset_of(declared, "Latin1").decode(encode_text(name, written, "PN"), "PN") == name


def test_the_bytes_of_a_japanese_name_are_those_of_the_standard() -> None:
    written = encode_text("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "ISO 2022 IR 13\\ISO 2022 IR 87", "PN")
    assert written == b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"


@pytest.mark.parametrize("encoding", ["Japanese", "ISO 2022 IR 13\\ISO 2022 IR 87"])
def test_a_yen_sign_is_never_written_as_what_separates_values(encoding: str) -> None:
    assert encode_text("1¥2", encoding, "LO") == b"12"
    assert not can_encode("1¥2", encoding, "LO")
    assert encode_text("1¥2", encoding, "LT") == b"1\\2"
    assert can_encode("1¥2", encoding, "LT")


@pytest.mark.parametrize(
    ("declared", "text", "kept"),
    [
        ("\\ISO 2022 IR 149", "팮길", b"\x1b$)C\xb1\xe6"),  # a syllable that KS X 1001 lacks
        ("\\ISO 2022 IR 58", "東东", b"\x1b$)A\xb6\xab"),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "Ж张ﾔ", b"\x1b$B'(\x1b(J\xd4"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", "é山", b"\xe9"),
    ],
)
def test_what_none_of_the_sets_has_is_left_out_and_told(declared: str, text: str, kept: bytes) -> None:
    assert encode_text(text, declared, "LO") == kept
    assert not can_encode(text, declared, "LO")


@pytest.mark.parametrize("declared", ["ISO_IR 192\\ISO 2022 IR 87", "GB18030\\ISO 2022 IR 58", "FOO\\BAR"])
def test_declarations_that_have_no_extensions_are_written_in_their_first_set(declared: str) -> None:
    assert "\\" not in charset_of(declared, "Latin1").written


@pytest.mark.parametrize("declared", JAPANESE)
def test_lists_of_a_japanese_identifier_have_several_values(declared: str) -> None:
    asked: Dataset = {0x00080005: declared, 0x00080061: "CT\\MR", 0x0020000D: "1.2\\1.3", 0x00200032: "1\\2\\3"}
    decoded, _ = decode_dataset(encode_dataset(asked, EXPLICIT_LE, "Ascii"), EXPLICIT_LE, "Latin1")
    assert decoded == asked


def test_an_item_is_written_in_the_set_of_the_whole() -> None:
    item: Dataset = {0x00080005: "ISO_IR 144", 0x00080104: "é"}
    raw = encode_dataset({0x00080005: "ISO_IR 100", 0x00081032: (item,)}, EXPLICIT_LE, "Latin1")
    decoded, _ = decode_dataset(raw, EXPLICIT_LE, "Ascii")
    assert decoded[0x00081032] == ({0x00080104: "é"},)
