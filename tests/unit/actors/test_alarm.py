"""The alarm rings once at the time that was last set; the clock is the test's."""

import threading
from collections.abc import Iterator

import pytest

from actors.core.alarm import Alarm
from tests.clock import Clock

SOON_S = 30  # for what must happen


class Bell:
    """Counts the rings and lets a test wait for the next."""

    def __init__(self, clock: Clock) -> None:
        self.rings = threading.Semaphore(0)
        self.alarm = Alarm("test-alarm", self.rings.release, clock.monotonic)

    def rang(self) -> bool:
        return self.rings.acquire(timeout=SOON_S)

    def is_silent(self) -> bool:
        """Stop the alarm, and tell whether it had no more to ring for."""
        self.alarm.stop()
        return not self.rings.acquire(blocking=False)


@pytest.fixture
def bell(clock: Clock) -> Iterator[Bell]:
    made = Bell(clock)
    yield made
    made.alarm.stop()
    assert not made.alarm._thread.is_alive()


def test_it_rings_once_when_its_time_has_come(bell: Bell, clock: Clock) -> None:
    bell.alarm.set(clock.monotonic())
    assert bell.rang()
    assert bell.is_silent()


def test_it_does_not_ring_before_its_time(bell: Bell, clock: Clock) -> None:
    bell.alarm.set(clock.monotonic() + 3_600)
    assert bell.is_silent()


def test_an_earlier_time_replaces_a_later_one(bell: Bell, clock: Clock) -> None:
    bell.alarm.set(clock.monotonic() + 3_600)
    bell.alarm.set(clock.monotonic() - 1)
    assert bell.rang()
    assert bell.is_silent()


def test_it_can_be_set_again_after_it_rang(bell: Bell, clock: Clock) -> None:
    for _ in range(3):
        bell.alarm.set(clock.monotonic())
        assert bell.rang()
    assert bell.is_silent()


def test_it_can_be_switched_off(bell: Bell, clock: Clock) -> None:
    bell.alarm.set(clock.monotonic() + 3_600)
    bell.alarm.set(None)
    assert bell.is_silent()


def test_a_later_time_replaces_an_earlier_one(bell: Bell, clock: Clock) -> None:
    bell.alarm.set(clock.monotonic() + 0.01)
    bell.alarm.set(clock.monotonic() + 3_600)
    assert bell.is_silent()
