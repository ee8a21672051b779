"""From the identifier in a URI to the record, with Orthanc's two ways of not finding one."""

from api.errors import UnknownRoute
from events.errors import NotFound
from events.identifiers import Level, parse_resource_id
from store.records import Instance, Resource
from store.views.snapshot import Snapshot


def find(s: Snapshot, level: Level, text: str) -> Resource | Instance:
    """Return the resource a URI names. Raises NotFound, answered without a body."""
    record = _find(s, level, text)
    if record is None:
        raise NotFound
    return record


def find_below(s: Snapshot, level: Level, text: str) -> Resource | Instance:
    """Return the resource a longer URI names, such as `/studies/{id}/series`. Raises UnknownRoute, as Orthanc does."""
    record = _find(s, level, text)
    if record is None:
        raise UnknownRoute
    return record


def find_instance(s: Snapshot, text: str) -> Instance:
    """Return the instance a longer URI names. Raises UnknownRoute."""
    record = find_below(s, Level.INSTANCE, text)
    assert isinstance(record, Instance)
    return record


def _find(s: Snapshot, level: Level, text: str) -> Resource | Instance | None:
    resource = parse_resource_id(text)
    return None if resource is None else s.get(level, resource)
