"""The options about DICOM tags: which are indexed."""

from collections.abc import Mapping
from typing import Final

from events.identifiers import Level
from events.options import Option, Section
from tools.configuration.values import Values

EXTRA_MAIN_TAGS: Final = Option("ExtraMainDicomTags", Section(), {})
OPTIONS: Final = (EXTRA_MAIN_TAGS,)

ExtraMainTags = Mapping[Level, tuple[int, ...]]


def read_extra_main_tags(values: Values) -> tuple[ExtraMainTags, list[str], list[str]]:
    """Return what is indexed besides the tags that always are, what is wrong with the option, and warnings."""
    section = values.value(EXTRA_MAIN_TAGS)
    if not section:
        return {}, [], []
    from tools.configuration.main_tags import read_main_tags  # the dictionary costs 10 ms and 3 MB

    return read_main_tags(section)
