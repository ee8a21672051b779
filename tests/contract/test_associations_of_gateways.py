"""Associations of a server with several gateways: one limit for all of them, and as many for each."""

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.dicom.places import _NOW, _WORDS
from tests.contract.dicom_scu import (
    IMPLICIT_LE,
    VERIFICATION,
    Accepted,
    Answer,
    Closed,
    Rejected,
    Response,
    Scu,
    associate_request,
)
from tests.fault.associations import associations_of
from tests.fault.servers import ServerUnderTest, freeze, kill, server_in, wait_for

GATEWAYS, LIMIT = 3, 12
TOO_MANY = Rejected(2, 3, 2)  # transient, by the presentation layer, local limit exceeded (PS3.8 Table 9-21)
ATTEMPTS = 5  # a gateway that gets no processor time for some 20 ms has its turn taken by another
REQUEST = associate_request([(1, VERIFICATION, (IMPLICIT_LE,))], called="FAULT")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    options = {"GatewayProcesses": GATEWAYS, "DicomMaximumAssociations": LIMIT}
    with server_in(tmp_path_factory.mktemp("server"), **options) as running:
        running.start()
        yield running
        assert running.stop() == 0


def held(server: ServerUnderTest) -> list[int]:
    return sorted(associations_of(server.gateways(), server.dicom_port))


def places_taken(server: ServerUnderTest) -> int:
    """Read how many places the gateways have taken: one is given back a moment after its connection is closed."""
    shared = Path(f"/proc/{server.gateways()[0]}/fd")
    memory = next(entry for entry in shared.iterdir() if "memfd:places" in str(entry.readlink()))
    words = memoryview(memory.read_bytes()).cast("I")
    return sum(words[_NOW::_WORDS].tolist())


def try_one(server: ServerUnderTest, opened: contextlib.ExitStack) -> Answer:
    """Ask for an association, which lasts as long as `opened`."""
    return opened.enter_context(Scu(server.dicom_port)).ask(REQUEST)


def open_one(server: ServerUnderTest, opened: contextlib.ExitStack) -> Scu:
    """Ask for an association until there is a place: those of earlier tests may still be ending."""

    def attempt() -> Scu | None:
        scu = Scu(server.dicom_port)
        if isinstance(scu.ask(REQUEST), Accepted):
            return opened.enter_context(scu)
        scu.socket.close()
        return None

    return wait_for(attempt, "a place")


@contextmanager
def all_taken(server: ServerUnderTest) -> Iterator[list[Scu]]:
    wait_for(lambda: not places_taken(server), "the last test's associations to end")
    with contextlib.ExitStack() as opened:
        yield [open_one(server, opened) for _ in range(LIMIT)]


def test_one_after_the_other_are_spread_evenly(server: ServerUnderTest) -> None:
    def are_spread_evenly() -> bool:
        with all_taken(server):
            return held(server) == [LIMIT // GATEWAYS] * GATEWAYS

    assert any(are_spread_evenly() for _ in range(ATTEMPTS))


def test_no_more_than_the_limit_are_served(server: ServerUnderTest) -> None:
    with all_taken(server) as associations, contextlib.ExitStack() as more:
        assert [try_one(server, more) for _ in range(2 * GATEWAYS)] == [TOO_MANY] * 2 * GATEWAYS
        assert all(isinstance(each.echo(), Response) for each in associations)


def test_a_place_that_becomes_free_is_taken_by_whichever_gateway(server: ServerUnderTest) -> None:
    with all_taken(server) as associations, contextlib.ExitStack() as more:
        for number in range(GATEWAYS):
            associations[number].release()
            associations[number].socket.close()
            open_one(server, more)
            assert try_one(server, more) == TOO_MANY


def test_all_at_once_are_spread_evenly_and_no_more_than_the_limit(server: ServerUnderTest) -> None:
    # Those that are told of the limit may still be counted.
    assert any(min(spread_of_all_at_once(server)) >= LIMIT // GATEWAYS - 1 for _ in range(ATTEMPTS))


def spread_of_all_at_once(server: ServerUnderTest) -> list[int]:
    """Ask for more associations than there are places, all at the same time."""
    wait_for(lambda: not places_taken(server), "the last test's associations to end")
    answers: list[Answer] = []
    with contextlib.ExitStack() as opened:
        threads = [
            threading.Thread(target=lambda: answers.append(try_one(server, opened))) for _ in range(LIMIT + GATEWAYS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        accepted = [answer for answer in answers if isinstance(answer, Accepted)]
        assert len(accepted) == LIMIT
        assert [answer for answer in answers if answer not in accepted] == [TOO_MANY] * GATEWAYS
        return associations_of(server.gateways(), server.dicom_port)


def test_the_places_of_a_gateway_that_dies_are_free_again(server: ServerUnderTest) -> None:
    with all_taken(server) as associations, contextlib.ExitStack() as more:
        victim = max(server.gateways(), key=lambda gateway: associations_of([gateway], server.dicom_port))
        (count,) = associations_of([victim], server.dicom_port)
        kill(victim)
        lost: list[Scu] = []

        def are_lost() -> bool:
            readable = select.select([each.socket for each in associations if each not in lost], [], [], 0)[0]
            lost.extend(each for each in associations if each.socket in readable and each.receive() == Closed())
            return len(lost) == count

        wait_for(are_lost, "the end of the associations of one gateway")
        for _ in lost:
            open_one(server, more)
        assert try_one(server, more) == TOO_MANY
        assert all(isinstance(each.echo(), Response) for each in associations if each not in lost)
        wait_for(lambda: len(server.gateways()) == GATEWAYS, "the gateway's successor")


def test_a_gateway_that_stands_still_keeps_nobody_waiting(server: ServerUnderTest) -> None:
    wait_for(lambda: not places_taken(server), "the last test's associations to end")
    stopped = server.gateways()[0]
    freeze(stopped)
    try:
        with contextlib.ExitStack() as opened:
            assert all(isinstance(try_one(server, opened), Accepted) for _ in range(LIMIT))
            assert try_one(server, opened) == TOO_MANY
    finally:
        os.kill(stopped, signal.SIGCONT)
