"""The main DICOM tags, which the index keeps of each resource: Orthanc's, and those of `ExtraMainDicomTags`.

A text is kept as it is shown, a sequence as JSON (`store.dicom.rendering.render_sequence`). Which of both it is was told by the file,
not by the dictionary; `mark_sequence` marks the JSON so that it cannot be taken for a text.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

from events.identifiers import Level
from store.dicom.dictionary import format_tag
from store.dicom.tags import REQUEST_ATTRIBUTES_SEQUENCE

MainTags = Mapping[Level, tuple[int, ...]]

_MARK: Final = "\0"  # no text holds one

# Those that are kept by default: `MainDicomTags` of `/system`, Orthanc 1.12.7.
MAIN_DICOM_TAGS: Final[MainTags] = {
    Level.PATIENT: (0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x00101000),
    Level.STUDY: (
        0x00080020,
        0x00080030,
        0x00080050,
        0x00080080,
        0x00080090,
        0x00080201,
        0x00081030,
        0x0020000D,
        0x00200010,
        0x00321032,
        0x00321060,
    ),
    Level.SERIES: (
        0x00080021,
        0x00080031,
        0x00080060,
        0x00080070,
        0x00080201,
        0x00081010,
        0x0008103E,
        0x00081070,
        0x00180010,
        0x00180015,
        0x00180024,
        0x00181030,
        0x00181090,
        0x00181400,
        0x0020000E,
        0x00200011,
        0x00200037,
        0x00200105,
        0x00201002,
        0x00400244,
        0x00400245,
        0x00400254,
        0x00400275,
        0x00540081,
        0x00540101,
        0x00541000,
    ),
    Level.INSTANCE: (
        0x00080012,
        0x00080013,
        0x00080018,
        0x00200012,
        0x00200013,
        0x00200032,
        0x00200037,
        0x00200100,
        0x00204000,
        0x00280008,
        0x00541330,
    ),
}


def with_extra(extra: Mapping[Level, Iterable[int]]) -> MainTags:
    """Return the tags of each level, those by default and others, in ascending order."""
    return {level: tuple(sorted({*tags, *extra.get(level, ())})) for level, tags in MAIN_DICOM_TAGS.items()}


@cache
def signature(tags: tuple[int, ...]) -> str:
    """Return tags as the metadata `MainDicomTagsSignature` and `MainDicomTags` of `/system` show them."""
    return ";".join(map(format_tag, tags))


def mark_sequence(tag: int, rendered: str) -> str:
    """Return the JSON of a sequence as the index keeps it. The one sequence by default is older than the mark and has none."""
    return rendered if tag == REQUEST_ATTRIBUTES_SEQUENCE else _MARK + rendered


def is_sequence(tag: int, kept: str) -> bool:
    """Tell whether the index keeps a sequence under a tag."""
    return kept.startswith(_MARK) or (tag == REQUEST_ATTRIBUTES_SEQUENCE and kept.startswith("["))


def sequence_json(kept: str) -> str:
    """Return the JSON of a sequence that the index keeps."""
    return kept.removeprefix(_MARK)
