"""What the core's process does between its start and its end."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from store.environment import Environment
from tools.core_settings import CoreSettings
from tools.server import process
from tools.server.logging_setup import LogOptions
from tools.server.process import CORE, Order

READER = """
import sys
from pathlib import Path
from store.environment import Environment
with Environment(Path(sys.argv[1]), writable=False).begin():
    print("reading", flush=True)
    sys.stdin.read()
"""


class Looks:
    """Ends a process that reads the archive before the core looks, as one ends of which nobody tells the core."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._left = 1

    def wait(self, _: float) -> bool:
        self._left -= 1
        if self._left < 0:
            return True
        command = [sys.executable, "-c", READER, str(self._index)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == b"reading\n"
            reader.kill()
        return False


def test_the_core_lets_go_of_snapshots_whose_process_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They keep old pages, and the file grows."""
    freed = 0
    forget = Environment.forget_dead_readers

    def count(environment: Environment) -> None:
        nonlocal freed
        freed += forget(environment)

    monkeypatch.setattr(Environment, "forget_dead_readers", count)
    monkeypatch.setattr(process, "note_that_all_is_loaded", lambda: None)  # in this process all sorts of tests run
    monkeypatch.setattr(process, "_say", lambda *_: None)
    core = CoreSettings(index_directory=tmp_path / "index", storage_directory=tmp_path / "storage")
    looks: Any = Looks(core.index_directory)
    assert process._run_core(Order(CORE, "core", SimpleNamespace(core=core, log=LogOptions())), looks) == 0
    assert freed == 1
