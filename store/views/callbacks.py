"""The state of callbacks of scripts: which wait for another attempt, and the last failures."""

from collections.abc import Iterator
from dataclasses import dataclass

from events.identifiers import Seq
from events.scripts import CallbackFailed
from store.log import read_event
from store.projections.scripts import COUNTS, CallbackCounts, unpack_counts, unpack_waiting
from store.tables import CALLBACK_FAILURES, CALLBACKS_WAITING, TOTALS, U64, read_callback_key
from store.views.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class WaitingCallback:
    """A callback that has failed and is to be called again."""

    cause_seq: Seq  # of the event for which it is called
    number: int  # which of the callbacks that this event calls
    due_us: int  # UTC since 1970; not before
    attempt: int  # how often it has failed
    callback: str


@dataclass(frozen=True, slots=True)
class CallbackFailure:
    """An attempt that failed."""

    seq: Seq  # of this failure's own event
    at_us: int  # UTC since 1970
    callback: str
    cause_seq: Seq  # 0: no event caused the call
    attempt: int
    delay_ms: int  # until the next attempt; 0 for none
    cause: str
    message: str | None  # None where it was erased from the log


def list_waiting(snapshot: Snapshot) -> Iterator[WaitingCallback]:
    """Iterate over the callbacks that wait, in the order of the events for which they are called."""
    for row_key in snapshot.keys(CALLBACKS_WAITING, b""):
        cause_seq, number = read_callback_key(row_key)
        waiting = unpack_waiting(snapshot.row(CALLBACKS_WAITING, row_key) or b"")
        yield WaitingCallback(Seq(cause_seq), number, waiting.due_us, waiting.attempt, waiting.callback)


def count_waiting(snapshot: Snapshot) -> int:
    """Return how many callbacks wait for another attempt."""
    count: int = snapshot.txn.stat(snapshot.tables[CALLBACKS_WAITING])["entries"]
    return count


def list_last_failures(snapshot: Snapshot) -> list[CallbackFailure]:
    """Return the newest failures, 20 at most, the newest first."""
    seqs = [Seq(U64.unpack(row_key)[0]) for row_key in snapshot.keys(CALLBACK_FAILURES, b"")]
    found = (_read(snapshot, seq) for seq in reversed(seqs))
    return [failure for failure in found if failure is not None]


def get_callback_counts(snapshot: Snapshot) -> CallbackCounts:
    """Return how many attempts failed, callbacks recovered and were skipped since the log began."""
    return unpack_counts(snapshot.row(TOTALS, COUNTS))


def _read(snapshot: Snapshot, seq: Seq) -> CallbackFailure | None:
    record, event = read_event(snapshot.row, seq)
    if record is None or not isinstance(event, CallbackFailed):
        return None
    return CallbackFailure(
        seq,
        record.at_us,
        event.callback,
        Seq(event.cause_seq),
        event.attempt,
        event.delay_ms,
        event.cause,
        event.message,
    )
