"""Events as JSON: fields by name, bytes in hexadecimal, identifiers and tags as the REST API writes them.

Values that identify a person, identifiers of resources among them, are shown to whom `EventValuesUsers` names. Secrets are shown to nobody.
"""

import json
from typing import Any, Final

import falcon

from api.rest.render_resources import TYPE_OF_LEVEL, path_of
from api.rest.serving.auth import ORIGIN, username_of
from api.rest.settings import EVERYBODY, RestSettings
from events.identifiers import BlobId, ResourceId, format_blob_id, format_resource_id
from store.dicom.dictionary import format_tag
from store.views.event_pages import Concerned, Told
from store.views.feed import EventEntry

_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_RESOURCE_ID_BYTES: Final = 20
_PLAIN: Final = frozenset({str, int, bool, float, type(None)})
_BLOBS: Final = frozenset({"blob", "replaced", "damaged"})  # names of files
_TEXTS: Final = frozenset({"store", "key", "value", "old_value"})  # what scripts and clients keep: text, as a rule


def sees_values(req: falcon.Request, settings: RestSettings) -> bool:
    """Tell whether who asks is shown what identifies a person: as `EventValuesUsers` says. Scripts are the operator's own."""
    if EVERYBODY in settings.event_values_users or ORIGIN in req.env:
        return True
    # Without authentication a name is only a claim.
    return settings.authentication_enabled and username_of(req) in settings.event_values_users


def render_told(told: Told, *, with_values: bool = True) -> dict[str, Any]:
    """Return an event of the feed, with the resource that it is about."""
    resource = told.resource
    shown = render_event(told.entry, with_values=with_values)
    return shown | {"Resource": None if resource is None else _render_resource(resource, with_values=with_values)}


def render_event(entry: EventEntry, *, with_values: bool = True) -> dict[str, Any]:
    """Return an event with its personal part merged in; `IsErased` tells that the personal part was erased."""
    values = entry.public if entry.personal is None or not with_values else {**entry.public, **entry.personal}
    shown = {
        "Actor": entry.actor,
        "Aggregate": entry.aggregate.hex(),
        "AtMicroseconds": entry.at_us,  # UTC since 1970
        "Correlation": entry.correlation.hex(),
        "IsErased": entry.is_erased,
        "Seq": entry.seq,
        "Tag": entry.tag,
        "Values": {name: _render(name, value) for name, value in values.items()},
    }
    if not with_values:
        shown["IsWithheld"] = True
    return shown


def encode_line(told: Told, *, with_values: bool) -> bytes:
    """Return an event as JSON on one line, in ASCII."""
    return encode_object(render_told(told, with_values=with_values))


def encode_object(value: dict[str, Any]) -> bytes:
    return _encode(value).encode("ascii")


def _render_resource(resource: Concerned, *, with_values: bool) -> dict[str, Any]:
    name = resource.id if with_values else None
    return {
        "ID": None if name is None else format_resource_id(name),
        "Level": TYPE_OF_LEVEL[resource.level],
        "Path": None if name is None else path_of(resource.level, name),
        "State": resource.state,
    }


def _render(name: str, value: Any) -> Any:
    if value.__class__ in _PLAIN:  # most are: half the time
        return value
    if isinstance(value, bytes):
        if name in _BLOBS:
            return format_blob_id(BlobId(value))
        if name in _TEXTS:
            return value.decode(errors="backslashreplace")
        return format_resource_id(ResourceId(value)) if len(value) == _RESOURCE_ID_BYTES else value.hex()
    if isinstance(value, dict):
        return {_key(key): _render("", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_render("", item) for item in value]
    return value


def _key(key: Any) -> str:
    return format_tag(key) if isinstance(key, int) else str(key)
