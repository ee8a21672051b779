"""The wish that something ends at once."""

import pytest

from actors.wire.errors import Interrupted
from actors.wire.interruption import Interruption


def test_whoever_watches_is_told_once() -> None:
    told: list[int] = []
    interruption = Interruption()
    with interruption.watch(lambda: told.append(1)), interruption.watch(lambda: told.append(2)):
        interruption.interrupt()
    assert told == [1, 2]


def test_whoever_has_left_is_not_told() -> None:
    told: list[int] = []
    interruption = Interruption()
    with interruption.watch(lambda: told.append(1)):
        pass
    interruption.interrupt()
    assert told == []


def test_whoever_comes_late_is_told_at_once() -> None:
    told: list[int] = []
    interruption = Interruption()
    interruption.interrupt()
    with interruption.watch(lambda: told.append(1)):
        assert told == [1]


def test_check_raises_once_it_is_told() -> None:
    interruption = Interruption()
    interruption.check()
    interruption.interrupt()
    assert interruption.is_set
    with pytest.raises(Interrupted):
        interruption.check()
