"""The modality worklist beside Orthanc with its plugin and DCMTK's `wlmscpfs`, on the same files."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle
from tests.peer.worklist_stage import STEP, find_plugin, find_worklist, wlmscpfs, worklist_options
from tests.worklist_files import write_folder

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("wlmscpfs") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

DATE, TIME, AET = (
    f"{STEP}ScheduledProcedureStepStartDate",
    f"{STEP}ScheduledProcedureStepStartTime",
    f"{STEP}ScheduledStationAETitle",
)
EACH = 3 if os.environ.get("SINOGRAM_TEST_EXAMPLES", "1") == "1" else 1  # a query costs two processes
IGNORED_BY_DCMTK = {"P6", "P8"}  # it wants a date and an AccessionNumber
NOT_IN_LATIN1 = {"P4", "P5"}  # Orthanc loses their names


@dataclass(frozen=True, slots=True)
class Stage:
    pair: Pair
    dcmtk: int  # a port


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    plugin = find_plugin(oracle)
    if plugin is None:
        pytest.skip("this Orthanc has no worklist plugin beside it (Debian: orthanc)")
    root = tmp_path_factory.mktemp("worklists")
    write_folder(root / "PEER")  # named as the title that is called, for wlmscpfs
    options = worklist_options(plugin, root / "PEER")
    with start_pair(oracle, tmp_path_factory.mktemp("servers"), options) as pair, wlmscpfs(root) as port:
        yield Stage(pair, port)


QUERIES: list[tuple[str, ...]] = [
    (), ("PatientID=P2",), ("PatientID=P*",), ("PatientID=P?",), ("PatientID=p2",), ("PatientID=P1\\P3",), ("PatientName=doe*",),
    ("PatientName=DOE^JOHN",), ("PatientName=*",), (f"{STEP}Modality=MR",), (f"{STEP}Modality=mr",), (f"{AET}=CT01",), (f"{AET}=ct01",),
    (f"{AET}=*01",), (f"{AET}=US 01",), (f"{STEP}Modality=MR", f"{AET}=CT01"), (f"{DATE}=20240115",), (f"{DATE}=20240116-",),
    (f"{DATE}=-20240115",), (f"{DATE}=20240115-20240116",), (f"{TIME}=080000",), (f"{TIME}=0800-1200",), (f"{TIME}=-1200",),
    (f"{DATE}=20240115", f"{TIME}=090000-130000"), ("AccessionNumber=A1",), ("AccessionNumber=*",), ("StudyInstanceUID=1.2.7305.1",),
    ("PatientSex",), ("PatientSex=F",), ("PatientComments",), ("PatientComments=x",), ("PatientComments=*",), ("RequestedProcedureID=RPP1",),
    ("RequestedProcedureDescription=Proc*",), ("RequestedProcedureDescription=proc*",), (f"{STEP}ScheduledStationName=STATION",),
    (f"{STEP}ScheduledPerformingPhysicianName=phys*",), (f"{STEP}ScheduledProcedureStepID",), (f"{DATE}=2024*",), (f"{DATE}=nonsense",),
    ("(0040,0100)",), ("QueryRetrieveLevel=PATIENT",),
]  # fmt: skip


def test_answers_are_orthanc_s(stage: Stage) -> None:
    """All of them: the tags that an answer has, its values, both steps of an entry, statuses."""
    for keys in QUERIES[::EACH]:
        ours, theirs = (find_worklist(server.dicom_port, *keys) for server in (stage.pair.ours, stage.pair.theirs))
        assert (keys, ours.status, ours.patients) == (keys, theirs.status, theirs.patients)
        for one, other in zip(ours.answers, theirs.answers, strict=True):
            if one.get("PatientID") not in NOT_IN_LATIN1:
                assert (keys, one) == (keys, other)


SHARED_WITH_DCMTK: list[tuple[str, ...]] = [
    (), ("PatientID=P2",), (f"{STEP}Modality=MR",), (f"{AET}=CT01",), (f"{DATE}=20240115",), (f"{DATE}=20240116-",),
    (f"{DATE}=-20240115",), (f"{DATE}=20240115-20240116",), (f"{DATE}=20240115", f"{TIME}=090000-130000"),
]  # fmt: skip
MOMENTS: list[tuple[str, ...]] = [  # where Orthanc compares dates and times apart
    (f"{DATE}=20240115-20240116", f"{TIME}=100000-090000"), (f"{DATE}=20240115-20240116", f"{TIME}=090000-100000"),
    (f"{DATE}=20240115-", f"{TIME}=120000-"), (f"{DATE}=-20240116", f"{TIME}=-093000"),
]  # fmt: skip


def test_the_same_are_found_as_by_dcmtk(stage: Stage) -> None:
    """As far as it goes: it has no wildcards in most tags, and passes over files that lack something."""
    for keys in (*SHARED_WITH_DCMTK[::EACH], *MOMENTS):
        ours, theirs = find_worklist(stage.pair.ours.dicom_port, *keys), find_worklist(stage.dcmtk, *keys)
        found = [patient for patient in ours.patients if patient not in IGNORED_BY_DCMTK]
        assert (keys, ours.status, found) == (keys, theirs.status, theirs.patients)


def test_orthanc_asks_ours(stage: Stage) -> None:
    """`find-worklist` of either at the other, and of each at itself, with the same body."""
    shown = []
    body = json.dumps({"Query": {"PatientID": "P2", "ScheduledProcedureStepSequence": [{"Modality": ""}]}})
    for server in (stage.pair.ours, stage.pair.theirs):
        for other in (stage.pair.ours, stage.pair.theirs):
            modality = json.dumps(["PEER", "127.0.0.1", other.dicom_port])
            assert server.ask(Request("/modalities/there", "PUT", modality)).status == 200
            answer = server.ask(Request("/modalities/there/find-worklist", "POST", body))
            assert answer.status == 200
            shown.append(answer.json())
    assert shown[0] == shown[1] == shown[2] == shown[3] != []


@pytest.mark.nightly
def test_who_asks_is_shown_its_own_alike(oracle: Oracle, tmp_path: Path) -> None:
    plugin = find_plugin(oracle)
    if plugin is None:
        pytest.skip("this Orthanc has no worklist plugin beside it (Debian: orthanc)")
    write_folder(tmp_path / "PEER")
    with start_pair(oracle, tmp_path, worklist_options(plugin, tmp_path / "PEER", FilterIssuerAet=True)) as pair:
        for aet in ("CT01", "MR01", "ct01", "NOBODY"):
            for keys in ((), (f"{AET}=MR01",), (f"{STEP}Modality=CT",)):
                ours, theirs = (find_worklist(server.dicom_port, *keys, aet=aet) for server in (pair.ours, pair.theirs))
                assert (aet, keys, ours.status, ours.patients) == (aet, keys, theirs.status, theirs.patients)
