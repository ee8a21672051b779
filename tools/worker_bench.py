"""What the operations of a worker work with; made when the first job comes, for it is most of a worker's memory."""

from actors.index.client import IndexClient
from actors.ingest import Ingest
from actors.jobs.client import JobsClient
from actors.jobs.operation import Workbench
from actors.lua.client import ScriptsClient
from actors.lua.script_filters import ScriptFilters
from actors.remote.interruption import Interruption
from actors.remote.modalities import Modalities
from actors.remote.peers import Peers
from actors.remote.stored_sender import StorePool
from store.blobs.store import BlobStore
from store.views.views import Views
from tools.composition import ServerSettings
from tools.runtime_settings import RuntimeSettings


class WorkerBench:
    """One per worker process."""

    def __init__(
        self,
        settings: ServerSettings,
        name: str,
        views: Views,
        index: IndexClient,
        jobs: JobsClient,
        *,
        received: ScriptsClient | None = None,
        scripts: ScriptsClient | None = None,
    ) -> None:
        self._views = views
        self._index = index
        self._jobs = jobs
        self._scu = settings.scu
        self._temporary_directory = settings.rest.temporary_directory
        # Released at the end of each job, as by Orthanc: a destination that serves one association at a time, such as
        # storescp, would keep the next job, in another worker, waiting for DicomAssociationCloseDelay (measured: 5 s).
        self._associations = StorePool(close_delay_s=0)
        self._blobs = BlobStore(settings.storage_directory)
        self._modalities = Modalities(
            settings.dicom.modalities,
            views,
            index,
            is_stored=settings.modalities_in_database,
            is_strict_aet=settings.dicom.strict_aet_comparison,
        )
        self._peers = Peers(settings.peers, settings.http_client)
        runtime = RuntimeSettings(settings, views, self._modalities)
        self._filters = ScriptFilters(received, scripts)
        self._ingest = Ingest(index, views, self._blobs, name, runtime.ingest, self._filters)

    def workbench(self, interruption: Interruption) -> Workbench:
        return Workbench(
            views=self._views,
            blobs=self._blobs,
            index=self._index,
            ingest=self._ingest,
            jobs=self._jobs,
            modalities=self._modalities,
            peers=self._peers,
            scu=self._scu,
            associations=self._associations,
            filters=self._filters,
            temporary_directory=self._temporary_directory,
            interruption=interruption,
        )

    def close(self) -> None:
        self._associations.close()
        self._peers.close()
        self._ingest.close()
