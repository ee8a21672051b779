"""C-MOVE and C-GET as a client, by `/modalities/{name}/move` and `get`: a real Orthanc gives back what it was sent."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from typing import Any

import pydicom
import pytest

from store.dicom.part10 import find_dataset
from tests.data_factory import add_pixels, dataset, encode, shipped_files, uid
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle, running, sinogram_command

pytestmark = pytest.mark.peer

OPTIONS = '"DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true, "DicomAlwaysAllowFind": true,'
SHIPPED = {sample.name: sample.data for sample in shipped_files()}
INSTANCES = 12


def files() -> list[bytes]:
    """A study of two series."""
    made = (add_pixels(dataset(1, 1, series, number)) for series in (1, 2) for number in range(INSTANCES // 2, 0, -1))
    return [encode(each) for each in made]


def name_of(file: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID)


def datasets(*found: bytes) -> dict[str, bytes]:
    return {name_of(file): file[find_dataset(file) :] for file in found}


@pytest.fixture(scope="module")
def servers(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Sinogram and an Orthanc with the study; each is a modality of the other."""
    folder = tmp_path_factory.mktemp("retrieving")
    with ExitStack() as stack:
        theirs = stack.enter_context(running("orthanc", [oracle.command], folder, OPTIONS, gently=False))
        # Both would be called PEER: whoever is moved to needs a name of its own.
        options = OPTIONS + ' "DicomCheckCalledAet": false,'
        ours = stack.enter_context(running("sinogram", sinogram_command(), folder, options))
        _put(ours, "theirs", ["PEER", "127.0.0.1", theirs.dicom_port])
        _put(theirs, "ours", ["OURS", "127.0.0.1", ours.dicom_port])
        for file in files():
            assert theirs.ask(Request("/instances", "POST", file)).status == 200
        yield ours, theirs


@pytest.fixture
def pair(servers: tuple[Server, Server]) -> tuple[Server, Server]:
    """The same two; Sinogram is empty again."""
    ours, theirs = servers
    patients = ours.get_json("/patients")
    assert isinstance(patients, list)
    for patient in patients:
        assert ours.ask(Request(f"/patients/{patient}", "DELETE")).status == 200
    return ours, theirs


def _put(server: Server, name: str, modality: list[Any]) -> None:
    assert server.ask(Request(f"/modalities/{name}", "PUT", json.dumps(modality))).status == 200


def post(server: Server, path: str, body: object) -> Answer:
    return server.ask(Request(path, "POST", json.dumps(body)))


def stored(server: Server) -> dict[str, bytes]:
    instances = server.get_json("/instances")
    assert isinstance(instances, list)
    return datasets(*(server.get(f"/instances/{instance}/file").body for instance in instances))


def senders(server: Server) -> set[tuple[str, ...]]:
    """Who has sent its instances, and to whom; of those it has fetched itself 1.12.7 names itself as the sender."""
    names = ("Origin", "RemoteAET", "CalledAET", "RemoteIP")
    instances = server.get_json("/instances")
    assert isinstance(instances, list)
    shown: list[Any] = [server.get_json(f"/instances/{instance}/metadata?expand") for instance in instances]
    return {tuple(metadata[name] for name in names) for metadata in shown}


LEVELS = {
    "Patient": {"PatientID": "PAT1"},
    "Study": {"StudyInstanceUID": uid(1, 1)},
    "Series": {"StudyInstanceUID": uid(1, 1), "SeriesInstanceUID": uid(1, 1, 2)},
    "Instance": {
        "StudyInstanceUID": uid(1, 1),
        "SeriesInstanceUID": uid(1, 1, 2),
        "SOPInstanceUID": uid(1, 1, 2, 3),
    },
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("method", ["move", "get"])
def test_an_orthanc_gives_what_it_has(pair: tuple[Server, Server], method: str, level: str) -> None:
    ours, _ = pair
    body = {"Level": level, "Resources": [LEVELS[level]], **({"TargetAet": "OURS"} if method == "move" else {})}
    answer = post(ours, f"/modalities/theirs/{method}", body)
    assert answer.status == 200, answer
    wanted = {"Patient": uid(1), "Study": uid(1, 1), "Series": uid(1, 1, 2), "Instance": uid(1, 1, 2, 3)}[level]
    expected = {name: data for name, data in datasets(*files()).items() if f"{name}.".startswith(f"{wanted}.")}
    assert stored(ours) == expected
    assert senders(ours) == {("DicomProtocol", "PEER", "PEER" if method == "get" else "OURS", "127.0.0.1")}
    again = post(ours, f"/modalities/theirs/{method}", body)
    assert again.status == 200, again
    assert stored(ours) == expected


def test_a_compressed_instance_is_got(pair: tuple[Server, Server]) -> None:
    ours, theirs = pair
    file = SHIPPED["MR_small_jp2klossless.dcm"]
    assert theirs.ask(Request("/instances", "POST", file)).status == 200
    study = str(pydicom.dcmread(BytesIO(file)).StudyInstanceUID)
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": study}]}
    assert post(ours, "/modalities/theirs/get", body).status == 200
    assert set(stored(ours)) == {name_of(file)}
