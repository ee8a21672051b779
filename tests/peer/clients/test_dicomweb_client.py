"""dicomweb-client, unchanged: the library by which 3D Slicer, MONAI Label and other programs in Python speak DICOMweb.

Every public method is called. In the long run Orthanc with its DICOMweb plugin has to pass the same assertions.
"""

import inspect
import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import imagecodecs
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset, dcmread
from requests import Session
from requests.exceptions import HTTPError

from tests import ct_phantoms as phantoms
from tests.peer.clients.stage import PASSWORD, USER
from tests.peer.conftest import MODERN, NO_ORACLE
from tests.peer.exchange import Server
from tests.peer.servers import Oracle, running, sinogram_command
from tests.peer.worklist_stage import find_plugin

PLAIN, PACKED = phantoms.STUDIES["plain"], phantoms.STUDIES["JPEG-LS"]
USERS: Final = (
    f'"AuthenticationEnabled": true, "RegisteredUsers": {{"{USER}": "{PASSWORD}"}}, "DicomWeb": {{"Enable": true}},'
)
ANY: Final = (("application/dicom", "*"),)


@pytest.fixture(scope="module", params=["sinogram", pytest.param("orthanc", marks=pytest.mark.nightly)])
def server(
    request: pytest.FixtureRequest, oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    command, options = sinogram_command(), USERS
    if request.param == "orthanc":
        plugin = find_plugin(oracle, "libOrthancDicomWeb.so")
        if oracle.version < MODERN or plugin is None:
            pytest.skip(f"{NO_ORACLE}, with its DICOMweb plugin")
        command, options = [oracle.command], f'{USERS} "Plugins": {json.dumps([str(plugin)])},'
    headers = {"Authorization": "Basic ZG9jdG9yOnMzY3JldA=="}
    place = tmp_path_factory.mktemp("dicomweb-client")
    with running(request.param, command, place, options, headers, gently=request.param == "sinogram") as made:
        yield made


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[DICOMwebClient]:
    """A client of a server that has two studies, of one series each, which it has stored."""
    with Session() as session:
        session.auth = (USER, PASSWORD)
        made = DICOMwebClient(f"http://127.0.0.1:{server.http_port}/dicom-web", session=session)
        for name in ("plain", "JPEG-LS"):
            stored = made.store_instances([dcmread(BytesIO(file)) for file in phantoms.files(name)])
            assert len(stored.ReferencedSOPSequence) == phantoms.SLICES
            assert "FailedSOPSequence" not in stored
        yield made


def uids(listed: list[Any], keyword: str) -> set[str]:
    return {getattr(Dataset.from_json(each), keyword) for each in listed}


def test_every_method_is_called_here() -> None:
    text = inspect.getsource(inspect.getmodule(test_every_method_is_called_here))  # type: ignore[arg-type] # of this module
    own = {"set_chunk_size", "set_http_retry_params", "lookup_keyword", "lookup_tag"}  # ask no server
    methods = {name for name, _ in inspect.getmembers(DICOMwebClient, inspect.isfunction) if not name.startswith("_")}
    assert {name for name in methods - own if f".{name}(" not in text} == set()


def test_studies_are_found(server: Server, client: DICOMwebClient) -> None:
    assert uids(client.search_for_studies(), "StudyInstanceUID") == {PLAIN, PACKED}
    for filters in ({"StudyInstanceUID": PLAIN}, {"PatientID": PLAIN[-3:]}, {"0020000D": PLAIN}):
        assert uids(client.search_for_studies(search_filters=filters), "StudyInstanceUID") == {PLAIN}
    if server.name == "sinogram":  # the plugin 1.20 leaves %2A as it is
        assert len(client.search_for_studies(search_filters={"PatientName": "Phantom*"})) == 2
    assert client.search_for_studies(search_filters={"PatientName": "Nobody"}) == []
    [first], [second] = (client.search_for_studies(limit=1, offset=offset) for offset in (0, 1))
    assert first != second
    assert len(client.search_for_studies(limit=1, get_remaining=True)) == 2
    assert len(client.search_for_studies(fuzzymatching=True, search_filters={"PatientName": "Phantom"})) in {0, 2}
    [study] = client.search_for_studies(search_filters={"StudyInstanceUID": PLAIN}, fields=["StudyDescription"])
    assert Dataset.from_json(study).StudyDescription == "Moving bar"


def test_series_and_instances_are_found(client: DICOMwebClient) -> None:
    assert uids(client.search_for_series(), "SeriesInstanceUID") == {f"{PLAIN}.1", f"{PACKED}.1"}
    [series] = client.search_for_series(PLAIN, search_filters={"Modality": "CT"})
    assert Dataset.from_json(series).NumberOfSeriesRelatedInstances == phantoms.SLICES
    wanted = {f"{PLAIN}.1.{number + 1}" for number in range(phantoms.SLICES)}
    for listed in (client.search_for_instances(PLAIN), client.search_for_instances(PLAIN, f"{PLAIN}.1")):
        assert uids(listed, "SOPInstanceUID") == wanted
    assert len(client.search_for_instances()) == 2 * phantoms.SLICES
    [one] = client.search_for_instances(search_filters={"SOPInstanceUID": f"{PLAIN}.1.3"})
    assert Dataset.from_json(one).InstanceNumber == 3


def test_what_monai_label_gathers_of_a_series(client: DICOMwebClient) -> None:
    """It looks a series up by its UID alone, then takes metadata and files, and the tags that stand there."""
    [found] = client.search_for_series(search_filters={"SeriesInstanceUID": f"{PACKED}.1"})
    series = Dataset.from_json(found)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "RetrieveURL"):
        assert getattr(series, keyword), keyword
    members = client.retrieve_series_metadata(series.StudyInstanceUID, series.SeriesInstanceUID)
    metadata = Dataset.from_json(members[0], bulk_data_uri_handler=lambda _tag, _vr, _uri: None)
    assert (metadata.PatientID, metadata.StudyDate, metadata.Rows) == (PACKED[-3:], "20260101", phantoms.SIZE)


def test_files_come_as_they_are_stored_or_uncompressed(client: DICOMwebClient) -> None:
    for files in (client.retrieve_study(PACKED, ANY), list(client.iter_study(PACKED, ANY)), client.retrieve_series(PACKED, f"{PACKED}.1", ANY)):  # fmt: skip
        assert {dataset.file_meta.TransferSyntaxUID for dataset in files} == {"1.2.840.10008.1.2.4.80"}
        assert len(files) == phantoms.SLICES
    assert len(list(client.iter_series(PLAIN, f"{PLAIN}.1"))) == phantoms.SLICES
    plain = client.retrieve_instance(
        PACKED, f"{PACKED}.1", f"{PACKED}.1.2", (("application/dicom", "1.2.840.10008.1.2.1"),)
    )
    assert plain.PixelData == phantoms.stored(1).tobytes()


def test_metadata_at_each_level_and_bulk_data(server: Server, client: DICOMwebClient) -> None:
    assert (
        len(client.retrieve_study_metadata(PLAIN))
        == len(client.retrieve_series_metadata(PLAIN, f"{PLAIN}.1"))
        == phantoms.SLICES
    )
    metadata = client.retrieve_instance_metadata(PLAIN, f"{PLAIN}.1", f"{PLAIN}.1.4")
    assert metadata["00080018"]["Value"] == [f"{PLAIN}.1.4"]
    # The client's header Host lacks the port (RFC 9112 §3.2), so addresses of answers do, too, here as in Orthanc.
    url = str(metadata["7FE00010"]["BulkDataURI"]).replace("//127.0.0.1/", f"//127.0.0.1:{server.http_port}/")
    wanted = [phantoms.stored(3).tobytes()]
    assert client.retrieve_bulkdata(url, ("application/octet-stream",)) == wanted
    if server.name == "sinogram":  # see test_frames
        assert client.retrieve_bulkdata(url) == list(client.iter_bulkdata(url)) == wanted


def test_frames(server: Server, client: DICOMwebClient) -> None:
    path = (PLAIN, f"{PLAIN}.1", f"{PLAIN}.1.5", [1])
    wanted = [phantoms.stored(4).tobytes()]
    assert client.retrieve_instance_frames(*path, ("application/octet-stream",)) == wanted
    if server.name == "sinogram":  # the plugin 1.20 does not take `multipart/related; type="*/*"`
        assert client.retrieve_instance_frames(*path) == list(client.iter_instance_frames(*path)) == wanted
    [frame] = client.retrieve_instance_frames(
        PACKED, f"{PACKED}.1", f"{PACKED}.1.5", [1], (("image/jls", "1.2.840.10008.1.2.4.80"),)
    )
    assert (imagecodecs.jpegls_decode(frame) == phantoms.stored(4)).all()


def test_pictures(client: DICOMwebClient) -> None:
    png = client.retrieve_instance_rendered(PLAIN, f"{PLAIN}.1", f"{PLAIN}.1.1", ("image/png",))
    assert imagecodecs.png_decode(png).shape[:2] == (phantoms.SIZE, phantoms.SIZE)
    jpeg = client.retrieve_instance_frames_rendered(
        PLAIN, f"{PLAIN}.1", f"{PLAIN}.1.1", [1], ("image/jpeg",), {"quality": 90}
    )
    assert imagecodecs.jpeg_decode(jpeg).shape[:2] == (phantoms.SIZE, phantoms.SIZE)
    assert client.retrieve_series_rendered(PLAIN, f"{PLAIN}.1", ("image/jpeg",))[:2] == b"\xff\xd8"


def test_what_is_not_there_is_a_404(client: DICOMwebClient) -> None:
    for ask in (lambda: client.retrieve_study("1.2.3"), lambda: client.retrieve_study_metadata("1.2.3")):
        with pytest.raises(HTTPError, match="404"):
            ask()


def test_resources_are_deleted(server: Server, client: DICOMwebClient) -> None:
    if server.name == "orthanc":
        pytest.skip("the plugin 1.20 deletes by POST of its own alone")
    study = phantoms.STUDIES["JPEG 2000"]
    files = [dcmread(BytesIO(file)) for file in phantoms.files("JPEG 2000")]
    client.store_instances(files, study)
    client.delete_instance(study, f"{study}.1", f"{study}.1.1")
    assert len(client.search_for_instances(study)) == phantoms.SLICES - 1
    client.delete_series(study, f"{study}.1")
    assert client.search_for_instances(study) == []
    client.store_instances(files[:1], study)
    client.delete_study(study)
    assert uids(client.search_for_studies(), "StudyInstanceUID") == {PLAIN, PACKED}
