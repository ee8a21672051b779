"""The stable-tracker: one event per quiet period, whatever arrives, goes, restarts or sets the clock meanwhile."""

from collections.abc import Callable, Iterator

import pytest

from actors.core.stable import RETRY_S, Ripen
from actors.core.stable_backlog import remaining_s
from events.errors import Busy, SinogramError, StorageFull
from events.identifiers import Level
from store.tables import U64, UNSTABLE
from store.views.feed import get_changes
from tests.clock import DAY_US, Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tests.stable_stage import AGE_S, ALL, Tracking
from tools.server.core import Core


@pytest.fixture
def tracking(stage: IndexStage, clock: Clock) -> Iterator[Tracking]:
    made = Tracking(stage, clock)
    yield made
    made.stop()


def test_series_study_and_patient_become_stable_in_orthancs_order(tracking: Tracking) -> None:
    tracking.store()
    assert tracking.due_in_s == AGE_S
    assert tracking.wait(AGE_S - 0.001) == []
    assert tracking.wait(0.001) == ALL
    assert tracking.due_in_s is None


def test_nothing_becomes_stable_twice(tracking: Tracking) -> None:
    tracking.store()
    assert tracking.wait(AGE_S) == ALL
    assert tracking.wait(10 * AGE_S) == []
    assert tracking.asked == 1


def test_an_instance_that_comes_meanwhile_starts_the_wait_anew(tracking: Tracking) -> None:
    tracking.store("1")
    for number in range(2, 6):
        assert tracking.wait(AGE_S * 0.9) == []
        tracking.store(str(number))
    assert tracking.wait(AGE_S * 0.9) == []
    assert tracking.wait(AGE_S * 0.1) == ALL


def test_each_quiet_period_gives_its_own_events(tracking: Tracking) -> None:
    tracking.store("1")
    assert tracking.wait(AGE_S) == ALL
    tracking.store("2")
    assert tracking.wait(AGE_S) == ALL


def test_another_series_keeps_its_study_waiting_not_its_sibling(tracking: Tracking) -> None:
    tracking.store("1", series="R1")
    assert tracking.wait(AGE_S / 2) == []
    tracking.store("2", series="R2")
    assert tracking.wait(AGE_S / 2) == ["StableSeries"]
    assert tracking.wait(AGE_S / 2) == ALL


def test_an_instance_that_the_index_knows_and_the_tracker_not_yet_keeps_all_waiting(tracking: Tracking) -> None:
    tracking.store("1")
    tracking.stage.ask(store_command(instance="2"))  # its announcement is still under way
    assert tracking.wait(AGE_S) == []
    tracking.deliver()
    assert tracking.wait(AGE_S) == ALL


def test_series_of_one_commit_become_stable_before_their_study(tracking: Tracking) -> None:
    tracking.stage.run(*(store_command(series=f"R{number}", instance=str(number)) for number in range(3)))
    tracking.deliver()
    assert tracking.wait(AGE_S) == ["StableSeries"] * 3 + ["StableStudy", "StablePatient"]


def test_what_is_deleted_meanwhile_never_becomes_stable(tracking: Tracking) -> None:
    tracking.store("1", series="R1")
    tracking.store("2", series="R2")
    tracking.stage.ask(delete_command("P", "S", "R1"))
    assert tracking.wait(AGE_S) == ALL  # of R2, the study and the patient
    with tracking.stage.views.snapshot() as snapshot:
        assert not list(snapshot.keys(UNSTABLE, b""))


def test_what_is_deleted_and_sent_again_waits_from_its_new_life(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.advance(AGE_S / 2)
    tracking.stage.ask(delete_command("P"))
    tracking.store()
    assert tracking.wait(AGE_S / 2) == []
    assert tracking.wait(AGE_S / 2) == ALL


# -- scripts that know better --------------------------------------------------------------------------------------------


def test_what_a_script_declares_stable_is_so_at_once_and_not_a_second_time(tracking: Tracking) -> None:
    tracking.store()
    assert tracking.set_stability("P", "S", is_stable=True)
    assert not tracking.set_stability("P", "S", is_stable=True)
    with tracking.stage.views.snapshot() as snapshot:
        (change,) = get_changes(snapshot, types=["StableStudy"]).changes
        assert snapshot.get_resource(Level.STUDY, snapshot.find(chain("P", "S"))[1]).is_stable  # type: ignore[index]  # it is there
    assert change.resource == chain("P", "S")
    assert tracking.wait(AGE_S) == ["StableSeries", "StablePatient"]


def test_what_a_script_declares_stable_waits_again_after_another_instance(tracking: Tracking) -> None:
    tracking.store("1")
    tracking.set_stability("P", "S", is_stable=True)
    tracking.store("2")
    assert tracking.wait(AGE_S) == ALL


def test_what_a_script_declares_unstable_waits_the_whole_age_anew(tracking: Tracking) -> None:
    tracking.store()
    assert tracking.wait(AGE_S) == ALL
    assert tracking.set_stability("P", "S", is_stable=False)
    with tracking.stage.views.snapshot() as snapshot:
        assert [U64.unpack(row_key)[0] for row_key in snapshot.keys(UNSTABLE, b"")] == [3]
    assert tracking.wait(AGE_S - 1) == []
    assert tracking.wait(1) == ["StableStudy"]
    assert tracking.wait(AGE_S) == []


def test_what_is_not_stable_yet_waits_anew_when_a_script_says_so(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.advance(AGE_S / 2)
    assert not tracking.set_stability("P", is_stable=False)
    assert tracking.wait(AGE_S / 2) == ["StableSeries", "StableStudy"]
    assert tracking.wait(AGE_S / 2) == ["StablePatient"]


def test_a_restart_remembers_since_when_a_script_has_had_it_wait(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.advance(1_000 * AGE_S)
    assert tracking.wait(0) == ALL
    tracking.set_stability("P", "S", is_stable=False)
    tracking.clock.advance(AGE_S / 2)
    tracking.restart()
    assert tracking.wait(AGE_S / 2 - 1) == []
    assert tracking.wait(1) == ["StableStudy"]


# -- restarts -----------------------------------------------------------------------------------------------------------


def test_a_restart_goes_on_waiting_for_what_remains(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.advance(AGE_S / 3)
    tracking.restart()
    assert tracking.wait(AGE_S / 3) == []
    assert sorted(tracking.wait(AGE_S / 3)) == sorted(ALL)


def test_what_ripened_while_nobody_ran_becomes_stable_at_once(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.advance(1_000 * AGE_S)
    tracking.restart()
    assert sorted(tracking.wait(0)) == sorted(ALL)
    tracking.restart()
    assert tracking.wait(AGE_S) == []


def test_a_clock_set_back_by_a_day_makes_no_wait_longer_than_the_stable_age(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.set_by_a_day(-1)
    tracking.restart()
    assert tracking.wait(AGE_S - 1) == []
    assert sorted(tracking.wait(1)) == sorted(ALL)


def test_a_clock_set_forward_by_a_day_stabilizes_at_once_and_only_once(tracking: Tracking) -> None:
    tracking.store()
    tracking.clock.set_by_a_day(1)
    tracking.restart()
    assert sorted(tracking.wait(0)) == sorted(ALL)
    assert tracking.wait(2 * AGE_S) == []


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_set_while_running_changes_nothing(tracking: Tracking, days: int) -> None:
    tracking.store()
    tracking.clock.set_by_a_day(days)
    assert tracking.wait(AGE_S - 1) == []
    assert tracking.wait(1) == ALL


@pytest.mark.parametrize(
    ("elapsed_us", "expected"), [(0, 60), (15_000_000, 45), (60_000_000, 0), (DAY_US, 0), (-1, 60), (-DAY_US, 60)]
)
def test_remaining_time_lies_between_nothing_and_the_stable_age(elapsed_us: int, expected: float) -> None:
    assert remaining_s(DAY_US, DAY_US + elapsed_us, 60.0) == expected


def test_a_restart_in_the_middle_of_a_purge_waits_for_nothing_that_was_deleted(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.core.index.decisions.resources.PURGE_STEP_INSTANCES", 1)
    for number in range(3):
        tracking.store(str(number), series=f"R{number}")
    tracking.stage.ask(delete_command("P"))
    tracking.restart()
    assert tracking.stage.purges
    assert tracking.wait(AGE_S) == []
    tracking.stage.purge_all()
    assert tracking.wait(AGE_S) == []
    assert tracking.due_in_s is None


def test_an_archive_that_ripens_at_once_is_settled_in_parts_and_in_order(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.core.stable.SETTLED_AT_ONCE", 2)
    tracking.store()
    assert tracking.wait(AGE_S) == ALL[:2]
    assert tracking.wait(0) == ALL[2:]  # behind whatever waits in the mailbox; the alarm has rung at once
    assert tracking.due_in_s is None


# -- an index that refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [StorageFull("full"), Busy("no answer")])
def test_what_the_index_cannot_take_is_tried_again(tracking: Tracking, refusal: SinogramError) -> None:
    tracking.store()
    tracking.refusal = refusal
    assert tracking.wait(AGE_S) == []
    assert tracking.asked == 1
    assert tracking.due_in_s == RETRY_S
    assert tracking.wait(RETRY_S) == []
    tracking.refusal = None
    assert tracking.wait(RETRY_S) == ALL
    assert tracking.due_in_s is None


def test_an_instance_that_comes_before_the_retry_starts_the_wait_anew(tracking: Tracking) -> None:
    tracking.store("1")
    tracking.refusal = StorageFull("full")
    assert tracking.wait(AGE_S) == []
    tracking.refusal = None
    tracking.store("2")
    assert tracking.wait(RETRY_S) == []
    assert tracking.wait(AGE_S - RETRY_S) == ALL


def test_the_running_actor_stabilizes_what_was_stored(archive_factory: Callable[..., Core]) -> None:
    archive = archive_factory(stable_age_s=0.0)
    folder = archive.client.open_folder("gateway-1")
    archive.client.store_instance(store_command(folder=folder))
    archive.client.clear_exports()  # now the index has announced the store
    assert archive.stable is not None
    archive.stable.ask(Ripen())
    with archive.views.snapshot() as snapshot:
        assert [change.change_type for change in get_changes(snapshot).changes][-3:] == ALL
        series = snapshot.get(Level.SERIES, chain("P", "S", "R"))
    assert series is not None
