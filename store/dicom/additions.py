"""What the configuration adds to the standard's dictionary: `Dictionary`, `ExternalDictionaries`, `LoadPrivateDictionary`.

A private tag belongs to the creator that has reserved its block (PS3.5 §7.8.1). An entry whose element is below 0x100 holds in
whatever block that is, another one in its own; so DCMTK, and with it Orthanc. What is known by default of the tags of some 450 creators
comes from pydicom: 20 ms and 2.4 MB, once somebody asks for a private tag.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from store.dicom.standard_tables import load_table

_NO_WORD: Final = re.compile(r"[^A-Za-z0-9]+")


class Addition(NamedTuple):
    """A tag with a name."""

    tag: int
    vr: str
    name: str
    creator: str = ""  # of a private tag


class Entry(NamedTuple):
    """What the dictionary knows about a tag."""

    vr: str  # as in PS3.6: may be "US or SS", "OB or OW" …; "" if the tag is unknown
    name: str


@dataclass(frozen=True, slots=True)
class Additions:
    """All entries; of two with the same tag and creator the last holds."""

    entries: tuple[Addition, ...] = ()
    has_builtin: bool = False  # LoadPrivateDictionary


class _Tables:
    def __init__(self, additions: Additions) -> None:
        self.has_builtin = additions.has_builtin
        self.of_all: dict[int, Entry] = {}
        self.of_creator: dict[str, dict[int, Entry]] = {}
        for tag, vr, name, creator in additions.entries:
            table = self.of_creator.setdefault(creator, {}) if creator else self.of_all
            table[tag] = Entry(vr, name)
        self.of_name = {entry.name: entry.tag for entry in additions.entries}


_tables = _Tables(Additions())


def set_additions(additions: Additions) -> None:
    """Add entries to the dictionary of this process, in the place of those of before; once, before anything is read."""
    global _tables  # noqa: PLW0603 # one dictionary a process, as with the standard's
    _tables = _Tables(additions)


def tag_named(name: str) -> int | None:
    """Return the tag of an entry, as it stands there: its element may be that of any block."""
    return _tables.of_name.get(name)


def added(tag: int) -> Entry | None:
    """Return an entry that belongs to no creator."""
    return _tables.of_all.get(tag)


def has_private_tags() -> bool:
    """Tell whether any private tag may be known."""
    return _tables.has_builtin or bool(_tables.of_creator)


def find_private(tag: int, creator: str) -> Entry | None:
    """Return what is known of a private tag in a block of this creator."""
    table: Mapping[int, Entry] = _tables.of_creator.get(creator, {})
    short = tag & 0xFFFF00FF
    known = table.get(tag) or table.get(short)
    if known is None and _tables.has_builtin:
        known = _builtin(creator).get(short)
    return known


@cache
def _builtin(creator: str) -> Mapping[int, Entry]:
    """Return the tags that pydicom knows of a creator, named as words in a row; those without a meaning are left out."""
    found: dict[int, Entry] = {}
    for place, (vr, _, words, _) in _builtin_table().get(creator, {}).items():
        name = _NO_WORD.sub("", words)
        if "x" in place[:4] or place[4:6] != "xx" or name in {"", "Unknown"} or len(vr) != 2:
            continue
        found[int(place[:4] + "00" + place[6:], 16)] = Entry(vr, name)
    return found


@cache
def _builtin_table() -> Mapping[str, Mapping[str, tuple[str, str, str, str]]]:
    table: Mapping[str, Mapping[str, tuple[str, str, str, str]]] = load_table("_private_dict").private_dictionaries
    return table
