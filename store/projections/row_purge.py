"""How a deleted resource leaves the read models: hidden at once, its rows removed step by step.

`ResourceDeleted` takes the root out of its ancestors' counters and removes its own row; from then on nothing below it
can be reached, because every reader checks that the ancestors exist while there are tombstones. `RowsPurged` removes
the rows below, up to a number of instances, in the order of creation. Each projection forgets a resource that leaves.
"""

from dataclasses import dataclass
from typing import NamedTuple

from events.identifiers import Level, Ref, Seq
from events.metadata import MetadataEvent
from events.resources import (
    CreationEvent,
    InstanceReceivedAgain,
    InstanceStored,
    ResourceDeleted,
    RowsPurged,
    SeriesCompleted,
    StabilityEvent,
)
from store.batch import Batch
from store.log import Appended
from store.projections import attachments, counters, rows
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection
from store.projections.read_models import READ_MODELS
from store.projections.rows import EMPTY_AGGREGATE, Aggregate, unpack_aggregate
from store.tables import AGGREGATES, CHILDREN, LEVEL_REF, TOMBSTONES, U64, child_key, key

_FORGET = [each.forget for each in READ_MODELS if each.forget is not None]


def _delete(batch: Batch, appended: Appended[ResourceDeleted]) -> None:
    level, ref, seq = Level(appended.event.level), appended.event.resource, appended.seq
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(ref))
    if packed is None:
        return
    row = rows.unpack(packed)
    ancestors = rows.ancestors_of(level, row)
    if level == Level.INSTANCE:
        lost = Aggregate(
            True, Seq(0), 0, row[rows.INSTANCE_SIZE], 1, 0, 0, rows.saved_bytes(row)
        )  # it has no stability
    else:
        lost = unpack_aggregate(batch.get(AGGREGATES, key(ref)))
    counters.subtract(batch, level, lost, ancestors, appended.at_us)
    attachments.subtract(batch, ref, ancestors)
    if ancestors:
        batch.delete(CHILDREN, child_key(ancestors[0], ref))
    _forget(batch, Gone(level, ref, row, seq, seq))
    if level != Level.INSTANCE and lost != EMPTY_AGGREGATE:
        batch.put(TOMBSTONES, key(ref), LEVEL_REF.pack(level, seq) + appended.aggregate)


def _purge(batch: Batch, appended: Appended[RowsPurged]) -> None:
    root, limit = appended.event.resource, appended.event.limit
    tombstone = batch.get(TOMBSTONES, key(root))
    if tombstone is None:
        return
    level, deleted_at = LEVEL_REF.unpack_from(tombstone)
    step = next_step(batch, Level(level), root, limit)
    for found in step.rows:
        packed = batch.get(rows.TABLE_OF_LEVEL[found.level], key(found.ref))
        if packed is not None:
            _forget(batch, Gone(found.level, found.ref, rows.unpack(packed), Seq(deleted_at), appended.seq))
        batch.delete(CHILDREN, found.link)
    if step.is_last:
        batch.delete(TOMBSTONES, key(root))


def _forget(batch: Batch, gone: Gone) -> None:
    for forget in _FORGET:
        forget(batch, gone)


class Purged(NamedTuple):
    """A resource below a deleted one."""

    level: Level
    ref: Ref
    link: bytes  # key of its row in `children`


@dataclass(slots=True)
class PurgeStep:
    """What one step of a purge removes, in this order: children before their parent."""

    rows: list[Purged]
    is_last: bool = False


def next_step(batch: Batch, level: Level, root: Ref, limit: int) -> PurgeStep:
    """Return what is first below a deleted resource, up to `limit` instances; it is the last step if it finds fewer."""
    step = PurgeStep([])
    step.is_last = _collect_below(batch, level, root, limit, step.rows) > 0
    return step


def _collect_below(batch: Batch, level: Level, parent: Ref, budget: int, found: list[Purged]) -> int:
    """Collect what is below `parent`; returns what is left of the budget, 0 where there may be more."""
    child_level = Level(level + 1)
    for link in batch.keys(CHILDREN, key(parent)):
        if budget == 0:
            return 0
        child = Ref(U64.unpack(link[8:])[0])
        if child_level != Level.INSTANCE:
            budget = _collect_below(batch, child_level, child, budget, found)
            if budget == 0:
                return 0
        found.append(Purged(child_level, child, link))
        budget -= child_level == Level.INSTANCE
    return budget


PROJECTION = Projection(
    tables=(TOMBSTONES,),
    handles={ResourceDeleted: _delete, RowsPurged: _purge},
    ignores=(
        InstanceStored,
        InstanceReceivedAgain,
        CreationEvent,
        SeriesCompleted,
        StabilityEvent,
        MetadataEvent,
        *BESIDE_RESOURCES,
    ),
)
