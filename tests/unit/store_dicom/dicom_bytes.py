"""DICOM written byte by byte (PS3.5 §7, PS3.10 §7.1), so that tests can also write what no toolkit would."""

from struct import pack

from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE

UNDEFINED = 0xFFFFFFFF
ITEM_END = pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = pack("<HHI", 0xFFFE, 0xE0DD, 0)
_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")


def explicit(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian."""
    size = len(value) if length is None else length
    head = pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (pack("<HI", 0, size) if vr in _LONG else pack("<H", size)) + value


def big(tag: int, vr: str, value: bytes) -> bytes:
    """An element in explicit VR big endian."""
    head = pack(">HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (pack(">HI", 0, len(value)) if vr in _LONG else pack(">H", len(value))) + value


def implicit(tag: int, value: bytes, length: int | None = None) -> bytes:
    """An element in implicit VR little endian."""
    return pack("<HHI", tag >> 16, tag & 0xFFFF, len(value) if length is None else length) + value


def item(content: bytes, length: int | None = None) -> bytes:
    return pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


def open_item(content: bytes) -> bytes:
    """An item of undefined length."""
    return item(content, UNDEFINED) + ITEM_END


def sequence(tag: int, *items: bytes) -> bytes:
    return explicit(tag, "SQ", b"".join(items))


def open_sequence(tag: int, *items: bytes) -> bytes:
    """A sequence of undefined length."""
    return explicit(tag, "SQ", b"".join(items), UNDEFINED) + SEQUENCE_END


def part10(dataset: bytes, transfer_syntax: str = EXPLICIT_LE) -> bytes:
    """A whole file around a dataset."""
    uid = transfer_syntax.encode()
    meta = explicit(0x00020010, "UI", uid + bytes(len(uid) & 1))
    return bytes(128) + b"DICM" + explicit(0x00020000, "UL", pack("<I", len(meta))) + meta + dataset


def identity(
    patient: bytes | None = b"P1",
    study: bytes | None = b"1.2.3\0",
    series: bytes | None = b"1.2.3.1\0",
    sop: bytes | None = b"1.2.3.4\0",
    charset: bytes | None = None,
) -> bytes:
    """The elements every instance needs, in explicit VR; None leaves one out."""
    values = (
        (0x00080005, "CS", charset),
        (0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7\0"),
        (0x00080018, "UI", sop),
        (0x00100020, "LO", patient),
        (0x0020000D, "UI", study),
        (0x0020000E, "UI", series),
    )
    return b"".join(explicit(tag, vr, value) for tag, vr, value in values if value is not None)


def instance(*elements: bytes, charset: bytes | None = None) -> bytes:
    """A file with an identity and the given elements behind it, in explicit VR little endian."""
    return part10(identity(charset=charset) + b"".join(elements))


def implicit_instance(*elements: bytes) -> bytes:
    """A file with an identity and the given elements behind it, in implicit VR little endian."""
    head = (
        implicit(0x00080018, b"1.2.3.4\0")
        + implicit(0x00100020, b"P1")
        + implicit(0x0020000D, b"1.2.3\0")
        + implicit(0x0020000E, b"1.2.3.1\0")
    )
    return part10(head + b"".join(elements), IMPLICIT_LE)
