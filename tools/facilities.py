"""What answers REST requests, whether they come over HTTP (a gateway) or from a script (the main Lua interpreter's process)."""

from collections.abc import Callable
from typing import Any

from actors.index.client import IndexClient
from actors.index.commands import Command
from actors.ingest import Ingest
from actors.jobs.channel import Channel
from actors.jobs.client import JobsClient
from actors.lua.client import ScriptsClient
from actors.lua.script_filters import ScriptFilters
from actors.remote.asking import create_find_pool
from actors.remote.interruption import Interruption
from actors.remote.modalities import Modalities
from actors.remote.query_store import QueryStore
from api.rest.deps import Deps
from store.blobs.store import BlobStore
from store.environment import Environment
from store.views.views import Views
from tools.composition import ServerSettings
from tools.runtime_settings import RuntimeSettings


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
        self.blobs = BlobStore(settings.storage_directory)
        self.index = IndexClient(ask)
        self.jobs = JobsClient(ask, jobs.request)
        self.modalities = Modalities(
            settings.dicom.modalities,
            self.views,
            self.index,
            is_stored=settings.modalities_in_database,
            is_strict_aet=settings.dicom.strict_aet_comparison,
        )
        self.runtime = RuntimeSettings(settings, self.views, self.modalities)
        self.filters = ScriptFilters(received, scripts)
        self.ingest = Ingest(self.index, self.views, self.blobs, name, self.runtime.ingest, self.filters)
        self.stopping = Interruption()
        self._finds = create_find_pool(settings.scu.close_delay_s)
        self.deps = Deps(
            views=self.views,
            blobs=self.blobs,
            ingest=self.ingest,
            index=self.index,
            jobs=self.jobs,
            modalities=self.modalities,
            queries=QueryStore(settings.index_directory, settings.query_retrieve_size),
            scu=settings.scu,
            finds=self._finds,
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
        self.ingest.close()
        if self._owned is not None:
            self._owned.close()
