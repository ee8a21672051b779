"""What the operations of a worker work with; made when the first job comes, for it is most of a worker's memory."""

from actors.messages.index_client import IndexClient
from actors.messages.jobs_client import JobsClient
from actors.services.jobs.operation import Workbench
from actors.services.remote.dicomweb_client import DicomWebClient
from actors.services.remote.peer_client import PeerClient
from actors.services.remote.stored_sender import StorePool
from actors.wire.interruption import Interruption
from store.views.views import Views
from tools.server.composition import ServerSettings
from tools.server.intake import Intake
from tools.server.links import Links


class WorkerBench:
    """One per worker process."""

    def __init__(
        self,
        settings: ServerSettings,
        links: Links,
        views: Views,
        index: IndexClient,
        jobs: JobsClient,
    ) -> None:
        self._views = views
        self._index = index
        self._jobs = jobs
        self._scu = settings.scu
        self._modification_threads = settings.core.jobs.modification_threads
        self._rest = settings.rest
        # Released at the end of each job, as by Orthanc: a destination that serves one association at a time, such as
        # storescp, would keep the next job, in another worker, waiting for DicomAssociationCloseDelay (measured: 5 s).
        self._associations = StorePool(close_delay_s=0)
        self._peer_client = PeerClient(settings.http_client)
        self._dicomweb_client = DicomWebClient(settings.http_client)
        self._intake = Intake(settings, links, views, index)

    def workbench(self, interruption: Interruption) -> Workbench:
        return Workbench(
            views=self._views,
            blobs=self._intake.blobs,
            index=self._index,
            ingest=self._intake.ingest,
            jobs=self._jobs,
            modalities=self._intake.modalities,
            peers=self._intake.peers,
            peer_client=self._peer_client,
            dicomweb_servers=self._intake.dicomweb_servers,
            dicomweb_client=self._dicomweb_client,
            stow_max_bytes=self._rest.dicom_web.stow_max_bytes,
            scu=self._scu,
            associations=self._associations,
            codecs=self._intake.codecs,
            filters=self._intake.filters,
            temporary_directory=self._rest.temporary_directory,
            modification_threads=self._modification_threads,
            archive_threads=self._rest.archive_threads,
            media_archive_size=self._rest.media_archive_size,
            interruption=interruption,
        )

    def close(self) -> None:
        self._associations.close()
        self._peer_client.close()
        self._dicomweb_client.close()
        self._intake.close()
