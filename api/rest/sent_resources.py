"""The resources that a request wants sent, to a modality or a peer: one identifier, a list of some, or an object with `Resources`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.errors import BadField, UnknownRoute
from api.rest import fields
from api.rest.deps import Deps
from events.identifiers import Level, Ref, ResourceId, parse_resource_id
from store.views.retrieve import list_instances


@dataclass(frozen=True, slots=True)
class Root:
    """A resource that the body names."""

    level: Level
    ref: Ref
    id: ResourceId


def read_names(text: str) -> tuple[list[str], Mapping[str, Any]]:
    """Return the identifiers in a body, and its other fields. Raises BadField."""
    if parse_resource_id(text.strip()) is not None:
        return [text.strip()], {}
    body = fields.parse_json(text)
    if isinstance(body, str):
        return [body], {}
    if isinstance(body, list):
        return _names(body), {}
    if body is fields.NOT_JSON:
        raise BadField("Must provide a JSON value")
    if not isinstance(body, dict):
        raise BadField("Must provide a JSON object, or a JSON array of strings")
    if "Resources" not in body:
        raise BadField('Missing field in JSON: "Resources"')
    if not isinstance(body["Resources"], list):
        raise BadField('JSON field "Resources" must contain an array')
    return _names(body["Resources"]), body


def _names(values: Sequence[object]) -> list[str]:
    names = [value for value in values if isinstance(value, str)]
    if len(names) < len(values):
        raise BadField("Resources to be exported must be specified as a JSON array of strings")
    return names


def find_roots(deps: Deps, names: Sequence[str]) -> list[Root]:
    """Return the resources of these names. Raises BadField for what is no identifier, UnknownRoute for an unknown one."""
    found: list[Root] = []
    with deps.views.snapshot() as snapshot:
        for name in names:
            identifier = parse_resource_id(name)
            if identifier is None:
                raise BadField(f"This string is not a valid Orthanc identifier: {name}")
            place = snapshot.find(identifier)
            if place is None:
                raise UnknownRoute
            found.append(Root(*place, identifier))
    return found


def find_root(deps: Deps, name: str) -> Root:
    """Return the resource of a name. Raises UnknownRoute."""
    identifier = parse_resource_id(name)
    with deps.views.snapshot() as snapshot:
        place = None if identifier is None else snapshot.find(identifier)
    if identifier is None or place is None:
        raise UnknownRoute
    return Root(*place, identifier)


def instances_of(deps: Deps, level: Level, ref: Ref) -> list[ResourceId]:
    """Return all instances of a resource. Raises UnknownRoute if it is not there any more."""
    try:
        return list_instances(deps.views, level, ref)
    except KeyError as exc:  # deleted since
        raise UnknownRoute from exc
