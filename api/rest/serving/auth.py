"""The user of a request: HTTP Basic or a session (`AuthenticationEnabled`, `RegisteredUsers`), `RemoteAccessAllowed`, and the origin of a request.

The correlation of a request stands in every event that it causes.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final

import falcon

from api.rest.serving.paths import normalize_path
from api.rest.serving.sessions import COOKIE, PAGE_HEADER, Sessions, token_of
from api.rest.settings import RestSettings
from events.identifiers import new_correlation
from store.records import Origin

# Keys of the WSGI environment of a request that a script makes (`api.rest.serving.in_process`).
CORRELATION: Final = "sinogram.correlation"  # of the callback that makes it
ORIGIN: Final = "sinogram.origin"  # "Lua"

CHALLENGE = ("WWW-Authenticate", 'Basic realm="Orthanc Secure Area"')
USERNAME = "sinogram.username"  # key of the WSGI environment
_WAYS: Final = frozenset(("/", "/app/explorer.html"))  # to the page


class Gate:
    """Decides whether a request may pass."""

    def __init__(self, settings: RestSettings, sessions: Sessions | None = None) -> None:
        self._settings = settings
        self._sessions = sessions
        self._allow_remote = settings.remote_access_allowed
        self._users: dict[bytes, bytes] | None = None
        if settings.authentication_enabled:
            self._users = encode_users(settings.registered_users)

    @property
    def authenticates(self) -> bool:
        """Tell whether admitted clients have proved who they are."""
        return self._users is not None

    def admit(self, environ: dict[str, Any]) -> bool:
        """Tell whether a request may pass, and note its user in the environment.

        Where authentication is off, this is the name in the request, as for Orthanc 1.12.7: a proxy may have checked it.
        """
        if not self._allow_remote and not is_loopback(environ.get("REMOTE_ADDR", "")):
            return False
        credentials = _parse_basic(environ.get("HTTP_AUTHORIZATION", ""))
        if self._users is None:
            if credentials is not None:
                environ[USERNAME] = credentials[0].decode("utf-8", "replace")
            return True
        user = self._user_of_session(environ) if credentials is None else self._user_of_password(*credentials)
        if user is not None:
            environ[USERNAME] = user
        return user is not None or is_page(environ, self._settings)

    def _user_of_password(self, user: bytes, password: bytes) -> str | None:
        return user.decode("utf-8", "replace") if has_password(self._users or {}, user, password) else None

    def _user_of_session(self, environ: dict[str, Any]) -> str | None:
        token = None if self._sessions is None else token_of(environ)
        if self._sessions is None or token is None:
            return None
        user = self._sessions.find(token)
        return user if user is not None and user.encode() in (self._users or {}) else None


def has_password(users: Mapping[bytes, bytes], user: bytes, password: bytes) -> bool:
    """Tell whether a password is a user's. It is compared even for unknown users, so that the time taken does not show which names exist."""
    expected = users.get(user)
    matches = hmac.compare_digest(password, expected if expected is not None else b"\0")
    return matches and expected is not None


def is_page(environ: Mapping[str, Any], settings: RestSettings) -> bool:
    """Tell whether a request asks for the page itself, which holds no data and shows the login, or is a browser's on the way to it.

    Programs are told of the way what Orthanc tells them: that they need a password.
    """
    path = normalize_path(environ["PATH_INFO"])
    if path in _WAYS and environ["REQUEST_METHOD"] == "GET" and "text/html" in environ.get("HTTP_ACCEPT", ""):
        return settings.serve_folders.find(path) is None
    return path == "/ui" or path.startswith("/ui/")


def challenge(environ: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what asks for a password: nothing for the page's own requests, for which a browser would open a window of its own."""
    return [] if PAGE_HEADER in environ or COOKIE in environ.get("HTTP_COOKIE", "") else [CHALLENGE]


def username_of(req: falcon.Request) -> str:
    """Return the user of a request, see `Gate.admit`; empty where it names none."""
    name: str = req.env.get(USERNAME, "")
    return name


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def encode_users(users: Mapping[str, str]) -> dict[bytes, bytes]:
    return {user.encode(): password.encode() for user, password in users.items()}


def _parse_basic(header: str) -> tuple[bytes, bytes] | None:
    # The scheme is matched as Orthanc matches it: case-sensitively, though RFC 7617 §2 would not.
    if not header.startswith("Basic "):
        return None
    try:
        decoded = base64.b64decode(header[6:], validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None


def correlation_of(req: falcon.Request) -> bytes:
    """Return the correlation of a request; it stays the same however often it is asked for."""
    correlation: bytes = req.env.setdefault(CORRELATION, new_correlation())
    return correlation


def origin_of(req: falcon.Request) -> Origin:
    """Return the origin of the instances that a request brings."""
    if ORIGIN in req.env:
        return Origin(kind=req.env[ORIGIN])
    return Origin(kind="RestApi", remote_ip=req.remote_addr or "", username=username_of(req))
