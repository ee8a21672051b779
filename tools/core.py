"""The core process: the index, the stable-tracker, the storage actor and the bridge to the other processes.

Only light actors live here: the writer must never wait for the interpreter (see docs/architecture.md).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pykka

from actors.bridge.server import BridgeServer, Dispatch
from actors.index.client import IndexClient
from actors.index.commands import PurgeRows, from_plain
from actors.index.local import LocalIndex
from actors.stable import StableTracker
from actors.storage import REMOVE, Storage, leased_folders
from events.errors import InvalidRequest, SinogramError
from events.identifiers import Level, Ref, Seq
from store import boot
from store.blobs.store import BlobStore
from store.boot import Action
from store.environment import Environment, ensure_reserve
from store.tables import SETTINGS, TOMBSTONES, U64
from store.views.views import Views

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 20.0
READER_CHECK_S = 60.0

Reply = Callable[[Any, SinogramError | None], None]


def utc_now_us() -> int:
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    index_directory: Path
    storage_directory: Path
    stable_age_s: float = 60.0


class Core:
    """The running core. `start` returns when every actor has answered a ping."""

    def __init__(
        self,
        settings: CoreSettings,
        *,
        control: dict[str, Callable[[], None]] | None = None,
        clock: Callable[[], int] = utc_now_us,
    ) -> None:
        """Open the archive and carry out what the boot table says. Raises BadMedium, CorruptLog."""
        self.settings = settings
        self._control = control or {}
        self._clock = clock
        settings.index_directory.mkdir(parents=True, exist_ok=True)
        settings.storage_directory.mkdir(parents=True, exist_ok=True)
        self.blobs = BlobStore(settings.storage_directory)
        self.environment, rows = open_archive(settings.index_directory)
        self.views = Views(self.environment)
        self.index = LocalIndex(self.environment, clock)
        self.client = IndexClient(self.index.ask)
        self.storage: pykka.ActorRef[Storage] = Storage.start(self.client, self.views, self.blobs)
        self._carry_out(rows)
        self.stable: pykka.ActorRef[StableTracker] = StableTracker.start(
            self.client, self.views, settings.stable_age_s, wall_clock=clock
        )
        self.index.set_listener(self)
        self._bridge: BridgeServer | None = None

    def _carry_out(self, rows: list[boot.Row]) -> None:
        for row in rows:
            logger.warning("boot.%s %s: %s", row.action.name.lower(), row.when, row.message)
            match row.action:
                case Action.SWEEP_LEASES:
                    self.storage.ask(("sweep", leased_folders(self.views)))
                case Action.REMOVE_CONDEMNED:
                    self.storage.tell(REMOVE)
                case Action.RESUME_PURGES:
                    for root in _tombstones(self.views):
                        self.index.ask(PurgeRows(resource=root))
                case _:
                    pass  # done by open_archive

    # -- what the index announces ---------------------------------------------------------------------------------

    def on_touched(self, touched: list[tuple[Level, Ref, Seq]]) -> None:
        self.stable.tell(touched)

    def on_condemned(self) -> None:
        self.storage.tell(REMOVE)

    # -- the bridge -----------------------------------------------------------------------------------------------

    def serve_bridge(self) -> None:
        """Let the other processes in."""
        actors: dict[str, Dispatch] = {"index": self._on_index, "control": self._on_control}
        self._bridge = BridgeServer(self.settings.index_directory, actors, self._on_gone)
        self._bridge.start()

    def _on_index(self, values: list[Any], reply: Reply) -> None:
        self.index.submit(from_plain(values), reply)

    def _on_control(self, values: list[Any], reply: Reply) -> None:
        action = self._control.get(values[0])
        if action is None:
            raise InvalidRequest("the core has no such control")
        reply(None, None)
        action()

    def _on_gone(self, name: str) -> None:
        logger.info("core.process-gone name=%s", name)
        self.environment.forget_dead_readers()
        self.storage.tell(("gone", name))

    # -- the end --------------------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        return self.index.is_alive() and self.stable.is_alive() and self.storage.is_alive()

    def stop(self) -> None:
        """Stop in the reverse order of the start; everything that was acknowledged is durable already."""
        if self._bridge is not None:
            self._bridge.stop()
        self.stable.stop(timeout=STOP_TIMEOUT_S)
        self.storage.stop(timeout=STOP_TIMEOUT_S)
        self.index.stop()
        boot.mark_clean(self.environment)
        self.environment.close()


def open_archive(folder: Path) -> tuple[Environment, list[boot.Row]]:
    """Open the environment for writing, as the boot table allows. Raises BadMedium, CorruptLog."""
    medium = boot.look_at_medium(folder)
    boot.plan(medium)
    lock = boot.FolderLock(folder)
    try:
        boot.plan(replace(medium, is_taken=not lock.is_held))
        environment = Environment(folder, writable=True)
    except BaseException:
        lock.release()
        raise
    try:
        rows = boot.plan(boot.look_at_environment(environment, medium))
        if any(row.action is Action.VERIFY_TAIL for row in rows):
            boot.verify_tail(environment)
        environment.forget_dead_readers()
        boot.mark_running(environment)
        _forget_settings(environment)
        ensure_reserve(folder)
    except BaseException:
        environment.close()
        lock.release()
        raise
    environment.on_close(lock.release)
    return environment, rows


def _forget_settings(environment: Environment) -> None:
    """Empty what REST changed for the last run."""
    with environment.begin(write=True) as txn:
        txn.drop(environment.tables[SETTINGS], delete=False)


def _tombstones(views: Views) -> list[Ref]:
    with views.snapshot() as snapshot:
        return [Ref(U64.unpack(row_key)[0]) for row_key in snapshot.keys(TOMBSTONES, b"")]
