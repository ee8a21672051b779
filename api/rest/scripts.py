"""`/tools/execute-script` and `/lua/status`: Lua scripts over REST."""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import falcon

from actors.services.lua.cursor import read_cursor
from actors.services.scripts.board import Board, CallTimes
from actors.services.scripts.errors import place_of
from actors.services.scripts.heartbeat import BETWEEN
from api.rest.deps import Deps, Routes
from api.rest.event_entries import render_told, sees_values
from api.rest.serving.auth import correlation_of
from api.rest.serving.body import read_small
from api.rest.serving.replies import TEXT, send_json
from events.errors import Forbidden
from store.log import read_end
from store.times import format_us
from store.views.callbacks import CallbackFailure, count_waiting, get_callback_counts, list_last_failures
from store.views.event_pages import Reader, Told
from store.views.feed import EventEntry, get_entry
from store.views.snapshot import Snapshot

logger = logging.getLogger("sinogram.http")

Tell = Callable[[Snapshot, EventEntry], Told]
SCRIPT_BYTES: Final = 16 << 20  # of a body; half of what the interpreter's bridge takes


class ExecuteScript:
    """`POST /tools/execute-script`: runs its body in the main interpreter and answers what that printed.

    Without `ExecuteLuaEnabled` it is forbidden to all callers, including scripts that call it by RestApiPost(). Source: observed on
    Orthanc 1.12.7.
    """

    def __init__(self, deps: Deps) -> None:
        self._scripts = deps.scripts if deps.settings.execute_lua_enabled else None
        self._timeout_s = deps.settings.execute_lua_timeout_s

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        if self._scripts is None:
            logger.warning("scripts.not-allowed: /tools/execute-script is forbidden unless ExecuteLuaEnabled is true")
            raise Forbidden
        source = read_small(req, SCRIPT_BYTES).partition(b"\0")[0]  # where Orthanc's strings end
        printed = self._scripts.execute(source, correlation_of(req), timeout_s=self._timeout_s)
        resp.content_type = TEXT
        resp.data = printed


class LuaStatus:
    """`GET /lua/status`: the state of scripts. It asks no interpreter, so it answers while they are busy or stuck. Not Orthanc's."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        clients = {"Filter": self._deps.received, "Main": self._deps.scripts}
        boards = {name: client.board for name, client in clients.items() if client is not None}
        with self._deps.views.snapshot() as snapshot:
            tell = Reader().tell
            with_values = sees_values(req, self._deps.settings)
            shown: dict[str, Any] = {
                "Scripts": list(self._deps.settings.lua_scripts),
                "ExecuteLuaEnabled": self._deps.settings.execute_lua_enabled,
                "Interpreters": {name: _render_board(board) for name, board in boards.items()},
                "Events": _render_position(snapshot, has_scripts=self._deps.scripts is not None)
                | _render_counts(snapshot),
                "LastFailures": [
                    _render_failure(failure) | _render_cause(snapshot, tell, failure, with_values=with_values)
                    for failure in list_last_failures(snapshot)
                ],
            }
        send_json(req, resp, shown)


def _render_board(board: Board) -> dict[str, Any]:
    activity = board.heartbeat.read()
    running = {"Callback": activity.name, "Seconds": round(time.monotonic() - activity.started_s, 3)}
    return {
        "Callbacks": board.defined(),
        "MemoryBytes": board.memory_bytes,
        "Calls": {name: _render_times(times) for name, times in board.call_times().items()},
        "Running": running if activity.name not in {"", BETWEEN} else None,
    }


def _render_times(times: CallTimes) -> dict[str, Any]:
    return {
        "Count": times.calls,
        "Failed": times.failed,
        "Seconds": round(times.seconds, 6),
        "LongestSeconds": round(times.longest_s, 6),
    }


def _render_position(snapshot: Snapshot, *, has_scripts: bool) -> dict[str, Any]:
    """The position is null where no callback listens to events, and where no scripts are configured so is the lag."""
    cursor, (end, _) = read_cursor(snapshot), read_end(snapshot.txn, snapshot.tables)
    lag = end - cursor if cursor is not None else 0 if has_scripts else None
    return {"Cursor": cursor, "Last": end, "Lag": lag}


def _render_counts(snapshot: Snapshot) -> dict[str, int]:
    counts = get_callback_counts(snapshot)
    return {
        "Waiting": count_waiting(snapshot),
        "Failed": counts.failed,
        "Recovered": counts.recovered,
        "Skipped": counts.skipped,
    }


def _render_failure(failure: CallbackFailure) -> dict[str, Any]:
    script, line = place_of(failure.message or "")
    return {
        "Seq": failure.seq,
        "Date": format_us(failure.at_us),
        "Callback": failure.callback,
        "Event": failure.cause_seq or None,
        "Attempt": failure.attempt,
        "RetrySeconds": failure.delay_ms / 1000 or None,
        "Cause": failure.cause,
        "Message": failure.message,
        "Script": script,
        "Line": line,
    }


def _render_cause(snapshot: Snapshot, tell: Tell, failure: CallbackFailure, *, with_values: bool) -> dict[str, Any]:
    """The event for which it was called, and the resource that this is about; nulls where there was none, or it is gone from the log."""
    entry = get_entry(snapshot, failure.cause_seq) if failure.cause_seq else None
    told = None if entry is None else render_told(tell(snapshot, entry), with_values=with_values)
    return {"EventTag": told and told["Tag"], "Resource": told and told["Resource"]}


def routes(deps: Deps) -> Routes:
    return {"/lua/status": LuaStatus(deps), "/tools/execute-script": ExecuteScript(deps)}
