"""The job engine on the test's own thread: index and scheduler as the core has them, each moved one step at a time."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from actors.core.actor import Mailbox
from actors.core.index import actor as index_module
from actors.core.jobs import scheduler as scheduler_module
from actors.core.jobs.door import SchedulerDoor, take_up
from actors.core.jobs.messages import Ring
from actors.core.jobs.scheduler import Scheduler
from actors.core.jobs.settings import SchedulerSettings
from actors.messages.commands.command import Command
from events.errors import SinogramError
from events.identifiers import Level, Ref, Seq
from store.environment import Environment
from store.projections.job_rows import Job
from tests.clock import Clock
from tests.index_stage import IndexStage

PATIENCE = 1_000  # commits and messages that any number of news ought to settle in

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

    def on_appended(self, head: Seq, tags: AbstractSet[str]) -> None:
        pass


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
        self.core = Core(stage, scheduler, SchedulerDoor(Mailbox(scheduler.actor_ref), self.submit))
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
        self.core.scheduler.actor_ref.tell(Ring())
        return True
