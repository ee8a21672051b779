"""`sinogram serve --single-process`: everything in one interpreter, for tests and debugging.

The same core, interpreters of scripts, gateway and worker as always, without the bridge between them. Slower under load, for the writer shares the
interpreter with the gateway (see docs/architecture.md).
"""

import signal
import sys

from actors.services.scripts.client import ScriptsClient
from actors.wire.bridge.channel import open_local_channel
from tools.server.composition import ServerSettings
from tools.server.core import Core
from tools.server.gateway import Gateway
from tools.server.links import Links, Word
from tools.server.listening import listen
from tools.server.lua_single import LocalInterpreters
from tools.server.process import SWITCH_INTERVAL_S
from tools.server.signals import FOR_THE_SUPERVISOR, STACKS_SIGNAL, Ending, Stacks, end_deaf
from tools.server.worker import Worker


class SingleServer:
    """A whole server in this process."""

    def __init__(self, settings: ServerSettings) -> None:
        """Bind the ports and open the archive. Raises BadMedium, BadConfiguration, CorruptLog."""
        self.ending = Ending()
        self.reset_requested = False
        self._sockets = listen(settings.http_addresses, settings.http_port) if settings.http_enabled else []
        http_fds = tuple(s.fileno() for s in self._sockets)
        dicom = listen(("",), settings.dicom_port) if settings.dicom_enabled else []
        self._sockets += dicom
        self.http_port = self._sockets[0].getsockname()[1] if http_fds else 0
        self.dicom_port = dicom[0].getsockname()[1] if dicom else 0
        self.core = Core(settings.core, kill_worker=_let_live)
        self._interpreters = LocalInterpreters(settings, self._links("lua-main"))
        scripts = {"received": self._interpreters.received, "scripts": self._interpreters.scripts}
        self._worker = Worker(settings, self._links("worker-1", **scripts), slots=settings.core.jobs.concurrent_jobs)
        self.gateway = Gateway(
            settings, self._links("gateway-1", **scripts), http_fds=http_fds, dicom_fds=tuple(s.fileno() for s in dicom)
        )

    def _links(self, name: str, **scripts: ScriptsClient | None) -> Links:
        core = self.core
        return Links(
            name=name,
            ask=core.index.ask,
            begin=open_local_channel(core.index.submit).begin,
            jobs=open_local_channel(core.jobs.on_request),
            log_watch=open_local_channel(core.log.on_request),
            control=self._control,
            environment=core.environment,
            **scripts,
        )

    def _control(self, word: Word) -> None:
        self.reset_requested = word == "reset"
        self.ending.ask()

    def on_hangup(self, *_: object) -> None:
        """The handler of SIGHUP, which `ending` hears as well."""
        self.reset_requested = True

    def start(self) -> None:
        self._interpreters.start()
        self._worker.start()
        self.gateway.start()

    def stop(self) -> None:
        self.gateway.stop()
        self._worker.stop()
        self._interpreters.stop()
        self.core.stop()
        for listener in self._sockets:
            listener.close()


def _let_live(_: str) -> None:
    """A job that does not end cannot be killed without the server."""


def serve_in_one_process(settings: ServerSettings) -> int:
    """Serve until SIGTERM, SIGINT or `POST /tools/shutdown`; returns the exit status. SIGHUP is a reset."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    stacks = Stacks("the only process")
    signal.signal(STACKS_SIGNAL, lambda *_: stacks.show())
    settings.set_up_reading()
    while True:
        settings.set_up_logging("sinogram")  # what REST has set holds until a reset
        server = SingleServer(settings)
        server.ending.listen_to(*FOR_THE_SUPERVISOR)
        signal.signal(signal.SIGHUP, server.on_hangup)
        server.start()
        for line in settings.greeting():
            print(line, flush=True)
        server.ending.wait()
        server.stop()
        server.ending.close()
        if not server.reset_requested:
            end_deaf()
            print("Sinogram has stopped", flush=True)
            return 0
