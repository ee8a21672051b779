"""`sinogram log`: look at the event log of an archive, whether its server runs or not."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from events import envelope
from events.errors import CorruptLog
from events.identifiers import Seq
from store.damaged_rows import UNREADABLE, describe
from store.environment import Environment
from store.log import check_end, check_link, read_end, read_head, scan
from store.tables import EVENTS
from store.views.feed import EventEntry, get_events
from store.views.snapshot import Snapshot
from tools.fsck import count_damaged
from tools.replay import open_for_reading

P = ParamSpec("P")


def _told(command: Callable[P, int]) -> Callable[P, int]:
    """Have a command say which table is damaged instead of how LMDB or a decoder has met it."""

    @wraps(command)
    def run(*arguments: P.args, **named: P.kwargs) -> int:
        try:
            return command(*arguments, **named)
        except UNREADABLE as exc:
            print(f"the log is damaged: {describe(EVENTS, exc)}", file=sys.stderr)
            return 2

    return run


POLL_S = 0.5  # how often `tail --follow` looks for new events


@_told
def tail(data: Path, *, count: int = 20, follow: bool = False, personal: bool = False) -> int:
    """Print the last events, one a line; with `follow` go on as they come, until interrupted."""
    with open_for_reading(data) as env:
        at = max(0, _head(env) - count)
        while True:
            at = _print_after(env, at, personal=personal)
            if not follow:
                return 0
            time.sleep(POLL_S)


def _print_after(env: Environment, at: int, *, personal: bool) -> int:
    while True:
        with env.begin() as txn:
            entries = get_events(Snapshot(txn, env.tables), since=at, limit=500)
        for entry in entries:
            print(line(entry, personal=personal), flush=True)
        if not entries:
            return at
        at = entries[-1].seq


def line(entry: EventEntry, *, personal: bool) -> str:
    """Show an event on one line; its personal part only if asked for."""
    when = datetime.fromtimestamp(entry.at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    values = dict(entry.public)
    if personal and entry.personal is not None:
        values.update(entry.personal)
    elif entry.is_erased:
        values["personal"] = "erased"
    return f"{entry.seq:>10}  {when}  {entry.actor:<14}  {entry.tag:<24}  {json.dumps(values, default=_shown)}"


def _shown(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else str(value)


@_told
def show(data: Path, seq: int, *, personal: bool = False) -> int:
    """Print one event with its envelope as JSON."""
    with open_for_reading(data) as env, env.begin() as txn:
        entries = get_events(Snapshot(txn, env.tables), since=seq - 1, limit=1)
    if not entries or entries[0].seq != seq:
        print(f"there is no event {seq}", file=sys.stderr)
        return 1
    entry = entries[0]
    shown: dict[str, Any] = {
        "seq": entry.seq,
        "type": entry.tag,
        "at_us": entry.at_us,
        "aggregate": entry.aggregate,
        "actor": entry.actor,
        "correlation": entry.correlation,
        "public": entry.public,
        "personal": "erased" if entry.is_erased else entry.personal if personal else "hidden (--personal shows it)",
    }
    print(json.dumps(_plain(shown), indent=2, ensure_ascii=False))
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {(f"{k >> 16:04x},{k & 0xFFFF:04x}" if isinstance(k, int) else k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.hex() if isinstance(value, bytes) else value


@_told
def stats(data: Path) -> int:
    """Print how many events of each type there are and what they weigh."""
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    with open_for_reading(data) as env:
        for seq, row, personal in scan(env):
            record = envelope.decode_record(seq, row)
            counts[record.tag] += 1
            sizes[record.tag] += len(row) + len(personal or b"")
        on_disk = env.size_bytes()
    print(f"{'type':<28}{'events':>12}{'bytes each':>12}{'bytes':>16}")
    for tag, count in counts.most_common():
        print(f"{tag:<28}{count:>12}{sizes[tag] // count:>12}{sizes[tag]:>16}")
    print(f"{'all':<28}{counts.total():>12}{'':>12}{sizes.total():>16}")
    print(f"the environment takes {on_disk:,} bytes on disk, read models included")
    return 0


@_told
def verify(data: Path, *, progress: Callable[[int], None] | None = None) -> int:
    """Check every link, date and personal digest of the log; exit status 0 whole, 1 files are damaged, 2 the log is."""
    previous_seq, previous_hash, previous_at_us, erased = 0, envelope.GENESIS, 0, 0
    try:
        with open_for_reading(data) as env:
            end = _end(env)  # a running server may append while this reads on
            for seq, row, personal in scan(env):
                record = envelope.decode_record(seq, row)
                check_link(record, previous_seq, previous_hash, previous_at_us)
                envelope.decode_personal(record, personal)
                erased += envelope.is_erased(record, personal)
                previous_seq, previous_hash, previous_at_us = seq, envelope.hash_row(row), record.at_us
                if seq == end[0]:
                    check_end(end, seq, previous_hash)
                if progress is not None:
                    progress(seq)
            if not end[0] <= previous_seq <= _end(env)[0]:
                check_end(end, previous_seq, previous_hash)
            damaged = count_damaged(env, data)
    except CorruptLog as exc:
        print(f"the log is damaged: {exc}", file=sys.stderr)
        return 2
    note = f", {erased} of them erased" if erased else ""
    print(f"{previous_seq} events{note}; every link holds; the last hash is {previous_hash.hex()}")
    if damaged:
        print(f"but {damaged:,} of the files are damaged or missing: 'sinogram fsck' says which", file=sys.stderr)
        return 1
    return 0


def _end(env: Environment) -> tuple[Seq, bytes]:
    with env.begin() as txn:
        return read_end(txn, env.tables)


def _head(env: Environment) -> int:
    with env.begin() as txn:
        return read_head(txn, env.tables).seq
