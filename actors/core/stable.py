"""The stable-tracker: says when a patient, study or series has been quiet for `StableAge` seconds.

Owns the timers only. What waits is a read model (`store.tables.UNSTABLE`), so a start finds what the last run was
waiting for. Is told by the index what each commit touched; asks the index to declare a resource stable, naming the
last instance it knows of: the index refuses if another has arrived, so each quiet period gives exactly one event. A script
may declare a resource stable before its time (then the index refuses, too), or let it wait again.

Time: quiet is measured on the monotonic clock. Only a start asks the wall clock how long a resource has waited
already, and the answer is held between 0 and StableAge, because somebody may have set the clock.

Memory and speed: the resources touched last are held here, up to a number. The rest (at a start all of them) is the backlog
(`actors.core.stable_backlog`). Ripening gives way to senders: it is done in small steps, with a pause after each, a long one while
instances come in. Held resources go before the backlog, so a study that is received now does not wait for an old archive.
"""

import heapq
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from actors.core.actor import CoreActor, tell
from actors.core.alarm import Alarm
from actors.core.stable_backlog import Backlog, Quiet
from actors.messages.index_client import IndexClient
from events.errors import SinogramError
from events.identifiers import Level, Ref, Seq
from store.views.views import Views

logger = logging.getLogger(__name__)

RETRY_S = 5.0  # after the index could not take an event
HELD_AT_MOST = 50_000  # resources in memory, some 20 MB; a script's are held in any case
SETTLED_AT_ONCE = 100  # resources in one commit, some 5 ms
SETTLED_BESIDE_OTHERS = 25  # while instances come in: a sender waits 1.5 ms longer, now and then
RECEIVING_S = 1.0  # so long after the last instance somebody is still taken to be sending
# Rest behind a step, by the time that the step took: ripening has a tenth of the writer while instances come in.
REST_BESIDE_OTHERS = 9.0
REST = 0.5
REST_AT_MOST_S = 1.0  # behind a step that a slow disk has made long


@dataclass(frozen=True, slots=True)
class Touched:
    """A resource that a commit touched: level, resource, the last instance in it."""

    resources: list[tuple[Level, Ref, Seq]]


@dataclass(frozen=True, slots=True)
class Ripen:
    """The alarm: something is due."""


StableMessage = Touched | Ripen


@dataclass(frozen=True, slots=True)
class _Waiting:
    level: Level
    last_seq: Seq
    due: float  # on the monotonic clock
    turn: int  # keeps the order of arrival among those due at once, as those of one commit are


class StableTracker(CoreActor):
    """See the module's text."""

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
        self._backlog = Backlog(views, stable_age_s, wall_us=wall_clock(), now=clock())
        self._received: float | None = None  # when an instance arrived last
        self._rests_until = clock()
        self._alarm = Alarm("stable-alarm", lambda: tell(self.actor_ref, Ripen()), clock)

    def on_start(self) -> None:
        self._set_alarm()

    def on_stop(self) -> None:
        self._alarm.stop()

    def on_message(self, message: StableMessage) -> None:
        match message:
            case Touched(resources):
                self._take_note(resources)
            case Ripen():
                self._ripen()
            case _:
                assert_never(message)
        self._set_alarm()

    def _take_note(self, touched: list[tuple[Level, Ref, Seq]]) -> None:
        now = self._clock()
        due = now + self._stable_age_s
        newest = known = self._backlog.times.head
        for level, ref, last_seq in touched:
            is_by_script = last_seq <= known  # no instance came: the table does not say when this was
            if is_by_script or ref in self._waiting or len(self._waiting) < HELD_AT_MOST:
                self._wait(level, ref, last_seq, due)
            else:
                self._backlog.leave(due)
            newest = max(newest, last_seq)
        if newest > known:
            self._received = now
            self._backlog.times.note(newest, now)

    def _wait(self, level: Level, ref: Ref, last_seq: Seq, due: float) -> None:
        known = ref in self._waiting
        self._turn += 1
        self._waiting[ref] = _Waiting(level, last_seq, due, self._turn)
        if not known:  # a resource has one place in the heap; it is put back when it comes up too early
            heapq.heappush(self._due, (due, self._turn, ref))

    def _set_alarm(self) -> None:
        held = self._due[0][0] if self._due else None
        dues = [due for due in (held, self._backlog.due) if due is not None]
        self._alarm.set(max(min(dues), self._rests_until) if dues else None)

    def _ripen(self) -> None:
        """Settle a bounded part of what is due: a whole archive may be due, and a stop waits for this actor."""
        now = self._clock()
        if now < self._rests_until:  # this alarm was on its way already
            return
        is_receiving = self._received is not None and now - self._received < RECEIVING_S
        limit = min(SETTLED_BESIDE_OTHERS, SETTLED_AT_ONCE) if is_receiving else SETTLED_AT_ONCE
        held = self._take_ripe(now, limit)
        found = self._read_backlog(now, limit - len(held))
        try:
            if held or found:
                self._index.settle([(each.level, each.ref, each.last_seq) for each in (*held, *found)])
        except SinogramError as exc:
            logger.warning("stable.postponed error=%s", exc)
            for each in held:
                self._wait(each.level, each.ref, each.last_seq, now + RETRY_S)
            if found:
                self._backlog.postpone(now + RETRY_S)
        ended = self._clock()
        rest = (ended - now) * (REST_BESIDE_OTHERS if is_receiving else REST)
        self._rests_until = ended + min(rest, REST_AT_MOST_S)

    def _take_ripe(self, now: float, limit: int) -> list[Quiet]:
        """Take what is held and due, up to a number."""
        ripe: list[Quiet] = []
        while self._due and self._due[0][0] <= now and len(ripe) < limit:
            _, turn, ref = heapq.heappop(self._due)
            waiting = self._waiting[ref]
            if waiting.turn > turn:  # touched since it was put here
                heapq.heappush(self._due, (waiting.due, waiting.turn, ref))
                continue
            del self._waiting[ref]
            ripe.append(Quiet(waiting.level, ref, waiting.last_seq, waiting.due))
        return ripe

    def _read_backlog(self, now: float, limit: int) -> list[Quiet]:
        """Return some of the backlog that is ripe; hold what is not, as far as there is room."""
        if limit <= 0 or self._backlog.due is None or self._backlog.due > now:
            return []
        ripe, early = self._backlog.read(now, limit, self._waiting, HELD_AT_MOST - len(self._waiting))
        for each in early:
            self._wait(each.level, each.ref, each.last_seq, each.due)
        return ripe
