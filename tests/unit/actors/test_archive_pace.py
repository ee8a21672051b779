"""An archive rests while instances come in, and only then."""

from actors.services.archives.pace import LONGEST_REST_S, QUIET_S, REST, Pace


class Stage:
    """A counter of what came in, a clock that stands, and the rests that were taken."""

    def __init__(self) -> None:
        self.received = 1000.0
        self.now_s = 50.0
        self.rests: list[float] = []
        self.pace = Pace(lambda: self.received, lambda: self.now_s, self.rests.append)

    def rest_after(self, worked_s: float) -> list[float]:
        self.rests.clear()
        self.pace.count(worked_s)
        self.pace.rest()
        return list(self.rests)


def test_what_came_before_the_archive_does_not_count() -> None:
    assert Stage().rest_after(0.01) == []


def test_it_rests_while_instances_come_in_and_a_second_longer() -> None:
    stage = Stage()
    stage.received += 1
    assert stage.rest_after(0.01) == [REST * 0.01]
    stage.now_s += QUIET_S * 0.9
    assert stage.rest_after(0.02) == [REST * 0.02]
    stage.now_s += QUIET_S * 0.2
    assert stage.rest_after(0.02) == []
    stage.received += 1
    assert stage.rest_after(0.03) == [REST * 0.03]


def test_work_is_rested_for_once_and_never_for_long() -> None:
    stage = Stage()
    stage.received += 1
    assert stage.rest_after(100.0) == [LONGEST_REST_S]
    assert stage.rest_after(0.0) == [0.0]


def test_the_processor_time_of_work_counts() -> None:
    stage = Stage()
    stage.received += 1
    assert stage.pace.work(sum, range(1_000_000)) == sum(range(1_000_000))
    (rest,) = stage.rest_after(0.0)
    assert rest > 0.0
