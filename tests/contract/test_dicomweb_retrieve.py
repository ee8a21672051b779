"""DICOM files over DICOMweb: of studies, series and instances, in parts, alone, as an archive, in which transfer syntaxes (PS3.18 §10.4)."""

import random
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from typing import Final
from zipfile import ZipFile

import pytest
from pydicom import dcmread

from events.identifiers import Level
from store.dicom.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from store.records import Instance
from tests.contract.dicomweb_stage import HOST, ROOT, address_of, datasets_of, get, parts_of, related, store
from tests.contract.rest_stage import RestStage, error_of, pieces, rest_stage, shown
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.native_pixels import Native, ramp
from tests.pixel_files import ENCODERS, JPEG_LS, LOSSLESS_SV1, RLE, gray, pixel_file
from tools.server.core import Core

DICOM: Final = "application/dicom"
NATIVE: Final = Native(samples=ramp("u1", 2)).file(EXPLICIT_LE, 1)
IMPLICIT: Final = Native(samples=ramp("u1", 2)).file(IMPLICIT_LE, 2)
BIG: Final = Native(samples=ramp("<u2", 2), bits=16).file(EXPLICIT_BE, 3)
SAMPLES: Final = gray(8)
COMPRESSED: Final = pixel_file(JPEG_LS, SAMPLES, [ENCODERS[JPEG_LS](SAMPLES)], instance=4)
VIDEO: Final = pixel_file("1.2.840.10008.1.2.4.102", SAMPLES, [b"\0\0\0\x18ftypmp42"], instance=5)
FILES: Final = (NATIVE, IMPLICIT, BIG, COMPRESSED)


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def syntaxes_of(answer: object) -> list[str]:
    return [str(made.file_meta.TransferSyntaxUID) for made in datasets_of(answer)]  # type: ignore[arg-type] # an Answer


def test_each_level_gives_its_instances_as_they_are_stored(stage: RestStage) -> None:
    other = encode(add_pixels(dataset(9, 1, 2, 1)))
    addresses = store(stage, *FILES, other)
    for level, files in ((1, [*FILES, other]), (2, FILES)):
        parts = parts_of(get(stage, address_of(NATIVE, level), related(DICOM, "*")))
        assert [part.content for part in parts] == list(files)
    for address, file in zip(addresses, (*FILES, other), strict=True):
        assert [part.content for part in parts_of(get(stage, address, related(DICOM, "*")))] == [file]
        alone = get(stage, address, f"{DICOM}; transfer-syntax=*")
        assert (alone.status, alone.headers["Content-Type"], alone.body) == (200, DICOM, file)


def test_nothing_said_is_explicit_little_endian(stage: RestStage) -> None:
    store(stage, *FILES)
    for accept in (None, "*/*", related(DICOM), related("*/*"), "multipart/related", related(DICOM, EXPLICIT_LE)):
        found = datasets_of(get(stage, address_of(NATIVE, 1), accept))
        assert {made.file_meta.TransferSyntaxUID for made in found} == {EXPLICIT_LE}
        assert [made.SOPInstanceUID for made in found] == [dcmread(BytesIO(file)).SOPInstanceUID for file in FILES]
        assert found[3].PixelData == SAMPLES.tobytes()
    assert get(stage, address_of(NATIVE), DICOM).body == NATIVE  # which is so already


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_BE, DEFLATED_LE, RLE, LOSSLESS_SV1, JPEG_LS])
def test_files_are_given_in_the_syntax_that_is_asked_for(stage: RestStage, syntax: str) -> None:
    store(stage, *FILES)
    found = datasets_of(get(stage, address_of(NATIVE, 2), related(DICOM, syntax)))
    assert {made.file_meta.TransferSyntaxUID for made in found} == {syntax}
    assert len(found) == 4


def test_what_has_no_codec_leaves_as_it_is_stored_unless_more_is_asked(stage: RestStage) -> None:
    store(stage, NATIVE, VIDEO)
    assert [part.content for part in parts_of(get(stage, address_of(VIDEO), None))] == [VIDEO]
    assert len(parts_of(get(stage, address_of(VIDEO, 1), None))) == 2
    answer = get(stage, address_of(VIDEO, 1), related(DICOM, EXPLICIT_LE))
    assert [part.content for part in parts_of(answer, 206)] == [NATIVE]
    assert answer.headers["Warning"].startswith('299 sinogram "1 of 2 instances')
    assert error_of(get(stage, address_of(VIDEO), related(DICOM, EXPLICIT_LE)))[0] == 406


def test_a_file_known_to_be_damaged_is_left_out_and_the_answer_says_so(stage: RestStage) -> None:
    store(stage, NATIVE, COMPRESSED)
    with stage.deps.views.snapshot() as s:
        blobs = [each.blob for each in s.list(Level.INSTANCE) if isinstance(each, Instance)]
    path = stage.deps.blobs.path(blobs[0])
    path.write_bytes(b"")
    study = address_of(NATIVE, 1)
    assert error_of(get(stage, study, related(DICOM, "*")))[:2] == (500, 20)  # found now, before anything has left
    answer = get(stage, study, related(DICOM, "*"))
    assert [part.content for part in parts_of(answer, 206)] == [COMPRESSED]
    assert "1 of 2 instances cannot be had" in answer.headers["Warning"]
    assert error_of(get(stage, address_of(NATIVE), related(DICOM, "*")))[0] == 406
    shown(stage.upload(NATIVE))  # which heals it
    assert len(parts_of(get(stage, study, related(DICOM, "*")))) == 2


def test_a_study_comes_as_an_archive(stage: RestStage) -> None:
    store(stage, *FILES)
    answer = get(stage, address_of(NATIVE, 1), "application/zip")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/zip")
    with ZipFile(BytesIO(answer.body)) as archive:
        assert sorted(map(archive.read, archive.namelist())) == sorted(FILES)
    answer = get(stage, address_of(NATIVE, 2), f"application/zip; transfer-syntax={RLE}")
    with ZipFile(BytesIO(answer.body)) as archive:
        made = [dcmread(BytesIO(archive.read(name))) for name in archive.namelist()]
    assert {each.file_meta.TransferSyntaxUID for each in made} == {RLE}


def test_what_cannot_be_had_is_406_and_what_is_not_there_404(stage: RestStage) -> None:
    store(stage, *FILES)
    study = address_of(NATIVE, 1)
    for accept in (
        "image/png",
        related("image/jpeg"),
        DICOM,
        related(DICOM, "1.2.3"),
        related(DICOM) + ";q=0",
        "application/zip;q=0",
        "application/zip; transfer-syntax=1.2.3",
        " ,",
    ):
        assert error_of(get(stage, study, accept))[0] == 406, accept
    for address in (
        "/studies/1.2",
        f"{study}/series/1.2",
        f"{address_of(NATIVE, 2)}/instances/1.2",
        f"/studies/1.2{address_of(NATIVE)[len(study) :]}",
    ):
        assert get(stage, address).status == 404
    assert (
        len(
            parts_of(
                stage.ask(
                    f"{ROOT}{study}?accept=multipart/related;type=%22application/dicom%22",
                    headers={"Host": HOST, "Accept": "image/png"},
                )
            )
        )
        == 4
    )


def test_files_leave_one_after_the_other_in_little_memory(stage: RestStage) -> None:
    large = encode(add_pixels(dataset(9, 5, 1, 1), frames=16, rows=1024, columns=1024, bits=8))
    several = [large.replace(b"7305.9.5.1.1\0", b"7305.9.5.1.%d\0" % number) for number in range(1, 5)]
    store(stage, *several)
    path = ROOT + address_of(several[0], 1)
    size = 0
    tracemalloc.start()
    try:
        for piece in pieces(stage.app, path, "GET", b""):
            size += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert size > sum(map(len, several))


def test_no_accept_is_a_500(stage: RestStage) -> None:
    store(stage, *FILES, VIDEO)
    chance = random.Random(0)
    words = [
        DICOM,
        "multipart/related",
        "type=",
        "transfer-syntax=",
        JPEG_LS,
        RLE,
        EXPLICIT_LE,
        "1.2",
        "*",
        "/",
        ";",
        ";",
        ",",
        '"',
        "q=0.5",
        "q=2",
        "=",
        "application/zip",
        "é\0",
    ]
    for _ in range(200):
        accept = "".join(chance.choices(words, k=chance.randrange(9)))
        answer = get(stage, address_of(COMPRESSED, chance.randrange(1, 4)), accept)
        assert answer.status in {200, 206, 406}, (accept, answer)
