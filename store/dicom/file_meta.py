"""The head of a DICOM file around a dataset that came over the network (PS3.10 §7.1)."""

from struct import pack

IMPLEMENTATION_CLASS_UID = "2.25.247284133041986473116209083651820735193"
IMPLEMENTATION_VERSION_NAME = "SINOGRAM"

_PREAMBLE = bytes(128) + b"DICM"


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str, *, remote_aet: str = "") -> bytes:
    """Return preamble, "DICM" and group 2, for the dataset to follow as it was received."""
    elements = b"".join(
        (
            pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1",
            _text(0x02, b"UI", sop_class, b"\0"),
            _text(0x03, b"UI", sop_instance, b"\0"),
            _text(0x10, b"UI", transfer_syntax, b"\0"),
            _text(0x12, b"UI", IMPLEMENTATION_CLASS_UID, b"\0"),
            _text(0x13, b"SH", IMPLEMENTATION_VERSION_NAME, b" "),
            _text(0x16, b"AE", remote_aet, b" ") if remote_aet else b"",
        )
    )
    return _PREAMBLE + pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def _text(element: int, vr: bytes, value: str, padding: bytes) -> bytes:
    raw = value.encode("ascii", "replace")
    raw += padding * (len(raw) % 2)
    return pack("<HH2sH", 2, element, vr, len(raw)) + raw
