"""Events as they come: Server-Sent Events, and the long poll. Both wait on the event loop and hold no thread."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from api.rest.event_entries import encode_object
from api.rest.event_hub import EventHub, Piece, Selection
from api.rest.serving.loop_answer import LoopAnswer
from events.identifiers import Seq

if TYPE_CHECKING:  # see LoopAnswer
    from api.rest.serving.waiting_client import WaitingClient

RETRY_MS: Final = 2000  # after which a browser connects again
HEAD_S: Final = 15.0  # between two events `head`
_COMMENT: Final = b":\n"  # which readers pass over


class _Waiting(LoopAnswer):
    """What both have in common: a place among the listeners, and a position in the log."""

    def __init__(
        self, hub: EventHub, selection: Selection, since: Seq, leave: Callable[[], None], to: int | None = None
    ) -> None:
        """`to` is the last event that is looked at."""
        self._hub = hub
        self._selection = selection
        self._position = since
        self._leave = leave
        self._to = to

    def close(self) -> None:
        self._leave()

    async def _next(self, client: "WaitingClient") -> Piece:
        """Return what follows the position: nothing where nothing follows yet."""
        piece = self._hub.take(self._position, self._selection) if self._to is None else None
        if piece is None:
            piece = await client.run(self._hub.read, self._position, self._selection, self._to)
        return piece


class EventStream(_Waiting):
    """Server-Sent Events: each event of a selection, and now and then where the stream stands (`head`). It ends at `to`."""

    async def send(self, client: "WaitingClient") -> None:
        with self._hub.listening(client.bell, self._selection):
            await client.write(b"retry: %d\n" % RETRY_MS)  # a part of the first event
            client.ring_in(HEAD_S)
            is_caught_up = False
            while self._hub.is_told(client.bell):
                if self._hub.end is None:  # the reader is about to begin
                    await client.wait()
                    continue
                piece = await self._next(client)
                moved = piece.position > self._position
                self._position = piece.position
                if piece.body:
                    await client.write(piece.body)
                if self._to is not None and self._position >= self._to:
                    await client.write(self._head())  # so that who comes again is told that there is no more
                    break
                if client.is_due or not (moved or is_caught_up):
                    is_caught_up = is_caught_up or not moved
                    client.ring_in(HEAD_S)
                    await client.write(self._head())
                if not moved:
                    await client.wait(probe=_COMMENT)

    def _head(self) -> bytes:
        head = max(self._hub.end or 0, self._position)
        return b"id: %d\nevent: head\ndata: %s\n\n" % (self._position, encode_object({"Head": head}))


class LongPoll(_Waiting):
    """A page of events, once there are some, or after a while an empty one."""

    def __init__(
        self,
        hub: EventHub,
        selection: Selection,
        since: Seq,
        leave: Callable[[], None],
        wait_s: float,
        make: Callable[[], bytes],
    ) -> None:
        """`make` makes the page, in a thread."""
        super().__init__(hub, selection, since, leave)
        self._wait_s = wait_s
        self._make = make

    async def send(self, client: "WaitingClient") -> None:
        client.ring_in(self._wait_s)
        with self._hub.listening(client.bell, self._selection):
            while self._hub.is_told(client.bell) and not client.is_due:
                if self._hub.end is not None:
                    piece = await self._next(client)
                    if piece.events:
                        break
                    if piece.position > self._position:
                        self._position = piece.position
                        continue
                await client.wait()
        await client.write(await client.run(self._make))
