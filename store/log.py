"""The append-only log: gapless sequences, time that never runs back, a chain of hashes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import lmdb

from events import envelope
from events.envelope import Encoded, Record
from events.errors import CorruptLog
from events.event import Event
from events.identifiers import Seq
from store.batch import Batch
from store.tables import EVENTS, PERSONAL, TOTALS, U64, key

GetRow = Callable[[bytes, bytes], bytes | None]  # given table and key: of a batch or a snapshot
# Rows fetched per snapshot in long scans: some milliseconds, so that no reader is held while a file is written.
SCAN_ROWS = 5_000


# Sequence and hash of the last event: no later one vouches for it yet. It lies among the totals because their page is
# written with every event anyway.
END = b"log-end"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log."""

    seq: Seq  # of the last event; 0 for an empty log
    hash: bytes  # of its row; what the next row links to
    at_us: int


EMPTY_HEAD = Head(Seq(0), envelope.GENESIS, 0)


def read_head(txn: lmdb.Transaction, tables: Any) -> Head:
    """Return the end of the log as it is stored."""
    with txn.cursor(db=tables[EVENTS]) as cursor:
        if not cursor.last():
            return EMPTY_HEAD
        seq, row = _seq_of(cursor.key()), cursor.value()
    return Head(seq, envelope.hash_row(row), envelope.decode_record(seq, row).at_us)


E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True)
class Appended(Generic[E_co]):
    """An event with its place in the log, as projections get it."""

    seq: Seq
    at_us: int
    aggregate: bytes
    event: E_co


class LogWriter:
    """Appends events to a batch. One writer exists; `rewind` takes back what an aborted command or batch appended."""

    def __init__(self, head: Head) -> None:
        self.head = head

    def next_seq(self, offset: int = 0) -> Seq:
        """Return the sequence that the event `offset` places after the next one will get."""
        return Seq(self.head.seq + 1 + offset)

    def append(
        self, batch: Batch, event: Event, *, now_us: int, aggregate: bytes, actor: str, correlation: bytes
    ) -> Appended[Event]:
        """Add one event to the batch; it is durable when the batch's transaction commits."""
        seq = Seq(self.head.seq + 1)
        at_us = max(now_us, self.head.at_us)
        encoded: Encoded = envelope.encode(
            event,
            at_us=at_us,
            aggregate=aggregate,
            actor=actor,
            correlation=correlation,
            previous_hash=self.head.hash,
        )
        row_key = key(seq)
        batch.put(EVENTS, row_key, encoded.row)
        if encoded.personal_row is not None:
            batch.put(PERSONAL, row_key, encoded.personal_row)
        write_end(batch, seq, encoded.hash)
        self.head = Head(seq, encoded.hash, at_us)
        return Appended(seq, at_us, aggregate, event)

    def rewind(self, head: Head) -> None:
        """Take back everything after a head; the caller undoes its writes to the batch."""
        self.head = head


def read_event(get: GetRow, seq: int) -> tuple[Record | None, Event | None]:
    """Return an event of the log with its envelope; (None, None) where there is none, no event where it was erased in part."""
    row = get(EVENTS, key(seq))
    if row is None:
        return None, None
    record = envelope.decode_record(Seq(seq), row)
    return record, envelope.decode_event(record, get(PERSONAL, key(seq)))


def tag_of(row: bytes) -> str:
    """Return the tag of a stored event, without decoding the rest of its row: a tenth of the time. Raises CorruptLog."""
    # Of msgpack: a list of 8, then a string whose size stands in its first byte, or in the one behind that.
    start, size = (3, row[2]) if row[1:2] == b"\xd9" else (2, row[1] & 0x1F)
    if row[0] == _LIST_OF_8 and (start == 3 or row[1] & 0xE0 == _SHORT_TEXT):
        return row[start : start + size].decode()
    tag: str = envelope.decode_record(Seq(0), row).tag
    return tag


_LIST_OF_8, _SHORT_TEXT = 0x98, 0xA0


def write_end(batch: Batch, seq: Seq, row_hash: bytes) -> None:
    """Record which event is the last."""
    batch.put(TOTALS, END, key(seq) + row_hash)


def read_end(txn: lmdb.Transaction, tables: Any) -> tuple[Seq, bytes]:
    """Return sequence and hash of the last event as they were recorded; (0, GENESIS) for an empty log."""
    packed = txn.get(END, db=tables[TOTALS])
    if packed is None:
        return EMPTY_HEAD.seq, EMPTY_HEAD.hash
    if len(packed) != U64.size + len(envelope.GENESIS):
        raise CorruptLog("the table 'totals' of the index is damaged: it does not say which event is the last")
    return Seq(U64.unpack_from(packed)[0]), packed[U64.size :]


def _seq_of(row_key: bytes) -> Seq:
    if len(row_key) != U64.size:
        raise CorruptLog("the table 'events' of the index is damaged: a key in it is no sequence")
    return Seq(U64.unpack(row_key)[0])


def check_end(recorded: tuple[Seq, bytes], seq: int, row_hash: bytes) -> None:
    """Raise CorruptLog where the last event is not the one that was recorded as the last."""
    if recorded[0] > seq:
        raise CorruptLog(f"the end of the log is missing: {recorded[0] - seq} events after event {seq}")
    if recorded[0] < seq:
        raise CorruptLog(f"there are {seq - recorded[0]} events behind event {recorded[0]}, the last that was written")
    if recorded != (seq, row_hash):
        raise CorruptLog(f"event {seq}, the last one, was altered")


def read_rows(txn: lmdb.Transaction, tables: Any, since: int, limit: int) -> list[tuple[Seq, bytes, bytes | None]]:
    """Return up to `limit` rows (sequence, row, personal row) that follow sequence `since`."""
    rows: list[tuple[Seq, bytes, bytes | None]] = []
    with txn.cursor(db=tables[EVENTS]) as events, txn.cursor(db=tables[PERSONAL]) as personal:
        if not events.set_range(key(since + 1)):
            return rows
        has_personal = personal.set_range(key(since + 1))
        for row_key, row in events:
            while has_personal and personal.key() < row_key:
                has_personal = personal.next()
            mine = personal.value() if has_personal and personal.key() == row_key else None
            rows.append((_seq_of(row_key), row, mine))
            if len(rows) >= limit:
                break
    return rows


def scan(env: Any, since: int = 0, until: int | None = None) -> Iterator[tuple[Seq, bytes, bytes | None]]:
    """Iterate over the rows after `since` up to `until`, in chunks that each have a snapshot of their own."""
    at = since
    while True:
        with env.begin() as txn:
            rows = read_rows(txn, env.tables, at, SCAN_ROWS)
        for row in rows:
            if until is not None and row[0] > until:
                return
            yield row
        if len(rows) < SCAN_ROWS:
            return
        at = rows[-1][0]


def check_link(record: Record, previous_seq: int, previous_hash: bytes, previous_at_us: int) -> None:
    """Raise CorruptLog where a row does not follow the row before it."""
    if record.seq != previous_seq + 1:
        raise CorruptLog(f"event {previous_seq + 1} is missing: {record.seq} follows {previous_seq}")
    if record.previous_hash != previous_hash:
        raise CorruptLog(f"event {record.seq} does not link to event {previous_seq}: one of the two was altered")
    if record.at_us < previous_at_us:
        raise CorruptLog(f"event {record.seq} is dated before event {previous_seq}")
