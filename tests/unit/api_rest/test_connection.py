"""When a connection of the HTTP server ends: never between a request that was read and its answer."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp import web

from api.rest.serving.connection import Connection

REQUEST = b"DELETE /x HTTP/1.1\r\nHost: h\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written; reads nothing from its socket, as a loop that is held up."""

    def __init__(self, connected: socket.socket | None = None) -> None:
        super().__init__({"socket": connected})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data: Any) -> None:
        self.written += b"".join(list_of_data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


class Served:
    """A connection whose idle time is over at the moment that a test chooses."""

    def __init__(self, connected: socket.socket | None = None) -> None:
        self.done: list[str] = []
        self.connection = Connection(web.Server(self._handle), idle_s=60, no_delay=True, access_log=None)
        self.transport = Transport(connected)
        self.connection.connection_made(self.transport)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connection.begin(request)
        self.done.append(request.method)
        try:
            return web.Response(text="gone")
        finally:
            self.connection.answered(request)

    async def exchange(self) -> None:
        """One request before, so that the connection is idle and counts its time."""
        self.connection.data_received(REQUEST)
        await self.until(lambda: self.transport.written.count(b"200 OK") == 1)

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110  # a turn of the loop is what is waited for
                await asyncio.sleep(0)

    def run_out(self) -> None:
        if self.connection._ends_s is not None:
            self.connection._ends_s = asyncio.get_running_loop().time() - 1
        self.connection._look()


@pytest.mark.parametrize("after_turns", [0, 1, 2])
def test_a_request_that_was_read_is_answered_though_the_idle_time_is_over(after_turns: int) -> None:
    async def run() -> None:
        served = Served()
        await served.exchange()
        served.connection.data_received(REQUEST)
        for _ in range(after_turns):  # of the loop, before the timer's
            await asyncio.sleep(0)
        served.run_out()
        await served.until(lambda: len(served.done) == 2)
        await served.until(lambda: served.transport.written.count(b"200 OK") == 2)

    asyncio.run(run())


def test_a_connection_that_is_idle_ends_with_its_time() -> None:
    async def run() -> None:
        served = Served()
        await served.exchange()
        served.run_out()
        await served.until(lambda: served.transport.is_closed)
        assert served.done == ["DELETE"]

    asyncio.run(run())


def test_one_that_was_closed_behind_its_request_has_the_time_of_a_half_closed_one() -> None:
    async def run() -> None:
        served = Served()
        await served.exchange()
        served.connection.data_received(REQUEST)
        served.connection.eof_received()
        assert served.connection._ends_s is not None
        assert served.connection._ends_s - asyncio.get_running_loop().time() > 1
        await served.until(lambda: served.transport.written.count(b"200 OK") == 2)

    asyncio.run(run())


def test_the_beginning_of_a_request_keeps_no_connection_open() -> None:
    async def run() -> None:
        served = Served()
        await served.exchange()
        served.connection.data_received(REQUEST[:10])
        served.run_out()
        await served.until(lambda: served.transport.is_closed)
        assert served.done == ["DELETE"]

    asyncio.run(run())


@pytest.mark.parametrize("sent", [REQUEST, REQUEST[:10]])
def test_what_has_arrived_and_was_not_read_yet_puts_off_the_end_once(sent: bytes) -> None:
    async def run(ours: socket.socket, theirs: socket.socket) -> None:
        served = Served(ours)
        await served.exchange()
        theirs.sendall(sent)
        served.run_out()
        assert not served.transport.is_closed
        served.connection.data_received(ours.recv(100))
        theirs.sendall(b"x")  # whatever follows
        served.run_out()
        if sent == REQUEST:
            await served.until(lambda: served.transport.written.count(b"200 OK") == 2)
        else:
            await served.until(lambda: served.transport.is_closed)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        asyncio.run(run(ours, theirs))


def test_a_connection_whose_client_has_gone_ends() -> None:
    async def run(ours: socket.socket, theirs: socket.socket) -> None:
        served = Served(ours)
        await served.exchange()
        theirs.close()  # its end can be read for ever
        served.connection.eof_received()
        served.run_out()
        await served.until(lambda: served.transport.is_closed)

    ours, theirs = socket.socketpair()
    with ours, theirs:
        asyncio.run(run(ours, theirs))
