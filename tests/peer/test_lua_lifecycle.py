"""Scripts at the start and at the stop of both servers: order, what wins, what keeps a server from starting, heart beats."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.data_factory import dataset, encode
from tests.peer.conftest import Pair
from tests.peer.lua_stage import LuaPair, configured, log_of, upload
from tests.peer.servers import CONFIGURATION, Oracle, running, sinogram_command, wait_for
from tests.ports import free_port

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

START_TIMEOUT_S = 60
FIRST = """
print('first is loaded')
shared = 'from the first'
function Initialize() print('Initialize of the first') end
function Finalize() print('Finalize of the first') end
function OnStoredInstance() print('OnStoredInstance of the first') end
function OnDeletedPatient() print('OnDeletedPatient of the first') end
"""
SECOND = """
print('second is loaded', shared)
function Finalize(...) print('Finalize of the second', ...) end
function OnStoredInstance() print('OnStoredInstance of the second') end
OnDeletedPatient = 'no function'
"""


@contextmanager
def started(oracle: Oracle, folder: Path, *scripts: Path, more: str = "", gently: bool = False) -> Iterator[LuaPair]:
    """Both; `gently` stops Orthanc so that it calls Finalize, which takes it three seconds."""
    with ExitStack() as stack:
        options = configured(*scripts, more=more)
        ours = stack.enter_context(running("sinogram", sinogram_command(), folder, options))
        theirs = stack.enter_context(running("orthanc", [oracle.command], folder, options, gently=gently))
        theirs.version = oracle.version
        yield LuaPair(Pair(ours, theirs, oracle), [])


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_scripts_are_loaded_in_order_and_the_last_definition_wins(oracle: Oracle, tmp_path: Path) -> None:
    paths = script(tmp_path, "b.lua", FIRST), script(tmp_path, "a.lua", SECOND)
    with started(oracle, tmp_path, *paths, gently=True) as pair:
        uploaded, _ = pair.both(lambda server: upload(server, encode(dataset(1))))
        pair.wait_until_said("OnStoredInstance")
        pair.ask(f"/patients/{uploaded[0]['ParentPatient']}", "DELETE")
    ours, theirs = ([line for line in pair.said(server) if line != "Lua toolbox installed"] for server in pair.servers)
    assert sorted(ours) == sorted(theirs)
    one = [line for line in theirs if "loaded" not in line]
    assert [line for line in ours if "loaded" not in line] == one
    assert one == ["Initialize of the first", "OnStoredInstance of the second", "Finalize of the second"]


def test_what_rest_has_installed_is_gone_after_a_restart(oracle: Oracle, tmp_path: Path) -> None:
    for folder in ("before", "after"):
        (tmp_path / folder).mkdir()
        with started(oracle, tmp_path / folder, script(tmp_path, "a.lua", FIRST)) as pair:
            pair.execute("print(installed, type(OnStableStudy))")
            pair.execute("installed = 1 function OnStableStudy() end print(installed, type(OnStableStudy))")


def test_an_error_in_initialize_or_finalize_stops_nothing(oracle: Oracle, tmp_path: Path) -> None:
    text = "function Initialize() print('started') error('early') end function Finalize() print('ended') local t = nil t.x = 1 end"
    with started(oracle, tmp_path, script(tmp_path, "a.lua", text), gently=True) as pair:
        pair.execute("print('alive')")
    assert [pair.said(server)[-3:] for server in pair.servers] == [["started", "alive", "ended"]] * 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("function (", id="syntax"),
        pytest.param("error('at load')", id="error", marks=pytest.mark.nightly),
        pytest.param("local t = nil t.x = 1", id="fault", marks=pytest.mark.nightly),
        pytest.param(None, id="missing", marks=pytest.mark.nightly),
    ],
)
def test_a_script_that_cannot_be_loaded_keeps_a_server_from_starting(
    oracle: Oracle, tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "bad.lua"
    if text is not None:
        path.write_text(text)
    for name, command in (("sinogram", sinogram_command()), ("orthanc", [oracle.command])):
        data = tmp_path / name
        data.mkdir()
        configuration = tmp_path / f"{name}.json"
        configuration.write_text(CONFIGURATION % configured(path))
        places = {"PEER_DATA": str(data), "PEER_HTTP_PORT": str(free_port()), "PEER_DICOM_PORT": str(free_port())}
        done = subprocess.run(
            [*command, str(configuration)],
            env=os.environ | places,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        assert done.returncode != 0
        if name == "sinogram":
            assert "bad.lua" in done.stdout + done.stderr


def test_hearts_beat(oracle: Oracle, tmp_path: Path) -> None:
    text = "beats = 0 function OnHeartBeat(...) beats = beats + 1 if beats <= 2 then print('beat', beats, select('#', ...)) end end"
    with started(oracle, tmp_path, script(tmp_path, "a.lua", text), more='"LuaHeartBeatPeriod": 1,') as pair:
        pair.wait_until_said("beat, 2")
        beats = [[line for line in pair.said(server) if line.startswith("beat")] for server in pair.servers]
        assert beats[0] == beats[1] == ["beat, 1, 0", "beat, 2, 0"]


def test_errors_are_logged_with_their_place(oracle: Oracle, tmp_path: Path) -> None:
    text = "\n\nfunction OnStoredInstance()\n  error('of the script')\nend"
    with started(oracle, tmp_path, script(tmp_path, "a.lua", text)) as pair:
        pair.both(lambda server: upload(server, encode(dataset(1))))
        for server in pair.servers:
            wait_for(
                lambda server=server: ":4: of the script" in log_of(server).read_text(),  # type: ignore[misc] # mypy does not see the default
                f"{server.name} to log the error",
            )
    assert re.search(r"a\.lua:4: of the script", log_of(pair.pair.ours).read_text())


def test_modules_beside_a_script_are_found(oracle: Oracle, tmp_path: Path) -> None:
    (tmp_path / "part.lua").write_text("return {word = 'found'}")
    text = (
        f"package.path = '{tmp_path}/?.lua;' .. package.path print(require('part').word) dofile('{tmp_path}/part.lua')"
    )
    with started(oracle, tmp_path, script(tmp_path, "a.lua", text)) as pair:
        pair.execute("print(require('part').word, package.loaded.part ~= nil)")
    for server in pair.servers:
        assert pair.said(server).count("found") == 2
