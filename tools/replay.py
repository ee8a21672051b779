"""Rebuild every read model from the log into a fresh environment, and compare it with the live one byte for byte.

Beside a running server no snapshot of it is held for longer than `SNAPSHOT_S`: the log is read in pieces, and so are the
read models when they are compared. Before each piece the rebuilt environment is brought up to the end of the log as that
piece's snapshot has it, so that both sides stand at the same event.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from events import envelope
from events.errors import CorruptLog, SinogramError
from events.identifiers import Seq
from events.resources import RowsPurged
from store import projections
from store.batch import Batch
from store.damaged_rows import UNREADABLE, describe
from store.environment import FILE_NAME, Environment, missing_bytes
from store.log import Appended, check_end, check_link, read_end, read_head, read_rows, write_end
from store.privacy import SCRATCH_PREFIX
from store.projections import READ_MODEL_TABLES
from store.tables import EVENTS
from tools.new_index import NewIndex

BATCH_EVENTS = 4_000  # of one transaction: long enough to amortise its cost, short enough for memory
SNAPSHOT_S = 0.5  # how long a reader of the live environment is held
_LOOK_EVERY = 256  # rows compared between two looks at the clock


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a replay did."""

    events: int
    erased: int  # events whose personal part is gone: the read models lack what they held
    seconds: float


class Rebuilding:
    """A fresh environment on its way through the log. `keeps_log` has it hold the log, too."""

    def __init__(self, fresh: Environment, *, keeps_log: bool = False) -> None:
        self.fresh = fresh
        self.head = Seq(0)
        self.events = self.erased = 0
        self._keeps_log = keeps_log
        self._hash = envelope.GENESIS
        self._at_us = 0

    def apply(self, rows: list[tuple[Seq, bytes, bytes | None]]) -> None:
        """Replay the next rows of the log in one transaction. Raises CorruptLog where the chain breaks."""
        if not rows:
            return
        with self.fresh.begin(write=True) as write:
            batch = Batch(write, self.fresh.tables)
            for seq, row, personal in rows:
                self._apply_row(batch, seq, row, personal)
            write_end(batch, self.head, self._hash)
            batch.flush()

    def _apply_row(self, batch: Batch, seq: Seq, row: bytes, personal: bytes | None) -> None:
        record = envelope.decode_record(seq, row)
        check_link(record, self.head, self._hash, self._at_us)
        event = envelope.decode_event(record, personal)
        self.head, self._hash, self._at_us = seq, envelope.hash_row(row), record.at_us
        self.events += 1
        if self._keeps_log:
            NewIndex.keep(batch, seq, row, personal)
        if event is None:
            self.erased += 1
            return
        projections.apply(batch, Appended(seq, record.at_us, record.aggregate, event))
        batch.savepoint()
        if isinstance(event, RowsPurged):
            batch.flush()  # else each step would walk over all that the steps before it took away

    def check_end(self, recorded: tuple[Seq, bytes]) -> None:
        check_end(recorded, self.head, self._hash)


def rebuild(live: Environment, txn: lmdb.Transaction, fresh: Environment, until: int | None = None) -> Rebuilt:
    """Replay the log, as `txn` sees it, into an empty environment. Raises CorruptLog where the chain breaks."""
    started = time.perf_counter()
    going = Rebuilding(fresh)
    while rows := read_rows(txn, live.tables, going.head, BATCH_EVENTS):
        going.apply([row for row in rows if until is None or row[0] <= until])
        if until is not None and rows[-1][0] >= until:
            break
    if until is None:
        going.check_end(read_end(txn, live.tables))
    return Rebuilt(going.events, going.erased, time.perf_counter() - started)


def follow(live: Environment, going: Rebuilding, until: int) -> None:
    """Replay the log up to an event, each piece of it read in a snapshot of its own. Raises CorruptLog."""
    while going.head < until:
        with live.begin() as txn:
            rows = read_rows(txn, live.tables, going.head, BATCH_EVENTS)
        wanted = [row for row in rows if row[0] <= until]
        if not wanted:
            with live.begin() as txn:
                going.check_end(read_end(txn, live.tables))
            raise CorruptLog(f"event {going.head + 1} is missing")
        going.apply(wanted)


def differences(live: lmdb.Transaction, live_tables: Any, fresh: lmdb.Transaction, fresh_tables: Any) -> dict[str, int]:
    """Return, for each read model that differs, in how many keys."""
    found = {}
    for table in READ_MODEL_TABLES:
        count = _Comparison(table).run(live, live_tables, fresh, fresh_tables, deadline=None)
        if count:
            found[table.decode()] = count
    return found


def compare(live: Environment, going: Rebuilding) -> dict[str, int]:
    """Return the same for a live environment that goes on, in pieces. Raises CorruptLog."""
    found = {}
    for table in READ_MODEL_TABLES:
        comparison = _Comparison(table)
        count = 0
        while not comparison.is_done:
            _catch_up(live, going)
            with live.begin() as txn:
                going.apply(read_rows(txn, live.tables, going.head, BATCH_EVENTS))
                with going.fresh.begin() as rebuilt:
                    deadline = time.monotonic() + SNAPSHOT_S
                    count += comparison.run(txn, live.tables, rebuilt, going.fresh.tables, deadline=deadline)
        if count:
            found[table.decode()] = count
    return found


def _catch_up(live: Environment, going: Rebuilding) -> None:
    """Replay the events that were appended since, except the last few."""
    while True:
        with live.begin() as txn:
            rows = read_rows(txn, live.tables, going.head, BATCH_EVENTS)
        going.apply(rows)
        if len(rows) < BATCH_EVENTS // 8:
            return


class _Comparison:
    """The comparison of one table; goes on behind the last compared key."""

    def __init__(self, table: bytes) -> None:
        self._table = table
        self._after = b""
        self.is_done = False

    def run(
        self,
        live: lmdb.Transaction,
        live_tables: Any,
        fresh: lmdb.Transaction,
        fresh_tables: Any,
        *,
        deadline: float | None,
    ) -> int:
        """Compare until the end or the deadline; returns how many keys differ."""
        ours, theirs = self._rows(live, live_tables), self._rows(fresh, fresh_tables)
        one, two = next(ours, None), next(theirs, None)
        count = looked = 0
        while one is not None or two is not None:
            looked += 1
            if deadline is not None and looked % _LOOK_EVERY == 0 and time.monotonic() > deadline:
                return count
            first = min(row[0] for row in (one, two) if row is not None)
            count += one != two
            if one is not None and one[0] == first:
                one = next(ours, None)
            if two is not None and two[0] == first:
                two = next(theirs, None)
            self._after = first
        self.is_done = True
        return count

    def _rows(self, txn: lmdb.Transaction, tables: Any) -> Iterator[tuple[bytes, bytes]]:
        with txn.cursor(db=tables[self._table]) as cursor:
            found = cursor.set_range(self._after + b"\0") if self._after else cursor.first()
            while found:
                yield cursor.item()
                found = cursor.next()


def check_there(data: Path) -> None:
    """Raise SinogramError, with a sentence for the operator, where there is no index."""
    if not (data / FILE_NAME).exists():
        raise SinogramError(
            f"{data} holds no archive ({FILE_NAME} is missing); it has to be the server's IndexDirectory"
        )


def open_for_reading(data: Path) -> Environment:
    """Open the environment of an archive. Raises SinogramError with a sentence for the operator."""
    check_there(data)
    lost = missing_bytes(data)
    if lost:
        print(
            f"warning: {lost:,} bytes are missing at the end of {data / FILE_NAME}; see 'sinogram fsck'",
            file=sys.stderr,
        )
    return Environment(data, writable=False)


def replay(data: Path, *, verify: bool = False, until: int | None = None, into: Path | None = None) -> int:
    """Run `sinogram replay`; returns the exit status: 0 done (and equal), 1 different, 2 the log is damaged."""
    try:
        with open_for_reading(data) as live:
            if into is not None:
                with NewIndex(into, data) as new:
                    status = _replay(live, Rebuilding(new.environment, keeps_log=True), verify=verify, until=until)
                    new.finish(live, is_whole=until is None)
                print(
                    f"{into / FILE_NAME} is a new index: put it in the place of {data / FILE_NAME} while no server runs"
                )
                return status
            with _scratch(data) as folder, Environment(folder, writable=True, durable=False) as fresh:
                return _replay(live, Rebuilding(fresh), verify=verify, until=until)
    except CorruptLog as exc:
        print(f"the log is damaged: {exc}", file=sys.stderr)
        return 2
    except UNREADABLE as exc:
        print(f"the log or a read model is damaged: {describe(EVENTS, exc)}", file=sys.stderr)
        return 2


def _replay(live: Environment, going: Rebuilding, *, verify: bool, until: int | None) -> int:
    with live.begin() as txn:
        head, end = read_head(txn, live.tables).seq, read_end(txn, live.tables)
    started = time.perf_counter()
    is_whole = until is None or until >= head
    follow(live, going, head if is_whole else until or 0)
    if until is None:
        going.check_end(end)
    seconds = time.perf_counter() - started
    rate = going.events / seconds if seconds else 0
    print(f"replayed {going.events} events in {seconds:.2f} s ({rate:,.0f}/s)")
    if going.erased:
        print(f"{going.erased} events are erased: what they held cannot be rebuilt")
    return _verdict(live, going, is_whole=is_whole) if verify else 0


def _verdict(live: Environment, going: Rebuilding, *, is_whole: bool) -> int:
    if not is_whole:
        print("a replay up to an earlier event cannot be compared with the present read models", file=sys.stderr)
        return 1
    different = compare(live, going)
    for table, count in different.items():
        print(f"{table}: {count} keys differ")
    print("the live read models differ from the log" if different else "equal to the live read models, byte for byte")
    return 1 if different else 0


@contextlib.contextmanager
def _scratch(data: Path) -> Iterator[Path]:
    """Give a folder for the rebuilt read models, which goes at the end; those that killed replays have left go now."""
    for left in data.glob(f"{SCRATCH_PREFIX}*"):
        lock = _lock(left)
        if lock is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=data))
    lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a scratch folder; the kernel lets go of it however its process ends. None if another has it, or it is gone."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd
