"""Loading, calling, printing, errors, and bytes that are no text."""

import itertools
import logging
import mmap
from pathlib import Path

import pytest

from actors.services.lua.host_functions import Results
from actors.services.lua.runtime import Interpreter
from actors.services.scripts.errors import Cause, HostError, ScriptFailed
from actors.services.scripts.heartbeat import BETWEEN, SIZE_BYTES, Heartbeat
from actors.services.scripts.limits import Limits


def test_the_last_script_defines_a_callback(tmp_path: Path) -> None:
    for name, value in (("a.lua", 1), ("b.lua", 2)):
        (tmp_path / name).write_text(
            f"function OnStoredInstance() return {value} end\nfunction only_in_{name[0]}() end"
        )
    interpreter = Interpreter()
    interpreter.load_file(tmp_path / "a.lua")
    interpreter.load_file(tmp_path / "b.lua")
    assert interpreter.call("OnStoredInstance") == (2,)
    assert interpreter.defines("only_in_a")
    assert interpreter.defines("only_in_b")


def test_what_is_no_function_is_not_defined() -> None:
    interpreter = Interpreter()
    interpreter.load(b"OnStableStudy = 5 OnStableSeries = setmetatable({}, {__call = function() end})", "f.lua")
    assert not interpreter.defines("OnStableStudy")
    assert not interpreter.defines("OnStableSeries")
    assert not interpreter.defines("OnStablePatient")
    with pytest.raises(ScriptFailed, match="no function OnStableStudy"):
        interpreter.call("OnStableStudy")


def test_a_syntax_error_names_file_and_line() -> None:
    with pytest.raises(ScriptFailed) as failure:
        Interpreter().load(b"function a()\nend\nx = = 1", "/scripts/bad.lua")
    assert failure.value.cause is Cause.SYNTAX
    assert failure.value.message == "/scripts/bad.lua:3: unexpected symbol near '='"


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Interpreter().load_file(tmp_path / "missing.lua")


def test_a_byte_order_mark_is_passed_over() -> None:
    interpreter = Interpreter()
    interpreter.load(b"\xef\xbb\xbfx = 1", "f.lua")
    assert interpreter.execute(b"print(x)") == b"1\n"


def test_binary_chunks_are_refused() -> None:
    with pytest.raises(ScriptFailed, match="attempt to load a binary chunk"):
        Interpreter().load(b"\x1bLuaS\0", "f.lua")
    assert (
        Interpreter()
        .execute(b"print(load(string.dump(function() end)))")
        .startswith(b"nil, attempt to load a binary chunk")
    )
    assert (
        Interpreter().execute(b"print(load('return 1', 'x', 'b'))").startswith(b"nil, attempt to load a binary chunk")
    )


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("error('plain')", "f.lua:1: plain"),
        ("error('no place', 0)", "no place"),
        ("error({code = 1})", "(error object is a table value)"),
        ("error(setmetatable({}, {__tostring = function() return 'told' end}))", "told"),
        ("error(setmetatable({}, {__tostring = function() error('twice') end}))", "error"),
        ("error(nil)", "nil"),
        ("error(true)", "true"),
        ("error(42)", "42"),
        ("error('gr\\xfcn')", "f.lua:1: gr\N{REPLACEMENT CHARACTER}n"),
        ("local t = nil; t.x = 1", "f.lua:1: attempt to index a nil value (local 't')"),
        ("Host()", "f.lua:1: the host says no"),
    ],
)
def test_errors_of_every_type(script: str, message: str) -> None:
    def host() -> None:
        raise HostError("the host says no")

    interpreter = Interpreter({"Host": host})
    interpreter.load(f"function Callback() {script} end".encode(), "f.lua")
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback")
    assert failure.value.cause is Cause.ERROR
    assert failure.value.message == message
    assert interpreter.execute(b"print(1)") == b"1\n"


def test_an_error_has_a_trace() -> None:
    interpreter = Interpreter()
    interpreter.load(b"local function inner()\nerror('x') end\nfunction Callback()\ninner() end", "f.lua")
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback")
    assert "f.lua:2: in upvalue 'inner'" in failure.value.trace
    assert "f.lua:4: in function" in failure.value.trace


def test_all_results_come_back() -> None:
    interpreter = Interpreter()
    interpreter.load(
        b"function Nothing() end function Nil() return nil end function Three() return true, nil, 'x' end", "f.lua"
    )
    assert interpreter.call("Nothing") == ()
    assert interpreter.call("Nil") == (None,)
    assert interpreter.call("Three") == (True, None, b"x")


def test_results_that_cannot_be_copied_fail_the_callback() -> None:
    interpreter = Interpreter()
    interpreter.load(b"function Own() local t = {} t[1] = t return t end function Key() return {[{}] = 1} end", "f.lua")
    with pytest.raises(ScriptFailed, match="holds itself"):
        interpreter.call("Own")
    with pytest.raises(ScriptFailed, match="neither a string nor a number"):
        interpreter.call("Key")


def test_tables_that_share_members_cannot_explode() -> None:
    script = b"local t = {1} for i = 1, 60 do t = {t, t} end print(pcall(DumpJson, t))"
    assert b"too many members" in Interpreter().execute(script)
    script = b"local t = {} t.t = t print(pcall(DumpJson, t))"
    assert b"holds itself" in Interpreter().execute(script)


def test_host_functions_return_none_one_or_several() -> None:
    interpreter = Interpreter({"None_": Results, "Nil": lambda: None, "Two": lambda: Results((1, [2]))})
    script = b"print(select('#', None_()), select('#', Nil()), select('#', Two()), DumpJson({Two()}))"
    assert interpreter.execute(script) == b"0, 1, 2, [1,[2]]\n"


def test_print_goes_to_the_output_and_into_the_answer() -> None:
    lines: list[bytes] = []
    interpreter = Interpreter(output=lines.append)
    interpreter.define("Nested", lambda: interpreter.execute(b"print('inner')"))
    assert interpreter.execute(b"print('a') print(Nested())") == b"a\ninner\ninner\n\n"
    interpreter.load(b"print('loading')", "f.lua")
    assert lines == [b"a", b"inner", b"inner\n", b"loading"]


def test_bytes_that_are_no_text_pass() -> None:
    body = bytes(range(256)) * 20_000  # 5 MB
    seen: list[bytes] = []
    interpreter = Interpreter({"Send": seen.append, "Receive": lambda: body})
    interpreter.load(b"function Callback(data) Send(data) Send(Receive()) return data, #data end", "f.lua")
    assert interpreter.call("Callback", body) == (body, len(body))
    assert seen == [body, body]


def test_names_that_are_no_text_pass() -> None:
    interpreter = Interpreter()
    interpreter.load(b"function Callback(t) return t['\xff\\0k'], t end", "f.lua")
    assert interpreter.call("Callback", {b"\xff\0k": b"\xfe"}) == (b"\xfe", {b"\xff\0k": b"\xfe"})


def test_json_of_five_megabytes() -> None:
    interpreter = Interpreter()
    interpreter.load(b"function Callback(s) return DumpJson(ParseJson(s), true) == s end", "f.lua")
    assert interpreter.call("Callback", b'["' + b"x" * 5_000_000 + b'"]') == (True,)


@pytest.mark.parametrize(
    "script",
    ["ParseJson()", "ParseJson({})", "ParseJson('1', 2)", "DumpJson()", "DumpJson(1, 2)", "DumpJson(1, true, 3)"],
)
def test_bad_parameters_are_logged_and_nil(script: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Interpreter().execute(f"print({script})".encode()) == b"nil\n"
    assert f"Lua: Bad parameters to {script.partition('(')[0]}()" in caplog.text


def test_an_unexpected_exception_is_logged_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    Interpreter({"Broken": lambda: 1 / 0}).execute(b"pcall(Broken)")
    assert "lua-function-failed Broken" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_the_heartbeat_tells_what_runs() -> None:
    now = [100.0]
    heart = Heartbeat(mmap.mmap(-1, SIZE_BYTES), lambda: now[0])
    seen = []

    def host() -> None:
        seen.append(heart.read())
        interpreter.call("Inner")
        seen.append(heart.read())

    interpreter = Interpreter(
        {"Host": host, "Look": lambda: seen.append(heart.read())},
        limits=Limits(timeout_s=60),
        pulse=heart,
        clock=lambda: now[0],
    )
    interpreter.load(b"function Inner() Look() end function Callback() Host() end", "f.lua")
    interpreter.call("Callback")
    assert [(row.name, row.waiting, row.deadline_s) for row in seen] == [
        ("Callback", True, 160.0),
        ("Inner", True, 160.0),
        ("Callback", True, 160.0),
    ]
    assert heart.read().name == ""
    assert not heart.read().is_stuck(1e9, 1, 1)


def test_a_callback_that_misses_its_deadline_is_stuck() -> None:
    heart = Heartbeat(mmap.mmap(-1, SIZE_BYTES), lambda: 100.0)
    heart.started("OnStoredInstance", 160.0)
    assert not heart.read().is_stuck(169.0, 10.0, 20.0)
    assert heart.read().is_stuck(171.0, 10.0, 20.0)
    heart.waits(True)
    assert not heart.read().is_stuck(171.0, 10.0, 20.0)
    assert heart.read().is_stuck(181.0, 10.0, 20.0)
    heart.waits(False)
    heart.ended()
    assert not heart.read().is_stuck(1e9, 10.0, 20.0)


def test_what_is_done_between_callbacks_has_its_time_after_each_of_them() -> None:
    now = [100.0]
    heart = Heartbeat(mmap.mmap(-1, SIZE_BYTES), lambda: now[0])
    heart.between(90.0)
    heart.started("OnDeletedInstance", 400.0)
    now[0] = 399.0
    heart.ended()
    assert (heart.read().name, heart.read().deadline_s) == (BETWEEN, 489.0)
    heart.ended()
    assert heart.read().name == ""


@pytest.mark.parametrize("body", ["while true do end", "pcall(function() while true do end end)", "Nested()"])
def test_a_callback_is_broken_off_though_nothing_limits_it(body: str) -> None:
    looks = itertools.count()

    def clock() -> float:
        if next(looks) > 100:
            interpreter.break_off()
        return 0.0

    interpreter = Interpreter({"Nested": lambda: interpreter.call("Endless")}, limits=Limits(timeout_s=0), clock=clock)
    interpreter.load(f"function Endless() while true do end end function Callback() {body} end".encode(), "f.lua")
    with pytest.raises(ScriptFailed):
        interpreter.call("Callback")
    interpreter.go_on()
    looks = itertools.count()
    assert interpreter.execute(b"print(1)") == b"1\n"


def test_a_script_finds_its_own_place() -> None:
    printed: list[bytes] = []
    script = b"print(debug.getinfo(1, 'S').source)\nlocal function f() return debug.getinfo(2, 'l').currentline end\nprint((f()))"
    Interpreter(output=printed.append).load(script, "/scripts/route.lua")
    assert printed == [b"@/scripts/route.lua", b"3"]


def test_the_tables_of_earlier_calls_are_collected() -> None:
    """They come from Python while the collector rests: 2 kB a call would fill all that scripts may have."""
    interpreter = Interpreter(limits=Limits(memory_bytes=512 << 20))
    interpreter.load(b"function OnStoredInstance(id, tags) return tags.PatientID end", "f.lua")
    tags = {f"Tag{number}": "x" * 50 for number in range(100)}
    for number in range(4_000):  # 30 MB
        assert interpreter.call("OnStoredInstance", str(number), tags | {"PatientID": str(number)})
    assert interpreter.memory_bytes < 20 << 20
