"""Workers, played on the test's own thread: they do what `actors.services.jobs.runner` does, one move at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actors.messages.job_orders import Order
from actors.messages.scheduler import AwaitOrders, EndRun, FailRun, GiveBack, RecordStep, SchedulerRequest, TakeWork
from events.errors import SinogramError, StorageFull
from events.identifiers import Ref
from store.projections.job_rows import JobState
from store.views.jobs import get_job
from tests.engine_stage import EngineStage

FULL_STORAGE = 19  # Orthanc's number


@dataclass
class Effect:
    """A step was done: something happened outside."""

    job: Ref
    run: int
    step: int


class Slot:
    """A worker's thread, one move at a time."""

    def __init__(self, name: str, engine: EngineStage, workplace: "Workplace") -> None:
        self.name = name
        self._engine = engine
        self._workplace = workplace
        self.job: Ref | None = None
        self.run = 0
        self.position = 0
        self.steps = 0
        self.is_over = False  # the run is not wanted any more
        self.is_told_to_stop = False
        self.is_broken_off = False
        self.is_timed_out = False
        self._done: tuple[int, int] | None = None  # a step that is done and not recorded: number, code
        self._waits_for_checkpoint = False
        self._is_out_of_space = False  # its last step could not be recorded
        self.waits_for_reply = False  # to its last word
        self._is_stopping = False
        self._is_dead = False
        self._ask()

    def die(self) -> None:
        self._is_dead = True

    def _send(self, request: SchedulerRequest, take: Callable[[Any], None]) -> None:
        def reply(result: Any, error: SinogramError | None) -> None:
            if self._is_dead:
                return
            if isinstance(request, RecordStep) and isinstance(error, StorageFull):
                self._waits_for_checkpoint, self._is_out_of_space = False, True
                return
            assert error is None, f"{request} -> {error!r}: no slot survives that"
            take(result)

        self._engine.core.door.on_request(request, reply)

    def _ask(self) -> None:
        self._send(TakeWork(self.name), self._take)

    def _take(self, work: list[Any]) -> None:
        assert self.job is None
        job, run = work
        self.job, self.run = Ref(job), run
        self.is_told_to_stop = self._is_stopping
        self.is_over = self.is_broken_off = self.is_timed_out = False
        self._waits_for_checkpoint = self._is_out_of_space = False
        self._done = None
        with self._engine.core.stage.views.snapshot() as snapshot:
            found = get_job(snapshot, Ref(job))
        if found is None or found.progress.run != run or found.progress.state is not JobState.Running:
            self.is_over = True
        else:
            self.position, self.steps = found.progress.position, found.steps
        self._workplace.on_taken(self)

    def obey(self, order: Order) -> None:
        self.is_told_to_stop = True
        self.is_timed_out = order is Order.TIMEOUT
        self.is_broken_off = self.is_broken_off or order.is_urgent

    # -- moves ------------------------------------------------------------------------------------------------------------

    @property
    def _held(self) -> Ref:
        assert self.job is not None
        return self.job

    @property
    def is_idle(self) -> bool:
        return self.job is None and not self.waits_for_reply

    @property
    def can_move(self) -> bool:
        return self.job is not None and not self._waits_for_checkpoint

    def move(self, code: int = 0) -> None:
        """Do the next thing there is to do, if nothing is waited for."""
        if not self.can_move:
            return
        if self.is_over:
            self._say_last(GiveBack(self._held, self.run))
        elif self._is_out_of_space:
            self._say_last(FailRun(self._held, self.run, "final", FULL_STORAGE, "the disk is full"))
        elif self.is_broken_off:
            self._leave(self._broken_off())
        elif self.is_told_to_stop:
            self._leave(GiveBack(self._held, self.run))
        elif self.position == self.steps:
            self._end()
        elif self._done is not None:
            self._record()
        else:
            self._workplace.on_effect(Effect(self.job or Ref(0), self.run, self.position))
            self._done = (self.position, code)
            self.position += 1

    def fail(self, trouble: str) -> None:
        """Meet an error in the next step."""
        if self.can_move and not self.is_over and self._done is None and self.position < self.steps:
            self._leave(FailRun(self._held, self.run, trouble, 9, "no route"))

    def stop(self) -> None:
        """The process stops in order: this job is given back, and no other one asked for."""
        self.is_told_to_stop = self._is_stopping = True

    def _broken_off(self) -> SchedulerRequest:
        if self.is_timed_out:
            return FailRun(self._held, self.run, "timeout", 9, "too long")
        return GiveBack(self._held, self.run)

    def _end(self) -> None:
        step, code = self._done or (-1, 0)
        self._say_last(EndRun(self._held, self.run, step, code, {"Steps": self.steps}))

    def _leave(self, last_word: SchedulerRequest) -> None:
        """Say the last word, but first record what is done."""
        if self._done is not None:
            self._record()
        else:
            self._say_last(last_word)

    def _record(self) -> None:
        assert self._done is not None
        (step, code), self._done = self._done, None
        self._waits_for_checkpoint = True
        self._send(RecordStep(self._held, self.run, step, code), self._settle)

    def _settle(self, goes_on: bool) -> None:
        self._waits_for_checkpoint = False
        self.is_over = not goes_on

    def _say_last(self, last_word: SchedulerRequest) -> None:
        self.job = None
        self.waits_for_reply = True
        self._send(last_word, self._on_heard)

    def _on_heard(self, _: Any) -> None:
        self.waits_for_reply = False
        if not self._is_stopping:
            self._ask()


class Process:
    """A worker process: slots, and an ear for orders."""

    def __init__(self, name: str, slots: int, engine: EngineStage, workplace: "Workplace") -> None:
        self.name = name
        self._engine = engine
        self._is_dead = False
        self.slots = [Slot(f"{name}#{number}", engine, workplace) for number in range(1, slots + 1)]
        self._listen()

    def _listen(self) -> None:
        self._engine.core.door.on_request(AwaitOrders(self.name), self._on_orders)

    def _on_orders(self, orders: Any, error: SinogramError | None) -> None:
        if self._is_dead:
            return
        assert error is None
        for job, run, order in orders:
            for slot in self.slots:
                if (slot.job, slot.run) == (job, run):
                    slot.obey(Order(order))
        self._listen()

    def die(self) -> None:
        """Fall silent; the core is not told yet."""
        self._is_dead = True
        for slot in self.slots:
            slot.die()


class Workplace:
    """Who is told what workers do; the property test overrides it."""

    def on_taken(self, slot: Slot) -> None: ...

    def on_effect(self, effect: Effect) -> None: ...
