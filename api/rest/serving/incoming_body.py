"""A request's body on its way from the event loop to the thread that reads it (`wsgi.input`).

Bytes that come soon are gathered on the loop: most uploads are complete before a thread is needed, and a client that sends
a small body slowly holds none. A body with broken framing, a lost connection or a long silence ends in an error,
never in data.
"""

import asyncio
import contextlib
from collections import deque

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from api.errors import BodyBroken, BodySilent

GATHERED_BYTES = (
    1 << 20
)  # before a thread is asked for; `api.rest.serving.server` limits them for all connections together
GATHERED_S = 1.0  # then a thread waits for the rest: the answer may not need it
PIECE_BYTES = 1 << 18  # handed to the thread at a time; a hand-over costs 0.1 ms
SLOWEST_BYTES_PER_S = 1000  # on the average, once a body has taken longer than the time a client may be silent

# What aiohttp raises where a body cannot come any more; a RuntimeError if it was we who closed the connection.
_BROKEN: tuple[type[Exception], ...] = (web.RequestPayloadError, HttpProcessingError, ConnectionError, RuntimeError)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class IncomingBody:
    """The body of one request. `gather` runs on the loop, `read` in a thread, never both at a time."""

    def __init__(self, request: web.BaseRequest, silence_s: float) -> None:
        """`silence_s` is how long the client may send nothing."""
        self._request = request
        self._silence_s = silence_s
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._received = 0
        self._pieces: deque[bytes] = deque()
        self._is_complete = not request.body_exists
        # The client waits for leave to send; it is given when the application reads.
        self._awaits_leave = request.headers.get("Expect", "").lower() == "100-continue"

    @property
    def is_complete(self) -> bool:
        return self._is_complete

    @property
    def comes_fast(self) -> bool:
        """Whether as much as is gathered was there before the time for it was over."""
        return self._received >= GATHERED_BYTES

    @property
    def awaits_leave(self) -> bool:
        return self._awaits_leave

    async def gather(self, limit: int) -> None:
        """Wait a moment for up to `limit` bytes. Errors are raised later, by `read`."""
        held = 0
        with contextlib.suppress(TimeoutError, *_BROKEN):
            async with asyncio.timeout(GATHERED_S):
                while not self._is_complete and held < limit:
                    piece = await self._request.content.readany()
                    held += len(piece)
                    self._take(piece)

    def _take(self, piece: bytes) -> None:
        if piece:
            self._received += len(piece)
            self._pieces.append(piece)
        self._is_complete = self._request.content.at_eof()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most `size`, nothing at the end; all of them without a size. Raises BodyBroken, BodySilent."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE_BYTES), b""))
        while not self._pieces:
            if self._is_complete:
                return b""
            asyncio.run_coroutine_threadsafe(self._receive(), self._loop).result()
        piece = self._pieces.popleft()
        if size < len(piece):
            self._pieces.appendleft(piece[size:])
            piece = piece[:size]
        return piece

    async def _receive(self) -> None:
        """Wait for a piece. Raises BodyBroken, BodySilent."""
        self._give_leave()
        pieces: list[bytes] = []
        held = 0
        try:
            while not self._is_complete and held < PIECE_BYTES:
                async with asyncio.timeout(self._silence_s):
                    piece = await self._request.content.readany()
                held += len(piece)
                pieces.append(piece)
                self._is_complete = self._request.content.at_eof()
                self._check_pace(held)
        except TimeoutError as exc:
            raise BodySilent("The client has fallen silent within the body") from exc
        except _BROKEN as exc:
            raise BodyBroken("The connection ended before the body did, or its chunks are malformed") from exc
        self._received += held
        if held:
            self._pieces.append(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _check_pace(self, held: int) -> None:
        took_s = self._loop.time() - self._began_s
        if took_s > self._silence_s and self._received + held < SLOWEST_BYTES_PER_S * (took_s - self._silence_s):
            raise BodySilent(f"The body comes too slowly: less than {SLOWEST_BYTES_PER_S} bytes a second")

    def _give_leave(self) -> None:
        transport = self._request.transport
        if self._awaits_leave and transport is not None:
            self._awaits_leave = False
            transport.write(_CONTINUE)
