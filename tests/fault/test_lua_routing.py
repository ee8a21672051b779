"""Auto-routing under load: what four associations bring is sent on to DCMTK's storescp and deleted, each instance once.

`SINOGRAM_LUA_INSTANCES` is how many (2,000 is what the promise names).
"""

import contextlib
import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.instances import Instance
from tests.fault.raw_association import RawAssociation
from tests.fault.scripts import with_script
from tests.fault.senders import StoreScu
from tests.fault.servers import TWO_OF_EACH, ServerUnderTest, server_in, wait_for
from tests.ports import free_port

INSTANCES = int(os.environ.get("SINOGRAM_LUA_INSTANCES", "80"))
ASSOCIATIONS = 4
DEADLINE_S = 600.0
ROUTING = "function OnStoredInstance(instanceId) Delete(SendToModality(instanceId, 'sample')) end"
NEEDS_STORESCP = pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed (Debian: dcmtk)")


@contextlib.contextmanager
def storescp(folder: Path) -> Iterator[int]:
    """DCMTK's storescp, which writes a file for everything it receives; its port."""
    folder.mkdir()
    port = free_port()
    command = ["storescp", "--fork", "--unique-filenames", "--output-directory", str(folder), str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: is_listening(port), "storescp")
        yield port
    finally:
        process.terminate()
        process.wait()


def is_listening(port: int) -> bool:
    try:
        with RawAssociation(port):
            return True
    except ConnectionError:
        return False


def send(server: ServerUnderTest, numbers: range, failures: list[object]) -> None:
    with StoreScu(server.dicom_port) as sender:
        for number in numbers:
            status = sender.store(instance(number))
            if status:
                failures.append((number, status))


def instance(number: int) -> Instance:
    return Instance(number, f"ROUTED-{number % ASSOCIATIONS}", number % ASSOCIATIONS, number % ASSOCIATIONS, 2000)


@NEEDS_STORESCP
def test_all_are_sent_on_once_and_nothing_stays(tmp_path: Path) -> None:
    received = tmp_path / "received"
    with storescp(received) as port, server_in(tmp_path / "server", **TWO_OF_EACH) as server:
        with_script(server, ROUTING, DicomModalities={"sample": ["STORESCP", "127.0.0.1", port]}).start()
        failures: list[object] = []
        threads = [
            threading.Thread(target=send, args=(server, range(first, INSTANCES, ASSOCIATIONS), failures))
            for first in range(ASSOCIATIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        wait_for(lambda: server.get("/lua/status")["Events"]["Lag"] == 0, "the callbacks", DEADLINE_S)
        wait_for(lambda: server.get("/statistics")["CountInstances"] == 0, "the archive to be empty", DEADLINE_S)
        wait_for(lambda: not unfinished(server), "the jobs to end", DEADLINE_S)
        files = list(received.iterdir())
        assert len(files) == INSTANCES
        assert uids_of(files) == Counter(instance(number).sop_uid for number in range(INSTANCES))
        jobs = [job for job in server.get("/jobs?expand") if job["State"] != "Success"]
        assert not jobs
        assert server.get("/lua/status")["Events"]["Failed"] == 0
        wait_for(lambda: not any(path.is_file() and path.stat().st_size for path in blobs(server)), "the files to go")
        assert server.stop() == 0


def unfinished(server: ServerUnderTest) -> list[str]:
    return [job["ID"] for job in server.get("/jobs?expand") if job["State"] not in {"Success", "Failure"}]


def uids_of(files: list[Path]) -> Counter[str]:
    wanted = {instance(number).sop_uid.encode(): instance(number).sop_uid for number in range(INSTANCES)}
    found: Counter[str] = Counter()
    for file in files:
        data = file.read_bytes()
        start = data.index(b"2.25.3")
        found[wanted[data[start : start + 18]]] += 1
    return found


def blobs(server: ServerUnderTest) -> list[Path]:
    return list((server.storage / "blobs").rglob("*-*"))
