"""One connection of the HTTP server: which request is under way on it, and when it ends.

A client may close its half behind a request, as `nc -N` does, and still wait for the answer (Orthanc 1.12.7 gives it one). From
here that looks like a client that has left, for whom no work should be done. So the answer has to begin within `HALF_CLOSED_S`;
once it does, the client shows by taking it whether it is there. TLS has no such half.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import ContentLengthError, TransferEncodingError

SERVER: Final = ("Server", "Sinogram")  # without it answers would name the versions of libraries
HALF_CLOSED_S: Final = 2.0
_SETTLE_S: Final = 0.1  # in which a request that came with the end of its client's half begins


class Connection(web.RequestHandler):
    """See the module's text. Lives on the event loop."""

    __slots__ = (
        "_ends_s",
        "_idle_s",
        "_is_coming",
        "_is_put_off",
        "_no_delay",
        "_request",
        "_timer",
        "_when_leaving",
        "is_busy",
        "is_half_closed",
    )

    def __init__(self, server: web.Server, *, idle_s: float, no_delay: bool, **options: Any) -> None:
        """`idle_s` is how long it may be idle between two requests; 0: it serves one request.

        Without `no_delay` the kernel gathers small pieces of an answer (Nagle's algorithm).
        """
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._idle_s = idle_s
        self._no_delay = no_delay
        self._request: web.BaseRequest | None = None  # the last one
        self.is_busy = False
        self._is_coming = (
            False  # a request has been read, and begins in a moment: closed now, it would be done and not answered
        )
        self.is_half_closed = False
        self._is_put_off = False  # its end, once, for bytes that were not read yet
        self._ends_s: float | None = None  # when to end, by the loop's clock
        self._when_leaving: Callable[[], object] | None = None
        self._timer: asyncio.TimerHandle | None = None  # looks at that; a timer for each request would cost 10 µs

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # sets TCP_NODELAY, whatever the listener had
        if not self._no_delay:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    def begin(self, request: web.BaseRequest) -> None:
        """A request is under way from now on."""
        self._request, self.is_busy, self._is_coming = request, True, False
        self._ends_s = self._when_leaving = None
        if self.is_half_closed:
            self.eof_received()

    def when_leaving(self, call: Callable[[], object]) -> None:
        """Have a function called if the connection, or the client's half of it, ends during this request."""
        self._when_leaving = call

    def answered(self, request: web.BaseRequest) -> None:
        """Close if no other request comes in time; not while the rest of a body is still coming."""
        self.is_busy = self._is_put_off = False
        if self.is_half_closed:
            self._end_in(_SETTLE_S)
        elif self._idle_s and request.content.at_eof():
            self._end_in(self._idle_s)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # No request can follow a body that has not ended: only for a malformed chunk aiohttp reports one here.
        # It answers that when its turn comes; until then a reader of the body would wait for more.
        if self.is_busy and self._messages:
            self._break_body(TransferEncodingError("a chunk is malformed"))
        elif self._messages:
            self._is_coming, self._ends_s = True, None

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio's protocol has bool or None, aiohttp's None
        """The client sends nothing more. Returns whether the connection stays, for the answer."""
        self.is_half_closed = True
        self._break_body(ContentLengthError("the connection ended before the body did"))
        self._end_in(HALF_CLOSED_S if self.is_busy or self._is_coming else _SETTLE_S)
        self._tell_leaving()
        # TLS ends whatever is returned, and warns in the log of each client for which this is not False.
        return self.transport is not None and self.transport.get_extra_info("sslcontext") is None

    def handle_error(self, *args: Any, **named: Any) -> web.StreamResponse:
        answer = super().handle_error(*args, **named)
        answer.headers.update([SERVER])
        return answer

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        self._tell_leaving()

    def _tell_leaving(self) -> None:
        if self._when_leaving is not None:
            self._when_leaving()

    def _break_body(self, error: Exception) -> None:
        if self._request is not None and not self._request.content.is_eof():
            self._request.content.set_exception(error)

    def _end_in(self, seconds: float) -> None:
        self._ends_s = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > self._ends_s:
            self._look_at(self._ends_s)

    def _look_at(self, when_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when_s, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._ends_s is None:
            return
        if self._loop.time() < self._ends_s:
            self._look_at(self._ends_s)
            return
        if self.is_busy and self._request is not None and self._request.writer.output_size:
            return  # its reader takes the answer, or is found to be gone
        if self._has_unread() and not self._is_put_off and not self.is_half_closed:
            self._is_put_off = True
            self._look_at(self._loop.time() + _SETTLE_S)
            return
        self.force_close()

    def _has_unread(self) -> bool:
        """A next request has arrived in time, perhaps: a loop that was held up runs its timers before it reads."""
        connected = None if self.transport is None else self.transport.get_extra_info("socket")
        if connected is None:
            return False
        waiting = select.poll()  # `select` knows no descriptor above 1023
        waiting.register(connected.fileno(), select.POLLIN)
        return bool(waiting.poll(0))
