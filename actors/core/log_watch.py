"""The end of the log, for whoever waits for it to grow: consumers of the log in other processes.

Lives in the core, is told by the index after each commit, and asks nobody. A consumer asks over the bridge

    ["after", seq]          -> the sequence of the last event, when the log has events beyond `seq`; that may take hours
    ["after", seq, tags]    -> up to which sequence, `seq` or later, no event has one of these tags: when one has, or when some
                               have come that do not, and nothing else for `TAIL_S`

so a consumer that has caught up costs nothing, one that lags behind is answered at once, and one that looks for few kinds of
events reads none of the others. While nobody waits, a commit costs the look at an empty list.
"""

import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Final

from actors.wire.bridge.channel import Channel
from events.errors import Busy, InvalidRequest, SinogramError
from events.identifiers import Seq

Reply = Callable[[Any, SinogramError | None], None]

TAIL_S: Final = 2.0  # how far behind a consumer is that looks for none of the events that come

_STOPPING = Busy("the server is stopping")


@dataclass(slots=True, eq=False)
class _Waiting:
    after: Seq
    tags: frozenset[str] | None  # None: all
    reply: Reply
    is_tail_timed: bool = False


class LogWatch:
    """Knows the end of the log, and who waits for more. Thread-safe; replies come on the index's thread, or a timer's."""

    def __init__(self, tail_s: float = TAIL_S) -> None:
        self._tail_s = tail_s
        self._head = Seq(0)
        self._waiting: list[_Waiting] = []
        self._is_stopped = False
        self._lock = threading.Lock()

    def on_appended(self, head: Seq, tags: AbstractSet[str] = frozenset()) -> None:
        """Take note of the sequence of the last event, and of the tags of those that are new; answer whom that concerns."""
        with self._lock:
            before, self._head = self._head, max(self._head, head)
            if not self._waiting:
                return
            ready = [
                w for w in self._waiting if w.after < self._head and (w.tags is None or not w.tags.isdisjoint(tags))
            ]
            self._waiting = [w for w in self._waiting if w not in ready]
            untimed = [w for w in self._waiting if w.after < self._head and not w.is_tail_timed]
        for waiting in ready:
            waiting.reply(self._head if waiting.tags is None else max(before, waiting.after), None)
        for waiting in untimed:
            waiting.is_tail_timed = True
            timer = threading.Timer(self._tail_s, self._tell_tail, [waiting])
            timer.daemon = True
            timer.start()

    def _tell_tail(self, waiting: _Waiting) -> None:
        with self._lock:
            if waiting not in self._waiting:
                return
            self._waiting.remove(waiting)
            head = self._head
        waiting.reply(head, None)

    def on_request(self, values: list[Any], reply: Reply) -> None:
        """Answer when there is something to tell. Never blocks."""
        match values:
            case ["after", int(seq)]:
                self._wait(_Waiting(Seq(seq), None, reply))
            case ["after", int(seq), [*tags]]:
                self._wait(_Waiting(Seq(seq), frozenset(tags), reply))
            case _:
                raise InvalidRequest("the log watch does not understand this request")

    def _wait(self, waiting: _Waiting) -> None:
        with self._lock:
            head, is_stopped = self._head, self._is_stopped
            if not is_stopped and head <= waiting.after:
                self._waiting.append(waiting)
                return
        if is_stopped:
            waiting.reply(None, _STOPPING)
        else:
            waiting.reply(head if waiting.tags is None else waiting.after, None)

    def stop(self) -> None:
        """Answer everybody who waits, and whoever comes, with Busy."""
        with self._lock:
            self._is_stopped = True
            waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.reply(None, _STOPPING)


class LogEnd:
    """The watch as a consumer sees it. Thread-safe."""

    def __init__(self, channel: Channel) -> None:
        """`channel` leads to the actor "log" (`open_channel(bridge, "log")`), or to a LogWatch of this process."""
        self._channel = channel

    def wait_beyond(self, seq: Seq, tags: AbstractSet[str] | None = None) -> Seq:
        """Wait until the log has events after `seq`; see the module's text. Raises Busy at the end of server or channel."""
        return Seq(self._channel.request(["after", seq] if tags is None else ["after", seq, sorted(tags)]))

    def close(self) -> None:
        """Let everybody who waits, and whoever comes, have Busy."""
        self._channel.close()
