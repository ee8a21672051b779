"""`sinogram import`: send files, folders and ZIPs to a running server over HTTP, several at once.

Files that are neither DICOM (the letters `DICM` after 128 bytes, PS3.10 §7.1) nor ZIP are counted and left out. What an Orthanc has
compressed is inflated, and sent when all others are. Sending
the same folder again is how an interrupted import goes on: what the server has is answered `AlreadyStored`.
"""

import getpass
import json
import os
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, responses
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self

from events.errors import InvalidRequest, PeerFailed, Unauthorized
from tools.orthanc_storage import Damaged, is_compressed_by_orthanc, open_inflated, whole_files
from tools.server_address import ServerAddress, explain

if TYPE_CHECKING:
    from rich.progress import Progress

RESPONSE_TIMEOUT_S: Final = 600.0  # a large ZIP is answered when its last member is stored
CONNECTION_TRIES: Final = 3  # a server may close an idle connection just as we use it
BUSY_TRIES: Final = 20  # 503: the server is starting or restarting a part
BUSY_PAUSE_S: Final = 0.5
BLOCK_BYTES: Final = 1 << 20
SHOWN_FAILURES: Final = 10
_MISSING_TAG: Final = 21  # Orthanc's "Inexistent tag"


@dataclass(slots=True)
class Tally:
    """What became of the files so far; written under the lock of `_Import`."""

    outcomes: Counter[str] = field(default_factory=Counter)  # Orthanc's `Status`, "skipped" or "failed"
    sent_bytes: int = 0
    failures: list[str] = field(default_factory=list)


def import_files(
    paths: Iterable[Path],
    *,
    server: ServerAddress,
    in_flight: int = 4,
    progress: bool = True,
) -> int:
    """Send everything below `paths`; returns 0 if nothing failed. Raises: InvalidRequest, PeerFailed, Unauthorized."""
    roots = list(paths)
    for root in roots:
        if not root.exists():
            raise InvalidRequest(f"{root} does not exist")
    started = time.monotonic()
    work = _Import(server, find_files(roots))
    with _bar(roots) if progress and sys.stderr.isatty() else nullcontext() as bar:
        try:
            work.run(in_flight, bar)
        finally:
            _print_summary(work.tally, time.monotonic() - started)
    return 1 if work.tally.outcomes["failed"] else 0


def find_files(roots: Iterable[Path]) -> Iterator[Path]:
    """Yield every regular file below `roots`, folders in the order of names; links to folders are not followed."""
    for root in roots:
        if not root.is_dir():
            yield root
            continue
        for folder, folders, names in os.walk(root):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if Path(folder, name).is_file())


def kind_of(path: Path) -> str | None:
    """Tell by the first bytes whether a file is "dicom" or "zip"; None for anything else. Raises: OSError."""
    with path.open("rb") as file:
        head = file.read(132)
    if head[:4] in {b"PK\x03\x04", b"PK\x05\x06"}:
        return "zip"
    return "dicom" if head[128:] == b"DICM" and path.name != "DICOMDIR" else None


def parse_user(text: str | None) -> tuple[str, str] | None:
    """Read `NAME:PASSWORD`; asks on the terminal for a password that is not given."""
    if text is None:
        return None
    name, colon, password = text.partition(":")
    return name, password if colon else getpass.getpass(f"Password of {name}: ")


class _Import:
    """Several connections taking files from one list."""

    def __init__(self, server: ServerAddress, files: Iterator[Path]) -> None:
        self._server = server
        self._headers = {"Content-Type": "application/dicom"} | server.headers()
        self._files = files
        self._open: Callable[[Path], IO[bytes]] = _open_plain
        self._compressed: list[Path] = []  # by an Orthanc: sent when all others are
        self._lock = threading.Lock()
        self._fatal: Exception | None = None
        self.tally = Tally()

    def run(self, in_flight: int, bar: "_Bar | None") -> None:
        """Send all files. Raises what made going on pointless."""
        self._run(in_flight, bar)
        if self._compressed:
            self._files, self._open = whole_files(self._compressed), open_inflated
            self._run(in_flight, bar)

    def _run(self, in_flight: int, bar: "_Bar | None") -> None:
        threads = [threading.Thread(target=self._send_files, args=(bar,), daemon=True) for _ in range(in_flight)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt as exc:
            self._fatal = exc  # type: ignore[assignment]  # only its presence matters: the others stop
            for thread in threads:
                thread.join(BUSY_PAUSE_S)
            raise
        if self._fatal:
            raise self._fatal

    def _send_files(self, bar: "_Bar | None") -> None:
        connection = self._server.connect(RESPONSE_TIMEOUT_S, blocksize=BLOCK_BYTES)
        try:
            while (path := self._next()) is not None:
                self._send_file(connection, path)
                if bar:
                    bar.advance()
        except Exception as exc:  # noqa: BLE001 — carried to the thread that waits
            self._fatal = self._fatal or exc
        finally:
            connection.close()

    def _next(self) -> Path | None:
        with self._lock:
            return None if self._fatal else next(self._files, None)

    def _send_file(self, connection: HTTPConnection, path: Path) -> None:
        try:
            if self._open is _open_plain and kind_of(path) is None:
                if is_compressed_by_orthanc(path):
                    return self._compressed.append(path)
                return self._count(["skipped"])
            size_bytes, status, body = self._post(connection, path)
        except Damaged as exc:
            return self._count(["failed"], failure=f"{path}: {exc}")
        except OSError as exc:
            if isinstance(exc, ConnectionError | TimeoutError | ssl.SSLError):
                raise PeerFailed(f"{self._server.url} does not answer ({explain(exc)})") from exc
            return self._count(["failed"], failure=f"{path}: {exc.strerror}")
        if status == 401:
            raise Unauthorized(f"{self._server.url} wants a user and a password (--user), or refuses these")
        if status != 200:
            return self._count(["failed"], failure=f"{path}: {_reason(status, body)}")
        return self._count(_statuses(body), size_bytes)

    def _post(self, connection: HTTPConnection, path: Path) -> tuple[int, int, bytes]:
        """Send one file and return its size and what was answered; tries again where that is safe: storing twice stores once."""
        tries, busy = 0, 0
        while True:
            try:
                with self._open(path) as file:
                    size_bytes = file.seek(0, os.SEEK_END)
                    file.seek(0)
                    headers = self._headers | {"Content-Length": str(size_bytes)}
                    connection.request("POST", self._server.path + "/instances", file, headers)
                    response = connection.getresponse()
                    status, body = response.status, response.read()
            except (ConnectionRefusedError, TimeoutError):
                raise
            except (ConnectionError, HTTPException) as exc:
                connection.close()
                tries += 1
                if tries == CONNECTION_TRIES:
                    raise ConnectionError(str(exc) or type(exc).__name__) from exc
                continue
            if status != 503 or busy == BUSY_TRIES:
                return size_bytes, status, body
            busy += 1
            time.sleep(BUSY_PAUSE_S)

    def _count(self, outcomes: Iterable[str], sent_bytes: int = 0, *, failure: str | None = None) -> None:
        with self._lock:
            self.tally.outcomes.update(outcomes)
            self.tally.sent_bytes += sent_bytes
            if failure:
                self.tally.failures.append(failure)


def _open_plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _statuses(body: bytes) -> list[str]:
    """Return Orthanc's `Status` of each instance of a file: one of a DICOM file, many of a ZIP."""
    answer: Any = json.loads(body)
    return [str(entry["Status"]) for entry in (answer if isinstance(answer, list) else [answer])]


def _reason(status: int, body: bytes) -> str:
    """Say why a file was refused. A missing UID is a 404 of Orthanc's, which would read as if the server were not there."""
    message = _message(body)
    with suppress(ValueError, AttributeError):
        if json.loads(body).get("OrthancStatus") == _MISSING_TAG:
            return f"a DICOM file without the UIDs that an archive needs ({message})"
    return f"{status} {message or responses.get(status, '')}"


def _message(body: bytes) -> str:
    with suppress(ValueError, KeyError, TypeError):
        answer = json.loads(body)
        return str(answer.get("Details") or answer["Message"])
    return ""


class _Bar:
    """A progress bar that counts files."""

    def __init__(self, progress: "Progress", total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("sending", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self) -> None:
        self._progress.advance(self._task)


def _bar(roots: list[Path]) -> _Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), "files", TimeRemainingColumn())
    return _Bar(Progress(*columns, console=Console(stderr=True)), sum(1 for _ in find_files(roots)))


def _print_summary(tally: Tally, seconds: float) -> None:
    counts = tally.outcomes
    stored = counts["Success"]
    parts = [f"{stored} stored", f"{counts['AlreadyStored']} already there"]
    parts += [f"{counts[key]} {words}" for key, words in (("FilteredOut", "filtered out"),) if counts[key]]
    parts += [f"{counts['skipped']} not DICOM", f"{counts['failed']} failed"]
    rate = f"{stored / seconds:.0f}/s" if seconds else ""
    print(f"{', '.join(parts)}; {tally.sent_bytes / 1e6:.1f} MB in {seconds:.1f} s ({rate})")
    for failure in tally.failures[:SHOWN_FAILURES]:
        print(f"failed: {failure}", file=sys.stderr)
    if (more := len(tally.failures) - SHOWN_FAILURES) > 0:
        print(f"failed: … and {more} more", file=sys.stderr)
