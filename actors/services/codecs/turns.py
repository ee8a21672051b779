"""A semaphore whose waiters have their turns in the order in which they came: who comes back at once does not overtake them."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

CHECK_S: Final = 0.5  # who waits looks so often whether anybody still wants the image


class Turns:
    """So many at once. Thread-safe."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[None]:
        """Have a turn; `check` is called before and now and then during the wait, and what it raises ends it."""
        check()
        self._wait(check)
        try:
            yield
        finally:
            self._pass_on()

    def _wait(self, check: Callable[[], None]) -> None:
        with self._lock:
            if self._free:  # nobody waits then
                self._free -= 1
                return
            mine = threading.Event()
            self._waiting.append(mine)
        try:
            while not mine.wait(CHECK_S):
                check()
        except BaseException:
            self._give_up(mine)
            raise

    def _give_up(self, mine: threading.Event) -> None:
        with self._lock:
            if not mine.is_set():
                self._waiting.remove(mine)
                return
        self._pass_on()  # it had come just now

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
