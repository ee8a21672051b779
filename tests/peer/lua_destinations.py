"""Where scripts send things to: a storescp and a Web service for each of the two servers, which write down what comes."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from tests.peer.exchange import Request, Server
from tests.peer.lua_stage import LuaPair
from tests.peer.servers import wait_for
from tests.ports import free_port

NEEDS_STORESCP = pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed (Debian: dcmtk)")
STOP_S = 10.0


@contextmanager
def modality(stage: LuaPair, name: str, folder: Path) -> Iterator[dict[str, Path]]:
    """Each server has a storescp of its own under this symbolic name; gives the folders where they write."""
    with ExitStack() as stack:
        written: dict[str, Path] = {}
        for server in stage.servers:
            received = written[server.name] = folder / f"{name}-of-{server.name}"
            received.mkdir()
            port = free_port()
            process = subprocess.Popen(["storescp", "-od", str(received), str(port)], stderr=subprocess.DEVNULL)
            stack.callback(process.wait, STOP_S)
            stack.callback(process.terminate)
            add_modality(server, name, port)
            wait_for(lambda server=server: _echoes(server, name), "storescp")  # type: ignore[misc] # mypy does not see the default
        yield written


def add_modality(server: Server, name: str, port: int) -> None:
    request = Request(f"/modalities/{name}", "PUT", json.dumps([name.upper(), "127.0.0.1", port]))
    assert server.ask(request).status == 200


def _echoes(server: Server, name: str) -> bool:
    return server.ask(Request(f"/modalities/{name}/echo", "POST", "{}")).status == 200


def titles(folder: Path) -> list[str]:
    """The SOP Instance UIDs of what a storescp has written."""
    files = [path.read_bytes() for path in folder.iterdir()]
    return sorted(str(pydicom.dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID) for file in files)


Seen = tuple[str, str, tuple[tuple[str, str], ...], bytes]  # method, path, headers in lower case, body
_KEPT = {"authorization", "content-type", "x-test", "accept-charset", "cookie"}


@dataclass
class WebService:
    """Answers every request and remembers it. `/404` and such are answered with that status, `/moved` leads to `/here`."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    condition: threading.Condition = field(default_factory=threading.Condition)

    def take(self) -> list[Seen]:
        with self.condition:
            taken, self.seen = self.seen, []
        return taken

    def wait(self, number: int, timeout_s: float = 30.0) -> list[Seen]:
        """So many requests; raises AssertionError if they do not come."""
        with self.condition:
            assert self.condition.wait_for(lambda: len(self.seen) >= number, timeout_s), self.seen
        return self.take()


@contextmanager
def web_service() -> Iterator[WebService]:
    service = WebService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = sorted((name.lower(), value) for name, value in self.headers.items() if name.lower() in _KEPT)
            with service.condition:
                service.seen.append((self.command, self.path, tuple(headers), body))
                service.condition.notify_all()
            named = self.path.strip("/")
            status = 307 if named == "moved" else int(named) if named.isdigit() else 200
            answer = b"" if status == 204 else b"\0\xff of " + body[:20]
            self.send_response(status)
            self.send_header("Location", "/here")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 # as http.server wants them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class's name
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
