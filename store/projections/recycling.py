"""The order in which patients are recycled: the oldest first, which is the one whose newest instance came first.

A protected patient is not in the order; one whose protection ends is the newest.
"""

from collections.abc import Iterator

from events.identifiers import Level, Ref, Seq
from events.metadata import MetadataEvent
from events.protection import PatientProtected, PatientUnprotected, ProtectionEvent
from events.resources import (
    CreationEvent,
    InstanceReceivedAgain,
    InstanceStored,
    RemovalEvent,
    SeriesCompleted,
    StabilityEvent,
)
from store.batch import Batch
from store.log import Appended
from store.projections.attachments import ATTACHED_TOTAL, unpack_sizes
from store.projections.counters import STATISTICS
from store.projections.projection import BESIDE_RESOURCES, Gone, Projection, Rebuild, are_empty, without
from store.projections.rows import unpack_aggregate, unpack_totals
from store.tables import AGGREGATES, ATTACHED, PATIENTS, PLACES, PROTECTED, RECYCLING, TOTALS, U64, key


def _store_instance(batch: Batch, appended: Appended[InstanceStored]) -> None:
    patient = key(appended.event.patient)
    place = batch.get(PLACES, patient)
    if place is not None:
        batch.delete(RECYCLING, place)
    elif batch.get(PROTECTED, patient) is not None:
        return
    _put_last(batch, patient, appended.seq)


def _protect(batch: Batch, appended: Appended[PatientProtected]) -> None:
    _remove(batch, key(appended.event.patient))
    batch.put(PROTECTED, key(appended.event.patient), b"")


def _unprotect(batch: Batch, appended: Appended[PatientUnprotected]) -> None:
    batch.delete(PROTECTED, key(appended.event.patient))
    _put_last(batch, key(appended.event.patient), appended.seq)


def _put_last(batch: Batch, patient: bytes, seq: Seq) -> None:
    batch.put(PLACES, patient, key(seq))
    batch.put(RECYCLING, key(seq), patient)


def _remove(batch: Batch, patient: bytes) -> None:
    place = batch.get(PLACES, patient)
    if place is not None:
        batch.delete(PLACES, patient)
        batch.delete(RECYCLING, place)


def _forget(batch: Batch, gone: Gone) -> None:
    if gone.level == Level.PATIENT:
        _remove(batch, key(gone.ref))
        batch.delete(PROTECTED, key(gone.ref))


def _add_place(batch: Batch, _: bytes, patient: bytes, __: bytes) -> None:
    """Put a patient where its newest instance has put it: a release without these rows protected nobody."""
    _put_last(batch, patient, unpack_aggregate(batch.get(AGGREGATES, patient)).last_seq)


def oldest_first(batch: Batch) -> Iterator[Ref]:
    """Iterate over the patients that may be recycled."""
    for _, patient in batch.items(RECYCLING, b""):
        yield Ref(U64.unpack(patient)[0])


def list_protected(batch: Batch) -> Iterator[Ref]:
    """Iterate over the patients that may not."""
    for patient in batch.keys(PROTECTED, b""):
        yield Ref(U64.unpack(patient)[0])


def read_held(batch: Batch) -> tuple[int, int]:
    """Return how many patients the archive holds, and how many bytes their files take on the disk."""
    patients, _, _, _, size_bytes, saved_bytes = unpack_totals(batch.get(TOTALS, STATISTICS))
    return patients, size_bytes - saved_bytes + unpack_sizes(batch.get(TOTALS, ATTACHED_TOTAL)).disk


def disk_bytes_of(batch: Batch, patient: Ref) -> int:
    """Return how many bytes the files of a patient take on the disk."""
    attached = unpack_sizes(batch.get(ATTACHED, key(patient)))
    return unpack_aggregate(batch.get(AGGREGATES, key(patient))).disk_bytes + attached.disk


PROJECTION = Projection(
    tables=(RECYCLING, PLACES, PROTECTED),
    handles={
        InstanceStored: _store_instance,
        PatientProtected: _protect,
        PatientUnprotected: _unprotect,
    },
    ignores=(
        InstanceReceivedAgain,
        CreationEvent,
        SeriesCompleted,
        StabilityEvent,
        RemovalEvent,
        MetadataEvent,
        *without(BESIDE_RESOURCES, ProtectionEvent),
    ),
    forget=_forget,
    rebuild=Rebuild(
        name="recycling",
        tables=(RECYCLING, PLACES),
        sources=(PATIENTS,),
        add=_add_place,
        is_missing=are_empty(PLACES, PROTECTED),
    ),
)
