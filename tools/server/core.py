"""The core process: the index, the stable-tracker, the storage actor, the job scheduler and the bridge to the others.

Only light actors live here: the writer must never wait for the interpreter (see docs/architecture.md).
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, assert_never

import lmdb

from actors.core.actor import Mailbox, start
from actors.core.file_removal import Condemned, Recheck, RemoveCondemned, Storage, StorageMessage, Sweep, leased_folders
from actors.core.index.local import LocalIndex
from actors.core.jobs.door import SchedulerDoor, take_up
from actors.core.jobs.messages import SchedulerMessage
from actors.core.jobs.scheduler import Scheduler
from actors.core.log_watch import LogWatch
from actors.core.scrubber import Scrubber
from actors.core.stable import StableMessage, StableTracker, Touched
from actors.core.worklist_keeper import LookAround, WorklistKeeper
from actors.messages.commands.files import RevokeFolders
from actors.messages.commands.plain import from_plain
from actors.messages.commands.recycling import RecycleExcess
from actors.messages.commands.resources import PurgeRows
from actors.messages.commands.server import ChooseMainTags
from actors.messages.control import CONTROL, Control
from actors.messages.damage_reports import reporter
from actors.messages.index_client import IndexClient
from actors.messages.log_watch import LOG_WATCH
from actors.messages.scheduler import SCHEDULER
from actors.services.lua.cursor import take_up_cursor
from actors.services.remote.query_store import clear_queries
from actors.wire import metrics
from actors.wire.bridge.server import BridgeServer, Dispatch
from actors.wire.reply import Reply
from events.errors import BadMedium, SinogramError
from events.identifiers import Level, Ref, Seq
from store import boot
from store.blobs.store import BlobStore
from store.boot import Action
from store.derived_files import METADATA, DerivedFiles
from store.dicom.indexed_tags import with_extra
from store.log import read_end
from store.privacy import SCRUBBED_NAME, make_folder, mend
from store.projections.job_rows import Job
from store.run_clock import begin_run, recorded_clock, uptime_us
from store.tables import TOMBSTONES, U64
from store.views.views import Views
from tools.core_settings import CoreSettings
from tools.server.archive import open_archive

logger = logging.getLogger(__name__)

CLOCK_STEP_S = 10.0  # beyond what a clock is corrected by that is kept right

_USUAL = {Action.INITIALIZE, Action.REMOVE_CONDEMNED, Action.RESUME_PURGES}  # nothing that an operator has to hear of


def utc_now_us() -> int:
    return time.time_ns() // 1000


def kill_process(name: str) -> None:
    """End a process of this server by the identity with which it said hello: its name, a slash, its pid."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(name.rpartition("/")[2]), signal.SIGKILL)


class Core:
    """The running core. `start` returns when every actor has answered a ping."""

    def __init__(
        self,
        settings: CoreSettings,
        *,
        control: dict[str, Callable[[], None]] | None = None,
        clock: Callable[[], int] = utc_now_us,
        since_boot: Callable[[], int] = uptime_us,
        kill_worker: Callable[[str], None] = kill_process,
        at_work: Callable[[], object] = bool,
    ) -> None:
        """Open the archive and carry out what the boot table says. Raises BadMedium, CorruptLog.

        `clock` gives UTC, `since_boot` the time since boot, which nobody can set; both in microseconds.
        `kill_worker` ends the worker process of that name, which does not let go of a job. `at_work` is called now and then while a start
        takes long.
        """
        metrics.UP_TIME.begin()
        self.settings = settings
        self._control = control or {}
        self._clock = clock
        _make_folder(settings.index_directory)
        _make_folder(settings.storage_directory)
        for folder in {settings.index_directory, settings.storage_directory}:
            mend(folder)
        if not os.access(settings.storage_directory, os.W_OK):  # the index folder has its row in the boot table
            raise BadMedium(f"the storage folder {settings.storage_directory} cannot be written")
        self.blobs = BlobStore(settings.storage_directory)
        try:
            self.environment, rows = open_archive(settings.index_directory, self.blobs)
        except BadMedium as exc:
            raise BadMedium(f"{exc} (index {settings.index_directory}, storage {settings.storage_directory})") from exc
        clear_queries(settings.index_directory)
        self.views = Views(self.environment)
        recorded = self._begin_clock(since_boot)
        try:
            self.index = LocalIndex(self.environment, clock, read_only=settings.read_only, limits=settings.limits)
        except BaseException:
            self.environment.close()
            raise
        self._choose_main_tags()
        self.client = IndexClient(self.index.ask)
        self.blobs.on_damage = reporter(self.client)
        self.storage: Mailbox[StorageMessage] = start(
            Storage,
            self.client,
            self.views,
            self.blobs,
            self._make_scrubber(),
            DerivedFiles(settings.index_directory / METADATA),
            read_only=settings.read_only,
        )
        self.stable: Mailbox[StableMessage] | None = None  # with ReadOnly nothing ripens
        if not settings.read_only:
            self.stable = start(StableTracker, self.client, self.views, settings.stable_age_s, wall_clock=recorded)
        self.worklists: Mailbox[LookAround] | None = None  # likewise nothing is removed
        if settings.worklists.is_enabled and not settings.read_only:
            self.worklists = start(WorklistKeeper, self.client, self.views, settings.worklists, wall_clock=clock)
        self.scheduler: Mailbox[SchedulerMessage] = start(
            Scheduler, self.index.submit, self.views, settings.jobs, clock=recorded, kill=kill_worker
        )
        self.jobs = SchedulerDoor(self.scheduler, self.index.submit)
        self.log = LogWatch()
        self._bridge: BridgeServer | None = None
        self.index.set_listener(self)
        self.log.on_appended(self._end_of_log())  # and of what was committed before the listener was set
        self._take_up_cursor()
        self._carry_out(rows)
        self._recycle_excess(at_work)
        was_clean = all(row.action is not Action.VERIFY_TAIL for row in rows)
        take_up(self.index.submit, self.views, self.jobs, save_jobs=settings.jobs.save_jobs, was_clean=was_clean)

    def _choose_main_tags(self) -> None:
        """Record what is indexed from here on, if that is new. Raises StorageFull, StorageFailed."""
        if self.settings.read_only:  # nothing is indexed
            return
        try:
            self.index.ask(
                ChooseMainTags(
                    tags={int(level): list(tags) for level, tags in with_extra(self.settings.extra_main_tags).items()}
                )
            )
        except SinogramError:
            self.index.stop()
            self.environment.close()
            raise

    def _make_scrubber(self) -> Scrubber:
        position = self.settings.index_directory / SCRUBBED_NAME
        rate = self.settings.scrub_bytes_per_s
        return Scrubber(self.client, self.views, self.blobs, position, rate, time.monotonic)

    def _begin_clock(self, since_boot: Callable[[], int]) -> Callable[[], int]:
        """Return the clock on which times of earlier runs are measured."""
        try:
            begin_run(self.environment, self._clock(), since_boot())
        except lmdb.Error as exc:  # a full disk: the wall clock is believed
            logger.warning("core.clock-not-recorded error=%s", exc)
        recorded = recorded_clock(self.environment, self._clock, since_boot)
        if (ahead_s := (self._clock() - recorded()) / 1e6) > CLOCK_STEP_S:
            logger.warning("core.clock-was-set forward_s=%d: jobs and resources that wait go on waiting", ahead_s)
        return recorded

    def _end_of_log(self) -> Seq:
        with self.views.snapshot() as snapshot:
            return read_end(snapshot.txn, snapshot.tables)[0]

    def _take_up_cursor(self) -> None:
        try:
            take_up_cursor(self.client, self.views, lua_is_on=self.settings.lua_is_on)
        except SinogramError as exc:  # a full disk, as a rule: let the operator in, who may delete
            logger.error("core.cursor-not-taken-up error=%s", exc)

    def _look_for_orthanc(self) -> None:
        """Warn if the folders are those of an Orthanc, whose configuration may have been taken as it is."""
        for folder in {self.settings.index_directory, self.settings.storage_directory}:
            if (folder / "index").is_file():
                logger.warning(
                    "core.orthanc-archive: %s holds an archive of Orthanc, which is not read and stays as it is; "
                    "to bring its images here: sinogram import %s",
                    folder,
                    self.settings.storage_directory,
                )

    def _carry_out(self, rows: list[boot.Row]) -> None:
        for row in rows:
            level = logging.INFO if row.action in _USUAL else logging.WARNING
            logger.log(level, "boot.%s %s: %s", row.action.name.lower(), row.when, row.message)
            match row.action:
                case Action.INITIALIZE:
                    self._look_for_orthanc()
                case Action.SWEEP_LEASES:
                    self.storage.ask(Sweep(leased_folders(self.views), is_after_cut=True))
                case Action.REMOVE_CONDEMNED:
                    self.storage.tell(RemoveCondemned())
                case Action.RESUME_PURGES:
                    for root in [] if self.settings.read_only else _tombstones(self.views):
                        self.index.submit(PurgeRows(resource=root), _log_refusal)
                case Action.REFUSE | Action.WARN_FULL | Action.VERIFY_TAIL | Action.REBUILD:
                    pass  # done by open_archive
                case _:
                    assert_never(row.action)
        self.storage.tell(Recheck())

    def _recycle_excess(self, at_work: Callable[[], object]) -> None:
        """Have the limits hold before anybody is served: they may have been lowered."""
        if self.settings.read_only or not self.settings.limits:
            return
        try:
            while self.index.ask(RecycleExcess()):
                at_work()
        except SinogramError as exc:
            logger.error("core.limits-do-not-hold error=%s: nothing is recycled, and stores are refused", exc)

    # -- what the index announces ---------------------------------------------------------------------------------

    def on_touched(self, touched: list[tuple[Level, Ref, Seq]]) -> None:
        if self.stable is not None:
            self.stable.tell(Touched(touched))

    def on_condemned(self) -> None:
        self.storage.tell(Condemned())

    def on_jobs(self, jobs: list[Job]) -> None:
        self.jobs.on_jobs(jobs)

    def on_appended(self, head: Seq, tags: AbstractSet[str]) -> None:
        self.log.on_appended(head, tags)

    # -- the bridge -----------------------------------------------------------------------------------------------

    def serve_bridge(self) -> None:
        """Let the other processes in."""
        actors: dict[str, Dispatch] = {
            "index": self._on_index,
            **CONTROL.served_by(self._on_control),
            **SCHEDULER.served_by(self.jobs.on_request),
            **LOG_WATCH.served_by(self.log.on_request),
        }
        self._bridge = BridgeServer(self.settings.index_directory, actors, self._on_gone)
        self._bridge.start()

    def _on_index(self, values: list[Any], reply: Reply) -> None:
        self.index.submit(from_plain(values), reply)

    def _on_control(self, request: Control, reply: Reply) -> None:
        reply(None, None)
        self._control[request.word]()

    def _on_gone(self, name: str) -> None:
        logger.info("core.process-gone name=%s", name)
        self.environment.forget_dead_readers()
        # At once, not when the storage actor comes to it: a new process of the same name may already be starting.
        if not self.settings.read_only:  # else it had none, and those of an earlier run wait for a start without it
            self.index.submit(RevokeFolders(owner=name), self._on_revoked)
        self.jobs.on_gone(name)

    def _on_revoked(self, folders: Any, error: SinogramError | None) -> None:
        if error is not None:  # the next start sweeps them
            _log_refusal(folders, error)
        elif folders:
            self.storage.tell(Sweep(folders))

    # -- the end --------------------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        actors = (self.index, self.stable, self.storage, self.worklists, self.scheduler)
        return all(actor.is_alive() for actor in actors if actor is not None)

    def stop(self) -> None:
        """Stop in the reverse order of the start; everything that was acknowledged is durable already."""
        if self._bridge is not None:
            self._bridge.stop()
        self.log.stop()
        self.scheduler.stop()
        if self.worklists is not None:
            self.worklists.stop()
        if self.stable is not None:
            self.stable.stop()
        self.storage.stop()
        self.index.stop()
        try:
            boot.mark_clean(self.environment)
        except lmdb.Error as exc:  # a full disk: the next start verifies the end of the log
            logger.warning("core.not-marked-clean error=%s", exc)
        self.environment.close()


def _log_refusal(_: Any, error: SinogramError | None) -> None:
    if error is not None:
        logger.error("core.refused error=%s", error)


def _make_folder(path: Path) -> None:
    """Create a folder if it is missing. Raises BadMedium."""
    try:
        make_folder(path)
    except OSError as exc:
        raise BadMedium(f"the folder {path} cannot be made: {exc.strerror}") from exc


def _tombstones(views: Views) -> list[Ref]:
    with views.snapshot() as snapshot:
        return [Ref(U64.unpack(row_key)[0]) for row_key in snapshot.keys(TOMBSTONES, b"")]
