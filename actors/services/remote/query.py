"""The identifier of a query: keys chosen by level, the quirks of manufacturers, the character set. Pure.

Every table was read off the identifiers that Orthanc 1.12.7 sends (PS3.4 §C.6), but for one tag: Orthanc puts
MediaStorageSOPInstanceUID, file meta information, beside SOPInstanceUID, which no identifier may hold (PS3.7 §9.1.2.1).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from actors.services.remote.modality import Modality
from events.identifiers import Level
from store.dicom.charset_encoding import defined_term
from store.dicom.charsets import charset_of
from store.dicom.dictionary import dictionary_vr
from store.dicom.matching import Dataset, Value
from store.dicom.tags import (
    ACCESSION_NUMBER,
    PATIENT_ID,
    QUERY_RETRIEVE_LEVEL,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
)
from store.dicom.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND

FIND_MODEL: Final = MappingProxyType(
    {
        Level.PATIENT: PATIENT_ROOT_FIND,
        Level.STUDY: STUDY_ROOT_FIND,
        Level.SERIES: STUDY_ROOT_FIND,
        Level.INSTANCE: STUDY_ROOT_FIND,
    }
)
LEVEL_WORD: Final = MappingProxyType(
    {Level.PATIENT: "PATIENT", Level.STUDY: "STUDY", Level.SERIES: "SERIES", Level.INSTANCE: "IMAGE"}
)
_ASCII_TERMS: Final = frozenset(("ISO_IR 6", "ISO 2022 IR 6"))
# What names a resource of a level: the keys of a retrieval. The first is the top of the hierarchy.
UNIQUE_KEYS: Final = MappingProxyType(
    {
        Level.PATIENT: (PATIENT_ID,),
        Level.STUDY: (STUDY_INSTANCE_UID,),
        Level.SERIES: (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
        Level.INSTANCE: (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID),
    }
)
# What is asked for at a level even if the client does not say so.
_ALWAYS: Final = MappingProxyType(
    {
        Level.PATIENT: (PATIENT_ID,),
        Level.STUDY: (ACCESSION_NUMBER, PATIENT_ID, STUDY_INSTANCE_UID),
        Level.SERIES: (ACCESSION_NUMBER, PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID),
        Level.INSTANCE: (ACCESSION_NUMBER, PATIENT_ID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID),
    }
)
# What `find-patient` and its like ask for.
TEMPLATES: Final = MappingProxyType(
    {
        Level.PATIENT: (0x00100010, PATIENT_ID, 0x00100030, 0x00100040, 0x00101000),
        Level.STUDY: (
            *(0x00080020, 0x00080030, ACCESSION_NUMBER, 0x00080090, 0x00081030),
            *(PATIENT_ID, STUDY_INSTANCE_UID, 0x00200010),
        ),
        Level.SERIES: (
            *(0x00080021, 0x00080031, ACCESSION_NUMBER, 0x00080060, 0x0008103E, 0x00081070, PATIENT_ID, 0x00180015),
            *(0x00181030, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, 0x00200011, 0x00400254),
        ),
        Level.INSTANCE: (
            *(0x00080012, 0x00080013, SOP_INSTANCE_UID, ACCESSION_NUMBER, PATIENT_ID),
            *(STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, 0x00200013),
        ),
    }
)
# The tags that normalisation leaves at a level.
_OF_PATIENTS: Final = frozenset({
    0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100032, 0x00100040, 0x00101000, 0x00101001, 0x00102160,
    0x00102201, 0x00102292, 0x00102297, 0x00102298, 0x00102299, 0x00104000, 0x00120062, 0x00120063, 0x00081120,
})  # fmt: skip
_OF_STUDIES: Final = _OF_PATIENTS | {
    0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00081030, 0x00081048, 0x00081060, 0x0020000D, 0x00200010,
    0x00081032, 0x00081110,
}  # fmt: skip
_OF_SERIES: Final = _OF_STUDIES | {
    0x00080021, 0x00080031, 0x00080060, 0x0008103E, 0x00081050, 0x00081070, 0x00102210, 0x00180015, 0x00181030,
    0x00185100, 0x0020000E, 0x00200011, 0x00200060, 0x00400244, 0x00400245, 0x00400253, 0x00400254, 0x00400280,
}  # fmt: skip
_OF_INSTANCES: Final = _OF_SERIES | {
    0x00080012, 0x00080013, 0x00080014, 0x00080016, 0x00080018, 0x0008001A, 0x0008001B, 0x00080201, 0x00200013,
    0x00280303, 0x01000410, 0x01000420, 0x01000424, 0x01000426,
}  # fmt: skip
_NORMAL: Final = MappingProxyType(
    {
        Level.PATIENT: _OF_PATIENTS | {0x00201200, 0x00201202, 0x00201204},
        Level.STUDY: _OF_STUDIES | {0x00080061, 0x00080062, 0x00201206, 0x00201208},
        Level.SERIES: _OF_SERIES | {0x00201209},
        Level.INSTANCE: _OF_INSTANCES,
    }
)


def normalize(level: Level, keys: Mapping[int, Value], manufacturer: str) -> Dataset:
    """Return those of `keys` that have a meaning at a level, with the wildcards that a manufacturer's software knows."""
    kept = {tag: value for tag, value in keys.items() if tag in _NORMAL[level] or tag == SPECIFIC_CHARACTER_SET}
    return {
        tag: "" if value == "*" and _is_unknown_wildcard(tag, manufacturer) else value for tag, value in kept.items()
    }


def _is_unknown_wildcard(tag: int, manufacturer: str) -> bool:
    if manufacturer == "GenericNoUniversalWildcard":
        return True
    return manufacturer == "GenericNoWildcardInDates" and dictionary_vr(tag) == "DA"


def find_identifier(level: Level, keys: Mapping[int, Value], manufacturer: str, encoding: str) -> Dataset:
    """Return the identifier of a C-FIND; `keys` are taken as they are, but for the level and the character set."""
    anything = "*" if manufacturer == "GE" else ""
    always = dict.fromkeys(_ALWAYS[level], anything)
    return {
        **always,
        **_without_meta(keys),
        QUERY_RETRIEVE_LEVEL: LEVEL_WORD[level],
        SPECIFIC_CHARACTER_SET: defined_term(encoding),
    }


def worklist_identifier(keys: Mapping[int, Value], encoding: str) -> Dataset:
    """Return the identifier of a C-FIND for worklists (PS3.4 §K.6)."""
    return {**_without_meta(keys), SPECIFIC_CHARACTER_SET: defined_term(encoding)}


def _without_meta(keys: Mapping[int, Value]) -> Dataset:
    return {tag: value for tag, value in keys.items() if tag >> 16 != 2}


def encoding_of(keys: Mapping[int, Value], default_encoding: str) -> str | None:
    """Return the encoding that a query declares, else the default; None if it declares one that is unknown."""
    declared = keys.get(SPECIFIC_CHARACTER_SET)
    if not isinstance(declared, str) or not declared:
        return default_encoding
    charset = charset_of(declared, default_encoding)
    if charset.encoding == "Ascii" and not _ASCII_TERMS.intersection(declared.split("\\")):
        return None
    return charset.written


def local_aet(modality: Modality, requested: str | None, default: str) -> str:
    """Return the title under which a modality is called: its own `LocalAet` wins over a request's, as in Orthanc."""
    return modality.local_aet or requested or default
