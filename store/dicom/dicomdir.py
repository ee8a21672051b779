"""The directory of a medium, `DICOMDIR` (PS3.3 Annex F, PS3.10 §8.6), with the records and attributes that Orthanc 1.12.7 was seen to write.

Whatever its SOP class, an instance has a record of type IMAGE. Of texts only ASCII stays, under the character set of the file. But two patients
who have a study of the same UID are kept apart: Orthanc puts the images of the second one under the name of the first. Each record names the next one of its level and the first below
it by their places in the file, so all are known before the first is written.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from struct import pack
from typing import Final

from events.identifiers import Level
from store.dicom import uids
from store.dicom.elements import Buffer
from store.dicom.part10 import file_meta, text_element
from store.dicom.summary import IndexPlan, Summary, summarize
from store.dicom.tags import (
    ACCESSION_NUMBER,
    INSTANCE_NUMBER,
    MODALITY,
    PATIENT_ID,
    PATIENT_NAME,
    SERIES_DESCRIPTION,
    SERIES_INSTANCE_UID,
    SERIES_NUMBER,
    SPECIFIC_CHARACTER_SET,
    STUDY_DATE,
    STUDY_DESCRIPTION,
    STUDY_ID,
    STUDY_INSTANCE_UID,
    STUDY_TIME,
)

NAME: Final = "DICOMDIR"
_FILE_SET_ID: Final = "ORTHANC_MEDIA"
_TYPES: Final = {Level.PATIENT: "PATIENT", Level.STUDY: "STUDY", Level.SERIES: "SERIES", Level.INSTANCE: "IMAGE"}
_VRS: Final = {
    SPECIFIC_CHARACTER_SET: b"CS",
    STUDY_DATE: b"DA",
    STUDY_TIME: b"TM",
    ACCESSION_NUMBER: b"SH",
    MODALITY: b"CS",
    STUDY_DESCRIPTION: b"LO",
    SERIES_DESCRIPTION: b"LO",
    PATIENT_NAME: b"PN",
    PATIENT_ID: b"LO",
    STUDY_INSTANCE_UID: b"UI",
    SERIES_INSTANCE_UID: b"UI",
    STUDY_ID: b"SH",
    SERIES_NUMBER: b"IS",
    INSTANCE_NUMBER: b"IS",
}
_MAIN_TAGS: Final = {
    Level.PATIENT: (SPECIFIC_CHARACTER_SET, PATIENT_NAME, PATIENT_ID),
    Level.STUDY: (
        SPECIFIC_CHARACTER_SET,
        STUDY_DATE,
        STUDY_TIME,
        ACCESSION_NUMBER,
        STUDY_DESCRIPTION,
        STUDY_INSTANCE_UID,
        STUDY_ID,
    ),
    Level.SERIES: (SPECIFIC_CHARACTER_SET, MODALITY, SERIES_DESCRIPTION, SERIES_INSTANCE_UID, SERIES_NUMBER),
    Level.INSTANCE: (SPECIFIC_CHARACTER_SET, INSTANCE_NUMBER),
}
# What a record has only with a value; all else is there, if need be without one.
_WITH_VALUE: Final = frozenset({SPECIFIC_CHARACTER_SET, PATIENT_ID, STUDY_ID, SERIES_NUMBER})
_PLAN: Final = IndexPlan(_MAIN_TAGS)
_DROPPED: Final = re.compile(r"[^\n -~]")
_UNDEFINED: Final = b"\xff" * 4
_ITEM: Final = pack("<HH", 0xFFFE, 0xE000) + _UNDEFINED
_ITEM_END: Final = pack("<HHI", 0xFFFE, 0xE00D, 0)
_SEQUENCE_END: Final = pack("<HHI", 0xFFFE, 0xE0DD, 0)
_SEQUENCE: Final = pack("<HH2sH", 0x0004, 0x1220, b"SQ", 0) + _UNDEFINED
_RECORD_BYTES: Final = 50  # of a record without its attributes: the item, both links and what stands between, its end
_LEVELS: Final = Level.INSTANCE + 2  # those that there are, and what would lie below the last
_HEAD_BYTES: Final = 46  # from the name of the set to the first record


def describe(file: Buffer, default_encoding: str) -> Summary:
    """Read what the records of an instance say of it. Raises InvalidDicom, MissingTag."""
    return summarize(file, default_encoding=default_encoding, plan=_PLAN)


class DicomDir:
    """The directory of one medium; instances are added in the order of patients, studies and series."""

    def __init__(self, sop_instance: str, at: datetime, *, is_extended: bool = False) -> None:
        """`at` is the local time that stands where a study has none; an extended one tells what series are called."""
        self._sop_instance = sop_instance
        self._at = at
        self._is_extended = is_extended
        self._records: list[tuple[Level, bytes]] = []  # each with its attributes
        self._above: tuple[int, ...] = ()

    def add(self, file_id: str, above: tuple[int, ...], told: Summary, sop_instance: str, transfer_syntax: str) -> None:
        """Add an instance: its file, such as `IMAGES/IM0`; what holds it, patient first; what `describe` has found."""
        for number, level in enumerate((Level.PATIENT, Level.STUDY, Level.SERIES)):
            if self._above[: number + 1] != above[: number + 1]:
                self._records.append((level, self._attributes(level, told)))
        self._above = above
        reference = (
            text_element(0x00041500, b"CS", file_id.replace("/", "\\")),
            text_element(0x00041510, b"UI", told.sop_class),
            text_element(0x00041511, b"UI", sop_instance or told.sop_uid),
            text_element(0x00041512, b"UI", transfer_syntax),
        )
        self._records.append((Level.INSTANCE, self._attributes(Level.INSTANCE, told, b"".join(reference))))

    def pieces(self) -> Iterator[bytes]:
        """Iterate over the file."""
        meta = file_meta(uids.MEDIA_STORAGE_DIRECTORY, self._sop_instance, uids.EXPLICIT_LE)
        head = meta + text_element(0x00041130, b"CS", _FILE_SET_ID)
        links, first, last = self._link(len(head) + _HEAD_BYTES)
        yield head + _place(0x1200, first) + _place(0x1202, last) + _flag(0x1212, 0) + _SEQUENCE
        for (_, attributes), (following, below) in zip(self._records, links, strict=True):
            used = _flag(0x1410, 0xFFFF)
            yield _ITEM + _place(0x1400, following) + used + _place(0x1420, below) + attributes + _ITEM_END
        yield _SEQUENCE_END

    def _attributes(self, level: Level, told: Summary, reference: bytes = b"") -> bytes:
        made = [text_element(0x00041430, b"CS", _TYPES[level]), reference]
        texts = self._defaults() | told.tags[level] if level == Level.STUDY else told.tags[level]
        for tag in sorted(_MAIN_TAGS[level]):
            value = _DROPPED.sub("", texts.get(tag, ""))
            is_there = value or tag not in _WITH_VALUE
            if tag == SERIES_DESCRIPTION:
                is_there = self._is_extended and tag in texts
            if is_there:
                made.append(text_element(tag, _VRS[tag], value))
        return b"".join(made)

    def _defaults(self) -> dict[int, str]:
        return {STUDY_DATE: f"{self._at:%Y%m%d}", STUDY_TIME: f"{self._at:%H%M%S}.000000"}

    def _link(self, start: int) -> tuple[list[tuple[int, int]], int, int]:
        """Return of each record where the next one of its level and the first one below it begin; and the first and last patient.

        From the back: what follows a record on its level is then the one that was met last, unless a higher one came in between.
        """
        place = start + sum(_RECORD_BYTES + len(attributes) for _, attributes in self._records)
        met = [0] * _LEVELS
        last = 0
        links: list[tuple[int, int]] = []
        for level, attributes in reversed(self._records):
            place -= _RECORD_BYTES + len(attributes)
            links.append((met[level], met[level + 1]))
            met[level] = place
            met[level + 1 :] = [0] * (_LEVELS - level - 1)
            last = last or (place if level == Level.PATIENT else 0)
        links.reverse()
        return links, met[Level.PATIENT], last


def _place(element: int, place: int) -> bytes:
    return pack("<HH2sHI", 0x0004, element, b"UL", 4, place)


def _flag(element: int, number: int) -> bytes:
    return pack("<HH2sHH", 0x0004, element, b"US", 2, number)
