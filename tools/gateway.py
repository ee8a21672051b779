"""A gateway: the outside world's way in. DICOM associations and HTTP requests, ingest, queries from snapshots.

Stateless: what it owns is the lease on a blob folder. It may die at any moment without loss, and another takes over.
"""

import os
import socket
import threading
from collections.abc import Callable
from typing import Any

from actors.index.client import IndexClient
from actors.index.commands import Command
from actors.ingest import Ingest
from actors.jobs.channel import Channel
from actors.jobs.client import JobsClient
from actors.remote.asking import create_find_pool
from actors.remote.interruption import Interruption
from actors.remote.modalities import Modalities
from actors.remote.query_store import QueryStore
from api.dicom.echo_scp import create_echo_service
from api.dicom.find_scp import create_find_service
from api.dicom.get_scp import create_get_service
from api.dicom.move_destination import MoveDestinations
from api.dicom.move_scp import create_move_service
from api.dicom.server import DicomServer
from api.dicom.store_scp import create_store_service
from api.rest.app import create_app
from api.rest.deps import Deps
from api.rest.server import HttpServer
from store.blobs.store import BlobStore
from store.environment import Environment
from store.views.find import Finder
from store.views.views import Views
from tools.composition import ServerSettings
from tools.runtime_settings import RuntimeSettings


class Gateway:
    """The servers of one gateway. `start` returns when both listen."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        name: str,
        ask: Callable[[Command], Any],
        jobs: Channel,
        control: Callable[[str], None],
        http_fds: tuple[int, ...],
        dicom_fds: tuple[int, ...],
        environment: Environment | None = None,
    ) -> None:
        """`environment` is that of the core where it lives in the same process; else one is opened for reading."""
        self._owned = Environment(settings.index_directory, writable=False) if environment is None else None
        views = Views(environment or self._owned)  # type: ignore[arg-type]  # one of the two is there
        self._index = IndexClient(ask)
        self._jobs_channel = jobs
        self._jobs = JobsClient(ask, jobs.request)
        blobs = BlobStore(settings.storage_directory)
        modalities = Modalities(
            settings.dicom.modalities,
            views,
            self._index,
            is_stored=settings.modalities_in_database,
            is_strict_aet=settings.dicom.strict_aet_comparison,
        )
        self._stopping = Interruption()
        self._finds = create_find_pool(settings.scu.close_delay_s)
        runtime = RuntimeSettings(settings, views, modalities)
        self._ingest = Ingest(self._index, views, blobs, name, runtime.ingest)
        destinations = MoveDestinations(views, blobs, settings.scu, self._jobs)
        services = (
            create_echo_service(),
            create_store_service(self._ingest),
            create_find_service(Finder(views, blobs)),
            create_get_service(views, blobs, decompresses=settings.scu.transcode),
            create_move_service(views, modalities.by_aet, destinations.open_sender, destinations.submit_job),
        )
        self._dicom = [DicomServer(socket.socket(fileno=os.dup(fd)), services, runtime.dicom) for fd in dicom_fds]
        app = create_app(
            Deps(
                views=views,
                blobs=blobs,
                ingest=self._ingest,
                index=self._index,
                jobs=self._jobs,
                modalities=modalities,
                queries=QueryStore(settings.index_directory, settings.query_retrieve_size),
                scu=settings.scu,
                finds=self._finds,
                stopping=self._stopping,
                settings=settings.rest,
                shutdown=lambda: control("shutdown"),
                reset=lambda: control("reset"),
            )
        )
        self._http = [
            HttpServer(
                app,
                os.dup(fd),
                threads=settings.http_threads,
                header_timeout_ms=settings.rest.http_request_timeout_s * 1000,
                keep_alive=settings.keep_alive,
            )
            for fd in http_fds
        ]

    def start(self) -> None:
        for dicom in self._dicom:
            dicom.start()
        for http in self._http:
            http.start()

    def stop(self) -> None:
        """Let what is under way finish, within the servers' limits, and give back the folder."""
        self._stopping.interrupt()  # who waits for a modality is told, too
        self._jobs_channel.close()  # who waits for a job is told that the server stops; the job goes on afterwards
        # All at once: a slow upload must not use up the time of the associations, nor the other way round.
        stops = [*(http.stop for http in self._http), *(dicom.stop for dicom in self._dicom)]
        enders = [threading.Thread(target=stop) for stop in stops]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        self._finds.close()
        self._ingest.close()
        if self._owned is not None:
            self._owned.close()
