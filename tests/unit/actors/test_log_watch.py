"""The log watch: answers at once who lags behind, later who has caught up, and nobody twice."""

import threading
from typing import Any

import pytest

from actors.core.log_watch import LogWatch
from actors.messages.log_watch import AwaitEvents, LogEnd
from actors.wire.bridge.channel import open_local_channel
from events.errors import Busy, SinogramError
from events.identifiers import Seq
from tests.index_stage import IndexStage, store_command


class Answers(list[Any]):
    def take(self, result: Any, error: SinogramError | None) -> None:
        self.append(result if error is None else type(error))


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def watch() -> LogWatch:
    made = LogWatch()
    made.on_appended(Seq(7))
    return made


def test_who_lags_behind_is_answered_at_once(watch: LogWatch, answers: Answers) -> None:
    watch.on_request(AwaitEvents(6), answers.take)
    watch.on_request(AwaitEvents(0), answers.take)
    assert answers == [7, 7]


def test_who_has_caught_up_is_answered_once_when_the_log_has_grown(watch: LogWatch, answers: Answers) -> None:
    watch.on_request(AwaitEvents(7), answers.take)
    watch.on_request(AwaitEvents(9), answers.take)
    assert answers == []
    watch.on_appended(Seq(9))
    assert answers == [9]
    watch.on_appended(Seq(10))
    watch.on_appended(Seq(11))
    assert answers == [9, 10]


def test_the_end_of_the_log_does_not_move_back(watch: LogWatch, answers: Answers) -> None:
    watch.on_appended(Seq(3))
    watch.on_request(AwaitEvents(6), answers.take)
    assert answers == [7]


def test_who_looks_for_some_tags_is_told_of_those_alone_and_up_to_where_there_are_none(
    watch: LogWatch, answers: Answers
) -> None:
    watch.on_request(AwaitEvents(7, ("a", "b")), answers.take)
    watch.on_request(AwaitEvents(7, ("c",)), answers.take)
    watch.on_appended(Seq(9), {"x"})
    watch.on_appended(Seq(10), {"y", "b"})
    assert answers == [9]
    watch.on_appended(Seq(11), {"c"})
    assert answers == [9, 10]


def test_who_looks_for_some_tags_and_lags_behind_is_told_nothing_of_what_was_before(
    watch: LogWatch, answers: Answers
) -> None:
    watch.on_request(AwaitEvents(5, ("a",)), answers.take)
    assert answers == [5]


@pytest.mark.parametrize("tags", [[], ["a"]])
def test_what_concerns_nobody_is_told_of_after_a_while(tags: list[str]) -> None:
    watch = LogWatch(tail_s=0.0)
    watch.on_appended(Seq(7))
    answered, told = threading.Event(), list[Any]()

    def take(result: Any, error: SinogramError | None) -> None:
        told.append((result, error))
        answered.set()

    watch.on_request(AwaitEvents(7, tuple(tags)), take)
    assert not answered.is_set()
    watch.on_appended(Seq(9), {"x"})
    assert answered.wait(20)
    assert told == [(9, None)]


def test_at_the_stop_everybody_hears_busy(watch: LogWatch, answers: Answers) -> None:
    watch.on_request(AwaitEvents(7), answers.take)
    watch.on_request(AwaitEvents(7, ("a",)), answers.take)
    watch.stop()
    watch.on_request(AwaitEvents(0), answers.take)
    assert answers == [Busy, Busy, Busy]


def test_a_consumer_waits_in_its_own_thread(watch: LogWatch) -> None:
    end = LogEnd(open_local_channel(watch.on_request))
    assert end.wait_beyond(Seq(2)) == 7
    end.close()
    with pytest.raises(Busy):
        end.wait_beyond(Seq(7))


def test_the_index_tells_of_commits_that_appended(stage: IndexStage) -> None:
    stage.announced.heads.clear()
    stage.ask(store_command())
    stage.ask(store_command())
    stage.ask(store_command(instance="J"))
    assert stage.announced.heads == [4, 5]
