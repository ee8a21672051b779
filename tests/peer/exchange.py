"""One HTTP exchange as a value, and a server to have it with."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REQUEST_TIMEOUT_S = 30.0  # far beyond any answer's time; a server that hangs fails the test, not the suite


@dataclass(frozen=True, slots=True)
class Request:
    """What both servers are asked; the path is sent as it stands, query included."""

    path: str
    method: str = "GET"
    body: bytes | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        body = "" if self.body is None else f" body={self.body[:40]!r}"
        headers = "".join(f" {name}: {value}" for name, value in self.headers.items())
        return f"{self.method} {self.path}{headers}{body}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    version: tuple[int, ...] = ()  # of the Orthanc that said it

    def json(self) -> object:
        """The body as JSON; raises ValueError."""
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers)} {self.body[:300]!r}"


@dataclass(slots=True)
class Server:
    """A running server on the loopback interface; one kept-alive connection, so not for several threads."""

    name: str
    http_port: int
    dicom_port: int
    data: Path
    pid: int
    credentials: Mapping[str, str] = field(default_factory=dict)  # headers sent with every request
    version: tuple[int, ...] = ()  # of an Orthanc
    _connection: http.client.HTTPConnection | None = None

    def ask(self, request: Request) -> Answer:
        """One exchange; a connection that the server closed while idle is opened again once."""
        try:
            return self._exchange(request)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.disconnect()
            return self._exchange(request)

    def get(self, path: str) -> Answer:
        return self.ask(Request(path))

    def get_json(self, path: str) -> object:
        return self.get(path).json()

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, request: Request) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=REQUEST_TIMEOUT_S)
        connection = self._connection
        connection.request(request.method, request.path, request.body, {**self.credentials, **request.headers})
        response = connection.getresponse()
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        if headers.get("connection", "").lower() == "close":
            self.disconnect()
        return Answer(response.status, headers, body, self.version)
