"""Reads JSON from a running server over its REST API, for commands that show what it does."""

import json
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote

from events.errors import NotFound, PeerFailed, Unauthorized
from tools.server_address import ServerAddress, explain

RESPONSE_TIMEOUT_S: Final = 60.0


class RestReader:
    """One server. Each request has a connection of its own: seconds lie between them."""

    def __init__(self, address: ServerAddress) -> None:
        self.url = address.url
        self._address = address
        self._headers = {"Accept": "application/json"} | address.headers()

    def get(self, *path: str, query: str = "") -> Any:
        """Return the JSON at a path, given in its parts. Raises NotFound, Unauthorized, PeerFailed."""
        target = "".join(f"/{quote(part, safe='')}" for part in path) + (f"?{query}" if query else "")
        connection = self._address.connect(RESPONSE_TIMEOUT_S)
        try:
            connection.request("GET", self._address.path + target, headers=self._headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except (OSError, HTTPException) as exc:
            raise PeerFailed(f"{self.url} does not answer ({explain(exc)})") from exc
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
