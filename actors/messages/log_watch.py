"""What consumers of the log ask its watch, and how they do; see `actors.core.log_watch`."""

from collections.abc import Set as AbstractSet

from actors.wire.bridge.channel import Channel
from actors.wire.bridge.language import Language, Request
from events.identifiers import Seq


class AwaitEvents(Request, frozen=True):
    """Replies a sequence, when there is something to tell; that may take hours.

    Without `tags`: that of the last event, once the log has events beyond `after`. With them: up to which sequence, `after` or later, no event
    has one of these tags: once one has, or some have come that do not, and nothing else for a while.
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
        """Let everybody who waits, and whoever comes, have Busy."""
        self._channel.close()
