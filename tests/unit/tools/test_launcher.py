"""How a child process ends: with its status, everything said and everything done, but without taking its memory apart."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.server import launcher

MODULE = """
import atexit, threading, time
class Torn:
    def __del__(self): print("torn down")
torn = Torn()
def late():
    threading.main_thread().join()
    print("thread", end="")
def main():
    atexit.register(print, " exit function")
    threading.Thread(target=late).start()
    print("main ", end="")
    {ending}
"""


@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [("return 7", 7, ""), ("return 0", 0, ""), ("raise OSError('not today')", 1, "OSError: not today\n")],
)
def test_a_process_ends_once_all_is_done_and_said(tmp_path: Path, ending: str, status: int, error: str) -> None:
    (tmp_path / "ending.py").write_text(MODULE.format(ending=ending))
    command = [sys.executable, "-I", launcher.__file__, str(os.getpid()), "ending", "a name"]
    environment = os.environ | {"SINOGRAM_MODULE_PATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "main thread exit function\n")
    assert done.stderr.endswith(error)


def test_interpreters_of_scripts_load_no_http_server() -> None:
    code = "import sys, tools.server.lua_processes; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0
