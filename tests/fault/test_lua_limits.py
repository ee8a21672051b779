"""Scripts that misbehave: each ends in a logged error, its caller is answered, and the server goes on.

Here over `/tools/execute-script`, and errors of every type in callbacks of events; `test_lua_stuck.py` has filters and limits of
callbacks. Orthanc hangs or dies of most of these.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data_factory import dataset, encode
from tests.fault.servers import Answer, ServerUnderTest, server_in, wait_for

TIMEOUT_S = 1
SCRIPT = """
function OnStoredInstance(id, tags) print('told of ' .. tags.PatientName) end
function OnDeletedPatient(id) error({}) end
function OnDeletedStudy(id) error(nil) end
function OnDeletedSeries(id) error(false) end
function OnDeletedInstance(id) error(setmetatable({}, {__tostring = function() error('again') end})) end
function OnStablePatient(id) error(1) end
function OnHeartBeat() error({}) end
"""
FAILING = {
    "OnDeletedPatient",
    "OnDeletedStudy",
    "OnDeletedSeries",
    "OnDeletedInstance",
    "OnStablePatient",
    "OnHeartBeat",
}
LOOPS = (
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "repeat coroutine.wrap(function() while true do end end)() until false",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerUnderTest]:
    folder = tmp_path_factory.mktemp("limits")
    script = folder / "deeds.lua"
    script.write_text(SCRIPT)
    options: dict[str, Any] = {
        "LuaScripts": [str(script)],
        "ExecuteLuaEnabled": True,
        "LuaCallbackTimeout": TIMEOUT_S,
        "LuaMemoryLimit": 32,
        "LuaHeartBeatPeriod": 1,
    }
    with server_in(folder, **options) as made:
        made.start()
        yield made


def execute(server: ServerUnderTest, script: str) -> Answer:
    return server.request("POST", "/tools/execute-script", script.encode())


_number = iter(range(1, 1000))


def store(server: ServerUnderTest, name: str) -> Answer:
    return server.request("POST", "/instances", encode(dataset(next(_number), PatientName=name)))


def assert_goes_on(server: ServerUnderTest) -> None:
    """Events are told, and scripts are run."""
    number = next(_number)
    store(server, f"life_{number}")
    wait_for(lambda: f"told of life_{number}" in server.log, "the next event to be told")
    assert execute(server, "print(6 * 7)").body == b"42\n"


@pytest.mark.parametrize("script", LOOPS)
def test_an_endless_script_is_stopped(server: ServerUnderTest, script: str) -> None:
    answer = execute(server, script)
    assert (answer.status, answer.json["OrthancStatus"]) == (500, 2031)
    assert "stopped after 1 seconds" in answer.json["Details"]
    assert_goes_on(server)


@pytest.mark.parametrize(
    "script",
    ["local t = {} for i = 1, 1e12 do t[i] = ('x'):rep(100000) .. i end", "local s = 'x' while true do s = s .. s end"],
)
def test_a_memory_hog_is_stopped(server: ServerUnderTest, script: str) -> None:
    answer = execute(server, script)
    assert (answer.status, answer.json["OrthancStatus"]) == (500, 2031)
    assert "not enough memory" in answer.json["Details"]
    assert_goes_on(server)


def test_the_process_cannot_be_ended(server: ServerUnderTest) -> None:
    assert "os.exit() is not allowed" in execute(server, "os.exit(3)").json["Details"]
    assert_goes_on(server)


@pytest.mark.parametrize(
    "error", ["nil", "{}", "false", "true", "print", "setmetatable({}, {__tostring = function() error('x') end})"]
)
def test_an_error_may_be_anything(server: ServerUnderTest, error: str) -> None:
    answer = execute(server, f"error({error})")
    assert answer.status == 500
    assert_goes_on(server)


@pytest.mark.nightly
def test_a_function_of_c_that_does_not_return_costs_the_interpreter(server: ServerUnderTest) -> None:
    """The process is killed and replaced; what scripts have kept in it is lost, what the configuration names is there."""
    before = {name: pid for name, pid in server.named().items() if "lua" in name}
    assert execute(server, "kept = 1").status == 200
    answer = execute(server, "string.find(('a'):rep(40), ('a?'):rep(40) .. ('a'):rep(40) .. 'b')")
    assert answer.status in {500, 503}
    wait_for(lambda: {name: pid for name, pid in server.named().items() if "lua" in name} != before, "another process")
    wait_for(lambda: execute(server, "print(kept)").body == b"nil\n", "the new interpreter")
    assert_goes_on(server)


def test_errors_of_any_type_in_callbacks_are_counted_and_hold_up_nothing(server: ServerUnderTest) -> None:
    uploaded = store(server, "to be deleted").json
    wait_for(lambda: "OnStablePatient" in {each["Callback"] for each in failures(server)}, "a failure")
    assert server.request("DELETE", f"/patients/{uploaded['ParentPatient']}").status == 200
    assert_goes_on(server)
    wait_for(lambda: FAILING.issubset(each["Callback"] for each in failures(server)), "the failures")
    wait_for(lambda: "OnHeartBeat" in server.log, "a heart beat to fail")


def failures(server: ServerUnderTest) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/lua/status")["LastFailures"]
    return found


def test_limits_may_be_off_and_the_libraries_too(tmp_path: Path) -> None:
    script = tmp_path / "sandboxed.lua"
    script.write_text("print('sandbox', io, os, package, require, dofile, CallSystem)")
    options: dict[str, Any] = {
        "LuaScripts": [str(script)],
        "LuaSandbox": True,
        "LuaCallbackTimeout": 0,
        "LuaMemoryLimit": 0,
        "ExecuteLuaEnabled": True,
    }
    with server_in(tmp_path, **options) as made:
        made.start()
        assert "Lua says: sandbox, nil, nil, nil, nil, nil, nil" in made.log
        assert execute(made, "print(#('x'):rep(100 << 20))").body == b"104857600\n"
        assert made.stop() == 0
