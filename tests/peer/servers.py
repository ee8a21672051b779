"""Starts and stops the two servers: a real Orthanc, which is right by definition, and Sinogram.

Both read the very same configuration file; ports and folders come to it through the environment (`${…}`).
"""

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.peer.exchange import Server
from tests.ports import free_port

T = TypeVar("T")

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 60.0
POLL_S = 0.05  # between two looks at a condition that has a deadline

CONFIGURATION = """
// The same file for both servers
{
  "Name" : "Peer",
  "StorageDirectory" : "${PEER_DATA}",
  "IndexDirectory" : "${PEER_DATA}",
  "HttpPort" : ${PEER_HTTP_PORT},
  "DicomPort" : ${PEER_DICOM_PORT},
  "HttpBindAddresses" : [ "127.0.0.1" ],
  "StableAge" : 1, /* seconds */
  "GatewayProcesses" : 1, // ours alone: a start costs the processor time of its processes
  "DicomAet" : "PEER",
  "LoadPrivateDictionary" : false, // some installations of Orthanc have one, others have not
  "HttpCompressionEnabled" : false, // the default since 1.12.1
  %s
  "RemoteAccessAllowed" : false
}
"""


@dataclass(frozen=True, slots=True)
class Oracle:
    """An Orthanc that can be started."""

    command: str
    version: tuple[int, ...]


def find_oracle() -> Oracle | None:
    """The best Orthanc at hand: the one named in the environment, a private 1.12.7, else the system's."""
    candidates = (
        os.environ.get("SINOGRAM_ORTHANC_1_12_7"),
        Path("~/.cache/orthanc-1.12.7/orthanc").expanduser(),
        shutil.which("Orthanc", path=os.environ.get("PATH", "") + ":/usr/sbin"),
    )
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            printed = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
            if found := re.search(r"Orthanc (\d+(?:\.\d+)+)", printed):
                return Oracle(str(candidate), tuple(map(int, found[1].split("."))))
    return None


def sinogram_command() -> list[str]:
    """How Sinogram is started; `SINOGRAM_COMMAND` may name another build (or an Orthanc, to test these tests).

    In one process, which starts with half the processor time, or a third where there are scripts: what is compared with Orthanc is what
    clients see, and processes are the matter of tests/contract and tests/fault. The long run has processes here, too.
    """
    named = os.environ.get("SINOGRAM_COMMAND")
    return named.split() if named else [sys.executable, "-m", "sinogram", "serve", *_ONE_PROCESS]


_ONE_PROCESS = ["--single-process"] if int(os.environ.get("SINOGRAM_PEER_SINGLE_PROCESS", "1")) else []


def wait_for(condition: Callable[[], T | None], what: str, deadline_s: float = START_DEADLINE_S) -> T:
    """The first true value of a condition, looked at until the deadline; raises TimeoutError naming what was awaited."""
    end = time.monotonic() + deadline_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"after {deadline_s} s still waiting for {what}")
        time.sleep(POLL_S)


@contextmanager
def listening(command: list[str], port: int) -> Iterator[None]:
    """A program, as soon as it listens; terminated at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _listens(port), command[0])
        yield
    finally:
        process.terminate()
        process.wait(60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(
    name: str,
    command: list[str],
    folder: Path,
    options: str = "",
    headers: Mapping[str, str] = {},
    *,
    gently: bool = True,
) -> Iterator[Server]:
    """A server with its data below `folder`, ready to answer; stopped, by its process id, at the end.

    `gently` is SIGTERM and a clean exit within the deadline; otherwise the process is killed (its data are thrown away).
    """
    data = folder / name
    data.mkdir(parents=True, exist_ok=True)  # with what an earlier run has left
    configuration = folder / f"{name}.json"
    configuration.write_text(CONFIGURATION % options)
    http_port, dicom_port = free_port(), free_port()
    places = {"PEER_DATA": str(data), "PEER_HTTP_PORT": str(http_port), "PEER_DICOM_PORT": str(dicom_port)}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(configuration)], stdout=log, stderr=log, env=os.environ | places, start_new_session=True
        )
    server = Server(name, http_port, dicom_port, data, process.pid, headers)
    try:
        wait_for(lambda: _answers(server, process, log.name), f"{name} to answer HTTP")
        yield server
    finally:
        server.disconnect()
        _stop(process, gently=gently)


def _answers(server: Server, process: subprocess.Popen[bytes], log: str) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"{server.name} ended with {process.returncode}:\n{Path(log).read_text()[-2000:]}")
    with contextlib.suppress(OSError, http.client.HTTPException):
        return server.get("/system").status in {200, 401}
    server.disconnect()
    return False


def _stop(process: subprocess.Popen[bytes], *, gently: bool) -> None:
    """Ends the process, and the group that it leads if it does not go."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM if gently else signal.SIGKILL)
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
