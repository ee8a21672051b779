"""The places of associations, as several gateways see them."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator

import pytest

from api.dicom.places import Places, create_places_fd

GATEWAYS = 3


@pytest.fixture
def gateways() -> Iterator[list[Places]]:
    fd = create_places_fd(GATEWAYS)
    made = [Places(fd, number) for number in range(GATEWAYS)]
    for places in made:
        places.open()
    yield made
    os.close(fd)


def whose_turn(gateways: list[Places]) -> int:
    """The one gateway whose turn it is."""
    (number,) = [number for number, places in enumerate(gateways) if places.is_our_turn()]
    return number


def test_the_limit_is_that_of_all_gateways(gateways: list[Places]) -> None:
    assert [gateways[number].take(4) for number in (0, 1, 2, 0)] == [True] * 4
    assert [places.take(4) for places in gateways] == [False] * GATEWAYS
    gateways[1].give_back()
    assert [places.take(4) for places in gateways] == [True, False, False]


def test_a_lower_limit_holds_at_once_and_ends_nothing(gateways: list[Places]) -> None:
    assert gateways[0].take(2)
    assert gateways[1].take(2)
    assert not gateways[2].take(1)
    gateways[0].give_back()
    assert not gateways[2].take(1)
    gateways[1].give_back()
    assert gateways[2].take(1)


def test_the_places_of_a_gateway_that_died_are_free(gateways: list[Places]) -> None:
    assert [gateways[0].take(3), gateways[0].take(3), gateways[1].take(3)] == [True] * 3
    gateways[2].free(0)
    assert [gateways[2].take(3), gateways[2].take(3)] == [True, True]
    assert not gateways[1].take(3)
    gateways[0].open()  # its successor
    gateways[1].give_back()
    assert gateways[0].take(3)


def test_turns_go_round_while_associations_are_held(gateways: list[Places]) -> None:
    for _ in range(10 * GATEWAYS):
        assert gateways[whose_turn(gateways)].take(100)
    assert [places.take(30) for places in gateways] == [False] * GATEWAYS
    gateways[1].give_back()
    assert whose_turn(gateways) == 1


def test_turns_go_round_while_associations_come_and_go(gateways: list[Places]) -> None:
    turns = []
    for _ in range(10 * GATEWAYS):
        turns.append(whose_turn(gateways))
        assert gateways[turns[-1]].take(1)
        gateways[turns[-1]].give_back()
    assert Counter(turns) == dict.fromkeys(range(GATEWAYS), 10)


def test_who_does_not_serve_has_no_turn(gateways: list[Places]) -> None:
    gateways[0].close()
    assert whose_turn(gateways[1:]) == 0
    gateways[0].free(1)
    assert [gateways[2].is_our_turn() for _ in range(3) if gateways[2].take(100)] == [True] * 3


def test_a_server_of_one_gateway_has_always_its_turn() -> None:
    places = Places()
    places.open()
    assert [places.take(2), places.take(2), places.take(2)] == [True, True, False]
    assert places.is_our_turn()


def _take_all(fd: int, number: int, limit: int, taken: "multiprocessing.Queue[int]") -> None:
    places = Places(fd, number)
    taken.put(sum(places.take(limit) for _ in range(limit)))


def test_processes_that_take_at_once_never_take_too_many() -> None:
    limit, fd = 2_000, create_places_fd(GATEWAYS)
    context = multiprocessing.get_context("fork")
    taken: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_take_all, args=(fd, number, limit, taken)) for number in range(GATEWAYS)]
    for process in processes:
        process.start()
    counts = [taken.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    os.close(fd)
    taken.close()
    taken.join_thread()
    assert sum(counts) == limit
