"""Reads JSON from a running server over its REST API, for commands that show what it does."""

import base64
import json
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import quote, urlsplit

from events.errors import InvalidRequest, NotFound, PeerFailed, Unauthorized

RESPONSE_TIMEOUT_S: Final = 60.0


class RestReader:
    """One server. Each request has a connection of its own: seconds lie between them."""

    def __init__(self, url: str, user: tuple[str, str] | None = None) -> None:
        """Raises InvalidRequest for what is no address of a server."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidRequest(f"{url} is not the address of a server, such as http://localhost:8042")
        self.url = url.rstrip("/")
        self._make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if user:
            self._headers["Authorization"] = "Basic " + base64.b64encode(":".join(user).encode()).decode()

    def get(self, *path: str, query: str = "") -> Any:
        """Return the JSON at a path, given in its parts. Raises NotFound, Unauthorized, PeerFailed."""
        target = "".join(f"/{quote(part, safe='')}" for part in path) + (f"?{query}" if query else "")
        connection = self._make(self._host, self._port, timeout=RESPONSE_TIMEOUT_S)
        try:
            connection.request("GET", self._path + target, headers=self._headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except (OSError, HTTPException) as exc:
            raise PeerFailed(f"{self.url} does not answer ({str(exc) or type(exc).__name__})") from exc
        finally:
            connection.close()
        if status in {401, 403}:
            raise Unauthorized(f"{self.url} wants a user and a password (--user), or refuses these")
        if status == 404:
            raise NotFound(f"{self.url}{target} does not exist")
        if status != 200:
            raise PeerFailed(f"{self.url}{target} was answered with status {status}")
        try:
            return json.loads(body)
        except ValueError as exc:
            raise PeerFailed(f"{self.url}{target} was not answered with JSON: is this the right server?") from exc
