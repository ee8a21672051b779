"""Events of the log as JSON: fields by name, bytes in hexadecimal, identifiers and tags as the REST API writes them."""

from typing import Any

from api.rest.tag_names import tag_key
from events.identifiers import ResourceId, format_blob_id, format_resource_id
from store.views.feed import EventEntry

_RESOURCE_ID_BYTES = 20
_TEXTS = frozenset({"store", "key", "value"})  # what scripts keep: text, as a rule


def render_event(entry: EventEntry) -> dict[str, Any]:
    """Return an event with its personal part merged in; `IsErased` tells that the personal part was erased."""
    values = {**entry.public, **(entry.personal or {})}
    return {
        "Actor": entry.actor,
        "Aggregate": entry.aggregate.hex(),
        "AtMicroseconds": entry.at_us,  # UTC since 1970
        "Correlation": entry.correlation.hex(),
        "IsErased": entry.is_erased,
        "Seq": entry.seq,
        "Tag": entry.tag,
        "Values": {name: _render(name, value) for name, value in values.items()},
    }


def _render(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        if name == "blob":
            return format_blob_id(value)  # type: ignore[arg-type]  # a blob's 16 bytes, by the name of the field
        if name in _TEXTS:
            return value.decode(errors="backslashreplace")
        return format_resource_id(ResourceId(value)) if len(value) == _RESOURCE_ID_BYTES else value.hex()
    if isinstance(value, dict):
        return {_key(key): _render("", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_render("", item) for item in value]
    return value


def _key(key: Any) -> str:
    return tag_key(key) if isinstance(key, int) else str(key)
