"""REST behind Debian's nginx, which keeps connections to us and serves all clients over them.

All clients have its address then, and one connection is in turn many clients': what one does must not be held against another.
"""

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.http_serving import DEADLINE_S, serving
from tests.contract.rest_stage import rest_stage
from tests.dicom_bytes import dataset, encode
from tests.peer.servers import wait_for
from tests.ports import free_port
from tools.server.core import Core

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")

SILENCE_S = 1.5
NEIGHBOURS = 4
UPLOADS = 12  # of each neighbour
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream us {{ server 127.0.0.1:{ours}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://us; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_request_buffering {buffering}; proxy_next_upstream off; proxy_read_timeout 20s;
    }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Proxied:
    """Both ends of the way."""

    port: int
    ours: int

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def kept(self) -> int:
        """How many connections there are from this machine to us."""
        rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
        return sum(row.split()[2].endswith(f":{self.ours:04X}") and row.split()[3] == "01" for row in rows)


@contextmanager
def proxied(archive: Core, folder: Path, *, buffering: bool, **settings: Any) -> Iterator[Proxied]:
    with (
        rest_stage(archive, temporary_directory=folder, **settings) as stage,
        serving(stage.app, threads=4, silence_s=SILENCE_S, keep_alive_s=20, is_alone=False) as (_, ours),
    ):
        way = Proxied(free_port(), ours)
        file = folder / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(folder=folder, ours=ours, port=way.port, buffering="on" if buffering else "off")
        )
        with subprocess.Popen([str(NGINX), "-c", file, "-e", folder / "error.log"]) as process:
            try:
                wait_for(lambda: is_open(way.port), "nginx to listen")
                yield way
            finally:
                process.terminate()


def is_open(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(params=[False, True], ids=["bodies handed through", "bodies gathered"])
def way(request: pytest.FixtureRequest, archive: Core, tmp_path: Path) -> Iterator[Proxied]:
    with proxied(archive, tmp_path, buffering=request.param) as way:
        yield way


def image(place: tuple[int, int, int, int], size_bytes: int) -> bytes:
    return encode(dataset(*place, EncapsulatedDocument=bytes(size_bytes)))


def post(client: http.client.HTTPConnection, body: bytes, path: str = "/instances") -> tuple[int, bytes]:
    client.request("POST", path, body)
    answer = client.getresponse()
    return answer.status, answer.read()


def stall(way: Proxied, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", way.port), DEADLINE_S)
    client.sendall(b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n" + sent)
    return client


def test_a_stalled_client_cuts_off_none_of_its_neighbours(way: Proxied) -> None:
    def upload(number: int) -> list[int]:
        seen = []
        with closing(way.connect()) as client:
            for one in range(UPLOADS):
                status, _ = post(client, image((1, 1, number, one), 170_000))
                seen.append(status)
                client.request("GET", "/statistics")
                answer = client.getresponse()
                answer.read()
                seen.append(answer.status)
                threading.Event().wait(0.2)  # in all longer than a client may be silent
        return seen

    stalled = [stall(way), stall(way, bytes(1000)), stall(way, bytes(300_000))]
    with ThreadPoolExecutor(NEIGHBOURS) as pool:
        assert list(pool.map(upload, range(NEIGHBOURS))) == [[200] * 2 * UPLOADS] * NEIGHBOURS
    for silent in stalled:
        silent.close()
    with closing(way.connect()) as client:
        client.request("GET", "/statistics")
        assert json.loads(client.getresponse().read())["CountInstances"] == NEIGHBOURS * UPLOADS


def test_a_client_that_is_slow_is_not_taken_for_one_that_is_stalled(way: Proxied) -> None:
    body = image((2, 1, 1, 1), 400_000)
    head = b"POST /instances HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with stall(way), socket.create_connection(("127.0.0.1", way.port), DEADLINE_S) as slow:
        slow.sendall(head)
        for start in range(0, len(body), 40_000):
            threading.Event().wait(SILENCE_S / 5)
            slow.sendall(body[start : start + 40_000])
        assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_connections_are_kept_from_one_request_to_the_next(way: Proxied) -> None:
    with closing(way.connect()) as client:
        for number in range(20):
            assert post(client, image((3, 1, 1, number), 1000))[0] == 200
            assert way.kept() == 1


@pytest.mark.parametrize("size", [60, 200_000, 3_000_000])
def test_an_early_answer_comes_through_and_the_next_request_works(way: Proxied, size: int) -> None:
    for path, status in (("/nope", 404), ("/system", 405)) * 10:
        assert post_and_get(way, size, path) == (status, 200)


def test_what_passes_the_limit_is_refused_alike(archive: Core, tmp_path: Path) -> None:
    with proxied(archive, tmp_path, buffering=False, maximum_request_body_size_mb=1) as way:
        for _ in range(10):
            assert post_and_get(way, 3_000_000, "/instances") == (413, 200)


def post_and_get(way: Proxied, size: int, path: str) -> tuple[int, int]:
    """Not on one connection: where it hands bodies through, nginx hangs up on who was answered before the end of his."""
    with closing(way.connect()) as client:
        status, _ = post(client, bytes(size), path)
    with closing(way.connect()) as client:
        client.request("GET", "/system")
        return status, client.getresponse().status
