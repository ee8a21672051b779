"""Senders go first: while many instances come in, requests for pixels come one after the other, with rests between them.

A modality that cannot send keeps a room waiting, a viewer waits for a tenth of a second. Eight clients that took pictures as fast as they got
them left four senders 0.42 of their rate on two processors, with rests 0.78, and got 216 pictures a second instead of 500. A rest is some times as long as
pictures use a processor; whoever asks alone hardly notices the 20 ms. What comes in is seen in the counters that all processes share.

Nobody holds a thread while waiting here.
"""

import time
from collections.abc import Callable
from typing import Final

from actors.wire import metrics

REST: Final = 16.0  # times the processor time of its thread, which is a third of what a picture costs all processes
LONGEST_WAIT_S: Final = 1.0  # then a request has its turn, however many there are
QUIET_S: Final = 1.0  # after the last of many instances nobody is in a hurry
LOOK_S: Final = 0.05
MANY: Final = 3  # instances from one look to the next; fewer leave the processors idle
_FIRST_S: Final = 0.002  # what a picture is taken to cost before the first
_SHARE: Final = 0.125  # of the last picture in what one is taken to cost


class Precedence:
    """Of one server; called on its event loop."""

    def __init__(
        self,
        received: Callable[[], float] = metrics.RECEIVED.total,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._received, self._clock = received, clock
        self._looked_s, self._seen = clock(), received()
        self._hurry_until_s = self._free_s = clock()
        self._worked_s = _FIRST_S

    def wait_s(self) -> float:
        """Return how long the next request is to wait, and reckon with it."""
        now_s = self._clock()
        self._look(now_s)
        if now_s >= self._hurry_until_s:
            self._free_s = now_s
            return 0.0
        wait_s = min(max(self._free_s - now_s, 0.0), LONGEST_WAIT_S)
        self._free_s = now_s + wait_s + REST * self._worked_s
        return wait_s

    def count(self, worked_s: float) -> None:
        """Learn how much processor time a request has used."""
        self._worked_s += _SHARE * (worked_s - self._worked_s)

    def _look(self, now_s: float) -> None:
        passed_s = now_s - self._looked_s
        if passed_s >= LOOK_S:
            received = self._received()
            if (received - self._seen) * LOOK_S >= MANY * passed_s:
                self._hurry_until_s = now_s + QUIET_S
            self._looked_s, self._seen = now_s, received
