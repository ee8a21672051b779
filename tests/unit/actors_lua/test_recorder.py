"""Failures that somebody waits for: recorded apart, and not at the pace of traffic."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.messages.commands.command import Command
from actors.messages.commands.scripts import RecordCallbackFailure
from actors.services.lua.recorder import MOST_RECORDED, WINDOW_S, FailureRecorder
from actors.services.scripts.errors import ScriptFailed


class Stage:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.recorded: list[tuple[str, str]] = []
        self.failures = FailureRecorder(self._begin, lambda: self.now_s)
        self.failures.start()

    def _begin(self, command: Command) -> Callable[[], Any]:
        assert isinstance(command, RecordCallbackFailure)
        self.recorded.append((command.callback, command.message))
        return lambda: None

    def fail(self, callback: str, times: int = 1, message: str = "broken") -> None:
        for _ in range(times):
            self.failures.on_failed(callback, ScriptFailed(message))

    def end(self) -> list[tuple[str, str]]:
        self.failures.stop()
        return self.recorded


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize(
    "callback", ["IncomingHttpRequestFilter", "ReceivedInstanceFilter", "IncomingFindRequestFilter"]
)
def test_a_filter_that_fails_for_each_request_does_not_fill_the_log(stage: Stage, callback: str) -> None:
    stage.fail(callback, MOST_RECORDED + 500)
    stage.now_s += WINDOW_S
    stage.fail(callback, 2)
    told = stage.end()
    assert told[:MOST_RECORDED] == [(callback, "broken")] * MOST_RECORDED
    assert told[MOST_RECORDED:] == [(callback, "broken; 500 more failures were not recorded"), (callback, "broken")]


def test_one_filter_takes_nothing_from_another(stage: Stage) -> None:
    stage.fail("IncomingHttpRequestFilter", 100)
    stage.fail("ReceivedInstanceFilter")
    assert stage.end()[-1] == ("ReceivedInstanceFilter", "broken")


def test_failures_now_and_then_are_all_recorded(stage: Stage) -> None:
    for _ in range(3 * MOST_RECORDED):
        stage.fail("IncomingHttpRequestFilter")
        stage.now_s += WINDOW_S / 5
    assert stage.end() == [("IncomingHttpRequestFilter", "broken")] * (3 * MOST_RECORDED)
