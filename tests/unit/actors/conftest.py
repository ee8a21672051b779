"""Fixtures of the actors: an ingest with an index behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.services.ingest import incoming_blob
from tests.index_stage import IndexStage
from tests.ingest_stage import Gate


@pytest.fixture
def gate(stage: IndexStage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    monkeypatch.setattr(incoming_blob, "FILES_AHEAD", 0)
    (tmp_path / "storage").mkdir()
    made = Gate(stage, tmp_path / "storage")
    yield made
    made.ingest.close()


@pytest.fixture(params=["in memory", "spilled"])
def sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: parsed before it touches the disk, and written as it comes."""
    if request.param == "spilled":
        monkeypatch.setattr(incoming_blob, "SPILL_BYTES", 300)
