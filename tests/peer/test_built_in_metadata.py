"""Orthanc's own metadata: which a resource of each level has, when they are set, and what becomes of them."""

import json
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.changes import ChangeLog
from tests.peer.comparison import Difference, assert_same, walk
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, wait_for

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("modern"),
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

OPTIONS = (
    '"AuthenticationEnabled": true, "RegisteredUsers": {"joe": "secret", "ann": "secret"}, "ExecuteLuaEnabled": true, '
    '"DicomCheckCalledAet": false, "DicomAlwaysAllowStore": true,'
)
DATES = {"ReceptionDate", "LastUpdate"}
TOOL_TIMEOUT_S = 60


def login(user: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:secret".encode()).decode()}


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("built-in"), OPTIONS, login("joe")) as made:
        yield made


@pytest.fixture
def empty(pair: Pair) -> Pair:
    for server in (pair.ours, pair.theirs):
        for patient in listed(server, "patients"):
            assert server.ask(Request(f"/patients/{patient}", "DELETE")).status == 200
    return pair


def listed(server: Server, level: str) -> list[str]:
    found = server.get_json(f"/{level}")
    assert isinstance(found, list)
    return sorted(found)


def metadata(server: Server) -> dict[str, dict[str, Any]]:
    """Those of all resources, by path."""
    paths = [
        f"/{level}/{each}" for level in ("patients", "studies", "series", "instances") for each in listed(server, level)
    ]
    return {path: server.get_json(f"{path}/metadata?expand") for path in paths}  # type: ignore[misc]  # plain JSON


def shown(server: Server) -> dict[str, Any]:
    """The same with their order in the list and without dates, and how complete each series is."""
    found: dict[str, Any] = {}
    for path, values in metadata(server).items():
        found[path] = {name: "<date>" if name in DATES else value for name, value in values.items()}
        found[f"{path}/metadata"] = server.get_json(f"{path}/metadata")
        if path.startswith("/series/"):
            series = server.get_json(path)
            assert isinstance(series, dict)
            found[f"{path}/status"] = series["Status"], series["ExpectedNumberOfInstances"]
    return found


def assert_alike(pair: Pair, act: Callable[[Server], object]) -> None:
    """After the same has happened to both, they show the same."""
    for server in (pair.ours, pair.theirs):
        act(server)
    found = walk(shown(pair.ours), shown(pair.theirs))
    assert_same([Difference(Request(path), "metadata", ours, theirs) for path, ours, theirs in found])


def upload(data: bytes, user: str = "joe") -> Callable[[Server], None]:
    def act(server: Server) -> None:
        assert server.ask(Request("/instances", "POST", data, login(user))).status == 200

    return act


def send(data: bytes, calling: str, called: str, folder: Path) -> Callable[[Server], None]:
    file = folder / f"{calling}.dcm"
    file.write_bytes(data)

    def act(server: Server) -> None:
        command = ["storescu", "-aet", calling, "-aec", called, "127.0.0.1", str(server.dicom_port), str(file)]
        subprocess.run(command, check=True, capture_output=True, timeout=TOOL_TIMEOUT_S)

    return act


def id_of(server: Server, path: str) -> str:
    resource = server.get_json(path)
    assert isinstance(resource, dict)
    return str(resource["ID"])


def instance_of(server: Server, number: str) -> str:
    """The instance whose InstanceNumber this is."""
    for each in listed(server, "instances"):
        if server.get_json(f"/instances/{each}/metadata?expand").get("IndexInSeries") == number:  # type: ignore[attr-defined]  # an object
            return each
    raise AssertionError(number)


def test_who_sent_an_instance_and_how(empty: Pair, tmp_path: Path) -> None:
    """A series keeps the sender of its first instance, also once this one is deleted."""
    assert_alike(empty, send(encode(dataset(1, 1, 1, 1)), "ALICE", "FIRST", tmp_path))
    assert_alike(empty, send(encode(dataset(1, 1, 1, 2)), "BOB", "SECOND", tmp_path))
    assert_alike(empty, upload(encode(dataset(1, 1, 1, 3)), "ann"))
    assert_alike(empty, lambda server: server.ask(Request(f"/instances/{instance_of(server, '1')}", "DELETE")))
    assert_alike(empty, upload(encode(dataset(1, 1, 2, 4))))
    assert_alike(empty, send(encode(dataset(1, 1, 2, 5)), "BOB", "SECOND", tmp_path))
    assert_alike(empty, send(encode(dataset(1, 1, 2, 4)), "CAROL", "AGAIN", tmp_path))  # is there already
    file = tmp_path / "by-lua.dcm"
    file.write_bytes(encode(dataset(1, 1, 3, 6)))
    script = f"local f = io.open({json.dumps(str(file))}, 'rb') local d = f:read('*a') f:close() RestApiPost('/instances', d)"
    assert_alike(empty, lambda server: server.ask(Request("/tools/execute-script", "POST", script)))
    assert len(listed(empty.ours, "instances")) == 5


INDEXES: dict[str, dict[str, object]] = {
    "none": {"InstanceNumber": None},
    "zero": {"InstanceNumber": "0"},
    "negative": {"InstanceNumber": "-3"},
    "a sign": {"InstanceNumber": "+4"},
    "blanks": {"InstanceNumber": " 7 "},
    "empty": {"InstanceNumber": ""},
    "another": {"InstanceNumber": None, "ImageIndex": 9},
    "both": {"InstanceNumber": "2", "ImageIndex": 9},
    "acquisition": {"ImagesInAcquisition": "2"},
    "temporal": {"ImagesInAcquisition": "2", "NumberOfTemporalPositions": "3"},
    "one temporal": {"NumberOfTemporalPositions": "3"},
    "slices": {"NumberOfSlices": 3},
    "slices in time": {"NumberOfSlices": 3, "NumberOfTimeSlices": 2},
    "cardiac": {"CardiacNumberOfImages": "3"},
    "nothing expected": {"ImagesInAcquisition": "0"},
    "no number expected": {"ImagesInAcquisition": ""},
}


def test_indexes_and_what_is_expected(empty: Pair) -> None:
    files = [encode(dataset(2, 1, number, number, **values)) for number, values in enumerate(INDEXES.values(), 1)]
    assert_alike(empty, lambda server: [upload(file)(server) for file in files])
    # Only what a series' first instance says counts.
    assert_alike(empty, upload(encode(dataset(2, 1, 1, 90, ImagesInAcquisition="2", InstanceNumber="1"))))


def test_a_series_is_complete_whenever_its_last_instance_comes(empty: Pair) -> None:
    one, two, three = (encode(dataset(3, 1, 1, n, CardiacNumberOfImages="2", InstanceNumber=str(n))) for n in (1, 2, 3))
    for server in (empty.ours, empty.theirs):
        assert server.ask(Request("/changes", "DELETE")).status == 200
    assert_alike(empty, upload(one))
    assert_alike(empty, upload(two))
    assert_alike(empty, lambda server: server.ask(Request(f"/instances/{instance_of(server, '2')}", "DELETE")))
    assert_alike(empty, upload(two))
    assert_alike(empty, upload(three))
    assert_alike(empty, lambda server: server.ask(Request(f"/instances/{instance_of(server, '3')}", "DELETE")))
    ours, theirs = ([row for row in ChangeLog.of(server).rows() if not row[0].startswith("Stable")]
                    for server in (empty.ours, empty.theirs))  # fmt: skip
    assert ours == theirs
    assert [row[0] for row in ours].count("CompletedSeries") == 2


def test_where_pixels_begin(empty: Pair) -> None:
    """1.12.7 finds them in files whose meta information says how long it is: in all but those of these tests, as a rule."""
    for instance, bits in enumerate((8, 16), 1):
        file = BytesIO()
        made = pydicom.dcmread(BytesIO(encode(add_pixels(dataset(4, 1, 1, instance), bits=bits))))
        pydicom.dcmwrite(file, made, enforce_file_format=True)
        assert_alike(empty, upload(file.getvalue()))
    assert all("PixelDataOffset" in values for path, values in metadata(empty.ours).items() if "instances" in path)


def test_what_counts_as_an_update(empty: Pair) -> None:
    """An instance that comes and a deletion do, at every level above; what is set beside a resource does not."""
    updated = []
    for server in (empty.ours, empty.theirs):
        for patient, places in PLACES.items():
            for series, instance in places:
                upload(encode(dataset(patient, 1, series, instance)))(server)
        before = {path: values["LastUpdate"] for path, values in metadata(server).items() if "LastUpdate" in values}
        wait_for(partial(_is_later, server, max(before.values())), "another second")
        change(server)
        after = metadata(server)
        updated.append({path for path, date in before.items() if path in after and after[path]["LastUpdate"] != date})
    assert updated[0] == updated[1]
    assert len(updated[0]) == len("psr ps ps psr".replace(" ", ""))


def _is_later(server: Server, date: str) -> bool:
    return server.get("/tools/now").body.decode() > date


PLACES = {1: [(1, 1), (1, 2)], 2: [(1, 3), (2, 4)], 3: [(1, 5), (2, 6)], 4: [(1, 7)], 5: [(1, 8)]}


def change(server: Server) -> None:
    """Delete an instance, the last one of a series, and a series; add an instance; do to the fifth patient what is no update."""
    fifth = f"/instances/{instance_of(server, '8')}"
    patient, series = id_of(server, f"{fifth}/patient"), id_of(server, f"/instances/{instance_of(server, '6')}/series")
    requests = [
        Request(f"/instances/{instance_of(server, '2')}", "DELETE"),
        Request(f"/instances/{instance_of(server, '4')}", "DELETE"),
        Request(f"/series/{series}", "DELETE"),
        Request("/instances", "POST", encode(dataset(4, 1, 1, 9))),
        Request("/instances", "POST", encode(dataset(5, 1, 1, 8))),
        Request(f"{fifth}/metadata/1024", "PUT", "x"),
        Request(f"/patients/{patient}/metadata/1024", "PUT", "x"),
        Request(f"/patients/{patient}/metadata/1024", "DELETE"),
        Request(f"/patients/{patient}/labels/a", "PUT", ""),
        Request(f"{fifth}/labels/a", "PUT", ""),
    ]
    for request in requests:
        assert server.ask(request).status == 200, request
