"""The stable-tracker on the test's own thread and clocks: its alarm rings when the test says so."""

from typing import Any

from actors.core.stable import Ripen, StableTracker, Touched
from actors.messages.commands.command import Command
from actors.messages.index_client import IndexClient
from events.errors import SinogramError
from events.identifiers import ResourceId
from store.views.feed import get_changes
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, store_command

AGE_S = 60.0
ALL = ["StableSeries", "StableStudy", "StablePatient"]


class SetAlarm:
    """An alarm that remembers for when it was set."""

    def __init__(self) -> None:
        self.due: float | None = None

    def set(self, due: float | None) -> None:
        self.due = due

    def stop(self) -> None:
        pass


class Tracking:
    """A tracker on the test's own thread, and the index that it asks."""

    def __init__(self, stage: IndexStage, clock: Clock) -> None:
        self.stage = stage
        self.clock = clock
        self.refusal: SinogramError | None = None
        self.asked = 0
        self.step_s = 0.0  # what the index takes for a command
        self._trackers: list[StableTracker] = []
        self.restart()

    def restart(self) -> None:
        """Start a new tracker on what the read models hold; the old one is gone."""
        self.stop()
        self.tracker = StableTracker(
            IndexClient(self._ask),
            self.stage.views,
            AGE_S,
            wall_clock=self.clock,
            clock=self.clock.monotonic,
        )
        self._trackers.append(self.tracker)
        self.tracker._alarm.stop()
        self.tracker._alarm = self._alarm = SetAlarm()  # type: ignore[assignment]  # one that does not ring by itself
        self.tracker.on_start()

    def _ask(self, command: Command) -> Any:
        self.asked += 1
        self.clock.advance(self.step_s)
        if self.refusal is not None:
            raise self.refusal
        return self.stage.ask(command)

    def store(self, instance: str = "I", series: str = "R") -> None:
        self.stage.ask(store_command(series=series, instance=instance))
        self.deliver()

    def deliver(self) -> None:
        """Bring the tracker what the index has announced."""
        touched, self.stage.announced.touched = self.stage.announced.touched, []
        if touched:
            self.tracker.on_receive(Touched(touched))

    def set_stability(self, *names: str, is_stable: bool) -> bool:
        """Do as a script does; returns whether that changed anything."""
        changed = IndexClient(self._ask).set_stability(chain(*names), is_stable=is_stable)
        self.deliver()
        return changed

    def wait(self, seconds: float) -> list[str]:
        """Let time pass and the alarm ring; returns which resources became stable."""
        self.clock.advance(seconds)
        before = self.stage.index._log.head.seq
        self.tracker.on_receive(Ripen())
        with self.stage.views.snapshot() as snapshot:
            return [change.change_type for change in get_changes(snapshot, since=before, limit=0).changes]

    def ring(self) -> bool:
        """Let the alarm ring, if it is due; tells whether it was."""
        due_in_s = self.due_in_s
        if due_in_s is None or due_in_s > 0:
            return False
        self.tracker.on_receive(Ripen())
        return True

    def run(self, seconds: float, *, at_most: int = 10_000) -> None:
        """Let time pass, from alarm to alarm."""
        end = self.clock.monotonic() + seconds
        for _ in range(at_most):
            due_in_s = self.due_in_s
            if due_in_s is None or self.clock.monotonic() + due_in_s > end:
                break
            self.clock.advance(max(0.0, due_in_s))
            self.tracker.on_receive(Ripen())
        else:
            raise AssertionError("the alarm never ends")
        self.clock.advance(max(0.0, end - self.clock.monotonic()))

    def stable(self, since: int = 0) -> list[tuple[str, ResourceId]]:
        """Return what has become stable so far, in order."""
        with self.stage.views.snapshot() as snapshot:
            changes = get_changes(snapshot, since=since, limit=0).changes
        return [(each.change_type, each.resource) for each in changes if each.change_type.startswith("Stable")]

    @property
    def held(self) -> int:
        """How many resources the tracker has in memory."""
        return len(self.tracker._waiting)

    def stop(self) -> None:
        while self._trackers:
            self._trackers.pop().on_stop()

    @property
    def due_in_s(self) -> float | None:
        """When the alarm is set to, from now."""
        due = self._alarm.due
        return None if due is None else due - self.clock.monotonic()
