"""`POST /tools/execute-script`, and requests of scripts that are answered in process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from events.errors import Busy
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.scripts_stage import Scripts, run_scripts
from tools.server.core import Core

EXECUTE = "/tools/execute-script"


@contextmanager
def executing(archive: Core, script: str = "") -> Iterator[tuple[RestStage, Scripts]]:
    with (
        run_scripts(script) as scripts,
        rest_stage(archive, scripts=scripts.client, execute_lua_enabled=True) as stage,
    ):
        yield stage, scripts


def execute(stage: RestStage, source: bytes) -> Answer:
    return stage.ask(EXECUTE, "POST", source)


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        (b"print(1, 'x') print('\xc3\xa9')", b"1, x\n\xc3\xa9\n"),
        (b"print('\\255')", b"\xff\n"),
        (b"return 42", b""),
        (b"", b""),
        (b"print('a')\0print('b')", b"a\n"),
    ],
)
def test_a_script_is_executed(archive: Core, source: bytes, printed: bytes) -> None:
    with executing(archive) as (stage, _):
        answer = execute(stage, source)
        assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/plain", printed)


def test_what_a_script_leaves_behind_the_next_one_finds(archive: Core) -> None:
    with executing(archive, "greeting = 'hello'") as (stage, scripts):
        execute(stage, b"function IncomingHttpRequestFilter() return true end")
        assert scripts.client.defines("IncomingHttpRequestFilter")
        assert execute(stage, b"print(greeting, type(IncomingHttpRequestFilter))").body == b"hello, function\n"


@pytest.mark.parametrize(
    ("source", "details"),
    [
        (b"print(1) error('boom')", '[string "line"]:1: boom'),
        (b"x x x", "[string \"line\"]:1: syntax error near 'x'"),
    ],
)
def test_a_script_that_fails(archive: Core, source: bytes, details: str) -> None:
    with executing(archive) as (stage, _):
        answer = execute(stage, source)
    assert answer.status == 500
    assert json.loads(answer.body) == {
        "Details": details,
        "HttpError": "Internal Server Error",
        "HttpStatus": 500,
        "Message": "Cannot execute a Lua command",
        "Method": "POST",
        "OrthancError": "Cannot execute a Lua command",
        "OrthancStatus": 2031,
        "Uri": EXECUTE,
    }


def test_the_script_carries_the_correlation_of_its_request(archive: Core) -> None:
    with executing(archive) as (stage, scripts):
        execute(stage, b"")
        execute(stage, b"")
    first, second = [asked.correlation for asked in scripts.asked]
    assert len(first) == 8
    assert first != second


def test_long_scripts_and_answers_pass(archive: Core) -> None:
    with executing(archive) as (stage, _):
        answer = execute(stage, b"local text = '" + b"x" * 5_000_000 + b"' print(text)")
        assert (answer.status, len(answer.body)) == (200, 5_000_001)


def test_what_is_longer_than_the_bridge_takes_is_refused(archive: Core) -> None:
    with executing(archive) as (stage, _):
        assert execute(stage, b"-- " + b"x" * (16 << 20)).status == 400
        answer = execute(stage, b"print(string.rep('x', 1 << 24))")
        assert (answer.status, json.loads(answer.body)["Details"]) == (500, "the script has printed more than 16 MB")


@pytest.mark.parametrize("is_enabled", [True, False])
def test_execution_has_to_be_enabled(archive: Core, caplog: pytest.LogCaptureFixture, *, is_enabled: bool) -> None:
    with run_scripts("") as scripts:
        client = None if is_enabled else scripts.client  # one of the two is missing
        with rest_stage(archive, scripts=client, execute_lua_enabled=is_enabled) as stage:
            answer = execute(stage, b"print(1)")
            assert (answer.status, answer.body, "Content-Type" in answer.headers) == (403, b"", False)
            assert "execute-script" in json.loads(stage.ask("/tools").body)
        assert scripts.asked == []
    assert "ExecuteLuaEnabled" in caplog.text  # the answer has no body, as in Orthanc


def test_it_is_posted_to(archive: Core) -> None:
    with executing(archive) as (stage, _):
        answer = stage.ask(EXECUTE)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_an_interpreter_without_time(archive: Core) -> None:
    waited: list[float] = []

    def ask(_values: object, timeout_s: float) -> None:
        waited.append(timeout_s)
        raise Busy("the Lua interpreter is busy with another callback")

    client = ScriptsClient(Board(), ask)
    with rest_stage(archive, scripts=client, execute_lua_enabled=True, execute_lua_timeout_s=7.0) as stage:
        answer = execute(stage, b"")
    assert answer.status == 503
    assert json.loads(answer.body)["Details"] == "the Lua interpreter is busy with another callback"
    assert waited == [7.0]
