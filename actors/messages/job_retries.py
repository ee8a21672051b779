"""Whether a job that met an error is tried again, and when. Pure: the scheduler asks, and records the answer.

Only an error that may pass by itself is tried again: a remote that cannot be reached, does not answer or is busy, and a step
that took too long. A remote's refusal and bad data fail at once: they would fail again.

A request that waits for its job (`Synchronous`) is given one attempt: its caller wants the error, not the patience.
"""

from dataclasses import dataclass

from actors.wire.errors import Trouble

_MANY = 64  # tries after which every delay is at its longest; the power itself would outgrow a float


LONGEST_DELAY_S = 300.0  # between two tries of whatever job


@dataclass(frozen=True, slots=True)
class Strategy:
    """How patient a type of job is."""

    attempts: int  # runs without any progress between them, the first included
    first_delay_s: float
    factor: float = 4.0  # by which each delay exceeds the one before
    longest_delay_s: float = LONGEST_DELAY_S
    worth_it: frozenset[Trouble] = frozenset({Trouble.UNREACHABLE, Trouble.TIMEOUT, Trouble.BUSY})


@dataclass(frozen=True, slots=True)
class Again:
    """The decision to try again."""

    delay_ms: int


DEFAULT = Strategy(attempts=1, first_delay_s=0.0)  # local work: an error is an error
REMOTE = Strategy(attempts=4, first_delay_s=2.0)  # after 2, 8 and 32 seconds


def decide(strategy: Strategy, trouble: Trouble, *, tries: int, attempts: int) -> Again | None:
    """Return when to try again, None to give up.

    `tries` is how many runs have failed since the last checkpoint, not counting this one; `attempts` is what the job
    was given when it was submitted.
    """
    if trouble not in strategy.worth_it or tries + 1 >= attempts:
        return None
    return Again(int(_delay_s(strategy, tries) * 1000))


def longest_wait_s(strategy: Strategy, tries: int) -> float:
    """Return the longest time that a job waits after so many failures in a row, whatever a clock says."""
    return _delay_s(strategy, max(0, tries - 1)) or LONGEST_DELAY_S


def _delay_s(strategy: Strategy, tries: int) -> float:
    return min(strategy.first_delay_s * strategy.factor ** min(tries, _MANY), strategy.longest_delay_s)
