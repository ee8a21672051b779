"""What answers REST requests, whether they come over HTTP (a gateway) or from a script (the main Lua interpreter's process)."""

from collections.abc import Callable
from typing import Any

from actors.messages.commands.command import Command
from actors.messages.index_client import IndexClient
from actors.messages.jobs_client import JobsClient
from actors.services.remote.asking import create_find_pool
from actors.services.remote.query_store import QueryStore
from actors.services.scripts.client import ScriptsClient
from actors.wire.bridge.channel import Channel
from actors.wire.interruption import Interruption
from api.rest.deps import Deps
from store.environment import Environment
from store.views.views import Views
from tools.server.composition import ServerSettings
from tools.server.intake import Intake
from tools.server.log_levels import LogLevels


class Facilities:
    """One per process. Owns the lease on a blob folder, and the environment unless it is the core's."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        name: str,
        ask: Callable[[Command], Any],
        jobs: Channel,
        control: Callable[[str], None],
        received: ScriptsClient | None = None,
        scripts: ScriptsClient | None = None,
        environment: Environment | None = None,
    ) -> None:
        """`received` leads to the interpreter of the received-instance filters, `scripts` to the main one.

        `environment` is that of the core where it lives in the same process; else one is opened for reading.
        """
        self._owned = Environment(settings.index_directory, writable=False) if environment is None else None
        self.views = Views(environment or self._owned)  # type: ignore[arg-type]  # one of the two is there
        self._levels = LogLevels(self.views, settings.log)
        self._levels.start()
        self.index = IndexClient(ask)
        self.jobs = JobsClient(ask, jobs.request)
        self._intake = intake = Intake(settings, name, self.views, self.index, received=received, scripts=scripts)
        self.codecs = intake.codecs
        self.blobs, self.modalities, self.runtime = intake.blobs, intake.modalities, intake.runtime
        self.filters, self.ingest = intake.filters, intake.ingest
        self.stopping = Interruption()
        self._finds = create_find_pool(settings.scu.close_delay_s)
        self.deps = Deps(
            views=self.views,
            blobs=self.blobs,
            ingest=self.ingest,
            index=self.index,
            jobs=self.jobs,
            modalities=self.modalities,
            queries=QueryStore(settings.index_directory, settings.query_retrieve_size, settings.answer_limits),
            scu=settings.scu,
            finds=self._finds,
            codecs=self.codecs,
            stopping=self.stopping,
            settings=settings.rest,
            scripts=scripts,
            received=received,
            filters=self.filters,
            shutdown=lambda: control("shutdown"),
            reset=lambda: control("reset"),
        )

    def close(self) -> None:
        """Give back the folder; nothing is under way any more."""
        self._finds.close()
        self._intake.close()
        self._levels.stop()
        if self._owned is not None:
            self._owned.close()
