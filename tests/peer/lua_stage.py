"""The same Lua scripts in Sinogram and in a real Orthanc, and what they print, made comparable.

Scripts lie in `lua/`: `tracer.lua` prints every callback with its arguments; the others are such as the Orthanc Book's page
on Lua shows. What is printed is read from the servers' logs, where both write `Lua says: …`.
"""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeVar

from tests.data_factory import dataset, encode
from tests.peer.comparison import assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle, wait_for

T = TypeVar("T")

SCRIPTS: Final = Path(__file__).parent / "lua"
TRACER: Final = SCRIPTS / "tracer.lua"
LATER_S: Final = 30.0  # a callback that has not been called by then will not be
_SAYS = re.compile(r"Lua says: (.*)")
_MEMBER = re.compile(r'"[^"]*"=(?:"[^"]*"|\w+:[^,}]*)')
_VOLATILE = (  # what no two servers share; 1.12.7 finds no pixels in files without (0002,0000), and each writes its own (0002,xxxx)
    (re.compile(r'"PixelData(?:Offset|VR)"="[^"]*", '), ""),
    (re.compile(r"\d{8}T\d{6}(\.\d{6})?"), "<date>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
)
_FILTERS = "@ Received"  # called by those who store, while the events wait for their turn
_SENTINELS: Final = 80  # instances; whenever one is deleted and that is told, all events before have been told


def configured(*scripts: Path, more: str = "") -> str:
    """The options of a server with these scripts."""
    return f'"LuaScripts": {json.dumps([str(each) for each in scripts])}, "ExecuteLuaEnabled": true, {more}'


@dataclass
class LuaPair:
    """Both servers, and how far what they said has been looked at."""

    pair: Pair
    sentinels: list[str]  # those that are left
    read: dict[str, int] = field(default_factory=dict)  # name of a server -> characters of its log
    gone: set[str] = field(default_factory=set)  # sentinels

    @property
    def servers(self) -> tuple[Server, Server]:
        return self.pair.ours, self.pair.theirs

    def both(self, act: Callable[[Server], T]) -> tuple[T, T]:
        """Do the same with both, at the same time: ours, Orthanc's."""
        return _together(self.pair, act)

    def ask(self, path: str, method: str = "GET", body: bytes | str | None = None, **headers: str) -> Answer:
        """Ask both, fail if the answers differ, and give Orthanc's."""
        request = Request(path, method, body, headers)
        ours, theirs = self.both(lambda server: server.ask(request))
        assert_same(compare(request, ours, theirs))
        return theirs

    def execute(self, script: str) -> Answer:
        """`POST /tools/execute-script`; the answers must be the same."""
        return self.ask("/tools/execute-script", "POST", script.encode())

    def said(self, server: Server) -> list[str]:
        """The lines printed since `forget`, without those of the sentinels."""
        text = log_of(server).read_text("utf-8", "replace")[self.read.get(server.name, 0) :]
        # A line that scripts break stays one in our log; what Orthanc writes behind the break is no line of its log.
        lines = [_steady(found[1].partition("\\n")[0]) for found in _SAYS.finditer(text)]
        return [line for line in lines if not any(sentinel in line for sentinel in self.gone)]

    def forget(self) -> None:
        """What has been printed until now is not looked at again."""
        self.read = {server.name: len(log_of(server).read_text("utf-8", "replace")) for server in self.servers}

    def wait_until_said(self, beginning: str, times: int = 1) -> None:
        """Until both have printed so many lines that begin so."""
        for server in self.servers:
            self._wait(server, beginning, times)

    def _wait(self, server: Server, beginning: str, times: int) -> None:
        def enough() -> bool:
            return sum(line.startswith(beginning) for line in self.said(server)) >= times

        try:
            wait_for(enough, beginning, LATER_S)
        except TimeoutError:
            raise AssertionError(f"{server.name}: not {times} × {beginning}, but {self.said(server)}") from None

    def settle(self) -> None:
        """Until both have dealt with every event up to now: events are delivered in order, and one more is caused."""
        sentinel = self.sentinels.pop()
        self.gone.add(sentinel)
        self.both(lambda server: server.ask(Request(f"/instances/{sentinel}", "DELETE")))
        told = f'@ OnDeletedInstance("{sentinel}")'
        for server in self.servers:
            wait_for(
                lambda server=server: told in log_of(server).read_text("utf-8", "replace"),  # type: ignore[misc] # mypy does not see the default
                f"{server.name} to deal with all events",
                LATER_S,
            )

    def assert_said_alike(self, *, skip: str | tuple[str, ...] = "-") -> list[str]:
        """Fail unless both have printed the same since `forget`, lines that begin with one of `skip` aside; give it, filters first."""
        ours, theirs = (
            [line for line in _by_interpreter(self.said(server)) if not line.startswith(skip)]
            for server in self.servers
        )
        assert ours == theirs, "\n".join(_told_apart(ours, theirs))
        return theirs


def _told_apart(ours: list[str], theirs: list[str]) -> Iterator[str]:
    """Where two lists of lines part: member by member for the same call of a callback, else whole lines and the order."""
    extra = [line for line in ours if line not in theirs]
    missing = [line for line in theirs if line not in ours]
    calls = {_call(line): line for line in missing}
    for line in extra:
        other = calls.pop(_call(line), None)
        if other is None:
            yield f"only ours: {line}"
        else:
            mine, right = (set(_MEMBER.findall(each)) for each in (line, other))
            yield f"{_call(line)}: ours {sorted(mine - right)}, Orthanc's {sorted(right - mine)}"
    yield from (f"only Orthanc's: {line}" for line in calls.values())
    if not extra and not missing:
        yield from (f"{mine[:70]:70} | {right[:70]}" for mine, right in zip_longest(ours, theirs, fillvalue=""))


def _call(line: str) -> str:
    return line.partition(",")[0]


def _together(pair: Pair, act: Callable[[Server], T]) -> tuple[T, T]:
    with ThreadPoolExecutor(2) as pool:
        ours, theirs = pool.map(act, (pair.ours, pair.theirs))
    return ours, theirs


def _by_interpreter(lines: list[str]) -> list[str]:
    """Two interpreters print side by side; only the order within each means something."""
    return [line for line in lines if line.startswith(_FILTERS)] + [
        line for line in lines if not line.startswith(_FILTERS)
    ]


def _steady(line: str) -> str:
    for pattern, name in _VOLATILE:
        line = pattern.sub(name, line)
    return line


def log_of(server: Server) -> Path:
    return server.data.parent / f"{server.name}.log"


def upload(server: Server, *files: bytes) -> list[Any]:
    return [server.ask(Request("/instances", "POST", file)).json() for file in files]


@contextmanager
def start_lua_pair(
    oracle: Oracle,
    folder: Path,
    *scripts: Path,
    more: str = "",
    headers: dict[str, str] | None = None,
    sentinels: int = _SENTINELS,
) -> Iterator[LuaPair]:
    """Both servers with the tracer and then these scripts; only the sentinels are there, and stable."""
    with start_pair(oracle, folder, configured(TRACER, *scripts, more=more), headers) as pair:
        files = [encode(dataset(99, 1, 1, number)) for number in range(sentinels)]
        uploaded = _together(pair, lambda server: upload(server, *files))[1]
        stage = LuaPair(pair, [each["ID"] for each in uploaded])
        pair.wait_until_stable()
        stage.settle()
        yield stage
