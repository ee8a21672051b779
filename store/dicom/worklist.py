"""Queries of the modality worklist (PS3.4 Annex K): what an entry must have to match, and what is told of it. Pure.

Keys are those of C-FIND (`store.dicom.matching`), within the item of Scheduled Procedure Step Sequence, too. A range of dates beside
a range of times is one range from a moment to a moment (PS3.4 §K.6.1.2.2): from the 5th, 10:00, to the 7th, 18:00. Orthanc 1.12.7
compares the two apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from events.errors import InvalidRequest
from store.dicom.dictionary import format_tag
from store.dicom.matching import Between, Dataset, HasItem, Matcher, OneOf, Value, VrOf, parse_key
from store.dicom.tags import (
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    SCHEDULED_PROCEDURE_STEP_START_DATE,
    SCHEDULED_PROCEDURE_STEP_START_TIME,
    SCHEDULED_STATION_AE_TITLE,
    SPECIFIC_CHARACTER_SET,
)

Keys = Mapping[int, Matcher]

_DIGITS: Final = len("HHMMSSFFFFFF")
_MIDNIGHT: Final = "0" * _DIGITS
_END_OF_DAY: Final = "9" * _DIGITS  # behind any time


@dataclass(frozen=True)
class StepBetween:
    """A step that begins between two moments, and matches the other keys; texts of digits, None is no bound."""

    low: str | None
    high: str | None
    others: Keys

    def matches(self, value: Value) -> bool:
        return isinstance(value, tuple) and any(map(self._is_met, value))

    def _is_met(self, item: Dataset) -> bool:
        date, time = item.get(SCHEDULED_PROCEDURE_STEP_START_DATE), item.get(SCHEDULED_PROCEDURE_STEP_START_TIME)
        if not isinstance(date, str) or not isinstance(time, str):
            return False
        moment = _moment(date, time, _MIDNIGHT) if date else ""
        is_between = (self.low is None or moment >= self.low) and (self.high is None or moment <= self.high)
        return is_between and all(key.matches(item.get(tag)) for tag, key in self.others.items())


def parse_worklist_query(asked: Dataset, vr_of: VrOf, *, case_sensitive_pn: bool, issuer: str = "") -> Keys:
    """Return the keys of a query. `issuer` is the title whose steps alone are shown, "" for all.

    Raises: BadKey; InvalidRequest for a sequence of several items.
    """
    for tag, value in asked.items():
        if isinstance(value, tuple) and len(value) > 1:
            raise InvalidRequest(f"the sequence ({format_tag(tag)}) of a query has several items")
    keys: dict[int, Matcher] = {}
    for tag, value in asked.items():
        if tag == SPECIFIC_CHARACTER_SET or not tag & 0xFFFF:
            continue
        key = parse_key(vr_of(tag), value, case_sensitive_pn=case_sensitive_pn, vr_of=vr_of)
        if key is not None:
            keys[tag] = key
    step = keys.get(SCHEDULED_PROCEDURE_STEP_SEQUENCE)
    within = dict(step.keys) if isinstance(step, HasItem) else {}
    if issuer:
        within[SCHEDULED_STATION_AE_TITLE] = OneOf((issuer,))
    if within:
        keys[SCHEDULED_PROCEDURE_STEP_SEQUENCE] = _step_key(within)
    return keys


def _step_key(within: dict[int, Matcher]) -> Matcher:
    date, time = within.get(SCHEDULED_PROCEDURE_STEP_START_DATE), within.get(SCHEDULED_PROCEDURE_STEP_START_TIME)
    if not isinstance(date, Between) or not isinstance(time, Between):
        return HasItem(within)
    others = {
        tag: key
        for tag, key in within.items()
        if tag not in {SCHEDULED_PROCEDURE_STEP_START_DATE, SCHEDULED_PROCEDURE_STEP_START_TIME}
    }
    low = None if date.low is None else _moment(date.low, time.low or "", _MIDNIGHT)
    high = (
        None if date.high is None else _moment(date.high, time.high or "", _END_OF_DAY if not time.high else _MIDNIGHT)
    )
    return StepBetween(low, high, others)


def _moment(date: str, time: str, rest: str) -> str:
    """Return a date and a time as one text; what the time lacks is `rest`."""
    digits = time.replace(":", "").replace(".", "").strip()
    return date.strip() + digits + rest[len(digits) :]


def matches(keys: Keys, entry: Dataset) -> bool:
    return all(key.matches(entry.get(tag)) for tag, key in keys.items())


def describe(asked: Dataset, entry: Dataset, keys: Keys) -> Dataset:
    """Return what an answer tells: of what the query names that which the entry has.

    Of a sequence these are the items that match, and of them what the query's item names.
    """
    return {tag: _narrowed(asked[tag], value, keys.get(tag)) for tag, value in entry.items() if tag in asked}


def _narrowed(asked: Value, value: Value, key: Matcher | None) -> Value:
    if not isinstance(value, tuple):
        return value
    matching = value if key is None else tuple(item for item in value if key.matches((item,)))
    if not isinstance(asked, tuple) or not asked or not asked[0]:
        return matching
    within = key.keys if isinstance(key, HasItem) else {}
    return tuple(describe(asked[0], item, within) for item in matching)
