"""The objects that answer REST requests from HTTP (a gateway) or from scripts (the main Lua interpreter's process)."""

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from actors.messages.index_client import IndexClient
from actors.messages.jobs_client import JobsClient
from actors.messages.log_watch import LogEnd
from actors.services.remote.asking import create_find_pool
from actors.services.remote.query_store import QueryStore
from actors.services.scripts.replays import Replay, ReplayWanted
from actors.wire.interruption import Interruption
from api.rest.deps import Deps
from api.rest.event_hub import EventHub
from events.errors import Busy
from store.disk_errors import explain
from tools.server.composition import ServerSettings
from tools.server.intake import Intake
from tools.server.links import Links, Reading
from tools.server.log_levels import LogLevels

if TYPE_CHECKING:
    from actors.services.remote.dicomweb_client import DicomWebClient
    from actors.services.remote.peer_client import PeerClient


class Facilities:
    """One per process. Owns the lease on a blob folder, and the environment unless it is the core's."""

    def __init__(
        self,
        settings: ServerSettings,
        links: Links,
    ) -> None:
        self._settings = settings
        self._reading = Reading(settings, links)
        self.views = self._reading.views
        self._levels = LogLevels(self.views, settings.log)
        self._levels.start()
        self.index = IndexClient(links.ask)
        self.jobs = JobsClient(links.ask, links.jobs.request)
        self._intake = intake = Intake(settings, links, self.views, self.index)
        self.codecs, self.ingest_codecs = intake.codecs, intake.ingest_codecs
        self.blobs, self.modalities, self.runtime = intake.blobs, intake.modalities, intake.runtime
        self.peers = intake.peers
        self.filters, self.ingest = intake.filters, intake.ingest
        self.stopping = Interruption()
        self.feed = EventHub(self.views, LogEnd(links.log_watch).wait_beyond)
        self._finds = create_find_pool(settings.scu.close_delay_s)
        self.deps = Deps(
            views=self.views,
            blobs=self.blobs,
            ingest=self.ingest,
            index=self.index,
            jobs=self.jobs,
            modalities=self.modalities,
            peers=self.peers,
            peer_client=lambda: self._peer_client,
            dicomweb_servers=intake.dicomweb_servers,
            dicomweb_client=lambda: self._dicomweb_client,
            queries=QueryStore(settings.index_directory, settings.query_retrieve_size, settings.answer_limits),
            scu=settings.scu,
            finds=self._finds,
            codecs=self.codecs,
            stopping=self.stopping,
            settings=settings.rest,
            feed=self.feed,
            conformance=self._state_conformance,
            start_replay=self._start_replay,
            scripts=links.scripts,
            received=links.received,
            filters=self.filters,
            shutdown=lambda: links.control("shutdown"),
            reset=lambda: links.control("reset"),
        )

    def _state_conformance(self) -> str:
        module = import_module(
            "tools.server.dicom_services"
        )  # which needs this one; a script's process has no other use of it
        statement: str = module.conformance_statement(self._settings, self)
        return statement

    def _start_replay(self, wanted: ReplayWanted) -> Replay:
        module = import_module("tools.server.replays")  # likewise, and for few gateways
        try:
            replay: Replay = module.ReplayProcess(self._settings, wanted, self._reading.environment)
        except OSError as exc:
            raise Busy(f"A process for the replay cannot be started: {explain(exc)}") from exc
        return replay

    @cached_property
    def _peer_client(self) -> "PeerClient":
        module = import_module("actors.services.remote.peer_client")  # few servers have peers, see Deps.peer_client
        client: PeerClient = module.PeerClient(self._settings.http_client)
        return client

    @cached_property
    def _dicomweb_client(self) -> "DicomWebClient":
        module = import_module("actors.services.remote.dicomweb_client")  # likewise
        client: DicomWebClient = module.DicomWebClient(self._settings.http_client)
        return client

    def close(self) -> None:
        """Give back the folder; nothing is under way any more."""
        self.feed.join()
        if "_peer_client" in self.__dict__:
            self._peer_client.close()
        if "_dicomweb_client" in self.__dict__:
            self._dicomweb_client.close()
        self._finds.close()
        self._intake.close()
        self._levels.stop()
        self._reading.close()
