"""`POST /lua/replay`: what can be asked, and what is made of what its process tells. The process itself: `tests/fault/test_lua_replay_process.py`."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from actors.services.scripts.heartbeat import Activity
from actors.services.scripts.replays import ReplayWanted
from actors.wire import metrics
from tests.contract.http_serving import DEADLINE_S, serving
from tests.contract.rest_stage import Answer, RestStage, environ_of, error_of, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

ROUTE = "/lua/replay"
SCRIPTS = [{"Name": "new.lua", "Source": "print(1)"}]


class Actor:
    """Stands for the process of a replay, and says what it is told to."""

    def __init__(self, wanted: ReplayWanted, says: bytes, *, is_stuck: bool = False) -> None:
        self.wanted = wanted
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.sendall(says)
        self._is_stuck = is_stuck
        if not is_stuck:
            self._theirs.close()
        self.has_ended = False

    @property
    def fd(self) -> int:
        return self._ours.fileno()

    def look(self) -> tuple[int, Activity]:
        name = "OnStoredInstance" if self._is_stuck else ""
        return 7, Activity(name=name, started_s=0.0, beat_s=0.0, deadline_s=0.0, waiting=False)

    def is_stuck(self) -> bool:
        return self._is_stuck

    def end(self) -> None:
        self.has_ended = True
        self._ours.close()
        self._theirs.close()


def ask(stage: RestStage, body: Any) -> Answer:
    return stage.ask(ROUTE, "POST", body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(_: ReplayWanted) -> Any:
    raise AssertionError("nothing is to be started")


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 400, "JSON object"),
        ([], 400, "JSON object"),
        ({}, 400, "no LuaScripts"),
        ({"Scripts": []}, 400, '"Scripts"'),
        ({"Scripts": ["x"]}, 400, '"Scripts"'),
        ({"Scripts": [{}]}, 400, "Source"),
        ({"Scripts": [{"Source": 1}]}, 400, "Source"),
        ({"Scripts": [{"Source": "", "Name": ""}]}, 400, "Name"),
        ({"Scripts": [{"Source": "", "Name": "a\nb"}]}, 400, "Name"),
        ({"Scripts": [{"Source": "", "Name": "a" * 101}]}, 400, "Name"),
        ({"Scripts": SCRIPTS * 51}, 400, "50"),
        ({"Scripts": SCRIPTS, "Last": -1}, 400, "Last"),
        ({"Scripts": SCRIPTS, "Last": "1"}, 400, "Last"),
        ({"Scripts": SCRIPTS, "Since": 1, "Last": 1}, 400, "by one of these"),
        ({"Scripts": SCRIPTS, "From": "2026-01-01T00:00:00Z", "Until": 1}, 400, "by one of these"),
        ({"Scripts": SCRIPTS, "From": "yesterday"}, 400, "ISO 8601"),
        ({"Scripts": SCRIPTS, "To": "2026-01-01T00:00:00"}, 400, "zone"),
    ],
)
def test_what_cannot_be_read_is_refused(archive: Core, body: Any, status: int, told: str) -> None:
    with rest_stage(archive, execute_lua_enabled=True, start_replay=refused) as stage:
        answer = error_of(ask(stage, body))
    assert answer[0] == status
    assert told in answer[2]


def test_it_is_forbidden_where_scripts_are_not_to_be_executed(archive: Core) -> None:
    with rest_stage(archive, start_replay=refused) as stage:
        assert ask(stage, {"Scripts": SCRIPTS}).status == 403
        assert stage.ask(ROUTE).status in {404, 405}


@pytest.fixture
def wanted(archive: Core) -> Any:
    """Ask for a replay; returns what its process would be told."""
    asked: list[ReplayWanted] = []

    def start(wanted: ReplayWanted) -> Actor:
        asked.append(wanted)
        return Actor(wanted, b"")

    with rest_stage(archive, execute_lua_enabled=True, lua_scripts=("a.lua",), start_replay=start) as stage:
        for number in range(1, 4):
            assert stage.upload(encode(dataset(1, 1, 1, number))).status == 200  # events 1 to 4, 5, 6

        def ask_for(**body: Any) -> ReplayWanted:
            given = json.dumps(body).encode()
            started: list[Any] = []
            stream: Any = stage.app(_environ(given), lambda status, *_: started.append(status))
            assert started[0].startswith("200"), started
            stream.close()
            return asked[-1]

        yield stage, ask_for


def _environ(body: bytes) -> dict[str, Any]:
    return environ_of(ROUTE, "POST", body, {})


@pytest.mark.parametrize(
    ("body", "since", "until"),
    [
        ({}, 1, 6),
        ({"Last": 2}, 5, 6),
        ({"Last": 0}, 7, 6),
        ({"Last": 100}, 1, 6),
        ({"Since": 2}, 2, 6),
        ({"Until": 3}, 1, 3),
        ({"Since": 0, "Until": 100}, 1, 6),
        ({"Since": 5, "Until": 4}, 5, 4),
        ({"From": "2000-01-01T00:00:00Z"}, 1, 6),
        ({"To": "2000-01-01T00:00:00+01:00"}, 1, 0),
        ({"From": "2100-01-01T00:00:00Z"}, 7, 6),
    ],
)
def test_events_are_chosen(wanted: Any, body: Any, since: int, until: int) -> None:
    found = wanted[1](**body)
    assert (found.scripts, found.since, found.until) == (None, since, until)


def test_events_are_chosen_by_their_times(wanted: Any) -> None:
    stage, ask_for = wanted
    told = json.loads(stage.ask("/events?limit=1000").body)["Events"]
    times = [datetime.fromtimestamp(0, UTC) + timedelta(microseconds=event["AtMicroseconds"]) for event in told]
    for moment in {times[0], times[3], times[4], times[5]}:
        same = [number for number, time in enumerate(times, start=1) if time == moment]
        assert ask_for(From=moment.isoformat()).since == same[0]
        assert ask_for(To=moment.isoformat()).until == same[-1]


def test_scripts_are_taken_as_they_come(wanted: Any) -> None:
    given = [{"Name": "a.lua", "Source": "-- \u00e9"}, {"Source": "x\0y"}]
    assert wanted[1](Scripts=given).scripts == (("a.lua", b"-- \xc3\xa9"), ("script.lua", b"x\0y"))


# -- the answer -----------------------------------------------------------------------------------------------------------

END = b'{"Done":true,"Message":null}\n'


def replayed(archive: Core, make: Callable[[ReplayWanted], Actor]) -> list[dict[str, Any]]:
    with (
        rest_stage(archive, execute_lua_enabled=True, start_replay=make) as stage,
        serving(stage.app, silence_s=30.0, is_alone=False) as (host, port),
    ):
        answer = httpx.post(f"http://{host}:{port}{ROUTE}", json={"Scripts": SCRIPTS}, timeout=DEADLINE_S)
    assert metrics.SCRIPT_REPLAYS.total() == 0
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines() if line]


def test_lines_are_passed_on_whole(archive: Core) -> None:
    long = json.dumps({"Text": "x" * 200_000}).encode() + b"\n"
    made: list[Actor] = []

    def make(wanted: ReplayWanted) -> Actor:
        made.append(Actor(wanted, b'{"Position":1}\n' + long[:100_000]))
        return made[-1]

    lines = replayed(archive, make)
    assert lines[:2] == [{"Since": 1, "Until": 0}, {"Position": 1}]
    assert lines[2:] == [{"Done": False, "Message": "The process of the replay has ended before its time"}]
    assert made[0].has_ended
    assert replayed(archive, lambda wanted: Actor(wanted, b'{"Position":1}\n' + END))[1:] == [
        {"Position": 1},
        {"Done": True, "Message": None},
    ]


def test_a_callback_that_is_stuck_is_told_of(archive: Core) -> None:
    stuck, end = replayed(archive, lambda wanted: Actor(wanted, b"", is_stuck=True))[1:]
    assert (stuck["Callback"], stuck["Event"], stuck["Error"]["Cause"]) == ("OnStoredInstance", 7, "time")
    assert end == {"Done": False, "Message": "OnStoredInstance was stuck, and its process has been ended"}


def test_there_are_two_at_once(archive: Core) -> None:
    with rest_stage(archive, execute_lua_enabled=True, start_replay=lambda w: Actor(w, b"")) as stage:
        given = json.dumps({"Scripts": SCRIPTS}).encode()
        streams: list[Any] = [stage.app(_environ(given), lambda *_: None) for _ in range(2)]
        answer = stage.ask(ROUTE, "POST", given)
        assert error_of(answer)[0] == 503
        assert answer.headers["Retry-After"] == "5"
        streams[0].close()
        streams.append(stage.app(_environ(given), lambda *_: None))
        for stream in streams[1:]:
            stream.close()
    assert metrics.SCRIPT_REPLAYS.total() == 0
