"""Reads `ExtraMainDicomTags`: level -> tags that are indexed besides those that always are, by name or number.

As in Orthanc 1.12.7, levels are named in any case, and a tag that is computed or kept anyway is left out with a warning. Imported only
where the option is there: it needs the dictionary.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from events.identifiers import Level
from store.dicom.dictionary import parse_tag
from store.dicom.indexed_tags import MAIN_DICOM_TAGS
from store.dicom.level_words import level_of
from store.dicom.tags import RETRIEVE_AE_TITLE
from store.views.resource_tags import COMPUTED


def read_main_tags(
    section: Mapping[str, Any], added: Mapping[str, int]
) -> tuple[Mapping[Level, tuple[int, ...]], list[str], list[str]]:
    """Return the tags of each level that is named, what is wrong with others, and warnings.

    `added` names tags besides those of the standard.
    """
    extra: dict[Level, set[int]] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for word, names in section.items():
        level = level_of(word)
        if level is None:
            problems.append(f"{word!r:.60}: no level; write Patient, Study, Series or Instance")
        elif not isinstance(names, list):
            problems.append(f"{word}: must be a list of tags")
        else:
            tags, unknown, odd = _read_tags(level, names, added)
            extra.setdefault(level, set()).update(tags)
            problems += (f"{word}: {reason}" for reason in unknown)
            warnings += (f"ExtraMainDicomTags: {word}: {reason}" for reason in odd)
    return {level: tuple(sorted(tags)) for level, tags in extra.items() if tags}, problems, warnings


def _read_tags(level: Level, names: Iterable[Any], added: Mapping[str, int]) -> tuple[list[int], list[str], list[str]]:
    tags: list[int] = []
    problems: list[str] = []
    warnings: list[str] = []
    for name in names:
        tag = (parse_tag(name) or added.get(name)) if isinstance(name, str) else None
        if tag is None:
            problems.append(f"{name!r:.60}: no tag; write a name of the standard or of Dictionary, or gggg,eeee")
        elif tag in COMPUTED or tag == RETRIEVE_AE_TITLE:
            warnings.append(f"{name} is computed when it is asked for, and not kept")
        elif tag in MAIN_DICOM_TAGS[level]:
            warnings.append(f"{name} is kept anyway")
        else:
            tags.append(tag)
    return tags, problems, warnings
