"""No script outlives its limits, whatever it catches, hides or redefines; and the interpreter serves the next callback afterwards.

The limit under test is that of instructions: it depends on no clock. The clock's limit uses one that each look moves.
"""

import itertools
import logging

import pytest

from actors.services.lua.host_functions import HostFunction
from actors.services.lua.runtime import Interpreter
from actors.services.scripts.errors import Cause, ScriptFailed
from actors.services.scripts.limits import Limits

ESCAPES = {
    "loop": "while true do end",
    "goto": "::again:: goto again",
    "recursion-of-tails": "local function f() return f() end f()",
    "pcall": "while true do pcall(function() while true do end end) end",
    "pcall-of-pcall": "while true do pcall(pcall, pcall, function() while true do end end) end",
    "xpcall-handler-of-the-limit": "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "xpcall-handler-of-an-error": "while true do xpcall(error, function() while true do end end) end",
    "xpcall-swallows": "while true do xpcall(function() while true do end end, function() return 1 end) end",
    "coroutine-resume": "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "coroutine-wrap": "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    "coroutine-in-coroutine": "local function f() coroutine.resume(coroutine.create(function() f() while true do end end)) end while true do f() end",
    "many-short-coroutines": "while true do coroutine.wrap(function() for i = 1, 100 do end end)() end",
    "coroutine-that-yields": "local c = coroutine.wrap(function() while true do coroutine.yield() end end) while true do c() end",
    "load-reader": "while true do load(function() while true do end end) end",
    "load-text": "while true do load('while true do end')() end",
    "finalizer": "setmetatable({}, {__gc = function() while true do end end}) while true do collectgarbage() end",
    "finalizer-changed-later": "local m = {__gc = true} setmetatable({}, m) m.__gc = function() while true do end end while true do collectgarbage() end",
    "finalizer-of-files": "pcall(function() getmetatable(io.stdout).__gc = function() while true do end end end) "
    "pcall(function() io.stdout.__index.__gc = function() while true do end end end) for i = 1, 9 do io.tmpfile() end while true do collectgarbage() end",
    "finalizer-by-debug": "debug.setmetatable({}, {__gc = function() while true do end end}) while true do collectgarbage() end",
    "metamethods": "local t = setmetatable({}, {__index = function(t, k) return t[k] end}) while true do pcall(function() return t.x end) end",
    "sort": "while true do pcall(table.sort, {3, 2, 1}, function() while true do end end) end",
    "gsub": "while true do pcall(string.gsub, 'aaa', 'a', function() while true do end end) end",
    "pairs": "while true do pcall(function() for _ in pairs(setmetatable({}, {__pairs = function() while true do end end})) do end end) end",
    "tostring": "while true do pcall(tostring, setmetatable({}, {__tostring = function() while true do end end})) end",
    "print": "while true do pcall(print, setmetatable({}, {__tostring = function() while true do end end})) end",
    "print-recursive": "local t = {} t.t = t while true do PrintRecursive(t, 1e9) end",
    "endless-next": "while true do pcall(PrintRecursive, setmetatable({}, {__pairs = function() return function() return 1, {} end end})) end",
    "error-with-tostring": "error(setmetatable({}, {__tostring = function() while true do end end}))",
    "sethook": "(debug.sethook or print)() while true do end",
    "getregistry": "for _, v in pairs((debug.getregistry or function() return {} end)()) do if type(v) == 'table' then "
    "for k in pairs(v) do v[k] = nil end end end while true do end",
    "upvalues": "for _, f in ipairs{pcall, load, print} do local i = 1 while debug.getupvalue and debug.getupvalue(f, i) do "
    "debug.setupvalue(f, i, print) i = i + 1 end end while true do pcall(function() while true do end end) end",
    "functions-of-frames": "local f for level = 1, 9 do local i = debug.getinfo(level, 'f') f = i and i.func or f end "
    "while true do (f or pcall)(function() while true do end end) end",
    "redefines": "error, pcall, type, tostring, select, pairs, string.find, math.huge = nil while true do end",
    "string-methods": "getmetatable('').__index = function() while true do end end local s = ('x').y",
    "string-concatenation": "getmetatable('').__concat = function() while true do end end getmetatable('').__lt = function() while true do end end "
    "while true do end",
    "global-metatable": "setmetatable(_G, {__index = function() while true do end end, __newindex = function() while true do end end}) local x = y",
    "json": "while true do pcall(DumpJson, {1}) pcall(ParseJson, '[1]') end",
    "bytecode": "while true do pcall(load, string.dump(function() while true do end end)) end",
    "os-exit": "while true do pcall(os.exit) pcall(os.exit, true, true) end",
}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def alive(interpreter: Interpreter) -> bool:
    return interpreter.execute(b"local n = 0 for i = 1, 100 do n = n + i end") == b"" and interpreter.defines(
        "Callback"
    )


@pytest.mark.parametrize("script", ESCAPES.values(), ids=ESCAPES)
def test_instructions_are_limited(script: str) -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=300_000, memory_bytes=64 << 20))
    interpreter.load(f"function Callback() {script} end".encode(), "escape.lua")
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback")
    assert failure.value.cause is Cause.INSTRUCTIONS, failure.value
    assert "stopped after 300000 instructions" in failure.value.message
    assert alive(interpreter)


@pytest.mark.parametrize("script", ESCAPES.values(), ids=ESCAPES)
def test_time_is_limited(script: str) -> None:
    ticks = itertools.count()
    interpreter = Interpreter(limits=Limits(timeout_s=200, memory_bytes=64 << 20), clock=lambda: float(next(ticks)))
    interpreter.load(f"function Callback() {script} end".encode(), "escape.lua")
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback")
    assert failure.value.cause is Cause.TIME, failure.value
    assert "stopped after 200 seconds" in failure.value.message
    assert alive(interpreter)


HOGS = {
    "rep": "local s = string.rep('x', 1 << 40)",
    "rep-of-rep": "local s = 'x' while true do s = s .. s end",
    "table": "local t = {} while true do t[#t + 1] = {} end",
    "buffer": "string.rep('abc', 1 << 30)",
    "concatenated-table": "local t = {} for i = 1, 1000 do t[i] = string.rep('x', 100000) end return table.concat(t)",
    "recursion": "local function f(n) return 1 + f(n + 1) end f(1)",
    "coroutines": "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
    "closures": "local t = {} while true do t[#t + 1] = function() return t end end",
    "no-collector": "collectgarbage('stop') local t = {} while true do t[#t + 1] = string.rep('y', 1000) .. #t end",
    "host-results": "local t = {} while true do t[#t + 1] = Big() end",
    "host-tables": "local t = {} while true do t[#t + 1] = Table() end",
    "host-arguments": "local t = {} while true do t[#t + 1] = {{}, {}} Take(t[#t], {1, {2}}) end",
}


def hungry() -> Interpreter:
    functions: dict[str, HostFunction] = {
        "Big": lambda: b"x" * 3_000_000,
        "Table": lambda: [{"a": [1, 2, 3]}] * 10,
        "Take": lambda *_: None,
    }
    return Interpreter(functions, limits=Limits(timeout_s=0, memory_bytes=16 << 20))


@pytest.mark.parametrize("script", HOGS.values(), ids=HOGS)
def test_memory_is_limited(script: str) -> None:
    interpreter = hungry()
    interpreter.load(f"function Callback() {script} end".encode(), "hog.lua")
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback")
    assert failure.value.cause is Cause.MEMORY or "too large" in failure.value.message, failure.value
    assert alive(interpreter)


def test_a_script_can_catch_that_memory_is_short_and_go_on() -> None:
    assert hungry().execute(b"print(pcall(string.rep, 'x', 1 << 25))").startswith(b"false, not enough memory")


@pytest.mark.parametrize("end", ["", "while true do end"])
def test_what_a_hungry_script_has_taken_is_given_back(end: str) -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=1_000_000, memory_bytes=16 << 20))
    with pytest.raises(ScriptFailed):
        interpreter.execute(
            f"local t = {{}} for i = 1, 14 + {2 * (not end)} do t[i] = ('x'):rep(1 << 20) .. i end {end}".encode()
        )
    assert interpreter.memory_bytes < 1 << 20


def test_a_memory_hog_in_pcall_ends_by_the_other_limits() -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=20_000, memory_bytes=1 << 20))
    with pytest.raises(ScriptFailed) as failure:
        interpreter.execute(
            b"local t = {} while true do pcall(function() t[#t + 1] = string.rep('x', 100) .. #t end) end"
        )
    assert failure.value.cause is Cause.INSTRUCTIONS


def outcome(interpreter: Interpreter, name: str, argument: object) -> str:
    try:
        return str(interpreter.call(name, argument))
    except ScriptFailed as failure:
        return str(failure.cause)


def test_a_full_interpreter_still_calls_and_answers() -> None:
    interpreter = hungry()
    interpreter.load(
        b"hoard = {} function Fill() while true do hoard[#hoard + 1] = 'x' .. #hoard end end function Same(...) return ... end",
        "f.lua",
    )
    outcomes = set()
    for _ in range(20):
        with pytest.raises(ScriptFailed):
            interpreter.call("Fill")
        outcomes.add(outcome(interpreter, "Same", {"a": [b"b" * 1000]}))
    assert outcomes <= {"({b'a': [b'" + "b" * 1000 + "']},)", "memory"}
    interpreter.execute(b"hoard = nil collectgarbage()")
    assert interpreter.call("Same", 1) == (1,)


def test_deep_recursion_is_an_error() -> None:
    interpreter = Interpreter()
    with pytest.raises(ScriptFailed, match="stack overflow"):
        interpreter.execute(b"local function f() return 1 + f() end f()")
    with pytest.raises(ScriptFailed, match="stack overflow"):
        interpreter.execute(b"local function f() return (string.gsub('a', 'a', f)) end f()")
    assert interpreter.execute(b"local function f() return pcall(f) end print(f())").startswith(b"true")


def test_the_error_names_the_line_that_ran() -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=100_000))
    interpreter.load(
        b"local function work()\n\nwhile true do end\nend\nfunction Callback() work() end", "/etc/orthanc/routing.lua"
    )
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback")
    assert failure.value.message == "/etc/orthanc/routing.lua:3: stopped after 100000 instructions"


def test_loading_is_limited_too() -> None:
    with pytest.raises(ScriptFailed, match=r"loop\.lua:1: stopped"):
        Interpreter(limits=Limits(timeout_s=0, instructions=50_000)).load(b"while true do end", "loop.lua")


def test_limits_count_for_each_callback_anew() -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=100_000))
    interpreter.load(b"function Callback() for i = 1, 15000 do end end", "f.lua")
    for _ in range(20):
        interpreter.call("Callback")


def test_a_callback_within_a_callback_has_limits_of_its_own() -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=100_000))

    def nested() -> str:
        with pytest.raises(ScriptFailed) as failure:
            interpreter.call("Loop")
        return str(failure.value)

    interpreter.define("Nested", nested)
    interpreter.load(
        b"function Loop() while true do end end function Callback() local m = Nested() for i = 1, 1000 do end return m end",
        "f.lua",
    )
    assert interpreter.call("Callback") == (b"f.lua:1: stopped after 100000 instructions",)


def test_a_callback_called_from_a_coroutine_of_another() -> None:
    interpreter = Interpreter()
    interpreter.define("Nested", lambda depth: interpreter.call("Callback", depth)[0])
    interpreter.load(
        b"function Callback(n) if n == 0 then return 'end' end "
        b"local c = coroutine.wrap(function() local r = Nested(n - 1) coroutine.yield(r) return r .. n end) return c() .. c() end",
        "f.lua",
    )
    assert interpreter.call("Callback", 3)[0].startswith(b"endend1endend12")


def test_callbacks_within_callbacks_without_end_are_an_error() -> None:
    interpreter = Interpreter()
    interpreter.define("Nested", lambda: interpreter.call("Callback"))
    interpreter.load(b"function Callback() Nested() end", "f.lua")
    with pytest.raises(ScriptFailed):
        interpreter.call("Callback")
    assert interpreter.execute(b"print(1)") == b"1\n"


def test_memory_stays_limited_after_a_host_call_that_lua_could_not_make() -> None:
    interpreter = hungry()
    deep = b"local function f() if not pcall(Take) then return 'x' end return (string.gsub('a', 'a', f)) end pcall(f) "
    with pytest.raises(ScriptFailed) as failure:
        interpreter.execute(deep + b"local t = {} while true do t[#t + 1] = string.rep('x', 1000) .. #t end")
    assert failure.value.cause is Cause.MEMORY


def test_the_hook_may_come_at_any_instruction() -> None:
    interpreter = Interpreter(limits=Limits(timeout_s=0, instructions=1000))
    interpreter.load(
        b"function Callback(n) for i = 1, n do end error(setmetatable({}, {__tostring = function() return 'x' end})) end",
        "f.lua",
    )
    causes = {cause(interpreter, rounds) for rounds in range(1500)}
    assert causes == {Cause.ERROR, Cause.INSTRUCTIONS}
    interpreter.limits = Limits()
    assert alive(interpreter)


def cause(interpreter: Interpreter, rounds: int) -> Cause:
    with pytest.raises(ScriptFailed) as failure:
        interpreter.call("Callback", rounds)
    return failure.value.cause


@pytest.mark.parametrize("name", ["io", "os", "package", "require", "dofile", "loadfile"])
def test_the_sandbox_lacks(name: str) -> None:
    assert Interpreter(sandbox=True).execute(f"print({name})".encode()) == b"nil\n"
    assert Interpreter().execute(f"print({name})".encode()) != b"nil\n"


def test_python_is_out_of_reach() -> None:
    interpreter = Interpreter({"F": lambda: None})
    assert interpreter.execute(
        b"print(python, package.loaded.python, type(F), type(print), debug.getupvalue, debug.getregistry)"
    ) == (b"nil, nil, function, function, nil, nil\n")
    assert interpreter.execute(
        b"print(debug.getinfo(F).func, debug.getinfo(1, 'f').func, pcall(string.dump, print) and load(string.dump(print)))"
    ) == (b"nil, nil, nil\n")


def test_exceptions_of_python_do_not_reach_the_script() -> None:
    def broken() -> None:
        raise KeyError("patient")

    assert Interpreter({"Broken": broken}).execute(b"print(pcall(Broken))") == b"false, internal error in Broken()\n"


def test_a_chunk_that_prints_for_ever_is_stopped_long_before_the_memory_is_full() -> None:
    taken: list[int] = []
    interpreter = Interpreter(output=lambda line: taken.append(len(line)))
    with pytest.raises(ScriptFailed, match="printed more than 16 MB"):
        interpreter.execute(b"while true do print(string.rep('x', 1000000)) end")
    with pytest.raises(ScriptFailed, match="printed more than 16 MB"):
        interpreter.execute(b"for _ = 1, 40 do pcall(print, string.rep('x', 1000000)) end")
    assert sum(taken) == 2 * 16_000_000
    assert interpreter.execute(b"print('fine')") == b"fine\n"
