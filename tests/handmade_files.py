"""DICOM files written by hand: odd values, places and lengths that no library writes and that archives meet all the same."""

import struct
from collections.abc import Iterator

from tests.dicom_bytes import Element, Sample, element, handmade, item

_CODE = element(0x00080100, "SH", b"CODE")
_HANDMADE: dict[str, tuple[Element, ...]] = {
    "numbers-in-text": (
        (0x00200011, "IS", b" 7 "), (0x00200013, "IS", b"+003"), (0x00180050, "DS", b" 1.50 "), (0x00280030, "DS", b"0.50 \\ 0.5"),
        (0x00200032, "DS", b"-1.0e+01\\\\3.00 "), (0x00201002, "IS", b"12\\13"), (0x00200012, "IS", b"abc "), (0x00280008, "IS", b""),
    ),
    "only-padding": (
        (0x00100010, "PN", b"    "), (0x00080050, "SH", b"\0\0"), (0x00081030, "LO", b" \0 \0"), (0x00080020, "DA", b"        "),
        (0x0008103E, "LO", b"text\0\0"), (0x00080090, "PN", b"\0name"), (0x00100040, "CS", b"\0 "), (0x00204000, "LT", b" kept  "),
        (0x00080070, "LO", b"in\0side"), (0x00102160, "SH", b"tab\t"), (0x00321060, "LO", b"line\n"),
    ),
    "many-values": (
        (0x00080008, "CS", b"ORIGINAL\\PRIMARY\\\\AXIAL "), (0x00100010, "PN", b"One^A\\Two^B=Zwei^B"), (0x00081090, "LO", b"a\\b\\"),
        (0x00080061, "CS", b"CT\\MR"), (0x00280009, "AT", b"\x18\0\x63\x10"), (0x00081160, "IS", b"1\\2\\3\\4 "), (0x00200037, "DS", b"1\\0\\0\\0\\1\\0"),
        (0x00101001, "PN", b"^^\\=\\a=b=c"), (0x0040A124, "UI", b"1.2.3\\4.5.6"),
    ),
    "dates-and-times": (
        (0x00080020, "DA", b"2024.01.02"), (0x00080030, "TM", b"10:11:12"), (0x00100030, "DA", b"19700230"), (0x00080021, "DA", b"not date"),
        (0x00080031, "TM", b"25"), (0x0008002A, "DT", b"2024"), (0x00100032, "TM", b"101112.1234567 "), (0x00101010, "AS", b"42 Y"),
    ),
    "odd-lengths": ((0x00100010, "PN", b"odd"), (0x00080050, "SH", b"1"), (0x00200010, "SH", b"12345"), (0x00204000, "LT", b"\r\n\t")),
    "group-lengths": (
        (0x00080000, "UL", struct.pack("<I", 99)), (0x00100000, "UL", struct.pack("<I", 12)), (0x00200000, "UL", b""),
        (0x00090000, "UL", struct.pack("<I", 4)), (0x00090010, "LO", b"CREATOR "), (0x00091001, "LO", b"value "),
    ),
    "repeating-groups": (
        (0x60000010, "US", b"\2\0"), (0x60000022, "LO", b"overlay "), (0x60003000, "OW", b"\1\2\3\4"), (0x60020010, "US", b"\3\0"),
        (0x50000020, "CS", b"TAC "), (0x50003000, "OW", b"\0\0"), (0x00280409, "UN", b"\0\0"), (0x002804F2, "CS", b"AB"), (0x10100010, "US", b"\1\0"),
    ),
    "wrong-vr": (
        (0x00100010, "LO", b"Name^In^LO"), (0x00280010, "UL", b"\1\0\2\0"), (0x00280011, "DS", b"6 "), (0x00080060, "UN", b"CT"),
        (0x00200013, "US", b"\7\0"), (0x00081030, "OB", b"text in OB"), (0x00280030, "FD", struct.pack("<dd", 0.5, 0.25)), (0x00080020, "SH", b"20240102"),
    ),
    "numbers-cut": (
        (0x00280010, "US", b"\1"), (0x00280011, "US", b"\1\0\2"), (0x00189087, "FD", b"\0" * 12), (0x00186020, "SL", b"\0" * 6),
        (0x00280100, "US", b""), (0x00280009, "AT", b"\x18\0"), (0x00189219, "SS", b"\xff\xff\1\0"), (0x00089459, "FL", b"\0\0\xc0\x7f\0\0\x80\xff"),
    ),
    "nested": (
        (0x00081110, "SQ", item(element(0x00081110, "SQ", item(element(0x00081110, "SQ", item(_CODE, undefined=True))), 0xFFFFFFFF)
                                 + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0), undefined=True) + item()),
        (0x00081032, "SQ", b""), (0x0040A730, "SQ", item(_CODE) * 12), (0x00400275, "SQ", item(element(0x00400007, "LO", b"step"), element(0x00400008, "SQ", item(_CODE)))),
    ),
    "sequence-charsets": (
        (0x00080005, "CS", b"ISO_IR 100"), (0x00100010, "PN", b"Gr\xfcn"),
        (0x00081032, "SQ", item(element(0x00080005, "CS", b"ISO_IR 192"), element(0x00080104, "LO", "Grün!".encode()))
                            + item(element(0x00080104, "LO", b"Gr\xfcn")) + item(element(0x00080005, "CS", b"ISO_IR 144"), element(0x00080104, "LO", b"\xbb\xee\xda\xd5"))),
    ),
    "private-blocks": (
        (0x00190010, "LO", b"FIRST "), (0x00190011, "LO", b"SECOND"), (0x00191001, "LO", b"of first"), (0x00191101, "LO", b"of second "), (0x00191201, "LO", b"of nobody "),
        (0x00191002, "SQ", item(element(0x00190010, "LO", b"INNER "), element(0x00191001, "SH", b"in"))), (0x00210001, "LO", b"odd place "), (0x00231001, "UN", item(_CODE)),
    ),
    "unknown-charsets": ((0x00080005, "CS", b"ISO_IR 192\\ISO_IR 100 "), (0x00100010, "PN", "Grün".encode() + b" "), (0x00081030, "LO", b"Gr\xfcn")),
    "empty-charset": ((0x00080005, "CS", b""), (0x00100010, "PN", b"Gr\xfcn"), (0x00081030, "LO", "Grün".encode() + b" ")),
    "two-charsets": ((0x00080005, "CS", b"\\ISO 2022 IR 100\\ISO 2022 IR 144 "), (0x00100010, "PN", b"Gr\xfcn^\x1b-L\xbb\xee"), (0x00081030, "LO", b"\x1b-L\xbb\xee\xda ")),
    "escapes-in-latin1": ((0x00080005, "CS", b"ISO_IR 100"), (0x00100010, "PN", b"A\x1b$B;3ED\x1b(B"), (0x00081030, "LO", b"\x80\x9f\xa0\xff")),
    "control-characters": ((0x00100010, "PN", b"\x01\x02\x7f^\x1f"), (0x00204000, "LT", bytes(range(1, 32)) + b" "), (0x00081030, "LO", b'"quoted"\\/<&>')),
    "long-texts": (
        (0x00081030, "LO", b"s" * 254 + b"ab"), (0x0008103E, "LO", b"d" * 256 + b"ab"), (0x00204000, "LT", b"c" * 255 + b" "), (0x00104000, "LT", b"p" * 256),
        (0x00100010, "PN", b"n" * 300), (0x0040A160, "UT", ("ü" * 200).encode()), (0x00080005, "CS", b"ISO_IR 192"), (0x00200032, "DS", b"1.25\\" * 60 + b"0"),
    ),
    "trailing-groups": ((0xFFFCFFFC, "OB", b"\0" * 8), (0x7FE00010, "OW", b""), (0x7FE00008, "OF", b"\0" * 4), (0x88880010, "LO", b"unknown group ")),
    "long-identifiers": ((0x00100020, "LO", b"I" * 300), (0x00080018, "UI", b"1." + b"2" * 200)),
    "identifiers-with-spaces": ((0x00100020, "LO", b" id "), (0x00080018, "UI", b" 2.25.7305.8.77 \0"), (0x0020000D, "UI", b"2.25.7305.8.78 ")),
}  # fmt: skip


def handmade_files() -> Iterator[Sample]:
    for number, (name, elements) in enumerate(_HANDMADE.items(), start=1):
        yield Sample(f"handmade-{name}", handmade(number, *elements))
    twice: list[Element] = [(0x00100010, "PN", b"First "), (0x00100010, "PN", b"Second"), (0x00080060, "CS", b"MR")]
    yield Sample("handmade-twice-and-out-of-order", handmade(90, *twice, order=False))
    backwards: list[Element] = [(0x00200013, "IS", b"5 "), (0x00100010, "PN", b"Back"), (0x00080060, "CS", b"CT")]
    yield Sample("handmade-backwards", handmade(91, *backwards, order=False))
