"""Which patients make room for what comes in, and what is refused: decided in the transaction of the store, so that the limits hold exactly.

A patient that is recycled leaves the counters with its `ResourceDeleted`, whatever rows of it are still to be purged.
"""

from dataclasses import replace

from actors.core.index.context import Context, Decisions, Steps
from actors.core.index.decisions.resources import delete
from actors.core.index.reading import read_row
from actors.core.index.settings import PATIENT_COUNT
from actors.messages.commands.recycling import RecycleExcess
from events.errors import LimitReached
from events.identifiers import Level, Ref, ResourceId
from store.projections import rows
from store.projections.recycling import disk_bytes_of, list_protected, oldest_first, read_held
from store.tables import PATIENTS, key

PATIENTS_PER_STEP = 50  # of those that a start recycles: small ones hold the writer for some 20 ms


def make_room(context: Context, *, patient: Ref | None, size_bytes: int, instead_of: int = 0) -> Steps:
    """Recycle until a file of a patient fits in, in place of one of so many bytes; None is a patient who is new.

    Raises LimitReached where nobody may be recycled; the command then leaves all as it was. A patient who is there already is not
    refused because there are too many, which protection or a lower limit can cause.
    """
    limits = context.limits
    if limits.size_mb and size_bytes > limits.size_bytes:
        raise LimitReached(
            f"Cannot store an instance of size {size_bytes} bytes in a storage area limited to {limits.size_bytes}"
        )
    while reason := _exceeded(context, 1 if patient is None else None, size_bytes - instead_of):
        if not limits.recycles:
            raise LimitReached(f"Maximum {'patient count' if reason == PATIENT_COUNT else 'storage size'} reached")
        oldest = next((ref for ref in oldest_first(context.batch) if ref != patient), None)
        if oldest is None:
            raise LimitReached("Cannot recycle more patients")
        yield from _recycle(oldest, reason, context)


def make_room_for(context: Context, level: Level, resource: Ref, size_bytes: int, instead_of: int) -> Steps:
    """Likewise for a file of a resource that is there. One that is not larger than the one before always fits in."""
    if context.limits and size_bytes > instead_of:
        above = rows.ancestors_of(level, read_row(context.batch, level, resource))
        patient = above[-1] if above else resource
        yield from make_room(context, patient=patient, size_bytes=size_bytes, instead_of=instead_of)


def _exceeded(context: Context, more_patients: int | None, more_bytes: int) -> str:
    """Return the option that would not hold, "" if all would; None has the patients not counted."""
    if not context.limits:
        return ""
    patients, held_bytes = read_held(context.batch)
    counted = 0 if more_patients is None else patients + more_patients
    return context.limits.exceeded_by(counted, held_bytes + more_bytes)


def _recycle_excess(_: RecycleExcess, context: Context) -> Steps:
    context.outcome.reply = False
    if not context.limits.recycles:
        return
    if _exceeded(context, 0, 0):
        _check_can_hold(context)
    for _patient in range(PATIENTS_PER_STEP):
        reason = _exceeded(context, 0, 0)
        if not reason:
            return
        yield from _recycle(next(oldest_first(context.batch)), reason, context)
    context.outcome.reply = True


def _check_can_hold(context: Context) -> None:
    """Raise LimitReached if the limits do not hold once all are recycled that may be."""
    kept = [disk_bytes_of(context.batch, ref) for ref in list_protected(context.batch)]
    if reason := context.limits.exceeded_by(len(kept), sum(kept)):
        raise LimitReached(f"the {len(kept)} protected patients alone exceed {reason}")


def _recycle(patient: Ref, reason: str, context: Context) -> Steps:
    resource = ResourceId(rows.unpack(context.batch.get(PATIENTS, key(patient)) or b"")[rows.ID])
    for planned in delete(context, Level.PATIENT, resource, reason=reason):
        yield replace(planned, actor=RecycleExcess.ACTOR)


DECISIONS: Decisions = {RecycleExcess: _recycle_excess}
