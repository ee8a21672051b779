"""What `pyorthanc` builds on its client: resources, uploads, searches, changes, jobs and modalities, driven for their effects."""

import asyncio
import gc
import inspect
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pyorthanc
import pytest
from pyorthanc import AsyncOrthanc, Instance, Job, Modality, Orthanc, Patient, Series, Study, errors, util

from tests.dicom_bytes import add_pixels, dataset, encode
from tests.peer.clients.pyorthanc_stage import TIMEOUT_S, refused
from tests.peer.clients.stage import PASSWORD, USER, Archive, Stage, files, orthanc_id, slice_of, zipped
from tests.peer.servers import wait_for
from tests.recording_scp import REJECTION, rude_peer

pytestmark = pytest.mark.peer

POLL_S = 0.05
KINDS = {"patients": Patient, "studies": Study, "series": Series, "instances": Instance}
OF_JOBS = [Patient, Study, Series]


@pytest.fixture
def orthanc(clients: dict[str, Any]) -> Any:
    return clients["blocking"]


def finished(job: Any) -> Any:
    job.wait_until_completion(time_interval=POLL_S)
    assert job.state == pyorthanc.jobs.State.success
    return job


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 # DICOM's have no time zone


# Uploads


def test_files_bytes_folders_and_archives_are_uploaded(
    orthanc: Any, archive: Archive, stage: Stage, tmp_path: Path
) -> None:
    new = [encode(dataset(5, 1, 1, number)) for number in range(6)]
    names = [orthanc_id(5, 1, 1, number) for number in range(6)]
    for number, place in enumerate(("a.dcm", "b.DCM", "below/c.dcm", "below/deeper/d.dcm", "no.txt")):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(new[number])
    (tmp_path / "all.zip").write_bytes(zipped(new[4], new[5]))
    assert uploaded(orthanc, tmp_path / "a.dcm") == {names[0]}
    assert stage.server.get(f"/instances/{names[0]}/file").body == new[0]
    assert uploaded(orthanc, str(tmp_path)) == {names[0], names[1]}
    assert uploaded(orthanc, tmp_path, recursive=True) == set(names[:4])
    assert uploaded(orthanc, tmp_path / "all.zip") == set(names[4:])
    assert uploaded(orthanc, pydicom.dcmread(BytesIO(encode(dataset(6))))) == {orthanc_id(6, 1, 1, 1)}
    assert stage.stored(stage.server) >= {*names, orthanc_id(6, 1, 1, 1)}


def uploaded(orthanc: Any, what: Any, **options: bool) -> set[str]:
    return {instance.id_ for instance in pyorthanc.upload(orthanc, what, **options)}


def test_what_is_there_is_not_sent_again(orthanc: Any, archive: Archive, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(encode(dataset(1, 2, StudyDescription="Another file")))
    (same,) = pyorthanc.upload(orthanc, tmp_path / "a.dcm", check_before_upload=True)
    assert same.id_ == orthanc_id(1, 2, 1, 1)
    assert stage.tags(same.id_)["StudyDescription"] == "Study 2 of patient 1"
    assert uploaded(orthanc, pydicom.dcmread(BytesIO(encode(dataset(7)))), check_before_upload=True) == {
        orthanc_id(7, 1, 1, 1)
    }


def test_uploads_at_once(archive: Archive, stage: Stage) -> None:
    async def run() -> None:
        async with AsyncOrthanc(stage.url, USER, PASSWORD, timeout=TIMEOUT_S) as client:
            new = [pydicom.dcmread(BytesIO(encode(dataset(5, 1, 1, number)))) for number in range(20)]
            answers = await asyncio.gather(*(pyorthanc.async_upload(client, each) for each in new))
            assert {each["Status"] for each in answers} == {"Success"}
            assert len(await client.get_instances()) == 26

    asyncio.run(run())


def test_what_is_no_dicom_and_who_is_nobody_is_refused(
    archive: Archive, orthanc: Any, stage: Stage, tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(b"no DICOM")
    with refused(400):
        pyorthanc.upload(orthanc, tmp_path / "a.dcm")
    with Orthanc(stage.url, USER, "wrong", timeout=TIMEOUT_S) as stranger, refused(401):
        stranger.get_instances()
    with refused(404):
        Study(archive.patient, orthanc).get_main_information()
    assert len(stage.stored(stage.server)) == 6


# What resources say

RICH: dict[str, Any] = {
    "OtherPatientIDs": ["A1", "B2"], "RequestingPhysician": "Asks^Anna", "RequestedProcedureDescription": "Head",
    "SeriesTime": "111213", "ProtocolName": "Fast", "StationName": "MR1", "BodyPartExamined": "HEAD", "SequenceName": "se",
    "CardiacNumberOfImages": "4", "ImagesInAcquisition": "5", "NumberOfTemporalPositions": "2", "NumberOfSlices": 3,
    "NumberOfTimeSlices": 6, "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "SeriesType": ["STATIC", "IMAGE"],
    "OperatorsName": "Turns^Tom", "AcquisitionDeviceProcessingDescription": "None", "ContrastBolusAgent": "Gd",
    "PerformedProcedureStepDescription": "Step", "InstanceCreationDate": "20240105", "InstanceCreationTime": "070809",
    "AcquisitionNumber": "7", "ImageIndex": 8, "ImagePositionPatient": [0, 0, 10], "ImageComments": "Sharp",
    "NumberOfFrames": "2", "TemporalPositionIdentifier": "1",
}  # fmt: skip
EVERY = {"identifier", "main_dicom_tags", "legacy_viewer_url", "labels"}
SAID: dict[Any, dict[str, object]] = {
    Patient: {
        "patient_id": "PAT5", "name": "Doe^Jane^5", "birth_date": at(1970, 1, 2), "sex": "F", "other_patient_ids": ["A1", "B2"],
        "protected": False,
    },
    Study: {
        "accession_number": "ACC51", "date": at(2024, 1, 1, 10, 11, 12), "description": "Study 1 of patient 5",
        "institution_name": "General Hospital", "referring_physician_name": "Referrer^Rita", "study_id": "1", "requesting_physician": "Asks^Anna",
        "requested_procedure_description": "Head", "uid": dataset(5).StudyInstanceUID, "patient_identifier": orthanc_id(5),
    },
    Series: {
        "acquisition_device_processing_description": "None", "body_part_examined": "HEAD", "cardiac_number_of_images": 4,
        "contrast_bolus_agent": "Gd", "date": at(2024, 1, 1, 11, 12, 13), "description": "Series 1",
        "image_orientation_patient": [1, 0, 0, 0, 1, 0], "images_in_acquisition": 5, "manufacturer": "Sinogram", "modality": "MR",
        "number_of_slices": 3, "number_of_temporal_positions": 2, "number_of_time_slices": 6, "operators_name": "Turns^Tom",
        "performed_procedure_step_description": "Step", "protocol_name": "Fast", "sequence_name": "se", "series_number": 1,
        "series_type": "STATIC\\IMAGE", "station_name": "MR1", "uid": dataset(5).SeriesInstanceUID, "study_identifier": orthanc_id(5, 1),
    },
    Instance: {
        "acquisition_number": 7, "creation_date": at(2024, 1, 5, 7, 8, 9), "image_comments": "Sharp", "image_index": 8,
        "image_orientation_patient": [1, 0, 0, 0, 1, 0], "image_position_patient": [0, 0, 10], "instance_number": 1,
        "number_of_frames": 2, "temporal_position_identifier": "1", "uid": dataset(5).SOPInstanceUID, "series_identifier": orthanc_id(5, 1, 1),
    },
}  # fmt: skip
ASKED_BELOW = {
    "is_stable", "last_update", "shared_tags", "studies", "series", "instances", "parent_patient", "parent_study", "parent_series",
    "patient_information", "tags", "simplified_tags", "first_level_tags", "file_size",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:`Instance.first_level_tags` is deprecated")
def test_resources_say_what_the_file_says(orthanc: Any, archive: Archive) -> None:
    file = encode(add_pixels(dataset(5, **RICH), frames=2))
    orthanc.post_instances(file)
    instance = Instance(orthanc_id(5, 1, 1, 1), orthanc)
    series, study, patient = instance.parent_series, instance.parent_study, instance.parent_patient
    assert [each.id_ for each in (series, study, patient)] == [orthanc_id(5, 1, 1), orthanc_id(5, 1), orthanc_id(5)]
    for resource in (patient, study, series, instance):
        expected = SAID[type(resource)]
        assert {name: getattr(resource, name) for name in expected} == expected
        properties = {name for name, value in inspect.getmembers(type(resource)) if isinstance(value, property)}
        assert properties - expected.keys() - ASKED_BELOW == EVERY
        assert (resource.identifier, resource.labels) == (resource.id_, [])
        assert resource.main_dicom_tags == resource.get_main_information()["MainDicomTags"]
    for resource in (patient, study, series):
        wait_for(lambda resource=resource: resource.is_stable, f"{resource} to be stable")  # type: ignore[misc] # mypy does not see the default
        assert abs(resource.last_update - datetime.now(UTC).replace(tzinfo=None)) < timedelta(days=1)
        assert resource.shared_tags["PatientID"] == resource.get_shared_tags(simplify=True)["PatientID"] == "PAT5"
        assert (
            resource.get_shared_tags(short=True)["0010,0020"]
            == resource.get_shared_tags()["0010,0020"]["Value"]
            == "PAT5"
        )
    assert (patient.studies, study.series, series.instances) == ([study], [series], [instance])
    assert (study.parent_patient, series.parent_study, series.parent_patient) == (patient, study, patient)
    assert study.patient_information["PatientName"] == "Doe^Jane^5"
    assert patient.get_patient_module(simplify=True)["PatientName"] == "Doe^Jane^5"
    assert (instance.file_size, instance.get_dicom_file_content()) == (len(file), file)
    assert instance.tags == instance.first_level_tags
    assert (instance.tags["0010,0020"]["Value"], instance.simplified_tags["PatientID"]) == ("PAT5", "PAT5")
    assert instance.get_content_by_tag("PatientID") == instance.get_content_by_tag("0010-0020") == "PAT5"
    assert instance.get_pydicom() == util.get_pydicom(orthanc, instance.id_) == pydicom.dcmread(BytesIO(file))
    with pytest.raises(errors.TagDoesNotExistError):
        Instance(archive.instances[0], orthanc).image_comments  # noqa: B018
    ds = dataset(5)
    assert util.to_orthanc_instance_id_from_ds(ds) == instance.id_
    assert util.to_orthanc_series_id(ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID) == series.id_
    assert (util.to_orthanc_study_id(ds.PatientID, ds.StudyInstanceUID), util.to_orthanc_patient_id("PAT5")) == (
        study.id_,
        patient.id_,
    )


@pytest.mark.parametrize("level", KINDS)
def test_labels(orthanc: Any, archive: Archive, level: str) -> None:
    resource = KINDS[level](archive.of(level), orthanc)
    resource.add_label("seen")
    resource.add_label("later")
    resource.remove_label("later")
    assert resource.labels == ["seen"]
    search = getattr(pyorthanc, f"find_{level}")
    assert search(orthanc, labels="seen") == [resource]
    assert (
        len(search(orthanc, labels=["seen"], labels_constraint="None")) == len(getattr(orthanc, f"get_{level}")()) - 1
    )
    assert search(orthanc, labels=["later", "seen"], labels_constraint="Any") == [resource]
    assert search(orthanc, labels=["later", "seen"], labels_constraint="All") == []


@pytest.mark.filterwarnings("ignore:.patient.set_to_protected:DeprecationWarning")
def test_patients_are_protected(orthanc: Any, archive: Archive) -> None:
    patient = Patient(archive.patient, orthanc)
    patient.protected = True
    assert (patient.protected, patient.is_protected()) == (True, True)
    patient.set_to_unprotected()
    assert patient.protected is False
    patient.set_to_protected()
    assert orthanc.get_patients_id_protected(archive.patient) == "1"
    patient.protected = False


@pytest.mark.parametrize("level", ["patients", "studies", "series"])
def test_archives(orthanc: Any, archive: Archive, level: str, tmp_path: Path) -> None:
    resource = KINDS[level](archive.of(level), orthanc)
    resource.download(str(tmp_path / "packed.zip"))
    buffer = BytesIO()
    resource.download(buffer)
    packed = [resource.get_zip(), (tmp_path / "packed.zip").read_bytes(), buffer.getvalue()]
    found = [zipfile.ZipFile(BytesIO(each)).namelist() for each in packed]
    assert found[0] == found[1] == found[2] != []


def test_files_are_written_as_they_are_stored(orthanc: Any, archive: Archive, tmp_path: Path) -> None:
    pyorthanc.retrieve_and_write_patients([Patient(archive.patient, orthanc)], tmp_path)
    written = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.dcm")}
    ds = slice_of(1)
    assert sorted(written.values()) == sorted(files()[:5])
    assert written[Path("PAT1", ds.StudyInstanceUID, ds.SeriesInstanceUID, f"{ds.SOPInstanceUID}.dcm")] == files()[0]
    Instance(archive.instances[1], orthanc).download(str(tmp_path / "one"))
    assert (tmp_path / "one").read_bytes() == files()[1]
    buffer = BytesIO()
    Instance(archive.instances[2], orthanc).download(buffer)
    assert buffer.getvalue() == files()[2]


# Searches


def test_searches(orthanc: Any, archive: Archive, stage: Stage) -> None:
    assert ids(pyorthanc.find_patients(orthanc, {"PatientID": "PAT*"})) == {archive.patient, archive.other_patient}
    assert ids(pyorthanc.find_studies(orthanc, {"PatientName": "doe^jane^1"})) == {archive.study, archive.other_study}
    assert ids(pyorthanc.find_series(orthanc, {"Modality": "CT"})) == {archive.other_series}
    assert ids(pyorthanc.find_instances(orthanc, {"InstanceCreationDate": "20240101-20240131"})) == set(
        archive.instances
    )
    everything = pyorthanc.query_orthanc(orthanc, "Instance", limit=4)
    assert len(everything) == len(ids(everything)) == 6
    assert pyorthanc.query_orthanc(orthanc, "Instance", limit=4, retrieve_all_resources=False) == everything[:4]
    assert (
        pyorthanc.query_orthanc(orthanc, "Instance", limit=2, since=5, retrieve_all_resources=False) == everything[5:]
    )
    assert pyorthanc.find_studies(orthanc, {"PatientID": "nobody"}) == []


FILTERS = {
    "patient_filter": lambda each: each.patient_id == "PAT1",
    "study_filter": lambda each: each.accession_number == "ACC11",
    "series_filter": lambda each: each.modality == "MR",
    "instance_filter": lambda each: each.instance_number > 1,
}


def assert_filtered(client: Any, archive: Archive) -> None:
    (patient,) = pyorthanc.find(client, **FILTERS)
    (study,) = patient.studies
    (series,) = study.series
    assert (study.id_, series.id_, ids(series.instances)) == (archive.study, archive.series, set(archive.instances[1:]))


def test_trees_of_what_filters_let_through(archive: Archive, orthanc: Any) -> None:
    assert_filtered(orthanc, archive)


@pytest.mark.nightly  # a client for each resource, 30 ms each
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_trees_are_built_at_once(archive: Archive, stage: Stage) -> None:
    assert_filtered(AsyncOrthanc(stage.url, USER, PASSWORD, timeout=TIMEOUT_S), archive)
    gc.collect()  # here: the clients that the library makes for it are closed by nobody


def ids(resources: Iterable[Any]) -> set[str]:
    return {each.id_ for each in resources}


# Changes


@pytest.mark.parametrize("kind", OF_JOBS)
@pytest.mark.parametrize("as_job", [False, True])
def test_modification(orthanc: Any, archive: Archive, stage: Stage, kind: Any, as_job: bool) -> None:
    source, before = kind(source_of(kind, archive), orthanc), stage.stored(stage.server)
    replace, force = {"InstitutionName": "New", "0011-1010": "mark"}, False
    if kind is Patient:
        replace, force = replace | {"PatientID": "CHANGED"}, True
    options: dict[str, Any] = {
        "replace": replace,
        "remove": ["AccessionNumber"],
        "force": force,
        "private_creator": "Maker",
    }
    if as_job:
        made = kind(finished(source.modify_as_job(**options)).content["ID"], orthanc)
    else:
        made = source.modify(**options)
    assert made != source
    assert source.get_main_information()["MainDicomTags"]
    new = stage.stored(stage.server) - before
    assert len(new) == {Patient: 5, Study: 4, Series: 3}[kind]
    for name in new:
        tags = stage.tags(name)
        assert (tags["InstitutionName"], tags.get("AccessionNumber")) == ("New", None)
        assert stage.server.get(f"/instances/{name}/content/0011-1010").body.rstrip() == b"mark"
    gone = made.modify(
        replace={"InstitutionName": "Newer"} | ({"PatientID": "AGAIN"} if force else {}), force=force, keep_source=False
    )
    assert stage.stored(stage.server) - before == set(instances_of(gone))


@pytest.mark.parametrize("kind", OF_JOBS)
@pytest.mark.parametrize("as_job", [False, True])
def test_anonymisation(orthanc: Any, archive: Archive, stage: Stage, kind: Any, as_job: bool) -> None:
    source, before = kind(source_of(kind, archive), orthanc), stage.stored(stage.server)
    options = {"replace": {"PatientName": "Nobody"}, "keep": ["StudyDescription"], "dicom_version": "2021b"}
    if as_job:
        made = kind(finished(source.anonymize_as_job(**options)).content["ID"], orthanc)
    else:
        made = source.anonymize(**options)
    new = stage.stored(stage.server) - before
    assert set(instances_of(made)) == new
    assert len(new) == {Patient: 5, Study: 4, Series: 3}[kind]
    for name in new:
        tags = stage.tags(name)
        assert tags["PatientName"] == "Nobody"
        assert tags["StudyDescription"].endswith("of patient 1")
        assert "InstitutionName" not in tags
        assert tags["PatientID"] != "PAT1"
        assert b"Jane" not in stage.server.get(f"/instances/{name}/file").body


def source_of(kind: Any, archive: Archive) -> str:
    return archive.of(next(level for level, each in KINDS.items() if each is kind))


def instances_of(resource: Any) -> list[str]:
    level = next(level for level, kind in KINDS.items() if kind is type(resource))
    return [each["ID"] for each in getattr(resource.client, f"get_{level}_id_instances")(resource.id_)]


def test_instances_are_changed_into_files(orthanc: Any, archive: Archive, stage: Stage) -> None:
    instance = Instance(archive.instances[0], orthanc)
    changed = pydicom.dcmread(BytesIO(instance.modify(remove=["AccessionNumber"], replace={"InstitutionName": "New"})))
    assert (changed.InstitutionName, "AccessionNumber" in changed) == ("New", False)
    assert changed.SOPInstanceUID != instance.uid
    kept = instance.modify(replace={"SOPInstanceUID": "1.2.3"}, force=True)
    assert pydicom.dcmread(BytesIO(kept)).SOPInstanceUID == "1.2.3"
    anonymous = pydicom.dcmread(BytesIO(instance.anonymize(keep=["Modality"], replace={"PatientID": "X"}, force=True)))
    assert (anonymous.PatientID, anonymous.Modality) == ("X", "MR")
    assert "InstitutionName" not in anonymous
    assert len(stage.stored(stage.server)) == 6
    with pytest.raises(errors.ModificationError):
        Study(archive.study, orthanc).modify(replace={"StudyInstanceUID": "1.2.3"})
    with refused(400):
        Study(archive.study, orthanc).modify(replace={"SeriesInstanceUID": "1.2.3"})


def test_what_a_job_tells(orthanc: Any, archive: Archive) -> None:
    job = finished(Study(archive.study, orthanc).anonymize_as_job(priority=3))
    assert (job.type, job.priority, job.progress) == ("ResourceModification", 3, 100)
    assert job.error == pyorthanc.jobs.ErrorCode.SUCCESS
    assert not job.error_details
    assert job.effective_runtime >= 0
    assert job.creation_time <= job.completion_time
    assert abs(job.timestamp - job.completion_time) < timedelta(minutes=10)
    assert job.get_information()["ID"] == job.id_
    assert orthanc.get_studies_id(job.content["ID"])["AnonymizedFrom"] == archive.study


def test_a_job_that_fails_tells_why(orthanc: Any, archive: Archive) -> None:
    with rude_peer(REJECTION) as port:
        orthanc.put_modalities_id("rude", {"AET": "RUDE", "Host": "127.0.0.1", "Port": port})
        send = {"Resources": [archive.study], "Synchronous": False}
        job = Job(orthanc.post_modalities_id_store("rude", json=send)["ID"], orthanc)
        job.wait_until_completion(time_interval=POLL_S)
    assert (job.state, job.error) == (pyorthanc.jobs.State.failure, pyorthanc.jobs.ErrorCode.NETWORK_PROTOCOL)
    assert "RUDE" in job.error_details
    assert Modality(orthanc, "rude").echo() is False
    orthanc.delete_modalities_id("rude")


# Modalities


def test_a_modality_is_searched_and_fetched_from(orthanc: Any, archive: Archive, moved: Stage) -> None:
    modality = Modality(orthanc, "other")
    assert modality.echo() is True
    found = modality.find(
        {"Level": "Study", "Query": {"PatientID": "PAT1", "StudyDescription": "Study 1*", "StudyInstanceUID": ""}}
    )
    assert [each["StudyInstanceUID"] for each in found["answers"]] == [dataset(1, 1).StudyInstanceUID]
    assert modality.get_query_answers(found["ID"], simplify=False)[0]["0010,0020"]["Value"] == "PAT1"
    assert modality.get_query_answers(found["ID"], simplify=False, short=True)[0]["0010,0020"] == "PAT1"
    modality.move(found["ID"], {"TargetAet": "PEER"})
    assert moved.stored(moved.server) == {*archive.instances, orthanc_id(1, 1, 2, 1)}
    modality.get("Patient", {"PatientID": "PAT2"})
    assert moved.stored(moved.server, "patients") == {archive.patient, archive.other_patient}
    assert modality.query({"Level": "Patient", "Query": {"PatientID": "PAT2"}})["answers"]
    pyorthanc.delete_queries(orthanc)
    assert orthanc.get_queries() == []


def test_a_modality_is_sent_to(orthanc: Any, archive: Archive, other: Stage) -> None:
    modality = Modality(orthanc, "other")
    assert modality.store(archive.series)["InstancesCount"] == 3
    assert other.stored(other.other) == set(archive.instances)
    modality.store(orthanc_id(2, 1, 1, 1))
    assert len(other.stored(other.other)) == 4


def test_queries_are_deleted_at_once(stage: Stage, moved: Stage) -> None:
    async def run() -> None:
        async with AsyncOrthanc(stage.url, USER, PASSWORD, timeout=TIMEOUT_S) as client:
            query = {"Level": "Patient", "Query": {"PatientID": "*"}}
            await asyncio.gather(*(client.post_modalities_id_query("other", query) for _ in range(4)))
            assert len(await client.get_queries()) >= 4
            await pyorthanc.async_delete_queries(client)
            assert await client.get_queries() == []

    asyncio.run(run())
