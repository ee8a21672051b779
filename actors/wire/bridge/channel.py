"""The way to an actor whose answers may take hours (the scheduler, the log watch): over the bridge, or within its process."""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from actors.wire.bridge.client import BridgeClient
from actors.wire.bridge.language import Language
from actors.wire.reply import Reply, stopping
from events.errors import SinogramError


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

    def __init__(self, ask: Callable[[Any], Pending]) -> None:
        self._ask = ask
        self._pending: set[Pending] = set()
        self._is_closed = False
        self._lock = threading.Lock()

    def request(self, request: Any) -> Any:
        """Ask and wait. Raises the actor's error; Busy when it is gone, or this channel is closed."""
        return self.begin(request)()

    def begin(self, request: Any) -> Callable[[], Any]:
        """Ask; returns what waits for the answer as `request` does, and has to be called once."""
        pending = self._ask(request)
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
        """Answer all waiting and all later requests with Busy."""
        with self._lock:
            self._is_closed = True
            for pending in self._pending:
                pending.abandon()


def open_channel(bridge: BridgeClient, language: Language[Any]) -> Channel:
    """Return the channel of a process that is not the core, to the actor of the core that speaks a language."""
    return Channel(lambda request: bridge.begin(language.actor, language.write(request), timeout_s=None))


def open_local_channel(on_request: Callable[[Any, Reply], None]) -> Channel:
    """Return the channel of the process in which the actor lives."""
    return Channel(lambda request: _LocalPending(on_request, request))


class _LocalPending:
    def __init__(self, on_request: Callable[[Any, Reply], None], request: Any) -> None:
        self._done = threading.Event()
        self._answer: tuple[Any, SinogramError | None] = (None, stopping())
        on_request(request, self._reply)

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
        self._reply(None, stopping())
