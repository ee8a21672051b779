"""The servers that are measured: running ones, and ones started here with a fresh archive and the same configuration."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from events.errors import InvalidRequest, PeerFailed
from tools.bench.http_load import Client

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.1
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
OWN_NAME: Final = "sinogram"
OWN_COMMAND: Final = (sys.executable, "-m", "sinogram", "serve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server that answers."""

    name: str
    url: str
    dicom: tuple[str, int] | None = None  # host, port
    aet: str = "ORTHANC"
    user: tuple[str, str] | None = None
    pid: int | None = None  # root of its process tree, if it runs here

    def client(self) -> Client:
        return Client(self.url, self.user)

    def get(self, path: str) -> Any:
        """Ask for JSON. Raises: PeerFailed."""
        try:
            with closing(self.client()) as client:
                return json.loads(client.get(path))
        except OSError as exc:
            raise PeerFailed(f"{self.name} does not answer at {self.url}: {exc}") from exc

    def count_instances(self) -> int:
        return int(self.get("/statistics")["CountInstances"])

    def rss_anon_bytes(self) -> int | None:
        """Return the anonymous memory of all its processes together; None if it does not run here."""
        return sum(map(_rss_anon_bytes, process_tree(self.pid))) if self.pid else None

    def processor_s(self) -> float | None:
        """Return what all its processes together have used of the processors, user and system; None if it does not run here."""
        return sum(map(_ticks, process_tree(self.pid))) / _TICKS_A_SECOND if self.pid else None


def parse_target(text: str) -> Target:
    """Read `NAME=URL[,dicom=HOST:PORT][,aet=AET][,user=NAME:PASSWORD][,pid=PID]`. Raises: InvalidRequest."""
    name, equals, rest = text.partition("=")
    url, *pairs = rest.split(",")
    if not equals or not url.startswith("http://"):
        raise InvalidRequest(f"{text}: a target is NAME=http://HOST:PORT[,dicom=HOST:PORT][,aet=AET]")
    given = dict(pair.partition("=")[::2] for pair in pairs)
    if unknown := given.keys() - {"dicom", "aet", "user", "pid"}:
        raise InvalidRequest(f"{text}: unknown: {', '.join(sorted(unknown))}")
    host, _, port = given.get("dicom", "").rpartition(":")
    user, _, password = given.get("user", "").partition(":")
    return Target(
        name=name,
        url=url,
        dicom=(host, _number(text, port)) if host else None,
        aet=given.get("aet", "ORTHANC"),
        user=(user, password) if user else None,
        pid=_number(text, given["pid"]) if "pid" in given else None,
    )


def _number(target: str, text: str) -> int:
    if not text.isdecimal():
        raise InvalidRequest(f"{target}: {text} is not a number")
    return int(text)


def parse_command(text: str) -> tuple[str, list[str]]:
    """Read `NAME=COMMAND`. Raises: InvalidRequest."""
    name, equals, command = text.partition("=")
    if not equals:
        raise InvalidRequest(f"{text}: a server to start is NAME=COMMAND")
    return name, shlex.split(command)


def parse_options(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `SERVER.OPTION=JSON` each; returns the options of each server. Raises: InvalidRequest."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, _, value = text.partition("=")
        server, _, option = place.rpartition(".")
        try:
            found.setdefault(server, {})[option] = json.loads(value)
        except ValueError as exc:
            raise InvalidRequest(f"{text}: an option is SERVER.NAME=JSON") from exc
    return found


@contextmanager
def targets_for(
    running: Sequence[str],
    started: Sequence[str],
    folder: Path,
    *,
    own: bool,
    may_be_none: bool = False,
    options: Sequence[str] = (),
) -> Iterator[list[Target]]:
    """Give the servers to measure, ours first; those started here are stopped again at the end."""
    configured = parse_options(options)
    with ExitStack() as stack:
        commands = [*([(OWN_NAME, list(OWN_COMMAND))] if own else []), *map(parse_command, started)]
        if unknown := configured.keys() - dict(commands).keys():
            raise InvalidRequest(f"options for servers that are not started here: {', '.join(sorted(unknown))}")
        targets = [
            stack.enter_context(start(name, command, folder / name, configured.get(name))) for name, command in commands
        ]
        targets += map(parse_target, running)
        if not targets and not may_be_none:
            raise InvalidRequest("there is no server to measure")
        if len({target.name for target in targets}) < len(targets):
            raise InvalidRequest("two servers have the same name")
        for target in targets:
            target.count_instances()
        yield targets


@contextmanager
def start(
    name: str, command: Sequence[str], folder: Path, options: Mapping[str, Any] | None = None
) -> Iterator[Target]:
    """Start a server with a fresh archive below `folder`; `command` gets the configuration file as its argument.

    `options` are of that file; relative paths in them are relative to `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port = _free_ports(2)
    configuration = {
        "Name": name,
        "StorageDirectory": "data",
        "IndexDirectory": "data",
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowMove": True,
        "SaveJobs": False,  # of Orthanc, which writes them all every ten seconds; ours are events either way
        "RemoteAccessAllowed": False,
    }
    file = folder / "configuration.json"
    file.write_text(json.dumps(configuration | dict(options or {}), indent=2))
    log = folder / "log.txt"
    with log.open("ab") as output:
        process = subprocess.Popen([*command, str(file)], stdout=output, stderr=output, start_new_session=True)
    url = f"http://127.0.0.1:{http_port}"
    target = Target(name=name, url=url, dicom=("127.0.0.1", dicom_port), pid=process.pid)
    try:
        _wait_until_ready(target, process, log)
        yield target
    finally:
        _stop(process)


def _wait_until_ready(target: Target, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        if process.poll() is not None:
            last = log.read_text(errors="replace")[-2000:]
            raise PeerFailed(f"{target.name} ended with {process.returncode} while it started:\n{last}")
        try:
            with closing(target.client()) as client:
                client.get("/system")
        except (OSError, PeerFailed) as exc:
            if time.monotonic() > deadline:
                raise PeerFailed(f"{target.name} did not answer within {START_TIMEOUT_S:.0f} s: {exc}") from exc
            time.sleep(POLL_S)
        else:
            return


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its session is its own
        process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def process_tree(root: int) -> set[int]:
    """Return `root` and all processes below it."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # gone by now
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    tree, size = {root}, 0
    while len(tree) > size:
        size = len(tree)
        tree |= {pid for pid, parent in parents.items() if parent in tree}
    return tree


def _ticks(pid: int) -> int:
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0  # gone by now
    return sum(map(int, values[11:15]))  # its own, and those of children that have ended


def _rss_anon_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)
