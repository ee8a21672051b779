"""Names and VRs of tags as Orthanc shows them, from pydicom's copy of the DICOM dictionary (PS3.6).

Orthanc names a tag as DCMTK's dictionary does: the keyword of PS3.6, with `RETIRED_` before it where the standard
retired it. The places where that rule does not hold were found by asking Orthanc 1.12.7 for every tag of the
dictionary, and stand in `_EXCEPTIONS`.
"""

import re
from functools import cache, lru_cache
from typing import Final

from store.dicom.additions import Entry, added, find_private, tag_named
from store.dicom.standard_tables import load_table

_TABLES: Final = load_table("_dicom_dict")
DicomDictionary: Final[dict[int, tuple[str, str, str, str, str]]] = _TABLES.DicomDictionary
RepeatersDictionary: Final[dict[str, tuple[str, str, str, str, str]]] = _TABLES.RepeatersDictionary
UNKNOWN_NAME: Final = "Unknown Tag & Data"


_EXCEPTIONS: Final = {
    0x00000001: Entry("UL", "RETIRED_CommandLengthToEnd"),
    0x00060001: Entry("SQ", "CurrentFrameFunctionalGroupsSequence"),
    0x00101000: Entry("LO", "OtherPatientIDs"),
    0x003A0320: Entry("SQ", "SummarizedFilterLookupTableSequence"),
    0x003A0325: Entry("SQ", "AnalogFilterTypeCodeSequence"),
    0x30040012: Entry("DS", "DoseValue"),
}
# Repeating elements that are known at this one place only; pydicom's key of each.
_FIXED_REPEATERS: Final = {
    0x00280410: "002804x0",
    0x00280411: "002804x1",
    0x00280412: "002804x2",
    0x00280413: "002804x3",
    0x00280800: "002808x0",
    0x00280802: "002808x2",
    0x00280803: "002808x3",
    0x00280804: "002808x4",
    0x00280808: "002808x8",
    0x10000010: "1000xxx0",
    0x10000011: "1000xxx1",
    0x10000012: "1000xxx2",
    0x10000013: "1000xxx3",
    0x10000014: "1000xxx4",
    0x10000015: "1000xxx5",
    0x10100004: "1010xxxx",
}
_REPEATING_GROUPS: Final = {0x5000: "50xx", 0x6000: "60xx", 0x7F00: "7Fxx"}
_UNKNOWN: Final = Entry("", UNKNOWN_NAME)
_TAG: Final = re.compile(r"([0-9a-fA-F]{4})[,-]?([0-9a-fA-F]{4})\Z")


def lookup(tag: int) -> Entry:
    """Return name and VR of `tag`; private and undefined tags have Orthanc's name for such and no VR.

    An entry that was added names a tag of the standard otherwise; its VR stays that of the standard.
    """
    known, more = _standard(tag), added(tag)
    return known if more is None else Entry(known.vr or more.vr, more.name)


def known_in(tag: int, creator: str | None) -> Entry:
    """Return name and VR of a tag whose block this creator has reserved; None: nobody."""
    if creator is None or not tag & 0x10000:
        return lookup(tag)
    return find_private(tag, creator) or _UNKNOWN


def is_standard(tag: int) -> bool:
    """Tell whether the standard knows a tag."""
    return _standard(tag) is not _UNKNOWN


@lru_cache(maxsize=16384)  # the dictionary has about 5,000 tags; private ones come on top
def _standard(tag: int) -> Entry:
    special = _EXCEPTIONS.get(tag)
    if special is not None:
        return special
    if tag & 0xFFFF == 0:
        return _group_length(tag)
    if tag & 0x10000:
        return _private(tag)
    known = DicomDictionary.get(tag) or RepeatersDictionary.get(_repeater(tag))
    if not known or not known[4]:
        return _UNKNOWN
    return Entry(known[0], f"RETIRED_{known[4]}" if known[3] else known[4])


def tag_name(tag: int) -> str:
    """Orthanc's name of a tag, e.g. `PatientName`, `RETIRED_LengthToEnd`, `Unknown Tag & Data`."""
    return lookup(tag).name


def dictionary_vr(tag: int) -> str:
    """The VR that an implicit VR dataset gives `tag` when pixel representation plays no part; "" if unknown."""
    return lookup(tag).vr


def is_multi_valued(tag: int) -> bool:
    """Tell whether an attribute may have several values, by the standard; what it does not know has one."""
    known = DicomDictionary.get(tag)
    return known is not None and known[1] != "1"


def format_tag(tag: int) -> str:
    """`gggg,eeee` in lower case, the key of Orthanc's JSON."""
    return f"{tag >> 16:04x},{tag & 0xFFFF:04x}"


def parse_tag(text: str) -> int | None:
    """Read `PatientName`, `0010,0010`, `0010-0010` or `00100010`; None if `text` names no tag.

    Names of the standard go before those that were added. A tag of the standard that was named otherwise has both names.
    """
    match = _TAG.match(text)
    if match:
        return int(match[1], 16) << 16 | int(match[2], 16)
    tag = _tags_by_name().get(text)
    return tag_named(text) if tag is None else tag


def parse_attribute(text: str) -> int | None:
    """Read a tag, likewise, that may also have the standard's keyword where Orthanc's name is another, such as `DetectorSet`."""
    tag = parse_tag(text)
    return _tags_by_name().get(f"RETIRED_{text}") if tag is None else tag


def name_in_any_case(text: str) -> str | None:
    """Return the name of a tag that this is in upper and lower case of another choice."""
    return _names_by_lower_case().get(text.lower())


@cache
def _names_by_lower_case() -> dict[str, str]:
    return {name.lower(): name for name in _tags_by_name()}


@cache
def _tags_by_name() -> dict[str, int]:
    tags = {_standard(tag).name: tag for tag in (*DicomDictionary, *_FIXED_REPEATERS, *_EXCEPTIONS)}
    tags.pop(UNKNOWN_NAME, None)
    return tags


def _group_length(tag: int) -> Entry:
    group = tag >> 16
    known = DicomDictionary.get(tag)
    if known:
        return Entry(known[0], known[4])
    if group & 1:
        return Entry("UL", "IllegalGroupLength" if group < 9 else "PrivateGroupLength")
    return Entry("UL", "CommandGroupLength" if group == 0 else "GenericGroupLength")


def _private(tag: int) -> Entry:
    if 0x10 <= tag & 0xFFFF <= 0xFF:
        return Entry("LO", "IllegalPrivateCreator" if tag >> 16 < 9 else "PrivateCreator")
    return _UNKNOWN


def _repeater(tag: int) -> str:
    """The key in pydicom's table of a repeating element, "" if there is none."""
    group, element = tag >> 16, tag & 0xFFFF
    if group & 0xFF00 in _REPEATING_GROUPS:
        return f"{_REPEATING_GROUPS[group & 0xFF00]}{element:04X}"
    if tag & 0xFFFFFF01 == 0x00203100:
        return "002031xx"
    return _FIXED_REPEATERS.get(tag, "")
