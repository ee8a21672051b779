"""Counters of every patient, study and series, of the whole archive, and the list of what is not yet stable."""

from collections.abc import Iterator
from dataclasses import replace

from events import resources as events
from events.envelope import EVENT_TYPES, decode_record, tags_of, upcast
from events.event import field_names
from events.identifiers import Level, Ref, Seq
from events.metadata import MetadataEvent
from store.batch import Batch
from store.log import Appended
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection, Rebuild
from store.projections.rows import Aggregate, pack_totals, unpack_aggregate, unpack_totals, with_stability
from store.tables import AGGREGATES, EVENTS, TOTALS, UNSTABLE, key

STATISTICS = b"statistics"


def _store_instance(batch: Batch, appended: Appended[events.InstanceStored]) -> None:
    event = appended.event
    for ref in (event.series, event.study, event.patient):
        _count_instance(batch, ref, appended)
    _add_totals(batch, 0, 0, 0, 1, event.size_bytes, event.size_bytes - event.disk_bytes)


def _create_series(batch: Batch, appended: Appended[events.SeriesCreated]) -> None:
    for ref in (appended.event.study, appended.event.patient):
        _add(batch, ref, series=1)
    _add_totals(batch, 0, 0, 1, 0, 0, 0)


def _create_study(batch: Batch, appended: Appended[events.StudyCreated]) -> None:
    _add(batch, appended.event.patient, studies=1)
    _add_totals(batch, 0, 1, 0, 0, 0, 0)


def _create_patient(batch: Batch, _: Appended[events.PatientCreated]) -> None:
    _add_totals(batch, 1, 0, 0, 0, 0, 0)


def _count_instance(batch: Batch, ref: Ref, appended: Appended[events.InstanceStored]) -> None:
    row_key, file = key(ref), appended.event
    old = unpack_aggregate(batch.get(AGGREGATES, row_key))
    new = Aggregate(
        is_stable=False,
        last_seq=appended.seq,
        last_update_us=appended.at_us,
        size_bytes=old.size_bytes + file.size_bytes,
        instances=old.instances + 1,
        series=old.series,
        studies=old.studies,
        saved_bytes=old.saved_bytes + file.size_bytes - file.disk_bytes,
    )
    batch.put(AGGREGATES, row_key, new.pack())
    if old.is_stable:
        batch.put(UNSTABLE, row_key, b"")


def _add(
    batch: Batch,
    ref: Ref,
    *,
    studies: int = 0,
    series: int = 0,
    instances: int = 0,
    size_bytes: int = 0,
    saved_bytes: int = 0,
) -> None:
    old = unpack_aggregate(batch.get(AGGREGATES, key(ref)))
    new = Aggregate(
        is_stable=old.is_stable,
        last_seq=old.last_seq,
        last_update_us=old.last_update_us,
        size_bytes=old.size_bytes + size_bytes,
        instances=old.instances + instances,
        series=old.series + series,
        studies=old.studies + studies,
        saved_bytes=old.saved_bytes + saved_bytes,
    )
    batch.put(AGGREGATES, key(ref), new.pack())


def _settle(batch: Batch, appended: Appended[events.ResourceStabilized]) -> None:
    ref = appended.event.resource
    if _set_stability(batch, ref, is_stable=True):
        batch.delete(UNSTABLE, key(ref))


def _unsettle(batch: Batch, appended: Appended[events.ResourceUnsettled]) -> None:
    ref = appended.event.resource
    if _set_stability(batch, ref, is_stable=False):
        batch.put(UNSTABLE, key(ref), key(appended.at_us))


def _set_stability(batch: Batch, ref: Ref, *, is_stable: bool) -> bool:
    """Returns whether the resource is there."""
    row = batch.get(AGGREGATES, key(ref))
    if row is not None:
        batch.put(AGGREGATES, key(ref), with_stability(unpack_aggregate(row), is_stable=is_stable).pack())
    return row is not None


def _update(batch: Batch, ref: Ref, at_us: int) -> None:
    """Something below has changed: for Orthanc a deletion is an update, too, and leaves the stability as it was."""
    row = batch.get(AGGREGATES, key(ref))
    if row is not None:
        old = unpack_aggregate(row)
        batch.put(AGGREGATES, key(ref), replace(old, last_update_us=max(old.last_update_us, at_us)).pack())


def _add_totals(batch: Batch, *deltas: int) -> None:
    old = unpack_totals(batch.get(TOTALS, STATISTICS))
    batch.put(TOTALS, STATISTICS, pack_totals(tuple(a + b for a, b in zip(old, deltas, strict=True))))


def add_bytes(batch: Batch, ancestors: tuple[Ref, ...], size_bytes: int, saved_bytes: int) -> None:
    """Note that a file below has another size, and that compression saves more of it."""
    for ref in ancestors:
        _add(batch, ref, size_bytes=size_bytes, saved_bytes=saved_bytes)
    _add_totals(batch, 0, 0, 0, 0, size_bytes, saved_bytes)


def subtract(batch: Batch, level: Level, lost: Aggregate, ancestors: tuple[Ref, ...], at_us: int) -> None:
    """Take a deleted resource with all below it out of its ancestors' counters and out of the totals."""
    studies = lost.studies + (level == Level.STUDY)
    series = lost.series + (level == Level.SERIES)
    size_bytes, saved_bytes, instances = -lost.size_bytes, -lost.saved_bytes, -lost.instances
    for ref in ancestors:
        _add(
            batch,
            ref,
            studies=-studies,
            series=-series,
            instances=instances,
            size_bytes=size_bytes,
            saved_bytes=saved_bytes,
        )
        _update(batch, ref, at_us)
    _add_totals(batch, -(level == Level.PATIENT), -studies, -series, instances, size_bytes, saved_bytes)


def _forget(batch: Batch, gone: Gone) -> None:
    if gone.level != Level.INSTANCE:
        batch.delete(AGGREGATES, key(gone.ref))
        batch.delete(UNSTABLE, key(gone.ref))


def _note_deletion(batch: Batch, _: bytes, _seq: bytes, row: bytes) -> None:
    for ref, at_us in _updated_by_deletion(batch, row):
        _update(batch, ref, at_us)


def _is_deletion_unnoted(batch: Batch) -> bool:
    """Before, a deletion did not change when the resources above it were updated."""
    noted = ((unpack_aggregate(batch.get(AGGREGATES, key(ref))), at_us)
             for _, row in batch.items(EVENTS, b"") for ref, at_us in _updated_by_deletion(batch, row))  # fmt: skip
    return any(aggregate.last_update_us < at_us for aggregate, at_us in noted)


def _updated_by_deletion(batch: Batch, row: bytes) -> Iterator[tuple[Ref, int]]:
    """Iterate over what is there and lies above a resource that an event deleted, with the time of that."""
    record = decode_record(Seq(0), row)
    if record.tag not in tags_of(events.ResourceDeleted):
        return
    deleted = record.public[1]
    created = decode_record(deleted, batch.get(EVENTS, key(deleted)) or b"")
    tag, public, _ = upcast(created.tag, created.public, None)
    names, _personal = field_names(EVENT_TYPES[tag])
    for name, ref in zip(names, public, strict=False):  # the last ones may have defaults
        if name in {"series", "study", "patient"} and batch.get(AGGREGATES, key(ref)) is not None:
            yield ref, record.at_us


PROJECTION = Projection(
    tables=(AGGREGATES, UNSTABLE, TOTALS),
    handles={
        events.InstanceStored: _store_instance,
        events.SeriesCreated: _create_series,
        events.StudyCreated: _create_study,
        events.PatientCreated: _create_patient,
        events.ResourceStabilized: _settle,
        events.ResourceUnsettled: _unsettle,
    },
    # store.projections.row_purge subtracts, store.projections.files adds what a healed file has more.
    ignores=(
        events.InstanceReceivedAgain,
        events.SeriesCompleted,
        events.RemovalEvent,
        MetadataEvent,
        *BESIDE_RESOURCES,
    ),
    forget=_forget,
    rebuild=Rebuild(
        name="last-update", tables=(), sources=(EVENTS,), add=_note_deletion, is_missing=_is_deletion_unnoted
    ),
)
