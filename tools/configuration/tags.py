"""The options about DICOM tags: which are known by name, and which are indexed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from events.identifiers import Level
from events.options import Boolean, Option, Section, Texts
from store.dicom.additions import Additions
from tools.configuration.values import Values

EXTRA_MAIN_TAGS: Final = Option("ExtraMainDicomTags", Section(), {})
DICTIONARY: Final = Option("Dictionary", Section(), {})
EXTERNAL: Final = Option("ExternalDictionaries", Texts(), [])
LOAD_PRIVATE: Final = Option("LoadPrivateDictionary", Boolean(), default=True)
OPTIONS: Final = (EXTRA_MAIN_TAGS, DICTIONARY, EXTERNAL, LOAD_PRIVATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSettings:
    """What the options say."""

    additions: Additions
    extra_main_tags: Mapping[Level, tuple[int, ...]]


def read_tags(values: Values) -> tuple[TagSettings, list[tuple[Option, str]], list[str]]:
    """Return what the options say, what is wrong with which of them, and warnings."""
    section, own, files = (values.value(option) for option in (EXTRA_MAIN_TAGS, DICTIONARY, EXTERNAL))
    has_builtin = values.value(LOAD_PRIVATE)
    if not section and not own and not files:
        return TagSettings(additions=Additions((), has_builtin), extra_main_tags={}), [], []
    # The dictionary costs 10 ms and 3 MB.
    from tools.configuration.dictionary import read_dictionary, read_files
    from tools.configuration.main_tags import read_main_tags

    folder = values.folder(EXTERNAL.name)
    external, wrong_files = read_files([folder / file for file in files])
    entries, wrong_entries, warnings = read_dictionary(own)
    extra, wrong_tags, more = read_main_tags(section, {entry.name: entry.tag for entry in (*external, *entries)})
    problems = [
        (option, reason)
        for option, reasons in ((EXTERNAL, wrong_files), (DICTIONARY, wrong_entries), (EXTRA_MAIN_TAGS, wrong_tags))
        for reason in reasons
    ]
    additions = Additions((*external, *entries), has_builtin)
    return TagSettings(additions=additions, extra_main_tags=extra), problems, [*warnings, *more]
