"""What becomes of a body that cannot come any more, whatever the HTTP library calls it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web
from aiohttp.http_exceptions import TransferEncodingError

from api.errors import BodyBroken, BodySilent
from api.rest.serving.incoming_body import IncomingBody


class Content:
    """Gives pieces, then raises; without an error it ends, or with `None` falls silent."""

    def __init__(self, pieces: Sequence[bytes], error: Exception | None = None, *, ends: bool = False) -> None:
        self._pieces = list(pieces)
        self._error = error
        self._ends = ends

    async def readany(self) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()
        return b""

    def at_eof(self) -> bool:
        return self._ends and not self._pieces


class Request:
    body_exists = True
    transport = None

    def __init__(self, content: Content) -> None:
        self.content = content
        self.headers: dict[str, str] = {}


def read(content: Content, *, is_gathered: bool, silence_s: float = 30.0) -> bytes:
    async def on_the_loop() -> bytes:
        request: Any = Request(content)
        body = IncomingBody(request, silence_s=silence_s)
        if is_gathered:
            await body.gather(1 << 20)
        return await asyncio.to_thread(body.read)

    return asyncio.run(on_the_loop())


BROKEN = (
    RuntimeError("Connection closed."),
    ConnectionResetError("Connection lost"),
    web.RequestPayloadError("not enough data"),
    TransferEncodingError("a chunk"),
)


@pytest.mark.parametrize("is_gathered", [False, True], ids=["read", "gathered"])
@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_body_that_cannot_come_any_more_is_broken(error: Exception, *, is_gathered: bool) -> None:
    with pytest.raises(BodyBroken):
        read(Content([b"half"], error), is_gathered=is_gathered)


def test_a_body_that_stops_is_silent() -> None:
    with pytest.raises(BodySilent):
        read(Content([b"half"]), is_gathered=False, silence_s=0.05)


@pytest.mark.parametrize("is_gathered", [False, True], ids=["read", "gathered"])
def test_a_body_that_ends_is_what_came(*, is_gathered: bool) -> None:
    assert read(Content([b"one", b"two"], ends=True), is_gathered=is_gathered) == b"onetwo"
