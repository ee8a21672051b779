"""Asks IncomingHttpRequestFilter for the front, with little patience, and decides who is admitted while it cannot answer.

The interpreter may be stuck, dead, or being started again. Then a request is refused (503), after `PATIENCE_S` at most, and at once
when others have found out already: one request in `PROBE_S` still tries. So a stuck interpreter holds a few threads, not all.

Three requests go on all the same for an administrator, for they are how one gets out of it: `ADMINISTRATION`. A filter that was asked and
refused, or failed, is never passed by. An administrator is

- where authentication is on, a client that has passed it: a registered user;
- where it is off, the operating system's user that the server runs as, on this machine: who could end its processes anyway. As requests do
  not show their port, all connections from this machine to this server must be of that user: with a proxy of another user among them
  nobody is let in. Nor is a request that says that it was forwarded, or that a web page has made it.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from actors.services.scripts.script_filters import ScriptFilters
from api.rest.serving.auth import is_loopback
from events.errors import Busy

PATIENCE_S: Final = 10.0  # an interpreter that is killed for being stuck in a short callback is there again by then
PROBE_S: Final = 10.0
SLOW_S: Final = 1.0  # a callback that runs for longer has no more than
MOST_WAITING: Final = 4  # requests waiting for it

ADMINISTRATION: Final = frozenset({("POST", "/tools/shutdown"), ("POST", "/tools/reset"), ("GET", "/lua/status")})

_FORWARDED: Final = ("HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_ORIGIN", "HTTP_REFERER")
_ESTABLISHED: Final = "01"
_TABLES: Final = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))

Doing = tuple[str, float, bool]  # what the interpreter does, since when, and whether its process lives


class Admission:
    """Asks the filter. Thread-safe."""

    def __init__(self, filters: ScriptFilters, clock: Callable[[], float] = time.monotonic) -> None:
        self._filters = filters
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = 0
        self._stuck: Doing | None = None  # the callback during which a caller was not answered
        self._probe_at_s = 0.0

    def ask(self, *arguments: Any) -> bool:
        """Ask about a request (see `ScriptFilters.admits_request`). Raises ScriptFailed; Busy if there was no answer."""
        doing = self._filters.main_activity()
        self._enter(doing)
        try:
            return self._filters.admits_request(*arguments, timeout_s=PATIENCE_S)
        except Busy:
            name, started_s, lives = self._filters.main_activity()
            with self._lock:
                if name or not lives:  # else it has ended just now
                    self._stuck, self._probe_at_s = (name, started_s, lives), self._clock() + PROBE_S
            raise
        finally:
            with self._lock:
                self._waiting -= 1

    def _enter(self, doing: Doing) -> None:
        name, started_s, _ = doing
        now_s = self._clock()
        with self._lock:
            if doing != self._stuck:
                self._stuck = None
            elif now_s < self._probe_at_s:
                raise _no_answer()
            else:
                self._probe_at_s = now_s + PROBE_S
            if name and now_s > started_s + SLOW_S and self._waiting >= MOST_WAITING:
                raise _no_answer()
            self._waiting += 1


def _no_answer() -> Busy:
    return Busy("IncomingHttpRequestFilter cannot be asked now: GET /lua/status shows what its interpreter does")


def is_administration(environ: Mapping[str, Any], *, is_authenticated: bool) -> bool:
    """Tell whether a request goes on although the filter cannot be asked about it; see the module's text."""
    if (environ["REQUEST_METHOD"], environ["PATH_INFO"].rstrip("/")) not in ADMINISTRATION:
        return False
    return is_authenticated or _is_own_user(environ)


def _is_own_user(environ: Mapping[str, Any]) -> bool:
    if not is_loopback(environ.get("REMOTE_ADDR", "")):
        return False
    if any(name in _FORWARDED or name.startswith("HTTP_X_FORWARDED") for name in environ):
        return False
    return set(_owners(int(environ.get("SERVER_PORT") or 0))) == {os.geteuid()}


def _owners(port: int) -> Iterator[int]:
    """Yield the users of all connections from this machine to a port: the ends of the clients."""
    for table in _TABLES:
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:  # no IPv6
            continue
        for row in rows:
            _, _, remote, state, _, _, _, user, *_ = row.split()
            if state == _ESTABLISHED and int(remote.rpartition(":")[2], 16) == port:
                yield int(user)
