"""`sinogram bench feed` from end to end, with as little as it can measure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.nightly
def test_ingest_is_measured_with_listeners_and_without(tmp_path: Path) -> None:
    result, work = tmp_path / "feed.json", tmp_path / "work"
    work.mkdir()
    options = ["--generate", "8", "--listeners", "5", "--size", "small", "--rounds", "2", "--seed", "3"]
    command = [sys.executable, "-m", "sinogram", "bench", "feed", *options]
    done = subprocess.run(
        [*command, "--json", str(result), "--work", str(work)], check=True, timeout=300, capture_output=True
    )
    assert b"with 5 listeners, ingest keeps" in done.stdout
    runs = json.loads(result.read_text())["runs"]
    assert [run["scenario"] for run in runs] == ["dicom-4", "dicom-4, 5 listeners", "dicom-4, 5 listeners", "dicom-4"]
    assert all(run["count"] == 8 and not run["failures"] for run in runs)
    assert not list(work.iterdir())
