"""`sinogram bench fill`: the archive is what the index itself would have written; `bench flat` measures over it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from actors.core.stable import Ripen
from events.errors import InvalidRequest
from events.identifiers import Level, hash_resource_id
from store.records import Statistics
from store.tables import LookupKind
from store.views.feed import get_changes
from store.views.lookup import find_identifier, find_refs
from store.views.snapshot import Snapshot
from tools import log, replay
from tools.bench import filling
from tools.bench.filling import Shape, accession_number, fill, patient_id
from tools.cli import main
from tools.core_settings import CoreSettings
from tools.replay import open_for_reading
from tools.server.core import Core

SHAPE = Shape(patients=3, studies=5, series=11, instances=47)


@pytest.fixture(autouse=True)
def _small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "BATCH_INSTANCES", 10)


def make(folder: Path, *, unsettled: bool = False) -> Path:
    numbers = [f"--{name}={getattr(SHAPE, name)}" for name in ("patients", "studies", "series", "instances")]
    assert (
        main(["bench", "fill", "--data", str(folder), *numbers, "--seed=1", *(["--unsettled"] if unsettled else [])])
        == 0
    )
    return folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make(tmp_path / "filled")


def test_its_log_verifies_and_replays_to_the_same_read_models(archive: Path) -> None:
    assert log.verify(archive) == 1, "every link holds (else 2); its instances have no files"
    assert replay.replay(archive, verify=True) == 0


def test_it_holds_as_many_of_each_as_were_asked_for(archive: Path) -> None:
    with open_for_reading(archive) as env, env.begin() as txn:
        s = Snapshot(txn, env.tables)
        assert s.statistics() == Statistics(3, 5, 11, 47, 47 * 170_000)
        counts = {level: sum(1 for _ in s.list_refs(level)) for level in Level}
        assert counts == {Level.PATIENT: 3, Level.STUDY: 5, Level.SERIES: 11, Level.INSTANCE: 47}
        sizes = [len(list(s.child_refs(ref))) for ref in s.list_refs(Level.SERIES)]
        assert set(sizes) <= {4, 5}, "evenly"


def test_each_resource_is_stable_once_and_after_its_last_instance(archive: Path) -> None:
    with open_for_reading(archive) as env, env.begin() as txn:
        s = Snapshot(txn, env.tables)
        stable = [each for each in get_changes(s, limit=0).changes if each.change_type.startswith("Stable")]
        assert Counter(each.change_type for each in stable) == {
            "StablePatient": 3,
            "StableStudy": 5,
            "StableSeries": 11,
        }
        assert len({each.resource for each in stable}) == 19
        assert all(s.get_resource(level, ref).is_stable for level in list(Level)[:3] for ref in s.list_refs(level))


def test_patients_and_studies_are_found_by_their_identifiers(archive: Path) -> None:
    with open_for_reading(archive) as env, env.begin() as txn:
        s = Snapshot(txn, env.tables)
        for text, levels in (
            (patient_id(2), {Level.PATIENT}),
            (SHAPE.chain(46)[1], {Level.STUDY}),
            (SHAPE.chain(46)[3], {Level.INSTANCE}),
        ):
            assert {level for level, _ in find_identifier(s, text)} == levels, text
        (study,) = find_refs(s, LookupKind.ACCESSION_NUMBER, accession_number(4))
        assert s.id_of(Level.STUDY, study) == hash_resource_id(*SHAPE.chain(46)[:2])


def test_an_unsettled_one_is_settled_by_the_server_and_taken_on_as_its_own(tmp_path: Path) -> None:
    folder = make(tmp_path / "unsettled", unsettled=True)
    core = Core(CoreSettings(index_directory=folder, storage_directory=folder, stable_age_s=0.0))
    try:
        assert core.stable is not None
        core.stable.ask(Ripen())
        with core.views.snapshot() as s:
            assert len(get_changes(s, types=["StableSeries", "StableStudy", "StablePatient"]).changes) == 19
    finally:
        core.stop()
    assert replay.replay(folder, verify=True) == 0


@pytest.mark.parametrize(
    "shape",
    [
        Shape(patients=0, studies=1, series=1, instances=1),
        Shape(patients=2, studies=1, series=2, instances=2),
        Shape(patients=1, studies=1, series=3, instances=2),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, shape: Shape) -> None:
    with pytest.raises(InvalidRequest, match="at least one patient"):
        fill(tmp_path / "none", shape)
    assert not (tmp_path / "none").exists()


def test_an_archive_that_is_there_is_left_alone(archive: Path) -> None:
    with pytest.raises(InvalidRequest, match="already"):
        fill(archive, SHAPE)
    assert replay.replay(archive, verify=True) == 0


def test_flat_asks_an_archive_at_every_level_and_leaves_it_whole(archive: Path, tmp_path: Path) -> None:
    report = tmp_path / "flat.json"
    command = [
        "bench",
        "flat",
        "--data",
        str(archive),
        "--rounds=1",
        "--requests=2",
        f"--json={report}",
        f"--work={tmp_path}",
    ]
    assert main(command) == 0
    lines = {line["scenario"]: line for line in json.loads(report.read_text())["summary"]}
    assert {"start", "GET /statistics", "POST /instances", "DELETE /studies/{id}"} < lines.keys()
    assert len([name for name in lines if name.startswith(("C-FIND", "GET /changes", "GET /instances"))]) >= 9
    assert lines["start"]["processor_ms"] > 100, "the whole tree of processes is counted"
    assert lines["POST /instances"]["processor_ms"] < lines["start"]["processor_ms"]
    assert replay.replay(archive, verify=True) == 0
