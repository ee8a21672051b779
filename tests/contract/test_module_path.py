"""What lies in the current folder is not run as a part of the server, however it is started."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.servers import ServerUnderTest, server_in
from tests.ports import free_port
from tools.server.children import child_environment
from tools.server.module_path import OUR_PACKAGES, safe_path

ROOT = Path(__file__).parents[2]
CONSOLE = (str(Path(sys.executable).parent / "sinogram"),)
MODULE = (sys.executable, "-m", "sinogram")
OURS = sorted(OUR_PACKAGES)
PYTHONS = ("json", "logging", "socket", "sitecustomize", "usercustomize", "pickle", "msgpack", "lmdb", "falcon")


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder of modules that each leave a note of having been run."""
    folder = tmp_path / "trap"
    folder.mkdir()
    (tmp_path / "notes").mkdir()
    note = (
        "import os, sys\n"
        f"open({str(tmp_path / 'notes')!r} + '/' + __name__ + '-' + os.path.basename(sys.argv[0] or '-'), 'w').close()\n"
    )
    for name in (*OURS, *PYTHONS):
        (folder / f"{name}.py").write_text(note)
    (folder / "store.py").unlink()
    (folder / "store").mkdir()  # somebody's images, and no package
    (folder / "none.lua").write_text("")
    return folder


@pytest.fixture
def server(tmp_path: Path, trap: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path / "server", LuaScripts=[str(trap / "none.lua")], GatewayProcesses=1) as not_started:
        not_started.cwd = trap
        yield not_started


def notes(trap: Path) -> list[str]:
    return sorted(path.name for path in (trap.parent / "notes").iterdir())


def serve_a_little(server: ServerUnderTest) -> None:
    server.start()
    assert server.get("/instances") == []
    assert set(server.named()) >= {"core", "gateway-1", "lua-main", "worker-1"}
    assert server.stop() == 0


@pytest.mark.parametrize(
    "program", [pytest.param(CONSOLE, marks=pytest.mark.nightly), MODULE], ids=["sinogram", "python -m"]
)
def test_modules_in_the_current_folder_are_not_run(
    server: ServerUnderTest, trap: Path, program: tuple[str, ...]
) -> None:
    server.program = program
    serve_a_little(server)
    assert notes(trap) == []


@pytest.mark.parametrize(
    "python_path",
    [pytest.param(":", marks=pytest.mark.nightly), f".:{ROOT}"],
    ids=["an empty entry", "the current folder by name"],
)
def test_the_processes_of_the_server_do_not_look_where_pythonpath_leads_by_accident(
    server: ServerUnderTest, trap: Path, python_path: str
) -> None:
    """The command itself does for what is not ours: Python has looked before we are asked."""
    for name in PYTHONS:
        if name not in {"sitecustomize", "usercustomize"}:
            (trap / f"{name}.py").unlink()
    server.program, server.environment = CONSOLE, {"PYTHONPATH": python_path}
    serve_a_little(server)
    assert {note for note in notes(trap) if not note.startswith(("sitecustomize-", "usercustomize-"))} == set()
    assert not [note for note in notes(trap) if "launcher" in note]


@pytest.mark.nightly
def test_a_current_folder_that_was_deleted_is_no_matter(server: ServerUnderTest, trap: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    server.options["LuaScripts"] = [str(trap / "none.lua")]
    server.program = ("sh", "-c", 'cd "$0" && rmdir "$0" && exec "$@"', str(gone), *CONSOLE)
    serve_a_little(server)
    assert not gone.exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root, to become nobody, and setpriv"
)
def test_a_current_folder_that_cannot_be_read_is_no_matter(server: ServerUnderTest, tmp_path: Path) -> None:
    """Root reads everything, but for what is in its capabilities."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    drop = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")
    server.cwd = None
    server.program = ("sh", "-c", 'cd "$0" && exec "$@"', str(closed), *drop, *CONSOLE)
    serve_a_little(server)


def test_other_commands_do_not_run_them_either(trap: Path) -> None:
    for program in (CONSOLE, MODULE):
        shown = subprocess.run([*program, "version"], cwd=trap, capture_output=True, text=True, check=True)
        assert shown.stdout.startswith("sinogram ")
        url = f"http://127.0.0.1:{free_port()}"
        refused = subprocess.run([*program, "jobs", "list", "--url", url], cwd=trap, capture_output=True, check=False)
        assert refused.returncode == 1
    assert notes(trap) == []


def test_a_path_keeps_what_is_installed_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    path = ["", str(tmp_path), str(tmp_path / "link"), str(packages), "/elsewhere"]
    monkeypatch.chdir(tmp_path)
    assert safe_path(path) == [str(packages), "/elsewhere"]
    monkeypatch.chdir(packages)
    assert safe_path(path) == [str(tmp_path), str(tmp_path / "link"), str(packages), "/elsewhere"]


@pytest.mark.parametrize("given", ["", ":", "{here}", ".:{lib}", "lib::{lib}", "{lib}:{here}"])
def test_what_children_start_in_their_turn_is_not_led_there_by_pythonpath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """Codec processes, and commands of scripts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", given.format(here=tmp_path, lib=tmp_path / "lib"))
    expected = str(tmp_path / "lib") if "{lib}" in given else ""
    assert child_environment()["PYTHONPATH"] == expected
