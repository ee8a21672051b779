"""Reads `Dictionary` and `ExternalDictionaries`: names and VRs of tags besides those of the standard.

An entry of `Dictionary` is `"gggg,eeee": [VR, name, minimum, maximum, private creator]`, of which the last three may be left out and a
maximum of 0 is any number. A file of `ExternalDictionaries` has DCMTK's format: `(gggg,eeee)` or `(gggg,"creator",ee)`, VR, name,
multiplicity and version, parted by tabs; groups and elements may be ranges. Source: observed on Orthanc 1.12.7, which says less of
what is wrong. Imported only where one of these options is there: it needs the dictionary.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from store.dicom.additions import Addition
from store.dicom.dictionary import format_tag, is_standard, parse_tag, tag_name
from store.dicom.elements import LONG_VRS, SHORT_VRS

MOST_ENTRIES: Final = 100_000  # of all files together, ranges counted one by one

_VRS: Final = frozenset((*SHORT_VRS.values(), *LONG_VRS.values()))
# What DCMTK writes for VRs that depend on other elements, and for what is no value.
_FOREIGN_VRS: Final = {"xs": "US", "ox": "OW", "px": "OW", "lt": "OW", "up": "UL", "na": "", "na2": ""}
_SHORT_TAG: Final = re.compile(r"([0-9a-fA-F]{4}),([0-9a-fA-F]{1,2})\Z")
_LINE: Final = re.compile(
    r"\(([0-9a-fA-F]{4})(?:-(?:([oue])-)?([0-9a-fA-F]{4}))?,"
    r'(?:"([^"]*)",)?'
    r"([0-9a-fA-F]{1,4})(?:-(?:([oue])-)?([0-9a-fA-F]{1,4}))?\)\s+(\S+)\s+(\S+)(?:\s.*)?\Z"
)


class _Wrong(Exception):
    """The reason alone; it does not leave this file."""


def read_dictionary(section: Mapping[str, Any]) -> tuple[list[Addition], list[str], list[str]]:
    """Return the entries of `Dictionary`, what is wrong with others, and warnings."""
    entries: dict[tuple[int, str], Addition] = {}
    problems: list[str] = []
    warnings: list[str] = []
    for key, value in section.items():
        try:
            entry = _read_entry(key, value)
        except _Wrong as exc:
            problems.append(f"{key!r:.60}: {exc}")
            continue
        if (entry.tag, entry.creator) in entries:
            problems.append(f"{key!r:.60}: this tag stands here twice")
        entries[entry.tag, entry.creator] = entry
        if entry.tag & 0x10000 and not entry.creator:
            warnings.append(f"Dictionary: {key} is private and has no creator: it is known in files without one alone")
        if (standard := parse_tag(entry.name)) is not None:
            warnings.append(f"Dictionary: {key}: {entry.name} is the name of {format_tag(standard)}, and stays that")
    return list(entries.values()), problems, warnings


def _read_entry(key: str, value: Any) -> Addition:
    tag = _read_tag(key)
    if not isinstance(value, list) or not 2 <= len(value) <= 5:
        raise _Wrong("must be [VR, name, minimum, maximum, private creator], of which the last three may be left out")
    vr, name, *more = value
    if vr not in _VRS:
        raise _Wrong(f"{vr!r:.20} is no VR")
    if not isinstance(name, str):
        raise _Wrong("the name must be a string")
    counts, creator = more[:2], more[2] if len(more) > 2 else ""
    if any(isinstance(count, bool) or not isinstance(count, int) for count in counts):
        raise _Wrong("minimum and maximum must be whole numbers")
    low, high = (*counts, 1, 0)[:2] if len(counts) < 2 else counts
    if low < 1 or (high and high < low):
        raise _Wrong(f"{low} to {high} values cannot be: at least 1, and 0 for any number at most")
    if not isinstance(creator, str):
        raise _Wrong("the private creator must be a string")
    group = tag >> 16
    if creator and (not group & 1 or group < 9):
        raise _Wrong("only tags of odd groups from 0009 on have a private creator")
    if not creator and is_standard(tag):
        raise _Wrong("the standard has this tag already")
    return Addition(tag, vr, name, creator)


def _read_tag(key: str) -> int:
    match = _SHORT_TAG.match(key)
    tag = int(match[1], 16) << 16 | int(match[2], 16) if match else parse_tag(key)
    if tag is None:
        raise _Wrong("no tag; write gggg,eeee, or gggg,ee for any block of a private creator")
    return tag


def read_files(files: Sequence[Path]) -> tuple[list[Addition], list[str]]:
    """Return the entries of all files, the later ones last, and what is wrong, each with file and line."""
    entries: list[Addition] = []
    problems: list[str] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as exc:
            problems.append(f"{file}: {exc.strerror}")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            words = line.strip()
            if not words or words.startswith("#"):
                continue
            try:
                entries += _read_line(words, MOST_ENTRIES - len(entries))
            except _Wrong as exc:
                problems.append(f"{file}: line {number}: {exc}")
    return entries, problems


def _read_line(line: str, room: int) -> list[Addition]:
    match = _LINE.match(line)
    if match is None:
        raise _Wrong('must be (gggg,eeee) or (gggg,"creator",ee), VR, name, multiplicity and version, parted by tabs')
    group, group_step, group_end, creator, element, element_step, element_end, vr, name = match.groups()
    vr = _FOREIGN_VRS.get(vr, vr)
    if vr not in _VRS and vr:
        raise _Wrong(f"{vr} is no VR")
    groups, elements = _range(group, group_step, group_end), _range(element, element_step, element_end)
    # What is known without it, and so the rest of a range; the names of group lengths are a matter of the standard.
    if not creator and (elements == range(1) or tag_name(groups[0] << 16 | elements[0]) == name):
        return []
    if len(groups) * len(elements) > room:
        raise _Wrong(f"with these there are more than {MOST_ENTRIES} tags in all files")
    return [Addition(first << 16 | second, vr, name, creator or "") for first in groups for second in elements]


def _range(start: str, step: str | None, end: str | None) -> range:
    """Numbers of groups or elements: `o` is odd ones, `u` all; without a letter even ones, as in DCMTK."""
    low = int(start, 16)
    if end is None:
        return range(low, low + 1)
    if step == "o":
        low |= 1
    return range(low, int(end, 16) + 1, 1 if step == "u" else 2)
