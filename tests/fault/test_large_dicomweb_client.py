"""Gigabytes retrieved from a DICOMweb server and sent to one: the worker holds some megabytes, whether they are many instances or a large one."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.dicomweb_peer import JSON, RELATED, Reply, Seen, dicomweb_peer, files_in, stow_answer, uid_of
from tests.fault.servers import server_in, wait_for
from tests.fault.test_large_stow import MIB, MOST_BYTES, PART_BYTES, many, one, watched

pytestmark = pytest.mark.nightly

# What is sent is in the memory of the test, too.
LARGE_BYTES = min(int(os.environ.get("SINOGRAM_TEST_LARGE_BYTES", "140000000")), 1000 * MIB)
DEADLINE_S = 3600.0


def raw(make: Callable[[int], Iterator[bytes]], size: int) -> Iterator[bytes]:
    kind = RELATED.replace("edge", "XX")
    yield f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode()
    yield from make(size)
    yield b"--XX--\r\n"


def stored(seen: Seen) -> Reply | None:
    return 200, {"Content-Type": JSON}, stow_answer([uid_of(file) for file in files_in(seen.body)])


def test_what_is_moved_takes_little_memory(tmp_path: Path) -> None:
    options = {"StowMaxSize": 0, "StowMaxInstances": 0}
    with dicomweb_peer() as there, server_in(tmp_path, DicomWeb=options, TemporaryDirectory=str(tmp_path)) as server:
        server.start()
        url = json.dumps([f"http://127.0.0.1:{there.port}/"]).encode()
        assert server.request("PUT", "/dicom-web/servers/there", url).status == 200
        (worker,) = (pid for name, pid in server.named().items() if "worker" in name)
        there.answer = stored

        def move(operation: str, resources: object) -> None:
            body = json.dumps({"Resources": resources, "Synchronous": False}).encode()
            job = server.request("POST", f"/dicom-web/servers/there/{operation}", body).json["Path"]
            wait_for(lambda: server.get(job)["State"] in {"Success", "Failure"}, "the job to end", DEADLINE_S)
            assert server.get(job)["State"] == "Success", server.get(job)

        def retrieve(make: Callable[[int], Iterator[bytes]], size: int) -> None:
            there.streams = lambda seen: raw(make, size) if seen.method == "GET" else None
            move("retrieve", [{"Study": "1.2"}])

        retrieve(many, 20 * PART_BYTES)  # what is needed once is there
        move("stow", server.get("/studies"))
        there.seen.clear()
        for make in (many, one):
            with watched(worker) as grown:
                retrieve(make, LARGE_BYTES)
                print(f"retrieve {make.__name__}: {LARGE_BYTES >> 20} MiB, {grown() >> 20} MiB of memory")
                move("stow", server.get("/studies"))
                print(f"and stow: {grown() >> 20} MiB")
            there.seen.clear()
            assert grown() < MOST_BYTES
            assert (
                server.request(
                    "POST", "/tools/bulk-delete", json.dumps({"Resources": server.get("/studies")}).encode()
                ).status
                == 200
            )
