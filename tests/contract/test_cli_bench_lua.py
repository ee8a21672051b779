"""`sinogram bench lua` from end to end, with as little as it can measure."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.nightly
def test_every_script_is_measured(tmp_path: Path) -> None:
    result, work = tmp_path / "lua.json", tmp_path / "work"
    work.mkdir()
    options = ["--generate", "4", "--size", "small", "--rounds", "1", "--seed", "3"]
    command = [sys.executable, "-m", "sinogram", "bench", "lua", *options]
    subprocess.run([*command, "--json", str(result), "--work", str(work)], check=True, timeout=300, capture_output=True)
    runs = {run["scenario"]: run for run in json.loads(result.read_text())["runs"]}
    scripts = ["without", "filter", "event"] + ["routing"] * (shutil.which("storescp") is not None)
    wanted = {f"ingest-{associations} {script}" for script in scripts for associations in (1, 4)}
    wanted |= {"told-1", "told-4", "backlog"} | ({"routed-1", "routed-4"} if "routing" in scripts else set())
    assert set(runs) == wanted
    assert all(run["count"] == 4 and run["rate"] > 0 and not run["failures"] for run in runs.values())
    assert not list(work.iterdir())
