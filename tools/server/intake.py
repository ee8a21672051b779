"""The objects of a process that stores instances and knows modalities, peers and DICOMweb servers: gateways, workers and the scripts' process."""

from dataclasses import replace

from actors.messages.damage_reports import reporter
from actors.messages.index_client import IndexClient
from actors.services.codecs.pool import CodecPool
from actors.services.ingest.ingest import Ingest
from actors.services.remote.dicomweb_servers import DicomWebServers
from actors.services.remote.modalities import Modalities
from actors.services.remote.peers import Peers
from actors.services.scripts.script_filters import ScriptFilters
from store.blobs.store import BlobStore
from store.views.views import Views
from tools.server.composition import ServerSettings
from tools.server.links import Links
from tools.server.runtime_settings import RuntimeSettings


class Intake:
    """One per process. Owns the lease on a blob folder, once something is stored."""

    def __init__(
        self,
        settings: ServerSettings,
        links: Links,
        views: Views,
        index: IndexClient,
    ) -> None:
        self.codecs = CodecPool(settings.codecs)
        self.ingest_codecs = CodecPool(replace(settings.codecs, niceness=0))  # a sender waits for these
        self.blobs = BlobStore(settings.storage_directory)
        self.blobs.on_damage = reporter(index)
        self.modalities = Modalities(
            settings.dicom.modalities,
            views,
            index,
            is_stored=settings.modalities_in_database,
            is_strict_aet=settings.dicom.strict_aet_comparison,
        )
        self.peers = Peers(settings.peers, views, index, is_stored=settings.peers_in_database)
        web = settings.rest.dicom_web
        self.dicomweb_servers = DicomWebServers(web.servers, views, index, is_stored=web.servers_in_database)
        self.runtime = RuntimeSettings(settings, views, self.modalities)
        self.filters = ScriptFilters(links.received, links.scripts)
        self.ingest = Ingest(
            index, views, self.blobs, links.name, self.runtime.ingest, self.filters, self.ingest_codecs
        )

    def close(self) -> None:
        """Give back the folder; nothing is under way any more."""
        self.codecs.close()
        self.ingest_codecs.close()
        self.ingest.close()
