"""The clock is set by a day between two runs: order, dates and `Stable…` events do not mind.

Both clocks are the tests': the wall clock that dates events, and the monotonic one on which quiet is measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import pykka
import pytest

from actors.core import stable
from actors.core.alarm import Alarm
from actors.core.stable import Ripen, StableTracker, Touched
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from events.identifiers import Level, Ref, Seq
from store.records import Origin
from store.run_clock import recorded_clock, set_forward_us
from store.views.feed import EventEntry, get_changes, get_events
from tests.engine_stage import HandAlarm
from tests.fault.instances import Instance
from tests.fault.servers import wait_for
from tools import log, replay
from tools.core_settings import CoreSettings
from tools.server.core import Core

DAY_US = 86_400_000_000
NOON_US = 1_900_000_000_000_000
STABLE_AGE_S = 60.0
NEVER_S = 1e9
LEVELS = ["Series", "Study", "Patient"]  # in this order they become stable


class WallClock:
    """UTC as the tests want it, a millisecond later at each look, and the time since the machine booted, which nobody can set."""

    def __init__(self) -> None:
        self.now_us = NOON_US
        self.since_boot_us = DAY_US

    def __call__(self) -> int:
        self.pass_time(1000)
        return self.now_us

    def since_boot(self) -> int:
        return self.since_boot_us

    def pass_time(self, microseconds: int) -> None:
        self.now_us += microseconds
        self.since_boot_us += microseconds


class Stopwatch:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def running(folder: Path, clock: WallClock, *, stable_age_s: float = NEVER_S) -> Iterator[Core]:
    settings = CoreSettings(index_directory=folder, storage_directory=folder, stable_age_s=stable_age_s)
    core = Core(settings, clock=clock, since_boot=clock.since_boot)
    try:
        yield core
    finally:
        core.stop()


def store(core: Core, *numbers: int) -> None:
    ingest = Ingest(core.client, core.views, core.blobs, "test", IngestSettings)
    for number in numbers:
        with ingest.open(Origin(kind="RestApi")) as upload:
            upload.write(Instance(number, "CLOCK", 1, 1, 200).file())
            assert upload.store().status == "Success"
    ingest.close()


def events(core: Core) -> list[EventEntry]:
    with core.views.snapshot() as snapshot:
        return get_events(snapshot, since=0, limit=1000)


def stable_changes(core: Core) -> list[str]:
    with core.views.snapshot() as snapshot:
        found = get_changes(snapshot, limit=1000).changes
        return [
            change.change_type.removeprefix("Stable") for change in found if change.change_type.startswith("Stable")
        ]


@contextmanager
def tracker(
    core: Core, wall_clock: WallClock, stopwatch: Stopwatch, alarm: type = HandAlarm
) -> "Iterator[pykka.ActorRef[StableTracker]]":
    """A stable-tracker on clocks of the test's, beside the core's own, which never finds anything quiet enough."""
    recorded = recorded_clock(core.environment, wall_clock, wall_clock.since_boot)
    # A real alarm would look at the stopwatch in the moment that a test sets it.
    with patch.object(stable, "Alarm", alarm):
        started = StableTracker.start(core.client, core.views, STABLE_AGE_S, wall_clock=recorded, clock=stopwatch)
    try:
        yield started
    finally:
        started.stop()


@pytest.mark.parametrize("shift_us", [DAY_US, -DAY_US], ids=["a day later", "a day earlier"])
def test_sequences_go_on_and_dates_never_decrease(tmp_path: Path, shift_us: int) -> None:
    clock = WallClock()
    for first in (1, 11, 21):  # set forth and back again, or back and forth
        with running(tmp_path, clock) as core:
            store(core, first, first + 1)
        clock.now_us += shift_us
        shift_us = -shift_us
    with running(tmp_path, clock) as core:
        found = events(core)
        assert [entry.seq for entry in found] == list(range(1, 10)), "three resources above, six instances"
        dates = [entry.at_us for entry in found]
        assert dates == sorted(dates)
        with core.views.snapshot() as snapshot:
            assert snapshot.statistics().instances == 6
            assert len(get_changes(snapshot, limit=100).changes) == 9
    assert log.verify(tmp_path) == 0
    assert replay.replay(tmp_path, verify=True) == 0


def test_the_clock_set_while_the_server_runs_keeps_dates_in_order(tmp_path: Path) -> None:
    clock = WallClock()
    with running(tmp_path, clock) as core:
        for number, shift_us in enumerate((0, -DAY_US, DAY_US, DAY_US, -3 * DAY_US)):
            clock.now_us += shift_us
            store(core, number)
        dates = [entry.at_us for entry in events(core)]
    assert dates == sorted(dates)
    assert dates[-1] - dates[0] < DAY_US + 1_000_000
    assert log.verify(tmp_path) == 0


def test_a_day_later_what_was_waiting_is_stable_at_once_and_once(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core:
        store(core, 1)
    clock.pass_time(DAY_US)
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch, Alarm) as started:
        wait_for(lambda: len(stable_changes(core)) == 3, "three events of the alarm that was due")
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS, "not again after a restart"


def test_a_day_earlier_what_was_waiting_waits_its_time_and_no_longer(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core:
        store(core, 1)
    clock.now_us -= DAY_US
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S - 1
        started.ask(Ripen())
        assert stable_changes(core) == []
        stopwatch.now_s += 1
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS
        stopwatch.now_s += STABLE_AGE_S
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS


def test_what_waited_for_half_its_time_before_a_restart_waits_for_the_other_half(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core:
        store(core, 1)
    clock.pass_time(int(STABLE_AGE_S / 2 * 1e6))
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S / 2 - 1
        started.ask(Ripen())
        assert stable_changes(core) == []
        stopwatch.now_s += 1
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS


SHIFTS = {"ten years": 3650 * DAY_US, "a day": DAY_US, "a day back": -DAY_US, "ten years back": -3650 * DAY_US}


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("when", ["while the server is down", "while it runs", "and back again"])
def test_nothing_is_stable_early_however_the_clock_is_set(tmp_path: Path, shift: str, when: str) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core:
        store(core, 1)
        if when != "while the server is down":
            clock.now_us += SHIFTS[shift]
            store(core, 2)
    if when != "while it runs":
        clock.now_us += SHIFTS[shift] if when == "while the server is down" else -SHIFTS[shift]
    clock.pass_time(1_000_000)
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S - 1.1
        settle(started, stopwatch)
        assert stable_changes(core) == []
        stopwatch.now_s += 1.2
        settle(started, stopwatch)
        assert stable_changes(core) == LEVELS


@pytest.mark.parametrize("shift", [0, DAY_US, -DAY_US])
def test_how_far_the_clock_was_set_forward_is_known_after_a_restart(tmp_path: Path, shift: int) -> None:
    clock = WallClock()
    with running(tmp_path, clock):
        pass
    clock.pass_time(5_000_000)
    clock.now_us += shift
    with running(tmp_path, clock) as core, core.views.snapshot() as snapshot:
        ahead_us = set_forward_us(snapshot.txn, snapshot.tables, clock.now_us, clock.since_boot())
        assert 0 <= ahead_us - max(shift, 0) < 1_000_000
        ahead_us = set_forward_us(snapshot.txn, snapshot.tables, clock.now_us + DAY_US, clock.since_boot())
        assert 0 <= ahead_us - max(shift, 0) - DAY_US < 1_000_000, "and what is set from then on"


def test_after_a_boot_of_the_machine_the_wall_clock_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WallClock()
    with running(tmp_path, clock):
        pass
    clock.pass_time(DAY_US)
    clock.since_boot_us = 1_000_000
    monkeypatch.setattr("store.run_clock.read_boot_id", lambda: b"another boot")
    with running(tmp_path, clock) as core, core.views.snapshot() as snapshot:
        assert set_forward_us(snapshot.txn, snapshot.tables, clock.now_us, clock.since_boot()) == 0


def settle(started: "pykka.ActorRef[StableTracker]", stopwatch: Stopwatch) -> None:
    """Let the tracker do its small steps, each after its rest."""
    for _ in range(10):
        started.ask(Ripen())
        stopwatch.now_s += 1e-3


def test_an_instance_that_arrives_begins_a_new_period_of_quiet(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        core.index.set_listener(_Forward(started))
        store(core, 1)
        clock.now_us -= DAY_US  # of no consequence: quiet is measured on the other clock
        stopwatch.now_s += STABLE_AGE_S
        store(core, 2)
        started.ask(Ripen())
        assert stable_changes(core) == []
        stopwatch.now_s += STABLE_AGE_S
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS
        store(core, 3)
        stopwatch.now_s += STABLE_AGE_S
        started.ask(Ripen())
        assert stable_changes(core) == LEVELS * 2


@pytest.mark.parametrize("shift_us", [DAY_US, -DAY_US], ids=["a day later", "a day earlier"])
def test_the_whole_core_makes_them_stable_within_a_second_of_real_time(tmp_path: Path, shift_us: int) -> None:
    clock = WallClock()
    with running(tmp_path, clock) as core:
        store(core, 1)
    clock.now_us += shift_us
    with running(tmp_path, clock, stable_age_s=1.0) as core:
        wait_for(lambda: len(stable_changes(core)) >= 3, "the stable events", 10)
        assert stable_changes(core) == LEVELS


class _Forward:
    """Tells a tracker what the index announces, and waits until it has taken note."""

    def __init__(self, tracker: "pykka.ActorRef[StableTracker]") -> None:
        self._tracker = tracker

    def on_touched(self, touched: list[tuple[Level, Ref, Seq]]) -> None:
        self._tracker.tell(Touched(touched))

    def on_condemned(self) -> None:
        pass

    def on_jobs(self, jobs: object) -> None:
        pass

    def on_appended(self, head: object, tags: object) -> None:
        pass
