"""Fields of a request's JSON object, read the way Orthanc reads them; all raise BadField. Observed on Orthanc 1.12.7."""

from collections.abc import Iterable, Mapping
from typing import Any

import falcon
import msgspec

from api.errors import BadField
from api.rest.serving.body import read_text
from events.errors import InvalidJson

MAXIMUM_DEPTH = 100  # of arrays and objects in each other; deeper than anything that has a meaning here
_TOO_DEEP = f"The JSON is nested more than {MAXIMUM_DEPTH} deep"
NOT_JSON = object()  # what a text stands for that is no JSON


def read_json(req: falcon.Request) -> Any:
    """Return the JSON value in a body, NOT_JSON where there is none."""
    return parse_json(read_text(req))


def parse_json(body: str) -> Any:
    """Return a JSON value, NOT_JSON where the text is none. Raises InvalidJson for one that is nested too deep."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return NOT_JSON
    except RecursionError as exc:
        raise InvalidJson(_TOO_DEEP) from exc
    if _is_deep(value):
        raise InvalidJson(_TOO_DEEP)
    return value


def _is_deep(value: Any) -> bool:
    """Tell whether a value is nested deeper than allowed, level by level: what walks over it later may recurse."""
    level = [value]
    for _ in range(MAXIMUM_DEPTH + 1):
        level = [inner for outer in level for inner in _members(outer)]
        if not level:
            return False
    return True


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def read_object(req: falcon.Request) -> dict[str, Any]:
    """Return the JSON object in a body."""
    value = read_json(req)
    if not isinstance(value, dict):
        raise BadField("Must provide a JSON object")
    return value


def text(body: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    """Return a string; it must be there unless there is a default."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadField(f"String value expected in field: {name}")
    return value


def flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadField(f"Boolean value expected in field: {name}")
    return value


def whole(body: Mapping[str, Any], name: str, *, default: int) -> int:
    """Return a number that is whole and not negative."""
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadField(f"Integer value expected in field: {name}")
    if value < 0:
        raise BadField(f"Unsigned integer value expected in field: {name}")
    return value
