"""A worker: carries out the jobs that the core's scheduler hands to it, a few at a time, each in a thread.

Owns what a gateway owns, the lease on a blob folder, and that only once a job stores something. It may die at any
moment: its jobs go on elsewhere, from their last checkpoints.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from actors.messages.index_client import IndexClient
from actors.messages.jobs_client import JobsClient
from actors.services.jobs.operation import Workbench
from actors.services.jobs.operations import find_operation
from actors.services.jobs.runner import Runner
from actors.wire.interruption import Interruption
from tools.server.composition import ServerSettings
from tools.server.links import Links, Reading
from tools.server.log_levels import LogLevels

if TYPE_CHECKING:  # imported when the first job comes
    from tools.server.worker_bench import WorkerBench

STOP_PATIENCE_S = 5.0  # for the steps in progress; then they are broken off


class Worker:
    """The slots of one worker process, or of a server that has one process."""

    def __init__(
        self,
        settings: ServerSettings,
        links: Links,
        *,
        slots: int,
    ) -> None:
        self._settings = settings
        self._links = links
        self._reading = Reading(settings, links)
        self._views = self._reading.views
        self._levels = LogLevels(self._views, settings.log)
        self._index = IndexClient(links.ask)
        self._jobs = JobsClient(links.ask, links.jobs.request)
        self._runner = Runner(links.name, links.jobs, self._views, find_operation, self._workbench, slots=slots)

    def start(self) -> None:
        self._runner.start()
        self._levels.start()

    def stop(self) -> None:
        """Give back the jobs in progress, and release everything."""
        self._runner.stop(STOP_PATIENCE_S)
        self._links.jobs.close()  # no slot is at work then
        self._runner.join()
        self._levels.stop()
        if "_bench" in self.__dict__:
            self._bench.close()
        self._reading.close()

    def _workbench(self, interruption: Interruption) -> Workbench:
        return self._bench.workbench(interruption)

    @cached_property
    def _bench(self) -> "WorkerBench":
        from tools.server.worker_bench import WorkerBench

        return WorkerBench(self._settings, self._links, self._views, self._index, self._jobs)
