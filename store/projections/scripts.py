"""Callbacks that wait for another attempt, the last failures, and values that scripts keep.

Texts of failures are not copied: views read them from the log.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

from events import scripts as events
from events.scripts import ScriptEvent
from store.batch import Batch
from store.damaged_rows import decodes
from store.log import Appended
from store.projections.projection import FAMILIES, Projection, without
from store.tables import CALLBACK_FAILURES, CALLBACKS_WAITING, KEY_VALUES, TOTALS, callback_key, key, key_value_key

COUNTS: Final = b"callbacks"  # in `totals`
FAILURES_KEPT: Final = 20
_WAITING = Struct(">QI")  # when it is due, attempts; the callback's name follows
_COUNTS = Struct(">QQQ")


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is recorded of a callback that is to be called again."""

    due_us: int  # UTC since 1970
    attempt: int  # how often it has failed
    callback: str


@dataclass(frozen=True, slots=True)
class CallbackCounts:
    """Of the whole log."""

    failed: int = 0  # attempts
    recovered: int = 0  # callbacks, likewise the next
    skipped: int = 0

    def pack(self) -> bytes:
        return _COUNTS.pack(self.failed, self.recovered, self.skipped)


def _fail(batch: Batch, appended: Appended[events.CallbackFailed]) -> None:
    """A failure without another attempt: a callback that waited goes on waiting until it is skipped."""
    event = appended.event
    if event.delay_ms:
        row = _WAITING.pack(appended.at_us + event.delay_ms * 1000, event.attempt) + event.callback.encode()
        batch.put(CALLBACKS_WAITING, callback_key(event.cause_seq, event.number), row)
    batch.put(CALLBACK_FAILURES, key(appended.seq), b"")
    kept = list(batch.keys(CALLBACK_FAILURES, b""))
    for oldest in kept[:-FAILURES_KEPT]:
        batch.delete(CALLBACK_FAILURES, oldest)
    _count(batch, failed=1)


def _recover(batch: Batch, appended: Appended[events.CallbackRecovered]) -> None:
    batch.delete(CALLBACKS_WAITING, callback_key(appended.event.cause_seq, appended.event.number))
    _count(batch, recovered=1)


def _skip(batch: Batch, appended: Appended[events.CallbackSkipped]) -> None:
    batch.delete(CALLBACKS_WAITING, callback_key(appended.event.cause_seq, appended.event.number))
    _count(batch, skipped=1)


def _store(batch: Batch, appended: Appended[events.KeyValueStored]) -> None:
    batch.put(KEY_VALUES, key_value_key(appended.event.store, appended.event.key), appended.event.value)


def _delete(batch: Batch, appended: Appended[events.KeyValueDeleted]) -> None:
    batch.delete(KEY_VALUES, key_value_key(appended.event.store, appended.event.key))


def _count(batch: Batch, *, failed: int = 0, recovered: int = 0, skipped: int = 0) -> None:
    old = unpack_counts(batch.get(TOTALS, COUNTS))
    new = CallbackCounts(old.failed + failed, old.recovered + recovered, old.skipped + skipped)
    batch.put(TOTALS, COUNTS, new.pack())


@decodes
def unpack_waiting(row: bytes) -> Waiting:
    due_us, attempt = _WAITING.unpack_from(row)
    return Waiting(due_us, attempt, row[_WAITING.size :].decode())


@decodes
def unpack_counts(row: bytes | None) -> CallbackCounts:
    return CallbackCounts() if row is None else CallbackCounts(*_COUNTS.unpack(row))


PROJECTION = Projection(
    tables=(CALLBACKS_WAITING, CALLBACK_FAILURES, KEY_VALUES),
    handles={
        events.CallbackFailed: _fail,
        events.CallbackRecovered: _recover,
        events.CallbackSkipped: _skip,
        events.KeyValueStored: _store,
        events.KeyValueDeleted: _delete,
    },
    ignores=without(FAMILIES, ScriptEvent),
)
