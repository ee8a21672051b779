r"""Keys of QIDO-RS that are more than one text (PS3.18 §8.3.4): lists, attributes of several values, empty ones, names that only sound alike.

| value of the key                      | matches                                                                              |
|---------------------------------------|--------------------------------------------------------------------------------------|
| empty; `*`                            | everything (PS3.4 §C.2.2.2.3, §C.2.2.2.4); None instead of a matcher                  |
| `A,B` or `A\B`                        | one of them, each alone a text, a range or with wildcards                            |
| `Head, Neck` where texts have commas  | that text, or one of both                                                            |
| `A`, of an attribute of several values | if one of its values matches                                                         |
| `A\B` with `multiplevaluematching`    | attributes that have A and B among their values (PS3.4 §C.2.2.2.8)                    |
| `""` with `emptyvaluematching`        | attributes that are empty or not there (PS3.4 §C.2.2.2.7)                             |
| a name with `fuzzymatching`           | `store.dicom.fuzzy_names` (PS3.4 §C.2.2.2.1.1)                                        |
"""

from dataclasses import dataclass
from typing import Final

from store.dicom.code_extensions import ONE_VALUE_VRS
from store.dicom.dictionary import format_tag, is_multi_valued, parse_tag
from store.dicom.fuzzy_names import SoundsLike
from store.dicom.matching import RANGE_VRS, WILDCARD_VRS, BadKey, Matcher, OneOf, Value, parse_text_key
from store.dicom.tags import MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY

TEXT_WITH_COMMAS: Final = frozenset(("AE", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"))
MULTIPLE_VRS: Final = frozenset(("AE", "AS", "AT", "CS", "LO", "PN", "SH", "UC"))
MAX_PARTS: Final = 10_000  # of one list
_EMPTY: Final = '""'
_IN_PARTS_ANYHOW: Final = frozenset(
    {MODALITIES_IN_STUDY, SOP_CLASSES_IN_STUDY}
)  # of studies, by `store.views.find_match`


@dataclass(frozen=True)
class IsEmpty:
    """Empty, or not there."""

    def matches(self, value: Value) -> bool:
        return not value


@dataclass(frozen=True)
class AnyOf:
    """One of several keys matches."""

    keys: tuple[Matcher, ...]

    def matches(self, value: Value) -> bool:
        return any(key.matches(value) for key in self.keys)


@dataclass(frozen=True)
class AllOf:
    """All of several keys match, each perhaps another value."""

    keys: tuple[Matcher, ...]

    def matches(self, value: Value) -> bool:
        return all(key.matches(value) for key in self.keys)


@dataclass(frozen=True)
class InParts:
    """One of the values of an attribute matches, or all of them as one text."""

    key: Matcher

    def matches(self, value: Value) -> bool:
        if self.key.matches(value):
            return True
        return isinstance(value, str) and "\\" in value and any(map(self.key.matches, value.split("\\")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How the values of one request are matched."""

    folds: bool = True  # upper and lower case are alike
    is_fuzzy: bool = False
    finds_empty: bool = False
    is_multiple: bool = False


def parse_web_key(tag: int, vr: str, text: str, rules: Rules) -> Matcher | None:
    """Return the matcher of a key's value, None for universal matching. Raises BadKey."""
    text = text.rstrip(" ")
    if rules.finds_empty and text == _EMPTY:
        return IsEmpty()
    if not text or (vr in WILDCARD_VRS and not text.strip("*")):
        return None
    is_several = is_multi_valued(tag)
    if rules.is_multiple and is_several and vr in MULTIPLE_VRS and "\\" in text:
        return AllOf(tuple(InParts(OneOf((part,), rules.folds)) for part in _cut(text, "\\") if part))
    key = _parse_list(vr, text, rules)
    return InParts(key) if key is not None and is_several and tag not in _IN_PARTS_ANYHOW else key


def _parse_list(vr: str, text: str, rules: Rules) -> Matcher | None:
    parts = _cut(text, "\\") if vr not in ONE_VALUE_VRS else [text]
    listed = [each for part in parts for each in _cut(part, ",")]
    if vr in TEXT_WITH_COMMAS:
        listed = [*dict.fromkeys((*parts, *listed))]
    keys = [key for each in listed if each and (key := _parse_one(vr, each, rules)) is not None]
    if not keys:
        return None
    if len(keys) == 1:
        return keys[0]
    texts = tuple(text for key in keys if isinstance(key, OneOf) for text in key.texts)
    if len(texts) == len(keys):  # which an index finds sooner
        return OneOf(texts, rules.folds and vr not in RANGE_VRS)
    return AnyOf(tuple(keys))


def _parse_one(vr: str, text: str, rules: Rules) -> Matcher | None:
    if vr == "PN" and rules.is_fuzzy:
        return SoundsLike(text)
    if vr in ONE_VALUE_VRS and "\\" in text:
        return OneOf((text,), rules.folds)
    if vr == "AT" and (tag := parse_tag(text)) is not None:
        text = format_tag(tag)
    return parse_text_key(vr, text, folds=rules.folds, in_parts=False)


def _cut(text: str, separator: str) -> list[str]:
    parts = text.split(separator)
    if len(parts) > MAX_PARTS:
        raise BadKey(f"A list has {len(parts)} members, more than {MAX_PARTS}")
    return [part.rstrip(" ") for part in parts]
