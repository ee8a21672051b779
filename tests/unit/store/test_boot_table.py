"""Every row of the boot table holds when its fact does, refuses before anything is written, and in this order."""

from dataclasses import replace

import pytest

from events.errors import BadMedium
from store.boot import FORMAT, TABLE, Action, Facts, Row, plan
from store.environment import NETWORK_FILE_SYSTEMS

CLEAN = Facts()
NEW = Facts(is_new=True, format=None, is_clean=False)

# Row -> facts in which it alone holds.
ALONE: dict[str, Facts] = {
    "network file system": replace(CLEAN, file_system="nfs4"),
    "read-only medium": replace(CLEAN, is_writable=False),
    "folder taken": replace(CLEAN, is_taken=True),
    "newer version": replace(CLEAN, format=FORMAT + 1),
    "no version": replace(CLEAN, format=None),
    "full map": replace(CLEAN, is_map_full=True),
    "storage of another index": replace(CLEAN, is_storage_foreign=True),
    "storage lost": replace(CLEAN, is_storage_lost=True),
    "new": NEW,
    "full disk": replace(CLEAN, is_disk_full=True),
    "not stopped cleanly": replace(CLEAN, is_clean=False),
    "unfinished blobs": replace(CLEAN, leases=1),
    "condemned blobs": replace(CLEAN, condemned=1),
    "unfinished deletion": replace(CLEAN, tombstones=1),
    "outdated read models": replace(CLEAN, outdated=("find",)),
}
REFUSALS = [row for row in TABLE if row.action is Action.REFUSE]
ACTIONS = [row for row in TABLE if row.action is not Action.REFUSE]


def test_every_row_has_its_facts_here_in_the_tables_order() -> None:
    assert [row.when for row in TABLE] == list(ALONE)


def test_an_archive_that_was_stopped_cleanly_needs_nothing() -> None:
    assert plan(CLEAN) == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.when)
def test_a_row_holds_for_its_own_facts_alone(row: Row) -> None:
    assert [when for when, facts in ALONE.items() if row.holds(facts)] == [row.when]


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.when)
def test_a_refusal_says_what_the_operator_must_know(row: Row) -> None:
    with pytest.raises(BadMedium) as refused:
        plan(ALONE[row.when])
    assert str(refused.value) == row.message


@pytest.mark.parametrize("row", ACTIONS, ids=lambda row: row.when)
def test_a_row_that_does_not_refuse_is_planned(row: Row) -> None:
    assert plan(ALONE[row.when]) == [row]


def test_refusals_stand_first_so_that_nothing_is_done_before_them() -> None:
    assert [row.action is Action.REFUSE for row in TABLE] == [True] * len(REFUSALS) + [False] * len(ACTIONS)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda row: row.when)
def test_a_refusal_wins_over_everything_that_would_be_done(refusal: Row) -> None:
    busy = replace(ALONE[refusal.when], is_disk_full=True, is_clean=False, leases=3, condemned=2, tombstones=1)
    with pytest.raises(BadMedium, match=refusal.message):
        plan(busy)


def test_the_first_refusal_is_the_one_that_is_told() -> None:
    worst = replace(CLEAN, file_system="cifs", is_writable=False, is_taken=True, format=99, is_map_full=True)
    worst = replace(worst, is_storage_foreign=True, is_storage_lost=True)
    for row, cure in zip(
        REFUSALS,
        (
            {"file_system": "ext4"},
            {"is_writable": True},
            {"is_taken": False},
            {"format": None},
            {"format": FORMAT},
            {"is_map_full": False},
            {"is_storage_foreign": False},
            {"is_storage_lost": False},
        ),
        strict=True,
    ):
        with pytest.raises(BadMedium, match=row.message):
            plan(worst)
        worst = replace(worst, **cure)  # type: ignore[arg-type]  # each value fits its field
    assert plan(worst) == []


def test_actions_come_in_the_order_in_which_they_must_be_carried_out() -> None:
    cut_off = replace(CLEAN, is_disk_full=True, is_clean=False, leases=3, condemned=2, tombstones=1)
    assert [row.action for row in plan(cut_off)] == [
        Action.WARN_FULL,
        Action.VERIFY_TAIL,
        Action.SWEEP_LEASES,
        Action.REMOVE_CONDEMNED,
        Action.RESUME_PURGES,
    ]


def test_a_new_archive_has_no_tail_to_verify() -> None:
    assert [row.action for row in plan(NEW)] == [Action.INITIALIZE]


def test_every_action_is_some_rows() -> None:
    assert {row.action for row in TABLE} == set(Action)


@pytest.mark.parametrize("file_system", sorted(NETWORK_FILE_SYSTEMS))
def test_no_network_file_system_is_accepted(file_system: str) -> None:
    with pytest.raises(BadMedium, match="network file system"):
        plan(replace(CLEAN, file_system=file_system))


@pytest.mark.parametrize("file_system", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", ""])
def test_local_and_unknown_file_systems_are_accepted(file_system: str) -> None:
    assert plan(replace(CLEAN, file_system=file_system)) == []
