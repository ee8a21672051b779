"""`sinogram lua replay`: past events meet new scripts, which are told of as if they were new and can do nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.rest_stage import rest_stage
from tests.data_factory import dataset, encode
from tools.cli import main
from tools.server.core import Core

ROUTING = """
function OnStoredInstance(id, tags, metadata, origin)
  if tags.Modality == 'MR' then Delete(SendToModality(id, 'sample')) end
end
"""


@pytest.fixture
def archive_folder(tmp_path: Path, archive: Core) -> Path:
    """A stopped archive: an MR instance of study 1 (events 1 to 4), a CT instance of study 2 (5 to 7), which was deleted."""
    with rest_stage(archive) as stage:
        assert stage.upload(encode(dataset())).status == 200
        second = json.loads(stage.upload(encode(dataset(study=2, Modality="CT"))).body)
        assert stage.ask(f"/instances/{second['ID']}", "DELETE").status == 200
    archive.stop()
    modality = {"sample": ["SAMPLE", "localhost", 104]}
    options = {"IndexDirectory": "index", "StorageDirectory": "storage", "DicomModalities": modality}
    (tmp_path / "sinogram.json").write_text(json.dumps(options))
    return tmp_path


@pytest.fixture
def replay(archive_folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str], str]]:
    def run(script: str, *arguments: str, since: int = 1) -> tuple[int, list[str], str]:
        """Return the status, the lines without their moments, and standard error."""
        (archive_folder / "new.lua").write_text(script)
        command = ["lua", "replay", str(archive_folder), "--script", str(archive_folder / "new.lua")]
        status = main([*command, "--since", str(since), *arguments])
        printed = capsys.readouterr()
        return status, printed.out.splitlines(), printed.err

    return run


def kinds(lines: list[str]) -> list[list[str]]:
    """The effects among the lines: each with its kind and text."""
    return [line.split(maxsplit=1) for line in lines if line.startswith(" " * 12)]


def test_a_routing_rule_is_tried_on_what_came(replay: Any) -> None:
    status, lines, _ = replay(ROUTING)
    assert status == 0
    (heading, send, delete, *summary) = lines
    seq, _, callback, instance = heading.split()
    assert (seq, callback) == ("1", "OnStoredInstance")
    assert send.split() == ["job", "send", instance, "to", "modality", "sample"]
    assert delete.split() == ["job", "delete", instance]
    assert [line.split() for line in summary[1:]] == [["2", "OnStoredInstance"], ["2", "job"]]


def test_the_archive_stays_as_it_was(replay: Any, archive_folder: Path) -> None:
    def files() -> dict[str, bytes]:
        found = (path for path in archive_folder.rglob("*") if path.is_file() and "lock" not in path.name)
        return {str(path): path.read_bytes() for path in found if path.name != "new.lua"}

    before = files()
    assert replay(ROUTING)[0] == 0
    assert files() == before


def test_the_server_may_run_meanwhile(tmp_path: Path, archive: Core) -> None:
    (tmp_path / "new.lua").write_text("function OnStoredInstance(id) print(RestApiGet('/instances/' .. id) ~= nil) end")
    (tmp_path / "c.json").write_text('{"IndexDirectory": "index", "StorageDirectory": "storage"}')
    with rest_stage(archive) as stage:
        stage.upload(encode(dataset()))
    command = [sys.executable, "-m", "sinogram", "lua", "replay", "c.json", "--script", "new.lua", "--since", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert kinds(done.stdout.splitlines()) == [["print", "true"]]
    assert done.stderr == ""


@pytest.mark.parametrize(("arguments", "called"), [((), 2), (("--until", "1"), 1), (("--until", "4"), 1)])
def test_both_ends_are_included(replay: Any, arguments: tuple[str, ...], called: int) -> None:
    _, lines, _ = replay("function OnStoredInstance() print('x') end", *arguments)
    assert kinds(lines) == [["print", "x"]] * called
    _, lines, _ = replay("function OnStoredInstance() print('x') end", "--until", "5", since=5)
    assert [line.split()[0] for line in lines[:2]] == ["5", "print"]


def test_what_is_gone_is_told_of_by_its_main_tags(replay: Any, archive_folder: Path) -> None:
    for path in (archive_folder / "storage").rglob("*"):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            path.unlink()
    script = "function OnStoredInstance(id, tags) print(tags.PatientID, tags.Modality, tags.SOPInstanceUID ~= nil) end"
    _, lines, _ = replay(script)
    assert lines[0].endswith("(gone since: main tags alone)")
    assert kinds(lines) == [["print", "PAT1, MR, true"], ["print", "PAT1, CT, true"]]


def test_deletions_are_told_of(replay: Any) -> None:
    _, lines, _ = replay("function OnDeletedSeries(id) print('series', #id) end")
    assert kinds(lines) == [["print", "series, 44"]]


@pytest.mark.parametrize(
    ("body", "effect"),
    [
        ("print(RestApiPost('/instances/' .. id .. '/modify', '{}') ~= nil)", "POST"),
        ("print(ParseJson(RestApiPost('/studies/x/modify', '{}')).ID ~= nil)", "POST"),
        ("print(RestApiPut('/modalities/x', '{}') == '')", "PUT"),
        ("print(RestApiDelete('/instances/' .. id))", "DELETE"),
        ("print(HttpPost('http://elsewhere/', 'body') == '{}')", "POST"),
        ("print(HttpDelete('http://elsewhere/') == 'SUCCESS')", "DELETE"),
        ("print(SetStableStatus(string.rep('01234567-', 4) .. '01234567', true))", "stability"),
        ("print(StoreKeyValue('s', 'k', 'v') and GetKeyValue('s', 'k') == 'v')", "keep"),
        ("StoreKeyValue('s', 'k', 'v') print(DeleteKeyValue('s', 'k') and GetKeyValue('s', 'k') == nil)", "keep"),
        ("print(os.execute('touch ' .. PATH))", "run"),
        ("print(io.popen('touch ' .. PATH):read('a') == '')", "run"),
        ("local f = io.open(PATH, 'w') f:write('x') f:close() print(true)", "write"),
        ("io.output(PATH) io.write('x') io.output():close() print(true)", "write"),
        ("print(os.remove(SCRIPT))", "remove"),
        ("print(os.rename(SCRIPT, PATH))", "rename"),
    ],
)
def test_effects_are_told_and_not_done(replay: Any, archive_folder: Path, body: str, effect: str) -> None:
    written, script = archive_folder / "written", archive_folder / "new.lua"
    source = f"local PATH, SCRIPT = '{written}', '{script}' function OnStoredInstance(id) {body} end"
    status, lines, _ = replay(source, "--until", "1")
    told = kinds(lines)
    assert status == 0
    assert told[0][0] == effect
    assert told[-1][0] == "print"
    assert told[-1][1].startswith("true")
    assert script.exists()
    assert not written.exists()


@pytest.mark.parametrize(
    ("example", "effects"),
    [
        ("autorouting", ["send", "delete"]),
        ("autorouting_conditional", ["delete"]),
        ("autorouting_modification", ["POST", "POST", "POST", "DELETE", "DELETE"]),
    ],
)
def test_the_books_examples_can_be_tried(replay: Any, example: str, effects: list[str]) -> None:
    source = Path(__file__).parents[1] / "peer" / "lua" / f"{example}.lua"
    status, lines, _ = replay(source.read_text(), "--until", "1")
    told = [kind if kind.isupper() else text.split()[0] for kind, text in kinds(lines)]
    assert (status, told) == (0, effects)


def test_what_a_script_reads_is_real(replay: Any) -> None:
    script = """
    function OnStoredInstance(id)
      local file = io.open(debug.getinfo(1).short_src) or io.open('/dev/null')
      file:close()
      print(RestApiGet('/instances/' .. id .. '/content/0010-0020'), GetOrthancConfiguration().DicomModalities.sample[1])
    end"""
    _, lines, _ = replay(script)
    there, *why, deleted = kinds(lines)
    assert there[1].endswith(", SAMPLE")
    assert deleted == ["print", "nil, SAMPLE"]
    assert [kind for kind, _ in why] == ["log"] * 2
    assert "status=404" in why[0][1], "what the log would say, which tells why there is nothing"


def test_initialize_and_finalize_are_called(replay: Any) -> None:
    script = "print('loaded') function Initialize() print('first') end function Finalize() print('last') end"
    _, lines, _ = replay(script)
    assert kinds(lines) == [["print", "loaded"], ["print", "first"], ["print", "last"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("error('boom')", "new.lua:1: boom"),
        ("SendToModality(id, 'nobody')", "No modality with symbolic name: nobody"),
    ],
)
def test_a_callback_that_fails_stops_no_other(replay: Any, body: str, message: str) -> None:
    status, lines, _ = replay(f"function OnStoredInstance(id) {body} end")
    failures = kinds(lines)
    assert status == 1
    assert [kind for kind, _ in failures] == ["failed"] * 2
    assert all(text.endswith(message) for _, text in failures)


@pytest.mark.parametrize("script", ["x x", "error('at load')"])
def test_a_script_that_cannot_be_loaded(replay: Any, script: str) -> None:
    status, lines, error = replay(script)
    assert (status, lines) == (2, [])
    assert "new.lua:1:" in error


def test_whoever_reads_may_stop_reading(archive_folder: Path) -> None:
    (archive_folder / "new.lua").write_text(
        "function OnStoredInstance() for i = 1, 5000 do print(i .. string.rep('x', 180)) end end"
    )
    command = [sys.executable, "-m", "sinogram", "lua", "replay", str(archive_folder), "--since", "1"]
    command += ["--script", str(archive_folder / "new.lua")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "OnStoredInstance" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 141


def test_a_script_or_an_archive_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.json").write_text('{"StorageDirectory": "nowhere"}')
    assert main(["lua", "replay", str(tmp_path / "c.json"), "--script", "x.lua", "--since", "1"]) != 0
    assert "holds no archive" in capsys.readouterr().err
