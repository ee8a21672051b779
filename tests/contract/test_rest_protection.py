"""`/patients/{id}/protected`, and the limits as REST and its clients meet them. Expected: Orthanc 1.12.7's answers."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actors.core.index.settings import StorageLimits
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from events.errors import LimitReached
from events.identifiers import Level
from store.records import Origin
from store.views.feed import get_events
from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools import log
from tools.server.core import Core

NOBODY = "-".join(["00000000"] * 5)
BOOLEANS = [("1", True), ("0", False), ("true", True), ("false", False), (" 1\n", True), ("\t0\r\n", False)]
NONE = ["", "2", "on", "yes", "True", "01", "1 0", "1\0", "\u00a01"]


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        assert made.upload(encode(dataset(1, 1, 1, 1))).status == 200
        yield made


def read(stage: RestStage, path: str) -> Any:
    answer = stage.ask(path)
    assert answer.status == 200, answer
    return json.loads(answer.body)


def first(stage: RestStage, level: str = "patients") -> str:
    return f"/{level}/{read(stage, f'/{level}')[0]}"


@pytest.mark.parametrize(("body", "is_protected"), BOOLEANS)
def test_protection_is_put_as_a_boolean_and_read_as_a_digit(stage: RestStage, body: str, *, is_protected: bool) -> None:
    path = f"{first(stage)}/protected"
    assert stage.ask(path).body == b"0"
    stage.ask(path, "PUT", b"0" if is_protected else b"1")
    answer = stage.ask(path, "PUT", body.encode())
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "text/plain", b"")
    answer = stage.ask(path)
    assert (answer.headers["Content-Type"], answer.body) == ("text/plain", b"1" if is_protected else b"0")


def test_every_rendering_of_a_patient_shows_it(stage: RestStage) -> None:
    path = first(stage)
    stage.ask(f"{path}/protected", "PUT", b"1")
    renderings = [
        read(stage, path),
        read(stage, "/patients?expand")[0],
        read(stage, "/patients?response-content=IsProtected")[0],
        read(stage, f"{first(stage, 'instances')}/patient"),
    ]
    assert [shown["IsProtected"] for shown in renderings] == [True] * len(renderings)
    assert "IsProtected" not in read(stage, "/patients?response-content=Labels")[0]
    assert "IsProtected" not in read(stage, first(stage, "studies"))


@pytest.mark.parametrize("body", NONE)
def test_what_is_no_boolean_is_refused_before_the_patient_is_looked_for(stage: RestStage, body: str) -> None:
    for path in (first(stage), f"/patients/{NOBODY}", "/patients/nope"):
        answer = stage.ask(f"{path}/protected", "PUT", body.encode())
        shown = json.loads(answer.body)
        assert (answer.status, shown["OrthancStatus"], shown["Details"]) == (400, 15, "Boolean value expected")


@pytest.mark.parametrize("level", ["patients", "studies", "instances"])
def test_who_is_no_patient_is_out_of_range(stage: RestStage, level: str) -> None:
    """Of each level but patients one that is there; of patients two that are not."""
    found = [first(stage, level).rpartition("/")[2]] if level != "patients" else [NOBODY, "nope"]
    for identifier in found:
        for method, body in (("GET", b""), ("PUT", b"1"), ("PUT", b"0")):
            answer = stage.ask(f"/patients/{identifier}/protected", method, body)
            shown = json.loads(answer.body)
            assert (answer.status, shown["OrthancStatus"], "Details" in shown) == (400, 3, False)


def test_only_patients_have_it(stage: RestStage) -> None:
    assert stage.ask(f"{first(stage, 'studies')}/protected").status == 404
    assert stage.ask(f"{first(stage)}/protected", "DELETE").status == 405


def test_changes_say_nothing_of_it_and_events_everything(stage: RestStage) -> None:
    before = read(stage, "/changes")
    for body in (b"1", b"1", b"0"):
        stage.ask(f"{first(stage)}/protected", "PUT", body)
    assert read(stage, "/changes") == before
    found = [event for event in read(stage, "/events?limit=1000")["Events"] if "protected" in event["Tag"]]
    assert [event["Tag"] for event in found] == ["patient-protected/1", "patient-unprotected/1"]
    assert found[0]["Values"]["remote_ip"] == "127.0.0.1"


def test_with_read_only_it_is_read_alone(archive_factory: Callable[..., Core]) -> None:
    core = archive_factory()
    with rest_stage(core) as filling:
        filling.upload(encode(dataset(1, 1, 1, 1)))
        path = f"{first(filling)}/protected"
        filling.ask(path, "PUT", b"1")
    core.stop()
    with rest_stage(archive_factory(read_only=True), read_only=True) as stage:
        assert (stage.ask(path).body, stage.ask(path, "PUT", b"0").status) == (b"1", 405)


# -- limits -----------------------------------------------------------------------------------------------------------


def patients(stage: RestStage) -> set[str]:
    return {each["MainDicomTags"]["PatientID"] for each in read(stage, "/patients?expand")}


def test_a_store_that_a_limit_refuses_is_answered_as_by_orthanc(archive_factory: Callable[..., Core]) -> None:
    with rest_stage(archive_factory(limits=StorageLimits(patients=1, mode="Reject"))) as stage:
        assert stage.upload(encode(dataset(1, 1, 1, 1))).status == 200
        answer = stage.upload(encode(dataset(2, 1, 1, 1)))
        assert answer.status == 507
        assert json.loads(answer.body) == {
            "HttpError": "Insufficient Storage",
            "HttpStatus": 507,
            "Message": "The file storage is full",
            "Method": "POST",
            "OrthancError": "The file storage is full",
            "OrthancStatus": 19,
            "Uri": "/instances",
        }
        assert patients(stage) == {"PAT1"}
        assert not [path for path in stage.deps.blobs.root.rglob("*") if path.is_file() and path.stat().st_size > 2_000]


def test_an_attachment_that_a_limit_refuses_is_answered_as_by_orthanc(archive_factory: Callable[..., Core]) -> None:
    with rest_stage(archive_factory(limits=StorageLimits(size_mb=1))) as stage:
        stage.upload(encode(dataset(1, 1, 1, 1)))
        path = f"{first(stage)}/attachments/1024"
        assert stage.ask(path, "PUT", bytes(900_000)).status == 200
        answer = stage.ask(f"{first(stage)}/attachments/1025", "PUT", bytes(200_000))
        assert (answer.status, json.loads(answer.body)["OrthancStatus"]) == (500, 19)
        assert json.loads(answer.body)["Details"] == "Cannot recycle more patients"
        assert read(stage, f"{first(stage)}/attachments") == ["1024"]


def test_limits_and_order_outlive_a_restart(archive_factory: Callable[..., Core]) -> None:
    core = archive_factory(limits=StorageLimits(patients=3))
    with rest_stage(core) as stage:
        for patient, instance in ((1, 1), (2, 1), (3, 1), (1, 2)):
            stage.upload(encode(dataset(patient, 1, 1, instance)))
    core.stop()
    core = archive_factory(limits=StorageLimits(patients=2))
    with rest_stage(core) as stage:
        assert patients(stage) == {"PAT3", "PAT1"}
        stage.upload(encode(dataset(4, 1, 1, 1)))
        assert patients(stage) == {"PAT1", "PAT4"}


def test_the_log_tool_shows_who_was_recycled_and_why(
    archive_factory: Callable[..., Core], capsys: pytest.CaptureFixture[str]
) -> None:
    core = archive_factory(limits=StorageLimits(patients=1))
    with rest_stage(core) as stage:
        for patient in (1, 2):
            stage.upload(encode(dataset(patient, 1, 1, 1)))
    core.stop()
    assert log.tail(core.settings.index_directory) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "resource-deleted" in line]
    assert " recycling " in line
    assert '"reason": "MaximumPatientCount"' in line
    assert "PAT1" not in line


def test_a_start_with_limits_that_cannot_hold_serves_and_says_so(
    archive_factory: Callable[..., Core], caplog: pytest.LogCaptureFixture
) -> None:
    core = archive_factory()
    with rest_stage(core) as stage:
        for patient in (1, 2, 3):
            stage.upload(encode(dataset(patient, 1, 1, 1)))
        for patient in read(stage, "/patients")[:2]:
            stage.ask(f"/patients/{patient}/protected", "PUT", b"1")
    core.stop()
    with rest_stage(archive_factory(limits=StorageLimits(patients=1))) as stage:
        assert "the 2 protected patients alone exceed MaximumPatientCount" in caplog.text
        assert len(patients(stage)) == 3
        assert stage.upload(encode(dataset(4, 1, 1, 1))).status == 507


def test_no_event_of_many_gateways_exceeds_a_limit(archive_factory: Callable[..., Core]) -> None:
    """Eight ingests of their own, as in eight gateways, store at the same time; the log is then counted event by event."""
    limits = StorageLimits(patients=3, size_mb=1)
    core = archive_factory(limits=limits)
    ingests = [Ingest(core.client, core.views, core.blobs, f"gateway-{n}", IngestSettings) for n in range(8)]
    files = [[encode(dataset(g * 3 + n % 3 + 1, 1, 1, n, PixelData=bytes(60_000))) for n in range(9)] for g in range(8)]

    def send(gateway: int) -> int:
        refused = 0
        for data in files[gateway]:
            with ingests[gateway].open(Origin("RestApi")) as upload:
                upload.write(data)
                try:
                    upload.store()
                except LimitReached:
                    refused += 1
        return refused

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 0
    for ingest in ingests:
        ingest.close()
    held: dict[int, list[int]] = {}  # ref of a patient -> sizes
    with core.views.snapshot() as s:
        for entry in get_events(s, limit=1 << 20):
            kind = entry.tag.partition("/")[0]
            if kind == "instance-stored":
                held.setdefault(entry.public["patient"], []).append(entry.public["size_bytes"])
            elif kind == "resource-deleted":
                del held[entry.public["resource"]]
            assert len(held) <= limits.patients
            assert sum(map(sum, held.values())) <= limits.size_bytes
        total = s.statistics()
        assert total.patients == len(held) == len(s.list_ids(Level.PATIENT))
        assert total.size_bytes == sum(map(sum, held.values()))
    assert len(held) == 3
