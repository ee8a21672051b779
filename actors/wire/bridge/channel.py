"""The way to an actor whose answers may take hours (the scheduler, the log watch): over the bridge, or within its process."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from actors.wire.bridge.client import BridgeClient
from events.errors import Busy, SinogramError

Reply = Callable[[Any, SinogramError | None], None]


class Pending(Protocol):
    """A question whose answer is still out."""

    def result(self) -> Any:
        """Wait for the answer; to be called once. Raises the actor's error; Busy when it or the channel is gone."""
        ...

    def abandon(self) -> None:
        """Let `result` raise Busy; for any thread."""
        ...


class Channel:
    """Asks one actor. Thread-safe."""

    def __init__(self, ask: Callable[[list[Any]], Pending]) -> None:
        self._ask = ask
        self._pending: set[Pending] = set()
        self._is_closed = False
        self._lock = threading.Lock()

    def request(self, values: list[Any]) -> Any:
        """Ask and wait. Raises the actor's error; Busy when it is gone, or this channel is closed."""
        return self.begin(values)()

    def begin(self, values: list[Any]) -> Callable[[], Any]:
        """Ask; returns what waits for the answer as `request` does, and has to be called once."""
        pending = self._ask(values)
        with self._lock:
            self._pending.add(pending)
            if self._is_closed:
                pending.abandon()

        def finish() -> Any:
            try:
                return pending.result()
            finally:
                with self._lock:
                    self._pending.discard(pending)

        return finish

    def close(self) -> None:
        """Answer everybody who waits, and whoever comes, with Busy."""
        with self._lock:
            self._is_closed = True
            for pending in self._pending:
                pending.abandon()


def open_channel(bridge: BridgeClient, actor: str = "jobs") -> Channel:
    """Return the channel of a process that is not the core: to the scheduler, or another actor of the core."""
    return Channel(lambda values: bridge.begin(actor, values, timeout_s=None))


def open_local_channel(on_request: Callable[[list[Any], Reply], None]) -> Channel:
    """Return the channel of the process in which the actor lives."""
    return Channel(lambda values: _LocalPending(on_request, values))


class _LocalPending:
    def __init__(self, on_request: Callable[[list[Any], Reply], None], values: list[Any]) -> None:
        self._done = threading.Event()
        self._answer: tuple[Any, SinogramError | None] = (None, Busy("the server is stopping"))
        on_request(values, self._reply)

    def _reply(self, result: Any, error: SinogramError | None) -> None:
        if not self._done.is_set():
            self._answer = (result, error)
            self._done.set()

    def result(self) -> Any:
        self._done.wait()
        result, error = self._answer
        if error is not None:
            raise error
        return result

    def abandon(self) -> None:
        self._reply(None, Busy("the server is stopping"))
