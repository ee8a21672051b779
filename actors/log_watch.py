"""The end of the log, for whoever waits for it to grow: consumers of the log in other processes.

Lives in the core, is told by the index after each commit, and asks nobody. A consumer asks over the bridge

    ["after", seq]    -> the sequence of the last event, when the log has events beyond `seq`; that may take hours

so a consumer that has caught up costs nothing, and one that lags behind is answered at once. While nobody waits, a
commit costs the look at an empty list.
"""

import threading
from collections.abc import Callable
from typing import Any

from actors.jobs.channel import Channel
from events.errors import Busy, InvalidRequest, SinogramError
from events.identifiers import Seq

Reply = Callable[[Any, SinogramError | None], None]

_STOPPING = Busy("the server is stopping")


class LogWatch:
    """Knows the end of the log, and who waits for more. Thread-safe; replies come on the index's thread."""

    def __init__(self) -> None:
        self._head = Seq(0)
        self._waiting: list[tuple[Seq, Reply]] = []
        self._is_stopped = False
        self._lock = threading.Lock()

    def on_appended(self, head: Seq) -> None:
        """Take note of the sequence of the last event; answer whom that concerns."""
        with self._lock:
            self._head = head = max(self._head, head)
            if not self._waiting:
                return
            ready = [reply for seq, reply in self._waiting if seq < self._head]
            self._waiting = [(seq, reply) for seq, reply in self._waiting if seq >= self._head]
        for reply in ready:
            reply(head, None)

    def on_request(self, values: list[Any], reply: Reply) -> None:
        """Answer when there is something to tell. Never blocks."""
        match values:
            case ["after", int(seq)]:
                self._wait(Seq(seq), reply)
            case _:
                raise InvalidRequest("the log watch does not understand this request")

    def _wait(self, seq: Seq, reply: Reply) -> None:
        with self._lock:
            head, is_stopped = self._head, self._is_stopped
            if not is_stopped and head <= seq:
                self._waiting.append((seq, reply))
                return
        if is_stopped:
            reply(None, _STOPPING)
        else:
            reply(head, None)

    def stop(self) -> None:
        """Answer everybody who waits, and whoever comes, with Busy."""
        with self._lock:
            self._is_stopped = True
            waiting, self._waiting = self._waiting, []
        for _, reply in waiting:
            reply(None, _STOPPING)


class LogEnd:
    """The watch as a consumer sees it. Thread-safe."""

    def __init__(self, channel: Channel) -> None:
        """`channel` leads to the actor "log" (`open_channel(bridge, "log")`), or to a LogWatch of this process."""
        self._channel = channel

    def wait_beyond(self, seq: Seq) -> Seq:
        """Wait until the log has events after `seq`; returns the last one's. Raises Busy at the end of server or channel."""
        return Seq(self._channel.request(["after", seq]))

    def close(self) -> None:
        """Let everybody who waits, and whoever comes, have Busy."""
        self._channel.close()
