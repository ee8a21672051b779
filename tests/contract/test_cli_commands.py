"""The command line: what it answers, with which exit status."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.cli import LOG_CATEGORIES, main
from tools.server.logging_setup import CATEGORIES

EVERY_COMMAND = (
    "serve",
    "log",
    "log tail",
    "log show",
    "log stats",
    "log verify",
    "replay",
    "import",
    "jobs",
    "jobs list",
    "jobs watch",
    "jobs show",
    "lua",
    "lua replay",
    "bench",
    "bench ingest",
    "bench scu",
    "bench query",
    "bench find",
    "bench search",
    "bench rest",
    "bench changes",
    "bench metadata",
    "bench replay",
    "version",
)


def usage_status(*arguments: str) -> int | str | None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_status(*command.split(), "--help") == 0
    assert capsys.readouterr().out.startswith(f"usage: sinogram {command}")


@pytest.mark.parametrize(
    "arguments", [[], ["nope"], ["log"], ["replay"], ["import"], ["replay", "--data", "x", "--until", "0"]]
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_status(*arguments) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["x", "0", "-1", "1.5", ""])
def test_a_wrong_number_is_told(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert usage_status("lua", "replay", "--script", "x.lua", f"--since={number}") == 2
    assert f"argument --since: must be a whole number, 1 or more, not '{number}'" in capsys.readouterr().err


def test_version_names_the_api_that_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert "REST API of Orthanc 1.12.11" in capsys.readouterr().out


def test_serve_refuses_a_bad_configuration_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.json"
    file.write_text('{"HttpPort": "x", "DicomPort": 70000}')
    assert main(["serve", str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"sinogram: {file}: HttpPort: must be a whole number, not 'x'"
    assert "DicomPort: must be between 0 and 65535" in lines[1]


def test_a_folder_without_an_archive_is_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["log", "stats"], ["log", "tail"], ["replay"]):
        assert main([*command, "--data", str(tmp_path)]) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_help_does_not_import_the_server() -> None:
    code = (
        "import sys, contextlib\n"
        "from tools.cli import main\n"
        "with contextlib.suppress(SystemExit): main(['--help'])\n"
        "heavy = {'falcon', 'aiohttp', 'lmdb', 'pydicom', 'pynetdicom', 'rich', 'pykka'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_log_flags_exist_for_every_category() -> None:
    assert set(LOG_CATEGORIES) == set(CATEGORIES)
