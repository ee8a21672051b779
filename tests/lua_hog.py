"""Runs hungry and hostile scripts in one interpreter of a process that may hang or be aborted: `python -m tests.lua_hog`.

Prints a line for each: its name, how it ended, and whether the interpreter serves on. Whoever reads them sees where it ended.
"""

import logging
import sys
from typing import Any

from actors.services.lua.runtime import Interpreter
from actors.services.scripts.errors import Cause, HostError, ScriptFailed
from actors.services.scripts.limits import Limits

# Strings of the string table that shrinks while the collector runs: that frees, and asks for, memory during that.
# 16 MiB are 1 << 20 members of a table: one of 700,000 is too large, and is converted in a third of the time of millions.
FILL = "local t = {} for i = 1, 100000 do t[i] = 's' .. i end t = nil "

MEMORY = {
    "parse-json": FILL + "ParseJson('[' .. ('\"a\",'):rep(900000) .. '1]')",
    "parse-json-objects": FILL + "ParseJson('[' .. ('{\"a\":{}},'):rep(400000) .. '1]')",
    "parse-json-refused-unread": FILL + "ParseJson('[' .. ('1,'):rep(3000000) .. '1]')",
    "dump-json": FILL + "DumpJson(setmetatable({('\\1'):rep(2800000)}, {__index = {}}))",
    "dump-json-of-one-string-many-times": "local s, t = ('x'):rep(4000000), {} for i = 1, 1000 do t[i] = s end DumpJson(t)",
    "host-bytes": FILL + "Bytes(30000000)",
    "host-numbers": FILL + "Numbers(700000)",
    "host-tables": FILL + "Tables(120000)",
    "host-arguments": FILL + "local s, t = ('x'):rep(4000000), {} for i = 1, 1000 do t[i] = s end Take(t)",
    "arguments-of-a-callback": FILL + "function Inner(t) return #t end Nested(700000)",
    "results-of-a-callback": "function Inner() local s, t = ('x'):rep(4000000), {} for i = 1, 1000 do t[i] = s end return t end Nested(1)",
    "table-in-a-callback-of-a-callback": "function Inner() local t = {} while true do t[#t + 1] = {} end end Nested(1)",
    "rep-in-gsub": FILL + "string.gsub('aaa', 'a', function() return ('x'):rep(1 << 26) end)",
    "host-in-gsub": FILL + "string.gsub('aaa', 'a', function() return #Bytes(30000000) end)",
    "host-in-an-error-handler": FILL + "xpcall(error, function() Numbers(700000) end) Numbers(700000)",
    "host-in-tostring": FILL + "tostring(setmetatable({}, {__tostring = function() Numbers(700000) end}))",
    "host-in-a-coroutine": FILL + "coroutine.wrap(function() Numbers(700000) end)()",
    "host-in-nested-coroutines": FILL
    + "coroutine.wrap(function() coroutine.wrap(function() Numbers(700000) end)() end)()",
    "host-in-sort": FILL + "table.sort({3, 2, 1}, function(a, b) Numbers(700000) return a < b end)",
    "loaded-text": FILL + "local text = ('x'):rep(7000000) error(select(2, load('return \"' .. text .. text .. '\"')))",
    "loaded-by-a-reader": FILL + "assert(load(function() return Bytes(30000000) end))",
    "collector-stopped": "collectgarbage('stop') " + FILL + "Tables(120000)",
    "print": FILL + "print(('x'):rep(5000000), ('y'):rep(5000000), ('z'):rep(5000000))",
}
LIMITS = {
    "instructions-in-a-callback-of-a-host": "function Inner() while true do end end Nested(1)",
    "instructions-in-a-callback-of-a-coroutine": "function Inner() while true do end end coroutine.wrap(function() Nested(1) end)()",
    "instructions-in-gsub": "function Inner() string.gsub('a', 'a', function() while true do end end) end Nested(1)",
}
ERRORS = {
    "error-that-tells-itself-with-a-host": FILL
    + "error(setmetatable({}, {__tostring = function() Tables(120000) end}))",
    "finalizers-of-files-where-no-more-can-be-called": "local function drop() for i = 1, 20 do io.tmpfile() end end local n = 0 "
    "local function f() n = n + 1 if n > 180 then drop() pcall(Tables, 3000) pcall(Nested, 1) end return (string.gsub('a', 'a', f)) end f()",
    "globals-that-answer-lupa": "function Inner() error('inner') end debug = nil "
    "setmetatable(_G, {__index = function(_, name) error('asked for ' .. name) end}) Nested(1)",
    "debug-that-answers-lupa": "function Inner() error('inner') end "
    "debug = setmetatable({}, {__index = function() while true do end end}) Nested(1)",
    "a-traceback-of-the-script": "function Inner() error('inner') end debug.traceback = function() while true do end end Nested(1)",
    "globals-of-a-loaded-chunk": "function Inner() error('inner') end load('debug = nil "
    "setmetatable(_G, {__index = function() while true do end end})')() Nested(1)",
}


def make() -> Interpreter:
    interpreter: Interpreter

    def nested(size: int) -> Any:
        try:
            return interpreter.call("Inner", [1] * size)[:1]
        except ScriptFailed as failure:
            raise HostError(failure.message) from failure

    interpreter = Interpreter(
        {
            "Bytes": lambda size: b"x" * size,
            "Numbers": lambda size: [1] * size,
            "Tables": lambda size: [{"a": [1, 2, 3]}] * size,
            "Take": lambda *_: None,
            "Nested": nested,
        },
        limits=Limits(timeout_s=60, instructions=5_000_000, memory_bytes=16 << 20),
    )
    return interpreter


def run(name: str, script: str) -> str:
    interpreter = make()
    try:
        interpreter.execute(script.encode())
        ended = "ended"
    except ScriptFailed as failure:
        # What a callback within raised is a string by the time it has passed a host function.
        ended = (Cause.INSTRUCTIONS if "instructions" in failure.message else failure.cause).value
    serves = interpreter.execute(b"print(1)") == b"1\n"
    return f"{name} {ended} {serves}"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    for each, source in (MEMORY | LIMITS | ERRORS).items():
        if each in sys.argv[1:] or not sys.argv[1:]:
            print(run(each, source), flush=True)
