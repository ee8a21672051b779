"""One Lua interpreter as scripts written for Orthanc expect it, behind limits they cannot escape.

Knows Lua, JSON and limits, but nothing of the server: what scripts call (`RestApiGet` …) is given as Python functions. Not thread-safe:
an interpreter belongs to one thread, on which it may be entered again from within a function it called.

`prelude.lua` holds the Lua side and says why the limits hold. What they do not reach is a C function that takes for ever: the
heartbeat is there for it. A finalizer (`__gc`) of a script is never run; binary chunks and C modules cannot be loaded.

Differences to Orthanc 1.12.7 that are meant: errors name the script's file (there: `[string "line"]`); an error whose value is no
string is an error like others (there it ends the process); a PrintRecursive of a table that holds itself ends.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from lupa import lua53

from actors.services.lua.host_functions import TOO_MUCH, HostFunction, Printed, Results, guarded
from actors.services.lua.json_reader import BadJson, needs_more_than, parse_json
from actors.services.lua.json_writer import JsonWriter
from actors.services.scripts.errors import Cause, HostError, ScriptFailed
from actors.services.scripts.heartbeat import Pulse
from actors.services.scripts.limits import Limits
from actors.services.scripts.values import FromLua, TooComplex, ready
from actors.wire import metrics

log = logging.getLogger(__name__)


def _deny(_object: object, _name: object, _is_setting: object) -> object:
    raise AttributeError("no access to Python")


class Interpreter:
    """One `LuaRuntime`.

    `functions`: global functions of scripts. `output` takes each line that is printed, without its end.
    """

    def __init__(
        self,
        functions: Mapping[str, HostFunction] | None = None,
        *,
        limits: Limits | None = None,
        sandbox: bool = False,
        output: Callable[[bytes], None] | None = None,
        pulse: Pulse | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self._output = output
        self._pulse = pulse
        self._clock = clock
        self._captured: list[Printed] = []
        self._is_broken_off = False
        self._lua = lua53.LuaRuntime(
            encoding=None,
            source_encoding="utf-8",
            unpack_returned_tuples=True,
            register_eval=False,
            register_builtins=False,
            attribute_filter=_deny,
            max_memory=0,
        )
        self._table = type(self._lua.table())
        source = resources.files(__package__).joinpath("prelude.lua").read_bytes()
        chunk = self._lua.compile(source, name=b"=sinogram", mode=b"t")
        prelude = chunk(self._look, self._enter, self._leave, self._emit, sandbox, True)
        self._run, self._limit, self._stopped = prelude[b"run"], prelude[b"limit"], prelude[b"stopped"]
        self._lookup, self._compile, self._trace = prelude[b"lookup"], prelude[b"compile"], prelude[b"trace"]
        self._idle, self._collect = prelude[b"idle"], prelude[b"collect"]
        self._tostring, self._define, self._census = prelude[b"tostring"], prelude[b"define"], prelude[b"census"]
        self._json = JsonWriter(self._table, prelude[b"tonumber"], self.limits.memory_bytes)
        self._define(b"ParseJson", guarded("ParseJson", self._parse_json))
        self._define(b"DumpJson", guarded("DumpJson", self._dump_json))
        for name, function in (functions or {}).items():
            self.define(name, function)

    # ------------------------------------------------------------------------------------------------ for the owner

    def define(self, name: str, function: HostFunction) -> None:
        """Give scripts a global function."""

        def call(*arguments: Any) -> Any:
            copy = self._copier()
            results = function(*[copy(argument) for argument in arguments])
            if isinstance(results, Results):
                return (True, *[self._to_lua(result) for result in results])
            return True, self._to_lua(results)

        self._define(name.encode(), guarded(name, call))

    def load_file(self, path: Path) -> None:
        """Run a script of `LuaScripts`; its functions replace those of the same names.

        Raises:
            OSError: it cannot be read
            ScriptFailed: syntax, or an error while it ran

        """
        self.load(path.read_bytes(), str(path))

    def load(self, source: bytes, name: str) -> None:
        """As `load_file`, for a script that is at hand. Errors are placed at `name`:line.

        Raises:
            ScriptFailed

        """
        with self._limited(name):
            self._do(self._chunk(source.removeprefix(b"\xef\xbb\xbf"), b"@" + name.encode()), ())

    def execute(self, source: bytes) -> bytes:
        """Run a chunk in the scripts' environment and return what it printed, a line end after each line.

        Raises:
            ScriptFailed: also if it prints more than `PRINTED_BYTES`; what it printed before is lost.
                Source: POST /tools/execute-script

        """
        printed = Printed()
        self._captured.append(printed)
        try:
            with self._limited("execute-script"):
                self._do(self._chunk(source, b"line"), ())  # the name Orthanc shows: [string "line"]:1:
        finally:
            self._captured.pop()
            if printed.is_too_much:
                raise ScriptFailed(TOO_MUCH)
        return b"".join(line + b"\n" for line in printed.lines)

    def defines(self, name: str) -> bool:
        """Tell whether there is a global function of this name; a global that is something else does not count."""
        return self._lookup(name.encode()) is not None

    def defined(self, names: Sequence[str]) -> set[str]:
        """Return those names that are global functions."""
        digits = self._census(self._to_lua(names))
        return {name for name, digit in zip(names, digits, strict=True) if digit == ord("1")}

    def call(self, name: str, *arguments: object) -> tuple[Any, ...]:
        """Call a global function and return all its results, as values.

        Raises:
            ScriptFailed: it raised, ran out of a limit, or returned what cannot be copied; also if there is no such function

        """
        function = self._lookup(name.encode())
        if function is None:
            raise ScriptFailed(f"no function {name}")
        with self._limited(name):
            results = self._do(function, [self._to_lua(argument) for argument in arguments])
            copy = self._copier()
            try:
                return tuple(copy(result) for result in results)
            except (TypeError, TooComplex) as exc:
                raise ScriptFailed(f"{name}: {exc}", cause=_cause(str(exc))) from exc

    def break_off(self) -> None:
        """Stop the running script, and later ones, until `go_on`; for any thread."""
        self._is_broken_off = True

    def go_on(self) -> None:
        self._is_broken_off = False

    def _copier(self) -> FromLua:
        return FromLua(self._table, self.limits.memory_bytes)

    @property
    def memory_bytes(self) -> int:
        return int(self._lua.get_memory_used())

    # --------------------------------------------------------------------------------------------------- running

    def _chunk(self, source: bytes, name: bytes) -> Any:
        compiled = self._compile(source, name)
        if not isinstance(compiled, tuple):
            return compiled
        message = compiled[1].decode("utf-8", "replace")
        raise ScriptFailed(message, cause=_cause(message, Cause.SYNTAX))

    def _do(self, function: Any, arguments: Sequence[Any]) -> tuple[Any, ...]:
        ok, *results = self._protected(function, *arguments)
        if ok:
            return tuple(results)
        # Raised without a name of its own: with one, this frame and the failure would keep each other, and Lua's values, alive.
        raise self._failed(results[0] if results else None)

    def _failed(self, value: Any) -> ScriptFailed:
        failure = self._failure(value)
        if self._lua.get_memory_used() * 2 > self.limits.memory_bytes > 0:  # Lua would wait until there is no room
            with suppress(lua53.LuaError):  # not lupa's own: a finalizer that fails would unwind our frames
                self._collect()
        return failure

    def _protected(self, function: Any, *arguments: Any) -> tuple[Any, ...]:
        """Return True and the results, or False and the value of the error."""
        try:
            outcome = self._run(function, *arguments)
        except (
            lua53.LuaError
        ) as exc:  # raised around the script: no room on Lua's own stack, or the hook came just then
            self._recover()
            return False, str(exc).encode()
        return outcome if isinstance(outcome, tuple) else (outcome,)

    def _recover(self) -> None:
        self._enter()
        for _ in range(2):  # the hook comes once in a thousand instructions
            with suppress(lua53.LuaError):
                self._idle()

    @contextmanager
    def _limited(self, name: str) -> Iterator[None]:
        deadline_s = self.limits.deadline_s(self._clock())
        before = self._limit(deadline_s, self.limits.timeout_s, self.limits.budget, self.limits.instructions, None)
        if self._pulse:
            self._pulse.started(name, deadline_s)
        started, result = time.perf_counter(), "failed"
        try:
            yield
            result = "done"
        finally:
            metrics.SCRIPT_CALLS.add(1, result)
            metrics.SCRIPT_SECONDS.observe(time.perf_counter() - started)
            if self._pulse:
                self._pulse.ended()
            self._limit(*before)

    def _failure(self, value: Any) -> ScriptFailed:
        trace = self._trace()
        message = self._message(value)
        stopped, spent = self._stopped()
        if stopped is not None:
            return ScriptFailed(stopped.decode("utf-8", "replace"), cause=Cause.INSTRUCTIONS if spent else Cause.TIME)
        return ScriptFailed(
            message,
            cause=_cause(message),
            trace=trace.decode("utf-8", "replace").strip() if trace else "",
        )

    def _message(self, value: Any) -> str:
        if isinstance(value, bytes):
            return str(value, "utf-8", "replace")
        # A script's __tostring runs under what is left of its limits.
        ok, *texts = self._protected(self._tostring, value)
        text = texts[0] if ok and isinstance(texts[0], bytes) else b"error"
        if isinstance(value, self._table) and text.startswith(b"table: "):
            text = b"(error object is a table value)"
        return str(text, "utf-8", "replace")

    # ------------------------------------------------------------------------------- called by Lua (see prelude.lua)

    def _look(self) -> float:
        now_s = self._clock()
        if self._pulse:
            self._pulse.beat(now_s)
        return math.inf if self._is_broken_off else now_s

    def _enter(self) -> None:
        self._lua.set_max_memory(0)
        if self._pulse:
            self._pulse.waits(True)

    def _leave(self, is_full: bool) -> bool:
        """Have the limit count again, unless what Python gave does not fit. Then Lua collects and calls again, with `is_full` at last.

        Must not fail, and is the last that Python does: from here on Lua may run out of memory.
        """
        limit = self.limits.memory_bytes
        if 0 < limit < self._lua.get_memory_used() and not is_full:
            return False
        if self._pulse:
            self._pulse.waits(False)
        self._lua.set_max_memory(limit)
        return True

    def _emit(self, line: bytes) -> Any:
        for printed in self._captured:
            printed.add(line)
        if self._captured and self._captured[-1].is_too_much:
            return False, TOO_MUCH.encode()
        if self._output:
            self._output(line)
        return True

    def _to_lua(self, value: object) -> Any:
        plain = ready(value)
        return self._lua.table_from(plain, recursive=True) if isinstance(plain, dict | list) else plain

    def _parse_json(self, *arguments: Any) -> Any:
        text = arguments[0] if len(arguments) == 1 else None
        if isinstance(text, bool) or not isinstance(text, bytes | int | float):
            log.error("Lua: Bad parameters to ParseJson()")
            return True, None
        text = text if isinstance(text, bytes) else self._tostring(text)
        if self.limits.memory_bytes > 0 and needs_more_than(text, self.limits.memory_bytes):
            raise HostError("not enough memory for what ParseJson() was given")
        try:
            return True, self._to_lua(parse_json(text))
        except BadJson as exc:
            log.error("Cannot parse JSON: %s", exc)
            return True, None

    def _dump_json(self, *arguments: Any) -> Any:
        if len(arguments) not in {1, 2} or (len(arguments) == 2 and not isinstance(arguments[1], bool)):
            log.error("Lua: Bad parameters to DumpJson()")
            return True, None
        return True, self._json.dump(arguments[0], keep_strings=arguments[1:] == (True,))


def _cause(message: str, other: Cause = Cause.ERROR) -> Cause:
    return Cause.MEMORY if "not enough memory" in message else other
