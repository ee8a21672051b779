"""The two interpreters of Lua scripts, each in a process of its own (`tools.server.process`) or within the only one.

    lua-filter   ReceivedInstanceFilter and ReceivedCStoreInstanceFilter: what a C-STORE waits for
    lua-main     everything else: the other filters, the callbacks of events, /tools/execute-script

Both run every script of `LuaScripts`, as Orthanc's do; only lua-main reaches the REST API. A script that cannot be loaded
stops the start.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from actors.messages.index_client import Begin
from actors.messages.log_watch import LogEnd
from actors.messages.scripts import SCRIPTS, ScriptRequest
from actors.services.lua.actor import ScriptsActor
from actors.services.lua.caused_calls import DeliveryReader
from actors.services.lua.chain import Chain
from actors.services.lua.deliverer import AGAIN_S, Deliverer, Targets
from actors.services.lua.functions import HttpFunctions, configuration_function, rest_functions
from actors.services.lua.host_functions import HostFunction
from actors.services.lua.keeping import keeping_functions
from actors.services.lua.recorder import FailureRecorder, Recorder
from actors.services.lua.runtime import Interpreter
from actors.services.scripts import callbacks
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.errors import HostError, ScriptFailed, describe_loading, killed
from actors.services.scripts.reach import socket_name
from actors.services.scripts.settings import LUA_FILTER, LUA_MAIN, LuaSettings
from actors.wire.bridge.server import BridgeServer
from actors.wire.http.client import UrllibClient
from api.app import create_application
from api.rest.serving.in_process import InProcess
from events.errors import BadConfiguration, Busy, SinogramError
from events.identifiers import Seq
from store.views.metadata import MetadataNaming
from tools.server.composition import ServerSettings
from tools.server.facilities import Facilities
from tools.server.links import Links

STOP_PATIENCE_S: Final = 5.0  # for the callback under way, before what it waits for is broken off

printed = logging.getLogger("lua")  # what scripts print
log = logging.getLogger(__name__)


def _absent(name: str) -> HostFunction:
    def refuse(*_: Any) -> Any:
        raise HostError(f"{name}() cannot be called by filters of received instances, nor while scripts are loaded")

    return refuse


# Only lua-main has these: a modality waits for lua-filter, which therefore must not wait for the server.
_ABSENT: Final = {
    name: _absent(name)
    for name in (
        *("RestApiGet", "RestApiPost", "RestApiPut", "RestApiDelete"),
        *("SendToModality", "SendToPeer", "ModifyInstance", "ModifyResource", "Delete"),
        *("SetStableStatus", "StoreKeyValue", "GetKeyValue", "DeleteKeyValue"),
    )
}


class FilterInterpreter:
    """lua-filter."""

    def __init__(self, settings: ServerSettings, board: Board, begin: Begin) -> None:
        """Load the scripts. Raises BadConfiguration."""
        self._board = board
        self._failures = FailureRecorder(begin)
        self._actor: ScriptsActor
        functions = _ABSENT | outward_functions(settings, lambda: self._actor)
        interpreter = make_interpreter(settings.lua, functions, board)
        self._actor = ScriptsActor(
            LUA_FILTER, interpreter, board, on_failed=self._failures.on_failed, has_life_cycle=False
        )
        self.client = ScriptsClient(board, self._actor.ask)
        load(interpreter, settings.lua)

    def serve_bridge(self, folder: Path) -> BridgeServer:
        return _serve(folder, LUA_FILTER, self._actor)

    def start(self) -> None:
        self._failures.start()
        _record_killed(self._board, self._failures)
        self._actor.start()

    def stop(self) -> None:
        """Let the filter under way end, for a while."""
        breaking_off = threading.Timer(STOP_PATIENCE_S, self._actor.break_off)
        breaking_off.start()
        self._actor.stop()
        breaking_off.cancel()
        self._failures.stop()


class MainInterpreter:
    """lua-main."""

    def __init__(self, settings: ServerSettings, board: Board, links: Links) -> None:
        """Load the scripts. Raises BadConfiguration."""
        self._links = links
        self._board = board
        self._failures = FailureRecorder(links.begin)
        self._recorder = Recorder(links.begin)
        self.client = ScriptsClient(board, self._ask)
        self._facilities = own = Facilities(settings, replace(links, scripts=self.client))
        self._rest = InProcess(create_application(own.deps), settings.lua.limits.answer_bytes)
        chain = Chain(sandbox=settings.lua.sandbox)
        interpreter = make_interpreter(settings.lua, self._functions(settings, chain), board)
        self._actor = ScriptsActor(LUA_MAIN, interpreter, board, on_failed=self._failures.on_failed)
        self._follower = _Follower(LogEnd(links.log_watch), self._actor.wake)
        self._deliverer = Deliverer(
            self._actor,
            board,
            DeliveryReader(
                own.views,
                own.blobs,
                lambda: own.runtime.ingest().default_encoding,
                MetadataNaming(own.deps.settings.user_metadata),
            ),
            own.views,
            chain,
            Targets(
                modalities=lambda: {modality.name for modality in own.modalities.list()},
                peers=lambda: {peer.name for peer in own.peers.list()},
            ),
            self._recorder,
            watch=self._watch,
            heart_beat_s=settings.lua.heart_beat_s,
        )
        load(interpreter, settings.lua)

    def _watch(self, seq: Seq, tags: frozenset[str]) -> None:
        self._follower.watch(seq, tags, self._deliverer.on_passed)

    def _functions(self, settings: ServerSettings, chain: Chain) -> dict[str, HostFunction]:
        """The functions of scripts; those that may take long leave the interpreter's thread free for what they cause."""
        own = self._facilities
        return (
            rest_functions(self._call_rest)
            | outward_functions(settings, lambda: self._actor)
            | keeping_functions(own.index, own.views, lambda: self._actor.correlation)
            | chain.functions()
        )

    def _call_rest(self, method: str, uri: str, body: bytes, headers: Any) -> bytes | None:
        correlation = self._actor.correlation
        return self._actor.run_apart(lambda: self._rest.call(method, uri, body, headers, correlation))

    def _ask(self, request: ScriptRequest, timeout_s: float) -> Any:
        return self._actor.ask(request, timeout_s)

    def serve_bridge(self, folder: Path) -> BridgeServer:
        return _serve(folder, LUA_MAIN, self._actor)

    def start(self) -> None:
        self._failures.start()
        _record_killed(self._board, self._failures)
        self._follower.start()
        self._actor.start(self._deliverer)

    def stop(self) -> None:
        """Let the callback under way end, for a while; what it waits for is broken off then. Events are delivered at the next start."""
        breaking_off = threading.Timer(STOP_PATIENCE_S, self._break_off)
        breaking_off.start()
        self._actor.stop()
        breaking_off.cancel()
        self._break_off()
        self._follower.join()
        self._failures.stop()
        try:
            self._recorder.advance()
        except SinogramError as exc:  # no core any more, or a full disk
            log.warning("lua.position-not-saved: %s", exc)
        self._facilities.close()

    def _break_off(self) -> None:
        self._actor.break_off()
        self._facilities.stopping.interrupt()
        self._links.jobs.close()
        self._links.log_watch.close()


class _Follower:
    """Wakes the actor when the log has grown, if the actor has asked for that."""

    def __init__(self, log_end: LogEnd, wake: Callable[[], None]) -> None:
        self._log_end = log_end
        self._wake = wake
        self._after = Seq(0)
        self._tags: frozenset[str] = frozenset()
        self._on_passed: Callable[[Seq, frozenset[str]], None] = lambda _seq, _tags: None
        self._is_asking = False
        self._wanted = threading.Semaphore(0)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lua-log-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, seq: Seq, tags: frozenset[str], on_passed: Callable[[Seq, frozenset[str]], None]) -> None:
        """Wake the actor once the log has events of these tags after `seq`; for the actor's thread.

        Before that, `on_passed` gets the sequence up to which there are none.
        """
        if not self._is_asking:
            self._is_asking, self._after, self._tags, self._on_passed = True, seq, tags, on_passed
            self._wanted.release()

    def _run(self) -> None:
        while self._wanted.acquire() and not self._ending.is_set():
            try:
                self._on_passed(self._log_end.wait_beyond(self._after, self._tags), self._tags)
            except Busy:  # the server stops, or there was no descriptor left: the actor will look, and ask again
                self._ending.wait(AGAIN_S)
            self._is_asking = False
            self._wake()

    def join(self) -> None:
        """Wait for the end, once the channel is closed."""
        self._ending.set()
        self._wanted.release()
        self._thread.join()


def _record_killed(board: Board, failures: FailureRecorder) -> None:
    """Record the filter in which the process before this one was killed; the deliverer records callbacks of events."""
    name = board.take_killed()
    if name in callbacks.ALL and board.left_behind() is None:
        failures.on_failed(name, killed())


def outward_functions(settings: ServerSettings, actor: Callable[[], ScriptsActor]) -> dict[str, HostFunction]:
    """The functions of both interpreters. Requests go out apart: an answer that never ends does not outlast the callback's time."""
    client = UrllibClient(settings.http_client, most_bytes=settings.lua.limits.answer_bytes)
    http = HttpFunctions(lambda *request: actor().run_apart(lambda: client(*request)))
    return http.functions() | configuration_function(settings.lua.configuration)


def make_interpreter(settings: LuaSettings, functions: dict[str, HostFunction], board: Board) -> Interpreter:
    board.heartbeat.clear()  # the last words of the process before this one
    return Interpreter(
        functions, limits=settings.limits, sandbox=settings.sandbox, output=_print, pulse=board.heartbeat
    )


def load(interpreter: Interpreter, settings: LuaSettings) -> None:
    """Run the scripts of `LuaScripts` in their order. Raises BadConfiguration."""
    for script, source in zip(settings.scripts, settings.sources, strict=True):
        try:
            interpreter.load(source, str(script))
        except ScriptFailed as exc:
            raise BadConfiguration(f"LuaScripts: {describe_loading(script, exc)}") from exc


def _print(line: bytes) -> None:
    printed.warning("Lua says: %s", line.decode("utf-8", "replace"))


def _serve(folder: Path, process: str, actor: ScriptsActor) -> BridgeServer:
    bridge = BridgeServer(folder, SCRIPTS.served_by(actor.request), lambda _: None, socket_name(process))
    bridge.start()
    return bridge
