"""Which events the commands about being stable cause: the tracker's, and those of scripts that know better."""

from actors.core.index.outcome import Context, Outcome, Planned, Steps
from actors.core.index.reading import find_any, find_visible, surrogate_of_resource
from actors.messages.commands import Command, SetStability, SettleResources
from events.errors import InvalidRequest
from events.identifiers import Level, Ref, ResourceId
from events.resources import ResourceStabilized, ResourceUnsettled
from store.projections import rows
from store.tables import AGGREGATES, key

STABILITY_COMMANDS = (SettleResources, SetStability)


def decide_stability(command: Command, context: Context, outcome: Outcome) -> Steps:
    """Yield the events of a command; fill in the outcome."""
    match command:
        case SettleResources():
            for level, resource, last_seq in command.resources:
                yield from _settle(Level(level), Ref(resource), last_seq, context)
        case SetStability():
            yield from _set(command, context, outcome)
        case _:
            raise TypeError(type(command).__name__)


def _settle(level: Level, resource: Ref, last_seq: int, context: Context) -> Steps:
    batch = context.batch
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(resource))
    aggregate = rows.unpack_aggregate(batch.get(AGGREGATES, key(resource)))
    if packed is None or aggregate.is_stable or aggregate.last_seq != last_seq:
        return
    if find_visible(batch, level, ResourceId(rows.unpack(packed)[rows.ID])) == resource:
        event = ResourceStabilized(level=level, resource=resource)
        yield Planned(event, surrogate_of_resource(batch, level, resource))


def _set(command: SetStability, context: Context, outcome: Outcome) -> Steps:
    """Whoever says "not stable" of what is not begins its time of quiet anew."""
    batch = context.batch
    level, resource = find_any(batch, ResourceId(command.id))
    if level == Level.INSTANCE:
        raise InvalidRequest("an instance cannot change, so it has no stability")
    aggregate = rows.unpack_aggregate(batch.get(AGGREGATES, key(resource)))
    outcome.reply = aggregate.is_stable != command.is_stable
    if command.is_stable and aggregate.is_stable:
        return
    event_type = ResourceStabilized if command.is_stable else ResourceUnsettled
    yield Planned(event_type(level=level, resource=resource), surrogate_of_resource(batch, level, resource))
    if not command.is_stable:
        outcome.touched = [(level, resource, aggregate.last_seq)]
