"""A dry run of scripts: every effect they ask for is noted instead of done.

Reads are real: RestApiGet() and the requests of `READS` are answered from the archive as it is now. Everything else gets an answer that
lets a script go on: a POST a JSON object with an `ID` of no resource, a request to another server `{}`. Values that scripts keep are kept
until the end of the run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actors.messages.commands.resources import SetStability
from actors.messages.commands.scripts import DeleteKeyValue, StoreKeyValue
from actors.messages.index_client import IndexClient
from actors.services.lua import chain
from actors.services.lua.chain import Operation
from actors.services.lua.functions import HttpFunctions, Rest, rest_functions
from actors.services.lua.host_functions import HostFunction
from actors.services.lua.keeping import keeping_functions
from actors.services.scripts.values import number_text
from actors.wire.http.client import Answer
from events.identifiers import format_resource_id, hash_resource_id
from store.views.views import Views

READS: Final = frozenset({"/tools/lookup", "/tools/find", "/tools/count-resources"})  # POSTs that change nothing
SHOWN_CHARACTERS: Final = 200  # of a body or of what is printed

# Scripts reach the system by Lua's own libraries, too. Files can be read; what would write or run is noted.
GUARD: Final = b"""
local would, null = _Would, '/dev/null'
_Would = nil
if io then
  local open = io.open
  function io.open(path, mode)
    if not mode or mode:match('^rb?$') then return open(path, mode) end
    would('write', tostring(path))
    return open(null, mode)
  end
  function io.popen(command, mode)
    would('run', tostring(command))
    return open(null, mode)
  end
  function io.tmpfile()
    would('write', 'a temporary file')
    return open(null, 'w+')
  end
  local output = io.output
  function io.output(file)
    if type(file) ~= 'string' then return output(file) end
    would('write', file)
    return output(open(null, 'w'))
  end
end
if os then
  function os.execute(command)
    if command == nil then return true end
    would('run', tostring(command))
    return true, 'exit', 0
  end
  function os.remove(path) would('remove', tostring(path)) return true end
  function os.rename(from, to) would('rename', tostring(from) .. ' to ' .. tostring(to)) return true end
  function os.tmpname() return null end
end
"""


class Note(Protocol):
    """Where effects go."""

    def __call__(self, kind: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class DryRun:
    """The functions of scripts, none of which does anything.

    `rest` answers what only reads; `note` takes each effect.
    """

    rest: Rest
    views: Views
    note: Note

    def functions(self) -> dict[str, HostFunction]:
        return (
            rest_functions(_DryRest(self.rest, self.note))
            | HttpFunctions(self._http).functions()
            | _keeping(self.views, self.note)
            | {"_Would": self._would}
        )

    def _http(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002  # no server gets them
        credentials: tuple[str, str] | None,  # noqa: ARG002
        timeout_s: float,  # noqa: ARG002
    ) -> Answer:
        self.note(method, _request(url, body))
        return Answer(status=200, body=b"{}")

    def _would(self, kind: bytes, what: bytes) -> None:
        self.note(show(kind), show(what))


class _DryRest:
    def __init__(self, rest: Rest, note: Note) -> None:
        self._rest = rest
        self._note = note
        self._made = 0

    def __call__(self, method: str, uri: str, body: bytes, headers: Mapping[str, str]) -> bytes | None:
        path = uri.partition("?")[0]
        if method == "GET" or (method == "POST" and path in READS):
            return self._rest(method, uri, body, headers)
        self._note(method, _request(uri, body))
        return self._invent(path) if method == "POST" else b""

    def _invent(self, path: str) -> bytes:
        self._made += 1
        identifier = format_resource_id(hash_resource_id(f"dry run {self._made}"))
        return json.dumps(
            {"ID": identifier, "Path": f"/{path.split('/')[1]}/{identifier}", "Status": "Success"}
        ).encode()


def _keeping(views: Views, note: Note) -> dict[str, HostFunction]:
    values: dict[tuple[bytes, bytes], bytes | None] = {}  # None: deleted

    def ask(command: Any) -> bool | None:
        match command:
            case SetStability():
                state = "stable" if command.is_stable else "not stable"
                note("stability", f"{format_resource_id(command.id)} is {state}")
                return True
            case StoreKeyValue():
                note("keep", f"{show(command.store)}/{show(command.key)} = {show(command.value)}")
                values[command.store, command.key] = command.value
                return None
            case DeleteKeyValue():
                note("forget", f"{show(command.store)}/{show(command.key)}")
                was_there = get(command.store, command.key) is not None
                values[command.store, command.key] = None
                return was_there
            case _:
                raise TypeError(f"{type(command).__name__} is no effect of a function of scripts")

    def get(*arguments: Any) -> Any:
        names = tuple(number_text(value) if type(value) in {int, float} else value for value in arguments)
        return values[names] if len(names) == 2 and names in values else kept["GetKeyValue"](*arguments)

    kept = keeping_functions(IndexClient(ask), views, lambda: b"")
    return kept | {"GetKeyValue": get}


def describe_operations(operations: list[Operation]) -> list[str]:
    """Return what the chain of a callback would do, an operation a line, in their order."""
    return [_describe(step) for step in chain.plan(operations)["operations"]]


def _describe(step: dict[str, Any]) -> str:
    resource = step["resource"] or f"the output of operation {step['input'] + 1}"
    match step["operation"]:
        case "store-scu":
            local = f" as {step['local_aet']}" if step["local_aet"] else ""
            return f"send {resource} to modality {step['modality']}{local}"
        case "store-peer":
            return f"send {resource} to peer {step['peer']}"
        case "call-system":
            return f"call {' '.join([step['command'], *step['arguments']])} with the file of {resource}"
        case "modify":
            changes = {name: step[name] for name in ("replace", "remove", "remove_private") if step[name]}
            return f"modify {resource}: {json.dumps(changes)}"
        case operation:
            return f"{operation} {resource}"


def show(text: bytes) -> str:
    """Return text that steers no terminal and fills no screen."""
    decoded = text[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")
    shown = "".join(letter if letter.isprintable() or letter == "\t" else "\ufffd" for letter in decoded)
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"


def _request(target: str, body: bytes) -> str:
    return f"{show(target.encode())}  ({len(body)} bytes) {show(body)}" if body else show(target.encode())
