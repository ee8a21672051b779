"""The WSGI callable in front of falcon: what Orthanc does to every request before it looks at routes.

In this order: who may ask (`api.rest.auth`), the method and its overrides, the path. Source: observed on Orthanc 1.12.7:

- HEAD and OPTIONS are answered 404 without a body, any other method but GET, POST, PUT, DELETE 400;
- `X-HTTP-Method-Override: PUT|DELETE` (any request) and `?_method=PUT|DELETE` (a GET) change the method; any other
  value is 400;
- doubled slashes count once, `.` and `..` are resolved, a final slash makes no difference.
"""

import posixpath
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from api.rest.auth import CHALLENGE, Gate
from api.rest.settings import RestSettings

Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]  # PEP 3333
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_NOSNIFF = ("X-Content-Type-Options", "nosniff")
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_OVERRIDES = {"put": "PUT", "delete": "DELETE"}


class Front:
    """See the module's text. Thread-safe."""

    def __init__(self, application: Application, settings: RestSettings) -> None:
        self._application = application
        self._gate = Gate(settings)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            headers.append(_NOSNIFF)
            return start_response(status, headers, exc_info)

        # An IPv4 client of a socket that takes both families.
        environ["REMOTE_ADDR"] = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
        if not self._gate.admit(environ):
            start("401 Unauthorized", [CHALLENGE, ("Content-Length", "0")])
            return [b""]
        refusal = _settle_method(environ)
        if refusal is not None:
            start(refusal, [("Content-Length", "0")])
            return [b""]
        environ["PATH_INFO"] = normalize_path(environ["PATH_INFO"])
        # falcon decodes a plus as a blank; Orthanc takes it as it stands.
        if "+" in environ["QUERY_STRING"]:
            environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("+", "%2B")
        return self._application(environ, start)


def _settle_method(environ: dict[str, Any]) -> str | None:
    """Put the method that counts into the environment, or return the status line of a refusal."""
    method = environ["REQUEST_METHOD"]
    if method in {"HEAD", "OPTIONS"}:
        return "404 Not Found"
    if method not in _METHODS:
        return "400 Bad Request"
    override = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "")
    if not override and method == "GET" and "_method=" in environ["QUERY_STRING"]:
        override = parse_qs(environ["QUERY_STRING"]).get("_method", [""])[-1]
    if override:
        chosen = _OVERRIDES.get(override.lower())
        if chosen is None:
            return "400 Bad Request"
        environ["REQUEST_METHOD"] = chosen
    return None


def normalize_path(path: str) -> str:
    """Return a path with single slashes and without `.` and `..`; a final slash stays, for error bodies show it."""
    path = path.partition("\0")[0]  # where Orthanc's strings end
    if "//" not in path and "/." not in path:
        return path or "/"
    normal = posixpath.normpath("/" + path.lstrip("/"))
    return normal + "/" if path.endswith("/") and normal != "/" else normal
