"""Which event callbacks are called, in which order and with which tables: the same script beside a real Orthanc."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.data_factory import SECONDARY_CAPTURE, add_pixels, all_files, dataset, encode
from tests.peer.exchange import Request, Server
from tests.peer.lua_destinations import add_modality, modality
from tests.peer.lua_stage import LATER_S, LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle, wait_for
from tests.ports import free_port

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("modern"),
    pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

OPTIONS = '"DicomScuTimeout": 2, "UserMetadata": {"note": 1024, "other": 1100}, "UserContentType": {"mine": 1024},'
TOOL_TIMEOUT_S = 60


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    with start_lua_pair(oracle, tmp_path_factory.mktemp("events"), more=OPTIONS) as made:
        yield made


def study(patient: int, series: int = 1, instances: int = 1) -> list[bytes]:
    """One study of a patient who is in none of the shared samples."""
    numbers = [(one, two) for one in range(1, series + 1) for two in range(1, instances + 1)]
    return [encode(add_pixels(dataset(patient, 1, one, two))) for one, two in numbers]


def ids(stage: LuaPair, level: str, patient: int) -> list[str]:
    query = {"Level": level, "Query": {"PatientID": f"PAT{patient}"}}
    answer = stage.pair.theirs.ask(Request("/tools/find", "POST", json.dumps(query))).json()
    assert isinstance(answer, list)
    return sorted(answer)


def received(stage: LuaPair, patient: int, series: int = 1, instances: int = 1) -> None:
    """Both have this study, and have told all about it."""
    stage.both(lambda server: upload(server, *study(patient, series, instances)))
    stage.wait_until_said('@ OnStablePatient("' + ids(stage, "Patient", patient)[0])
    stage.settle()
    stage.forget()


def test_an_upload_and_then_its_stability(stage: LuaPair) -> None:
    stage.forget()
    stage.both(lambda server: upload(server, *study(201, 2, 2)))
    stage.wait_until_said("@ OnStablePatient")
    stage.settle()
    said = stage.assert_said_alike()
    assert [line.partition("(")[0] for line in said] == [
        *["@ ReceivedInstanceFilter"] * 4,
        *["@ OnStoredInstance"] * 4,
        *["@ OnStableSeries"] * 2,
        "@ OnStableStudy",
        "@ OnStablePatient",
    ]


def test_what_grows_is_stable_again(stage: LuaPair) -> None:
    received(stage, 208)
    stage.both(lambda server: upload(server, encode(dataset(208, 1, 1, 2)), encode(dataset(208, 2, 1, 1))))
    stage.wait_until_said("@ OnStablePatient")
    stage.settle()
    assert sum("OnStable" in line for line in stage.assert_said_alike()) == 5


def test_a_duplicate_is_told_again_with_its_first_origin(stage: LuaPair, tmp_path: Path) -> None:
    received(stage, 202)
    stage.both(lambda server: upload(server, *study(202)))
    send(stage, tmp_path, study(202)[0])
    stage.settle()
    assert len(stage.assert_said_alike()) == 4


def send(stage: LuaPair, folder: Path, *files: bytes) -> None:
    paths = [folder / f"{number}.dcm" for number, _ in enumerate(files)]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file)

    def run(server: Server) -> int:
        names = ["storescu", "-xe", "-aet", "SENDER", "-aec", "PEER", "127.0.0.1", str(server.dicom_port)]
        return subprocess.run(
            [*names, *map(str, paths)], capture_output=True, timeout=TOOL_TIMEOUT_S, check=False
        ).returncode

    assert stage.both(run) == (0, 0)


def test_what_a_modality_sends(stage: LuaPair, tmp_path: Path) -> None:
    stage.forget()
    send(stage, tmp_path, *study(203, 1, 2))
    stage.wait_until_said("@ OnStablePatient")
    stage.settle()
    said = stage.assert_said_alike()
    assert sum('"RequestOrigin"="DicomProtocol"' in line and '"RemoteAet"="SENDER"' in line for line in said) == 4


def test_what_scripts_upload(stage: LuaPair, tmp_path: Path) -> None:
    stage.forget()
    (tmp_path / "one.dcm").write_bytes(study(204)[0])
    script = f"local f = io.open('{tmp_path}/one.dcm', 'rb') RestApiPost('/instances', f:read('a')) f:close()"
    assert stage.execute(script).status == 200
    stage.wait_until_said("@ OnStablePatient")
    stage.settle()
    said = stage.assert_said_alike()
    assert sum('{"RequestOrigin"="Lua"}' in line for line in said) == 2


# Several character sets, or one of an item; JIS X 0201 with its yen sign; numbers in OF, OD, OL and OV.
READ_OTHERWISE = re.compile(rb"ISO 2022|ISO_IR 13\W|Gr\xc3\xbcn!|O[FDLV]\0\0|\x66\0\x16\0|\0\x66\0\x16")


def test_the_tables_of_every_sample(stage: LuaPair) -> None:
    """Of a duplicate Orthanc shows the tags of the file that it throws away, Sinogram those of the one it keeps.

    Not of those with text or numbers that 1.12.7 reads otherwise (`tests.peer.differences`): `test_rest_resources` has them.
    """
    stage.forget()
    files = [
        sample.data
        for sample in all_files()
        if not sample.name.startswith(
            ("rtdose_rle", "syntax-deflated")
        )  # one UID for two files; such numbers, deflated
        and not READ_OTHERWISE.search(sample.data)
    ]
    ours, theirs = stage.both(lambda server: [str(each.get("Status")) for each in upload(server, *files)])
    assert ours == theirs
    stage.pair.wait_until_stable()
    stage.settle()
    stage.assert_said_alike(skip="@ OnStable")  # what comes first is stable first: the two took their time


def test_deletions_from_the_instance_up(stage: LuaPair) -> None:
    received(stage, 211, 2, 2)
    for level, route in (("Instance", "instances"), ("Series", "series"), ("Study", "studies")):
        stage.ask(f"/{route}/{ids(stage, level, 211)[0]}", "DELETE")
        stage.settle()
    stage.assert_said_alike()


@pytest.mark.parametrize(
    ("patient", "level", "route"), [(212, "Patient", "patients"), (213, "Study", "studies"), (214, "Series", "series")]
)
def test_deletion_of_a_tree(stage: LuaPair, patient: int, level: str, route: str) -> None:
    received(stage, patient, 2, 2)
    stage.ask(f"/{route}/{ids(stage, level, patient)[0]}", "DELETE")
    stage.settle()
    stage.assert_said_alike()


def test_deletion_of_a_study_of_two(stage: LuaPair) -> None:
    received(stage, 215, 1, 1)
    stage.both(lambda server: upload(server, encode(dataset(215, 2, 1, 1))))
    stage.pair.wait_until_stable()
    stage.settle()
    stage.forget()
    stage.ask(f"/studies/{ids(stage, 'Study', 215)[0]}", "DELETE")
    stage.settle()
    stage.assert_said_alike()


def test_metadata(stage: LuaPair) -> None:
    received(stage, 216)
    for level, route in (
        ("Patient", "patients"),
        ("Study", "studies"),
        ("Series", "series"),
        ("Instance", "instances"),
    ):
        path = f"/{route}/{ids(stage, level, 216)[0]}"
        stage.ask(f"{path}/metadata/note", "PUT", "new")
        stage.ask(f"{path}/metadata/note", "PUT", "changed")
        stage.ask(f"{path}/metadata/note", "PUT", "changed")
        stage.ask(f"{path}/metadata/note", "DELETE")
        stage.ask(f"{path}/metadata/note", "DELETE")
        stage.ask(f"{path}/metadata/nope", "PUT", "x")
        stage.execute(f"RestApiPut('{path}/metadata/note', 'by a script') RestApiDelete('{path}/metadata/note')")
        stage.settle()
    stage.assert_said_alike()


def test_attachments(stage: LuaPair) -> None:
    received(stage, 221)
    for level, route in (
        ("Patient", "patients"),
        ("Study", "studies"),
        ("Series", "series"),
        ("Instance", "instances"),
    ):
        path = f"/{route}/{ids(stage, level, 221)[0]}"
        stage.ask(f"{path}/attachments/mine", "PUT", "data")
        stage.ask(f"{path}/attachments/mine", "PUT", "data")
        for name in ("mine", "dicom", "nope"):
            for change in ("compress", "compress", "uncompress", "verify-md5"):
                stage.ask(f"{path}/attachments/{name}/{change}", "POST", "")
        stage.ask(f"{path}/attachments/mine", "DELETE")
        stage.settle()
    stage.assert_said_alike()


def test_user_metadata_stand_in_the_tables(stage: LuaPair) -> None:
    received(stage, 217)
    for level, route in (
        ("Patient", "patients"),
        ("Study", "studies"),
        ("Series", "series"),
        ("Instance", "instances"),
    ):
        stage.ask(f"/{route}/{ids(stage, level, 217)[0]}/metadata/other", "PUT", f"of a {level}: ä")
    stage.both(lambda server: upload(server, encode(dataset(217, 1, 1, 2)), *study(217)))
    stage.wait_until_said("@ OnStablePatient")
    stage.settle()
    assert sum('"other"=' in line for line in stage.assert_said_alike()) == 4


def test_jobs(stage: LuaPair, tmp_path: Path) -> None:
    received(stage, 218)
    found = ids(stage, "Study", 218)
    body = json.dumps({"Resources": found, "Asynchronous": True})
    with modality(stage, "sink", tmp_path):
        stage.both(lambda server: server.ask(Request("/modalities/sink/store", "POST", body)))
        stage.wait_until_said("@ OnJobSuccess")
        stage.both(lambda server: server.ask(Request("/modalities/sink/store", "POST", found[0])))
        stage.wait_until_said("@ OnJobSuccess", 2)
    stage.both(lambda server: add_modality(server, "dead", free_port()))
    stage.both(lambda server: server.ask(Request("/modalities/dead/store", "POST", found[0])))
    stage.wait_until_said("@ OnJobFailure")
    stage.settle()
    stage.assert_said_alike()


def test_a_job_that_is_cancelled_has_failed(stage: LuaPair) -> None:
    received(stage, 219)
    stage.both(lambda server: add_modality(server, "dead", free_port()))
    body = json.dumps({"Resources": ids(stage, "Study", 219), "Asynchronous": True, "Priority": -5})

    def failures(server: Server) -> set[str]:
        return {line for line in stage.said(server) if line.startswith("@ OnJobFailure")}

    def submit_and_cancel(server: Server) -> None:
        path = server.ask(Request("/modalities/dead/store", "POST", body)).json()["Path"]  # type: ignore[index]
        server.ask(Request(f"{path}/pause", "POST", ""))

        def has_failed() -> bool:  # Orthanc forgets this of a job that is just being begun and paused
            server.ask(Request(f"{path}/cancel", "POST", ""))
            return bool(server.ask(Request(path)).json()["State"] == "Failure")  # type: ignore[index]

        wait_for(has_failed, "the end of a job", LATER_S)

    ours, theirs = stage.servers
    submit_and_cancel(ours)
    wait_for(lambda: failures(ours), "our callback", LATER_S)
    for _ in range(10):  # Orthanc does not call back for a job that is cancelled while it is being begun
        submit_and_cancel(theirs)
        with suppress(TimeoutError):
            wait_for(lambda: failures(theirs), "Orthanc's callback", 3)
            break
    assert failures(ours) == failures(theirs)
    stage.settle()


def test_the_class_of_an_instance_does_not_matter(stage: LuaPair) -> None:
    stage.forget()
    values = {"SOPClassUID": SECONDARY_CAPTURE, "PatientName": "", "StudyDescription": None}
    stage.both(lambda server: upload(server, encode(dataset(220, 1, 1, 1, **values), "1.2.840.10008.1.2.2")))
    stage.wait_until_said("@ OnStablePatient")
    stage.settle()
    stage.assert_said_alike()
