"""A worker: carries out the jobs that the core's scheduler hands to it, a few at a time, each in a thread.

Owns what a gateway owns, the lease on a blob folder, and that only once a job stores something. It may die at any
moment: its jobs go on elsewhere, from their last checkpoints.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from actors.messages.commands.command import Command
from actors.messages.index_client import IndexClient
from actors.messages.jobs_client import JobsClient
from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations import find_operation
from actors.services.jobs.runner import Runner
from actors.services.scripts.client import ScriptsClient
from actors.wire.bridge.channel import Channel
from actors.wire.interruption import Interruption
from store.environment import Environment
from store.views.views import Views
from tools.server.composition import ServerSettings
from tools.server.log_levels import LogLevels

if TYPE_CHECKING:  # imported when the first job comes
    from tools.server.worker_bench import WorkerBench

STOP_PATIENCE_S = 5.0  # for the steps in progress; then they are broken off


class Worker:
    """The slots of one worker process, or of a server that has one process."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        name: str,
        ask: Callable[[Command], Any],
        channel: Channel,
        slots: int,
        received: ScriptsClient | None = None,
        scripts: ScriptsClient | None = None,
        environment: Environment | None = None,
    ) -> None:
        """`received` leads to the interpreter of the received-instance filters, `scripts` to the main one.

        `environment` is that of the core where it lives in the same process; else one is opened for reading.
        """
        self._settings = settings
        self._name = name
        self._received = received
        self._scripts = scripts
        self._owned = Environment(settings.index_directory, writable=False) if environment is None else None
        self._views = Views(environment or self._owned)  # type: ignore[arg-type]  # one of the two is there
        self._levels = LogLevels(self._views, settings.log)
        self._index = IndexClient(ask)
        self._jobs = JobsClient(ask, channel.request)
        self._runner = Runner(name, channel, self._views, find_operation, self._workbench, slots=slots)

    def start(self) -> None:
        self._runner.start()
        self._levels.start()

    def stop(self) -> None:
        """Give back the jobs in progress."""
        self._runner.stop(STOP_PATIENCE_S)

    def close(self) -> None:
        """Let go of everything; once the channel is closed, so that no slot is at work."""
        self._runner.join()
        self._levels.stop()
        if "_bench" in self.__dict__:
            self._bench.close()
        if self._owned is not None:
            self._owned.close()

    def _workbench(self, interruption: Interruption) -> Workbench:
        return self._bench.workbench(interruption)

    @cached_property
    def _bench(self) -> "WorkerBench":
        from tools.server.worker_bench import WorkerBench

        return WorkerBench(
            self._settings,
            self._name,
            self._views,
            self._index,
            self._jobs,
            received=self._received,
            scripts=self._scripts,
        )
