"""The client of an answer that the event loop makes (`api.rest.serving.loop_answer`)."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiohttp import web

from api.rest.serving.client_gone import ClientGone
from api.rest.serving.connection import Connection
from api.rest.threads import Threads

T = TypeVar("T")

UNREAD_S: Final = 10.0  # so long a client may take nothing of what is ready for it
UNREAD_BYTES: Final = 1 << 16  # beyond them a client is waited for
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.5  # between two looks at a client that takes little
_PROBES_S: Final = (0.05, 0.45, 0.0)  # after each probe


class WaitingClient:
    """Lives on the event loop."""

    def __init__(self, request: web.BaseRequest, response: web.StreamResponse, threads: Threads) -> None:
        self._response = response
        self._transport = request.transport
        self._threads = threads
        self.bell = asyncio.Event()  # rung for news, and as the client leaves
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.when_leaving(self.bell.set)
        self._connection = connection
        self._is_begun = self._is_probed = False
        self._alarm: asyncio.TimerHandle | None = None
        self.is_due = False

    @property
    def has_left(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def write(self, data: bytes) -> None:
        """Send bytes. Raises TimeoutError for a client that takes nothing of them for `UNREAD_S`, ClientGone."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise _gone()
        if not self._is_begun:
            self._is_begun = True
            await self._response.write(data)  # with the head of the answer
        elif (
            self._response.chunked
        ):  # what aiohttp would write, in a third of the time: 200 listeners hear of every event
            transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
        else:
            transport.write(data)
        if transport.get_write_buffer_size() > UNREAD_BYTES:
            await self._wait_for_reading(transport)

    async def _wait_for_reading(self, transport: asyncio.WriteTransport) -> None:
        loop = asyncio.get_running_loop()
        unread, since_s, pause_s = transport.get_write_buffer_size(), loop.time(), _FIRST_PAUSE_S
        while unread > UNREAD_BYTES and not self.has_left:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            now_unread = transport.get_write_buffer_size()
            if now_unread < unread:
                unread, since_s = now_unread, loop.time()
            elif loop.time() - since_s >= UNREAD_S:
                raise TimeoutError

    def ring_in(self, seconds: float) -> None:
        """Ring the bell after so long, in place of the time that was told before; `is_due` tells that this has passed."""
        self.close()
        self.is_due = False
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        # Timers may run some microseconds early, so who is woken must not look at the clock.
        self.is_due = True
        self.bell.set()

    async def wait(self, probe: bytes = b"") -> None:
        """Wait for the bell, and silence it. Raises ClientGone.

        A client that closes its half has left, as a rule. It is sent `probe`: if it has, its machine says so, and what is written next fails.
        """
        await self.bell.wait()
        self.bell.clear()
        if self.has_left:
            raise _gone()
        if probe and self._connection.is_half_closed and not self._is_probed:
            self._is_probed = True
            for pause_s in _PROBES_S:
                await self.write(probe)
                await asyncio.sleep(pause_s)

    def close(self) -> None:
        """Let the alarm be."""
        if self._alarm is not None:
            self._alarm.cancel()

    def run(self, function: Callable[..., T], *arguments: Any) -> "asyncio.Future[T]":
        """Have a thread call a function."""
        return self._threads.run(function, *arguments)


def _gone() -> ClientGone:
    return ClientGone("The client has left")
