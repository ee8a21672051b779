"""Delivers the events of the log to their callbacks, in the order of the log, from a durable cursor.

A callback is called when what caused it is durable. Its chain of operations becomes a job in the transaction that moves the cursor, so
after a crash a callback may be called a second time, but its job is never submitted twice. The next callback is called while that
transaction is under way.

Events that concern no callback are not read: the log is watched for the tags of those that do. Where there are none, there is no
cursor, and nothing is watched; a callback that a script defines later is called for events from then on.

A callback that fails is recorded and does not stop the next one. It is called again after `RETRY_DELAYS_S`; then the event is recorded
as skipped. An event is also skipped if the interpreter's process died twice during its callback, or was killed because it was stuck.
"""

import heapq
import logging
import time
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Final

from actors.messages.commands.command import Command
from actors.messages.commands.scripts import RecordCallbackRecovery, RecordCallbackSkip
from actors.messages.commands.server import DropCursor, SaveCursor
from actors.services.lua import chain
from actors.services.lua.actor import ScriptsActor, log_failure
from actors.services.lua.caused_calls import DeliveryReader, tags_of
from actors.services.lua.chain import Chain
from actors.services.lua.cursor import CONSUMER, read_cursor
from actors.services.lua.events import Delivery, heart_beat
from actors.services.lua.recorder import Recorder, failure_command
from actors.services.lua.retries import RETRY_DELAYS_S, Waiting, take_up
from actors.services.scripts.board import Board
from actors.services.scripts.errors import ScriptFailed, killed
from events.errors import Busy, SinogramError
from events.identifiers import Seq, new_correlation
from store.log import read_end, read_rows
from store.run_clock import set_forward_us, uptime_us
from store.views.callbacks import list_waiting
from store.views.views import Views

log = logging.getLogger(__name__)

ROWS_AHEAD: Final = 256  # of the log, read in one snapshot
ROWS_UNSAVED: Final = 1000  # that concern no callback, before the cursor is moved over them
UNSAVED_S: Final = 1.0
AGAIN_S: Final = 1.0  # until what could not be recorded is sent again


@dataclass(frozen=True, slots=True)
class Targets:
    """Where chains may send to."""

    modalities: Callable[[], Container[str]]
    peers: Callable[[], Container[str]]


class Deliverer:
    """The background of the main interpreter (`background.py`). For its thread, `position` excepted."""

    def __init__(
        self,
        actor: ScriptsActor,
        board: Board,
        reader: DeliveryReader,
        views: Views,
        operations: Chain,
        targets: Targets,
        recorder: Recorder,
        *,
        watch: Callable[[Seq, frozenset[str]], None],
        heart_beat_s: int = 0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        since_boot_us: Callable[[], int] = uptime_us,
    ) -> None:
        """`watch` has the actor woken once the log has events of some tags beyond a sequence; it returns at once."""
        self._actor = actor
        self._board = board
        self._reader = reader
        self._views = views
        self._chain = operations
        self._targets = targets
        self._recorder = recorder
        self._watch = watch
        self._clock = clock
        self._heart_beat_s = heart_beat_s
        self._beats_at_s = clock() + heart_beat_s
        self._rows: deque[tuple[Seq, bytes, bytes | None]] = deque()
        self._left_behind = board.left_behind()
        self._passed: tuple[Seq, frozenset[str]] = (Seq(0), frozenset())
        with views.snapshot() as snapshot:
            cursor = read_cursor(snapshot)
            self._has_cursor = cursor is not None
            self.position = read_end(snapshot.txn, snapshot.tables)[0] if cursor is None else cursor
            now_us = wall_clock_us()
            now_us -= set_forward_us(snapshot.txn, snapshot.tables, now_us, since_boot_us())
            self._waiting = [take_up(waiting, now_us, clock()) for waiting in list_waiting(snapshot)]
        heapq.heapify(self._waiting)
        self._read_to = self._saved = self.position
        self._saved_at_s = clock()

    # -- who listens ----------------------------------------------------------------------------------------------------

    def on_defined(self) -> None:
        """Take note that callbacks were defined or removed, before a caller who relies on it gets an answer."""
        if self._has_cursor or not tags_of(self._board.defines):
            return
        with self._views.snapshot() as snapshot:
            self._begin_at(read_end(snapshot.txn, snapshot.tables)[0])
        try:
            self._recorder.record([SaveCursor(consumer=CONSUMER, seq=self.position)])
            self._recorder.advance()
        except SinogramError as exc:  # it stays first among what is recorded
            log.warning("lua.postponed: %s", exc)

    def _begin_at(self, end: Seq) -> None:
        self._has_cursor = True
        self.position = self._read_to = self._saved = end
        self._saved_at_s = self._clock()

    def _retire(self) -> None:
        """Remove the cursor while no callback listens: files of deleted instances then need not wait for us."""
        self._rows.clear()
        if self._has_cursor:
            self._has_cursor = False
            self._recorder.record([DropCursor(consumer=CONSUMER)])
        self._recorder.advance()

    def on_passed(self, seq: Seq, tags: frozenset[str]) -> None:
        """Take note that the log holds no event of these tags between the position that was watched and `seq`; for any thread."""
        self._passed = (seq, tags)

    def _skip(self) -> None:
        """Move on past events that concern no callback."""
        seq, tags = self._passed
        if seq > self._read_to and not self._rows and tags_of(self._board.defines) <= tags:
            self.position = self._read_to = seq

    def step(self) -> float | None:
        """Deliver one event, or see how long there is nothing to deliver."""
        try:
            self._recorder.advance(keep=1)
            self._skip()
            if self._heart_beat_s and self._clock() >= self._beats_at_s:
                self._beat()
            elif self._waiting and self._waiting[0].due_s <= self._clock():
                self._retry(self._waiting[0])
            elif not tags_of(self._board.defines) and not self._waiting:
                self._retire()
                return self._pause_s()
            elif self._rows or self._read():
                self._deliver_row(*self._rows[0])
            else:
                return self._rest()
        except SinogramError as exc:  # a full disk, say; nothing is lost
            log.warning("lua.postponed: %s", exc)
            return AGAIN_S
        return 0.0

    # -- the log ------------------------------------------------------------------------------------------------------

    def _read(self) -> bool:
        with self._views.snapshot() as snapshot:
            self._rows.extend(read_rows(snapshot.txn, snapshot.tables, self._read_to, ROWS_AHEAD))
        if self._rows:
            self._read_to = self._rows[-1][0]
        return bool(self._rows)

    def _deliver_row(self, seq: Seq, row: bytes, personal: bytes | None) -> None:
        caused = self._reader.read(seq, row, personal, self._board.defines)
        commands = [
            command
            for number, delivery in caused.deliveries
            for command in self._try(seq, number, delivery, caused.correlation, failed_before=0)
        ]
        self._rows.popleft()
        self.position = seq
        if caused.deliveries or seq - self._saved >= ROWS_UNSAVED:
            self._save(commands)

    def _save(self, commands: list[Command]) -> None:
        self._saved, self._saved_at_s = self.position, self._clock()
        self._recorder.record([*commands, SaveCursor(consumer=CONSUMER, seq=self.position)])

    def _rest(self) -> float | None:
        """Make recent records durable; returns when there is more to do."""
        self._recorder.advance()
        now_s = self._clock()
        if self.position > self._saved and now_s >= self._saved_at_s + UNSAVED_S:
            self._save([])
            self._recorder.advance()
        self._watch(self._read_to, tags_of(self._board.defines))
        return self._pause_s()

    def _pause_s(self) -> float | None:
        now_s = self._clock()
        dues_s = [self._waiting[0].due_s - now_s] if self._waiting else []
        if self._heart_beat_s:
            dues_s.append(self._beats_at_s - now_s)
        if self._has_cursor and self.position > self._saved:
            dues_s.append(self._saved_at_s + UNSAVED_S - now_s)
        return max(min(dues_s), 0.0) if dues_s else None

    # -- calling ------------------------------------------------------------------------------------------------------

    def _try(
        self, seq: Seq, number: int, delivery: Delivery, correlation: bytes, *, failed_before: int
    ) -> list[Command]:
        """Call a callback; returns the commands that record its outcome."""
        try:
            died = self._died_before(seq, number)
            self._board.begin(seq, number, deaths=1 if died else 0)
            commands = self._call(delivery, correlation)
        except ScriptFailed as exc:
            log_failure(delivery.callback, exc)
            return self._failed(seq, number, delivery.callback, exc, failed_before + 1)
        except SinogramError:
            raise
        except Exception:  # a defect must not cost an event
            log.exception("lua.delivery-failed seq=%d", seq)
            defect = ScriptFailed("Internal error")
            return self._failed(seq, number, delivery.callback, defect, failed_before + 1)
        finally:
            self._board.end()
        if failed_before:
            return [*commands, _recovery(seq, number, delivery.callback, failed_before + 1)]
        return commands

    def _died_before(self, seq: Seq, number: int) -> bool:
        """Tell whether the process before this one died of a delivery. Raises ScriptFailed if it is not tried again now."""
        left = self._left_behind
        if left is None or (left.seq, left.number) != (seq, number):
            return False
        self._left_behind = None
        if left.was_killed:
            raise killed()
        if left.deaths:
            raise ScriptFailed("the process of the interpreter has died twice in this callback")
        return True

    def _call(self, delivery: Delivery, correlation: bytes) -> list[Command]:
        """Call a callback and return the job of its chain, if it has one.

        Raises ScriptFailed; Busy if the server broke it off in order to stop: it is called again at the next start.
        """
        with self._chain.collecting() as operations:
            try:
                self._actor.deliver(delivery.callback, delivery.arguments, correlation)
            finally:
                if self._actor.is_broken_off:
                    raise Busy("the server stops")
        if not operations:
            return []
        return [chain.job_of(operations, self._targets.modalities(), self._targets.peers(), correlation)]

    def _beat(self) -> None:
        self._beats_at_s = self._clock() + self._heart_beat_s
        delivery = heart_beat()
        if not self._board.defines(delivery.callback):
            return
        try:
            commands = self._call(delivery, new_correlation())
        except ScriptFailed as exc:
            log_failure(delivery.callback, exc)
            commands = [failure_command(delivery.callback, exc)]
        if commands:
            self._recorder.record(commands)

    # -- failures -----------------------------------------------------------------------------------------------------

    def _failed(self, seq: Seq, number: int, callback: str, failure: ScriptFailed, attempts: int) -> list[Command]:
        if attempts > len(RETRY_DELAYS_S):
            log.error("Lua callback %s of event %d is skipped: it has failed %d times", callback, seq, attempts)
            return [
                failure_command(callback, failure, cause_seq=seq, number=number, attempt=attempts),
                RecordCallbackSkip(cause_seq=seq, number=number, callback=callback, attempts=attempts),
            ]
        delay_s = RETRY_DELAYS_S[attempts - 1]
        waiting = Waiting(self._clock() + delay_s, seq, number, attempts, callback)
        heapq.heappush(self._waiting, waiting)
        return [
            failure_command(callback, failure, cause_seq=seq, number=number, attempt=attempts, delay_ms=delay_s * 1000)
        ]

    def _retry(self, waiting: Waiting) -> None:
        caused = self._reader.read_again(waiting.seq, self._board.defines)
        heapq.heappop(self._waiting)
        delivery = dict(caused.deliveries).get(waiting.number)
        if delivery is None:  # the callback, or its subject, is gone
            skip = RecordCallbackSkip(
                cause_seq=waiting.seq, number=waiting.number, callback=waiting.callback, attempts=waiting.attempts
            )
            self._recorder.record([skip])
            return
        self._recorder.record(
            self._try(waiting.seq, waiting.number, delivery, caused.correlation, failed_before=waiting.attempts)
        )


def _recovery(seq: Seq, number: int, callback: str, attempt: int) -> RecordCallbackRecovery:
    return RecordCallbackRecovery(cause_seq=seq, number=number, callback=callback, attempt=attempt)
