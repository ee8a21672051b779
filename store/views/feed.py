"""`/changes`, the entries of the log, and the history of a resource."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from events import envelope
from events.event import Event, field_names, secret_keys, secret_names
from events.identifiers import Level, ResourceId, Seq
from store.log import read_rows
from store.projections.changes import CLEARED, LAST, ChangeType, read_change
from store.projections.rows import arrival_of
from store.records import Change, ChangesPage
from store.tables import (
    CHANGES,
    CHANGES_BY_TYPE,
    EVENTS,
    INSTANCES,
    PERSONAL,
    TOTALS,
    U64,
    key,
)
from store.views.history import list_history
from store.views.snapshot import Snapshot

_NEW_INSTANCE = ChangeType.NewInstance.name
HIDDEN = "hidden"  # in place of what opens doors
MAX_SEQ = (1 << 63) - 1  # the largest `since` and `to`: the next number still fits a key


def get_changes(
    snapshot: Snapshot,
    *,
    since: int = 0,
    limit: int = 100,
    to: int | None = None,
    types: Sequence[str] = (),
    backwards: bool | None = None,
) -> ChangesPage:
    """Return a page of `/changes`: forwards after `since`, or backwards up to and with `to`. `limit` 0 means all.

    `done` tells that nothing follows the page (or precedes it, reading backwards). Unknown types match nothing. Unless it is told,
    the way is Orthanc's: backwards for `to` alone.
    """
    if backwards is None:
        backwards = to is not None and since == 0
    walk = _walk(snapshot, since, to, types, backwards=backwards)
    found = list(islice(walk, limit or None))
    done = next(walk, None) is None
    if backwards:
        found.reverse()
    first = found[0].seq if found else since
    last = found[-1].seq if found else (to if to is not None else since)
    return ChangesPage(found, done, first, last)


def get_last_change(snapshot: Snapshot) -> ChangesPage:
    """Return the page that holds the newest change alone (`/changes?last`)."""
    found = list(islice(_walk(snapshot, 0, None, (), backwards=True), 1))
    seq = found[0].seq if found else get_last_seq(snapshot)
    return ChangesPage(found, True, seq, seq)


def get_last_seq(snapshot: Snapshot) -> int:
    """Return the sequence of the last change there ever was, 0 before the first: its row may be gone."""
    found: int = U64.unpack(snapshot.row(TOTALS, LAST) or bytes(8))[0]
    return found


def _walk(snapshot: Snapshot, since: int, to: int | None, types: Sequence[str], *, backwards: bool) -> Iterator[Change]:
    wanted = {ChangeType[name] for name in types if name in ChangeType.__members__}
    runs = []
    if not types or ChangeType.NewInstance in wanted:
        cleared = U64.unpack(snapshot.row(TOTALS, CLEARED) or bytes(8))[0]
        runs.append(_rows(snapshot, INSTANCES, b"", max(since, cleared), to, backwards=backwards))
    if not types:
        runs.append(_rows(snapshot, CHANGES, b"", since, to, backwards=backwards))
    runs += [
        _rows(snapshot, CHANGES_BY_TYPE, bytes((change_type,)), since, to, backwards=backwards)
        for change_type in wanted - {ChangeType.NewInstance}
    ]
    hides_something = snapshot.hides_something
    for seq_key, table, row in heapq.merge(*runs, reverse=backwards):
        change = _read(snapshot, seq_key, table, row)
        if change is not None and not (hides_something and _is_hidden(snapshot, change)):
            yield change


def _read(snapshot: Snapshot, seq_key: bytes, table: bytes, row: bytes) -> Change | None:
    snapshot.last_table = table
    seq: Seq = U64.unpack(seq_key)[0]
    if table is INSTANCES:
        resource, at_us = arrival_of(row)
        return Change(seq, _NEW_INSTANCE, Level.INSTANCE, resource, at_us)
    packed = row if table is CHANGES else snapshot.row(CHANGES, seq_key)
    return None if packed is None else read_change(seq, packed)


def _is_hidden(snapshot: Snapshot, change: Change) -> bool:
    """Tell whether the resource is being purged. Then a change that is older than a resource of its name is of an earlier life."""
    found = snapshot.find(change.resource)
    return found is None or found[1] > change.seq


def _rows(
    snapshot: Snapshot, table: bytes, prefix: bytes, since: int, to: int | None, *, backwards: bool
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Iterate over a table's rows whose keys are a prefix with a sequence in (since, to]: key of the sequence, table, row."""
    first = prefix + key(min(since, MAX_SEQ) + 1)
    behind = prefix + key((MAX_SEQ if to is None else min(to, MAX_SEQ)) + 1)
    start = len(prefix)
    with snapshot.txn.cursor(db=snapshot.tables[table]) as cursor:
        if backwards:
            found = cursor.prev() if cursor.set_range(behind) else cursor.last()
            rows = cursor.iterprev()
        else:
            found = cursor.set_range(first)
            rows = cursor.iternext()
        if not found:
            return
        for row_key, row in rows:
            if row_key < first if backwards else row_key >= behind:
                return
            yield row_key[start:], table, row


@dataclass(frozen=True, slots=True)
class EventEntry:
    """One event of the log with the names of its values."""

    seq: Seq
    tag: str
    at_us: int
    aggregate: bytes
    actor: str
    correlation: bytes
    public: dict[str, Any]
    personal: dict[str, Any] | None  # None where the event has no personal part, or it was erased
    is_erased: bool


def get_events(snapshot: Snapshot, *, since: int = 0, limit: int = 100) -> list[EventEntry]:
    """Return up to `limit` events after sequence `since`."""
    rows = read_rows(snapshot.txn, snapshot.tables, since, limit)
    return [read_entry(seq, row, personal) for seq, row, personal in rows]


def get_history(snapshot: Snapshot, resource_id: ResourceId) -> list[EventEntry]:
    """Return every event that touched a resource, also of its earlier lives; empty where it was never here."""
    found = (get_entry(snapshot, seq) for seq in list_history(snapshot, resource_id))
    return [entry for entry in found if entry is not None]


def get_entry(snapshot: Snapshot, seq: int) -> EventEntry | None:
    """Return one event, None if there is none."""
    row = snapshot.row(EVENTS, key(seq))
    return None if row is None else read_entry(Seq(seq), row, snapshot.row(PERSONAL, key(seq)))


def read_entry(seq: Seq, row: bytes, personal_row: bytes | None) -> EventEntry:
    """Return a row of the log with the names of its values."""
    record = envelope.decode_record(seq, row)
    personal = envelope.decode_personal(record, personal_row)
    tag, public, personal = envelope.upcast(record.tag, record.public, personal)
    event_type = envelope.EVENT_TYPES.get(tag)
    names = field_names(event_type) if event_type is not None else ((), ())
    return EventEntry(
        seq,
        tag,
        record.at_us,
        record.aggregate,
        record.actor,
        record.correlation,
        dict(zip(names[0], public, strict=False)),
        None if personal is None else _without_secrets(event_type, dict(zip(names[1], personal, strict=False))),
        envelope.is_erased(record, personal_row),
    )


def _without_secrets(event_type: type[Event] | None, personal: dict[str, Any]) -> dict[str, Any]:
    if event_type is None:
        return personal
    for name, keys in secret_keys(event_type).items():
        value = personal.get(name)
        if isinstance(value, dict):
            personal[name] = value | {key: HIDDEN for key in keys if value.get(key)}
    return personal | dict.fromkeys(secret_names(event_type), HIDDEN)
