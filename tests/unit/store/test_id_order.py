"""Pages of identifiers are those of the sorted list, wherever they begin and whatever was deleted."""

import random
from collections.abc import Iterator

import pytest

from events.identifiers import Level, ResourceId
from store.boot import rebuild
from store.projections.id_counts import COUNTS
from store.tables import ID_COUNTS
from store.views import id_order
from store.views.id_order import list_page, list_pieces
from tests.index_stage import IndexStage, chain, delete_command, store_command

PATIENTS = 40
PER_SERIES = 6


def names(patient: int, instance: int) -> tuple[str, str, str, str]:
    return f"P{patient}", f"S{patient}", f"R{patient}", f"I{patient}-{instance}"


@pytest.fixture
def filled(stage: IndexStage) -> IndexStage:
    for patient in range(PATIENTS):
        stage.run(*(store_command(*names(patient, instance)) for instance in range(PER_SERIES)))
    return stage


def expected(level: Level, *, without: frozenset[int] = frozenset()) -> list[ResourceId]:
    some = [patient for patient in range(PATIENTS) if patient not in without]
    if level == Level.INSTANCE:
        return sorted(chain(*names(patient, instance)) for patient in some for instance in range(PER_SERIES))
    return sorted(chain(*names(patient, 0)[: int(level)]) for patient in some)


def page(stage: IndexStage, level: Level, since: int, limit: int) -> list[ResourceId]:
    with stage.views.snapshot() as s:
        return list_page(s, level, since, limit)


def count(stage: IndexStage, level: Level) -> int:
    with stage.views.snapshot() as s:
        return sum(
            sum(COUNTS.unpack(s.row(ID_COUNTS, row_key) or b"")) for row_key in s.keys(ID_COUNTS, bytes((level,)))
        )


@pytest.mark.parametrize("level", Level)
def test_every_page_is_that_part_of_the_sorted_list(filled: IndexStage, level: Level) -> None:
    whole = expected(level)
    for since in (*range(len(whole)), len(whole), len(whole) + 1, 10**9):
        for limit in (1, 3, 1_000):
            assert page(filled, level, since, limit) == whole[since : since + limit], (since, limit)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize(("since", "limit"), [(0, 0), (0, 13), (11, 0), (11, 13), (0, 14), (500, 0)])
def test_a_list_in_pieces_is_the_list(
    filled: IndexStage, level: Level, since: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(id_order, "PIECE_IDS", 7)
    pieces = list(list_pieces(filled.views, level, since, limit))
    assert [each for piece in pieces for each in piece] == expected(level)[since:][: limit or None]
    assert all(len(piece) == 7 for piece in pieces[:-1])


def test_what_is_deleted_leaves_no_gap(filled: IndexStage) -> None:
    gone = frozenset((3, 7, 8))
    for patient in gone:
        filled.ask(delete_command(f"P{patient}"))
    filled.purge_all()
    for level in Level:
        whole = expected(level, without=gone)
        assert count(filled, level) == len(whole)
        assert [each for since in range(0, 300, 9) for each in page(filled, level, since, 9)] == whole


def test_what_is_being_purged_is_not_shown(filled: IndexStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.core.index.decisions.resources.PURGE_STEP_INSTANCES", 2)
    filled.ask(delete_command("P5"))
    assert filled.purges
    for level in Level:
        assert page(filled, level, 0, 1_000) == expected(level, without=frozenset((5,)))


def test_an_instance_that_comes_again_amid_its_purge_is_counted_once(
    filled: IndexStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.core.index.decisions.resources.PURGE_STEP_INSTANCES", 1)
    filled.ask(delete_command("P5"))
    assert filled.purges
    for instance in range(PER_SERIES):
        filled.ask(store_command(*names(5, instance)))
    filled.purge_all()
    for level in Level:
        assert count(filled, level) == len(expected(level))
        assert page(filled, level, 0, 1_000) == expected(level)


def test_a_list_goes_on_behind_what_was_deleted_meanwhile(filled: IndexStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_order, "PIECE_IDS", 10)
    pieces = list_pieces(filled.views, Level.PATIENT)
    first = next(pieces)
    gone = next(patient for patient in range(PATIENTS) if chain(f"P{patient}") == first[-1])
    filled.ask(delete_command(f"P{gone}"))
    filled.purge_all()
    assert [*first, *(each for piece in pieces for each in piece)] == expected(Level.PATIENT)


def test_an_archive_without_counts_gets_those_that_it_would_have_had(filled: IndexStage) -> None:
    filled.ask(delete_command("P5"))
    filled.purge_all()
    with filled.env.begin() as txn:
        before = dict(txn.cursor(db=filled.env.tables[ID_COUNTS]))
    with filled.env.begin(write=True) as txn:
        txn.drop(filled.env.tables[ID_COUNTS], delete=False)
    rebuild(filled.env, "id-counts")
    with filled.env.begin() as txn:
        assert dict(txn.cursor(db=filled.env.tables[ID_COUNTS])) == before


def test_of_few_among_many_only_their_own_parts_are_read(filled: IndexStage, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    identifiers = id_order._identifiers

    def counting(*given: object) -> Iterator[ResourceId]:
        nonlocal read
        read += 1
        yield from identifiers(*given)  # type: ignore[arg-type]  # as they were given

    monkeypatch.setattr(id_order, "_identifiers", counting)
    chance = random.Random(1)
    for since in (0, 20, chance.randrange(200), 239):
        read = 0
        page(filled, Level.INSTANCE, since, 5)
        assert 1 <= read <= 5
