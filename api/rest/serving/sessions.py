"""Sessions of users of the page: a login makes a cookie that stands for a user for some hours, on every gateway.

Kept by the index as settings until the next start, under the digest of the cookie's token: who reads the index learns no token.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from actors.messages.index_client import IndexClient
from store.views.views import Views

COOKIE: Final = "sinogram-session"
LIFE_S: Final = 12 * 3600
MOST: Final = 1_000  # of all users; the oldest ends for one more
PAGE_HEADER: Final = "HTTP_X_SINOGRAM_PAGE"  # pages of other hosts cannot send it

_PREFIX: Final = "Session-"
_SAFE: Final = frozenset(("GET", "HEAD"))


class Sessions:
    """Begins, finds and ends sessions. Thread-safe."""

    def __init__(self, views: Views, index: IndexClient, clock: Callable[[], float] = time.time) -> None:
        self._views = views
        self._index = index
        self._clock = clock

    def begin(self, user: str) -> str:
        """Return the token of a new session."""
        token, now_s = secrets.token_urlsafe(32), self._clock()
        with self._views.snapshot() as s:
            running = sorted((end_s, name) for name, (_, end_s) in s.settings(_PREFIX).items())
        kept = [(end_s, name) for end_s, name in running if end_s > now_s][-(MOST - 1) :]
        for _, name in running[: len(running) - len(kept)]:
            self._index.set_setting(_PREFIX + name, None)
        self._index.set_setting(_PREFIX + _digest(token), [user, now_s + LIFE_S])
        return token

    def find(self, token: str) -> str | None:
        """Return the user of a session that has not ended."""
        with self._views.snapshot() as s:
            kept = s.setting(_PREFIX + _digest(token))
        return kept[0] if kept is not None and kept[1] > self._clock() else None

    def end(self, token: str) -> None:
        self._index.set_setting(_PREFIX + _digest(token), None)


def _may_change(environ: dict[str, Any]) -> bool:
    """Tell whether a request may be one that changes something; a GET may name another method (`api.rest.serving.front`)."""
    is_get = environ["REQUEST_METHOD"] in _SAFE
    return not is_get or "HTTP_X_HTTP_METHOD_OVERRIDE" in environ or "_method" in environ.get("QUERY_STRING", "")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def token_of(environ: dict[str, Any]) -> str | None:
    """Return the token in a request's cookie, None where it has none or where a page of another host has made the request.

    The cookie is SameSite=Strict; older browsers are told from others by the header that says where a request comes from. What changes
    something needs the page's own header as well.
    """
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in {"same-origin", "none"}:
        return None
    if _may_change(environ) and PAGE_HEADER not in environ:
        return None
    try:
        morsel = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None
