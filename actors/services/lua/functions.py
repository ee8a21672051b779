"""RestApiGet() …, HttpGet() …, GetOrthancConfiguration(): arguments and results as scripts expect them; what they do is given.

Wrong arguments and failures are logged and give nil, as in Orthanc. Unlike 1.12.7, headers that are no table count as none (there: an
internal error), and a HttpDelete() that reaches no server gives nil (there: an exception that no pcall catches).
Source: observed on 1.12.7.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from actors.services.lua.host_functions import HostFunction, Results
from actors.services.scripts.values import number_text
from actors.wire.http.client import Answer, HttpFailed

log = logging.getLogger(__name__)

_CREDENTIALS = re.compile(r"^((?:[^/?#]*://)?)[^/]*@")


class Rest(Protocol):
    """The REST API, in process."""

    def __call__(self, method: str, uri: str, body: bytes, headers: Mapping[str, str]) -> bytes | None:
        """Return the body of the answer, or None if the status is not 2xx; never raises."""


class HttpClient(Protocol):
    """Requests to other servers. Redirects are followed."""

    def __call__(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        credentials: tuple[str, str] | None,
        timeout_s: float,
    ) -> Answer:
        """Raise HttpFailed if there is no answer. `timeout_s` 0: the server's HttpTimeout."""


def rest_functions(rest: Rest) -> dict[str, HostFunction]:
    """RestApiGet/Delete(uri [, builtin [, headers]]), RestApiPost/Put(uri, body [, builtin [, headers]]).

    They return the body, RestApiDelete() true; nil if the request fails. There are no plugins that `builtin` could leave out.
    """

    def function(method: str, name: str, *, has_body: bool) -> HostFunction:
        def call(*arguments: Any) -> bytes | bool | None:
            texts = 2 if has_body else 1
            uri, body = (*map(_text, arguments[:texts]), b"")[:2] if len(arguments) >= texts else (None, None)
            options = arguments[texts:]
            if uri is None or body is None or len(options) > 2 or (options and not isinstance(options[0], bool)):
                log.error("Lua: Bad parameters to %s()", name)
                return None
            path = uri.decode("utf-8", "replace")
            answer = rest(method, path, body, _headers(options[1:])) if path.startswith("/") else None
            if answer is None:
                log.error("Lua: Error in %s() for URI: %s", name, path)
                return None
            return True if method == "DELETE" else answer

        return call

    return {
        f"RestApi{method.capitalize()}": function(
            method, f"RestApi{method.capitalize()}", has_body=method in {"POST", "PUT"}
        )
        for method in ("GET", "POST", "PUT", "DELETE")
    }


class HttpFunctions:
    """HttpGet/Delete(url [, headers]), HttpPost/Put(url [, body [, headers]]), SetHttpCredentials(user, password), SetHttpTimeout(seconds).

    They return the body, HttpDelete() "SUCCESS". An answer of status 400 or more gives "" (HttpDelete: nil), no answer nil.
    """

    def __init__(self, client: HttpClient) -> None:
        self._client = client
        self._credentials: tuple[str, str] | None = None
        self._timeout_s = 0.0

    def functions(self) -> dict[str, HostFunction]:
        return {
            "HttpGet": lambda *arguments: self._request("GET", "HttpGet()", arguments, has_body=False),
            "HttpDelete": lambda *arguments: self._request("DELETE", "HttpDelete()", arguments, has_body=False),
            "HttpPost": lambda *arguments: self._request("POST", "HttpPost() or HttpPut()", arguments, has_body=True),
            "HttpPut": lambda *arguments: self._request("PUT", "HttpPost() or HttpPut()", arguments, has_body=True),
            "SetHttpCredentials": self._set_credentials,
            "SetHttpTimeout": self._set_timeout,
        }

    def _request(self, method: str, name: str, arguments: tuple[Any, ...], *, has_body: bool) -> bytes | None:
        texts = 2 if has_body else 1
        url = _text(arguments[0]) if arguments else None
        given = arguments[1] if has_body and len(arguments) > 1 else None
        body = b"" if given is None else _text(given)
        if url is None or body is None or len(arguments) > texts + 1:
            log.error("Lua: Bad parameters to %s", name)
            return None
        address = url.decode("utf-8", "replace")
        try:
            answer = self._client(
                method, address, body, _headers(arguments[texts:]), self._credentials, self._timeout_s
            )
        except HttpFailed as exc:
            log.error("Lua: Error in %s for URL %s: %s", name, _shown(address), exc)
            return None
        if answer.status < 400:
            return b"SUCCESS" if method == "DELETE" else answer.body
        log.error(
            "Error in HTTP request, received HTTP status %d after %s request on: %s",
            answer.status,
            method,
            _shown(address),
        )
        return None if method == "DELETE" else b""

    def _set_credentials(self, *arguments: Any) -> Results:
        texts = [_text(argument) for argument in arguments]
        if len(texts) == 2 and texts[0] is not None and texts[1] is not None:
            self._credentials = texts[0].decode("utf-8", "replace"), texts[1].decode("utf-8", "replace")
        else:
            log.error("Lua: Bad parameters to SetHttpCredentials()")
        return Results()

    def _set_timeout(self, *arguments: Any) -> Results:
        seconds = arguments[0] if len(arguments) == 1 else None
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds >= 0:
            self._timeout_s = float(seconds)
        else:
            log.error("Lua: Bad parameters to SetHttpTimeout()")
        return Results()


def configuration_function(configuration: Mapping[str, Any]) -> dict[str, HostFunction]:
    """GetOrthancConfiguration(): the whole configuration, as Orthanc gives it; arguments are ignored."""
    return {"GetOrthancConfiguration": lambda *_: configuration}


def _shown(address: str) -> str:
    """Return an address for the log: without a user and a password, and without its query, which may hold a token."""
    return _CREDENTIALS.sub(r"\1***@", address, count=1).partition("?")[0].partition("#")[0]


def _text(value: Any) -> bytes | None:
    """A string or a number, which Lua takes for one; else None."""
    if isinstance(value, bytes):
        return value
    return number_text(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _headers(options: tuple[Any, ...]) -> dict[str, str]:
    table = options[0] if options else None
    if not isinstance(table, dict):
        return {}
    texts = {name: _text(value) for name, value in table.items()}
    return {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for name, value in texts.items()
        if value is not None
    }
