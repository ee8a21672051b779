"""Every route that is offered, by every method that `pyorthanc` has for it, driven for its effects."""

import base64
import gzip
import hashlib
import socket
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest

from tests.dicom_bytes import dataset, encode
from tests.peer.clients.pyorthanc_stage import CALLED, LEVELS, NAMES, ROUTES, At, ids, raw, refused
from tests.peer.clients.stage import PASSWORD, USER, Archive, Stage, files, orthanc_id, same_dataset, slice_of
from tests.peer.servers import wait_for

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # httpx's, of how this client sends bytes
    pytest.mark.filterwarnings("ignore:This method is deprecated:DeprecationWarning"),
]

RUN: set[str] = set()  # the tests that have
PDF = b"%PDF-1.4\n%%EOF\n"
STUCK_S = 60  # how long the server waits for a modality that says nothing


@pytest.fixture(autouse=True)
def _note(request: pytest.FixtureRequest) -> None:
    RUN.add(request.node.originalname)


# Archives and media


def archived(packed: bytes) -> tuple[set[str], bool]:
    """Which instances an archive holds, by their UIDs, and whether it is a medium."""
    with zipfile.ZipFile(BytesIO(packed)) as opened:
        names = opened.namelist()
        read = [pydicom.dcmread(BytesIO(opened.read(name))) for name in names if name != "DICOMDIR"]
        return {str(each.SOPInstanceUID) for each in read}, "DICOMDIR" in names


@pytest.mark.parametrize("level", LEVELS[:3])
def test_archives_and_media(client: Any, archive: Archive, level: str) -> None:
    at = At(client, level, archive.of(level))
    known = {str(pydicom.dcmread(BytesIO(file)).SOPInstanceUID) for file in files()}
    for what, is_medium in (("archive", False), ("media", True)):
        uids, has_directory = archived(getattr(at, f"get_{what}")())
        assert (has_directory, bool(uids), uids <= known) == (is_medium, True, True)
        assert archived(getattr(at, f"post_{what}")({})) == (uids, is_medium)
        made = getattr(at, f"post_{what}")({"Asynchronous": True})["ID"]
        wait_for(lambda made=made: client.get_jobs_id(made)["State"] == "Success", "the archive")  # type: ignore[misc]  # mypy does not see the default
        assert archived(client.get_jobs_id_key(made, "archive")) == (uids, is_medium)


@pytest.mark.parametrize("what", ["archive", "media", "media_extended"])
def test_archives_and_media_of_any_resources(client: Any, archive: Archive, what: str) -> None:
    named = [archive.patient, archive.other_study]
    got = archived(getattr(client, f"get_tools_create_{what}")({"resources": ",".join(named)}))
    assert got == archived(getattr(client, f"post_tools_create_{what}")({"Resources": named}))
    assert got[1] == (what != "archive")


# Resources


@pytest.mark.parametrize("level", LEVELS)
def test_labels(client: Any, archive: Archive, level: str) -> None:
    at = At(client, level, archive.of(level))
    for label in ("second", "first"):
        at.put_labels_label(label)
    assert at.get_labels() == client.get_tools_labels() == ["first", "second"]
    assert client.post_tools_find({"Level": NAMES[level], "Query": {}, "Labels": ["first"]}) == [archive.of(level)]
    at.get_labels_label("first")
    at.delete_labels_label("first")
    with refused(404):
        at.get_labels_label("first")
    assert at.get()["Labels"] == ["second"]


@pytest.mark.parametrize("level", LEVELS)
def test_metadata(client: Any, archive: Archive, level: str) -> None:
    at = At(client, level, archive.of(level))
    at.put_metadata_name("1024", data="früh".encode())
    assert at.get_metadata_name("1024") == "früh"
    assert "1024" in at.get_metadata()
    assert at.get_metadata(params={"expand": ""})["1024"] == "früh"
    seen = {"If-Match": etag(client, at, "metadata/1024")}
    at.put_metadata_name("1024", data=b"late", headers=seen)
    with refused(409):
        at.put_metadata_name("1024", data=b"later", headers=seen)
    assert at.get_metadata_name("1024") == "late"
    with refused(403):
        at.put_metadata_name("LastUpdate", data=b"never")
    at.delete_metadata_name("1024", headers={"If-Match": etag(client, at, "metadata/1024")})
    with refused(404):
        at.get_metadata_name("1024")
    assert "1024" not in at.get_metadata()


@pytest.mark.parametrize("level", LEVELS)
def test_attachments(client: Any, archive: Archive, level: str) -> None:
    at, content = At(client, level, archive.of(level)), b"content " * 50
    at.put_attachments_name("1025", content=content)
    assert "1025" in at.get_attachments()
    assert "data" in at.get_attachments_name("1025")
    assert at.get_attachments_name_data("1025") == content
    md5 = hashlib.md5(content).hexdigest()
    assert at.get_attachments_name_md5("1025") == md5
    assert at.get_attachments_name_size("1025") == str(len(content))
    assert at.get_attachments_name_is_compressed("1025") == "0"
    at.post_attachments_name_compress("1025")
    assert at.get_attachments_name_is_compressed("1025") == "1"
    compressed = at.get_attachments_name_compressed_data("1025")
    assert zlib.decompress(compressed[8:]) == content
    assert at.get_attachments_name_compressed_size("1025") == str(len(compressed))
    assert at.get_attachments_name_compressed_md5("1025") == hashlib.md5(compressed).hexdigest()
    at.post_attachments_name_verify_md5("1025")
    info = at.get_attachments_name_info("1025")
    assert (info["UncompressedSize"], info["CompressedSize"], info["UncompressedMD5"]) == (400, len(compressed), md5)
    at.post_attachments_name_uncompress("1025")
    assert at.get_attachments_name_compressed_data("1025") == content
    assert at.get_attachments_name_data("1025", headers={"Range": "bytes=2-4"}) == content[2:5]
    seen = {"If-Match": etag(client, at, "attachments/1025/data")}
    at.put_attachments_name("1025", content=b"late", headers=seen)
    with refused(409):
        at.put_attachments_name("1025", content=b"later", headers=seen)
    at.delete_attachments_name("1025", headers={"If-Match": etag(client, at, "attachments/1025/data")})
    assert "1025" not in at.get_attachments()
    with refused(404):
        at.get_attachments_name_data("1025")


def etag(client: Any, at: At, path: str) -> str:
    kind, name, *_ = path.split("/")
    with raw(client):
        answer = at.get_metadata_name(name) if kind == "metadata" else at.get_attachments_name_data(name)
    return str(answer.headers["etag"])


def test_what_lies_above_and_below(client: Any, archive: Archive) -> None:
    patient, study, series = (
        At(client, "patients", archive.patient),
        At(client, "studies", archive.study),
        At(client, "series", archive.series),
    )
    instance = At(client, "instances", archive.instances[0])
    assert [each["ID"] for each in (instance.get_series(), instance.get_study(), instance.get_patient())] == [
        archive.series,
        archive.study,
        archive.patient,
    ]
    assert [each["ID"] for each in (series.get_study(), series.get_patient(), study.get_patient())] == [
        archive.study,
        archive.patient,
        archive.patient,
    ]
    assert ids(patient.get_studies()) == {archive.study, archive.other_study}
    assert ids(study.get_series()) == {archive.series, archive.other_series}
    assert ids(patient.get_series()) > ids(study.get_series())
    assert ids(series.get_instances()) == set(archive.instances)
    assert set(study.get_instances(params={"expand": "false"})) == set(archive.instances) | {orthanc_id(1, 1, 2, 1)}
    assert len(patient.get_instances()) == 5
    assert {"SOPInstanceUID", "RequestedTags"} > set(series.get(params={"requested-tags": "SOPInstanceUID"})) & {
        "RequestedTags"
    }


def test_lists(client: Any, archive: Archive) -> None:
    for level, count in zip(LEVELS, (2, 3, 4, 6), strict=True):
        listed = getattr(client, f"get_{level}")
        assert archive.of(level) in listed()
        assert len(listed()) == count
        assert listed(params={"since": 1, "limit": 1}) == listed()[1:2]
        assert [each["Type"] for each in listed(params={"expand": ""})] == [NAMES[level]] * count


def test_statistics(client: Any, archive: Archive) -> None:
    whole = client.get_statistics()
    assert [whole[f"Count{name}"] for name in ("Patients", "Studies", "Series", "Instances")] == [2, 3, 4, 6]
    assert whole["TotalDiskSize"] == str(sum(map(len, files())))
    assert At(client, "patients", archive.patient).get_statistics()["CountStudies"] == 2
    assert At(client, "studies", archive.study).get_statistics()["CountInstances"] == 4
    assert At(client, "series", archive.series).get_statistics()["DicomDiskSize"] == str(sum(map(len, files()[:3])))
    assert At(client, "instances", archive.instances[0]).get_statistics()["DicomDiskSize"] == str(len(files()[0]))


def test_modules_and_shared_tags(client: Any, archive: Archive) -> None:
    simple = {"simplify": ""}
    assert At(client, "patients", archive.patient).get_module(params=simple)["PatientName"] == "Doe^Jane^1"
    assert At(client, "studies", archive.study).get_module(params=simple)["AccessionNumber"] == "ACC11"
    assert At(client, "studies", archive.study).get_module_patient(params=simple)["PatientID"] == "PAT1"
    assert At(client, "series", archive.series).get_module(params=simple)["Modality"] == "MR"
    assert At(client, "instances", archive.instances[1]).get_module(params=simple)["InstanceNumber"] == "2"
    for level in LEVELS[:3]:
        at = At(client, level, archive.of(level))
        shared = at.get_shared_tags(params=simple)
        assert shared["PatientID"] == "PAT1"
        assert "InstanceNumber" not in shared or level == "patients"
        each = at.get_instances_tags(params=simple)
        assert {tags["SOPInstanceUID"] for name, tags in each.items() if name in archive.instances} == {
            slice_of(number).SOPInstanceUID for number in (1, 2, 3)
        }


def test_the_content_of_an_instance(client: Any, archive: Archive, stage: Stage) -> None:
    at = At(client, "instances", archive.instances[0])
    file = files()[0]
    assert at.get_file() == file
    assert at.get_header(params={"simplify": ""})["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    assert at.get_simplified_tags()["PatientName"] == "Doe^Jane^1"
    assert at.get_tags()["0010,0010"]["Value"] == at.get_tags(params={"short": ""})["0010,0010"] == "Doe^Jane^1"
    assert "0010-0010" in at.get_content_path("")
    assert at.get_content_path("0010-0010") in {b"Doe^Jane^1", "Doe^Jane^1"}
    target = stage.server.data / "exported.dcm"
    at.post_export(str(target))
    assert target.read_bytes() == file


def test_pictures_and_arrays(client: Any, archive: Archive) -> None:
    instance = At(client, "instances", archive.instances[0])

    def of_frame(what: str) -> Any:
        return getattr(client, f"get_instances_id_frames_frame{what}")(id_=archive.instances[0], frame="0")

    samples = slice_of(1).PixelData
    assert instance.get_frames() == [0]
    assert "preview" in of_frame("")
    with raw(client):
        assert of_frame("_raw").content == samples
        assert gzip.decompress(of_frame("_raw_gz").content) == samples
        for kind in ("preview", "rendered", "image_uint8", "image_uint16", "image_int16"):
            whole = getattr(instance, f"get_{kind}")()
            assert whole.headers["content-type"] == "image/png"
            assert whole.content == of_frame(f"_{kind}").content
        assert instance.get_matlab().content == of_frame("_matlab").content
        one, frame = instance.get_numpy().content, of_frame("_numpy").content
        stack = At(client, "series", archive.series).get_numpy().content
    arrays = [np.load(BytesIO(content)) for content in (one, frame, stack)]
    assert [array.shape for array in arrays] == [(1, 8, 6, 1), (8, 6, 1), (3, 8, 6, 1)]
    assert arrays[0].reshape(-1).astype("<u2").tobytes() == samples
    ordered = At(client, "series", archive.series).get_ordered_slices()
    assert [each[0] for each in ordered["SlicesShort"]] == list(archive.instances)
    with refused(404):
        instance.get_pdf()


@pytest.mark.parametrize("level", LEVELS)
def test_a_resource_is_deleted(client: Any, archive: Archive, stage: Stage, level: str) -> None:
    gone = {"patients": 5, "studies": 4, "series": 3, "instances": 1}[level]
    at = At(client, level, archive.of(level))
    at.delete()
    assert len(stage.stored(stage.server)) == 6 - gone
    with refused(404):
        at.get()


@pytest.mark.parametrize("level", LEVELS)
def test_modification_and_anonymisation(client: Any, archive: Archive, stage: Stage, level: str) -> None:
    at = At(client, level, archive.of(level))
    change: dict[str, Any] = {"Replace": {"InstitutionName": "New"}}
    if level == "patients":
        change |= {"Replace": {"InstitutionName": "New", "PatientID": "CHANGED"}, "Force": True}
    modified, anonymous = at.post_modify(change), at.post_anonymize({"Replace": {"PatientName": "Nobody"}})
    if level == "instances":  # answered by the file
        assert pydicom.dcmread(BytesIO(modified)).InstitutionName == "New"
        assert str(pydicom.dcmread(BytesIO(anonymous)).PatientName) == "Nobody"
        assert len(stage.stored(stage.server)) == 6
        return
    count = {"patients": 5, "studies": 4, "series": 3}[level]
    assert len(stage.stored(stage.server)) == 6 + 2 * count
    for made, tag, value in ((modified, "InstitutionName", "New"), (anonymous, "PatientName", "Nobody")):
        found = ids(At(client, level, made["ID"]).get_instances())
        assert len(found) == count
        assert {stage.tags(name)[tag] for name in found} == {value}


@pytest.mark.parametrize("level", LEVELS)
def test_reconstruction(client: Any, archive: Archive, stage: Stage, level: str) -> None:
    at = At(client, level, archive.of(level))
    before = at.get()["MainDicomTags"]
    at.put_metadata_name("1024", data=b"stays")
    at.post_reconstruct({"ReconstructFiles": True})
    assert at.get()["MainDicomTags"] == before
    assert at.get_metadata_name("1024") == "stays"
    assert same_dataset(stage.server.get(f"/instances/{archive.instances[0]}/file").body, files()[0])


def test_studies_are_merged_and_split(client: Any, archive: Archive, stage: Stage) -> None:
    merged = client.post_studies_id_merge(
        archive.other_study, {"Resources": [archive.other_series], "KeepSource": False}
    )
    assert merged["TargetStudy"] == archive.other_study
    assert len(client.get_studies_id_series(archive.other_study)) == 2
    assert archive.other_series not in stage.stored(stage.server, "series")
    split = client.post_studies_id_split(
        archive.study, {"Series": [archive.series], "Replace": {"StudyDescription": "Apart"}, "KeepSource": True}
    )
    apart = client.get_studies_id(split["TargetStudy"])
    assert apart["MainDicomTags"]["StudyDescription"] == "Apart"
    assert len(client.get_studies_id_instances(apart["ID"])) == 3
    assert archive.series in stage.stored(stage.server, "series")


def test_patients_are_protected(client: Any, archive: Archive) -> None:
    assert client.get_patients_id_protected(archive.patient) == "0"
    with refused(400):
        client.put_patients_id_protected(archive.patient)  # this method sends no value
    assert client.get_patients_id_protected(archive.patient) == "0"


def test_uploads(client: Any, archive: Archive, stage: Stage) -> None:
    new = encode(dataset(7))
    answer = client.post_instances(new)
    assert (answer["Status"], answer["ID"], answer["ParentStudy"]) == (
        "Success",
        orthanc_id(7, 1, 1, 1),
        orthanc_id(7, 1),
    )
    assert client.post_instances(new)["Status"] == "AlreadyStored"
    assert client.get_instances_id_file(answer["ID"]) == new
    with refused(400):
        client.post_instances(b"no DICOM")
    assert len(stage.stored(stage.server)) == 7


def test_changes(client: Any, archive: Archive) -> None:
    last = client.get_changes(params={"last": ""})["Last"]
    (seen,) = client.get_changes(params={"limit": 1, "since": last - 1})["Changes"]
    assert seen["Seq"] == last
    client.delete_changes()
    client.post_instances(encode(dataset(1, 2, 1, 2)))
    new = [
        each["ID"] for each in client.get_changes()["Changes"] if each["ChangeType"] == "NewInstance"
    ]  # others are stable now
    assert new == [orthanc_id(1, 2, 1, 2)]


# Other servers, jobs, tools


def test_modalities(client: Any, archive: Archive, stage: Stage) -> None:
    client.put_modalities_id("new", stage.modality)
    assert "new" in client.get_modalities()
    assert client.get_modalities(params={"expand": ""})["new"]["AET"] == "OTHER"
    assert "echo" in client.get_modalities_id("new")
    assert client.get_modalities_id_configuration("new")["Port"] == stage.other.dicom_port
    client.post_modalities_id_echo("new")
    client.post_tools_dicom_echo(stage.modality)
    client.delete_modalities_id("new")
    assert "new" not in client.get_modalities()
    with refused(404):
        client.post_modalities_id_echo("new")


def test_instances_are_sent_to_modalities(client: Any, archive: Archive, other: Stage) -> None:
    client.delete_exports()
    client.post_modalities_id_store("other", json={"Resources": [archive.series], "Synchronous": True})
    assert other.stored(other.other) == set(archive.instances)
    assert same_dataset(other.other.get(f"/instances/{archive.instances[0]}/file").body, files()[0])
    client.post_modalities_id_store("other", data=archive.other_series)
    client.post_modalities_id_store_straight("other", encode(dataset(9)))
    assert other.stored(other.other) == {*archive.instances, orthanc_id(1, 1, 2, 1), orthanc_id(9, 1, 1, 1)}
    assert [each["RemoteModality"] for each in client.get_exports()["Exports"]] == ["other"] * 2
    client.delete_exports()
    assert client.get_exports()["Exports"] == []


def test_a_modality_vouches_for_what_it_was_sent(client: Any, archive: Archive, other: Stage) -> None:
    send = {"Resources": [archive.series], "StorageCommitment": True, "Synchronous": True}
    client.post_modalities_id_store("other", json=send)
    asked = client.post_modalities_id_storage_commitment("other", {"Resources": [archive.series]})["ID"]
    wait_for(lambda: client.get_storage_commitment_id(asked)["Status"] == "Success", "the report")
    assert len(client.get_storage_commitment_id(asked)["Success"]) == 3
    client.post_storage_commitment_id_remove(asked)
    assert not set(archive.instances) & other.stored(other.server)


def test_instances_are_sent_to_peers(client: Any, archive: Archive, other: Stage) -> None:
    assert client.get_peers() == ["other"]
    assert client.get_peers(params={"expand": ""})["other"]["Url"].startswith(other.other_url)
    assert "store" in client.get_peers_id("other")
    assert client.get_peers_id_configuration("other")["Url"].startswith(other.other_url)
    assert client.get_peers_id_system("other")["DicomAet"] == "PEER"
    client.post_peers_id_store("other", json={"Resources": [archive.series], "Synchronous": True})
    assert other.stored(other.other) == set(archive.instances)
    client.post_peers_id_store("other", data=archive.other_series)
    client.post_peers_id_store_straight("other", encode(dataset(9)))
    assert other.stored(other.other) == {*archive.instances, orthanc_id(1, 1, 2, 1), orthanc_id(9, 1, 1, 1)}
    client.put_peers_id("other", {"Url": other.url, "Username": USER, "Password": PASSWORD})  # itself
    assert client.get_peers_id_system("other")["DicomPort"] == other.server.dicom_port
    client.delete_peers_id("other")
    assert client.get_peers() == []


def test_modalities_are_searched(client: Any, moved: Stage) -> None:
    assert [found["PatientID"] for found in client.post_modalities_id_find_patient("other", {"PatientID": "PAT2"})] == [
        "PAT2"
    ]
    study = {"PatientID": "PAT1", "StudyInstanceUID": ""}
    found = client.post_modalities_id_find_study("other", study)
    assert {each["StudyInstanceUID"] for each in found} == {
        dataset(1, 1).StudyInstanceUID,
        dataset(1, 2).StudyInstanceUID,
    }
    below = {"PatientID": "PAT1", "StudyInstanceUID": dataset(1, 1).StudyInstanceUID, "SeriesInstanceUID": ""}
    assert len(client.post_modalities_id_find_series("other", below)) == 2
    within = below | {"SeriesInstanceUID": dataset(1, 1, 1).SeriesInstanceUID, "SOPInstanceUID": ""}
    assert len(client.post_modalities_id_find_instance("other", within)) == 3
    whole = client.post_modalities_id_find("other", {"PatientID": "PAT2"})
    assert whole
    with refused(500):
        client.post_modalities_id_find_worklist("other", {"Query": {"PatientID": "*"}})  # this Orthanc has no worklists


def test_queries_and_their_answers(client: Any, archive: Archive, moved: Stage) -> None:
    query = client.post_modalities_id_query(
        "other", {"Level": "Study", "Query": {"PatientID": "PAT1", "StudyDescription": "*"}}
    )["ID"]
    assert query in client.get_queries()
    assert "answers" in client.get_queries_id(query)
    assert client.get_queries_id_level(query) == "Study"
    assert client.get_queries_id_modality(query) == "other"
    assert client.get_queries_id_query(query, params={"simplify": ""})["PatientID"] == "PAT1"
    assert client.get_queries_id_answers(query) == ["0", "1"]
    assert len(client.get_queries_id_answers(query, params={"expand": "", "simplify": ""})) == 2
    assert "retrieve" in client.get_queries_id_answers_index(query, "0")
    first = client.get_queries_id_answers_index_content(query, "0", params={"simplify": ""})
    assert first["PatientID"] == "PAT1"
    counts = {"study": (1, 2), "series": (2, 1), "instances": (4, 1)}
    below = client.post_queries_id_answers_index_query_series(query, "0", {"Query": {}})["ID"]
    number = 0 if first["StudyInstanceUID"] == dataset(1, 1).StudyInstanceUID else 1
    assert len(client.get_queries_id_answers(below)) == counts["series"][number]
    below = client.post_queries_id_answers_index_query_instances(query, "0", {"Query": {}})["ID"]
    assert len(client.get_queries_id_answers(below)) == counts["instances"][number]
    client.post_queries_id_answers_index_retrieve(query, "0", json={"TargetAet": "PEER", "Synchronous": True})
    assert len(moved.stored(moved.server)) == counts["instances"][number]
    client.post_queries_id_retrieve(query, json={"TargetAet": "PEER", "Synchronous": True})
    assert len(moved.stored(moved.server)) == 5
    patients = client.post_modalities_id_query("other", {"Level": "Patient", "Query": {"PatientID": "PAT1"}})["ID"]
    below = client.post_queries_id_answers_index_query_studies(patients, "0", {"Query": {}})["ID"]
    assert len(client.get_queries_id_answers(below)) == 2
    client.delete_queries_id(query)
    with refused(404):
        client.get_queries_id(query)


def test_resources_are_fetched(client: Any, archive: Archive, moved: Stage) -> None:
    series = {
        "StudyInstanceUID": dataset(1, 1).StudyInstanceUID,
        "SeriesInstanceUID": dataset(1, 1, 1).SeriesInstanceUID,
    }
    client.post_modalities_id_move("other", {"Level": "Series", "Resources": [series], "TargetAet": "PEER"})
    assert moved.stored(moved.server) == set(archive.instances)
    client.post_modalities_id_get("other", {"Level": "Patient", "Resources": [{"PatientID": "PAT2"}]})
    assert moved.stored(moved.server) == {*archive.instances, orthanc_id(2, 1, 1, 1)}


@contextmanager
def silent_modality() -> Iterator[tuple[int, socket.socket]]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1], listening


def test_jobs(client: Any, archive: Archive, stage: Stage) -> None:
    with silent_modality() as (port, listening):
        client.put_modalities_id("silent", {"AET": "SILENT", "Host": "127.0.0.1", "Port": port, "Timeout": STUCK_S})
        send = {"Resources": [archive.instances[0]], "Synchronous": False}
        running, waiting, third = (client.post_modalities_id_store("silent", json=send)["ID"] for _ in range(3))
        assert {running, waiting, third} <= set(client.get_jobs())
        assert {each["State"] for each in client.get_jobs(params={"expand": ""}) if each["ID"] in {waiting, third}} == {
            "Pending"
        }
        with listening.accept()[0]:
            assert state(client, running) == "Running"
            client.post_jobs_id_pause(waiting)
            assert state(client, waiting) == "Paused"
            client.post_jobs_id_resume(waiting)
            assert state(client, waiting) == "Pending"
            for job in (waiting, third, running):
                client.post_jobs_id_cancel(job)
            assert client.get_jobs_id(waiting)["ErrorDescription"] == "This job was canceled"
        wait_for(lambda: state(client, running) == "Failure", "the job whose modality has gone")
        client.delete_jobs_id(third)
        with refused(404):
            client.get_jobs_id(third)
        client.post_jobs_id_resubmit(waiting)
        with listening.accept()[0]:
            pass
        wait_for(lambda: state(client, waiting) != "Running", "the job that was submitted again")
        client.post_jobs_id_cancel(waiting)
        for verb in (client.get_jobs_id_key, client.delete_jobs_id_key):
            with refused(404):
                verb(waiting, "archive")
        client.delete_modalities_id("silent")


def state(client: Any, job: str) -> str:
    return str(client.get_jobs_id(job)["State"])


def test_bulk_requests(client: Any, archive: Archive, stage: Stage) -> None:
    both = [archive.study, archive.other_study]
    shown = client.post_tools_bulk_content({"Resources": both, "Short": True})
    assert {each["MainDicomTags"]["0008,0050"] for each in shown} == {"ACC11", "ACC12"}
    changed = client.post_tools_bulk_modify(
        {"Resources": both, "Level": "Study", "Replace": {"StudyDescription": "Bulk"}}
    )
    anonymous = client.post_tools_bulk_anonymize({"Resources": both})
    for answer in (changed, anonymous):
        made = [each["ID"] for each in answer["Resources"] if each["Type"] == "Study"]
        assert len(made) == 2
        assert set(made) <= stage.stored(stage.server, "studies")
    assert len(client.post_tools_find({"Level": "Study", "Query": {"StudyDescription": "Bulk"}})) == 2
    before = client.get_studies_id(archive.study)["MainDicomTags"]
    client.post_tools_reconstruct()
    assert client.get_studies_id(archive.study)["MainDicomTags"] == before
    client.post_tools_bulk_delete({"Resources": [archive.patient, archive.other_patient]})
    assert not stage.stored(stage.server) & set(archive.instances)


def test_instances_are_created(client: Any, archive: Archive, stage: Stage) -> None:
    made = client.post_tools_create_dicom(
        {
            "Parent": archive.study,
            "Tags": {"SeriesDescription": "Made"},
            "Content": f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}",
        }
    )
    assert made["ParentStudy"] == archive.study
    written = pydicom.dcmread(BytesIO(stage.server.get(f"/instances/{made['ID']}/file").body))
    assert (written.SeriesDescription, written.PatientID) == ("Made", "PAT1")
    assert written.EncapsulatedDocument.rstrip(b"\0") == PDF


def test_searches(client: Any, archive: Archive) -> None:
    query = {
        "Level": "Study",
        "Query": {"PatientID": "PAT1"},
        "OrderBy": [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}],
    }
    assert client.post_tools_find(query) == [archive.other_study, archive.study]
    assert client.post_tools_count_resources(query)["Count"] == 2
    client.put_studies_id_labels_label(archive.study, "seen")
    assert client.get_tools_labels() == ["seen"]
    found = client.post_tools_lookup(data=dataset(1, 1).StudyInstanceUID)
    assert [(each["Type"], each["ID"]) for each in found] == [("Study", archive.study)]


def test_runtime_settings(client: Any, archive: Archive) -> None:
    for which in ("", "_dicom", "_generic", "_http", "_jobs", "_lua", "_plugins", "_sqlite"):
        read, write = getattr(client, f"get_tools_log_level{which}"), getattr(client, f"put_tools_log_level{which}")
        before = read()
        write(data="verbose")
        assert read() == "verbose"
        write(data=before)
        assert read() == before
    client.put_tools_metrics(data="0")
    assert client.get_tools_metrics() == "0"
    client.put_tools_metrics(data="1")
    assert client.get_tools_metrics() == "1"
    assert "orthanc_count_instances 6 " in client.get_tools_metrics_prometheus()
    client.put_tools_default_encoding(data="Cyrillic")
    assert client.get_tools_default_encoding() == "Cyrillic"
    client.put_tools_default_encoding(data="Latin1")
    client.put_tools_unknown_sop_class_accepted(data="1")
    assert client.get_tools_unknown_sop_class_accepted() == "1"
    client.put_tools_unknown_sop_class_accepted(data="0")
    everything = client.get_tools_accepted_transfer_syntaxes()
    assert client.put_tools_accepted_transfer_syntaxes(data='["1.2.840.10008.1.2.1"]') == ["1.2.840.10008.1.2.1"]
    assert client.get_tools_accepted_transfer_syntaxes() == ["1.2.840.10008.1.2.1"]
    assert set(client.put_tools_accepted_transfer_syntaxes(json=everything)) == set(everything)
    assert dataset().SOPClassUID in client.get_tools_accepted_sop_classes()
    assert f"| {dataset().SOPClassUID}\n" in client.get_tools_dicom_conformance()


def test_the_server_speaks_of_itself(client: Any, archive: Archive) -> None:
    assert client.get_system()["Name"] == "Peer"
    assert {"find", "now"} <= set(client.get_tools())
    for now in (client.get_tools_now(), client.get_tools_now_local()):
        assert datetime.strptime(now, "%Y%m%dT%H%M%S").year >= 2024  # noqa: DTZ007 # one of them is in UTC
    assert client.post_tools_execute_script(data="print(6 * 7)").strip() == "42"
    assert {"explorer.js", "dicom-web"} <= set(client.get_plugins())
    client.get_plugins_explorer_js()
    for wrong in (
        lambda: client.get_plugins_id("none"),
        client.get_tools_generate_uid,
        client.post_tools_invalid_ate_tags,
    ):
        with refused(404):  # the paths of the last two are wrong in these clients
            wrong()


@pytest.mark.nightly
def test_the_server_starts_again(archive: Archive, clients: dict[str, Any]) -> None:
    client = clients["blocking"]
    client.put_modalities_id("passing", {"AET": "PASSING", "Host": "127.0.0.1", "Port": 104})  # known until then
    client.post_tools_reset()
    wait_for(lambda: modalities(client) == [], "the server to have started again")
    assert len(client.get_instances()) == 6


def test_the_server_ends(clients: dict[str, Any]) -> None:
    client = clients["blocking"]
    client.post_tools_shutdown()
    wait_for(lambda: modalities(client) is None, "the server to end")


def modalities(client: Any) -> list[str] | None:
    """None while the server does not answer."""
    try:
        return list(client.get_modalities())
    except httpx.TransportError:
        return None


def test_no_method_was_left_out() -> None:
    last = {"test_no_method_was_left_out", "test_the_server_starts_again"}
    if missing := {name for name in globals() if name.startswith("test_")} - last - RUN:
        pytest.skip(f"holds of the whole module only; not run: {sorted(missing)}")
    assert ROUTES - CALLED - {"post_tools_reset"} == set()
