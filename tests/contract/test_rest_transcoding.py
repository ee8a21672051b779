"""Files in another transfer syntax over REST: `/file?transcode=`, `Transcode` of modifications, `IngestTranscoding`."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from actors.services.ingest.settings import IngestSettings
from actors.services.transcoding import compression
from api.rest import instance_content
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.contract.rest_stage import Answer, RestStage, error_of, ids, rest_stage, shown
from tests.native_pixels import Native
from tests.pixel_files import (
    BASELINE,
    ENCODERS,
    FAMILY,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_XL,
    LOSSLESS_SV1,
    RLE,
    gray,
    pixel_file,
)
from tools.server.core import Core

HTJ2K = FAMILY + "201"
SAMPLES = np.random.default_rng(0).integers(0, 200, (2, 20, 24, 1), "u1")
FILE = Native(samples=SAMPLES).file(EXPLICIT_LE)
DAMAGED = pixel_file(JPEG_LS, gray(8), [ENCODERS[JPEG_LS](gray(8))[:40]], instance=7)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def stored(stage: RestStage, file: bytes) -> str:
    name: str = shown(stage.upload(file))["ID"]
    return name


def read(answer: Answer) -> Dataset:
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/dicom"
    return dcmread(BytesIO(answer.body))


ASKED = (IMPLICIT_LE, DEFLATED_LE, EXPLICIT_BE, RLE, LOSSLESS_SV1, JPEG_LS, J2K_LOSSLESS, HTJ2K, JPEG_XL)


def test_a_file_is_given_in_the_syntax_that_is_asked_for(stage: RestStage) -> None:
    uid = dcmread(BytesIO(FILE)).SOPInstanceUID
    for syntax in ASKED:
        name = stored(stage, FILE)
        answer = stage.ask(f"/instances/{name}/file?transcode={syntax}")
        made = read(answer)
        assert (made.file_meta.TransferSyntaxUID, made.SOPInstanceUID) == (syntax, uid)
        assert answer.headers["Content-Disposition"] == f'filename="{name}.dcm"'
        assert stage.ask(f"/instances/{name}/file").body == FILE
        stage.ask(f"/instances/{name}", "DELETE")
        assert stored(stage, answer.body) == name
        back = read(stage.ask(f"/instances/{name}/file?transcode={EXPLICIT_LE}"))
        assert back.PixelData == SAMPLES.tobytes(), syntax
        stage.ask(f"/instances/{name}", "DELETE")


def test_the_syntax_that_a_file_has_is_the_file(stage: RestStage) -> None:
    name = stored(stage, FILE)
    assert stage.ask(f"/instances/{name}/file?transcode={EXPLICIT_LE}&lossy-quality=3").body == FILE


def test_quality_is_what_the_request_says_or_the_configuration(stage: RestStage) -> None:
    name = stored(stage, FILE)
    sizes = [
        len(read(stage.ask(f"/instances/{name}/file?transcode={BASELINE}{quality}")).PixelData)
        for quality in ("&lossy-quality=1", "&lossy-quality=50", "", "&lossy-quality=90", "&lossy-quality=100", "&lossy-quality=4000")
    ]  # fmt: skip
    assert sizes[0] < sizes[1] < sizes[2] == sizes[3] < sizes[4] == sizes[5]


def test_a_large_file_leaves_piece_by_piece_and_is_the_same(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    name = stored(stage, FILE)
    whole = stage.ask(f"/instances/{name}/file?transcode={RLE}")
    monkeypatch.setattr(instance_content, "MAPPED_BYTES", 100)
    monkeypatch.setattr(instance_content, "CHUNK_BYTES", 64)
    monkeypatch.setattr(compression, "IN_MEMORY_BYTES", 100)
    there = stage.ask(f"/instances/{name}/file?transcode={RLE}")
    assert (there.body, there.headers["Content-Length"]) == (whole.body, str(len(whole.body)))


BAD_ARGUMENTS = {
    "transcode=": "Unknown transfer syntax: ",
    "transcode=abc": "Unknown transfer syntax: abc",
    "transcode=1.2.840.10008.1.2.4.99999": "Unknown transfer syntax: 1.2.840.10008.1.2.4.99999",
    f"transcode={RLE}&lossy-quality=abc": 'Expected a Unsigned Int for GET argument "lossy-quality", found: abc',
    "lossy-quality=-5": 'Expected a Unsigned Int for GET argument "lossy-quality", found: -5',
}


def test_bad_arguments_are_refused_as_by_orthanc(stage: RestStage) -> None:
    name = stored(stage, FILE)
    for arguments, details in BAD_ARGUMENTS.items():
        assert error_of(stage.ask(f"/instances/{name}/file?{arguments}")) == (400, 3, details)


def test_what_cannot_be_had_is_404_and_says_why(stage: RestStage) -> None:
    told = Native(samples=SAMPLES.astype("<u4"), bits=32).file(EXPLICIT_LE, instance=2)
    long, damaged = stored(stage, told), stored(stage, DAMAGED)
    status, code, details = error_of(stage.ask(f"/instances/{long}/file?transcode={JPEG_LS}"))
    assert (status, code) == (404, 17)
    assert details.endswith("samples of 32 bits can only be compressed with RLE")
    status, _, details = error_of(stage.ask(f"/instances/{damaged}/file?transcode={EXPLICIT_LE}"))
    assert (status, details[:38]) == (404, "Cannot decode the pixels of an instanc")
    assert error_of(stage.ask(f"/instances/{long}/file?transcode={FAMILY}102"))[0] == 404


def modify(stage: RestStage, name: str, **body: Any) -> Answer:
    return stage.ask(f"/instances/{name}/modify", "POST", json.dumps(body).encode())


def test_a_modified_file_is_compressed_and_is_another_instance(stage: RestStage) -> None:
    name = stored(stage, FILE)
    sizes = []
    for quality in ({}, {"LossyQuality": 5}):
        made = read(modify(stage, name, Transcode=BASELINE, Replace={"PatientName": "Other"}, **quality))
        assert (made.file_meta.TransferSyntaxUID, made.PatientName, made.LossyImageCompression) == (
            BASELINE,
            "Other",
            "01",
        )
        sizes.append(len(made.PixelData))
    assert sizes[1] < sizes[0]
    kept = read(modify(stage, name, Transcode=BASELINE, Keep=["SOPInstanceUID"], Force=True))
    assert kept.SOPInstanceUID != dcmread(BytesIO(FILE)).SOPInstanceUID
    assert kept.SourceImageSequence[0].ReferencedSOPInstanceUID == dcmread(BytesIO(FILE)).SOPInstanceUID


def test_an_anonymised_file_does_not_tell_its_source(stage: RestStage) -> None:
    name = stored(stage, FILE)
    body = json.dumps({"Transcode": BASELINE}).encode()
    answer = stage.ask(f"/instances/{name}/anonymize", "POST", body)
    assert read(answer).LossyImageCompression == "01"
    assert dcmread(BytesIO(FILE)).SOPInstanceUID.encode() not in answer.body


def test_a_quality_that_is_no_number_is_refused(stage: RestStage) -> None:
    name = stored(stage, FILE)
    for quality in ("x", 4.5, True, None):
        answer = modify(stage, name, Transcode=BASELINE, LossyQuality=quality)
        assert error_of(answer) == (400, 15, "Integer value expected in field: LossyQuality"), quality


def test_a_modification_into_what_cannot_be_had_says_why(stage: RestStage) -> None:
    status, code, details = error_of(modify(stage, stored(stage, DAMAGED), Transcode=EXPLICIT_LE))
    assert (status, code) == (500, -1)
    assert details.startswith("Cannot decode the pixels of an instance")


def test_what_comes_in_is_stored_in_the_syntax_of_the_configuration(archive: Core) -> None:
    with rest_stage(archive, incoming=IngestSettings(transcodes_to=BASELINE), ingest_transcoding=BASELINE) as stage:
        assert shown(stage.ask("/system"))["IngestTranscoding"] == BASELINE
        answer = shown(stage.upload(FILE))
        assert ids(stage, "instances") == [answer["ID"]]
        assert stage.ask(f"/instances/{answer['ID']}/metadata/TransferSyntax").body == BASELINE.encode()
        made = read(stage.ask(f"/instances/{answer['ID']}/file"))
        assert made.file_meta.TransferSyntaxUID == BASELINE
        assert shown(stage.upload(FILE))["Status"] == "AlreadyStored"
