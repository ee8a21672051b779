"""Requests of the log's consumers to its watch; see `actors.core.log_watch`."""

from collections.abc import Set as AbstractSet

from actors.wire.bridge.channel import Channel
from actors.wire.bridge.language import Language, Request
from events.identifiers import Seq


class AwaitEvents(Request, frozen=True):
    """Replies a sequence, when there is something to tell; that may take hours.

    Without `tags` it is the sequence of the last event, once the log has events beyond `after`. With tags it is a sequence, `after` or
    later, up to which no event has one of these tags. The reply comes once a later event has one of them, or, after a while, once only
    other events have come.
    """

    after: int
    tags: tuple[str, ...] | None = None


LOG_WATCH = Language[AwaitEvents]("log", AwaitEvents)


class LogEnd:
    """The watch as a consumer sees it. Thread-safe."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def wait_beyond(self, seq: Seq, tags: AbstractSet[str] | None = None) -> Seq:
        """Wait until the log has events after `seq`; see `AwaitEvents`. Raises Busy at the end of server or channel."""
        return Seq(self._channel.request(AwaitEvents(seq, None if tags is None else tuple(sorted(tags)))))

    def close(self) -> None:
        """Answer all waiting and all later requests with Busy."""
        self._channel.close()
