"""granian's WSGI worker in this process, on a socket that is already bound and listening.

granian's own server forks workers and installs signal handlers; a gateway is such a worker already and has signals of
its own. So its worker class is driven directly, as `granian.server.mp` does it. That is private API: granian is pinned
to 2.8.x, and no other module touches it. Several servers may run in one interpreter.

A request is parsed by granian's runtime thread; only a complete header costs one of the Python threads, so a client
that dribbles its header blocks nobody and is dropped after `header_timeout_ms`, as is a connection that stays idle. Bodies that
stop coming are ended by `api.rest.patience`, clients that stop reading by the kernel (`TCP_USER_TIMEOUT`).
"""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from granian import _futures, _granian, wsgi
from granian.http import HTTP1Settings

from api.rest.front import Application
from api.rest.patience import BodyWatch, WatchedBody

logger = logging.getLogger("sinogram.http")

# granian's stubs do not tell these signatures.
_native: Any = _granian
_python: Any = _futures
_wsgi: Any = wsgi

TIMEOUT_MS = 30_000  # Orthanc's `HttpRequestTimeout`: how long a client may be silent
DEFAULT_THREADS = 16  # Orthanc has 50; more than this only queue for the interpreter
_DAY_MS = 86_400_000
IDLE_THREAD_S = 30
BACKLOG = 1024  # connections accepted at a time; the kernel's queue holds the others
STOP_TIMEOUT_S = 5.0

_WITH_BODY = frozenset({"POST", "PUT"})
_BASE_ENVIRON: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class HttpServer:
    """One listening socket and the threads that serve it."""

    def __init__(
        self,
        application: Application,
        fd: int,
        *,
        threads: int = DEFAULT_THREADS,
        header_timeout_ms: int = TIMEOUT_MS,
        keep_alive: bool = True,
        tls: tuple[Any, ...] | None = None,
    ) -> None:
        """`fd` is a listening TCP socket, owned by the server from now on. A timeout of 0 means a day.

        A client has `header_timeout_ms` to complete its header, and may be silent as long within a body.

        `tls` is granian's tuple (enabled, certificate, key, password, least protocol, CA, CRLs, verify clients).
        """
        header_timeout_ms = header_timeout_ms or _DAY_MS
        _tune(fd, header_timeout_ms)
        self._watch = BodyWatch(header_timeout_ms / 1000)
        # granian looks methods up on the loop and, for WSGI, never runs it; without one it aborts the process.
        self._loop = asyncio.new_event_loop()
        self._loop.close()
        self._scheduler = _python._new_cbscheduler(  # noqa: SLF001  # see the module's text
            self._loop, _adapt(application, self._watch), impl_asyncio=False
        )
        self._signal = _native.WorkerSignal()
        self._stopped = threading.Event()
        self._signal.add_cb(self._stopped.set)
        self._worker = _native.WSGIWorker(
            1,  # number of the worker, shown in granian's messages
            (None, _native.SocketHolder(fd, False, BACKLOG)),
            None,  # no channel for metrics
            1,  # runtime threads
            max(threads, 1),  # the runtime's own blocking threads
            max(threads, 1),  # Python threads
            IDLE_THREAD_S,
            BACKLOG,
            "1",
            HTTP1Settings(header_read_timeout=header_timeout_ms, keep_alive=keep_alive),
            None,
            None,  # no static files
            *(tls or (False, None, None, None, "tls1.3", None, [], False)),
            (None, None),
        )

    def start(self) -> None:
        """Serve from now on; returns at once."""
        self._watch.start()
        self._worker.serve_mtr(self._scheduler, self._loop, self._signal)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Stop accepting and wait for requests under way; returns whether all ended in time."""
        self._signal.set()
        ended = self._stopped.wait(timeout_s)
        self._watch.stop()
        if not ended:
            logger.warning("http.stop-timeout seconds=%s", timeout_s)
        return ended


def _tune(fd: int, timeout_ms: int) -> None:
    """Set what accepted connections inherit: no delay for small answers, and an end to clients that read no more."""
    with socket.socket(fileno=os.dup(fd)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _adapt(application: Application, watch: BodyWatch) -> Callable[[Any, dict[str, Any]], int]:
    """Return what granian calls for each request; unlike its own adapter it keeps `os.environ` out of the headers."""
    base = _BASE_ENVIRON | {"wsgi.errors": sys.stderr}

    def run(proto: Any, scope: dict[str, Any]) -> int:
        status = 500
        headers: list[tuple[str, str]] = []

        def start_response(line: str, given: list[tuple[str, str]], _exc_info: Any = None) -> None:
            nonlocal status, headers
            status = int(line[:3])
            headers = given

        environ = base | scope
        if scope["REQUEST_METHOD"] in _WITH_BODY:
            address = (scope["REMOTE_ADDR"], int(scope["SERVER_PORT"]))
            environ["wsgi.input"] = WatchedBody(scope["wsgi.input"], watch, *address)
        try:
            body = application(environ, start_response)
        except Exception:
            logger.exception("http.application-failed path=%s", scope.get("PATH_INFO"))
            proto.response_bytes(500, [], b"")
            return 500
        if isinstance(body, list):
            proto.response_bytes(status, headers, b"".join(body))
        else:
            proto.response_iter(status, headers, _wsgi.ResponseIterWrap(body))
        return status

    return run
