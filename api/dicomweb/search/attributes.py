"""Which attributes an answer of QIDO-RS has (PS3.18 Tables 10.6.3-3, -4 and -5), and which belong to a level.

Those that are always there are empty where the resource has no value (type 2 of the tables, and what Orthanc's plugin 1.20 shows so).
"""

from typing import Final

from events.identifiers import Level
from store.dicom import tags
from store.dicom.indexed_tags import MAIN_DICOM_TAGS

_PATIENT_SEX: Final = 0x00100040
_STUDY_SERIES, _STUDY_INSTANCES, _SERIES_INSTANCES = 0x00201206, 0x00201208, 0x00201209
_STEP_START_DATE, _STEP_START_TIME = 0x00400244, 0x00400245

_OF_STUDIES: Final = frozenset(
    {
        tags.STUDY_DATE,
        tags.STUDY_TIME,
        tags.ACCESSION_NUMBER,
        tags.REFERRING_PHYSICIAN_NAME,
        tags.PATIENT_NAME,
        tags.PATIENT_ID,
        tags.PATIENT_BIRTH_DATE,
        _PATIENT_SEX,
        tags.STUDY_INSTANCE_UID,
        tags.STUDY_ID,
    }
)
_OF_SERIES: Final = frozenset({tags.MODALITY, tags.SERIES_INSTANCE_UID, tags.SERIES_NUMBER})

# Of each level the attributes of those above, too, as where no study is named by the URI: nobody is hurt by more.
ALWAYS_SHOWN: Final = {
    Level.STUDY: _OF_STUDIES | {tags.MODALITIES_IN_STUDY, _STUDY_SERIES, _STUDY_INSTANCES},
    Level.SERIES: _OF_STUDIES | _OF_SERIES | {_SERIES_INSTANCES},
    Level.INSTANCE: _OF_STUDIES
    | _OF_SERIES
    | {tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID, tags.INSTANCE_NUMBER}
    | {tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED},
}
_IF_KNOWN_OF_SERIES: Final = frozenset(
    {tags.SERIES_DESCRIPTION, _STEP_START_DATE, _STEP_START_TIME, tags.REQUEST_ATTRIBUTES_SEQUENCE}
)
SHOWN_IF_KNOWN: Final = {
    Level.STUDY: frozenset({tags.TIMEZONE_OFFSET_FROM_UTC}),
    Level.SERIES: _IF_KNOWN_OF_SERIES | {tags.TIMEZONE_OFFSET_FROM_UTC},
    Level.INSTANCE: _IF_KNOWN_OF_SERIES | {tags.TIMEZONE_OFFSET_FROM_UTC, tags.NUMBER_OF_FRAMES},
}
# What the file of an image has alone; a file without pixels has none of it.
OF_IMAGES: Final = frozenset({tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED})

# What this server says of everything it has, or of this answer; nothing in the archive is asked for it.
FIXED: Final = frozenset({tags.SPECIFIC_CHARACTER_SET, tags.INSTANCE_AVAILABILITY, tags.RETRIEVE_URL})

# Identifiers, counters and the like that no level keeps among its main tags.
_LEVEL_OF: Final = {
    **dict.fromkeys(
        (tags.MODALITIES_IN_STUDY, tags.SOP_CLASSES_IN_STUDY, _STUDY_SERIES, _STUDY_INSTANCES), Level.STUDY
    ),
    _SERIES_INSTANCES: Level.SERIES,
    **dict.fromkeys((tags.SOP_CLASS_UID, tags.SAMPLES_PER_PIXEL, tags.PHOTOMETRIC_INTERPRETATION), Level.INSTANCE),
    **dict.fromkeys((tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED, tags.BITS_STORED, tags.PIXEL_DATA), Level.INSTANCE),
}


def level_of(tag: int) -> Level | None:
    """Return the level that an attribute belongs to, the highest of several; None where only its module would tell."""
    by_index = next((level for level in Level if tag in MAIN_DICOM_TAGS[level]), None)
    return _LEVEL_OF.get(tag, by_index)


def all_of(level: Level) -> frozenset[int]:
    """Return what `includefield=all` adds: what the index keeps of a level and of those above it."""
    return frozenset(tag for above in Level if above <= level for tag in MAIN_DICOM_TAGS[above])
