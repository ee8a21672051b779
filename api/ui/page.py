"""`/ui`: the files of the page, and the session of who uses it."""

import gzip
import html
import json
import mimetypes
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import falcon

from api.errors import BadField, UnknownRoute
from api.rest import fields, system
from api.rest.deps import Deps, Routes
from api.rest.serving.auth import encode_users, has_password, username_of
from api.rest.serving.replies import send_json
from api.rest.serving.sessions import COOKIE, LIFE_S, Sessions, token_of
from events.errors import Unauthorized

BUILT: Final = Path(__file__).with_name("built")

# Nothing from another host, no script in the page itself. The viewer's codecs are WebAssembly, its workers start from blobs.
POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self' blob:; font-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FOREVER: Final = "public, max-age=31536000, immutable"  # their names change with their content
_TOLD: Final = b'<meta name="session" content="" />'
_TOLD_AS: Final = b'<meta name="session" content="%s" />'
_SMALL_BYTES: Final = 1 << 10
_TYPES: Final = {".js": "text/javascript", ".wasm": "application/wasm", ".svg": "image/svg+xml"}


@lru_cache(maxsize=256)
def _read(path: Path) -> tuple[bytes, bytes]:
    """Return a file as it is, and compressed."""
    content = path.read_bytes()
    return content, gzip.compress(content, 9, mtime=0)


class Session:
    """`/ui/session`: who uses the page."""

    def __init__(self, deps: Deps) -> None:
        self._sessions = Sessions(deps.views, deps.index)
        self._is_needed = deps.settings.authentication_enabled
        self._users = encode_users(deps.settings.registered_users) if self._is_needed else {}
        web = deps.settings.dicom_web
        self._web_root = web.route("") if web.is_enabled else None  # where the viewer finds images

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say who it is: null where somebody must log in first. It is no error, so that the page can ask without one in a browser's console."""
        _answer(req, resp, self.show(req))

    def show(self, req: falcon.Request) -> dict[str, Any]:
        return self._shown(username_of(req) or (None if self._is_needed else ""))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Begin a session with `{"User": …, "Password": …}`. Raises Unauthorized, BadField."""
        body = fields.read_object(req)
        user, password = fields.text(body, "User"), fields.text(body, "Password")
        if not self._is_needed:
            raise BadField("No session is needed: AuthenticationEnabled is off")
        if not has_password(self._users, user.encode(), password.encode()):
            raise Unauthorized
        _give(req, resp, self._sessions.begin(user))
        _answer(req, resp, self._shown(user))

    def on_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """End the session."""
        if (token := token_of(req.env)) is not None:
            self._sessions.end(token)
        resp.unset_cookie(COOKIE, path="/", samesite="Strict")
        send_json(req, resp, {})

    def _shown(self, user: str | None) -> dict[str, Any]:
        return {"AuthenticationEnabled": self._is_needed, "User": user, "DicomWebRoot": self._web_root}


class Page:
    """`/ui/…`: a file of the page. An address without one is a view, which the page itself finds by it, and is told who uses it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = _find_files()

    def on_get(self, req: falcon.Request, resp: falcon.Response, path: str = "") -> None:
        name = path if path in self._files else "index.html"
        if name == "index.html" and "." in path.rpartition("/")[2]:
            raise UnknownRoute
        try:
            content, compressed = _read(self._files[name])
        except (
            FileNotFoundError
        ) as exc:  # an update has replaced the files of a server that runs: the page asks for itself anew
            _read.cache_clear()
            self._files = _find_files()
            raise UnknownRoute from exc
        for header, value in _HEADERS.items():
            resp.set_header(header, value)
        if name == "index.html":
            resp.content_type = "text/html"
            resp.set_header("Cache-Control", "no-store")
            resp.data = content.replace(_TOLD, _TOLD_AS % html.escape(json.dumps(self._session.show(req))).encode())
            return
        suffix = Path(name).suffix
        resp.content_type = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
        resp.set_header("Cache-Control", _FOREVER if name.startswith("assets/") else "no-cache")
        resp.data = content
        if len(content) > _SMALL_BYTES:
            resp.set_header("Vary", "Accept-Encoding")
            if "gzip" in req.env.get("HTTP_ACCEPT_ENCODING", ""):
                resp.set_header("Content-Encoding", "gzip")
                resp.data = compressed


def _find_files() -> dict[str, Path]:
    """Return the files of the page by their paths below `/ui/`."""
    return {path.relative_to(BUILT).as_posix(): path for path in BUILT.rglob("*") if path.is_file()}


def _answer(req: falcon.Request, resp: falcon.Response, shown: dict[str, Any]) -> None:
    resp.set_header("Cache-Control", "no-store")
    send_json(req, resp, shown)


def _give(req: falcon.Request, resp: falcon.Response, token: str) -> None:
    is_https = "https" in {req.forwarded_scheme, req.scheme}
    resp.set_cookie(COOKIE, token, max_age=LIFE_S, path="/", secure=is_https, http_only=True, same_site="Strict")


def routes(deps: Deps) -> Routes:
    """Return the routes of the page, and those that lead to it; none where Orthanc has no Explorer, too (`OrthancExplorerEnabled`)."""
    if not deps.settings.explorer_enabled:
        return {}
    session = Session(deps)
    page = Page(session)
    return {"/ui": page, "/ui/{path:path}": page, "/ui/session": session, **system.ways(deps)}
