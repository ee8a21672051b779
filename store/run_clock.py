"""How far the wall clock has been set forward since the run before this one began.

Times that must outlast a restart use the wall clock: when a resource was touched, when a job is due again. If somebody sets that clock
forward by a day, all of it is due at once. The machine also has a clock that nobody can set: the time since boot. Each run records the
distance between the two clocks. The next run compares: if the distance has grown, that much time has not really passed. After a new boot of
the machine there is nothing to compare with, and the wall clock is believed.

Only steps forward count. After a step back, recorded times lie in the future; each user of them waits no longer than the longest
time it would have waited anyway.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from store.boot import read_boot_id
from store.environment import Environment
from store.tables import META

KEY = b"clock"
_ROW = struct.Struct(">qq")  # distance at the start of the run, what it had grown by then; the boot's id behind them

Clock = Callable[[], int]


def uptime_us() -> int:
    """Return microseconds since the machine booted, those in which it slept included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


@dataclass(frozen=True, slots=True)
class _Run:
    boot: bytes
    distance_us: int
    grown_us: int


def begin_run(environment: Environment, wall_us: int, since_boot_us: int) -> None:
    """Record how the clocks stand at a start. Raises lmdb.Error."""
    with environment.begin(write=True) as txn:
        before = _read(txn, environment.tables)
        run = _Run(read_boot_id(), wall_us - since_boot_us, 0)
        grown_us = _growth(before, run) if before else 0
        txn.put(KEY, _ROW.pack(run.distance_us, grown_us) + run.boot, db=environment.tables[META])


def set_forward_us(txn: Any, tables: Any, wall_us: int, since_boot_us: int) -> int:
    """Return by how much the wall clock was set forward since the run before the present one began; 0 or more."""
    run = _read(txn, tables)
    if run is None:
        return 0
    return run.grown_us + _growth(run, _Run(read_boot_id(), wall_us - since_boot_us, 0))


def recorded_clock(environment: Environment, wall: Clock, since_boot: Clock = uptime_us) -> Clock:
    """Return the wall clock without the steps by which it was set forward: to compare with times that earlier runs recorded."""
    with environment.begin() as txn:
        ahead_us = set_forward_us(txn, environment.tables, wall(), since_boot())
    return lambda: wall() - ahead_us


def _growth(earlier: _Run, later: _Run) -> int:
    return max(0, later.distance_us - earlier.distance_us) if earlier.boot == later.boot else 0


def _read(txn: Any, tables: Any) -> _Run | None:
    packed = txn.get(KEY, db=tables[META])
    if packed is None:
        return None
    return _Run(packed[_ROW.size :], *_ROW.unpack_from(packed))
