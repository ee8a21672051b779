"""STOW-RS of many gigabytes: the process that takes them holds some megabytes, whether they are many instances, a large one, or bulk data."""

import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.fault.instances import MR, Instance
from tests.fault.servers import ServerUnderTest, anonymous_bytes_of, server_in

pytestmark = pytest.mark.nightly

MIB = 1 << 20
LARGE_BYTES = int(os.environ.get("SINOGRAM_TEST_LARGE_BYTES", "140000000"))
PART_BYTES = 512 << 10  # of an instance of CT
MOST_BYTES = 48 * MIB  # that a process may grow meanwhile
LOOK_S = 0.02
ANSWER_DEADLINE_S = 3600.0
ZEROS = bytes(MIB)
_numbers = count(1)


def part(kind: str, pieces: Iterator[bytes], location: str = "") -> Iterator[bytes]:
    where = f"Content-Location: {location}\r\n" if location else ""
    yield f"--XX\r\nContent-Type: {kind}\r\n{where}\r\n".encode()
    yield from pieces
    yield b"\r\n"


def instance(size: int) -> Iterator[bytes]:
    number = next(_numbers)
    made = Instance(number, "LARGE", 1, number // 500, size)
    yield made.meta()
    yield from made.black_dataset()


def many(size: int) -> Iterator[bytes]:
    for _ in range(size // PART_BYTES):
        yield from part("application/dicom", instance(PART_BYTES))


def one(size: int) -> Iterator[bytes]:
    yield from part("application/dicom", instance(min(size, 4000 * MIB)))


def bulk(size: int) -> Iterator[bytes]:
    """An instance of metadata whose pixels are as large as an element can be."""
    uids = {"00080016": MR, "00080018": "2.25.9", "0020000D": "2.25.7", "0020000E": "2.25.8"}
    model: dict[str, Any] = {tag: {"vr": "UI", "Value": [value]} for tag, value in uids.items()}
    model["7FE00010"] = {"vr": "OW", "BulkDataURI": "pixels"}
    yield from part("application/dicom+json", iter([json.dumps([model]).encode()]))
    yield from part("application/octet-stream", (ZEROS for _ in range(min(size, 4000 * MIB) // MIB)), "pixels")


@contextmanager
def watched(pid: int) -> Iterator[Callable[[], int]]:
    """Look at the memory of a process; gives by how many bytes it grew at most."""
    before, most, stop = anonymous_bytes_of(pid), [0], threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_S):
            most[0] = max(most[0], anonymous_bytes_of(pid) - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        stop.set()
        thread.join()


def send(server: ServerUnderTest, kind: str, body: Iterator[bytes]) -> tuple[int, int]:
    """Send a body in chunks; returns the status, and how many instances are said to be stored."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=ANSWER_DEADLINE_S)
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=XX'}
    connection.request("POST", "/dicom-web/studies", _closed(body), headers, encode_chunked=True)
    answer = connection.getresponse()
    module = json.loads(answer.read())
    connection.close()
    return answer.status, len(module["00081199"]["Value"])


def _closed(body: Iterator[bytes]) -> Iterator[bytes]:
    yield from body
    yield b"--XX--"


def test_a_body_of_any_size_takes_little_memory(tmp_path: Path) -> None:
    with server_in(tmp_path, MaximumRequestBodySizeMB=0, TemporaryDirectory=str(tmp_path)) as server:
        server.start()
        (gateway,) = server.gateways()
        assert send(server, "application/dicom", many(20 * PART_BYTES))[0] == 200  # what is needed once is there
        for kind, make, expected in (
            ("application/dicom", many, LARGE_BYTES // PART_BYTES),
            ("application/dicom", one, 1),
            ("application/dicom+json", bulk, 1),
        ):
            with watched(gateway) as grown:
                assert send(server, kind, make(LARGE_BYTES)) == (200, expected)
            print(f"{make.__name__}: {LARGE_BYTES >> 20} MiB, {grown() >> 20} MiB of memory")
            assert grown() < MOST_BYTES
