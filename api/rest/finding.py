"""From the identifier in a URI to the record, with Orthanc's two ways of not finding one."""

from api.errors import UnknownRoute
from api.rest.arguments import Paging
from events.errors import NotFound
from events.identifiers import Level, ResourceId, parse_resource_id
from store.records import Instance, Resource
from store.tables import IDS
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


def list_ids(s: Snapshot, level: Level, page: Paging) -> list[ResourceId]:
    """Return identifiers of a level in Orthanc's order: by identifier.

    A page of instances walks the table of all identifiers, in which instances are the bulk; a page of another level
    sorts its identifiers, which are few.
    """
    if level == Level.INSTANCE and page.limit:
        return _walk(s, page)
    ids: list[ResourceId] = sorted(s.list_ids(level))
    return ids[page.since : page.since + page.limit] if page.limit else ids[page.since :]


def _walk(s: Snapshot, page: Paging) -> list[ResourceId]:
    found: list[ResourceId] = []
    skipped = 0
    with s.txn.cursor(db=s.tables[IDS]) as cursor:
        for key, place in cursor:
            if place[0] != Level.INSTANCE:
                continue
            if skipped < page.since:  # 0.1 µs each, for a row's level is its first byte
                skipped += 1
                continue
            if s.find(ResourceId(key)) is None:  # hidden: its deletion is being purged
                continue
            found.append(ResourceId(key))
            if len(found) == page.limit:
                break
    return found
