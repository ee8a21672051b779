"""The names of folders and files in an archive, as Orthanc 1.12.7 was seen to make them.

`PatientID PatientName/AccessionNumber StudyDescription/Modality SeriesDescription/CT000001.dcm`: of ASCII only letters, digits, `.` and `_`
stay, and blanks between words. A folder that would be called as one beside it gets `-2`, `-3` and so on. The file is called by
its InstanceNumber, unless two of its series have the same: then all of them are counted from 0.

A folder that would be `.` or `..` gets the name of one that has none: it would lead a program that unpacks the archive out of
its place. Orthanc writes such names.
"""

import re
from collections.abc import Sequence
from typing import Final

from events.identifiers import Level
from store.dicom.tags import (
    ACCESSION_NUMBER,
    INSTANCE_NUMBER,
    MODALITY,
    PATIENT_ID,
    PATIENT_NAME,
    SERIES_DESCRIPTION,
    STUDY_DESCRIPTION,
)
from store.records import Instance, Tags

_TAGS: Final = {
    Level.PATIENT: (PATIENT_ID, PATIENT_NAME),
    Level.STUDY: (ACCESSION_NUMBER, STUDY_DESCRIPTION),
    Level.SERIES: (MODALITY, SERIES_DESCRIPTION),
}
_NAMELESS: Final = {
    Level.PATIENT: "Unknown Patient",
    Level.STUDY: "Unknown Study",
    Level.SERIES: "Unknown Series",
}
_BLANKS: Final = str.maketrans("^\n", "  ")
_DROPPED: Final = re.compile(r"[^ .0-9A-Z_a-z]")
_DROPPED_OF_UTF8: Final = re.compile(r"[^ .\w]")
_UNSIGNED: Final = re.compile(r"\+?[0-9]{1,19}\Z")


def folder_name(level: Level, tags: Tags, *, is_utf8: bool = False) -> str:
    """Return what the folder of a resource is called, before others beside it are looked at."""
    text = " ".join(tags.get(tag, "") for tag in _TAGS[level])
    name = _allowed(text, is_utf8=is_utf8)
    return _NAMELESS[level] if name in ("", ".", "..") else name


def file_names(modality: str, numbers: Sequence[int]) -> list[str]:
    """Return what the files of a series are called; `numbers` are those of its instances, in order."""
    if len(set(numbers)) < len(numbers):
        numbers = range(len(numbers))
    prefix = modality.encode()[:2].upper().decode("ascii", "ignore")
    width = 8 - min(len(modality.encode()), 2)
    return [f"{_allowed(f'{prefix}{_signed(number):0{width}}')}.dcm" for number in numbers]


def instance_number(instance: Instance) -> int:
    """Return the number by which an instance has its place in its series; 0 for what is no number."""
    text = instance.tags.get(INSTANCE_NUMBER, "").strip()
    return int(text) & 0xFFFFFFFF if _UNSIGNED.match(text) else 0  # as where integers have 32 bits


def _signed(number: int) -> int:
    """A number as one of 32 bits with a sign; the sign itself is not allowed in a name."""
    return number - (1 << 32) if number >= 1 << 31 else number


class Siblings:
    """The names that are taken in one folder."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return a name that is nobody's yet."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name}-{count}"


def _allowed(text: str, *, is_utf8: bool = False) -> str:
    dropped = _DROPPED_OF_UTF8 if is_utf8 else _DROPPED
    return " ".join(part for part in dropped.sub("", text.translate(_BLANKS)).split(" ") if part)
