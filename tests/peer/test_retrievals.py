"""Instances are fetched from a real Orthanc by `/modalities/…/move`, `get` and `/queries/…/retrieve`, as a real Orthanc does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.dicom_bytes import dataset, encode
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

REMOTE = """
  "DicomAlwaysAllowFind" : true, "DicomAlwaysAllowGet" : true, "DicomAlwaysAllowMove" : true,
  "DicomModalities" : { "sinogram" : [ "SINOGRAM", "127.0.0.1", %d ], "orthanc" : [ "ORTHANC", "127.0.0.1", %d ] },
"""
FILES = [
    encode(dataset(patient, study, series, instance))
    for patient in (1, 2)
    for study in (1, 2)
    for series in (1, 2)
    for instance in (1, 2, 3)
]


@dataclass
class Stage:
    """Both servers; `archive` is what the modality of that name holds."""

    pair: Pair
    archive: Server
    queries: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, body: object, method: str = "POST") -> list[Difference]:
        """Ask both; `{q}` in a path is each server's last query, `{me}` in a body its own title."""
        answers = []
        for server in (self.pair.ours, self.pair.theirs):
            title, name = server.name.upper(), self.queries.get(server.name, "none")
            data = json.dumps(body).replace("{me}", title).encode()
            answer = server.ask(Request(path.replace("{q}", name), method, data))
            text = answer.body.replace(f'"{title}"'.encode(), b'"<me>"').replace(name.encode(), b"<query>")
            made: Any = answer.json() if answer.status == 200 and answer.body else None
            if isinstance(made, dict) and str(made.get("Path", "")).startswith("/queries/"):
                self.queries[server.name] = made["ID"]
                text = text.replace(made["ID"].encode(), b"<query>")
            answers.append(replace(answer, body=text))
        return compare(Request(path, method, json.dumps(body)), *answers)

    def forget(self) -> None:
        for server in (self.pair.ours, self.pair.theirs):
            for patient in server.get_json("/patients"):  # type: ignore[attr-defined] # a list of identifiers
                server.ask(Request(f"/patients/{patient}", "DELETE"))

    def assert_same_instances(self, count: int) -> None:
        ours, theirs = (server.get_json("/instances") for server in (self.pair.ours, self.pair.theirs))
        assert ours == theirs
        assert len(ours) == count  # type: ignore[arg-type] # a list of identifiers
        for name in ours:  # type: ignore[attr-defined] # likewise
            path = f"/instances/{name}/simplified-tags"
            assert self.pair.ours.get_json(path) == self.archive.get_json(path)


@pytest.fixture(scope="module")
def both(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("retrievals")
    with start_pair(oracle, folder) as pair:
        options = REMOTE % (pair.ours.dicom_port, pair.theirs.dicom_port)
        with running("archive", [oracle.command], folder, options, gently=False) as archive:
            for data in FILES:
                assert archive.ask(Request("/instances", "POST", data)).status == 200
            made = Stage(pair, archive)
            assert_same(made.ask("/modalities/archive", ["ARCHIVE", "127.0.0.1", archive.dicom_port], "PUT"))
            yield made


@pytest.fixture
def stage(both: Stage) -> Iterator[Stage]:
    yield both
    both.forget()


@pytest.fixture(scope="module")
def uids() -> dict[str, str]:
    made = dataset(1, 2, 1, 3)
    return {
        "PatientID": str(made.PatientID),
        "StudyInstanceUID": str(made.StudyInstanceUID),
        "SeriesInstanceUID": str(made.SeriesInstanceUID),
        "SOPInstanceUID": str(made.SOPInstanceUID),
    }


LEVELS = [("Patient", 1, 12), ("Study", 2, 6), ("Series", 3, 3), ("Instance", 4, 1)]


@pytest.mark.parametrize(("level", "keys", "count"), LEVELS)
@pytest.mark.parametrize("method", ["move", "get"])
def test_a_resource_of_each_level_arrives(
    stage: Stage, uids: dict[str, str], method: str, level: str, keys: int, count: int
) -> None:
    resource = dict(list(uids.items())[:keys])
    body = {"Level": level, "Resources": [resource], "TargetAet": "{me}"}
    assert_same(stage.ask(f"/modalities/archive/{method}", body))
    stage.assert_same_instances(count)


@pytest.mark.parametrize(("level", "count"), [("Patient", 24), ("Study", 24), ("Series", 24), ("Instance", 24)])
@pytest.mark.parametrize("method", ["C-MOVE", "C-GET"])
def test_all_answers_of_a_query_are_retrieved(stage: Stage, method: str, level: str, count: int) -> None:
    wanted = {"PatientID": "", "StudyInstanceUID": "", "SeriesInstanceUID": "", "SOPInstanceUID": "", "PatientName": ""}
    found = stage.ask("/modalities/archive/query", {"Level": level, "Query": wanted})
    found += stage.ask("/queries/{q}/answers?expand", None, "GET")
    found += stage.ask("/queries/{q}/retrieve", {"TargetAet": "{me}", "RetrieveMethod": method})
    stage.assert_same_instances(count)
    assert_same(found)


@pytest.mark.parametrize("form", [{}, {"Full": True}, {"Simplify": True}])
def test_one_answer_of_a_query_is_retrieved(stage: Stage, form: dict[str, bool]) -> None:
    found = stage.ask(
        "/modalities/archive/query", {"Level": "Study", "Query": {"StudyDescription": "", "StudyDate": ""}}
    )
    found += stage.ask("/queries/{q}/answers/2/retrieve", {"TargetAet": "{me}", **form})
    stage.assert_same_instances(6)
    assert_same(found)


def test_what_cannot_be_retrieved_is_told_alike(stage: Stage, uids: dict[str, str]) -> None:
    one = {"StudyInstanceUID": uids["StudyInstanceUID"]}
    bodies: list[dict[str, Any]] = [
        {"Level": "Study", "Resources": [one], "TargetAet": "UNKNOWN"},
        {"Level": "Study", "Resources": [{"StudyInstanceUID": "1.2.3.4"}], "TargetAet": "{me}"},
        {"Level": "Study", "Resources": []},
        {"Level": "Study", "Resources": [{}]},
        {"Level": "Series", "Resources": [{"SeriesInstanceUID": "1"}]},
        {"Level": "Study", "Resources": ["x"]},
        {"Level": "Study", "Resources": [{"StudyInstanceUID": 1}]},
        {"Level": "Study", "Resources": [{"Bogus": "1"}]},
        {"Level": "Bad", "Resources": [one]},
        {"Level": 1, "Resources": [one]},
        {"Level": "Study", "Resources": one},
        {"Level": "Study"},
        {"Level": "Study", "Resources": [one], "LocalAet": 1},
        {"Level": "Study", "Resources": [one], "Timeout": "x"},
        {"Level": "Study", "Resources": [one], "Timeout": -1},
        {"Level": "Study", "Resources": [one], "Permissive": "x"},
        {"Level": "Study", "Resources": [one], "Priority": "x"},
        {"Level": "Study", "Resources": [one], "Asynchronous": "x"},
    ]
    found = [each for body in bodies for each in stage.ask("/modalities/archive/move", body)]
    # Where nothing is found, Orthanc waits for it as long as it may.
    found += [each for body in bodies[2:8] for each in stage.ask("/modalities/archive/get", body | {"Timeout": 1})]
    found += stage.ask("/modalities/nope/move", bodies[0])
    found += stage.ask("/modalities/archive/query", {"Level": "Study", "Query": {}})
    retrievals: list[dict[str, Any]] = [
        {"TargetAet": 1},
        {"Timeout": "x"},
        {"Full": "x"},
        {"RetrieveMethod": "X"},
        {"TargetAet": "UNKNOWN"},
    ]
    found += [each for body in retrievals for each in stage.ask("/queries/{q}/answers/0/retrieve", body)]
    found += stage.ask("/queries/{q}/answers/99/retrieve", {})
    found += stage.ask("/queries/nope/retrieve", {})
    found += stage.ask("/queries/{q}/retrieve", None, "GET")
    assert_same(found)
