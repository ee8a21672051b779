"""Senders go first: while instances come in, an archive rests, six times as long as its threads have used a processor.

An archive that takes all it can get left a tenth to a third of its rate to ingest on two processors. Nobody waits for an archive as long as a
modality that cannot send. What comes in is seen in the counters that all processes share.
"""

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from actors.wire import metrics

T = TypeVar("T")

REST: Final = 6.0  # times the processor time
LONGEST_REST_S: Final = 0.5
QUIET_S: Final = 1.0  # after the last instance nobody is in a hurry


class Pace:
    """Of one archive. Thread-safe but for `rest`."""

    def __init__(
        self,
        received: Callable[[], float] = metrics.RECEIVED_BYTES.total,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._received, self._clock, self._sleep = received, clock, sleep
        self._seen = received()
        self._seen_s = clock() - QUIET_S
        self._worked_s = 0.0
        self._lock = threading.Lock()

    def work(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function, and count its processor time."""
        began_s = time.thread_time()
        try:
            return function(*arguments)
        finally:
            self.count(time.thread_time() - began_s)

    def count(self, worked_s: float) -> None:
        with self._lock:
            self._worked_s += worked_s

    def rest(self) -> None:
        """Rest for what was worked since the last rest, if instances come in."""
        with self._lock:
            worked_s, self._worked_s = self._worked_s, 0.0
        received, now_s = self._received(), self._clock()
        if received != self._seen:
            self._seen, self._seen_s = received, now_s
        if now_s - self._seen_s < QUIET_S:
            self._sleep(min(REST * worked_s, LONGEST_REST_S))
