"""Which events the removal of resources causes, and their stability: the tracker's word, and that of scripts that know better."""

from typing import Any

from actors.core.index.context import Context, Decisions, Planned, Steps
from actors.core.index.reading import find_any, find_visible, read_row, surrogate_of, surrogate_of_resource
from actors.messages.commands import resources as commands
from events import resources as events
from events.errors import InvalidRequest, NotFound, RevisionConflict
from events.identifiers import Level, Ref, ResourceId
from store.batch import Batch
from store.log import read_event
from store.projections import rows
from store.projections.row_purge import next_step
from store.tables import AGGREGATES, BLOBS, CHILDREN, LEVEL_REF, TOMBSTONES, U64, is_attachment_key, key

# Rows of one purge step: 250 instances held the writer for 12 ms (median) on the reference machine; the aim is 20.
PURGE_STEP_INSTANCES = 250


def _delete(command: commands.DeleteResource, context: Context) -> Steps:
    level = Level(command.level)
    ref = find_visible(context.batch, level, command.id) if command.before else None
    if ref is not None and not _is_older(context.batch, level, ref, command.before):
        raise RevisionConflict("Something has come to the resource since")
    return delete(context, level, command.id, remote_ip=command.remote_ip, username=command.username)


def delete(
    context: Context, level: Level, resource: ResourceId, *, reason: str = "", remote_ip: str = "", username: str = ""
) -> Steps:
    """Remove a resource, what it leaves empty above, and the first rows of what is below. Raises NotFound."""
    batch = context.batch
    requested = find_visible(batch, level, resource)
    if requested is None:
        raise NotFound("no such resource")
    top_level, top = _highest_emptied(batch, level, requested)
    row = read_row(batch, top_level, top)
    above = rows.ancestors_of(top_level, row)
    if above:
        parent_level = Level(top_level - 1)
        context.outcome.reply = (int(parent_level), read_row(batch, parent_level, above[0])[rows.ID])
    patient = above[-1] if above else top
    surrogate = surrogate_of(batch, patient)
    event = events.ResourceDeleted(
        level=top_level,
        resource=top,
        requested_level=level,
        requested=requested,
        reason=reason,
        id=ResourceId(row[rows.ID]),
        requested_id=resource,
        remote_ip=remote_ip,
        username=username,
    )
    yield Planned(event, surrogate)
    context.outcome.condemned = True
    if top_level != Level.INSTANCE:
        yield from _purge(commands.PurgeRows(resource=top), context)


def _is_older(batch: Batch, level: Level, ref: Ref, than: int) -> bool:
    """Tell whether a resource and all below it were there before an event."""
    if ref >= than:
        return False
    if level == Level.INSTANCE:
        return True
    if level == Level.SERIES:  # its instances lie in the order in which they came
        return next(batch.items(CHILDREN, key(ref), after=key(ref) + key(than - 1)), None) is None
    children = (Ref(U64.unpack_from(row_key, U64.size)[0]) for row_key in batch.keys(CHILDREN, key(ref)))
    return all(_is_older(batch, Level(level + 1), child, than) for child in children)


def _retract(command: commands.RetractInstance, context: Context) -> Steps:
    owner = context.batch.get(BLOBS, command.blob)
    if owner is None or is_attachment_key(owner):  # an attachment is durable before its event
        return
    ref = Ref(U64.unpack(owner)[0])
    resource = ResourceId(read_row(context.batch, Level.INSTANCE, ref)[rows.ID])
    if find_visible(context.batch, Level.INSTANCE, resource) == ref:  # not a later life, with a good file of its own
        yield from delete(context, Level.INSTANCE, resource)


def _highest_emptied(batch: Batch, level: Level, ref: Ref) -> tuple[Level, Ref]:
    """Climb as long as the parent holds nothing else, as Orthanc removes what it leaves empty."""
    while level != Level.PATIENT:
        parent = rows.ancestors_of(level, read_row(batch, level, ref))[0]
        children = batch.keys(CHILDREN, key(parent))
        next(children, None)
        if next(children, None) is not None:
            break
        level, ref = Level(level - 1), parent
    return level, ref


def _purge(command: commands.PurgeRows, context: Context) -> Steps:
    root = command.resource
    tombstone = context.batch.get(TOMBSTONES, key(root))
    if tombstone is None:
        return
    surrogate = tombstone[LEVEL_REF.size :]
    deleted = _name_purged(context.batch, root, tombstone)
    yield Planned(events.RowsPurged(resource=root, limit=PURGE_STEP_INSTANCES, deleted=deleted), surrogate)
    context.outcome.condemned = True
    if context.batch.get(TOMBSTONES, key(root)) is not None:
        context.outcome.purging.append(root)


def _name_purged(batch: Batch, root: Ref, tombstone: bytes) -> list[list[Any]]:
    """Name what the next step of a purge removes, in the order in which Orthanc tells of it."""
    level, deleted_at = LEVEL_REF.unpack_from(tombstone)
    step = next_step(batch, Level(level), root, PURGE_STEP_INSTANCES)
    packed = ((found.level, batch.get(rows.TABLE_OF_LEVEL[found.level], key(found.ref))) for found in step.rows)
    named: list[list[Any]] = [[int(of), rows.id_of(row)] for of, row in packed if row is not None]
    event = read_event(batch.get, deleted_at)[1] if step.is_last else None
    if not isinstance(event, events.ResourceDeleted):  # else it was erased from the log
        return named
    named.append([level, event.id])
    below = [each for each in named if each[0] > event.requested_level]
    return below + sorted((each for each in named if each[0] <= event.requested_level), key=lambda each: int(each[0]))


# -- stability --------------------------------------------------------------------------------------------------------


def _settle(command: commands.SettleResources, context: Context) -> Steps:
    for level, resource, last_seq in command.resources:
        yield from _settle_one(Level(level), Ref(resource), last_seq, context)


def _settle_one(level: Level, resource: Ref, last_seq: int, context: Context) -> Steps:
    batch = context.batch
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(resource))
    aggregate = rows.unpack_aggregate(batch.get(AGGREGATES, key(resource)))
    if packed is None or aggregate.is_stable or aggregate.last_seq != last_seq:
        return
    if find_visible(batch, level, ResourceId(rows.unpack(packed)[rows.ID])) == resource:
        event = events.ResourceStabilized(level=level, resource=resource)
        yield Planned(event, surrogate_of_resource(batch, level, resource))


def _set_stability(command: commands.SetStability, context: Context) -> Steps:
    """A script that says "not stable" of a resource which is not stable restarts its quiet time."""
    batch = context.batch
    level, resource = find_any(batch, ResourceId(command.id))
    if level == Level.INSTANCE:
        raise InvalidRequest("an instance cannot change, so it has no stability")
    aggregate = rows.unpack_aggregate(batch.get(AGGREGATES, key(resource)))
    context.outcome.reply = aggregate.is_stable != command.is_stable
    if command.is_stable and aggregate.is_stable:
        return
    event_type = events.ResourceStabilized if command.is_stable else events.ResourceUnsettled
    yield Planned(event_type(level=level, resource=resource), surrogate_of_resource(batch, level, resource))
    if not command.is_stable:
        context.outcome.touched = [(level, resource, aggregate.last_seq)]


DECISIONS: Decisions = {
    commands.DeleteResource: _delete,
    commands.RetractInstance: _retract,
    commands.PurgeRows: _purge,
    commands.SettleResources: _settle,
    commands.SetStability: _set_stability,
}
