"""The index: the only writer of the log and of the read models.

Owns the write transaction and the end of the log. Takes commands (`actors.messages.commands`), decides which events they
cause (`actors.core.index.decide`), appends and projects them, commits once for all commands that were waiting, then
replies: a reply means durable and visible. A command that is refused fails alone. Asks no actor; tells the stable-tracker
and the storage actor what a commit gave them to do.

pykka sets a reply when the handler returns, which would commit every command alone. So commands wait in a queue of the
index's own, with the function that takes their reply, and the mailbox carries only the news that something waits.
"""

import logging
import os
import queue
import secrets
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Any, Protocol

import lmdb
import pykka

from actors.core.index.context import Context, Outcome, merge
from actors.core.index.decide import decide
from actors.core.index.settings import NO_LIMITS, StorageLimits
from actors.messages.commands.command import Command
from actors.messages.commands.plain import Together, parts_of
from actors.messages.commands.resources import PurgeRows
from actors.wire import metrics
from actors.wire.reply import Reply, stopping
from events.errors import Busy, CorruptLog, ReadOnlyArchive, SinogramError, StorageFailed, StorageFull
from events.identifiers import Level, Ref, Seq, Surrogate
from store import projections
from store.batch import Batch
from store.damaged_rows import UNREADABLE, describe
from store.environment import INDEX_MARGIN_BYTES, Environment, ensure_reserve, free_bytes, release_reserve
from store.log import Head, LogWriter, check_end, read_end, read_head
from store.projections.job_rows import Job
from store.tables import CONDEMNED

logger = logging.getLogger(__name__)

MAX_BATCH = 256  # commands per commit: 256 stores hold the writer for some 40 ms
_WAKE = "wake"

Clock = Callable[[], int]  # UTC, microseconds since 1970


class Listener(Protocol):
    """Who is told what a commit brought (never asked: asks go downwards)."""

    def on_touched(self, touched: list[tuple[Level, Ref, Seq]]) -> None: ...

    def on_condemned(self) -> None: ...

    def on_jobs(self, jobs: list[Job]) -> None: ...

    def on_appended(self, head: Seq, tags: AbstractSet[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    command: Command
    reply: Reply


class Index(pykka.ThreadingActor):
    """See the module's text."""

    use_daemon_thread = True

    def __init__(
        self,
        environment: Environment,
        clock: Clock,
        waiting: "queue.SimpleQueue[_Waiting]",
        *,
        read_only: bool = False,
        limits: StorageLimits = NO_LIMITS,
    ) -> None:
        super().__init__()
        self._read_only = read_only
        self._limits = limits
        self._environment = environment
        self._clock = clock
        self._waiting = waiting
        self._listener: Listener | None = None
        self._log = LogWriter(_stored_head(environment))
        self._tags: set[str] = set()  # of the events of the commit under way
        self._stalled: list[Ref] = []  # purges whose next step could not be committed

    def on_receive(self, message: Any) -> Any:
        """Deal with everything that waits; any message but a listener is just the news of it."""
        if message != _WAKE:
            self._listener = message
            return None
        batch: list[_Waiting] = []
        while len(batch) < MAX_BATCH:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        if batch:
            metrics.COMMANDS_WAITING.set(self._waiting.qsize())
            self._commit(batch)
            if not self._waiting.empty():
                self.actor_ref.tell(_WAKE)
        return None

    # -- one transaction ----------------------------------------------------------------------------------------------

    def _commit(self, waiting: list[_Waiting]) -> None:
        head, started = self._log.head, time.perf_counter()
        self._tags = set()
        try:
            is_full = free_bytes(self._environment.folder) < INDEX_MARGIN_BYTES
            with self._environment.begin(write=True) as txn:
                batch = Batch(txn, self._environment.tables)
                answers = [self._run(w, batch, is_full=is_full) for w in waiting]
                batch.flush()
        except (lmdb.Error, OSError) as exc:
            logger.error("index.commit-failed error=%s commands=%d", exc, len(waiting))
            self._log.rewind(head)
            metrics.COMMITS.add(1, "failed")
            refusal = self._refusal_after_failure(exc)
            if isinstance(refusal, StorageFull) and self._can_use_reserve(waiting):
                self._commit(waiting)
                return
            for w in waiting:
                w.reply(None, refusal)
            return
        metrics.COMMITS.add(1, "done")
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)
        outcomes = []
        for w, (outcome, error) in zip(waiting, answers, strict=True):
            w.reply(None if outcome is None else outcome.reply, error)
            if outcome is not None:
                outcomes.append(outcome)
        metrics.COMMANDS.add(len(outcomes), "done")
        metrics.COMMANDS.add(len(waiting) - len(outcomes), "refused")
        self._announce(outcomes, has_grown=self._log.head is not head)
        if not is_full:
            ensure_reserve(self._environment.folder)

    def _run(self, w: _Waiting, batch: Batch, *, is_full: bool) -> tuple[Outcome | None, SinogramError | None]:
        head = self._log.head
        try:
            parts = parts_of(w.command)
            if self._read_only:
                check_records(parts)
            if is_full:
                _check_frees(parts, batch)
            outcomes = [self._carry_out(part, batch) for part in parts]
        except Exception as exc:  # noqa: BLE001  # whatever went wrong with one command, its neighbours go on
            batch.rollback()
            self._log.rewind(head)
            return None, _as_refusal(exc, w.command, batch.last_table)
        batch.savepoint()
        return merge(outcomes) if isinstance(w.command, Together) else outcomes[0], None

    def _carry_out(self, command: Command, batch: Batch) -> Outcome:
        context = Context(batch, self._log.next_seq, _new_surrogate, self._limits)
        for planned in decide(command, context):
            appended = self._log.append(
                batch,
                planned.event,
                now_us=self._clock(),
                aggregate=planned.aggregate,
                actor=planned.actor or command.ACTOR,
                correlation=getattr(command, "correlation", b""),
            )
            projections.apply(batch, appended)
            self._tags.add(planned.event.TAG)
        return context.outcome

    def _can_use_reserve(self, waiting: list[_Waiting]) -> bool:
        """Release the reserve for commands that free space, if it is still there."""
        is_freeing = any(w.command.FREES_SPACE for w in waiting)
        return is_freeing and release_reserve(self._environment.folder)

    def _refusal_after_failure(self, failure: Exception) -> SinogramError:
        """Answer the waiting commands after a failed commit, which as a rule left nothing of them."""
        try:
            if _stored_head(self._environment) == self._log.head:
                return _refusal(failure, self._environment.folder)  # nothing was written
        except (lmdb.Error, CorruptLog) as exc:
            logger.critical("index.unreadable error=%s", exc)
        # The environment's root could not be written, and LMDB refuses everything from now on. Whether the commands
        # took effect shows after the restart: until then no process may take their blobs for unwanted.
        self.stop()
        return Busy("the index must be started again")

    def _announce(self, outcomes: list[Outcome], *, has_grown: bool) -> None:
        for outcome in outcomes:
            for root in outcome.purging:
                self._purge(root)
        while self._stalled:
            self._purge(self._stalled.pop())
        if self._listener is None:
            return
        touched = [item for outcome in outcomes for item in outcome.touched]
        if touched:
            self._listener.on_touched(touched)
        if any(outcome.condemned for outcome in outcomes):
            self._listener.on_condemned()
        jobs = [job for outcome in outcomes for job in outcome.jobs]
        if jobs:
            self._listener.on_jobs(jobs)
        if has_grown:
            self._listener.on_appended(self._log.head.seq, self._tags)

    def _purge(self, root: Ref) -> None:
        """Queue the next step of a purge; one that the disk has no room for is tried again after the next commit."""

        def note(_: Any, error: SinogramError | None) -> None:
            if isinstance(error, StorageFull | StorageFailed):
                self._stalled.append(root)
            if error is not None:
                logger.error("index.purge-failed error=%s", error)

        submit(self.actor_ref, self._waiting, PurgeRows(resource=root), note)


def submit(
    index: pykka.ActorRef[Index],
    waiting: "queue.SimpleQueue[_Waiting]",
    command: Command,
    reply: Reply,
) -> None:
    """Queue a command; `reply` is called once, on the index's thread, with the result or the error."""
    waiting.put(_Waiting(command, reply))
    try:
        index.tell(_WAKE)
    except pykka.ActorDeadError:
        reply(None, stopping())


def check_records(parts: list[Command]) -> None:
    """Raise ReadOnlyArchive unless none of the commands changes what the archive holds.

    Every way into the archive ends in a command, so this is where they are all refused: uploads, C-STORE, what a C-GET or a
    script fetches, deletions, resources that ripen, cleared feeds, values that scripts keep.
    """
    if not all(part.IS_RECORD for part in parts):
        raise ReadOnlyArchive


def _check_frees(parts: list[Command], batch: Batch) -> None:
    """Raise StorageFull unless commands that belong together may be carried out on a full disk."""
    if all(part.FREES_SPACE for part in parts):
        return
    is_releasing = any(part.RELEASES_FILES for part in parts)
    if not is_releasing or next(batch.keys(CONDEMNED, b""), None) is None:
        raise StorageFull("the disk of the index is full")


def _stored_head(environment: Environment) -> Head:
    with environment.begin() as txn:
        head = read_head(txn, environment.tables)
        check_end(read_end(txn, environment.tables), head.seq, head.hash)
    return head


def _refusal(failure: Exception, folder: Path) -> SinogramError:
    """Tell a full disk from one that fails. LMDB calls a write that was cut short an "Input/output error"."""
    text = str(failure)
    if isinstance(failure, lmdb.MapFullError) or any(os.strerror(code) in text for code in (ENOSPC, EDQUOT, EFBIG)):
        return StorageFull("the index cannot be written; is its disk full?")
    try:
        if free_bytes(folder) < INDEX_MARGIN_BYTES:
            return StorageFull("the index cannot be written; is its disk full?")
    except OSError:
        pass
    return StorageFailed(f"the index cannot be written: {text}")


def _new_surrogate() -> Surrogate:
    return Surrogate(secrets.token_bytes(8))


def _as_refusal(exc: Exception, command: Command, table: bytes) -> SinogramError:
    if isinstance(exc, SinogramError):
        return exc
    if isinstance(exc, UNREADABLE):
        error = describe(table, exc)
        logger.critical("index.damaged command=%s: %s", type(command).__name__, error)
        return error
    logger.error("index.command-failed command=%s", type(command).__name__, exc_info=exc)
    return CorruptLog(f"the index failed on {type(command).__name__}")
