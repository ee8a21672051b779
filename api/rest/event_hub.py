"""One reader of the log for all listeners of a process: it reads each new event once, and all of them share its bytes.

The newest events are held in memory. A listener has a position in the log and nothing else: it takes what follows that, from here or, where
it is further behind, from the log itself. So no queue grows behind a listener that is slow, and who connects again after a moment costs no reading.

The reader runs while somebody listens. It waits for the log to grow (`actors.messages.log_watch`), one long poll for all, and rests
after each look, the longer the more listen: what that costs a listener in time, it saves the server in writes. What is
pushed is durable, for the log watch tells of nothing else.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from api.rest.event_entries import encode_line
from events.envelope import EVENT_TYPES
from events.errors import SinogramError
from events.identifiers import ResourceId, Seq
from events.resources import RemovalEvent
from store.log import read_end
from store.views.event_pages import EventFilter, Reader, Told
from store.views.history import list_above
from store.views.views import Views

logger = logging.getLogger("sinogram.http")

HELD_EVENTS: Final = 10_000
HELD_BYTES: Final = 16 << 20
MOST_PIECES: Final = 64  # that wait for others who stand at the same place
PIECE_BYTES: Final = 1 << 17  # of what is written at once
PIECE_EVENTS: Final = 500  # of one look at the log
REST_S: Final = 0.02  # after each look that did not find more than it takes
REST_OF_LISTENER_S: Final = 0.002  # for each listener; 200 of them are told twice a second

_REMOVALS: Final = frozenset(tag for tag, kind in EVENT_TYPES.items() if issubclass(kind, RemovalEvent))
_OPEN: Final = EventFilter()


class Selection(NamedTuple):
    """Which events a listener wants, and whether it is shown what identifies a person."""

    wanted: EventFilter
    with_values: bool


Bells = dict[asyncio.Event, tuple[asyncio.AbstractEventLoop, Selection]]


class Piece(NamedTuple):
    """What follows a position."""

    body: bytes
    events: int
    position: Seq  # how far was looked


@dataclass(slots=True)
class _Held:
    """An event in memory, with its bytes by whether they have values."""

    told: Told
    bodies: dict[bool, bytes] = field(default_factory=dict)
    size_bytes: int = 0  # of those that the reader has made

    def body(self, *, with_values: bool) -> bytes:
        body = self.bodies.get(with_values)
        if body is None:
            body = self.bodies[with_values] = encode_event(self.told, with_values=with_values)
        return body


def encode_event(told: Told, *, with_values: bool) -> bytes:
    """Return an event as Server-Sent Events have it."""
    data = encode_line(told, with_values=with_values)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (told.entry.seq, told.entry.tag.encode(), data)


class EventHub:
    """See the module's text. Thread-safe."""

    def __init__(self, views: Views, wait_beyond: Callable[[Seq], Seq]) -> None:
        """`wait_beyond` waits until the log goes beyond an event, and returns the last one; it raises Busy at the end of the server."""
        self._views = views
        self._wait_beyond = wait_beyond
        self._reader = Reader()
        self._changed = threading.Condition()
        self._bells: Bells = {}
        self._held: list[_Held] = []
        self._held_bytes = 0
        self._end: Seq | None = None  # of what was read; what is held ends there. None: the reader has not begun
        self._above: dict[ResourceId, tuple[ResourceId, ...]] = {}
        self._pieces: dict[
            tuple[Seq, Selection], Piece
        ] = {}  # taken since the last look: the same for all who stand there
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    # -- of listeners, on their loops ------------------------------------------------------------------------------

    @contextmanager
    def listening(self, bell: asyncio.Event, selection: Selection) -> Iterator[None]:
        """Within the block, ring a bell of the running loop for news, and at the end of the server."""
        with self._changed:
            if not self._is_stopped:
                self._bells[bell] = (asyncio.get_running_loop(), selection)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="event-feed", daemon=True)
                    self._thread.start()
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._bells.pop(bell, None)

    def is_told(self, bell: asyncio.Event) -> bool:
        """Tell whether a bell is rung for news; False at the end of the server, or where the log could not be read."""
        return bell in self._bells

    @property
    def end(self) -> Seq | None:
        """The last event that was read; None before the reader has begun, which rings."""
        return self._end

    def take(self, position: Seq, selection: Selection) -> Piece | None:
        """Return what follows a position, up to `PIECE_BYTES`; None where that is not in memory."""
        with self._changed:
            if self._end is None or position < self._end - len(self._held):
                return None
            found = self._pieces.get((position, selection))
            if found is None:
                if len(self._pieces) >= MOST_PIECES:
                    self._pieces.clear()
                found = self._pieces[position, selection] = self._gather(position, self._end, selection)
            return found

    def _gather(self, position: Seq, end: Seq, selection: Selection) -> Piece:
        wanted, with_values = selection
        above = () if wanted.resource is None else self._above.get(wanted.resource, ())
        bodies: list[bytes] = []
        left, last = PIECE_BYTES, max(position, end)
        for held in self._held[position - end + len(self._held) :]:
            if wanted is not _OPEN and not wanted.takes(held.told, above):
                continue
            body = held.body(with_values=with_values)
            bodies.append(body)
            left -= len(body)
            if left <= 0:
                last = held.told.entry.seq
                break
        return Piece(b"".join(bodies), len(bodies), Seq(last))

    # -- of any thread ---------------------------------------------------------------------------------------------

    def read(self, position: Seq, selection: Selection, to: int | None = None) -> Piece:
        """Return what follows a position in the log, up to what the reader has read and to `to`: for who is far behind."""
        wanted, with_values = selection
        end = self._end or position
        with self._views.snapshot() as s:
            page = Reader().page(s, wanted, since=position, to=end if to is None else min(end, to), limit=PIECE_EVENTS)
        bodies: list[bytes] = []
        left = PIECE_BYTES
        for told in page.events:
            bodies.append(encode_event(told, with_values=with_values))
            left -= len(bodies[-1])
            if left <= 0:
                return Piece(b"".join(bodies), len(bodies), told.entry.seq)
        return Piece(b"".join(bodies), len(bodies), Seq(max(page.last, position)))

    def stop(self) -> None:
        """End all listeners, now and later. The reader ends once its wait does."""
        with self._changed:
            self._is_stopped = True
            self._end_all()

    def _end_all(self) -> None:
        # Who is woken looks without the lock: a bell that is still known then would wait for the next one, until its time is over.
        ended, self._bells = self._bells, {}
        _ring(ended)
        self._changed.notify_all()

    def join(self) -> None:
        """Wait for the reader's end, after `stop` and the end of the channel on which it waits."""
        thread = self._thread
        if thread is not None:
            thread.join()

    # -- the reader ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                self._follow()
                with self._changed:
                    self._changed.wait_for(lambda: self._bells or self._is_stopped)
        except SinogramError as exc:  # Busy where the server stops
            if not self._is_stopped:
                logger.warning("events.feed-ended error=%s", exc)
        except Exception:
            logger.exception("events.feed-failed")
        finally:
            with self._changed:  # listeners come again, and with them another reader
                self._forget(len(self._held))
                self._end, self._thread = None, None
                self._end_all()

    def _follow(self) -> None:
        """Tell of the log as it grows, while somebody listens."""
        with self._views.snapshot() as s:
            end = read_end(s.txn, s.tables)[0]
        with self._changed:
            self._end = end
            _ring(self._bells)
        while self._bells and not self._is_stopped:
            head = self._wait_beyond(end)
            while end < head and not self._is_stopped:
                begin, end = end, self._look(end, head)
                if end - begin < PIECE_EVENTS:
                    self._rest()
        with self._changed:
            self._forget(len(self._held))
            self._pieces.clear()
            self._end = None

    def _look(self, since: Seq, head: Seq) -> Seq:
        """Read what is new, encode it as most want it, and tell all listeners."""
        with self._changed:
            selections = {selection for _, selection in self._bells.values()}
        wanted = {each.wanted.resource for each in selections} - {None}
        with self._views.snapshot() as s:
            page = self._reader.page(s, _OPEN, since=since, to=head, limit=PIECE_EVENTS)
            above = {resource: list_above(s, resource) for resource in wanted if resource is not None}
        fresh = [_Held(told) for told in page.events]
        for held in fresh:
            for with_values in {each.with_values for each in selections}:
                held.size_bytes += len(held.body(with_values=with_values))
        with self._changed:
            # What was said of the state of resources before may not hold any more: who is behind reads it again.
            if any(held.told.entry.tag in _REMOVALS for held in fresh):
                self._forget(len(self._held))
            self._held.extend(fresh)
            self._held_bytes += sum(held.size_bytes for held in fresh)
            self._forget(self._count_surplus())
            self._end, self._above = Seq(page.last), above
            self._pieces.clear()
            _ring(self._bells)
        return Seq(page.last)

    def _count_surplus(self) -> int:
        surplus, size_bytes = max(0, len(self._held) - HELD_EVENTS), self._held_bytes
        size_bytes -= sum(held.size_bytes for held in self._held[:surplus])
        while size_bytes > HELD_BYTES:
            size_bytes -= self._held[surplus].size_bytes
            surplus += 1
        return surplus

    def _forget(self, count: int) -> None:
        self._held_bytes -= sum(held.size_bytes for held in self._held[:count])
        del self._held[:count]

    def _rest(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped, REST_S + REST_OF_LISTENER_S * len(self._bells))


def _ring(bells: Bells) -> None:
    for loop in {loop for loop, _ in bells.values()}:
        loop.call_soon_threadsafe(_ring_all, [bell for bell, (of, _) in bells.items() if of is loop])


def _ring_all(bells: list[asyncio.Event]) -> None:
    for bell in bells:
        bell.set()
