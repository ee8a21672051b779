"""REST resources on a real archive: what golden exchanges cannot show."""

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.rest.resources import CHUNK_RECORDS
from tests import data_factory
from tests.contract.rest_stage import RestStage, rest_stage
from tools.server.core import Core


@pytest.fixture
def stage(archive: Core, tmp_path: Path) -> Iterator[RestStage]:
    with rest_stage(archive, temporary_directory=tmp_path, maximum_file_size_in_archive_mb=1) as made:
        yield made


def file(instance: int, **values: object) -> bytes:
    return data_factory.encode(data_factory.dataset(1, 1, 1, instance, **values))


def count(stage: RestStage) -> int:
    total: int = json.loads(stage.ask("/statistics").body)["CountInstances"]
    return total


def test_the_file_is_given_back_as_it_was_received(stage: RestStage) -> None:
    for data in (
        file(1),
        data_factory.encode(data_factory.add_pixels(data_factory.dataset(1), rows=1000, columns=1000)),
    ):
        identifier = json.loads(stage.upload(data).body)["ID"]
        answer = stage.ask(f"/instances/{identifier}/file")
        assert answer.body == data
        assert answer.headers["Content-Type"] == "application/dicom"
        assert answer.headers["Content-Length"] == str(len(data))
        stage.ask(f"/instances/{identifier}", "DELETE")


def test_every_way_in_stores_the_same_file(stage: RestStage) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("folder/a.dcm", file(1))
        members.writestr("text", "text")
        members.writestr("b.dcm", file(2))
    form = b"--X\r\nContent-Disposition: form-data\r\n\r\n" + file(3) + b"\r\n--X--\r\n"
    assert [row["Status"] for row in json.loads(stage.upload(archive.getvalue()).body)] == ["Success"] * 2
    assert stage.ask("/instances", "POST", form, {"Content-Type": "multipart/form-data; boundary=X"}).status == 200
    assert stage.ask("/instances", "POST", gzip.compress(file(4)), {"Content-Encoding": "gzip"}).status == 200
    assert count(stage) == 4


def test_what_of_an_archive_is_not_stored_is_told_to_who_asks(stage: RestStage) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("README.TXT", "text")
        members.writestr("IM1", file(1))
        members.writestr("IM2", file(2)[:200])
    told = json.loads(stage.ask("/instances?tell-skipped", "POST", archive.getvalue()).body)
    assert [(row["Status"], row.get("Name"), row.get("Kind")) for row in told] == [
        ("Success", None, None),
        ("Skipped", "README.TXT", "other"),
        ("Skipped", "IM2", "image"),
    ]
    assert told[1]["Reason"] == "Cannot parse an invalid DICOM file (size: 4 bytes)"
    assert [row["Status"] for row in json.loads(stage.upload(archive.getvalue()).body)] == ["AlreadyStored"]


def test_a_gzip_bomb_is_refused_and_leaves_nothing(stage: RestStage) -> None:
    bomb = gzip.compress(file(1) + b"\0" * (2 << 20))
    answer = stage.ask("/instances", "POST", bomb, {"Content-Encoding": "gzip"})
    assert answer.status == 400
    assert json.loads(answer.body)["OrthancStatus"] == 15
    assert count(stage) == 0


def test_a_body_above_the_ceiling_is_refused(archive: Core) -> None:
    with rest_stage(archive, maximum_request_body_size_mb=1) as stage:
        answer = stage.upload(b"x" * ((1 << 20) + 1))
        assert (answer.status, answer.body) == (413, b"")


def test_long_lists_come_in_pieces_and_whole(stage: RestStage) -> None:
    made = data_factory.dataset(1, 1, 1, 5_000)
    template, uid = data_factory.encode(made), data_factory.uid(1, 1, 1, 5_000).encode()
    for number in range(CHUNK_RECORDS + 1):
        stage.upload(template.replace(uid, data_factory.uid(1, 1, 1, 5_000 + number).encode()))
    listed = json.loads(stage.ask("/instances").body)
    expanded = json.loads(stage.ask("/instances?expand").body)
    assert listed == sorted(listed)
    assert [row["ID"] for row in expanded] == listed
    pages = (json.loads(stage.ask(f"/instances?since={since}&limit=200").body) for since in range(0, 600, 200))
    assert [identifier for page in pages for identifier in page] == listed


def test_errors_are_not_described_where_that_is_off(archive: Core) -> None:
    with rest_stage(archive, http_describe_errors=False) as stage:
        assert (stage.ask("/nothing").status, stage.ask("/nothing").body) == (404, b"")


def test_the_default_encoding_changes_what_is_read(stage: RestStage) -> None:
    data = file(1, PatientName="Gr\u00fcn", SpecificCharacterSet="ISO_IR 192").replace(b"ISO_IR 192", b"          ")
    stage.ask("/tools/default-encoding", "PUT", b"Utf8")
    identifier = json.loads(stage.upload(data).body)["ID"]
    tags = json.loads(stage.ask(f"/instances/{identifier}/simplified-tags").body)
    assert tags["PatientName"] == "Gr\u00fcn"
    stage.ask("/tools/default-encoding", "PUT", b"Latin1")
    tags = json.loads(stage.ask(f"/instances/{identifier}/simplified-tags").body)
    assert tags["PatientName"] == "Gr\u00c3\u00bcn"


def test_reset_and_shutdown_are_passed_on(stage: RestStage) -> None:
    assert stage.ask("/tools/reset", "POST").body == b"{}"
    assert stage.ask("/tools/shutdown", "POST").body == b"{}"
    assert stage.controls == ["reset", "shutdown"]


def test_the_system_names_both_versions(archive: Core) -> None:
    with rest_stage(archive, sinogram_version="1.2.3") as stage:
        shown = json.loads(stage.ask("/system").body)
    assert (shown["Version"], shown["ApiVersion"], shown["SinogramVersion"]) == ("1.12.11", 30, "1.2.3")


def test_events_page_through_the_whole_log(stage: RestStage) -> None:
    stage.upload(file(1))
    whole = json.loads(stage.ask("/events").body)
    assert whole["Done"]
    tags = [event["Tag"] for event in whole["Events"]]
    assert tags == ["instance-stored/2", "series-created/1", "study-created/1", "patient-created/1"]
    assert whole["Events"][0]["Values"]["tags"]["0020,0013"] == "1"
    assert len(whole["Events"][0]["Correlation"]) == 16
    seen, since, is_done = [], 0, False
    while not is_done:
        page = json.loads(stage.ask(f"/events?since={since}&limit=3").body)
        seen += page["Events"]
        since, is_done = page["Last"], page["Done"]
    assert seen == whole["Events"]


def test_the_history_tells_of_a_deleted_instance(stage: RestStage) -> None:
    identifier = json.loads(stage.upload(file(1)).body)["ID"]
    assert [row["Tag"] for row in json.loads(stage.ask(f"/instances/{identifier}/history").body)] == [
        "instance-stored/2"
    ]
    stage.ask(f"/instances/{identifier}", "DELETE")
    tags = [row["Tag"] for row in json.loads(stage.ask(f"/instances/{identifier}/history").body)]
    assert tags[0] == "instance-stored/2"
    assert "resource-deleted/2" in tags
    assert stage.ask("/instances/nope/history").status == 404


def test_the_origin_of_an_upload_names_the_user(archive: Core) -> None:
    with rest_stage(archive, authentication_enabled=True, registered_users={"alice": "secret"}) as stage:
        user = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
        stage.ask("/instances", "POST", file(1), user)
        shown = json.loads(stage.ask("/instances?since=0&limit=1&response-content=Metadata", headers=user).body)
    assert shown[0]["Metadata"]["HttpUsername"] == "alice"
    assert shown[0]["Metadata"]["RemoteIP"] == "127.0.0.1"


def test_the_tools_that_exist_are_listed(stage: RestStage) -> None:
    listed = json.loads(stage.ask("/tools").body)
    assert listed == sorted(listed)
    assert {"lookup", "now", "log-level-http", "generate-uid"} <= set(listed)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_generated_uids_are_uids(stage: RestStage, level: str) -> None:
    made = stage.ask(f"/tools/generate-uid?level={level}").body.decode()
    assert made.startswith("2.25.")
    assert len(made) <= 64
