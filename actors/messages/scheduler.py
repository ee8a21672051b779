"""Requests of workers and clients to the scheduler; answers may come much later."""

from typing import Any

from actors.wire.bridge.language import Language, Request


class TakeWork(Request, frozen=True):
    """A slot asks for work: `[job, run]` when there is some."""

    slot: str


class AwaitOrders(Request, frozen=True):
    """A process asks for orders: `[[job, run, order]…]` when one of its runs is to be told something."""

    process: str


class RecordStep(Request, frozen=True):
    """A step is done; replies whether the run goes on."""

    job: int
    run: int
    step: int
    code: int


class EndRun(Request, frozen=True):
    """All steps are done, with the code of the last one (step -1: there was none left); replies whether the job has succeeded."""

    job: int
    run: int
    step: int
    code: int
    result: Any


class FailRun(Request, frozen=True):
    """A run has failed; replies whether that counts."""

    job: int
    run: int
    trouble: str  # of actors.wire.errors.Trouble
    code: int
    details: str


class GiveBack(Request, frozen=True):
    """The worker gives a job back; no step is under way."""

    job: int
    run: int


class Leave(Request, frozen=True):
    """A process stops in order and takes no more work; replies True."""

    process: str


class AwaitEnd(Request, frozen=True):
    """Replies a job's progress row when it has ended. Refused with NotFound."""

    job: int


SchedulerRequest = TakeWork | AwaitOrders | RecordStep | EndRun | FailRun | GiveBack | Leave | AwaitEnd
SCHEDULER = Language[SchedulerRequest](
    "jobs", TakeWork, AwaitOrders, RecordStep, EndRun, FailRun, GiveBack, Leave, AwaitEnd
)
