"""C-GET and C-MOVE with DCMTK's and GDCM's tools and a real Orthanc: what arrives is what was stored, at every level."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import config as pydicom_config
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from store.dicom.part10 import find_dataset
from tests.data_factory import add_pixels, dataset, encode, shipped_files, uid
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running, sinogram_command, wait_for
from tests.ports import free_port

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("getscu") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

TOOL_TIMEOUT_S = 60
OPTIONS = (
    '"DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true, "DicomAlwaysAllowMove": true, "DicomModalities": %s,'
)
JPEG_2000 = "1.2.840.10008.1.2.4.90"
Files = dict[str, bytes]  # SOP Instance UID -> dataset, without file meta information


def files() -> list[bytes]:
    """Patient 1: two studies of two series of three instances; patient 2: one study."""
    made = [
        add_pixels(dataset(1, study, series, instance))
        for study in (1, 2)
        for series in (1, 2)
        for instance in (3, 1, 2)
    ]
    return [encode(each) for each in [*made, add_pixels(dataset(2))]]


def datasets(*patterns: str) -> Files:
    """Those of the files whose SOP Instance UID begins with one of the patterns."""
    found = {str(pydicom.dcmread(BytesIO(data)).SOPInstanceUID): data[find_dataset(data) :] for data in files()}
    return {name: data for name, data in found.items() if name.startswith(patterns)}


@dataclass(frozen=True, slots=True)
class Party:
    """Sinogram, an Orthanc that is its modality, and a `storescp` that is the modality of both."""

    ours: Server
    theirs: Server
    received: Path  # what storescp has got
    scp_port: int
    gdcm_port: int  # where gdcmscu listens when it moves to itself


@pytest.fixture(scope="module")
def party(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Party]:
    folder = tmp_path_factory.mktemp("retrieving")
    received = folder / "received"
    received.mkdir()
    port, gdcm_port = free_port(), free_port()
    modalities = {"scp": ["STORESCP", "127.0.0.1", port], "gdcm": ["GDCMSCU", "127.0.0.1", gdcm_port]}
    scp = subprocess.Popen(["storescp", "+xa", "-B", "-od", str(received), str(port)])
    try:
        with running("orthanc", [oracle.command], folder, OPTIONS % json.dumps(modalities), gently=False) as theirs:
            modalities["orthanc"] = ["PEER", "127.0.0.1", theirs.dicom_port]
            with running("sinogram", sinogram_command(), folder, OPTIONS % json.dumps(modalities)) as ours:
                for data in files():
                    for server in (ours, theirs):
                        assert server.ask(Request("/instances", "POST", data)).status == 200
                yield Party(ours, theirs, received, port, gdcm_port)
    finally:
        scp.terminate()
        scp.wait(TOOL_TIMEOUT_S)


def take_files(folder: Path) -> Files:
    """What a tool has written; afterwards the folder is empty."""
    found = {}
    for path in folder.iterdir():
        data = path.read_bytes()
        found[str(pydicom.dcmread(BytesIO(data), stop_before_pixels=True).SOPInstanceUID)] = data[find_dataset(data) :]
        path.unlink()
    return found


def run(tool: str, server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [tool, *arguments, "-aec", "PEER", "127.0.0.1", str(server.dicom_port)]
    return subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)


LEVELS = {
    "patient": (("-P", "-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=PAT1"), (uid(1),)),
    "study": (("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid(1, 1)}"), (uid(1, 1),)),
    "studies": (
        ("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid(1, 1)}\\{uid(2, 1)}"),
        (uid(1, 1), uid(2)),
    ),
    "accession": (("-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "AccessionNumber=ACC12"), (uid(1, 2),)),
    "series": (
        ("-P", "-k", "QueryRetrieveLevel=SERIES", "-k", f"SeriesInstanceUID={uid(1, 1, 2)}"),
        (uid(1, 1, 2),),
    ),
    "instance": (
        ("-S", "-k", "QueryRetrieveLevel=IMAGE", "-k", f"SOPInstanceUID={uid(1, 1, 2, 3)}"),
        (uid(1, 1, 2, 3),),
    ),
}


@pytest.mark.parametrize("level", LEVELS)
def test_getscu_gets_what_it_gets_from_orthanc(party: Party, tmp_path: Path, level: str) -> None:
    arguments, expected = LEVELS[level]
    for server in (party.ours, party.theirs):
        done = run("getscu", server, "-B", "-od", str(tmp_path), *arguments)
        assert done.returncode == 0, done.stderr
        assert take_files(tmp_path) == datasets(*expected)


RESOURCES = {
    "Patient": ({"PatientID": "PAT1"}, (uid(1),)),
    "Study": ({"StudyInstanceUID": uid(1, 1)}, (uid(1, 1),)),
    "Series": ({"StudyInstanceUID": uid(1, 1), "SeriesInstanceUID": uid(1, 1, 2)}, (uid(1, 1, 2),)),
    "Instance": (
        {"StudyInstanceUID": uid(1, 1), "SeriesInstanceUID": uid(1, 1, 2), "SOPInstanceUID": uid(1, 1, 2, 3)},
        (uid(1, 1, 2, 3),),
    ),
}


def held(server: Server) -> Files:
    """Everything a server has."""
    found = {}
    ids = server.get_json("/instances")
    assert isinstance(ids, list)
    for each in ids:
        data = server.get(f"/instances/{each}/file").body
        found[str(pydicom.dcmread(BytesIO(data)).SOPInstanceUID)] = data[find_dataset(data) :]
    return found


@pytest.fixture
def emptied(party: Party) -> Iterator[Server]:
    """The Orthanc without its files, as an asker that knows Sinogram; it gets them back afterwards."""
    orthanc = party.theirs
    forget_all(orthanc)
    modality = json.dumps(["PEER", "127.0.0.1", party.ours.dicom_port])
    assert orthanc.ask(Request("/modalities/sinogram", "PUT", modality)).status == 200
    yield orthanc
    forget_all(orthanc)
    for data in files():
        assert orthanc.ask(Request("/instances", "POST", data)).status == 200


def forget_all(server: Server) -> None:
    patients = server.get_json("/patients")
    assert isinstance(patients, list)
    for patient in patients:
        assert server.ask(Request(f"/patients/{patient}", "DELETE")).status == 200


@pytest.mark.parametrize("level", RESOURCES)
@pytest.mark.usefixtures("modern")
def test_orthanc_gets_from_here(party: Party, emptied: Server, level: str) -> None:
    keys, expected = RESOURCES[level]
    body = json.dumps({"Level": level, "Resources": [keys]})
    answer = emptied.ask(Request("/modalities/sinogram/get", "POST", body))
    assert answer.status == 200, answer
    assert held(emptied) == datasets(*expected)


REWRITTEN = (
    *("MR_small_implicit.dcm", "MR_small_bigendian.dcm", "liver_expb_1frame.dcm", "rtdose_expb.dcm", "image_dfl.dcm"),
    *("MR_small_RLE.dcm", "SC_rgb_rle_16bit.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_gdcm.dcm"),
)


@pytest.mark.parametrize("name", REWRITTEN)
def test_getscu_gets_the_same_dataset_where_it_takes_another_syntax(party: Party, tmp_path: Path, name: str) -> None:
    sample = next(each for each in shipped_files() if each.name == name)
    uid_of = str(pydicom.dcmread(BytesIO(sample.data)).SOPInstanceUID)
    found = []
    for server in (party.ours, party.theirs):
        stored = server.ask(Request("/instances", "POST", sample.data)).json()
        assert isinstance(stored, dict)
        done = run(
            "getscu", server, "-od", str(tmp_path), "-k", "QueryRetrieveLevel=IMAGE", "-k", f"SOPInstanceUID={uid_of}"
        )
        assert server.ask(Request(stored["Path"], "DELETE")).status == 200
        assert done.returncode == 0, done.stderr
        (path,) = tmp_path.iterdir()
        found.append(pydicom.dcmread(path))
        path.unlink()
    ours, theirs = found
    assert ours.file_meta.TransferSyntaxUID == theirs.file_meta.TransferSyntaxUID
    with pydicom_config.disable_value_validation():
        ours.pop("DataSetTrailingPadding", None)  # what DCMTK decodes loses it
        assert {each.tag: each.value for each in ours} == {each.tag: each.value for each in theirs}


@pytest.mark.parametrize("level", LEVELS)
def test_movescu_moves_what_orthanc_moves(party: Party, level: str) -> None:
    arguments, expected = LEVELS[level]
    for server in (party.ours, party.theirs):
        done = run("movescu", server, "-aem", "STORESCP", *arguments)
        assert done.returncode == 0, done.stderr
        assert take_files(party.received) == datasets(*expected)


def test_movescu_is_told_of_an_unknown_destination(party: Party) -> None:
    done = run("movescu", party.ours, "-v", "-aem", "NOBODY", *LEVELS["study"][0])
    assert "MoveDestinationUnknown" in done.stderr + done.stdout
    assert take_files(party.received) == {}


@pytest.mark.skipif(shutil.which("gdcmscu") is None, reason="gdcmscu is not installed (Debian: libgdcm-tools)")
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_gdcmscu_moves_to_itself(party: Party, tmp_path: Path, syntax: str) -> None:
    """It listens only once it has asked. It always dies at its end, also with Orthanc; by then it has what it wants."""
    data = encode(add_pixels(dataset(3)), syntax)
    assert party.ours.ask(Request("/instances", "POST", data)).status == 200
    arguments = (
        *("--move", "--studyroot", "--study", "--key", f"20,d={uid(3, 1)}", "-o", str(tmp_path)),
        *("--aetitle", "GDCMSCU", "--call", "PEER", "--port-scp", str(party.gdcm_port)),
    )
    command = ["gdcmscu", *arguments, "127.0.0.1", str(party.ours.dicom_port)]
    subprocess.run(command, capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False)
    (path,) = tmp_path.iterdir()
    got = pydicom.dcmread(path)
    assert got == pydicom.dcmread(BytesIO(data))
    forget(party.ours, "PAT3")


@pytest.mark.parametrize("level", RESOURCES)
def test_orthanc_has_things_moved_from_here_to_itself(party: Party, emptied: Server, level: str) -> None:
    keys, expected = RESOURCES[level]
    body = json.dumps({"Level": level, "Resources": [keys]})
    answer = emptied.ask(Request("/modalities/sinogram/move", "POST", body))
    assert answer.status == 200, answer
    assert held(emptied) == datasets(*expected)


def test_orthanc_has_things_moved_to_a_third_party(party: Party, emptied: Server) -> None:
    body = json.dumps({"Level": "Study", "Resources": [RESOURCES["Study"][0]], "TargetAet": "STORESCP"})
    assert emptied.ask(Request("/modalities/sinogram/move", "POST", body)).status == 200
    assert take_files(party.received) == datasets(uid(1, 1))


def test_a_large_study_goes_there_and_back_unchanged(party: Party, emptied: Server) -> None:
    """From Sinogram to Orthanc by `movescu`, and from there to a Sinogram that has forgotten it, by Orthanc's C-MOVE SCP."""
    made = [encode(add_pixels(dataset(5, 1, number % 3, number))) for number in range(300)]
    expected = {uid(5, 1, number % 3, number): data[find_dataset(data) :] for number, data in enumerate(made)}
    back = json.dumps(["OURS", "127.0.0.1", party.ours.dicom_port])
    assert emptied.ask(Request("/modalities/back", "PUT", back)).status == 200
    for data in made:
        assert party.ours.ask(Request("/instances", "POST", data)).status == 200
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid(5, 1)}")
    for asked, destination, receiver in ((party.ours, "PEER", emptied), (emptied, "OURS", party.ours)):
        assert run("movescu", asked, "-S", "-aem", destination, *keys).returncode == 0
        there = {name: data for name, data in held(receiver).items() if name.startswith(uid(5))}
        assert there == expected
        forget(asked, "PAT5")
    forget(party.ours, "PAT5")


def forget(server: Server, patient: str) -> None:
    found = server.ask(Request("/tools/lookup", "POST", patient)).json()
    assert isinstance(found, list)
    for each in found:
        assert server.ask(Request(each["Path"], "DELETE")).status == 200


@pytest.mark.usefixtures("modern")
def test_an_asynchronous_move_is_a_job_like_orthancs(party: Party, oracle: Oracle, tmp_path: Path) -> None:
    options = OPTIONS % json.dumps({"scp": ["STORESCP", "127.0.0.1", party.scp_port]}) + '"SynchronousCMove": false,'
    told = []
    for name, command in (("orthanc", [oracle.command]), ("sinogram", sinogram_command())):
        with running(name, command, tmp_path, options, gently=name == "sinogram") as server:
            for data in files():
                assert server.ask(Request("/instances", "POST", data)).status == 200
            done = run("movescu", server, "-v", "-aet", "ASKER", "-aem", "STORESCP", *LEVELS["study"][0])
            assert done.returncode == 0
            job = wait_for(lambda server=server: ended_job(server), "the job to end")  # type: ignore[misc] # mypy does not see the default
            assert take_files(party.received) == datasets(uid(1, 1))
            told.append((job["State"], job["Type"], job["Priority"], job["Progress"], job["Content"]))
    assert told[0] == told[1]


def ended_job(server: Server) -> dict[str, Any] | None:
    """The only job, once it has ended."""
    jobs = server.get_json("/jobs?expand")
    assert isinstance(jobs, list)
    return next((job for job in jobs if job["State"] in {"Success", "Failure"}), None)
