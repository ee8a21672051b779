"""`POST /lua/replay`: what scripts would have done for past events, without doing it. Not Orthanc's.

An answer that goes on as long as its client listens, not a job: a job is its events, and a dry replay leaves none. Nothing is lost with one that is
cut off, for its process has no effects; it is asked for again from the last `Position`. The process is ended with the connection. It waits while
its lines are not taken, so a client that reads slowly costs no memory; one that takes nothing for `UNREAD_S` (10 s) is cut off, for there are two places.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import falcon

from actors.services.scripts import callbacks
from actors.services.scripts.errors import killed
from actors.services.scripts.replays import Rehearsed, Replay, ReplayWanted
from actors.wire import metrics
from actors.wire.interruption import Interruption
from api.errors import BadField, BadType, OutOfRange
from api.rest import fields
from api.rest.deps import Deps, Routes
from api.rest.event_requests import LINES
from api.rest.places import Places
from api.rest.replay_lines import END, encode_end, encode_range, encode_rehearsed, encode_running
from api.rest.scripts import SCRIPT_BYTES
from api.rest.serving.auth import ORIGIN
from api.rest.serving.body import read_small
from api.rest.serving.loop_answer import LoopAnswer
from events.errors import Busy, Forbidden, InvalidRequest
from events.identifiers import Seq
from store.log import read_end
from store.views.event_times import find_first_since
from store.views.snapshot import Snapshot

if TYPE_CHECKING:  # see LoopAnswer
    from api.rest.serving.waiting_client import WaitingClient

logger = logging.getLogger("sinogram.http")

MOST_REPLAYS: Final = 2  # at once, in the whole server: each takes a processor
LONGEST_S: Final = 3600.0
MOST_SCRIPTS: Final = 50
NAME_CHARACTERS: Final = 100
DEFAULT_NAME: Final = "script.lua"
DEFAULT_LAST: Final = 1000  # events
TICK_S: Final = 1.0  # between two looks at a callback that takes its time
READ_BYTES: Final = 1 << 16
RETRY_AFTER_S: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WAYS: Final = (("Since", "Until"), ("From", "To"), ("Last",))  # of saying which events


class LuaReplay:
    """See the module's text. Without `ExecuteLuaEnabled` it is forbidden, as `/tools/execute-script` is."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._places = Places(
            metrics.SCRIPT_REPLAYS, MOST_REPLAYS, f"{MOST_REPLAYS} replays are under way already: come again later"
        )

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        if not self._deps.settings.execute_lua_enabled:
            logger.warning("scripts.not-allowed: /lua/replay is forbidden unless ExecuteLuaEnabled is true")
            raise Forbidden
        if ORIGIN in req.env:
            raise InvalidRequest("A script cannot wait for a replay: it would hold up all others")
        wanted = self._read(req)
        try:
            leave = self._places.take()
        except Busy:
            resp.set_header("Retry-After", str(RETRY_AFTER_S))
            raise
        try:
            replay = self._deps.start_replay(wanted)
        except BaseException:
            leave()
            raise
        logger.info("scripts.replay since=%d until=%d", wanted.since, wanted.until)
        resp.content_type = LINES
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("X-Accel-Buffering", "no")  # for nginx, which would gather what comes
        resp.stream = ReplayAnswer(replay, wanted, self._deps.stopping, leave)

    def _read(self, req: falcon.Request) -> ReplayWanted:
        body = fields.parse_json(read_small(req, SCRIPT_BYTES).decode("utf-8", "replace"))
        if not isinstance(body, dict):
            raise BadField("Must provide a JSON object")
        scripts = _read_scripts(body)
        if scripts is None and not self._deps.settings.lua_scripts:
            raise InvalidRequest('There are no LuaScripts that could be tried: give some in "Scripts"')
        with self._deps.views.snapshot() as snapshot:
            since, until = _read_range(body, snapshot)
        return ReplayWanted(scripts=scripts, since=since, until=until)


def _read_scripts(body: Mapping[str, Any]) -> tuple[tuple[str, bytes], ...] | None:
    given = body.get("Scripts")
    if given is None:
        return None
    if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
        raise BadField('"Scripts" is a list of objects with "Source" and "Name"')
    if len(given) > MOST_SCRIPTS:
        raise OutOfRange(f'"Scripts" has {MOST_SCRIPTS} scripts at most')
    return tuple((_name(each), fields.text(each, "Source").encode("utf-8", "surrogatepass")) for each in given)


def _name(script: Mapping[str, Any]) -> str:
    name = fields.text(script, "Name", default=DEFAULT_NAME)
    if not name.isprintable() or not 0 < len(name) <= NAME_CHARACTERS:
        raise OutOfRange(f'"Name" of a script has 1 to {NAME_CHARACTERS} characters that can be printed')
    return name


def _read_range(body: Mapping[str, Any], snapshot: Snapshot) -> tuple[int, int]:
    """Return the first and the last event that are wanted; none where the last is before the first."""
    ways = [way for way in _WAYS if any(name in body for name in way)]
    if len(ways) > 1:
        raise InvalidRequest(
            'Events are told by "Since" and "Until", by "From" and "To", or by "Last": by one of these'
        )
    head, _ = read_end(snapshot.txn, snapshot.tables)
    if "From" in body or "To" in body:
        since = find_first_since(snapshot, _moment_us(body, "From")) if "From" in body else 1
        until = find_first_since(snapshot, _moment_us(body, "To") + 1) - 1 if "To" in body else head
    elif "Since" in body or "Until" in body:
        since, until = fields.whole(body, "Since", default=1), fields.whole(body, "Until", default=head)
    else:
        since, until = head - fields.whole(body, "Last", default=DEFAULT_LAST) + 1, head
    return max(since, 1), min(until, head)


def _moment_us(body: Mapping[str, Any], name: str) -> int:
    text = fields.text(body, name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise BadType(f'"{name}" is a time of ISO 8601, such as 2026-11-20T08:00:00Z') from exc
    if moment.tzinfo is None:
        raise BadType(f'"{name}" needs its zone: 2026-11-20T08:00:00Z, or +01:00 at the end')
    return (moment - _EPOCH) // timedelta(microseconds=1)


class ReplayAnswer(LoopAnswer):
    """Passes the lines of the process on, and adds which callback takes long, and why it ended before its end."""

    def __init__(self, replay: Replay, wanted: ReplayWanted, stopping: Interruption, leave: Callable[[], None]) -> None:
        self._replay = replay
        self._wanted = wanted
        self._stopping = stopping
        self._leave = leave
        self._unfinished = b""  # the beginning of a line

    def close(self) -> None:
        self._replay.end()
        self._leave()

    async def send(self, client: "WaitingClient") -> None:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            loop.call_soon_threadsafe(client.bell.set)

        with self._stopping.watch(ring):
            await client.write(encode_range(self._wanted.since, self._wanted.until))
            await client.write(await self._pass_on(client, loop.time() + LONGEST_S))

    async def _pass_on(self, client: "WaitingClient", deadline_s: float) -> bytes:
        """Pass lines on until there are no more; returns the last ones."""
        loop = asyncio.get_running_loop()
        client.ring_in(TICK_S)
        while True:
            lines = self._take()
            if lines is None:
                return encode_end(message="The process of the replay has ended before its time")
            if lines.startswith(END) or b"\n" + END in lines:
                return lines
            if lines:
                await client.write(lines)
                await asyncio.sleep(0)  # others have their turns, however fast lines come
            if self._stopping.is_set:
                return encode_end(message="The server stops")
            if loop.time() >= deadline_s:
                return encode_end(message=f"A replay takes {LONGEST_S:g} seconds at most")
            if client.is_due:
                client.ring_in(TICK_S)
                seq, activity = self._replay.look()
                if self._replay.is_stuck():
                    return _stuck(seq, activity.name)
                if running := encode_running(seq, activity, time.monotonic()):
                    await client.write(running)
            elif not lines:
                await self._wait(client)

    def _take(self) -> bytes | None:
        """Return whole lines that have come: nothing where none has; None at the end."""
        try:
            came = os.read(self._replay.fd, READ_BYTES)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            return None
        if not came:
            return None
        whole, newline, self._unfinished = (self._unfinished + came).rpartition(b"\n")
        return whole + newline

    async def _wait(self, client: "WaitingClient") -> None:
        """Wait for lines, the next look, the client's leaving, or the server's end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._replay.fd, client.bell.set)  # not longer: it would ring as long as something is unread
        try:
            await client.wait(probe=b"\n")
        finally:
            loop.remove_reader(self._replay.fd)


def _stuck(seq: int, name: str) -> bytes:
    """Tell of a callback, or of a script that was being loaded, which has passed its time and did not even notice."""
    is_callback = name in callbacks.ALL
    told = Rehearsed(seq=Seq(seq), callback=name if is_callback else "", subject="" if is_callback else name)
    told.failure = killed()
    return encode_rehearsed(told) + encode_end(message=f"{name} was stuck, and its process has been ended")


def routes(deps: Deps) -> Routes:
    return {"/lua/replay": LuaReplay(deps)}
