"""Orders of the scheduler to a worker about one of its runs."""

from enum import Enum


class Order(Enum):
    """What a run can be told."""

    CANCEL = "cancel"  # at once: the job has ended, or another run has it
    TIMEOUT = "timeout"  # at once: the step takes longer than it may
    STOP = "stop"  # after this step: the job is paused
    YIELD = "yield"  # after this step: a suspect has to run alone

    @property
    def is_urgent(self) -> bool:
        return self in {Order.CANCEL, Order.TIMEOUT}
