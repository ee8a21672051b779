"""The words for a level, of QueryRetrieveLevel (0008,0052) and of REST requests: singular and plural, in any case.

`INSTANCE` for `IMAGE` and the plurals are no words of the standard; Orthanc 1.12.7 takes all of them, and no others.
"""

from typing import Final

from events.identifiers import Level

_LEVELS: Final = {
    "PATIENT": Level.PATIENT,
    "PATIENTS": Level.PATIENT,
    "STUDY": Level.STUDY,
    "STUDIES": Level.STUDY,
    "SERIES": Level.SERIES,
    "IMAGE": Level.INSTANCE,
    "IMAGES": Level.INSTANCE,
    "INSTANCE": Level.INSTANCE,
    "INSTANCES": Level.INSTANCE,
}


def level_of(word: str) -> Level | None:
    """The level that a word names, without padding; None if it names none."""
    return _LEVELS.get(word.upper())
