"""The end of the log, for consumers in other processes that wait for it to grow.

Lives in the core, is told by the index after each commit, and asks no other actor. A consumer asks by `actors.messages.log_watch.AwaitEvents`: one
that has caught up costs nothing, one that lags behind is answered at once, and one that looks for few kinds of events reads none of
the others. While no consumer waits, a commit costs a look at an empty list.
"""

import threading
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from actors.messages.log_watch import AwaitEvents
from actors.wire.reply import Reply, stopping
from events.identifiers import Seq

TAIL_S: Final = 2.0  # how far behind a consumer is that looks for none of the events that come


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

    def on_request(self, request: AwaitEvents, reply: Reply) -> None:
        """Answer when there is something to tell. Never blocks."""
        tags = None if request.tags is None else frozenset(request.tags)
        waiting = _Waiting(Seq(request.after), tags, reply)
        with self._lock:
            head, is_stopped = self._head, self._is_stopped
            if not is_stopped and head <= waiting.after:
                self._waiting.append(waiting)
                return
        if is_stopped:
            waiting.reply(None, stopping())
        else:
            waiting.reply(head if waiting.tags is None else waiting.after, None)

    def stop(self) -> None:
        """Answer all waiting and all later requests with Busy."""
        with self._lock:
            self._is_stopped = True
            waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.reply(None, stopping())
