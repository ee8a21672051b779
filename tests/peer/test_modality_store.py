"""C-STORE as a client, by `/modalities/{name}/store`: to DCMTK's storescp in its moods, to a real Orthanc, to ourselves."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from actors.services.codecs.pool import CodecPool
from store.dicom.part10 import find_dataset, open_part10
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.data_factory import add_pixels, dataset, encode, shipped_files
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle, listening, running, sinogram_command
from tests.ports import free_port
from tests.transcoded import transcode

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

TIMEOUT_S = 60
SHIPPED = {sample.name: sample.data for sample in shipped_files()}
COMPRESSED = ("MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm")
UNCOMPRESSED = ("CT_small.dcm", "MR_small_implicit.dcm", "MR_small_expb.dcm", "reportsi.dcm")
Files = dict[str, bytes]  # SOP Instance UID -> dataset, without file meta information


def name_of(file: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(file), stop_before_pixels=True).SOPInstanceUID)


def samples() -> list[bytes]:
    """Files of several syntaxes, each with a SOP Instance UID of its own; one of them large."""
    found = {name_of(SHIPPED[name]): SHIPPED[name] for name in (*UNCOMPRESSED, *COMPRESSED)}
    return [*found.values(), encode(add_pixels(dataset(), rows=1500, columns=1500))]


def datasets() -> Files:
    return {name_of(file): file[find_dataset(file) :] for file in samples()}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = '"DicomScuTimeout": 5, "OverwriteInstances": false,'
    with running("sinogram", sinogram_command(), tmp_path_factory.mktemp("storing"), options) as server:
        for file in samples():
            assert server.ask(Request("/instances", "POST", file)).status == 200
        yield server


@contextmanager
def storescp(server: Server, folder: Path, *options: str) -> Iterator[Path]:
    """A storescp that is the modality `scp`; gives where it writes."""
    received = folder / "received"
    received.mkdir()
    port = free_port()
    _add(server, "scp", ["STORESCP", "127.0.0.1", port])
    with listening(["storescp", *options, "-od", str(received), str(port)], port):
        yield received


def _add(server: Server, name: str, modality: list[Any]) -> None:
    assert server.ask(Request(f"/modalities/{name}", "PUT", json.dumps(modality))).status == 200


def _post(server: Server, path: str, body: object) -> Answer:
    return server.ask(Request(path, "POST", json.dumps(body)))


def store(server: Server, name: str = "scp", **options: object) -> Answer:
    """Have everything sent."""
    body = {"Resources": server.get_json("/patients"), **options}
    return _post(server, f"/modalities/{name}/store", body)


def written(folder: Path) -> tuple[Files, set[str]]:
    """What storescp has written, and the transfer syntaxes of it."""
    files = [path.read_bytes() for path in folder.iterdir()]
    syntaxes = {open_part10(file).transfer_syntax for file in files}
    return {name_of(file): file[find_dataset(file) :] for file in files}, syntaxes


def test_the_bytes_arrive_as_they_are_stored(ours: Server, tmp_path: Path) -> None:
    with storescp(ours, tmp_path, "+xa", "+B") as received:
        assert store(ours).status == 200
        files, syntaxes = written(received)
    assert files == datasets()
    assert len(syntaxes) == 7


@pytest.mark.parametrize(("option", "syntax"), [("+xi", IMPLICIT_LE), ("+xe", EXPLICIT_LE)])
def test_everything_is_made_fit_for_what_the_destination_takes(
    ours: Server, tmp_path: Path, codecs: CodecPool, option: str, syntax: str
) -> None:
    with storescp(ours, tmp_path, option, "+B") as received:
        assert store(ours).status == 200
        files, syntaxes = written(received)
    kept = {IMPLICIT_LE, EXPLICIT_LE, "1.2.840.10008.1.2.2"} if option == "+xe" else {IMPLICIT_LE}
    expected = {
        name_of(file): file[find_dataset(file) :]
        if open_part10(file).transfer_syntax in kept
        else transcode(file, syntax, codecs)
        for file in samples()
    }
    assert files == expected
    assert syntaxes == kept


@pytest.mark.parametrize(
    ("options", "details"),
    [
        (["--abort-after"], "Peer aborted Association"),
        (["--abort-during"], "Peer aborted Association"),
        (["--refuse"], "Association Rejected"),
    ],
)
def test_a_destination_that_ends_it(ours: Server, tmp_path: Path, options: list[str], details: str) -> None:
    with storescp(ours, tmp_path, *options):
        answer = store(ours)
        assert answer.status == 500
        error = answer.json()
        assert isinstance(error, dict)
        assert error["OrthancStatus"] == 9
        assert details in error["Details"]
        answer = store(ours, Permissive=True)
    assert answer.status == 200
    told = answer.json()
    assert isinstance(told, dict)
    assert told["FailedInstancesCount"] == len(samples())


def test_an_orthanc_has_what_was_sent(ours: Server, oracle: Oracle, tmp_path: Path) -> None:
    with running("orthanc", [oracle.command], tmp_path, gently=False) as theirs:
        _add(ours, "orthanc", ["PEER", "127.0.0.1", theirs.dicom_port])
        assert store(ours, "orthanc").status == 200
        sent, stored = ({name_of(file): _elements(file) for file in files} for files in (samples(), _stored(theirs)))
    assert stored == sent


def _elements(file: bytes) -> list[tuple[int, str]]:
    """All values but group lengths, which DCMTK leaves out; it also corrects the VR of encapsulated pixels."""
    made = pydicom.dcmread(BytesIO(file))
    return [
        (element.tag, repr(element.value)) for element in made.iterall() if element.tag.element and element.VR != "SQ"
    ]


def test_another_sinogram_has_what_was_sent(ours: Server, tmp_path: Path) -> None:
    with running("other", sinogram_command(), tmp_path) as other:
        _add(ours, "other", ["PEER", "127.0.0.1", other.dicom_port])
        assert store(ours, "other").status == 200
        assert {name_of(file): file[find_dataset(file) :] for file in _stored(other)} == datasets()


def _stored(server: Server) -> list[bytes]:
    instances = server.get_json("/instances")
    assert isinstance(instances, list)
    return [server.get(f"/instances/{instance}/file").body for instance in instances]
