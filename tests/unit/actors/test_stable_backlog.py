"""Ripening of many: it is read from the table in small steps, yields to who sends, and settles each exactly once."""

import random
from collections.abc import Iterator

import pytest

from actors.core import stable
from actors.core.stable import REST_AT_MOST_S, REST_BESIDE_OTHERS, RETRY_S, SETTLED_AT_ONCE, SETTLED_BESIDE_OTHERS
from actors.core.stable_backlog import MARKS, TouchTimes
from events.errors import Busy, StorageFull
from events.identifiers import Seq
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tests.stable_stage import AGE_S, ALL, Tracking

LATE_S = AGE_S / MARKS  # by which what is not held may be late
MANY = 150  # series, each of its own study and patient


@pytest.fixture
def tracking(stage: IndexStage, clock: Clock) -> Iterator[Tracking]:
    made = Tracking(stage, clock)
    yield made
    made.stop()


def store_patients(tracking: Tracking, *names: str) -> None:
    """Store an instance of a patient each in few commits, and tell the tracker."""
    for start in range(0, len(names), 200):
        some = names[start : start + 200]
        tracking.stage.run(*(store_command(name, f"S{name}", f"R{name}", f"I{name}") for name in some))
        tracking.deliver()


def store_many(tracking: Tracking, count: int = MANY) -> list[str]:
    names = [f"P{number:04d}" for number in range(count)]
    store_patients(tracking, *names)
    return names


def everything(names: list[str]) -> list[tuple[str, bytes]]:
    """What of so many patients becomes stable, sorted."""
    chains = [(chain(name, f"S{name}", f"R{name}"), chain(name, f"S{name}"), chain(name)) for name in names]
    return sorted((level, identifier) for each in chains for level, identifier in zip(ALL, each, strict=True))


# -- a start upon much that is ripe ---------------------------------------------------------------------------------------


def test_a_start_reads_and_holds_nothing_of_what_is_ripe(tracking: Tracking) -> None:
    names = store_many(tracking)
    tracking.clock.advance(1_000 * AGE_S)
    tracking.restart()
    assert (tracking.held, tracking.asked) == (0, 0)
    assert tracking.ring()
    assert tracking.held == 0
    assert len(tracking.stable()) == SETTLED_AT_ONCE, "one step, not all"
    tracking.run(0)
    assert sorted(tracking.stable()) == everything(names)
    assert tracking.due_in_s is None


def test_a_crash_between_two_steps_settles_the_rest_and_nothing_twice(tracking: Tracking) -> None:
    names = store_many(tracking)
    tracking.clock.advance(2 * AGE_S)
    for _ in range(3):
        tracking.restart()
        tracking.ring()
    assert len(tracking.stable()) == 3 * SETTLED_AT_ONCE
    tracking.restart()
    tracking.run(AGE_S)
    assert sorted(tracking.stable()) == everything(names)


def test_a_start_soon_after_the_last_instance_waits_for_what_remains(tracking: Tracking) -> None:
    names = store_many(tracking)
    tracking.clock.advance(AGE_S / 2)
    tracking.restart()
    tracking.run(AGE_S / 2 - 1)
    assert tracking.stable() == []
    tracking.run(1)
    assert sorted(tracking.stable()) == everything(names)


def test_what_the_last_run_left_in_the_middle_of_its_time_is_held_up_to_a_number(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stable, "HELD_AT_MOST", 10)
    names = store_many(tracking)
    tracking.clock.advance(AGE_S / 2)
    tracking.restart()
    tracking.run(AGE_S / 2 - 1)
    assert (tracking.held, tracking.stable()) == (10, [])
    tracking.run(1)
    assert sorted(tracking.stable()) == everything(names)
    assert tracking.due_in_s is None


def test_a_resource_is_stable_before_what_holds_it(tracking: Tracking) -> None:
    store_patients(tracking, "A")
    tracking.stage.ask(store_command("A", "SA", "younger", "I2"))  # the series has been created after its study
    tracking.clock.advance(2 * AGE_S)
    tracking.restart()
    tracking.run(0)
    assert [change for change, _ in tracking.stable()] == ["StableSeries", *ALL]


# -- yielding -----------------------------------------------------------------------------------------------------------


def test_while_instances_come_in_steps_are_small_and_a_tenth_of_the_time(tracking: Tracking) -> None:
    store_many(tracking)
    tracking.clock.advance(2 * AGE_S)
    tracking.restart()
    store_patients(tracking, "now")
    tracking.step_s = 0.002
    assert tracking.ring()
    assert len(tracking.stable()) == SETTLED_BESIDE_OTHERS
    assert tracking.due_in_s == pytest.approx(REST_BESIDE_OTHERS * 0.002)
    tracking.clock.advance(REST_BESIDE_OTHERS * 0.002 - 0.001)
    tracking.tracker.on_receive(stable.Ripen())  # one that had been on its way
    assert len(tracking.stable()) == SETTLED_BESIDE_OTHERS, "it rests"
    tracking.clock.advance(0.002)
    store_patients(tracking, "later")
    assert tracking.ring()
    assert len(tracking.stable()) == 2 * SETTLED_BESIDE_OTHERS


def test_when_nobody_sends_any_more_ripening_goes_on_at_its_full_pace(tracking: Tracking) -> None:
    store_many(tracking)
    tracking.clock.advance(2 * AGE_S)
    tracking.restart()
    store_patients(tracking, "now")
    tracking.ring()
    tracking.clock.advance(stable.RECEIVING_S)
    tracking.ring()
    assert len(tracking.stable()) == SETTLED_BESIDE_OTHERS + SETTLED_AT_ONCE


def test_what_is_received_now_is_stable_on_time_beside_an_archive_that_ripens(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stable, "SETTLED_AT_ONCE", 10)
    store_many(tracking, 200)
    tracking.clock.advance(2 * AGE_S)
    tracking.restart()
    tracking.step_s = 1.0  # a slow disk: more than the minute
    store_patients(tracking, "now")
    tracking.run(AGE_S - 5)
    assert 0 < len(tracking.stable()) < 600
    store_patients(tracking, "last")
    tracking.run(5 + 2 * tracking.step_s + REST_AT_MOST_S)
    seen = [identifier for _, identifier in tracking.stable()]
    assert seen.index(chain("now")) < len(seen) - 1, "the archive goes on behind it"
    assert len(seen) < 600


def test_an_index_that_refuses_is_asked_again_for_the_same_step(tracking: Tracking) -> None:
    names = store_many(tracking)
    tracking.clock.advance(2 * AGE_S)
    tracking.restart()
    for refusal in (StorageFull("full"), Busy("no answer")):
        tracking.ring()
        tracking.refusal = refusal
        tracking.ring()
        assert tracking.due_in_s == RETRY_S
        tracking.refusal = None
        tracking.clock.advance(RETRY_S)
    tracking.run(0)
    assert sorted(tracking.stable()) == everything(names)


# -- more than is held ----------------------------------------------------------------------------------------------------


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stable, "HELD_AT_MOST", 4)


@pytest.mark.usefixtures("few_places")
def test_more_than_are_held_become_stable_on_time_too(tracking: Tracking) -> None:
    names = store_many(tracking)
    assert tracking.held == 4
    tracking.run(AGE_S - 0.001)
    assert tracking.stable() == []
    tracking.run(0.001 + LATE_S)
    assert sorted(tracking.stable()) == everything(names)
    assert (tracking.held, tracking.due_in_s) == (0, None)


@pytest.mark.usefixtures("few_places")
@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_set_makes_nothing_of_the_backlog_stable_early(tracking: Tracking, days: int) -> None:
    first = store_many(tracking)
    tracking.clock.set_by_a_day(days)
    tracking.run(AGE_S / 2)
    second = ["Q1", "Q2", "Q3"]
    store_patients(tracking, *second)
    tracking.run(AGE_S / 2 + LATE_S)
    assert sorted(tracking.stable()) == everything(first)
    tracking.run(AGE_S / 2 - 2 * LATE_S)
    assert sorted(tracking.stable()) == everything(first)
    tracking.run(2 * LATE_S)
    assert sorted(tracking.stable()) == everything([*first, *second])


@pytest.mark.usefixtures("few_places")
def test_what_is_touched_again_in_the_backlog_waits_anew(tracking: Tracking) -> None:
    names = store_many(tracking, 20)
    tracking.run(AGE_S / 2)
    tracking.stage.ask(store_command(names[9], f"S{names[9]}", f"R{names[9]}", "second"))
    tracking.deliver()
    tracking.run(AGE_S / 2 + LATE_S)
    assert sorted(tracking.stable()) == everything([name for name in names if name != names[9]])
    tracking.run(AGE_S / 2)
    assert sorted(tracking.stable()) == everything(names)


@pytest.mark.usefixtures("few_places")
def test_what_is_deleted_in_the_backlog_never_becomes_stable(tracking: Tracking) -> None:
    names = store_many(tracking, 20)
    for name in names[5:15]:
        tracking.stage.ask(delete_command(name))
    tracking.stage.purge_all()
    tracking.run(AGE_S + LATE_S)
    assert sorted(tracking.stable()) == everything(names[:5] + names[15:])
    assert tracking.due_in_s is None


@pytest.mark.usefixtures("few_places")
def test_what_a_script_has_wait_anew_is_held_though_the_memory_is_full(tracking: Tracking) -> None:
    store_patients(tracking, "old")
    tracking.run(2 * AGE_S)
    assert len(tracking.stable()) == 3
    store_many(tracking, 20)
    tracking.run(AGE_S / 2)
    assert tracking.set_stability("old", is_stable=False)
    tracking.run(AGE_S - LATE_S)
    assert [identifier for _, identifier in tracking.stable()].count(chain("old")) == 1
    tracking.run(LATE_S)
    assert [identifier for _, identifier in tracking.stable()].count(chain("old")) == 2


@pytest.mark.usefixtures("few_places")
@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_in_whatever_order_each_quiet_period_gives_one_event_on_time(
    tracking: Tracking, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patients, instances, restarts and pauses by chance; the expected events follow from the times of the instances."""
    monkeypatch.setattr(stable, "SETTLED_AT_ONCE", 3)
    chance = random.Random(seed)
    touched: dict[str, float] = {}
    for number in range(60):
        for _ in range(chance.randint(0, 3)):
            name = f"P{chance.randint(0, 15)}"
            touched[name] = tracking.clock.monotonic()
            tracking.stage.ask(store_command(name, f"S{name}", f"R{name}", f"I{number}-{chance.random()}"))
            tracking.deliver()
        if chance.random() < 0.1:
            tracking.restart()
        before = tracking.stable()
        began = tracking.clock.monotonic()
        tracking.run(chance.choice([0.5, 5.0, AGE_S / 3, AGE_S * 0.9]))
        ended = tracking.clock.monotonic()
        ripened = sorted(tracking.stable()[len(before) :])
        due = {name: at + AGE_S for name, at in touched.items()}
        surely = everything([name for name, at in due.items() if began < at and at + 2 * LATE_S <= ended])
        perhaps = everything([name for name, at in due.items() if at <= ended and at + 2 * LATE_S > began])
        assert set(surely) <= set(ripened) <= set(perhaps), number
        assert len(set(ripened)) == len(ripened), "nothing twice"
    tracking.run(AGE_S + 2 * LATE_S)
    assert tracking.due_in_s is None
    assert {identifier for _, identifier in tracking.stable()} == {each for _, each in everything(list(touched))}


# -- marks ----------------------------------------------------------------------------------------------------------------


def test_times_of_announcements_are_never_too_early_and_late_by_a_mark_at_most() -> None:
    times = TouchTimes(Seq(0), 0.0, AGE_S)
    announced = {}
    for seq in range(1, 2_001):
        now = seq * 0.05  # 100 s of them
        times.note(Seq(seq), now)
        announced[seq] = now
        for earlier in range(max(1, seq - int(AGE_S / 0.05)), seq, 97):
            assert announced[earlier] + AGE_S <= times.due(Seq(earlier), now) <= announced[earlier] + AGE_S + LATE_S
    assert len(times._seqs) <= MARKS + 2
    assert times.due(Seq(1), 100.0) <= 100.0
    assert times.due(Seq(2_001), 100.0) == 100.0 + AGE_S, "of what is not announced yet nothing is known"
