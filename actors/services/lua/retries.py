"""Callbacks that have failed, and when they are called again."""

from dataclasses import dataclass
from typing import Final

from events.identifiers import Seq
from store.views.callbacks import WaitingCallback

RETRY_DELAYS_S: Final = (5, 30)  # then an event is skipped


@dataclass(frozen=True, slots=True, order=True)
class Waiting:
    """A delivery that has failed and is due again."""

    due_s: float  # on the monotonic clock
    seq: Seq
    number: int
    attempts: int  # that have failed
    callback: str


def take_up(waiting: WaitingCallback, now_us: int, now_s: float) -> Waiting:
    """Take over a wait of an earlier process: never longer than its delay, however the wall clock was set."""
    longest_s = RETRY_DELAYS_S[min(max(waiting.attempt, 1), len(RETRY_DELAYS_S)) - 1]
    left_s = min(max((waiting.due_us - now_us) / 1e6, 0.0), longest_s)
    return Waiting(now_s + left_s, waiting.cause_seq, waiting.number, waiting.attempt, waiting.callback)
