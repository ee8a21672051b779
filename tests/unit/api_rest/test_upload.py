"""Which bytes of a body become which upload, and that none stays open."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.rest.settings import RestSettings
from api.rest.upload import Receiver
from events.errors import InvalidDicom, InvalidRequest, MissingTag, StorageFull
from store.dicom.limits import BeyondLimits
from store.records import Origin
from tests.unit.api_rest.fakes import FakeIngest

ORIGIN = Origin(kind="RestApi", remote_ip="192.0.2.1", username="alice")
STORED = {
    "ID": "44444444-44444444-44444444-44444444-44444444",
    "ParentPatient": "11111111-11111111-11111111-11111111-11111111",
    "ParentSeries": "33333333-33333333-33333333-33333333-33333333",
    "ParentStudy": "22222222-22222222-22222222-22222222-22222222",
    "Path": "/instances/44444444-44444444-44444444-44444444-44444444",
    "Status": "Success",
}


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
def receiver(ingest: FakeIngest, tmp_path: Path) -> Receiver:
    return Receiver(ingest, RestSettings(temporary_directory=tmp_path), ORIGIN, b"12345678", lambda: False)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def test_a_file_is_passed_on_in_the_chunks_that_came(receiver: Receiver, ingest: FakeIngest) -> None:
    assert receiver.receive(iter([b"D", b"ICOM", b" file"]), allow_zip=True) == STORED
    assert ingest.stored == [b"DICOM file"]
    assert max(ingest.uploads[0].chunks) == 5
    assert ingest.uploads[0].origin == ORIGIN
    assert ingest.uploads[0].correlation == b"12345678"


def test_an_archive_gives_a_list(receiver: Receiver, ingest: FakeIngest, tmp_path: Path) -> None:
    data = zipped(a=b"DICOM 1", b=b"text", c=b"DICOM 2")
    assert receiver.receive(iter([data[:2], data[2:]]), allow_zip=True) == [STORED, STORED]
    assert ingest.stored == [b"DICOM 1", b"DICOM 2"]
    assert list(tmp_path.iterdir()) == []


def test_an_archive_is_no_archive_inside_gzip(receiver: Receiver) -> None:
    with pytest.raises(InvalidDicom):
        receiver.receive(iter([zipped(a=b"DICOM 1")]), allow_zip=False)


def test_an_empty_body_is_refused_in_orthancs_words(receiver: Receiver) -> None:
    with pytest.raises(InvalidDicom, match="Received an empty DICOM file"):
        receiver.receive(iter([]), allow_zip=True)


def test_what_cannot_be_parsed_is_refused_with_its_size(receiver: Receiver) -> None:
    with pytest.raises(InvalidDicom, match=r"Cannot parse an invalid DICOM file \(size: 7 bytes\)"):
        receiver.receive(iter([b"gar", b"bage"]), allow_zip=True)


def test_a_missing_identifier_is_told_without_details(receiver: Receiver, ingest: FakeIngest) -> None:
    ingest.error = MissingTag("Inexistent tag")
    with pytest.raises(MissingTag) as caught:
        receiver.receive(iter([b"DICOM"]), allow_zip=True)
    assert caught.value.args == ()


def test_a_limit_is_told_in_its_own_words(receiver: Receiver, ingest: FakeIngest) -> None:
    ingest.error = BeyondLimits("the dataset has too many elements and items")
    with pytest.raises(InvalidDicom, match="too many elements"):
        receiver.receive(iter([b"DICOM"]), allow_zip=True)


def test_empty_identifiers_are_told_as_such(receiver: Receiver, ingest: FakeIngest) -> None:
    ingest.error = InvalidDicom("missing StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID")
    with pytest.raises(InvalidDicom, match="missing StudyInstanceUID"):
        receiver.receive(iter([b"DICOM"]), allow_zip=True)


@pytest.mark.parametrize("error", [StorageFull(), RuntimeError()])
def test_no_upload_stays_open_when_storing_fails(receiver: Receiver, ingest: FakeIngest, error: Exception) -> None:
    ingest.error = error
    with pytest.raises(type(error)):
        receiver.receive(iter([b"DICOM"]), allow_zip=True)
    assert not any(upload.is_open for upload in ingest.uploads)


def test_no_upload_stays_open_when_the_client_goes_away(receiver: Receiver, ingest: FakeIngest) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"DICOM"
        raise InvalidRequest("gone")

    with pytest.raises(InvalidRequest):
        receiver.receive(chunks(), allow_zip=True)
    assert ingest.stored == []
    assert not ingest.uploads[0].is_open


def test_no_temporary_file_stays_when_the_client_goes_away(receiver: Receiver, tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"PK\x03\x04"
        raise InvalidRequest("gone")

    with pytest.raises(InvalidRequest):
        receiver.receive(chunks(), allow_zip=True)
    assert list(tmp_path.iterdir()) == []
