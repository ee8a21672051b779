"""The clock is set by a day between two runs: order, dates and `Stable…` events do not mind.

Both clocks are the tests': the wall clock that dates events, and the monotonic one on which quiet is measured.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pykka
import pytest

from actors.ingest import Ingest
from actors.ingest_settings import IngestSettings
from actors.stable import ALARM, StableTracker
from store.records import Origin
from store.views.feed import EventEntry, get_changes, get_events
from tests.fault.instances import Instance
from tests.fault.servers import wait_for
from tools import log, replay
from tools.core import Core
from tools.core_settings import CoreSettings

DAY_US = 86_400_000_000
NOON_US = 1_900_000_000_000_000
STABLE_AGE_S = 60.0
NEVER_S = 1e9
LEVELS = ["Series", "Study", "Patient"]  # in this order they become stable


class WallClock:
    """UTC as the tests want it, a millisecond later at each look."""

    def __init__(self) -> None:
        self.now_us = NOON_US

    def __call__(self) -> int:
        self.now_us += 1000
        return self.now_us


class Stopwatch:
    """A monotonic clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def running(folder: Path, clock: WallClock, *, stable_age_s: float = NEVER_S) -> Iterator[Core]:
    settings = CoreSettings(index_directory=folder, storage_directory=folder, stable_age_s=stable_age_s)
    core = Core(settings, clock=clock)
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
def tracker(core: Core, wall_clock: WallClock, stopwatch: Stopwatch) -> "Iterator[pykka.ActorRef[StableTracker]]":
    """A stable-tracker on clocks of the test's, beside the core's own, which never finds anything quiet enough."""
    started = StableTracker.start(core.client, core.views, STABLE_AGE_S, wall_clock=wall_clock, clock=stopwatch)
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
    clock.now_us += DAY_US
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        wait_for(lambda: len(stable_changes(core)) == 3, "three events of the alarm that was due")
        started.ask(ALARM)
        assert stable_changes(core) == LEVELS
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S
        started.ask(ALARM)
        assert stable_changes(core) == LEVELS, "not again after a restart"


def test_a_day_earlier_what_was_waiting_waits_its_time_and_no_longer(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core:
        store(core, 1)
    clock.now_us -= DAY_US
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S - 1
        started.ask(ALARM)
        assert stable_changes(core) == []
        stopwatch.now_s += 1
        started.ask(ALARM)
        assert stable_changes(core) == LEVELS
        stopwatch.now_s += STABLE_AGE_S
        started.ask(ALARM)
        assert stable_changes(core) == LEVELS


def test_what_waited_for_half_its_time_before_a_restart_waits_for_the_other_half(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core:
        store(core, 1)
    clock.now_us += int(STABLE_AGE_S / 2 * 1e6)
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        stopwatch.now_s += STABLE_AGE_S / 2 - 1
        started.ask(ALARM)
        assert stable_changes(core) == []
        stopwatch.now_s += 1
        started.ask(ALARM)
        assert stable_changes(core) == LEVELS


def test_an_instance_that_arrives_begins_a_new_period_of_quiet(tmp_path: Path) -> None:
    clock, stopwatch = WallClock(), Stopwatch()
    with running(tmp_path, clock) as core, tracker(core, clock, stopwatch) as started:
        core.index.set_listener(_Forward(started))
        store(core, 1)
        clock.now_us -= DAY_US  # of no consequence: quiet is measured on the other clock
        stopwatch.now_s += STABLE_AGE_S
        store(core, 2)
        started.ask(ALARM)
        assert stable_changes(core) == []
        stopwatch.now_s += STABLE_AGE_S
        started.ask(ALARM)
        assert stable_changes(core) == LEVELS
        store(core, 3)
        stopwatch.now_s += STABLE_AGE_S
        started.ask(ALARM)
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

    def on_touched(self, touched: object) -> None:
        self._tracker.tell(touched)

    def on_condemned(self) -> None:
        pass

    def on_jobs(self, jobs: object) -> None:
        pass

    def on_appended(self, head: object) -> None:
        pass
