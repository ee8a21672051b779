"""What the operations of a sequence name: a resource of any level, by its identifier in Orthanc's form."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from events.errors import NotFound, RevisionConflict
from events.identifiers import Level, Ref, ResourceId, format_resource_id, parse_resource_id
from store.views.retrieve import list_instances
from store.views.snapshot import Snapshot
from store.views.views import Views

if TYPE_CHECKING:
    from actors.messages.index_client import IndexClient

Operation = Mapping[str, Any]  # of a plan: see `actors.services.lua.chain.plan`


class Place(NamedTuple):
    level: Level
    id: ResourceId
    ref: Ref


def find_resource(snapshot: Snapshot, operation: Operation) -> Place | None:
    """Return where the resource of an operation stands, None if the archive does not hold it."""
    identifier = parse_resource_id(operation["resource"])
    found = None if identifier is None else snapshot.find(identifier)
    return None if identifier is None or found is None else Place(found[0], identifier, found[1])


def instances_of(views: Views, operation: Operation) -> list[ResourceId]:
    """Return all instances of the resource, in the order of retrieval. Raises NotFound."""
    with views.snapshot() as snapshot:
        place = find_resource(snapshot, operation)
    if place is None:
        raise NotFound("The resource is not there any more")
    try:
        return list_instances(views, place.level, place.ref)
    except KeyError as exc:  # deleted since
        raise NotFound("The resource is not there any more") from exc


def find_older(snapshot: Snapshot, place: Place, than: Ref) -> list[Place]:
    """Return what of a resource was there before an event: itself if that is all of it, else instances."""
    if place.level is Level.INSTANCE:
        return [place] if place.ref < than else []
    refs = list(snapshot.descendant_refs(snapshot.get_resource(place.level, place.ref), Level.INSTANCE))
    older = [ref for ref in refs if ref < than]
    if len(older) == len(refs):
        return [place]
    return [Place(Level.INSTANCE, snapshot.id_of(Level.INSTANCE, ref), ref) for ref in older]


def remove_older(views: Views, index: "IndexClient", place: Place, than: Ref, **who: Any) -> None:
    """Remove what of a resource was there before an event; what has come since stays, also what comes at this moment."""
    try:
        index.delete(place.level, place.id, before=than, **who)
    except NotFound:  # somebody was faster
        return
    except RevisionConflict:
        with views.snapshot() as snapshot:
            found = find_resource(snapshot, {"resource": format_resource_id(place.id)})
            older = [] if found is None else find_older(snapshot, found, than)
        for each in older:
            remove_older(views, index, each, than, **who)


def find_newer(snapshot: Snapshot, place: Place, than: Ref) -> list[Place]:
    """Return what of a resource came after an event: itself if that is all of it, else instances."""
    if place.ref > than:
        return [place]
    refs = snapshot.descendant_refs(snapshot.get_resource(place.level, place.ref), Level.INSTANCE)
    return [Place(Level.INSTANCE, snapshot.id_of(Level.INSTANCE, ref), ref) for ref in refs if ref > than]


def lineage_of(snapshot: Snapshot, operation: Operation) -> Sequence[Ref]:
    """Return the resource and all that it belongs to, upwards; nothing if the archive does not hold it."""
    place = find_resource(snapshot, operation)
    if place is None:
        return ()
    record = snapshot.get_ref(place.level, place.ref)
    lineage = [place.ref]
    while record.parent is not None:
        record = snapshot.parent(record)
        lineage.append(record.ref)
    return lineage


def are_related(lineage: Sequence[Ref], other: Sequence[Ref]) -> bool:
    """Tell whether two resources are the same or one of them belongs to the other."""
    return bool(lineage and other) and (lineage[0] in other or other[0] in lineage)
