"""A whole DICOM file: preamble, File Meta Information, and where the dataset begins (PS3.10 §7.1).

Accepted as by Orthanc 1.12.7 (observed): a Part 10 file with or without group 0002 or its group length, a file without
preamble that begins with group 0002, and a bare dataset. A transfer syntax that is absent or unknown is
guessed from the first element.
"""

from dataclasses import dataclass
from struct import Struct, error, pack
from typing import Final

from events.errors import InvalidDicom
from store.dicom import uids
from store.dicom.elements import LONG_VRS, SHORT_VRS, Buffer, read_elements
from store.dicom.inflating import inflate
from store.dicom.limits import BeyondLimits
from store.dicom.syntax import Syntax, read_syntax
from store.dicom.tags import MEDIA_STORAGE_SOP_CLASS_UID, MEDIA_STORAGE_SOP_INSTANCE_UID

MAX_META_ELEMENTS: Final = 10_000

_PREAMBLE: Final = bytes(128) + b"DICM"
_PREAMBLE_BYTES: Final = 128
_HEADER: Final = Struct("<HH2sH")
_U32: Final = Struct("<I")
_TRANSFER_SYNTAX: Final = 0x0010


@dataclass(frozen=True, slots=True)
class Part10:
    """A file's layout."""

    data: Buffer  # what `start` and all offsets of elements refer to: the file itself, or its inflated dataset
    meta_start: int  # in the file
    meta_end: int  # in the file
    start: int  # of the dataset, in `data`
    transfer_syntax: str
    syntax: Syntax
    inflated: bool = False
    guessed: bool = False  # the file names no transfer syntax, or an unknown one


def open_part10(file: Buffer) -> Part10:
    """Find the dataset of a DICOM file, inflating it if need be. Raises: InvalidDicom."""
    if not len(file):
        raise InvalidDicom("Received an empty DICOM file")
    meta_start = _PREAMBLE_BYTES + 4 if bytes(file[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4]) == b"DICM" else 0
    told, meta_end = _read_meta(file, meta_start)
    syntax = read_syntax(told)
    if meta_end == len(file):  # an empty dataset
        return Part10(file, meta_start, meta_end, meta_end, told, syntax or Syntax())
    if syntax is None:
        guessed, syntax = _guess(file, meta_end)
        if meta_start and meta_end == meta_start and guessed != uids.EXPLICIT_LE:
            raise InvalidDicom("the meta information is missing")
        return Part10(file, meta_start, meta_end, meta_end, told or guessed, syntax, guessed=True)
    if not syntax.deflated:
        return Part10(file, meta_start, meta_end, meta_end, told, syntax)
    return Part10(inflate(file, meta_end), meta_start, meta_end, 0, told, syntax, inflated=True)


def find_dataset(file: Buffer) -> int:
    """Where the dataset of a DICOM file begins, as it is stored, deflated or not. Raises: InvalidDicom."""
    meta_start = _PREAMBLE_BYTES + 4 if bytes(file[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4]) == b"DICM" else 0
    return _read_meta(file, meta_start)[1]


def read_media_storage(beginning: Buffer) -> tuple[str, str]:
    """Return the SOP class and instance that a file's meta information names, each "" where it does not; more need not be there."""
    try:
        start = _PREAMBLE_BYTES + 4 if bytes(beginning[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4]) == b"DICM" else 0
        end = _read_meta(beginning, start)[1]
        elements = read_elements(beginning, start, Syntax(), end)
    except InvalidDicom:
        return "", ""
    told = {each.tag: bytes(beginning[each.value : each.value + each.length]) for each in elements}
    sop_class, instance = (
        told.get(tag, b"").strip(b"\0 ").decode("ascii", "replace")
        for tag in (MEDIA_STORAGE_SOP_CLASS_UID, MEDIA_STORAGE_SOP_INSTANCE_UID)
    )
    return sop_class, instance


def guess_syntax(data: Buffer, start: int) -> Syntax:
    """The transfer syntax of a dataset that names none, guessed. Raises: InvalidDicom."""
    return _guess(data, start)[1]


def _guess(data: Buffer, start: int) -> tuple[str, Syntax]:
    """The uncompressed transfer syntax that the first element of a dataset suggests. Raises: InvalidDicom."""
    first = bytes(data[start : start + 8])
    if len(first) < 8:
        raise InvalidDicom("there is no dataset")
    group_le, group_be = int.from_bytes(first[:2], "little"), int.from_bytes(first[:2], "big")
    explicit = first[4:6].isalpha() and first[4:6].isupper()
    if group_le > group_be:
        if explicit:
            return uids.EXPLICIT_BE, Syntax(little=False)
        raise InvalidDicom("this is not a DICOM file")
    return (uids.EXPLICIT_LE, Syntax()) if explicit else (uids.IMPLICIT_LE, Syntax(explicit=False))


def _read_meta(file: Buffer, start: int) -> tuple[str, int]:
    """The transfer syntax ("" if not told) and the end of group 0002, which is always explicit little endian.

    The first that is told counts, and the group ends where its length says: elements of it that follow are the dataset's.
    """
    uid, position, told_end = "", start, -1
    for _ in range(MAX_META_ELEMENTS):
        if start < position == len(file) or (position == told_end and uid):
            return uid, position
        try:
            group, number, vr, length = _HEADER.unpack_from(file, position)
            if group != 2:
                return uid, position
            value = position + 8
            if vr in LONG_VRS:
                (length,) = _U32.unpack_from(file, value)
                value += 4
            elif vr not in SHORT_VRS:
                raise InvalidDicom("the meta information has an unknown value representation")
        except error as exc:
            raise InvalidDicom("the file ends inside its meta information") from exc
        if value + length > len(file):
            raise InvalidDicom("the file ends inside its meta information")
        if number == 0 and position == start and length == 4:
            told_end = value + 4 + _U32.unpack_from(file, value)[0]
        elif number == _TRANSFER_SYNTAX and not uid:
            uid = bytes(file[value : value + length]).strip(b"\0 ").decode("ascii", "replace")
        position = value + length
    raise BeyondLimits("the meta information has too many elements")


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str, *, remote_aet: str = "") -> bytes:
    """Return preamble, "DICM" and group 2, for the dataset to follow as it was received."""
    elements = b"".join(
        (
            pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1",
            text_element(0x00020002, b"UI", sop_class),
            text_element(0x00020003, b"UI", sop_instance),
            text_element(0x00020010, b"UI", transfer_syntax),
            text_element(0x00020012, b"UI", uids.IMPLEMENTATION_CLASS_UID),
            text_element(0x00020013, b"SH", uids.IMPLEMENTATION_VERSION_NAME),
            text_element(0x00020016, b"AE", remote_aet) if remote_aet else b"",
        )
    )
    return _PREAMBLE + pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def text_element(tag: int, vr: bytes, value: str) -> bytes:
    """An element of text in explicit VR little endian, of which only ASCII stays."""
    raw = value.encode("ascii", "replace")
    raw += (b"\0" if vr == b"UI" else b" ") * (len(raw) % 2)
    return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(raw)) + raw
