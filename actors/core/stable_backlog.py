"""The backlog: resources that wait for StableAge in the table `unstable` and not in the stable-tracker's memory.

At a start that is all of them; later it is those that came when the memory was full. The table is in the order of creation, not
of ripening. So it is read from its beginning to its end, a few rows at a time, each time in a snapshot of its own. Ripe resources
are handed out. Others are held in memory if there is room, or else left for the next reading, when the first of them is due.

How long a row has been quiet is told by its sequence: `TouchTimes` keeps when which sequences were announced, some sixty
marks for a StableAge. So a row needs no time of its own, and the wall clock is asked for what an earlier run has left alone.
"""

from bisect import bisect_left
from collections.abc import Container
from dataclasses import dataclass
from itertools import islice

from events.identifiers import Level, Ref, Seq
from store.log import read_end
from store.projections.rows import Aggregate, unpack_aggregate
from store.tables import AGGREGATES, PATIENTS, SERIES, STUDIES, U64, UNSTABLE, key
from store.views.snapshot import Snapshot
from store.views.views import Views

CREATED_BEHIND = 3  # events by which a series, study and patient are created behind their first instance, at most
MARKS = 60  # of a StableAge: what is read from the table ripens late by this part of it at most


@dataclass(frozen=True, slots=True)
class Quiet:
    """A resource that waits to become stable."""

    level: Level
    ref: Ref
    last_seq: Seq  # of the newest instance below that is known of
    due: float  # on the monotonic clock


def remaining_s(last_update_us: int, now_us: int, stable_age_s: float) -> float:
    """Return how long a resource still has to be quiet, whatever happened to the wall clock."""
    elapsed = (now_us - last_update_us) / 1e6
    return stable_age_s - min(max(elapsed, 0.0), stable_age_s)


class TouchTimes:
    """When the instances of this run were announced, on the monotonic clock: not exactly, and never too early."""

    def __init__(self, head: Seq, now: float, stable_age_s: float) -> None:
        """`head` is the end of the log at the start, at `now`."""
        self.started_seq = head
        self.head = head
        self._stable_age_s = stable_age_s
        self._opened = now
        self._seqs: list[Seq] = []  # up to which everything had been announced at …
        self._times: list[float] = []

    def note(self, seq: Seq, now: float) -> None:
        """Take note of an announcement up to a sequence; they come in their order."""
        self.head = max(self.head, seq)
        if self._seqs and now - self._opened < self._stable_age_s / MARKS:
            self._seqs[-1], self._times[-1] = self.head, now
            return
        self._opened = now
        self._seqs.append(self.head)
        self._times.append(now)
        while (
            len(self._times) > 1 and self._times[1] + self._stable_age_s <= now
        ):  # the newest that is old enough says all
            del self._seqs[0], self._times[0]

    def due(self, seq: Seq, now: float) -> float:
        """Return when what was touched last by an event of this run is ripe."""
        place = bisect_left(self._seqs, seq)
        touched = self._times[place] if place < len(self._times) else now  # its announcement is still under way
        return touched + self._stable_age_s


class Backlog:
    """Reads the table; see the module's text."""

    def __init__(self, views: Views, stable_age_s: float, *, wall_us: int, now: float) -> None:
        self._views = views
        self._stable_age_s = stable_age_s
        self._started = now
        self._started_us = wall_us
        with views.snapshot() as snapshot:
            self.times = TouchTimes(read_end(snapshot.txn, snapshot.tables)[0], now, stable_age_s)
            is_empty = next(snapshot.keys(UNSTABLE, b""), None) is None
        self.due = (
            None if is_empty else now
        )  # when there is something to read; None if nothing waits in the table alone
        self._at = self._before = Ref(0)  # how far this reading has come, and had before its last step
        self._begun = now
        self._left: float | None = None  # when the first of what this reading leaves is due

    def leave(self, due: float) -> None:
        """Take note of a resource that waits in the table alone."""
        self._left = due if self._left is None else min(self._left, due)
        if self.due is None:
            self.due = due

    def read(self, now: float, limit: int, held: Container[Ref], room: int) -> tuple[list[Quiet], list[Quiet]]:
        """Go on reading; returns what is ripe, and what to hold: at most `limit` of both, and `room` of the second.

        What is in `held` is passed over.
        """
        if self._at == 0:
            self._begun, self._left = now, None
        self._before = self._at
        ripe: list[Quiet] = []
        early: list[Quiet] = []
        seen = 0
        with self._views.snapshot() as snapshot:
            for packed in islice(snapshot.keys(UNSTABLE, b"", key(self._at + 1)), limit):
                ref = Ref(U64.unpack(packed)[0])
                if len(early) >= room and self._is_too_new(ref, now):
                    break
                seen += 1
                self._at = ref
                if ref in held:
                    continue
                quiet = self._judge(snapshot, packed, ref, now)
                if quiet.due <= now:
                    ripe.append(quiet)
                elif len(early) < room:
                    early.append(quiet)
                else:
                    self.leave(quiet.due)
        self.due = now
        if seen < limit:
            self._end_reading(now)
        ripe.sort(key=lambda each: (each.last_seq, -each.level))  # in Orthanc's order, as far as a step reaches
        return ripe, early

    def _judge(self, snapshot: Snapshot, packed: bytes, ref: Ref, now: float) -> Quiet:
        aggregate = unpack_aggregate(snapshot.row(AGGREGATES, packed))
        unsettled_us = int.from_bytes(snapshot.row(UNSTABLE, packed) or b"", "big")  # 0: by the last update
        due = self._due_of(aggregate, unsettled_us, now)
        return Quiet(_level_of(snapshot, ref), ref, aggregate.last_seq, due)

    def _due_of(self, aggregate: Aggregate, unsettled_us: int, now: float) -> float:
        if aggregate.last_seq > self.times.started_seq:
            return self.times.due(aggregate.last_seq, now)
        quiet_since_us = max(aggregate.last_update_us, unsettled_us)
        return self._started + remaining_s(quiet_since_us, self._started_us, self._stable_age_s)

    def _is_too_new(self, ref: Ref, now: float) -> bool:
        """Tell whether nothing that was created as late as this, or later, can be ripe; then take note of when it is."""
        oldest = Seq(ref - CREATED_BEHIND)
        if oldest <= self.times.started_seq:
            return False
        due = self.times.due(oldest, now)
        if due <= now:
            return False
        self.leave(due)
        return True

    def _end_reading(self, now: float) -> None:
        self._at = Ref(0)
        # A reading that found little ripe among much is not repeated at once: it would take all the time there is.
        self.due = None if self._left is None else max(self._left, now + (now - self._begun))

    def postpone(self, until: float) -> None:
        """What was ripe in the last step could not be settled: read it again, later."""
        self._at = self._before
        self.due = until


def _level_of(snapshot: Snapshot, ref: Ref) -> Level:
    tables = ((SERIES, Level.SERIES), (STUDIES, Level.STUDY), (PATIENTS, Level.PATIENT))
    return next((level for table, level in tables if snapshot.row(table, key(ref)) is not None), Level.SERIES)
