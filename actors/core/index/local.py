"""Starting the index and reaching it from within its own process."""

import queue
from typing import Any

import pykka

from actors.core.index.actor import Clock, Index, Listener, submit
from actors.core.index.settings import NO_LIMITS, StorageLimits
from actors.messages.commands.command import Command
from actors.wire.reply import Reply, wait_for_reply
from events.errors import Busy
from store.environment import Environment

ASK_TIMEOUT_S = 60.0  # a commit takes milliseconds; a minute means that the disk hangs


class LocalIndex:
    """The running index actor."""

    def __init__(
        self, environment: Environment, clock: Clock, *, read_only: bool = False, limits: StorageLimits = NO_LIMITS
    ) -> None:
        """Start the actor. Raises CorruptLog if the log's end cannot be read."""
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ref: pykka.ActorRef[Index] = Index.start(
            environment, clock, self._waiting, read_only=read_only, limits=limits
        )

    def set_listener(self, listener: Listener) -> None:
        self._ref.ask(listener, timeout=ASK_TIMEOUT_S)

    def submit(self, command: Command, reply: Reply) -> None:
        """Queue a command; `reply(result, error)` is called once, on the index's thread."""
        submit(self._ref, self._waiting, command, reply)

    def ask(self, command: Command) -> Any:
        """Run a command and wait for its result. Raises SinogramError."""
        silence = Busy("the index does not answer")
        return wait_for_reply(lambda reply: self.submit(command, reply), ASK_TIMEOUT_S, silence)

    def is_alive(self) -> bool:
        return self._ref.is_alive()

    def stop(self) -> None:
        """Finish what waits, then end the actor's thread."""
        self._ref.stop(block=True, timeout=ASK_TIMEOUT_S)
