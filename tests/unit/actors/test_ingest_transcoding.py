"""`IngestTranscoding`: what is stored is the file in the syntax of the configuration, or as it came."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from pydicom import dcmread

from actors.services.codecs.pool import CodecPool
from actors.services.ingest.ingest_transcoding import IngestTranscoder
from actors.services.transcoding.targets import Target
from actors.services.transcoding.transcode import transcode
from store.dicom.part10 import find_dataset
from store.dicom.received import Announced
from store.dicom.summary import summarize
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.data_factory import dataset, encode
from tests.ingest_stage import Gate, both_ways
from tests.native_pixels import Native
from tests.pixel_files import BASELINE, ENCODERS, J2K, JPEG_LS, RLE, gray, pixel_file
from tests.scripts_stage import run_scripts

NATIVE = EXPLICIT_LE


@pytest.fixture(scope="module")
def codecs() -> Iterator[CodecPool]:
    pool = CodecPool()
    yield pool
    pool.close()


@pytest.fixture
def transcoding(gate: Gate, codecs: CodecPool) -> Any:
    """A function that sets the options."""
    gate.ingest.transcoder = IngestTranscoder(codecs)

    def set_options(syntax: str, **options: Any) -> None:
        gate.settings = replace(gate.settings, transcodes_to=syntax, **options)

    return set_options


def native_file(**attributes: Any) -> bytes:
    return Native(samples=gray(8)[None, :, :, None]).file(EXPLICIT_LE, **attributes)


FILE = native_file()


def stored_syntaxes(gate: Gate) -> list[str]:
    """The syntax that the index has of each instance, which is that of its file."""
    found = []
    for record in gate.instances:
        summary = summarize(gate.blobs.path(record.blob).read_bytes())
        assert summary.transfer_syntax == record.transfer_syntax
        assert (summary.pixel_data_offset, summary.pixel_data_vr) == (record.pixel_data_offset, record.pixel_data_vr)
        found.append(record.transfer_syntax)
    return found


@both_ways
@pytest.mark.parametrize("syntax", [JPEG_LS, RLE, IMPLICIT_LE])
def test_the_stored_file_is_the_transcoded_one(gate: Gate, transcoding: Any, codecs: CodecPool, syntax: str) -> None:
    transcoding(syntax)
    assert gate.send(FILE, 100).status == "Success"
    assert stored_syntaxes(gate) == [syntax]
    made = transcode(FILE, Target(syntax), codecs)
    assert gate.read() == made.head() + bytes(made.dataset)
    assert gate.send(FILE).status == "AlreadyStored"


@both_ways
def test_a_dataset_of_a_c_store_is_transcoded_and_says_who_sent_it(gate: Gate, transcoding: Any) -> None:
    transcoding(JPEG_LS)
    told = summarize(FILE)
    announced = Announced(told.sop_class, told.sop_uid, NATIVE)
    assert gate.receive(FILE[find_dataset(FILE) :], announced, 100).status == "Success"
    assert stored_syntaxes(gate) == [JPEG_LS]
    assert gate.read()[:132] == bytes(128) + b"DICM"


def test_the_answer_names_the_instance_that_is_stored(gate: Gate, transcoding: Any) -> None:
    """With loss that is another one; the same file twice is the same instance twice."""
    transcoding(BASELINE)
    first, again = gate.send(FILE), gate.send(FILE)
    (record,) = gate.instances
    assert first.ids.instance == again.ids.instance == record.id != summarize(FILE).ids.instance
    assert (first.status, again.status) == ("Success", "AlreadyStored")
    assert dcmread(BytesIO(gate.read())).LossyImageCompression == "01"


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        ({}, [RLE, RLE]),
        ({"transcodes_uncompressed": False}, [RLE, NATIVE]),
        ({"transcodes_compressed": False}, [JPEG_LS, RLE]),
    ],
)
def test_what_is_compressed_and_what_is_not_can_be_left_alone(
    gate: Gate, transcoding: Any, options: dict[str, bool], stored: list[str]
) -> None:
    transcoding(RLE, **options)
    for file in (FILE, pixel_file(JPEG_LS, gray(8), [ENCODERS[JPEG_LS](gray(8))], instance=2)):
        gate.send(file)
    assert sorted(stored_syntaxes(gate)) == sorted(stored)


@both_ways
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (native_file(BitsStored=7), "High Bit"),
        (pixel_file(J2K, gray(8), [b"\xff\x4f\xff\x51 no more"]), "cut short"),
    ],
    ids=["does not fit", "cannot be decoded"],
)
def test_a_file_that_cannot_be_had_is_stored_as_it_came_with_a_warning(
    gate: Gate, transcoding: Any, caplog: pytest.LogCaptureFixture, file: bytes, said: str
) -> None:
    transcoding(JPEG_LS)
    with caplog.at_level(logging.WARNING):
        assert gate.send(file).status == "Success"
    assert gate.read() == file
    assert f"sop_instance={summarize(file).sop_uid}" in caplog.text
    assert said in caplog.text


def test_what_has_no_pixels_or_is_there_already_is_left_alone(
    gate: Gate, transcoding: Any, caplog: pytest.LogCaptureFixture
) -> None:
    transcoding(RLE)
    bare, compressed = encode(dataset(2)), pixel_file(RLE, gray(8), [ENCODERS[RLE](gray(8))], instance=3)
    for file in (bare, compressed):
        gate.send(file)
    assert {gate.blobs.path(record.blob).read_bytes() for record in gate.instances} == {bare, compressed}
    assert not caplog.records


def test_a_filter_sees_the_file_that_would_be_stored(gate: Gate, transcoding: Any) -> None:
    transcoding(RLE)
    script = "function ReceivedInstanceFilter(dicom, origin, info) print(info.TransferSyntaxUID) return false end"
    with run_scripts(script) as scripts:
        gate.ingest.filters = scripts.filters
        assert gate.send(FILE).status == "FilteredOut"
        assert scripts.printed == [RLE]
    assert gate.files == {}


def test_an_instance_that_is_known_is_not_encoded_again(
    gate: Gate, transcoding: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcoding(RLE)
    gate.send(FILE)
    monkeypatch.setattr(IngestTranscoder, "run", lambda *_: pytest.fail("it was encoded"))
    assert gate.send(FILE).status == "AlreadyStored"


@pytest.mark.parametrize(("overwrite", "status"), [("IfChanged", "AlreadyStored"), ("Always", "Success")])
def test_overwriting_compares_what_would_be_stored(gate: Gate, transcoding: Any, overwrite: str, status: str) -> None:
    transcoding(RLE, overwrite=overwrite)
    gate.send(FILE)
    assert gate.send(FILE).status == status
    assert stored_syntaxes(gate) == [RLE]


def test_without_codecs_files_stay_as_they_are(gate: Gate) -> None:
    gate.settings = replace(gate.settings, transcodes_to=RLE)
    gate.send(FILE)
    assert gate.read() == FILE
