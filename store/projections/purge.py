"""How a deleted resource leaves the read models: hidden at once, its rows removed step by step.

`ResourceDeleted` takes the root out of its ancestors' counters and removes its own row; from then on nothing below it
can be reached, because every reader checks that the ancestors exist while there are tombstones. `RowsPurged` removes
the rows below, up to a number of instances, in the order of creation.
"""

from dataclasses import dataclass
from typing import NamedTuple

from events.identifiers import Level, Ref, Seq
from events.resources import ResourceDeleted, RowsPurged
from store.batch import Batch
from store.log import Appended
from store.projections import changes, counters, files, find, lookup, resources, rows
from store.projections.rows import EMPTY_AGGREGATE, Aggregate, unpack_aggregate
from store.tables import (
    AGGREGATES,
    BLOBS,
    CHILDREN,
    CONDEMNED,
    LEVEL_REF,
    TOMBSTONES,
    TOUCHES,
    U64,
    child_key,
    key,
    touch_key,
)

_TAGS_OF_LEVEL = {
    Level.PATIENT: rows.PATIENT_TAGS,
    Level.STUDY: rows.STUDY_TAGS,
    Level.SERIES: rows.SERIES_TAGS,
    Level.INSTANCE: rows.INSTANCE_TAGS,
}


def apply(batch: Batch, appended: Appended) -> None:
    match appended.event:
        case ResourceDeleted() as event:
            _delete(batch, Level(event.level), event.resource, appended)
        case RowsPurged() as event:
            _purge(batch, event.resource, event.limit, appended.seq)
        case _:
            pass


def ancestors_of(level: Level, row: list[object]) -> tuple[Ref, ...]:
    """Return the refs above a resource, nearest first, from its unpacked row."""
    match level:
        case Level.INSTANCE:
            return (Ref(row[1]), Ref(row[2]), Ref(row[3]))  # type: ignore[arg-type]  # rows hold ints there
        case Level.SERIES:
            return (Ref(row[1]), Ref(row[2]))  # type: ignore[arg-type]
        case Level.STUDY:
            return (Ref(row[1]),)  # type: ignore[arg-type]
        case _:
            return ()


def _delete(batch: Batch, level: Level, ref: Ref, appended: Appended) -> None:
    seq = appended.seq
    packed = batch.get(rows.TABLE_OF_LEVEL[level], key(ref))
    if packed is None:
        return
    row = rows.unpack(packed)
    ancestors = ancestors_of(level, row)
    if level == Level.INSTANCE:
        lost = Aggregate(True, Seq(0), 0, row[rows.INSTANCE_SIZE], 1, 0, 0)  # the stability of a loss means nothing
    else:
        lost = unpack_aggregate(batch.get(AGGREGATES, key(ref)))
    counters.subtract(batch, level, lost, ancestors)
    if ancestors:
        batch.delete(CHILDREN, child_key(ancestors[0], ref))
    _forget(batch, level, ref, row, seq, seq)
    if level != Level.INSTANCE and lost != EMPTY_AGGREGATE:
        batch.put(TOMBSTONES, key(ref), LEVEL_REF.pack(level, seq) + appended.aggregate)


def _forget(batch: Batch, level: Level, ref: Ref, row: list[object], deleted_at: Seq, seq: Seq) -> None:
    """Remove everything that one resource has in the read models."""
    resource_id: bytes = row[rows.ID]  # type: ignore[assignment]  # rows are untyped lists
    resources.forget(batch, level, ref, resource_id)
    changes.forget(batch, ref)
    lookup.forget(batch, level, ref, row[_TAGS_OF_LEVEL[level]])  # type: ignore[arg-type]
    find.forget(batch, level, ref, row)
    if level != Level.INSTANCE:
        counters.forget(batch, ref)
        return
    files.forget(batch, ref)
    blob: bytes = row[rows.INSTANCE_BLOB]  # type: ignore[assignment]
    batch.delete(BLOBS, blob)
    batch.put(CONDEMNED, blob, U64.pack(seq))
    for touch in (Seq(ref), deleted_at):
        batch.put(TOUCHES, touch_key(resource_id, touch), b"")


def _purge(batch: Batch, root: Ref, limit: int, seq: Seq) -> None:
    tombstone = batch.get(TOMBSTONES, key(root))
    if tombstone is None:
        return
    level, deleted_at = LEVEL_REF.unpack_from(tombstone)
    step = next_step(batch, Level(level), root, limit)
    for found in step.rows:
        packed = batch.get(rows.TABLE_OF_LEVEL[found.level], key(found.ref))
        if packed is not None:
            _forget(batch, found.level, found.ref, rows.unpack(packed), Seq(deleted_at), seq)
        batch.delete(CHILDREN, found.link)
    if step.is_last:
        batch.delete(TOMBSTONES, key(root))


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
