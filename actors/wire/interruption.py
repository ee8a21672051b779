"""A request from another thread that blocking work ends at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actors.wire.errors import Interrupted


class Interruption:
    """Told once; blocking work that comes later does not begin. Thread-safe."""

    def __init__(self) -> None:
        self._is_set = False
        self._watching: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        return self._is_set

    def check(self) -> None:
        """Raise Interrupted if the interruption has been told."""
        if self._is_set:
            raise Interrupted

    def interrupt(self) -> None:
        """Tell it: every watcher's `hang_up` is called, in this thread."""
        with self._lock:
            self._is_set = True
            for hang_up in self._watching:
                hang_up()

    @contextmanager
    def watch(self, hang_up: Callable[[], None]) -> Iterator[None]:
        """Within the block, call `hang_up` once the interruption is told, or at once if it has been. It must not block."""
        with self._lock:
            self._watching.append(hang_up)
            if self._is_set:
                hang_up()
        try:
            yield
        finally:
            with self._lock:
                self._watching.remove(hang_up)
