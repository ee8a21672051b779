"""The lines of a dry replay of scripts: a JSON object each, as `POST /lua/replay` answers them (docs/lua.md)."""

import json
from typing import TYPE_CHECKING, Any, Final

from actors.services.scripts import callbacks
from actors.services.scripts.errors import ScriptFailed, place_of
from actors.services.scripts.heartbeat import BETWEEN, Activity
from actors.services.scripts.replays import Rehearsed
from store.times import format_precise_us

if TYPE_CHECKING:  # it loads Lua, which gateways do without
    from actors.services.lua.rehearsal import Rehearsal

END: Final = b'{"Done":'  # what the last line begins with
MESSAGE_CHARACTERS: Final = 1_000
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def encode_range(since: int, until: int) -> bytes:
    """Which events will be looked at: the first line."""
    return _line({"Since": since, "Until": until})


def encode_rehearsed(told: Rehearsed) -> bytes:
    """What a callback would do; `Callback` is null for a script that was loaded, whose name `Resource` is."""
    return _line(
        {
            "Callback": told.callback or None,
            "Event": told.seq or None,
            "Date": format_precise_us(told.at_us) if told.at_us else None,
            "Resource": told.subject or None,
            "Partial": told.is_partial,
            "Effects": [{"Kind": kind, "Text": text} for kind, text in told.effects],
            "LeftOut": told.left_out,
            "Error": None if told.failure is None else _render_failure(told.failure),
            "Seconds": round(told.seconds, 6),
        }
    )


def encode_position(rehearsal: "Rehearsal") -> bytes:
    """How far it is."""
    return _line(_place(rehearsal))


def encode_running(seq: int, activity: Activity, now_s: float) -> bytes:
    """Which callback takes its time; nothing where none does."""
    if activity.name in {"", BETWEEN}:
        return b""
    return _line({"Running": {"Callback": activity.name, "Event": seq or None, "Seconds": now_s - activity.started_s}})


def encode_end(rehearsal: "Rehearsal | None" = None, message: str | None = None) -> bytes:
    """The last line; `message` is why the end was not reached."""
    return _line({"Done": message is None, "Message": message} | ({} if rehearsal is None else _place(rehearsal)))


def _place(rehearsal: "Rehearsal") -> dict[str, Any]:
    counts = rehearsal.counts
    calls = {name: counts[name] for name in callbacks.ALL if counts[name]}
    effects = {name: count for name, count in sorted(counts.items()) if name not in {*calls, "events", "failed"}}
    return {
        "Position": rehearsal.position,
        "Events": counts["events"],
        "Calls": calls,
        "Effects": effects,
        "Failed": counts["failed"],
    }


def _render_failure(failure: ScriptFailed) -> dict[str, Any]:
    script, line = place_of(failure.message)
    return {
        "Cause": failure.cause.value,
        "Message": failure.message[:MESSAGE_CHARACTERS],
        "Script": script,
        "Line": line,
    }


def _line(shown: dict[str, Any]) -> bytes:
    return _encode(shown).encode() + b"\n"
