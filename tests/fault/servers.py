"""Real servers for tests that end them badly: `sinogram serve` on ports of its own, seen and killed process by process.

Each server leads a session of its own, so that every process of it is found whatever became of its parents, and none
is left when a test is over, however it ended.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.ports import free_port

T = TypeVar("T")

AET = "FAULT"
START_DEADLINE_S = 120.0
END_DEADLINE_S = 60.0
POLL_S = 0.01  # between two looks at a condition that has a deadline
READY_LINE = "is ready"
# Have the kernel kill a server whose tests were killed, where there is a command for it.
_WITH_US = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
CORE, GATEWAY, SUPERVISOR = "core", "gateway", "supervisor"
# A start costs the processor time of its processes: as few as there can be, and two of each kind where a test is about that.
PROCESSES: dict[str, Any] = {"GatewayProcesses": 1, "ConcurrentJobs": 1}
TWO_OF_EACH: dict[str, Any] = {"GatewayProcesses": 2, "ConcurrentJobs": 2}


def wait_for(condition: Callable[[], T | None], what: str, deadline_s: float = 90.0) -> T:
    """Return the first true value of a condition, looked at until the deadline. Raises TimeoutError."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"after {deadline_s} s still waiting for {what}")
        time.sleep(POLL_S)
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class ServerUnderTest:
    """One configuration, started any number of times."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (sys.executable, "-m", "sinogram")
    cwd: Path | None = None
    http_port: int = field(default_factory=free_port)
    dicom_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    _log_start: int = 0

    @property
    def storage(self) -> Path:
        return Path(self.options.get("StorageDirectory", self.folder / "storage"))

    @property
    def index(self) -> Path:
        return Path(self.options.get("IndexDirectory", self.storage))

    @property
    def log(self) -> str:
        """What the present run has printed."""
        path = self.folder / "server.log"
        return path.read_bytes()[self._log_start :].decode() if path.exists() else ""

    # -- beginning and end --------------------------------------------------------------------------------------------

    def launch(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start the processes without waiting until they serve."""
        assert self.process is None or not self.pids(), "the last run has not ended"
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "server.json"
        given = {
            "StorageDirectory": str(self.storage),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": AET,
            "StableAge": 1,
            **PROCESSES,
        }
        configuration.write_text(json.dumps(given | self.options))
        with (self.folder / "server.log").open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                [*_WITH_US, *self.program, "serve", *arguments, str(configuration)],
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        return self.process

    def start(self, *arguments: str) -> None:
        """Start, and wait until all processes serve."""
        self.launch(*arguments)
        self.wait_until_ready()

    def restart_after(self, killed: "subprocess.Popen[bytes]") -> None:
        """Start without waiting for the last processes of a supervisor that was killed just now."""
        self.process = None
        self.launch()
        killed.wait()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        process = self.process
        assert process is not None

        def is_up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}:\n{self.log[-4000:]}")
            return READY_LINE in self.log

        wait_for(is_up, "the server to be ready", START_DEADLINE_S)

    def stop(self) -> int:
        """Send SIGTERM and wait until every process is gone; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, deadline_s: float = END_DEADLINE_S) -> int:
        """Wait until every process is gone; returns the supervisor's exit status."""
        assert self.process is not None
        status = self.process.wait(deadline_s)
        wait_for(lambda: not self.pids(), "the last process to end", deadline_s)
        return status

    def kill_all(self) -> None:
        """SIGKILL every process, the supervisor first so that it restarts nothing."""
        while pids := self.pids():
            for pid in pids:
                kill(pid)
            if self.process is not None:
                self.process.wait()
            wait_for(lambda pids=pids: not any(is_running(pid) for pid in pids), "killed processes to end")  # type: ignore[misc]

    # -- its processes ------------------------------------------------------------------------------------------------

    def pids(self) -> list[int]:
        """Every living process of this server, the supervisor first."""
        if self.process is None:
            return []
        session = self.process.pid
        found = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return sorted((pid for pid in found if _session_of(pid) == session), key=lambda pid: (pid != session, pid))

    def named(self) -> dict[str, int]:
        """The living processes by name: supervisor, core, gateway-1, …"""
        names = {_name_of(pid): pid for pid in self.pids()}
        if (
            SUPERVISOR in names and self.process is not None
        ):  # a child that is being started has its command line for a moment
            names[SUPERVISOR] = self.process.pid
        return names

    def gateways(self) -> list[int]:
        return [pid for name, pid in sorted(self.named().items()) if name.startswith(GATEWAY)]

    # -- talking to it ------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Any:
        """GET a JSON document."""
        answer = self.request("GET", path)
        assert answer.status == 200, f"GET {path}: {answer}"
        return answer.json

    def request(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Make one request on a connection of its own."""
        with contextlib.closing(self.connect_http()) as connection:
            return exchange(connection, method, path, body)

    def connect_http(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=60)


def exchange(connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"") -> Answer:
    """Make a request on an open connection."""
    connection.request(method, path, body=body or None)
    response = connection.getresponse()
    return Answer(response.status, response.read())


@contextlib.contextmanager
def server_in(folder: Path, **options: Any) -> Iterator[ServerUnderTest]:
    """A server whose data lie below `folder`, not yet started; nothing of it is left in the end."""
    server = ServerUnderTest(folder, options)
    try:
        yield server
    finally:
        server.kill_all()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def freeze(pid: int) -> None:
    """Stop a process, and return when all of its threads stand: the signal alone may come after their next work."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: _states_of(pid) == {"T"}, f"process {pid} to stand still")


def is_running(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not, once its last thread has let go of the files."""
    stat = _stat_of(pid)
    if stat is None:
        return False
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return stat[0] not in {"Z", "X"} or threads_of(pid) > 1
    return False


def descriptors_of(pid: int, but_below: Path | None = None) -> int:
    """Return how many descriptors a process holds, without those of files in one folder."""
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            count += but_below is None or not entry.readlink().is_relative_to(but_below)
    return count


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def anonymous_bytes_of(pid: int) -> int:
    """Return a process's RssAnon: memory that is no page of a file."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _states_of(pid: int) -> set[str]:
    """Return the states of a process's threads."""
    stats = [_stat_of(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]
    return {stat[0] for stat in stats if stat is not None}


def _stat_of(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the name: state, parent, group, session, … A thread's number does, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _session_of(pid: int) -> int | None:
    stat = _stat_of(pid)
    return int(stat[3]) if stat is not None and is_running(pid) else None


def _name_of(pid: int) -> str:
    """Return a process's role, the last word of its command line; the supervisor's is its configuration."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode().split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return f"gone-{pid}"
    return words[-1] if "tools.server.process" in words else SUPERVISOR
