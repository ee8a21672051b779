"""Character sets. Expected texts are those of PS3.5 Annexes H, I, J, K, or what Orthanc 1.12.7 shows, as each test says."""

import pytest

from store.dicom.charsets import ENCODINGS, charset_of


def decode(declared: str, raw: bytes, default: str = "Latin1") -> str:
    return charset_of(declared, default).decode(raw)


@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        # PS3.5 H.3.1 and H.3.2, Japanese
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        # PS3.5 I.2, Korean
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
            "Hong^Gildong=洪^吉洞=홍^길동",
        ),
        # PS3.5 J.1 and J.3, Chinese in UTF-8 and GB 18030
        ("ISO_IR 192", "Wang^XiaoDong=王^小东=".encode(), "Wang^XiaoDong=王^小东="),
        ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
        # PS3.5 K.2, Chinese with code extensions
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            "Zhang^XiaoDong=张^小东=",
        ),
        # PS3.3 Table C.12-2, one example of each
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        ("ISO_IR 101", b"W\xb3^\xa3", "Wł^Ł"),
        ("ISO_IR 109", b"\xc6", "Ĉ"),
        ("ISO_IR 110", b"\xe0", "ā"),
        ("ISO_IR 144", b"\xbb\xee\xda", "Люк"),
        ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
        ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
        ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
        ("ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
        ("ISO_IR 166", b"\xb9\xd2\xc1", "นาม"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        ("ISO_IR 203", b"\xa4\xbd", "€œ"),
    ],
)
def test_an_example_of_each_set_of_the_standard(declared: str, raw: bytes, text: str) -> None:
    assert decode(declared, raw) == text


@pytest.mark.parametrize(
    ("declared", "raw", "text"),
    [
        ("", b"\xe9", "é"),  # the default encoding
        ("\\", b"\xe9", "é"),
        ("ISO_IR 6", b"A\xe9\tB\n", "AB\n"),  # control characters go, the line feed stays
        ("FOO", b"A\xe9B", "AB"),  # an unknown term is ASCII
        ("ISO_IR100", b"A\xe9B", "AB"),
        (" iso_ir_100 ", b"\xe9", "é"),  # case, padding and underscores are forgiven
        ("ISO_IR 192", b"A\xc3.B", "AB"),  # the byte that breaks a sequence off goes with it
        ("ISO_IR 192", b"\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80\xe4\xba", ""),
        ("ISO 2022 IR 149", b"\xb0[\xffx\xc9\xa1", "\uf8f7x\ue000"),
        ("GB18030", b"\xc05.", "5."),
        ("\\ISO 2022 IR 87", b"A\xe9\x1b$B;3\x1b\x1b(B\\~\x1b(J~\x1b(I1", "A山\\~‾ｱ"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3\nA\x1bZ\x1b$)CB\x0e", "山\nAZB"),  # a line feed ends the shift
        ("ISO 2022 IR 87\\ISO 2022 IR 159", b"A\x1b$(D0!\x1b(BC", "A丂C"),
    ],
)
def test_what_orthanc_shows_of_odd_declarations_and_bytes(declared: str, raw: bytes, text: str) -> None:
    assert decode(declared, raw) == text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_decoder_fails_on_any_bytes(encoding: str) -> None:
    for lead in range(256):
        raw = b"".join(bytes((lead, trail, 0x41)) for trail in range(256))
        for extended in ("", "\\"):
            charset_of(extended, encoding).decode(raw)
            charset_of(extended, encoding).decode(bytes((lead,)))


def test_ascii_is_kept_only_where_every_byte_stands_for_itself() -> None:
    raw = bytes(range(128))
    for encoding in ENCODINGS:
        charset = charset_of("", encoding)
        assert charset.keeps_ascii == (charset.decode(raw) == raw.decode())
