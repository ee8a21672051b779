"""Servers with Lua scripts, and gates at which a callback waits without taking time from anybody: named pipes.

A callback takes a token out of the pipe (`Gate.LUA`), and where there is none it waits in `read`, in C. So the test decides
how many callbacks go on, and there is no clock in it.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.fault.instances import Instance
from tests.fault.senders import StoreScu
from tests.fault.servers import ServerUnderTest, wait_for

FILTER, MAIN = "lua-filter", "lua-main"
TOKENS_AT_ONCE = 60_000  # a pipe holds 65,536 bytes


class Gate:
    """Lets as many callbacks pass as the test wants."""

    # A buffer would take all the tokens there are.
    LUA = """
        local function take(path)
          local gate = assert(io.open(path, 'r'))
          gate:setvbuf('no')
          gate:read(1)
          gate:close()
        end
        local function note(path, line)
          local file = assert(io.open(path, 'a'))
          file:write(line, '\\n')
          file:close()
        end
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # both ends, so that nobody waits in `open` or finds an end

    def allow(self, count: int = 1) -> None:
        """Let so many more pass."""
        os.write(self._fd, b"." * count)

    def open(self) -> None:
        """Let everybody pass, as far as a test goes."""
        with contextlib.suppress(BlockingIOError):
            self.allow(TOKENS_AT_ONCE)

    def close(self) -> None:
        """Let nobody pass who has not."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, TOKENS_AT_ONCE):
                pass

    def dispose(self) -> None:
        os.close(self._fd)


@contextlib.contextmanager
def gate_in(folder: Path, name: str = "gate") -> Iterator[Gate]:
    gate = Gate(folder / name)
    try:
        yield gate
    finally:
        gate.dispose()


def with_script(server: ServerUnderTest, text: str, **options: object) -> ServerUnderTest:
    """Give a server that does not run a script and options."""
    server.folder.mkdir(parents=True, exist_ok=True)
    (server.folder / "script.lua").write_text(text)
    server.options |= {"LuaScripts": ["script.lua"]} | options
    return server


def image(number: int, patient: str = "LUA") -> Instance:
    """Return a small instance; all of a patient are of one series."""
    return Instance(number, patient, study=1, series=1, pixel_bytes=200)


def store_all(server: ServerUnderTest, numbers: range, patient: str = "LUA") -> None:
    """Store instances one after the other on one association, so that the log has them in the order of their numbers."""
    with StoreScu(server.dicom_port) as sender:
        for number in numbers:
            assert sender.store(image(number, patient)) == 0


def said(server: ServerUnderTest, line: str) -> int:
    """Return how often a script has printed a line that begins so, in the present run."""
    return server.log.count(f"Lua says: {line}")


def lines_of(path: Path) -> list[str]:
    """Return the complete lines that scripts have noted."""
    return path.read_text().splitlines() if path.exists() else []


def wait_for_lines(path: Path, count: int, deadline_s: float = 60.0) -> None:
    wait_for(lambda: len(lines_of(path)) >= count, f"{count} lines in {path.name}", deadline_s)
