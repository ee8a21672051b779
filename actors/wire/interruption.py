"""The wish that something which blocks ends at once, told by another thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from actors.wire.errors import Interrupted


class Interruption:
    """Told once; what blocks afterwards does not begin. Thread-safe."""

    def __init__(self) -> None:
        self._is_set = False
        self._watching: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def is_set(self) -> bool:
        return self._is_set

    def check(self) -> None:
        """Raise Interrupted if the wish has been told."""
        if self._is_set:
            raise Interrupted

    def interrupt(self) -> None:
        """Tell it: everything that is watching is hung up, in this thread."""
        with self._lock:
            self._is_set = True
            for hang_up in self._watching:
                hang_up()

    @contextmanager
    def watch(self, hang_up: Callable[[], None]) -> Iterator[None]:
        """Have `hang_up` called if the wish is told meanwhile, or has been already. It must not block."""
        with self._lock:
            self._watching.append(hang_up)
            if self._is_set:
                hang_up()
        try:
            yield
        finally:
            with self._lock:
                self._watching.remove(hang_up)
