"""A study of 300 instances from Sinogram to Orthanc and back, by every way there is, in both modes of C-MOVE.

Sinogram is the only hop on each way, so the datasets are the same bytes.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.dicom.part10 import find_dataset
from tests.data_factory import add_pixels, dataset, encode, uid
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running, sinogram_command, wait_for

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("movescu") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

INSTANCES = 300
TOOL_TIMEOUT_S = 120
STUDY = uid(5, 1)
OPTIONS = '"DicomAlwaysAllowMove": true, "DicomAlwaysAllowGet": true, "OverwriteInstances": true, %s'


@dataclass(frozen=True, slots=True)
class Pair:
    ours: Server
    theirs: Server


@pytest.fixture(scope="module")
def study() -> list[bytes]:
    return sorted(encode(add_pixels(dataset(5, 1, number % 3, number))) for number in range(INSTANCES))


@contextmanager
def _pair(oracle: Oracle, folder: Path, *, is_synchronous: bool) -> Iterator[Pair]:
    mode = f'"SynchronousCMove": {json.dumps(is_synchronous)},'
    with (
        running("orthanc", [oracle.command], folder, OPTIONS % "", gently=False) as theirs,
        running("sinogram", sinogram_command(), folder, OPTIONS % mode) as ours,
    ):
        _know(ours, "orthanc", "ORTHANC", theirs)
        _know(theirs, "sinogram", "SINOGRAM", ours)
        # Both are called PEER, so each knows itself by the title under which the other has things sent to it.
        _know(ours, "there", "THERE", theirs)
        _know(theirs, "here", "HERE", ours)
        yield Pair(ours, theirs)


@pytest.fixture(scope="module")
def synchronous(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with _pair(oracle, tmp_path_factory.mktemp("synchronous"), is_synchronous=True) as pair:
        yield pair


@pytest.fixture(scope="module")
def asynchronous(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with _pair(oracle, tmp_path_factory.mktemp("asynchronous"), is_synchronous=False) as pair:
        yield pair


def _know(server: Server, name: str, aet: str, other: Server) -> None:
    body = json.dumps([aet, "127.0.0.1", other.dicom_port])
    assert server.ask(Request(f"/modalities/{name}", "PUT", body)).status == 200


def _post(server: Server, path: str, body: object) -> None:
    answer = server.ask(Request(path, "POST", json.dumps(body)))
    assert answer.status == 200, answer


def _fill(server: Server, study: list[bytes]) -> None:
    """Have a server hold the study, unless it does from an earlier way."""
    if len(server.get_json("/instances")) == INSTANCES:  # type: ignore[arg-type]  # a list
        return
    for data in study:
        assert server.ask(Request("/instances", "POST", data)).status == 200


def _forget(server: Server) -> None:
    for patient in server.get_json("/patients"):  # type: ignore[attr-defined]  # a list
        assert server.ask(Request(f"/patients/{patient}", "DELETE")).status == 200


def _is_whole(server: Server, study: list[bytes]) -> bool:
    """Tell whether a server holds the very bytes, once it holds as many instances."""
    ids = server.get_json("/instances")
    assert isinstance(ids, list)
    if len(ids) < INSTANCES:
        return False
    held = sorted(_dataset(server.get(f"/instances/{each}/file").body) for each in ids)
    assert held == sorted(map(_dataset, study))
    return True


def _dataset(file: bytes) -> bytes:
    return file[find_dataset(file) :]


def _store_by_rest(pair: Pair) -> None:
    """There, by C-STORE."""
    _post(pair.ours, "/modalities/orthanc/store", {"Resources": pair.ours.get_json("/studies")})


def _move_by_orthanc(pair: Pair) -> None:
    """There: Orthanc asks Sinogram's C-MOVE SCP."""
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": STUDY}], "TargetAet": "THERE"}
    _post(pair.theirs, "/modalities/sinogram/move", body)


def _move_by_movescu(pair: Pair) -> None:
    """There: `movescu` asks Sinogram's C-MOVE SCP."""
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    command = ["movescu", "-S", "-aec", "PEER", "-aem", "THERE", *keys, "127.0.0.1", str(pair.ours.dicom_port)]
    subprocess.run(command, check=True, timeout=TOOL_TIMEOUT_S)


def _move_back_by_rest(pair: Pair) -> None:
    """Back: Sinogram asks Orthanc's C-MOVE SCP."""
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": STUDY}], "TargetAet": "HERE"}
    _post(pair.ours, "/modalities/orthanc/move", body)


def _get_back_by_rest(pair: Pair) -> None:
    """Back: Sinogram asks Orthanc's C-GET SCP."""
    body = {"Level": "Study", "Resources": [{"StudyInstanceUID": STUDY}]}
    _post(pair.ours, "/modalities/orthanc/get", body)


def _goes_there(pair: Pair, study: list[bytes], way: Callable[[Pair], None]) -> None:
    _forget(pair.theirs)
    _fill(pair.ours, study)
    way(pair)
    wait_for(lambda: _is_whole(pair.theirs, study), "all instances to arrive")


def _comes_back(pair: Pair, study: list[bytes], way: Callable[[Pair], None]) -> None:
    _forget(pair.ours)
    _fill(pair.theirs, study)
    way(pair)
    wait_for(lambda: _is_whole(pair.ours, study), "all instances to come back")


@pytest.mark.parametrize("way", [_store_by_rest, _move_by_orthanc, _move_by_movescu])
def test_there(synchronous: Pair, study: list[bytes], way: Callable[[Pair], None]) -> None:
    _goes_there(synchronous, study, way)


@pytest.mark.parametrize("way", [_move_back_by_rest, _get_back_by_rest])
def test_back(synchronous: Pair, study: list[bytes], way: Callable[[Pair], None]) -> None:
    _comes_back(synchronous, study, way)


# The mode is that of the C-MOVE SCP. Where it plays no part, the long run shows that.
@pytest.mark.parametrize(
    "way", [pytest.param(_store_by_rest, marks=pytest.mark.nightly), _move_by_orthanc, _move_by_movescu]
)
def test_there_asynchronously(asynchronous: Pair, study: list[bytes], way: Callable[[Pair], None]) -> None:
    _goes_there(asynchronous, study, way)


@pytest.mark.nightly
@pytest.mark.parametrize("way", [_move_back_by_rest, _get_back_by_rest])
def test_back_asynchronously(asynchronous: Pair, study: list[bytes], way: Callable[[Pair], None]) -> None:
    _comes_back(asynchronous, study, way)
