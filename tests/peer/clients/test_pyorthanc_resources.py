"""The routes of resources, by every method that `pyorthanc` has for them, driven for their effects."""

import hashlib
import zlib
from io import BytesIO
from typing import Any

import pydicom
import pytest

from tests.dicom_bytes import dataset, encode
from tests.peer.clients.pyorthanc_stage import (
    CALLED,
    LATER,
    LEVELS,
    NAMES,
    At,
    call_later,
    ids,
    raw,
    refused,
    routes_of,
)
from tests.peer.clients.stage import Archive, Stage, files, orthanc_id, same_dataset, slice_of

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # httpx's, of how this client sends bytes
    pytest.mark.filterwarnings("ignore:This method is deprecated:DeprecationWarning"),
]

NOUNS = {*LEVELS, "changes", "statistics"}
RUN: set[str] = set()  # the tests that have


@pytest.fixture(autouse=True)
def _note(request: pytest.FixtureRequest) -> None:
    RUN.add(request.node.originalname)


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
    seen = client.get_changes(params={"limit": 1, "since": client.get_changes(params={"last": ""})["Last"] - 1})
    assert (seen["Done"], len(seen["Changes"])) == (True, 1)
    client.delete_changes()
    assert client.get_changes()["Changes"] == []
    client.post_instances(encode(dataset(1, 2, 1, 2)))
    assert [each["ChangeType"] for each in client.get_changes()["Changes"] if each["ID"] == orthanc_id(1, 2, 1, 2)] == [
        "NewInstance"
    ]


def test_what_comes_later_is_refused_without_harm(stage: Stage, archive: Archive) -> None:
    """And, as Orthanc shows, works with the same arguments once it is there."""
    assert set(call_later(stage.url, archive, NOUNS).values()) <= {200, 400, 404}


def test_no_method_was_left_out() -> None:
    if missing := {name for name in globals() if name.startswith("test_")} - {"test_no_method_was_left_out"} - RUN:
        pytest.skip(f"holds of the whole module only; not run: {sorted(missing)}")
    assert routes_of(NOUNS) - CALLED == LATER & routes_of(NOUNS)
