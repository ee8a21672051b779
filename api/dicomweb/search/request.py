"""What a search asks for: the query of its URI (PS3.18 §8.3.4).

A name with a capital letter in front, a tag, or a path of them is an attribute; one that nobody knows is an error, and so is a known one
in other letters, for a search that leaves out a condition finds too much. Parameters of other names are for others and left alone.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from api.dicomweb.search.attributes import FIXED, level_of
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.dictionary import dictionary_vr, format_tag, name_in_any_case, parse_attribute, tag_name
from store.dicom.matching import BadKey, HasItem, Matcher
from store.dicom.tags import INSTANCE_AVAILABILITY, MODALITIES_IN_STUDY, MODALITY
from store.dicom.value_matching import AllOf, InParts, Rules, parse_web_key

MAX_NUMBER: Final = (1 << 63) - 1  # of limit and offset
MAX_DEPTH: Final = 16  # of a path
AVAILABILITY: Final = "ONLINE"  # of whatever is here
_ATTRIBUTE: Final = re.compile(r"[0-9]|[A-Z][^-]*\Z")
_UINT: Final = re.compile(r"[0-9]{1,19}\Z")
_SWITCHES: Final = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_NUMBERS: Final = ("limit", "offset")

Shown = dict[int, "Shown | None"]  # what is shown of a sequence's items; None: all of it


@dataclass(slots=True, kw_only=True)
class SearchRequest:
    """A query, checked."""

    keys: dict[int, Matcher] = field(default_factory=dict)
    shown: Shown = field(default_factory=dict)  # beside what every answer shows
    shows_all: bool = False
    finds_nothing: bool = False  # a key asks for what nothing here is
    limit: int = 0
    offset: int = 0


def parse_search(query: str, level: Level, *, is_case_sensitive: bool) -> SearchRequest:
    """Raises InvalidRequest, which says what is wrong with which parameter."""
    pairs = parse_qsl(query, keep_blank_values=True)
    request = SearchRequest()
    plain = {name: value for name, value in pairs if name in _SWITCHES or name in _NUMBERS}
    switches = {name: _flag(name, plain.get(name, "false")) for name in _SWITCHES}
    request.limit, request.offset = (_number(name, plain.get(name, "0")) for name in _NUMBERS)
    rules = Rules(
        folds=not is_case_sensitive,
        is_fuzzy=switches["fuzzymatching"],
        finds_empty=switches["emptyvaluematching"],
        is_multiple=switches["multiplevaluematching"],
    )
    _parse_shown((value for name, value in pairs if name == "includefield"), request, level)
    for name, _ in pairs:
        if not _ATTRIBUTE.match(name) and (meant := name_in_any_case(name)):
            raise InvalidRequest(f'"{name:.100}" is no attribute: it is written {meant}')
    _parse_keys(((name, value) for name, value in pairs if _ATTRIBUTE.match(name)), request, level, rules)
    return request


def _flag(name: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise InvalidRequest(f'"{name}" must be "true" or "false", not "{value:.100}"')
    return value == "true"


def _number(name: str, value: str) -> int:
    if not _UINT.match(value) or int(value) > MAX_NUMBER:
        raise InvalidRequest(f'"{name}" must be a whole number from 0 to {MAX_NUMBER}, not "{value:.100}"')
    return int(value)


def parse_path(name: str) -> tuple[int, ...]:
    """Return the tags of a path such as `00400275.ScheduledProcedureStepID`: sequences, then the attribute that is meant."""
    parts = name.split(".")
    if len(parts) > MAX_DEPTH:
        raise InvalidRequest(f'"{name:.100}" leads through more than {MAX_DEPTH} sequences')
    path = []
    for part in parts:
        tag = parse_attribute(part)
        if tag is None:
            raise InvalidRequest(
                f'"{part:.100}" is no attribute: give the keyword of the standard, such as PatientName, or 8 hexadecimal digits'
            )
        path.append(tag)
    for tag in path[:-1]:
        if dictionary_vr(tag) not in {"SQ", ""}:
            raise InvalidRequest(f'"{name:.100}": {tag_name(tag)} ({format_tag(tag)}) is no sequence')
    return tuple(path)


# -- what is shown ----------------------------------------------------------------------------------------------------


def _parse_shown(values: Iterable[str], request: SearchRequest, level: Level) -> None:
    for name in (part.strip() for value in values for part in value.split(",")):
        if name == "all":
            request.shows_all = True
        elif name:
            _show(request, parse_path(name), level)


def _show(request: SearchRequest, path: tuple[int, ...], level: Level) -> None:
    """Add an attribute, unless it belongs to a lower level (PS3.18 §10.6.3.3)."""
    home = level_of(path[0])
    if path[0] in FIXED or (home is not None and home > level):
        return
    shown = request.shown
    for tag in path[:-1]:
        inner = shown.setdefault(tag, {})
        if inner is None:
            return  # all of it is shown
        shown = inner
    shown[path[-1]] = None


# -- what is matched --------------------------------------------------------------------------------------------------


def _parse_keys(pairs: Iterable[tuple[str, str]], request: SearchRequest, level: Level, rules: Rules) -> None:
    tree: dict[int, Any] = {}
    seen: dict[tuple[int, ...], str] = {}
    for name, value in pairs:
        path = parse_path(name)
        if path in seen:
            raise InvalidRequest(f'"{name:.100}" is asked for twice: join its values by commas')
        seen[path] = name
        key = _parse_key(name, path[-1], value, rules)
        if path == (MODALITY,) and level < Level.SERIES:
            path = (MODALITIES_IN_STUDY,)
        if path == (INSTANCE_AVAILABILITY,):
            request.finds_nothing |= key is not None and not key.matches(AVAILABILITY)
        elif path[0] not in FIXED:
            _show(request, path, level)
            if key is not None:
                _plant(tree, path, key, name)
    request.keys |= _matchers(tree)


def _parse_key(name: str, tag: int, value: str, rules: Rules) -> Matcher | None:
    vr = dictionary_vr(tag).partition(" ")[0] or "UN"
    if vr == "SQ" and value:
        raise InvalidRequest(f'"{name:.100}" is a sequence: name an attribute of its items behind a full stop')
    try:
        return parse_web_key(tag, vr, value, rules)
    except BadKey as exc:
        raise InvalidRequest(f'"{name:.100}": {exc}') from exc


def _plant(tree: dict[int, Any], path: tuple[int, ...], key: Matcher, name: str) -> None:
    for tag in path[:-1]:
        tree = tree.setdefault(tag, {})
        if not isinstance(tree, dict):
            raise InvalidRequest(f'"{name:.100}" leads through an attribute that has a value in this search')
    known = tree.get(path[-1])
    if isinstance(known, dict):
        raise InvalidRequest(f'"{name:.100}" has a value and leads to others in this search')
    tree[path[-1]] = key if known is None else AllOf((InParts(known), InParts(key)))


def _matchers(tree: Mapping[int, Any]) -> dict[int, Matcher]:
    """Keys below one sequence are matched by one item (PS3.4 §C.2.2.2.6)."""
    return {tag: HasItem(_matchers(each)) if isinstance(each, dict) else each for tag, each in tree.items()}
