"""What an installation gets: one package, whose programs find each other whatever else is installed or lies about."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.contract.destination import EXPLICIT, destination
from tests.fault.servers import server_in
from tests.pixel_files import gray, pixel_file, run_lengths

ROOT = Path(__file__).parents[2]
RLE = "1.2.840.10008.1.2.5"
SCRIPT = "function OnStoredInstance(id, tags, metadata) print('stored ' .. DumpJson(id)) end"


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of what is in the checkout, so that a build leaves nothing there."""
    copy, made = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    run("sh", "-c", f"git ls-files -z | xargs -0 cp --parents -t {copy}", cwd=ROOT)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, copy, cwd=made)
    (path,) = made.iterdir()
    return path


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, the libraries of this one, and foreign packages of our folders' names."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)  # a pip of its own would take 3.6 s
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name in ("actors", "api", "events", "store", "tools"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text("raise ImportError('somebody else's package')\n")
    return folder


def test_it_installs_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"sinogram"}
    assert len(tops) == 2


def test_the_module_is_the_program(installation: Path, tmp_path: Path) -> None:
    shown = run(installation / "bin" / "python", "-m", "sinogram", "version", cwd=tmp_path)
    assert shown == run(installation / "bin" / "sinogram", "version", cwd=tmp_path)
    assert shown.startswith("sinogram ")


@pytest.mark.parametrize("name", ["the program", pytest.param("the module", marks=pytest.mark.nightly)])
def test_it_serves_from_any_folder(installation: Path, tmp_path: Path, name: str) -> None:
    """With all its processes: scripts' and codecs' too, which are started in ways of their own."""
    script = tmp_path / "say.lua"
    script.write_text(SCRIPT)
    python = str(installation / "bin" / "python")
    with destination(EXPLICIT) as there, server_in(tmp_path / "server", LuaScripts=[str(script)]) as server:
        server.options["DicomModalities"] = {"there": ["THERE", "127.0.0.1", there.port]}
        server.program = (
            (str(installation / "bin" / "sinogram"),) if name == "the program" else (python, "-m", "sinogram")
        )
        server.cwd = tmp_path
        server.start()
        samples = gray(8)
        stored = server.request("POST", "/instances", pixel_file(RLE, samples, [run_lengths(samples)]))
        assert stored.status == 200, stored
        instance = server.get("/instances")[0]
        sent = server.request("POST", "/modalities/there/store", instance.encode())
        assert sent.status == 200, sent
        assert [(one.transfer_syntax, one.dataset[-samples.nbytes :]) for one in there.sent] == [
            (EXPLICIT, samples.tobytes())
        ]
        assert server.stop() == 0
        assert f'stored "{instance}"' in server.log
