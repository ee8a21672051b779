"""The REST API within this process, for scripts: what RestApiGet() and its like call.

A request goes to the routes without passing the front (`api.rest.serving.front`): no authentication and no IncomingHttpRequestFilter, as
observed on Orthanc 1.12.7. Its origin is Lua, its correlation that of the callback that makes it.
"""

import io
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from api.rest.serving.auth import CORRELATION, ORIGIN
from api.rest.serving.front import Application
from api.rest.serving.paths import normalize_path

log = logging.getLogger(__name__)

_LUA = "Lua"
_NO_PREFIX = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


class InProcess:
    """Calls a WSGI application. Thread-safe."""

    def __init__(self, application: Application, most_bytes: int = 1 << 30) -> None:
        """`most_bytes` of an answer: beyond, it is none."""
        self._application = application
        self._most_bytes = most_bytes

    def call(
        self, method: str, uri: str, body: bytes, headers: Mapping[str, str], correlation: bytes = b""
    ) -> bytes | None:
        """Return the body of the answer, None if its status is not 2xx; never raises.

        `uri` is a path with its query, percent-encoded where that is needed; `method` GET, POST, PUT or DELETE.
        """
        answer = _Answer()
        environ = _environ(method, uri, body, headers)
        environ[ORIGIN] = _LUA
        if correlation:
            environ[CORRELATION] = correlation
        try:
            parts = self._application(environ, answer.start)
            try:
                content = self._gather(parts)
            finally:
                _close(parts)
        except _TooLarge:
            log.error("rest.answer-too-large method=%s path=%s most_bytes=%d", method, _path(uri), self._most_bytes)
            return None
        except Exception:
            log.exception("rest.in-process-failed method=%s", method)
            return None
        if answer.status.startswith("2"):
            return content
        if answer.status.startswith("4"):  # defects of this server are logged where they arise
            log.warning("rest.refused method=%s path=%s status=%s%s", method, _path(uri), answer.status, _why(content))
        return None

    def _gather(self, parts: Iterable[bytes]) -> bytes:
        gathered, left_bytes = [], self._most_bytes
        for part in parts:
            left_bytes -= len(part)
            if left_bytes < 0:
                raise _TooLarge
            gathered.append(part)
        return b"".join(gathered)


class _TooLarge(Exception):
    """An answer that is too large for scripts."""


def _path(uri: str) -> str:
    return uri.partition("?")[0]


def _why(content: bytes) -> str:
    """The text in the description of an error."""
    try:
        told = json.loads(content)
        return f" error={told['Message']}" + (f": {told['Details']}" if "Details" in told else "")
    except (ValueError, TypeError, KeyError):
        return ""


class _Answer:
    status = "500"

    def start(self, status: str, _headers: Any, _exc_info: Any = None) -> Callable[[bytes], None]:
        self.status = status
        return lambda _data: None


def _close(parts: Any) -> None:
    close = getattr(parts, "close", None)
    if close is not None:
        close()


def _environ(method: str, uri: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    path, _, query = uri.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": normalize_path(unquote_to_bytes(path).decode("latin-1")),  # WSGI's strings are bytes in disguise
        "QUERY_STRING": query.encode().decode("latin-1").replace("+", "%2B"),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "0",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in headers.items():
        key = name.lower()
        environ[_NO_PREFIX.get(key, f"HTTP_{key.upper().replace('-', '_')}")] = value
    environ["CONTENT_LENGTH"] = str(len(body))  # whatever the script says
    return environ
