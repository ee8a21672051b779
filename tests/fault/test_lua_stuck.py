"""Scripts that loop, hang, or take all memory: each ends as a recorded error, and the server serves meanwhile.

A loop ends by `LuaCallbackTimeout`, wherever it hides. What hangs in C ends with its process, five seconds later, by the
supervisor. `SINOGRAM_LUA_SECONDS=60` waits for the last attempts, too, half a minute after the first ones.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.services.lua.retries import RETRY_DELAYS_S
from tests.fault.instances import Instance
from tests.fault.scripts import FILTER, MAIN, Gate, gate_in, image, said, with_script
from tests.fault.senders import RestSender, StoreScu
from tests.fault.servers import ServerUnderTest, kill, server_in, wait_for

IS_LONG = int(os.environ.get("SINOGRAM_LUA_SECONDS", "2")) > sum(RETRY_DELAYS_S)
DEADLINE_S = 120.0
OUT_OF_RESOURCES = 0xA700

# What a script does to a patient of this name. Line 3 is where the loops are.
CASES = """
    local function loop()
      while true do end
    end
    local function hog()
      local all = {}
      while true do all[#all + 1] = string.rep('x', 10000000) .. #all end
    end
    local function nest() coroutine.wrap(function() pcall(loop) while true do pcall(loop) end end)() end
    local cases = {
      LOOP = loop,
      PCALL = function() while true do pcall(loop) end end,
      COROUTINE = function() local c = coroutine.create(loop) while true do coroutine.resume(c) end end,
      NESTED = nest,
      STUCK = function() return string.find(string.rep('a', 5000), '.-.-.-.-.-.-b') end,
      HOG = hog,
      HUGE = function() return string.rep('x', 1 << 30) end,
      ERROR = function() error('as it should') end,
      TABLE = function() error({1}) end,
      BYTES = function() error('\\xff\\xfe') end,
      NUMBER = function() return nil + 1 end,
      RECURSE = function() local function f() return 1 + f() end return f() end,
    }
    local function act(name)
      if cases[name] then return cases[name]() end
    end
"""
MESSAGES = {
    "LOOP": "script.lua:3: stopped after 1 seconds",
    "PCALL": "stopped after 1 seconds",
    "COROUTINE": "stopped after 1 seconds",
    "NESTED": "stopped after 1 seconds",
    "HOG": "not enough memory",
    "HUGE": "not enough memory",
    "ERROR": "as it should",
    "TABLE": "(error object is a table value)",
    "BYTES": "script.lua",
    "NUMBER": "attempt to perform arithmetic on a nil value",
    "RECURSE": "stack overflow",
}
FILTERED = tuple(MESSAGES) if IS_LONG else ("LOOP", "NESTED", "HOG", "TABLE", "BYTES")
STORED = """
    function OnStoredInstance(id, tags)
      act(tags.PatientID)
      print('passed ' .. tags.PatientID)
    end
"""
RECEIVED = """
    function ReceivedInstanceFilter(dicom)
      act(dicom.PatientID)
      return true
    end
"""
REQUESTED = """
    function IncomingHttpRequestFilter(method, uri)
      act(uri:sub(2))
      return true
    end
"""
GUARDED: dict[str, object] = {"LuaCallbackTimeout": 1, "LuaMemoryLimit": 200, "GatewayProcesses": 1}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path / "server") as made:
        yield made


def store(server: ServerUnderTest, number: int, patient: str) -> int:
    with StoreScu(server.dicom_port) as sender:
        return sender.store(image(number, patient))


def failures(server: ServerUnderTest, callback: str, attempt: int | None = None) -> list[dict[str, Any]]:
    """Return what the log has of failures of a callback."""
    found = (event["Values"] for event in events(server) if event["Tag"] == "callback-failed/1")
    return [values for values in found if values["callback"] == callback and attempt in {None, values["attempt"]}]


def failed(server: ServerUnderTest) -> int:
    return int(server.get("/lua/status")["Events"]["Failed"])


def events(server: ServerUnderTest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = server.get(f"/events?since={found[-1]['Seq'] if found else 0}&limit=1000")
        found += page["Events"]
        if page["Done"]:
            return found


@pytest.mark.nightly
def test_callbacks_that_do_not_end_are_ended(server: ServerUnderTest) -> None:
    with_script(server, CASES + STORED, **GUARDED).start()
    for number, patient in enumerate(MESSAGES, 1):
        assert store(server, number, patient) == 0
        assert store(server, 100 + number, f"AFTER-{patient}") == 0
    wait_for(lambda: said(server, "passed") == len(MESSAGES), "the others", DEADLINE_S)
    assert all(said(server, f"passed AFTER-{patient}") == 1 for patient in MESSAGES)
    wait_for(lambda: failed(server) >= len(MESSAGES), "the records")
    first = failures(server, "OnStoredInstance", attempt=1)
    for failure, (patient, message) in zip(first, MESSAGES.items(), strict=True):
        assert message in failure["message"], patient
        assert "script.lua" in failure["message"] or patient in {"TABLE", "HOG", "HUGE"}, failure["message"]
        assert failure["delay_ms"] == RETRY_DELAYS_S[0] * 1000
    assert "Error in the Lua callback OnStoredInstance: " in server.log
    assert "script.lua:3: stopped after 1 seconds" in server.log
    wait_for(lambda: failed(server) >= 2 * len(MESSAGES), "the second attempts", DEADLINE_S)
    assert len(failures(server, "OnStoredInstance", attempt=2)) == len(MESSAGES)
    if IS_LONG:
        wait_for(lambda: server.get("/lua/status")["Events"]["Skipped"] == len(MESSAGES), "the last ones", DEADLINE_S)
        assert server.get("/lua/status")["Events"]["Waiting"] == 0
    assert server.named()[MAIN] in server.pids()
    assert server.stop() == 0


def test_a_callback_that_hangs_in_c_dies_with_its_process(server: ServerUnderTest) -> None:
    with_script(server, CASES + STORED, **GUARDED).start()
    first = server.named()[MAIN]
    assert store(server, 1, "STUCK") == 0
    wait_for(lambda: running(server) == "OnStoredInstance", "the callback")
    with RestSender(server) as sender:  # the server serves meanwhile
        assert sender.store(image(2, "AFTER")) == (200, "Success")
    assert store(server, 3, "AFTER") == 0
    assert running(server) == "OnStoredInstance"
    wait_for(lambda: said(server, "passed AFTER") == 2, "the callbacks after it", DEADLINE_S)
    assert server.named()[MAIN] != first
    assert f"serve.killed name={MAIN}: it is stuck in OnStoredInstance" in server.log
    (failure,) = failures(server, "OnStoredInstance")
    assert (failure["attempt"], failure["cause"]) == (1, "time")
    assert "stuck in this callback" in failure["message"]
    if IS_LONG:
        wait_for(lambda: failed(server) == 2, "the second attempt", DEADLINE_S)
        wait_for(lambda: server.get("/lua/status")["Events"]["Skipped"] == 1, "the third", DEADLINE_S)
        assert len(failures(server, "OnStoredInstance")) == 3
        assert store(server, 4, "LATE") == 0
        wait_for(lambda: said(server, "passed LATE") == 1, "a callback after all that")
    assert server.stop() == 0


def running(server: ServerUnderTest) -> str:
    """Return the callback under way in the main interpreter."""
    under_way = server.get("/lua/status")["Interpreters"]["Main"]["Running"]
    return str(under_way["Callback"]) if under_way else ""


@pytest.mark.nightly
def test_filters_of_received_instances_that_do_not_end_refuse(server: ServerUnderTest) -> None:
    with_script(server, CASES + RECEIVED, **GUARDED).start()
    first = server.named()[FILTER]
    for number, patient in enumerate(FILTERED, 1):
        assert store(server, number, patient) == OUT_OF_RESOURCES, patient
        assert store(server, 100 + number, "AFTER") == 0
        wait_for(lambda n=number: failed(server) == n, "its record")  # type: ignore[misc]
        assert MESSAGES[patient] in failures(server, "ReceivedInstanceFilter")[-1]["message"]
    assert server.named()[FILTER] == first
    assert rest_status(server, 50, "ERROR") == 500
    assert store(server, 51, "STUCK") == OUT_OF_RESOURCES
    assert store(server, 52, "AFTER") == 0
    assert server.named()[FILTER] != first
    assert rest_status(server, 53, "STUCK") == 503
    wait_for(lambda: rest_status(server, 54, "AFTER") == 200, "the next interpreter")
    assert {tags["PatientID"] for tags in patients(server)} == {"AFTER"}
    assert server.stop() == 0


def rest_status(server: ServerUnderTest, number: int, patient: str) -> int:
    return server.request("POST", "/instances", image(number, patient).file()).status


def patients(server: ServerUnderTest) -> list[dict[str, str]]:
    return [shown["MainDicomTags"] for shown in server.get("/patients?expand")]


@pytest.mark.nightly
def test_filters_of_requests_that_do_not_end_refuse(server: ServerUnderTest) -> None:
    with_script(server, CASES + REQUESTED, **GUARDED).start()
    for patient in FILTERED:
        answer = server.request("GET", f"/{patient}")
        assert (answer.status, answer.json["OrthancStatus"]) == (500, 2031), patient
        assert server.request("GET", "/system").status == 200
    first = server.named()[MAIN]
    assert server.request("GET", "/STUCK").status == 503
    wait_for(lambda: server.request("GET", "/system").status == 200, "the next interpreter")
    assert server.named()[MAIN] != first
    assert store(server, 1, "MEANWHILE") == 0
    assert server.stop() == 0


def test_the_death_of_an_interpreter_is_no_verdict(server: ServerUnderTest, tmp_path: Path) -> None:
    """Whoever asked it is refused, in time; nothing that it had not accepted is stored."""
    with gate_in(tmp_path) as gate:
        text = Gate.LUA + f"function ReceivedInstanceFilter() take('{gate.path}') return true end"
        with_script(server, text, GatewayProcesses=1).start()
        with StoreScu(server.dicom_port) as sender:
            asking = image(1)
            sender.begin(asking)
            before = time.monotonic()
            kill_when_asked(server, sender, asking)
            assert sender.status() == OUT_OF_RESOURCES
            print(f"refused after {time.monotonic() - before:.1f} s")
        assert server.get("/instances") == []
        gate.open()
        assert store(server, 1, "LUA") == 0


def kill_when_asked(server: ServerUnderTest, sender: StoreScu, instance: Instance) -> None:
    """Send the rest of an instance, and kill the interpreter once it thinks about it."""
    sender.send_rest(instance)

    def is_asked() -> bool:
        return bool(server.get("/lua/status")["Interpreters"]["Filter"]["Running"])

    wait_for(is_asked, "the filter to be asked")
    kill(server.named()[FILTER])
