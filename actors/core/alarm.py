"""A timer for actors: a mailbox has no timeout, so a small thread tells the actor when its time has come."""

import threading
from collections.abc import Callable


class Alarm:
    """Calls `ring` once at the time that was last set. `ring` must not block (it tells an actor)."""

    def __init__(self, name: str, ring: Callable[[], None], clock: Callable[[], float]) -> None:
        self._ring = ring
        self._clock = clock
        self._due: float | None = None
        self._is_stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def set(self, due: float | None) -> None:
        """Ring at `due` (on the clock given), instead of any time set before; None for not at all."""
        with self._changed:
            sooner = due is not None and (self._due is None or due < self._due)
            self._due = due
            if sooner:
                self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._is_stopping:
                wait_s = None if self._due is None else self._due - self._clock()
                if wait_s is None or wait_s > 0:
                    self._changed.wait(wait_s)
                else:
                    self._due = None
                    self._ring()
