"""From a request of aiohttp's to the WSGI application and back (PEP 3333).

The event loop does all work that waits for clients: it gathers bodies, and hands out an answer as its reader takes it. A thread runs the
application. Requests whose body is there, or that have none, have threads of their own: those that wait for the rest of a body
(`api.rest.serving.incoming_body`) do not hold up others, nor do those that are slow, by what the application's owner says of them. The latter wait
while senders go first (`precedence`).
"""

import asyncio
import io
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from aiohttp import HttpVersion11, hdrs, web

from api.rest.serving.client_gone import IS_CLIENT_GONE, ClientGone
from api.rest.serving.connection import SERVER, Connection
from api.rest.serving.front import Application
from api.rest.serving.incoming_body import GATHERED_BYTES, IncomingBody
from api.rest.serving.loop_answer import LoopAnswer
from api.rest.serving.precedence import Precedence
from api.rest.serving.waiting_client import WaitingClient
from api.rest.threads import Threads
from events.errors import SinogramError

logger = logging.getLogger("sinogram.http")
T = TypeVar("T")

# Threads that may wait for the rest of a body, for fast and for slow clients. A slow client holds its thread until it is found to be
# too slow, and must not keep others from uploading (120 clients that sent a byte in 5 s held up a 3 MB upload for 30 s).
FAST_THREADS: Final = 64
WAITING_THREADS: Final = 512
# Requests that may wait for others of their kind, such as those for images: so many are served at once, and the others keep nobody waiting.
SLOW_THREADS: Final = 16
# Bodies gathered at the same time, in one process; beyond it a body goes to the thread that reads it as it comes.
GATHERED_TOGETHER_BYTES: Final = 64 << 20

LONGEST_KEPT_NAME: Final = 64  # of a header, in bytes
MOST_KEPT_NAMES: Final = 512

_BASE_ENVIRON: Final[dict[str, Any]] = {
    "SCRIPT_NAME": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.input_terminated": True,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}
_NO_PREFIX: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
_END: Final = object()


@dataclass(slots=True)
class _Answer:
    """What the application has answered."""

    status: int = 500
    reason: str = "Internal Server Error"
    headers: list[tuple[str, str]] = field(default_factory=list)
    parts: Iterable[bytes] = ()
    worked_s: float = 0.0  # processor time

    def start(self, line: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        self.status, self.reason, self.headers = int(line[:3]), line[4:], headers


class WsgiHandler:
    """Answers the requests of one server. Called on its event loop."""

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        is_slow: Callable[[dict[str, Any]], bool],
        silence_s: float,
        is_kept_alive: bool,
    ) -> None:
        self._application = application
        self._silence_s = silence_s
        self._is_kept_alive = is_kept_alive
        self._is_slow = is_slow
        self._precedence = Precedence()
        self._ready = Threads(threads, "http")
        self._slow = Threads(min(threads, SLOW_THREADS), "http-slow")
        self._fast = Threads(FAST_THREADS, "http-upload")
        self._waiting = Threads(WAITING_THREADS, "http-body")
        self._feed = Threads(1, "http-feed")  # reads for answers of the loop: one thread, whatever many wait
        self._gathered_bytes = 0
        self.under_way = 0
        self.is_stopping = False

    def close(self) -> None:
        """End the threads; nothing is under way any more."""
        for threads in (self._ready, self._slow, self._fast, self._waiting, self._feed):
            threads.close()

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        self.under_way += 1
        connection.begin(request)
        try:
            return await self._handle(request)
        finally:
            self.under_way -= 1
            connection.answered(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        threads = self._ready
        if not request.body_exists:
            environ = make_environ(request, io.BytesIO())
            if self._is_slow(environ):
                threads = self._slow
                if wait_s := self._precedence.wait_s():
                    await asyncio.sleep(wait_s)
            answer = await threads.run(self._call, environ)
            if threads is self._slow:
                self._precedence.count(answer.worked_s)
        else:
            answer = await self._handle_with_body(request)
        return await self._send(request, answer, threads)

    async def _handle_with_body(self, request: web.BaseRequest) -> _Answer:
        body = IncomingBody(request, self._silence_s)
        held = await self._gather(request, body)
        try:
            environ = make_environ(request, body)
            is_slow = self._is_slow(environ)
            if body.is_complete:
                threads = self._slow if is_slow else self._ready
            else:
                threads = self._fast if body.comes_fast and not is_slow else self._waiting
            return await threads.run(self._call, environ)
        finally:
            self._gathered_bytes -= held

    async def _gather(self, request: web.BaseRequest, body: IncomingBody) -> int:
        """Gather the beginning of a body; returns for how many bytes there has to be room."""
        if body.is_complete or body.awaits_leave:
            return 0
        room = min(request.content_length or GATHERED_BYTES, GATHERED_BYTES)
        if self._gathered_bytes + room > GATHERED_TOGETHER_BYTES:
            return 0
        self._gathered_bytes += room
        await body.gather(room)
        return room

    def _call(self, environ: dict[str, Any]) -> _Answer:
        """Run the application; in a thread."""
        answer = _Answer()
        began_s = time.thread_time()
        try:
            answer.parts = self._application(environ, answer.start)
        except Exception:
            logger.exception("http.application-failed")
            return _Answer()
        if isinstance(answer.parts, list):
            answer.parts = [b"".join(answer.parts)]
        answer.worked_s = time.thread_time() - began_s
        return answer

    async def _send(self, request: web.BaseRequest, answer: _Answer, threads: Threads) -> web.StreamResponse:
        answer.headers.append(SERVER)
        if isinstance(answer.parts, tuple | list):
            body = answer.parts[0] if answer.parts else b""
            response: web.StreamResponse = web.Response(
                status=answer.status, reason=answer.reason, headers=answer.headers, body=body
            )
            self._settle_connection(request, response)
            return response
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=answer.headers)
        self._settle_connection(request, response)
        await self._stream(request, response, answer.parts, threads)
        return response

    def _settle_connection(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        # What comes behind a chunked body of HTTP/1.0, which has none, may be a body to a proxy (RFC 9112 §6.1).
        is_doubtful = request.version is not HttpVersion11 and hdrs.TRANSFER_ENCODING in request.headers
        if self.is_stopping or not self._is_kept_alive or is_doubtful:
            response.force_close()

    async def _stream(
        self, request: web.BaseRequest, response: web.StreamResponse, parts: Iterable[bytes], threads: Threads
    ) -> None:
        """Hand out an answer piece by piece: the next one is made when the one before has gone."""
        if isinstance(parts, LoopAnswer) and request.version == HttpVersion11:
            response.enable_chunked_encoding()  # said here, so that `WaitingClient` knows
        try:
            await self._in_time(response.prepare(request))
            if isinstance(parts, LoopAnswer):
                with closing(WaitingClient(request, response, self._feed)) as client:
                    await parts.send(client)
            else:
                pieces = iter(parts)
                while (piece := await threads.run(_next, pieces)) is not _END:
                    await self._in_time(response.write(piece))
            await self._in_time(response.write_eof())
        except (TimeoutError, ConnectionError, ClientGone):
            logger.info("http.reader-gone")
            abort(request)
        # The status has been sent: a connection that breaks is all that tells the client.
        except SinogramError as exc:  # such as a frame that turns out to be damaged when its turn comes
            logger.warning("http.answer-broken-off path=%s: %s", request.path, exc)
            abort(request)
        except Exception:
            logger.exception("http.answer-broken-off")
            abort(request)
        finally:
            await threads.run(_close, parts)

    async def _in_time(self, writing: Awaitable[Any]) -> None:
        """Wait for a piece to leave. Raises TimeoutError for a reader that takes nothing."""
        async with asyncio.timeout(self._silence_s):
            await writing


def abort(request: web.BaseRequest) -> None:
    """Break the connection: what was sent is not the whole answer."""
    if request.transport is not None:
        request.transport.abort()


def _next(pieces: Iterator[bytes]) -> Any:
    return next(pieces, _END)


def _close(parts: Any) -> None:
    close = getattr(parts, "close", None)
    if close is not None:
        close()


def make_environ(request: web.BaseRequest, body: IncomingBody | io.BytesIO) -> dict[str, Any]:
    """Return the environment of a request. Nothing of `os.environ` is in it."""
    target = _origin_form(request.raw_path)
    path, _, query = target.partition("?")
    connection = request.protocol
    peer, server = connection.peername or ("",), connection.sockname or ("", 0)
    return {
        **_BASE_ENVIRON,
        "REQUEST_METHOD": request.method,
        "PATH_INFO": _decoded(path),
        "QUERY_STRING": query.encode("utf-8", "surrogateescape").decode("latin-1"),
        "REMOTE_ADDR": peer[0],
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        IS_CLIENT_GONE: lambda: request.transport is None or request.transport.is_closing(),
        **_header_variables(request.raw_headers),
    }


def _decoded(path: str) -> str:
    """The path as Orthanc 1.12.7 reads it: a plus is a blank, a backslash a slash, also where it is encoded."""
    path = path.replace("+", " ")
    decoded = unquote_to_bytes(path).decode("latin-1") if "%" in path or not path.isascii() else path
    return decoded.replace("\\", "/")


def _origin_form(target: str) -> str:
    """The path and query of a request target, which may be a whole URI (RFC 9112 §3.2.2)."""
    if not target.startswith("/"):
        _, scheme, rest = target.partition("://")
        target = "/" + rest.partition("/")[2] if scheme else "/" + target
    return target.partition("#")[0]


_variables: dict[bytes, str] = {}


def _learn_variable(raw_name: bytes) -> str:
    name = raw_name.decode("latin-1").upper().replace("-", "_")
    variable = name if name in _NO_PREFIX else f"HTTP_{name}"
    # Whoever can connect chooses the names: long ones, kept, would be 30 MB.
    if len(raw_name) <= LONGEST_KEPT_NAME and len(_variables) < MOST_KEPT_NAMES:
        _variables[raw_name] = variable
    return variable


def _header_variables(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The headers as CGI names them; those that come more than once are joined (RFC 9110 §5.3)."""
    variables: dict[str, str] = {}
    for raw_name, raw_value in headers:
        key = _variables.get(raw_name) or _learn_variable(raw_name)
        value = raw_value.decode("latin-1")
        variables[key] = f"{variables[key]}, {value}" if key in variables else value
    return variables
