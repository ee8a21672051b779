"""The WSGI callable in front of falcon: what Orthanc does to every request before it looks at routes.

In this order: who may ask (`api.rest.serving.auth`), the method and its overrides, the path, the filter of scripts. Source: observed
on Orthanc 1.12.7:

- HEAD and OPTIONS are answered 404 without a body (but OPTIONS of DICOMweb), any other method but GET, POST, PUT, DELETE 400 (HEAD of a file in a folder of
  `ServeFolders` is answered as RFC 9110 has it);
- `X-HTTP-Method-Override: PUT|DELETE` (any request) and `?_method=PUT|DELETE` (a GET) change the method; any other
  value is 400;
- doubled slashes count once, `.` and `..` are resolved, a final slash makes no difference;
- IncomingHttpRequestFilter is asked about every request that gets this far, unknown paths and the user interface too, and before the 404 of
  HEAD and OPTIONS, which it sees as GET. false is 403 without a body. When it cannot be asked: `api.rest.serving.admission`.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from api.rest.serving.admission import Admission, is_administration
from api.rest.serving.auth import CORRELATION, USERNAME, Gate, challenge
from api.rest.serving.fault import Faults, status_line
from api.rest.serving.paths import normalize_path
from api.rest.serving.replies import TEXT
from api.rest.serving.sessions import Sessions
from api.rest.settings import RestSettings
from events.errors import Busy, SinogramError
from events.identifiers import new_correlation

logger = logging.getLogger("sinogram.http")

Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]  # PEP 3333
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

# falcon has names of headers in lower case; people and careless programs look for them as Orthanc and its book write them.
_WRITTEN = {
    name.lower(): name
    for name in (
        "Allow", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "ETag", "Location",
        "Warning",
    )
}  # fmt: skip
_NOSNIFF = ("X-Content-Type-Options", "nosniff")
# What these types hold may come from a modality or from an attachment: shown by a browser, its scripts would act as whoever has logged in.
_MAY_HOLD_SCRIPTS = ("text/html", "/xml", "+xml")  # ends of their names
_WITHOUT_SCRIPTS = ("Content-Security-Policy", "sandbox")
_METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
_HIDDEN = frozenset({"HEAD", "OPTIONS"})
_OVERRIDES = {"put": "PUT", "delete": "DELETE"}


class Front:
    """See the module's text. Thread-safe."""

    def __init__(
        self,
        application: Application,
        settings: RestSettings,
        filters: ScriptFilters = NO_FILTERS,
        sessions: Sessions | None = None,
    ) -> None:
        self._application = application
        self._gate = Gate(settings, sessions)
        self._filters = filters
        self._admission = Admission(filters)
        self._faults = Faults(describe=settings.http_describe_errors)
        self._folders = settings.serve_folders
        self._dicom_web = settings.dicom_web

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            written = [(_WRITTEN.get(name, name), value) for name, value in headers]
            written.append(_NOSNIFF)
            if self._holds_foreign_scripts(environ, headers):
                written.append(_WITHOUT_SCRIPTS)
            return start_response(status, written, exc_info)

        # An IPv4 client of a socket that takes both families.
        environ["REMOTE_ADDR"] = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
        if not self._gate.admit(environ):
            start("401 Unauthorized", [*challenge(environ), ("Content-Length", "0")])
            return [b""]
        if not _settle_method(environ):
            return _refuse(start, "400 Bad Request")
        environ["PATH_INFO"] = normalize_path(environ["PATH_INFO"])
        if self._filters.filters_requests and (refusal := self._ask_filter(environ)) is not None:
            return _refuse(start, *refusal)
        if environ["REQUEST_METHOD"] in _HIDDEN and not (
            self._is_head_of_file(environ) or self._asks_what_web_offers(environ)
        ):
            return _refuse(start, "404 Not Found")
        # falcon decodes a plus as a blank; Orthanc takes it as it stands.
        if "+" in environ["QUERY_STRING"]:
            environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("+", "%2B")
        return self._application(environ, start)

    def _holds_foreign_scripts(self, environ: dict[str, Any], headers: Headers) -> bool:
        """Tell whether an answer may hold scripts that are not the administrator's: the page has a policy of its own, folders are configured."""
        media_type = next((value for name, value in headers if name.lower() == "content-type"), "").partition(";")[0]
        return (
            media_type.strip().lower().endswith(_MAY_HOLD_SCRIPTS)
            and not any(name.lower() == "content-security-policy" for name, _ in headers)
            and self._folders.find(environ["PATH_INFO"]) is None
        )

    def _is_head_of_file(self, environ: dict[str, Any]) -> bool:
        return environ["REQUEST_METHOD"] == "HEAD" and self._folders.find(environ["PATH_INFO"]) is not None

    def _asks_what_web_offers(self, environ: dict[str, Any]) -> bool:
        """Tell whether a request is OPTIONS of DICOMweb (PS3.18 §8.9), which no other part of the API has."""
        return environ["REQUEST_METHOD"] == "OPTIONS" and self._dicom_web.is_below_root(environ["PATH_INFO"])

    def _ask_filter(self, environ: dict[str, Any]) -> tuple[str, bytes] | None:
        """Ask IncomingHttpRequestFilter; returns the status line and the body of a refusal."""
        # What the request causes carries it, too.
        correlation = environ.setdefault(CORRELATION, new_correlation())
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        try:
            is_admitted = self._admission.ask(
                method,
                _raw(path),
                environ["REMOTE_ADDR"],
                environ.get(USERNAME, ""),
                _headers(environ),
                correlation,
            )
        except SinogramError as exc:
            if isinstance(exc, Busy) and is_administration(environ, is_authenticated=self._gate.authenticates):
                logger.warning("http.administration path=%s: IncomingHttpRequestFilter cannot be asked", path)
                return None
            answer, body = self._faults.describe(exc, "GET" if method in _HIDDEN else method, path)
            return status_line(answer), body
        return None if is_admitted else ("403 Forbidden", b"")


def _refuse(start: StartResponse, status: str, body: bytes = b"") -> list[bytes]:
    headers = [("Content-Length", str(len(body)))]
    if body:
        headers.append(("Content-Type", TEXT))
    start(status, headers)
    return [body]


def _headers(environ: dict[str, Any]) -> dict[str, bytes]:
    """The headers of a request as they came, named in lower case."""
    headers = {
        name[5:].replace("_", "-").lower(): _raw(value) for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = _raw(environ[name])
    return headers


def _raw(text: str) -> bytes:
    return text.encode("latin-1", "replace")  # PEP 3333's form


def _settle_method(environ: dict[str, Any]) -> bool:
    """Put the method that counts into the environment; returns whether there is such a method."""
    method = environ["REQUEST_METHOD"]
    if method in _HIDDEN:
        return True
    if method not in _METHODS:
        return False
    override = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "")
    if not override and method == "GET" and "_method=" in environ["QUERY_STRING"]:
        override = parse_qs(environ["QUERY_STRING"]).get("_method", [""])[-1]
    if override:
        chosen = _OVERRIDES.get(override.lower())
        if chosen is None:
            return False
        environ["REQUEST_METHOD"] = chosen
    return True
