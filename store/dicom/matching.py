r"""Whether a value matches a key of a query (PS3.4 §C.2.2.2). Pure; in step with Orthanc 1.12.7 as observed.

| key                          | matches                                                                            |
|------------------------------|------------------------------------------------------------------------------------|
| empty, or the range `-`      | everything, the attribute absent too (universal matching)                          |
| `A`                          | the same text; names (PN) without regard to case unless `CaseSensitivePN`          |
| `A\B`                        | one of the values, literally                                                       |
| `A*`, `A?`                   | by wildcards; `*` is any text, but the attribute must be there                     |
| `A-B`, `A-`, `-B` (DA TM DT) | texts from A to B in the order of their characters; an empty value lies before all |
| a sequence with an item      | if one item matches all keys of it                                                 |

A value of several parts is compared whole, joined by backslashes. Numbers are compared as text. A wildcard in a VR that has
none is a `BadKey`. Trailing spaces of a key do not count, leading ones do.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, TypeAlias, Union

from events.errors import InvalidRequest
from store.dicom.dictionary import dictionary_vr

# The text of an element, the items of a sequence, or None for what has no text (binary values).
Value: TypeAlias = Union[str, "Items", None]
Items: TypeAlias = "tuple[Dataset, ...]"
Dataset: TypeAlias = dict[int, Value]
VrOf: TypeAlias = Callable[[int], str]

RANGE_VRS: Final = frozenset(("DA", "DT", "TM"))
WITHOUT_WILDCARDS: Final = RANGE_VRS | {"AS", "AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UI", "UL", "US", "UV"}
WILDCARD_VRS: Final = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))  # of REST
_HAS_WILDCARD: Final = re.compile(r"[*?]")
_OFFSET: Final = re.compile(r"-(0\d|1[0-4])\d\d(?=-|\Z)")  # of a DT from UTC: −00:00 to −14:00, not the end of a range


class BadKey(InvalidRequest):
    """A key of a query that its VR does not allow."""


class Matcher(Protocol):
    """A key that is not universal. An absent attribute (None) matches none of them."""

    def matches(self, value: Value) -> bool: ...


def fold(text: str) -> str:
    """Upper case, character by character, so that a `?` stands for the same character before and after."""
    if text.isascii():
        return text.upper()
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in text)


@dataclass(frozen=True)
class OneOf:
    """Equal to one of these texts; `folds` says that case does not count, `in_parts` that one part of a value is enough."""

    texts: tuple[str, ...]
    folds: bool = False
    in_parts: bool = False

    @cached_property
    def _wanted(self) -> frozenset[str]:
        return frozenset(map(fold, self.texts) if self.folds else self.texts)

    def matches(self, value: Value) -> bool:
        if not isinstance(value, str):
            return False
        text = fold(value) if self.folds else value
        return text in self._wanted or (self.in_parts and not self._wanted.isdisjoint(text.split("\\")))


@dataclass(frozen=True)
class Wildcard:
    """`*` stands for any characters, `?` for one."""

    pattern: str
    folds: bool = False

    @cached_property
    def _segments(self) -> tuple[re.Pattern[str], ...]:
        """What stands between the stars; each is found once, so no pattern can make matching take for ever."""
        pattern = fold(self.pattern) if self.folds else self.pattern
        parts = (".".join(map(re.escape, segment.split("?"))) for segment in pattern.split("*"))
        return tuple(re.compile(part, re.DOTALL) for part in parts)

    @property
    def prefix(self) -> str:
        """What every match begins with (in any case, where case does not count)."""
        return _HAS_WILDCARD.split(self.pattern, maxsplit=1)[0]

    @property
    def longest_part(self) -> str:
        """What stands between two wildcards and so somewhere in every match."""
        return max(_HAS_WILDCARD.split(self.pattern), key=len)

    def matches(self, value: Value) -> bool:
        if not isinstance(value, str):
            return False
        text = fold(value) if self.folds else value
        first, *middle = self._segments
        if not middle:
            return first.fullmatch(text) is not None
        found = first.match(text)
        *middle, last = middle
        for segment in middle:
            if found is None:
                return False
            found = segment.search(text, found.end())
        return found is not None and _ends(text, last, found.end(), self.pattern)


def _ends(text: str, last: re.Pattern[str], at_least: int, pattern: str) -> bool:
    """Whether `text` ends with the last segment, which has one character for each of the pattern's, behind `at_least`."""
    start = len(text) - (len(pattern) - pattern.rindex("*") - 1)
    return start >= at_least and last.fullmatch(text, start) is not None


@dataclass(frozen=True)
class Between:
    """From `low` to `high`, both included, in the order of characters; None is no bound."""

    low: str | None
    high: str | None

    def matches(self, value: Value) -> bool:
        if not isinstance(value, str):
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class HasItem:
    """A sequence with an item that matches all keys (PS3.4 §C.2.2.2.6)."""

    keys: Mapping[int, Matcher]

    def matches(self, value: Value) -> bool:
        if not isinstance(value, tuple):
            return False
        return any(all(key.matches(item.get(tag)) for tag, key in self.keys.items()) for item in value)


def parse_key(vr: str, value: Value, *, case_sensitive_pn: bool = False, vr_of: VrOf = dictionary_vr) -> Matcher | None:
    """The matcher of a key; None for universal matching. `vr_of` tells the VRs of tags inside items.

    Raises: BadKey.
    """
    if isinstance(value, tuple):
        return _parse_item(value, case_sensitive_pn=case_sensitive_pn, vr_of=vr_of)
    text = (value or "").rstrip(" ")
    if not text:
        return None
    folds = vr == "PN" and not case_sensitive_pn
    if "\\" in text:
        return OneOf(tuple(part.rstrip(" ") for part in text.split("\\") if part), folds)
    return _parse_single(vr, text, folds=folds, takes_wildcards=vr not in WITHOUT_WILDCARDS)


def parse_text_key(vr: str, text: str, *, folds: bool, in_parts: bool) -> Matcher | None:
    """Return the matcher of a key as REST gives it, None for universal matching. Raises BadKey.

    Unlike in C-FIND, case counts for no VR or for all of them, spaces count, and an empty member of a list finds empty values.
    `in_parts`: a list also finds values of which one part is in it.
    """
    if not text:
        return None
    folds = folds and vr not in RANGE_VRS
    if "\\" in text:
        return OneOf(tuple(text.split("\\")), folds, in_parts)
    return _parse_single(vr, text, folds=folds, takes_wildcards=vr in WILDCARD_VRS)


def _parse_single(vr: str, text: str, *, folds: bool, takes_wildcards: bool) -> Matcher | None:
    if vr in RANGE_VRS and (place := _range_hyphen(vr, text)) >= 0:
        low, high = text[:place], text[place + 1 :]
        return Between(low or None, high or None) if low or high else None
    if not _HAS_WILDCARD.search(text):
        return OneOf((text,), folds)
    if not takes_wildcards:
        raise BadKey(f"a value of VR {vr} cannot be matched by wildcards")
    return Wildcard(text, folds)


def _parse_item(items: Items, *, case_sensitive_pn: bool, vr_of: VrOf) -> Matcher | None:
    """A sequence in a query has one item at most."""
    keys = {}
    for tag, value in (items[0] if items else {}).items():
        key = parse_key(vr_of(tag), value, case_sensitive_pn=case_sensitive_pn, vr_of=vr_of)
        if key is not None:
            keys[tag] = key
    return HasItem(keys) if keys else None


def _range_hyphen(vr: str, text: str) -> int:
    """Where the hyphen of a range stands, -1 if there is none; the offset of a date-time from UTC has one too."""
    if vr != "DT":
        return text.find("-")
    offsets = {match.start() for match in _OFFSET.finditer(text) if match.start()}
    return next((place for place, character in enumerate(text) if character == "-" and place not in offsets), -1)
