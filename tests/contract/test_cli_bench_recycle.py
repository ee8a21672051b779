"""`sinogram bench recycle` from end to end, with as little as it can measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.nightly
def test_each_way_is_measured_with_a_limit_and_without(tmp_path: Path) -> None:
    result, work = tmp_path / "recycle.json", tmp_path / "work"
    work.mkdir()
    options = ["--generate", "4", "--kept", "2", "--size", "small", "--rounds", "1", "--seed", "3"]
    command = [sys.executable, "-m", "sinogram", "bench", "recycle", *options]
    subprocess.run([*command, "--json", str(result), "--work", str(work)], check=True, timeout=300, capture_output=True)
    runs = {run["scenario"]: run for run in json.loads(result.read_text())["runs"]}
    assert set(runs) == {"rest-1", "dicom-4", "rest-1 recycling", "dicom-4 recycling"}
    assert all(run["count"] == 4 and run["rate"] > 0 and not run["failures"] for run in runs.values())
    assert not list(work.iterdir())
