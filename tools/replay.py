"""Rebuild every read model from the log into a fresh environment, and compare it with the live one byte for byte."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from events import codec
from events.errors import CorruptLog, SinogramError
from events.identifiers import Seq
from events.resources import RowsPurged
from store import projections
from store.batch import Batch
from store.environment import FILE_NAME, Environment
from store.log import Appended, check_end, check_link, read_end, read_head, read_rows, write_end
from store.tables import READ_MODELS

BATCH_EVENTS = 4_000  # of one transaction: long enough to amortise its cost, short enough for memory


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a replay did."""

    events: int
    erased: int  # events whose personal part is gone: the read models lack what they held
    seconds: float


def rebuild(live: Environment, txn: lmdb.Transaction, fresh: Environment, until: int | None = None) -> Rebuilt:
    """Replay the log, as `txn` sees it, into an empty environment. Raises CorruptLog where the chain breaks."""
    started = time.perf_counter()
    count = erased = 0
    previous_seq, previous_hash, previous_at_us = Seq(0), codec.GENESIS, 0
    for rows in _chunks(live, txn, until):
        with fresh.begin(write=True) as write:
            batch = Batch(write, fresh.tables)
            for seq, row, personal in rows:
                record = codec.decode_record(seq, row)
                check_link(record, previous_seq, previous_hash, previous_at_us)
                previous_seq, previous_hash, previous_at_us = seq, codec.hash_row(row), record.at_us
                event = codec.decode_event(record, personal)
                count += 1
                if event is None:
                    erased += 1
                    continue
                projections.apply(batch, Appended(seq, record.at_us, record.aggregate, event))
                batch.savepoint()
                if isinstance(event, RowsPurged):
                    batch.flush()  # else each step would walk over all that the steps before it took away
            if rows:
                write_end(batch, previous_seq, previous_hash)
            batch.flush()
    if until is None:
        check_end(read_end(txn, live.tables), previous_seq, previous_hash)
    return Rebuilt(count, erased, time.perf_counter() - started)


def _chunks(live: Environment, txn: lmdb.Transaction, until: int | None) -> Iterator[list[Any]]:
    at = 0
    while rows := read_rows(txn, live.tables, at, BATCH_EVENTS):
        at = rows[-1][0]
        yield [row for row in rows if until is None or row[0] <= until]
        if until is not None and at >= until:
            return


def differences(live: lmdb.Transaction, live_tables: Any, fresh: lmdb.Transaction, fresh_tables: Any) -> dict[str, int]:
    """Return, for each read model that differs, in how many keys."""
    found = {}
    for table in READ_MODELS:
        count = _count_differences(live.cursor(db=live_tables[table]), fresh.cursor(db=fresh_tables[table]))
        if count:
            found[table.decode()] = count
    return found


def _count_differences(left: Any, right: Any) -> int:
    ours, theirs = iter(left), iter(right)
    one, two = next(ours, None), next(theirs, None)
    count = 0
    while one is not None or two is not None:
        if one == two:
            one, two = next(ours, None), next(theirs, None)
            continue
        count += 1
        if two is None or (one is not None and one[0] < two[0]):
            one = next(ours, None)
        elif one is None or two[0] < one[0]:
            two = next(theirs, None)
        else:
            one, two = next(ours, None), next(theirs, None)
    return count


def open_for_reading(data: Path) -> Environment:
    """Open the environment of an archive. Raises SinogramError with a sentence for the operator."""
    if not (data / FILE_NAME).exists():
        raise SinogramError(
            f"{data} holds no archive ({FILE_NAME} is missing); it has to be the server's IndexDirectory"
        )
    return Environment(data, writable=False)


def replay(data: Path, *, verify: bool = False, until: int | None = None) -> int:
    """Run `sinogram replay`; returns the exit status: 0 done (and equal), 1 different, 2 the log is damaged."""
    scratch = Path(tempfile.mkdtemp(prefix="sinogram-replay-", dir=data))
    try:
        with (
            open_for_reading(data) as live,
            Environment(scratch, writable=True, durable=False) as fresh,
            live.begin() as txn,
        ):
            head = read_head(txn, live.tables).seq
            done = rebuild(live, txn, fresh, until)
            rate = done.events / done.seconds if done.seconds else 0
            print(f"replayed {done.events} events in {done.seconds:.2f} s ({rate:,.0f}/s)")
            if done.erased:
                print(f"{done.erased} events are erased: what they held cannot be rebuilt")
            return _verdict(txn, live, fresh, is_whole=until is None or until >= head) if verify else 0
    except CorruptLog as exc:
        print(f"the log is damaged: {exc}", file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _verdict(txn: lmdb.Transaction, live: Environment, fresh: Environment, *, is_whole: bool) -> int:
    if not is_whole:
        print("a replay up to an earlier event cannot be compared with the present read models", file=sys.stderr)
        return 1
    with fresh.begin() as rebuilt:
        different = differences(txn, live.tables, rebuilt, fresh.tables)
    for table, count in different.items():
        print(f"{table}: {count} keys differ")
    print("the live read models differ from the log" if different else "equal to the live read models, byte for byte")
    return 1 if different else 0
