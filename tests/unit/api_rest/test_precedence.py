"""Requests for pixels have rests between them while many instances come in, and only then."""

import pytest

from api.rest.serving.precedence import LONGEST_WAIT_S, LOOK_S, MANY, QUIET_S, REST, Precedence


class Stage:
    """A counter of what came in, and a clock that stands."""

    def __init__(self) -> None:
        self.received = 1000.0
        self.now_s = 50.0
        self.precedence = Precedence(lambda: self.received, lambda: self.now_s)

    def pass_s(self, seconds: float, received: float = 0) -> None:
        self.now_s += seconds
        self.received += received

    def stream(self) -> None:
        """Have many instances come in."""
        self.pass_s(1.01 * LOOK_S, received=2 * MANY)

    def learn(self, worked_s: float) -> None:
        for _ in range(200):
            self.precedence.count(worked_s)

    def waits(self, count: int) -> list[float]:
        return [self.precedence.wait_s() for _ in range(count)]


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.learn(0.001)
    return made


def test_nobody_waits_while_nothing_comes_in(stage: Stage) -> None:
    assert stage.waits(50) == [0.0] * 50
    stage.pass_s(LOOK_S)
    assert stage.waits(50) == [0.0] * 50


def test_requests_come_one_after_the_other_while_many_instances_come_in(stage: Stage) -> None:
    stage.stream()
    assert stage.waits(4) == pytest.approx([0.0, REST * 0.001, REST * 0.002, REST * 0.003])
    stage.pass_s(REST * 0.001)
    assert stage.waits(1) == pytest.approx([REST * 0.003])


def test_a_rest_is_as_long_as_pictures_take(stage: Stage) -> None:
    stage.learn(0.010)
    stage.stream()
    assert stage.waits(2) == pytest.approx([0.0, REST * 0.010])


def test_who_comes_after_the_rest_does_not_wait(stage: Stage) -> None:
    stage.stream()
    for _ in range(10):
        assert stage.waits(1) == [0.0]
        stage.pass_s(REST * 0.0011)


def test_no_wait_is_long_however_many_there_are(stage: Stage) -> None:
    stage.stream()
    assert max(stage.waits(10_000)) == LONGEST_WAIT_S


def test_a_second_after_the_last_nobody_waits(stage: Stage) -> None:
    stage.stream()
    stage.waits(3)
    stage.pass_s(QUIET_S * 0.9)
    assert stage.waits(2)[1] > 0.0
    stage.pass_s(QUIET_S * 0.2)
    assert stage.waits(10) == [0.0] * 10


@pytest.mark.parametrize(
    ("passed_s", "received"), [(1.01 * LOOK_S, MANY - 1), (20.2 * LOOK_S, 20 * MANY), (LOOK_S / 2, 99)]
)
def test_some_instances_now_and_then_are_no_reason_to_wait(stage: Stage, passed_s: float, received: int) -> None:
    stage.pass_s(passed_s, received=received)
    assert stage.waits(5) == [0.0] * 5


def test_a_stream_of_instances_is_seen_after_a_long_time_without_requests(stage: Stage) -> None:
    stage.pass_s(3600)
    stage.stream()
    assert stage.waits(2) == [0.0, 0.0]  # on the average there were few
    stage.stream()
    assert stage.waits(2)[1] > 0.0
