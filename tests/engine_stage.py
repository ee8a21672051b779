"""The job engine on the test's own thread: index and scheduler as the core has them, each moved one step at a time.

The workers are played: they do what `actors.jobs.runner` does, without threads. A step's effect outside is an entry in
`effects`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from actors.index import actor as index_module
from actors.index.commands import Command
from actors.jobs import scheduler as scheduler_module
from actors.jobs.dispatch import Order
from actors.jobs.scheduler import ALARM, Scheduler, SchedulerDoor, take_up
from actors.jobs.settings import SchedulerSettings
from events.errors import SinogramError, StorageFull
from events.identifiers import Level, Ref, Seq
from store.environment import Environment
from store.projections.job_rows import Job, JobState
from store.views.jobs import get_job
from tests.clock import Clock
from tests.index_stage import IndexStage

PATIENCE = 1_000  # commits and messages that any number of news ought to settle in
FULL_STORAGE = 19  # Orthanc's number

Reply = Callable[[Any, SinogramError | None], None]


class HandAlarm:
    """Rings when the test looks at it."""

    def __init__(self, _name: str, ring: Callable[[], None], _clock: Callable[[], float]) -> None:
        self.due: float | None = None

    def set(self, due: float | None) -> None:
        self.due = due

    def stop(self) -> None:
        pass


@dataclass
class Core:
    """What a core has in memory; a crash loses it."""

    stage: IndexStage
    scheduler: Scheduler
    door: SchedulerDoor
    queued: list[Command] = field(default_factory=list)  # commands that no commit has reached
    answers: list[Any] = field(default_factory=list)  # of those, in order, once it has

    @property
    def alarm(self) -> HandAlarm:
        alarm: Any = self.scheduler._alarm
        assert isinstance(alarm, HandAlarm)
        return alarm

    def on_touched(self, touched: list[tuple[Level, Ref, Seq]]) -> None:
        pass

    def on_condemned(self) -> None:
        pass

    def on_jobs(self, jobs: list[Job]) -> None:
        self.door.on_jobs(jobs)


class EngineStage:
    """Commands wait until `commit`, news and requests until `deliver`; what waits is lost in a crash."""

    def __init__(self, folder: Path, clock: Clock, *, concurrent_jobs: int, history_size: int) -> None:
        self._folder = folder
        self._clock = clock
        self._limits = {"concurrent_jobs": concurrent_jobs, "history_size": history_size}
        self.killed: list[str] = []  # processes that the scheduler wants ended
        self.is_full = False  # the disk of the index
        self.on_commit: Callable[[list[Command], list[Any]], None] = lambda _commands, _answers: None
        self.core = self._boot(save_jobs=True, was_clean=True)
        self.core.stage.lease("worker-1")

    @property
    def env(self) -> Environment:
        return self.core.stage.env

    def _boot(self, *, save_jobs: bool, was_clean: bool) -> Core:
        stage = IndexStage(Environment(self._folder, writable=True, durable=False), self._clock)
        settings = SchedulerSettings(save_jobs=save_jobs, **self._limits)
        with patch.object(scheduler_module, "Alarm", HandAlarm):
            scheduler = Scheduler(
                self.submit,
                stage.views,
                settings,
                clock=self._clock,
                kill=self.killed.append,
                monotonic=self._clock.monotonic,
            )
        self.core = Core(stage, scheduler, SchedulerDoor(scheduler.actor_ref, self.submit))
        stage.index.on_receive(self.core)
        take_up(self.submit, stage.views, self.core.door, save_jobs=save_jobs, was_clean=was_clean)
        return self.core

    def restart(self, *, save_jobs: bool = True, was_clean: bool) -> None:
        """End the core as it stands, and start it on the environment that it leaves."""
        self.close()
        self._boot(save_jobs=save_jobs, was_clean=was_clean)

    def close(self) -> None:
        self.env.close()

    def submit(self, command: Command, reply: Reply) -> None:
        core = self.core
        core.queued.append(command)
        place = len(core.queued) - 1

        def take(result: Any, error: SinogramError | None) -> None:
            assert len(core.answers) == place, "replies come in the order of the commands"
            core.answers.append(result if error is None else type(error))
            reply(result, error)

        core.stage.put(command, take)

    # -- one step of an actor ---------------------------------------------------------------------------------------------

    def commit(self) -> bool:
        """Let the index commit what waits; tells whether there was anything."""
        commands, core = self.core.queued, self.core
        if not commands:
            return False
        with patch.object(index_module, "free_bytes", lambda _folder: 0 if self.is_full else 2**40):
            core.stage.commit()
        answers, core.queued, core.answers = core.answers, [], []
        assert len(answers) == len(commands), "every command is answered, once"
        self.on_commit(commands, answers)
        return True

    def deliver(self) -> bool:
        """Let the scheduler take one message; tells whether there was any."""
        inbox = self.core.scheduler.actor_inbox
        if inbox.empty():
            return False
        self.core.scheduler.on_receive(inbox.get().message)
        return True

    def settle(self) -> None:
        """Let both go on until nothing waits."""
        for _ in range(PATIENCE):
            if not (self.commit() or self.deliver()):
                return
        raise AssertionError("they keep each other busy for ever")

    def ring(self) -> bool:
        """Let the alarm ring if its time has come."""
        due = self.core.alarm.due
        if due is None or due > self._clock.monotonic():
            return False
        self.core.alarm.due = None
        self.core.scheduler.actor_ref.tell(ALARM)
        return True


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

    def _send(self, values: list[Any], take: Callable[[Any], None]) -> None:
        def reply(result: Any, error: SinogramError | None) -> None:
            if self._is_dead:
                return
            if values[0] == "step" and isinstance(error, StorageFull):
                self._waits_for_checkpoint, self._is_out_of_space = False, True
                return
            assert error is None, f"{values} -> {error!r}: no slot survives that"
            take(result)

        self._engine.core.door.on_request(values, reply)

    def _ask(self) -> None:
        self._send(["next", self.name], self._take)

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
            self._say_last(["release", self.job, self.run])
        elif self._is_out_of_space:
            self._say_last(["fail", self.job, self.run, "final", FULL_STORAGE, "the disk is full"])
        elif self.is_broken_off:
            self._leave(self._broken_off())
        elif self.is_told_to_stop:
            self._leave(["release", self.job, self.run])
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
            self._leave(["fail", self.job, self.run, trouble, 9, "no route"])

    def stop(self) -> None:
        """The process stops in order: this job is given back, and no other one asked for."""
        self.is_told_to_stop = self._is_stopping = True

    def _broken_off(self) -> list[Any]:
        if self.is_timed_out:
            return ["fail", self.job, self.run, "timeout", 9, "too long"]
        return ["release", self.job, self.run]

    def _end(self) -> None:
        step, code = self._done or (-1, 0)
        self._say_last(["end", self.job, self.run, step, code, {"Steps": self.steps}])

    def _leave(self, last_word: list[Any]) -> None:
        """Say the last word, but first record what is done."""
        if self._done is not None:
            self._record()
        else:
            self._say_last(last_word)

    def _record(self) -> None:
        assert self._done is not None
        (step, code), self._done = self._done, None
        self._waits_for_checkpoint = True
        self._send(["step", self.job, self.run, step, code], self._settle)

    def _settle(self, goes_on: bool) -> None:
        self._waits_for_checkpoint = False
        self.is_over = not goes_on

    def _say_last(self, values: list[Any]) -> None:
        self.job = None
        self.waits_for_reply = True
        self._send(values, self._on_heard)

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
        self._engine.core.door.on_request(["control", self.name], self._on_orders)

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
