"""A gateway: the outside world's way in. DICOM associations and HTTP requests, ingest, queries from snapshots.

Stateless: what it owns is the lease on a blob folder. It may die at any moment without loss, and another takes over.
"""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from api.app import create_app
from api.dicom.places import Places
from api.dicom.server import DicomServer
from api.rest.image_requests import needs_codec
from api.rest.serving.https import https_context
from api.rest.serving.server import HttpServer
from events.errors import Busy
from tools.server.composition import ServerSettings
from tools.server.dicom_services import dicom_services
from tools.server.facilities import Facilities
from tools.server.links import Links

_BROKEN_OFF_S = 1.0  # for requests whose connection was broken; what they were doing is over soon


class Gateway:
    """The servers of one gateway. `start` returns when both listen."""

    def __init__(
        self,
        settings: ServerSettings,
        links: Links,
        *,
        http_fds: tuple[int, ...],
        dicom_fds: tuple[int, ...],
        places: Places | None = None,
    ) -> None:
        """`places` are those of the associations of all gateways."""
        self._jobs_channel = links.jobs
        self._log_channel = links.log_watch
        self._facilities = own = Facilities(settings, links)
        self._transcodes = bool(settings.ingest.transcodes_to)
        services = dicom_services(settings, own)
        self._dicom = [
            DicomServer(socket.socket(fileno=os.dup(fd)), services, own.runtime.dicom, places) for fd in dicom_fds
        ]
        app = create_app(own.deps)
        self._http = [
            HttpServer(
                app,
                os.dup(fd),
                threads=settings.http_threads,
                is_slow=needs_codec,
                silence_s=settings.rest.http_request_timeout_s,
                keep_alive_s=settings.keep_alive_s,
                no_delay=settings.tcp_no_delay,
                tls=https_context(settings.https) if settings.https else None,
            )
            for fd in http_fds
        ]

    def start(self) -> None:
        if self._transcodes:  # else the first instances wait for them: 0.2 s of processor time each
            with suppress(Busy):
                self._facilities.ingest_codecs.start_all()
        for dicom in self._dicom:
            dicom.start()
        for http in self._http:
            http.start()

    def stop(self) -> None:
        """Let what is under way finish, within the servers' limits, and give back the folder."""
        self._facilities.stopping.interrupt()  # who waits for a modality is told, too
        self._jobs_channel.close()  # who waits for a job is told that the server stops; the job goes on afterwards
        self._facilities.feed.stop()  # who listens is told, and comes again
        self._log_channel.close()
        # All at once: a slow upload must not use up the time of the associations, nor the other way round.
        stops: list[Callable[[], object]] = [
            *(partial(_stop_http, http) for http in self._http),
            *(dicom.stop for dicom in self._dicom),
        ]
        enders = [threading.Thread(target=stop) for stop in stops]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()
        self._facilities.close()


def _stop_http(server: HttpServer) -> None:
    """Let requests finish; who has not finished then is cut off."""
    if not server.stop():
        server.abort(_BROKEN_OFF_S)
