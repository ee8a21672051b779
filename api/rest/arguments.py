"""Arguments of the query string, read the way Orthanc reads them.

A name without value counts as present and true; given twice, the last one counts. Source: observed on Orthanc 1.12.7.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import falcon

from api.errors import BadType, InexistentItem, OutOfRange, UnknownTag
from events.errors import InvalidRequest
from store.dicom import dictionary

TagForm = Literal["full", "short", "simplify"]

_BOOLEANS = {"": True, "true": True, "1": True, "false": False, "0": False}
_INT32: Final = range(-(2**31), 2**31)
_LONGEST_NUMBER: Final = 1000  # digits: reading takes quadratic time
_NUMBER = re.compile(r"\+?[0-9]{1,18}\Z")


def boolean(req: falcon.Request, name: str, *, default: bool = False) -> bool:
    """Return a flag such as `expand`. Raises OutOfRange if it has a value that is no Boolean."""
    text = req.get_param(name)
    if text is None:
        return default
    if text not in _BOOLEANS:
        raise OutOfRange(f'Expected a Boolean for GET argument "{name}", found: {text}')
    return _BOOLEANS[text]


def tag_form(req: falcon.Request, default: TagForm) -> TagForm:
    """Return how DICOM tags are to be shown: `?short` wins over `?full`, both over `?simplify`."""
    forms: tuple[TagForm, ...] = ("short", "full", "simplify")
    return next((form for form in forms if req.has_param(form)), default)


@dataclass(frozen=True, slots=True)
class Paging:
    """A part of a list: skip `since`, give at most `limit`, 0 for all."""

    since: int = 0
    limit: int = 0


def paging(req: falcon.Request, uri: str) -> Paging:
    """Return the part of a list that is asked for; `since` and `limit` come together or not at all."""
    if not req.has_param("since") and not req.has_param("limit"):
        return Paging()
    for name in ("since", "limit"):
        if not req.has_param(name):
            raise InvalidRequest(f'Missing "{name}" argument for GET request against: {uri}/')
    return Paging(_number(req, "since"), _number(req, "limit"))


def _number(req: falcon.Request, name: str) -> int:
    text = req.get_param(name) or ""
    if not _NUMBER.match(text):
        raise BadType("Syntax error in some user-supplied data")
    return int(text)


def lenient_numbers(req: falcon.Request, **defaults: int) -> list[int]:
    """Return the numbers of `/changes` and its like; if one does not parse, Orthanc takes the defaults for all."""
    values = []
    for name, default in defaults.items():
        text = req.get_param(name)
        if text is None:
            values.append(default)
        elif _NUMBER.match(text.removeprefix("-")):
            values.append(int(text))
        else:
            return list(defaults.values())
    return values


def number_of(name: str, find: Callable[[str], int | None]) -> int:
    """Return the number that a URI names, of a metadata or an attachment: by a name that `find` knows, or by itself.

    Raises InexistentItem, BadType, as Orthanc.
    """
    number = find(name)
    if number is not None:
        return number
    digits = name.strip(" \t\r\n\v\f")
    if not re.fullmatch(r"-?[0-9]+", digits):
        raise InexistentItem
    if name != digits or len(name) > _LONGEST_NUMBER or int(name) not in _INT32:
        raise BadType("Syntax error in some user-supplied data")
    return int(name)


def parts(req: falcon.Request, name: str) -> list[str]:
    """Return the members of a list separated by semicolons; empty ones are left out."""
    return [part for part in (req.get_param(name) or "").split(";") if part]


def parse_tag(text: str) -> int:
    """Return the tag written as `0010,0010`, `0010-0010`, `00100010` or `PatientName`. Raises UnknownTag."""
    tag = dictionary.parse_tag(text)
    if tag is None:
        raise UnknownTag(text)
    return tag
