"""Errors on their way out: Orthanc's JSON body, statuses from the one table, one line in the log where it is our fault."""

import logging
from http import HTTPStatus
from typing import Any

import falcon

from api.errors import Answer, UnknownRoute, answer_for
from api.rest.serving import orthanc_json
from api.rest.serving.replies import TEXT
from events.errors import SinogramError
from store.disk_errors import translated

logger = logging.getLogger("sinogram.http")

# Order of the methods in an Allow header, as Orthanc writes it.
_METHOD_ORDER = ("GET", "POST", "PUT", "DELETE")


class Faults:
    """Answers exceptions. `describe` is the option `HttpDescribeErrors`."""

    def __init__(self, *, describe: bool) -> None:
        self._describe = describe

    def on_error(self, req: falcon.Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
        """Answer anything a resource raised."""
        answer, body = self.describe(error, req.method, req.env["PATH_INFO"])
        resp.status = status_line(answer)
        resp.stream = None
        resp.content_type = TEXT if body else None  # JSON under this type: so Orthanc
        resp.data = body

    def describe(self, error: Exception, method: str, path: str) -> tuple[Answer, bytes]:
        """Return how an error is answered, with the body, and log what is our fault; `path` is PATH_INFO as WSGI has it."""
        if isinstance(error, OSError):
            error = translated(error, "the disk")
        answer = answer_for(error)
        is_ours = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_ours and not isinstance(error, SinogramError):
            logger.error("http.failed method=%s path=%s", method, path, exc_info=error)
        elif is_ours:
            logger.warning("http.refused method=%s path=%s error=%s", method, path, error)
        if not answer.with_body or not self._describe:
            return answer, b""
        details = str(error) if isinstance(error, SinogramError) and error.args and answer.with_details else None
        return answer, render_error(answer, method, read_path(path), details)

    def on_unknown_route(
        self, req: falcon.Request, resp: falcon.Response, _error: Exception, params: dict[str, Any]
    ) -> None:
        self.on_error(req, resp, UnknownRoute(), params)

    def on_wrong_method(
        self, _req: falcon.Request, resp: falcon.Response, error: falcon.HTTPMethodNotAllowed, _params: dict[str, Any]
    ) -> None:
        """Answer 405 with the methods of the resource and no body."""
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error.headers, dict) else ""
        names = {name.strip() for name in allowed.split(",")}
        resp.status = falcon.HTTP_405
        resp.set_header("Allow", ",".join(name for name in _METHOD_ORDER if name in names))
        resp.content_type = None
        resp.data = b""


def render_error(answer: Answer, method: str, uri: str, details: str | None) -> bytes:
    """Return Orthanc's description of an error."""
    body: dict[str, Any] = {
        "HttpError": answer.status.phrase,
        "HttpStatus": answer.status.value,
        "Message": answer.message,
        "Method": method,
        "OrthancError": answer.message,
        "OrthancStatus": answer.code,
        "Uri": uri,
    }
    if details is not None:
        body["Details"] = details
    return orthanc_json.encode(body, orthanc_json.ERROR_INDENT) + b"\n"


def status_line(answer: Answer) -> str:
    return f"{answer.status.value} {answer.status.phrase}"


def read_path(path: str) -> str:
    """Return a PATH_INFO as text."""
    return path.encode("latin-1").decode("utf-8", "replace")  # PEP 3333's form
