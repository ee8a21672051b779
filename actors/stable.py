"""The stable-tracker: says when a patient, study or series has been quiet for `StableAge` seconds.

Owns the timers only. What waits is a read model (`store.tables.UNSTABLE`), so a start finds what the last run was
waiting for. Is told by the index what each commit touched; asks the index to declare a resource stable, naming the
last instance it knows of: the index refuses if another has arrived, so each quiet period gives exactly one event. A script
may declare a resource stable before its time (then the index refuses, too), or have it wait anew.

Time: quiet is measured on the monotonic clock. Only at a start is the wall clock asked how long a resource has waited
already, and the answer is held between 0 and StableAge, for the clock may have been set meanwhile.
"""

import contextlib
import heapq
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pykka

from actors.alarm import Alarm
from actors.index.client import IndexClient
from events.errors import SinogramError
from events.identifiers import Level, Ref, Seq
from store.projections.rows import unpack_aggregate
from store.tables import AGGREGATES, PATIENTS, SERIES, STUDIES, U64, UNSTABLE, key
from store.views.snapshot import Snapshot
from store.views.views import Views

logger = logging.getLogger(__name__)

RETRY_S = 5.0  # after the index could not take an event
SETTLED_AT_ONCE = 250  # resources in one commit, some 15 ms
ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class _Waiting:
    level: Level
    last_seq: Seq
    due: float  # on the monotonic clock
    turn: int  # keeps the order of arrival among those due at once, as those of one commit are


def remaining_s(last_update_us: int, now_us: int, stable_age_s: float) -> float:
    """Return how long a resource still has to be quiet, whatever happened to the wall clock."""
    elapsed = (now_us - last_update_us) / 1e6
    return stable_age_s - min(max(elapsed, 0.0), stable_age_s)


class StableTracker(pykka.ThreadingActor):
    """See the module's text. Messages: a list of what was touched, or "alarm"."""

    use_daemon_thread = True

    def __init__(
        self,
        index: IndexClient,
        views: Views,
        stable_age_s: float,
        *,
        wall_clock: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._index = index
        self._stable_age_s = stable_age_s
        self._clock = clock
        self._waiting: dict[Ref, _Waiting] = {}
        self._due: list[tuple[float, int, Ref]] = []  # heap of due, turn, resource
        self._turn = 0
        with views.snapshot() as snapshot:
            self._restore(snapshot, wall_clock())
        self._alarm = Alarm("stable-alarm", lambda: _tell(self.actor_ref, ALARM), clock)

    def on_start(self) -> None:
        self._set_alarm()

    def on_stop(self) -> None:
        self._alarm.stop()

    def on_receive(self, message: Any) -> Any:
        if message == ALARM:
            self._settle_ripe()
        else:
            due = self._clock() + self._stable_age_s
            for level, ref, last_seq in message:
                self._wait(level, ref, last_seq, due)
        self._set_alarm()

    def _restore(self, snapshot: Snapshot, now_us: int) -> None:
        """Take up what the last run was waiting for."""
        for packed in snapshot.keys(UNSTABLE, b""):
            ref = Ref(U64.unpack(packed)[0])
            aggregate = unpack_aggregate(snapshot.row(AGGREGATES, packed))
            unsettled_us = int.from_bytes(snapshot.row(UNSTABLE, packed) or b"", "big")  # 0: by the last update
            quiet_since_us = max(aggregate.last_update_us, unsettled_us)
            wait_s = remaining_s(quiet_since_us, now_us, self._stable_age_s)
            self._wait(_level_of(snapshot, ref), ref, aggregate.last_seq, self._clock() + wait_s)

    def _wait(self, level: Level, ref: Ref, last_seq: Seq, due: float) -> None:
        known = ref in self._waiting
        self._turn += 1
        self._waiting[ref] = _Waiting(level, last_seq, due, self._turn)
        if not known:  # a resource has one place in the heap; it is put back when it comes up too early
            heapq.heappush(self._due, (due, self._turn, ref))

    def _set_alarm(self) -> None:
        self._alarm.set(self._due[0][0] if self._due else None)

    def _settle_ripe(self) -> None:
        """Settle what is due, a bounded part of it: a whole archive may be, and whoever stops this actor waits."""
        now = self._clock()
        ripe: dict[Ref, _Waiting] = {}
        while self._due and self._due[0][0] <= now and len(ripe) < SETTLED_AT_ONCE:
            _, turn, ref = heapq.heappop(self._due)
            waiting = self._waiting[ref]
            if waiting.turn > turn:  # touched since it was put here
                heapq.heappush(self._due, (waiting.due, waiting.turn, ref))
                continue
            del self._waiting[ref]
            ripe[ref] = waiting
        try:
            if ripe:
                self._index.settle([(waiting.level, ref, waiting.last_seq) for ref, waiting in ripe.items()])
        except SinogramError as exc:
            logger.warning("stable.postponed error=%s", exc)
            for ref, waiting in ripe.items():
                self._wait(waiting.level, ref, waiting.last_seq, now + RETRY_S)


def _tell(actor: pykka.ActorRef[StableTracker], message: object) -> None:
    with contextlib.suppress(pykka.ActorDeadError):  # the alarm of an actor that is stopping
        actor.tell(message)


def _level_of(snapshot: Snapshot, ref: Ref) -> Level:
    tables = ((PATIENTS, Level.PATIENT), (STUDIES, Level.STUDY), (SERIES, Level.SERIES))
    return next((level for table, level in tables if snapshot.row(table, key(ref)) is not None), Level.SERIES)
