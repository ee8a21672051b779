"""The HTTP server: aiohttp's, on a socket that is already bound and listening, with its event loop in a thread of its own.

aiohttp parses requests, keeps connections, reads what is left of a body that was not wanted (so that a client that is still
sending can read its answer), and knows which connection is whose. Several servers may run in one interpreter.

Limits: a client has `silence_s` to complete its header and may be silent as long within a body; one that takes nothing of
its answer for as long is dropped, by the kernel too (`TCP_USER_TIMEOUT`). Lines and fields of a header hold 32 KiB, 128 fields.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import uvloop
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from api.rest.serving.connection import Connection
from api.rest.serving.front import Application
from api.rest.serving.wsgi import WsgiHandler

logger = logging.getLogger("sinogram.http")

SILENCE_S = 30.0  # Orthanc's `HttpRequestTimeout`
DEFAULT_THREADS = 16  # Orthanc has 50; more than this only queue for the interpreter
LINGERING_S = 10.0  # so long the rest of an unwanted body is read
HEADER_BYTES = 1 << 15  # of a line, and of a field
READ_BYTES = 1 << 18  # a 170 kB slice in one or two reads
STOP_TIMEOUT_S = 5.0
_LOOK_S = 0.02  # between two looks at what is under way, while the server stops
_DAY_S = 86_400.0


class _MalformedRequests(logging.Filter):
    """Logs requests that are no HTTP in one line, without a stack: every client that can connect can cause them."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            logger.info("http.malformed-request error=%s", type(error).__name__)
            return False
        return True


_protocol_logger = logging.getLogger("sinogram.http.protocol")
_protocol_logger.addFilter(_MalformedRequests())


class HttpServer:
    """One listening socket and the threads that serve it."""

    def __init__(
        self,
        application: Application,
        fd: int,
        *,
        threads: int = DEFAULT_THREADS,
        is_slow: Callable[[dict[str, Any]], bool] = lambda _environ: False,
        silence_s: float = SILENCE_S,
        keep_alive_s: float | None = None,
        no_delay: bool = True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`fd` is a listening TCP socket, owned by the server from now on. A silence of 0 means a day. `is_slow` tells of a request's environment whether it
        belongs to the threads of those that may take long.

        `keep_alive_s` is how long a connection may be idle between two requests (0: it serves one request), None as long as silence.
        """
        self._silence_s = silence_s or _DAY_S
        self._keep_alive_s = self._silence_s if keep_alive_s is None else keep_alive_s
        self._no_delay = no_delay
        self._tls = tls
        self._listener = socket.socket(fileno=fd)
        _tune(self._listener, int(self._silence_s * 1000))
        self._handler = WsgiHandler(
            application,
            threads=max(threads, 1),
            is_slow=is_slow,
            silence_s=self._silence_s,
            is_kept_alive=self._keep_alive_s > 0,
        )
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._web: web.Server
        self._accepting: asyncio.Server
        self._thread = threading.Thread(target=self._loop.run_forever, name="http-loop", daemon=True)

    def start(self) -> None:
        """Serve from now on; returns at once."""
        self._thread.start()
        self._run(self._open())

    async def _open(self) -> None:
        self._web = web.Server(self._handler)
        self._accepting = await self._loop.create_server(self._connect, sock=self._listener, ssl=self._tls)

    def _connect(self) -> Connection:
        return Connection(
            self._web,
            idle_s=self._keep_alive_s,
            no_delay=self._no_delay,
            logger=_protocol_logger,
            access_log=None,
            keepalive_timeout=self._silence_s,  # this is also what a header may take
            lingering_time=LINGERING_S,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            read_bufsize=READ_BYTES,
            auto_decompress=False,  # bodies are inflated within limits (`api.rest.serving.body`)
        )

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Stop accepting and wait for requests under way; returns whether all ended in time. May be called again."""
        if self._loop.is_closed():
            return True
        ended: bool = self._run(self._end(timeout_s))
        if not ended:
            logger.warning("http.stop-timeout seconds=%s requests=%d", timeout_s, self._handler.under_way)
            return False
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._handler.close()
        return True

    def abort(self, timeout_s: float = STOP_TIMEOUT_S) -> bool:
        """Break the connections of requests that do not end, and stop; returns whether all have ended then."""
        if not self._loop.is_closed():
            self._run(self._break_all())
        return self.stop(timeout_s)

    async def _break_all(self) -> None:
        for connection in self._web.connections:
            transport = connection.transport
            connection.force_close()
            if transport is not None:
                transport.abort()  # closing alone would wait for a reader that takes nothing

    async def _end(self, timeout_s: float) -> bool:
        self._accepting.close()
        self._handler.is_stopping = True  # what is answered from now on is the last on its connection
        connections = self._web.connections
        transports = [connection.transport for connection in connections if connection.transport is not None]
        # Not the busy ones: aiohttp takes nothing more from a connection that is closed, of its body neither.
        for connection in connections:
            if isinstance(connection, Connection) and not connection.is_busy:
                connection.force_close()  # sends what is to be sent
        deadline = self._loop.time() + timeout_s
        while self._handler.under_way or any(transport.get_write_buffer_size() for transport in transports):
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(_LOOK_S)
        await self._web.shutdown(0)
        return True

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def _tune(listener: socket.socket, timeout_ms: int) -> None:
    """Set the socket options that accepted connections inherit: they end clients that stop reading."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, timeout_ms)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
