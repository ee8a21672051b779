"""Counters of every patient, study and series, of the whole archive, and the list of what is not yet stable."""

from events.identifiers import Level, Ref
from events.resources import (
    InstanceStored,
    PatientCreated,
    ResourceStabilized,
    ResourceUnsettled,
    SeriesCreated,
    StudyCreated,
)
from store.batch import Batch
from store.log import Appended
from store.projections.rows import (
    Aggregate,
    pack_totals,
    unpack_aggregate,
    unpack_totals,
    with_stability,
)
from store.tables import AGGREGATES, TOTALS, UNSTABLE, key

STATISTICS = b"statistics"


def apply(batch: Batch, appended: Appended) -> None:
    event = appended.event
    match event:
        case InstanceStored():
            for ref in (event.series, event.study, event.patient):
                _count_instance(batch, ref, event.size_bytes, appended)
            _add_totals(batch, 0, 0, 0, 1, event.size_bytes)
        case SeriesCreated():
            for ref in (event.study, event.patient):
                _add(batch, ref, series=1)
            _add_totals(batch, 0, 0, 1, 0, 0)
        case StudyCreated():
            _add(batch, event.patient, studies=1)
            _add_totals(batch, 0, 1, 0, 0, 0)
        case PatientCreated():
            _add_totals(batch, 1, 0, 0, 0, 0)
        case ResourceStabilized():
            _settle(batch, event.resource)
        case ResourceUnsettled():
            _unsettle(batch, event.resource, appended.at_us)
        case _:
            pass


def _count_instance(batch: Batch, ref: Ref, size_bytes: int, appended: Appended) -> None:
    row_key = key(ref)
    old = unpack_aggregate(batch.get(AGGREGATES, row_key))
    new = Aggregate(
        is_stable=False,
        last_seq=appended.seq,
        last_update_us=appended.at_us,
        size_bytes=old.size_bytes + size_bytes,
        instances=old.instances + 1,
        series=old.series,
        studies=old.studies,
    )
    batch.put(AGGREGATES, row_key, new.pack())
    if old.is_stable:
        batch.put(UNSTABLE, row_key, b"")


def _add(batch: Batch, ref: Ref, *, studies: int = 0, series: int = 0, instances: int = 0, size_bytes: int = 0) -> None:
    old = unpack_aggregate(batch.get(AGGREGATES, key(ref)))
    new = Aggregate(
        is_stable=old.is_stable,
        last_seq=old.last_seq,
        last_update_us=old.last_update_us,
        size_bytes=old.size_bytes + size_bytes,
        instances=old.instances + instances,
        series=old.series + series,
        studies=old.studies + studies,
    )
    batch.put(AGGREGATES, key(ref), new.pack())


def _settle(batch: Batch, ref: Ref) -> None:
    row = batch.get(AGGREGATES, key(ref))
    if row is not None:
        batch.put(AGGREGATES, key(ref), with_stability(unpack_aggregate(row), is_stable=True).pack())
        batch.delete(UNSTABLE, key(ref))


def _unsettle(batch: Batch, ref: Ref, at_us: int) -> None:
    row = batch.get(AGGREGATES, key(ref))
    if row is not None:
        batch.put(AGGREGATES, key(ref), with_stability(unpack_aggregate(row), is_stable=False).pack())
        batch.put(UNSTABLE, key(ref), key(at_us))


def _add_totals(batch: Batch, *deltas: int) -> None:
    old = unpack_totals(batch.get(TOTALS, STATISTICS))
    batch.put(TOTALS, STATISTICS, pack_totals(tuple(a + b for a, b in zip(old, deltas, strict=True))))


def add_bytes(batch: Batch, ancestors: tuple[Ref, ...], size_bytes: int) -> None:
    """Note that a file below has another size."""
    for ref in ancestors:
        _add(batch, ref, size_bytes=size_bytes)
    _add_totals(batch, 0, 0, 0, 0, size_bytes)


def subtract(batch: Batch, level: Level, lost: Aggregate, ancestors: tuple[Ref, ...]) -> None:
    """Take a deleted resource with all below it out of its ancestors' counters and out of the totals."""
    studies = lost.studies + (level == Level.STUDY)
    series = lost.series + (level == Level.SERIES)
    for ref in ancestors:
        _add(batch, ref, studies=-studies, series=-series, instances=-lost.instances, size_bytes=-lost.size_bytes)
    _add_totals(batch, -(level == Level.PATIENT), -studies, -series, -lost.instances, -lost.size_bytes)


def forget(batch: Batch, ref: Ref) -> None:
    batch.delete(AGGREGATES, key(ref))
    batch.delete(UNSTABLE, key(ref))
