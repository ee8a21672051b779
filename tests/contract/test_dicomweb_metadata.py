"""Metadata over DICOMweb: what is in it, bulk data by address, what is kept and when it is made anew (PS3.18 §10.4.1.1.2, Annex F)."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from actors.messages.dicomweb_settings import DicomWebSettings
from events.identifiers import Level
from store.dicom import dicom_json
from store.records import Instance
from tests.contract.dicomweb_stage import HOST, address_of, get, parts_of, related, store
from tests.contract.rest_stage import Answer, RestStage, rest_stage, shown
from tests.data_factory import made_files
from tests.dicom_bytes import add_pixels, dataset, encode, uid
from tests.pixel_files import ENCODERS, JPEG_LS, gray, pixel_file
from tools.server.core import Core

JSON: Final = "application/dicom+json"
XML: Final = "application/dicom+xml"


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


def metadata(stage: RestStage, address: str, status: int = 200, **headers: str) -> list[dict[str, Any]]:
    answer = get(stage, f"{address}/metadata", **headers)
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == JSON
    body = gzip.decompress(answer.body) if answer.headers.get("Content-Encoding") == "gzip" else answer.body
    found: list[dict[str, Any]] = json.loads(body)
    return found


def _coded(value: str) -> Dataset:
    made = Dataset()
    made.CodeValue = value
    return made


def with_bulk(instance: int = 1, **values: object) -> Dataset:
    """A dataset with binary values at the top, in items and in private blocks."""
    made = add_pixels(dataset(77, 1, 1, instance, **values))
    inner, middle = Dataset(), Dataset()
    inner.add_new(0x00283006, "OW", b"\1\0" * 20)
    middle.add_new(0x00081199, "SQ", Sequence([_coded("A"), inner]))
    middle.add_new(0x00090010, "LO", "X")
    middle.add_new(0x00091001, "OB", b"abcd")
    made.add_new(0x00283010, "SQ", Sequence([middle, inner]))
    made.add_new(0x00090010, "LO", "X")
    made.add_new(0x00091001, "OB", b"")
    made.add_new(0x00091002, "OB", b"abc\0")
    made.add_new(0x00091003, "UN", b"unknown!")
    return made


def cached(stage: RestStage) -> list[Path]:
    return sorted((stage.deps.views.folder / "dicomweb").glob("*"))


def test_binary_values_are_told_by_addresses_that_give_them(stage: RestStage) -> None:
    (address,) = store(stage, encode(with_bulk()))
    (found,) = metadata(stage, address)
    at = f"http://{HOST}/dicom-web{address}/bulk/"
    assert found["00091001"] == {"vr": "OB"}
    assert found["00091002"] == {"vr": "OB", "BulkDataURI": f"{at}00091002"}
    assert found["00091003"] == {"vr": "UN", "BulkDataURI": f"{at}00091003"}
    assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{at}7fe00010"}
    first, second = found["00283010"]["Value"]
    assert first["00081199"]["Value"][-1]["00283006"]["BulkDataURI"] == f"{at}00283010/1/00081199/2/00283006"
    assert first["00091001"]["BulkDataURI"] == f"{at}00283010/1/00091001"
    assert second["00283006"]["BulkDataURI"] == f"{at}00283010/2/00283006"
    values: dict[str, bytes] = {}

    def read(element: object, uri: str) -> bytes:
        answer = get(stage, uri.removeprefix(f"http://{HOST}/dicom-web"), related("application/octet-stream"))
        values[uri] = b"".join(part.content for part in parts_of(answer))
        return values[uri]

    back = Dataset.from_json(found, lambda tag, vr, uri: read(tag, uri))
    expected = with_bulk()
    expected[0x00091001].value = None
    assert back == expected
    assert len(values) == 6


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_metadata_is_the_same_whatever_the_file_is_written_in(stage: RestStage, syntax: str) -> None:
    made = with_bulk(2)
    del made[0x00091002], made[0x00091003], made[0x00283010]  # whose VRs implicit files do not tell
    plain = with_bulk(1)
    del plain[0x00091002], plain[0x00091003], plain[0x00283010]
    store(stage, encode(plain), encode(made, syntax))
    one, other = metadata(stage, address_of(encode(plain), 2))
    for each in one.keys() - {"00080018", "00091001", "00200013", "7FE00010"}:
        assert one[each] == other[each], each
    assert one.keys() == other.keys()


def test_every_file_has_the_metadata_that_it_has_alone(stage: RestStage) -> None:
    """Texts of elements are kept from instance to instance: none may get into another where it does not belong."""
    for sample in made_files():
        stage.upload(sample.data)
    studies = [each["MainDicomTags"]["StudyInstanceUID"] for each in shown(stage.ask("/studies?expand"))]
    assert len(studies) > 10
    for study in studies:
        for found in metadata(stage, f"/studies/{study}"):
            series, instance = (found[tag]["Value"][0] for tag in ("0020000E", "00080018"))
            assert metadata(stage, f"/studies/{study}/series/{series}/instances/{instance}") == [found]


def test_levels_name_what_lies_below_and_compressed_pixels_have_an_address(stage: RestStage) -> None:
    samples = gray(8)
    compressed = pixel_file(JPEG_LS, samples, [ENCODERS[JPEG_LS](samples)], instance=3)
    files = [encode(dataset(9, 1, 1, 1)), encode(dataset(9, 1, 2, 2)), compressed]
    store(stage, *files)
    for level, expected in ((1, [1, 3, 2]), (2, [1, 3]), (3, [1])):
        found = metadata(stage, address_of(files[0], level))
        assert [each["00200013"]["Value"] for each in found] == [[number] for number in expected]
    (one,) = metadata(stage, address_of(compressed))
    assert one["7FE00010"]["BulkDataURI"].endswith("/bulk/7fe00010")
    assert all(not tag.startswith("0002") for tag in one)
    for address in (
        "/studies/1.2",
        f"{address_of(files[0], 1)}/series/1.2",
        f"{address_of(files[0], 2)}/instances/1.2",
    ):
        assert get(stage, f"{address}/metadata").status == 404


def test_json_or_xml_as_the_client_likes(stage: RestStage) -> None:
    (address, _) = store(stage, encode(with_bulk()), encode(with_bulk(2)))
    study = address_of(encode(with_bulk()), 1)
    for accept in (None, "*/*", JSON, "application/json", f"{related(XML)};q=0.1, {JSON}"):
        assert json.loads(get(stage, f"{study}/metadata", accept).body)
    parts = parts_of(get(stage, f"{study}/metadata", related(XML)))
    assert [part.headers["Content-Type"] for part in parts] == [XML, XML]
    assert f'<BulkData uri="http://{HOST}/dicom-web{address}/bulk/7fe00010" />'.encode() in parts[0].content
    for accept in ("text/html", "image/png", related("application/dicom")):
        assert get(stage, f"{study}/metadata", accept).status == 406


def test_what_is_kept_is_used_until_something_changes(stage: RestStage) -> None:
    files = [encode(dataset(9, 1, series, number)) for series in (1, 2) for number in (1, 2)]
    store(stage, *files)
    study = address_of(files[0], 1)
    assert not cached(stage)
    first = get(stage, f"{study}/metadata")
    kept = cached(stage)
    assert len(kept) == 2
    assert get(stage, f"{study}/metadata").body == first.body
    assert cached(stage) == kept
    _spoil_text(kept[0])  # a series is read from its file
    assert get(stage, f"{study}/metadata").body != first.body
    kept[0].write_bytes(kept[0].read_bytes()[:-1])  # which is cut, and made again
    assert get(stage, f"{study}/metadata").body == first.body
    tag = first.headers["Etag"]
    assert get(stage, f"{study}/metadata", If_None_Match=tag).status == 304
    store(stage, encode(dataset(9, 1, 2, 3)))
    second = get(stage, f"{study}/metadata", If_None_Match=tag)
    assert (second.status, len(json.loads(second.body))) == (200, 5)
    for instance in shown(stage.ask("/instances?expand")):
        if instance["MainDicomTags"]["SOPInstanceUID"] == uid(9, 1, 1, 1):
            stage.ask(f"/instances/{instance['ID']}", "DELETE")
    assert len(metadata(stage, study)) == 4


def _spoil_text(path: Path) -> None:
    """Put another text into a kept file, which is right by its checksum."""
    from api.dicomweb.retrieve.deflated import Deflated
    from events.identifiers import Ref
    from store.derived_files import DerivedFiles

    series, digest = path.name.split("-")
    DerivedFiles(path.parent).write(Ref(int(series, 16)), bytes.fromhex(digest), Deflated.of([b"{}"]).pack())


def test_an_address_of_its_own_for_each_name_of_the_server(stage: RestStage) -> None:
    (address,) = store(stage, encode(with_bulk()))
    series = address_of(encode(with_bulk()), 2)
    here = metadata(stage, series)
    there = metadata(stage, series, Host="other.test")
    again = metadata(stage, series)
    assert here == again
    assert there[0]["7FE00010"]["BulkDataURI"] == f"http://other.test/dicom-web{address}/bulk/7fe00010"


def test_a_client_that_takes_gzip_gets_what_is_kept(stage: RestStage) -> None:
    files = [encode(with_bulk(number, SeriesInstanceUID=uid(77, 1, number % 5))) for number in range(1, 40)]
    store(stage, *files)
    study = address_of(files[0], 1)
    plain = get(stage, f"{study}/metadata")
    for _ in range(2):
        packed = get(stage, f"{study}/metadata", Accept_Encoding="gzip, br")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == plain.body
        assert len(packed.body) < len(plain.body) / 5
    assert "Content-Encoding" not in get(stage, f"{study}/metadata", Accept_Encoding="br, gzip;q=0").headers
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept, Accept-Encoding"


def test_an_instance_whose_file_is_damaged_is_left_out_and_the_answer_says_so(stage: RestStage) -> None:
    files = [encode(dataset(9, 1, 1, number)) for number in (1, 2, 3)]
    store(stage, *files)
    study = address_of(files[0], 1)
    with stage.deps.views.snapshot() as s:
        blob = next(stage.deps.blobs.path(each.blob) for each in s.list(Level.INSTANCE) if isinstance(each, Instance))
    content = blob.read_bytes()
    blob.write_bytes(b"")
    for _ in range(2):  # found by the first, known by the second
        answer: Answer = get(stage, f"{study}/metadata")
        assert (answer.status, len(json.loads(answer.body))) == (206, 2)
        assert "1 of 3 instances cannot be had" in answer.headers["Warning"]
    shown(stage.upload(content))
    assert len(metadata(stage, study)) == 3


def test_nothing_is_kept_where_the_configuration_says_so(archive: Core) -> None:
    with rest_stage(archive, dicom_web=DicomWebSettings(caches_metadata=False)) as stage:
        (address,) = store(stage, encode(with_bulk()))
        series = address.partition("/instances")[0]
        assert metadata(stage, series) == metadata(stage, series)
        assert not cached(stage)


def test_the_index_may_answer_instead_of_files(archive: Core) -> None:
    files = [
        encode(
            with_bulk(
                number, KVP="120", SliceThickness=str(number), PatientName="Müller", SpecificCharacterSet="ISO_IR 100"
            )
        )
        for number in (1, 2, 3, 4)
    ]
    found = {}
    for mode in ("Full", "MainDicomTags", "Extrapolate"):
        settings = DicomWebSettings(studies_metadata=mode, series_metadata="Full")
        with rest_stage(archive, dicom_web=settings) as stage:
            store(stage, *files)
            found[mode] = metadata(stage, address_of(files[0], 1))
            assert metadata(stage, address_of(files[0], 2)) == found["Full"]
            assert metadata(stage, address_of(files[0])) == found["Full"][:1]
    for mode in ("MainDicomTags", "Extrapolate"):
        for one, full in zip(found[mode], found["Full"], strict=True):
            assert one.pop("00080005")["Value"] == ["ISO_IR 192"]
            assert one == {tag: full[tag] for tag in one}
            assert {"0020000D", "0020000E", "00080018", "00200013", "00100010", "00080060", "00080016"} <= one.keys()
            assert ("00180060" in one, "00280010" in one) == (mode == "Extrapolate",) * 2
            assert not {"00180050", "7FE00010", "00283010", "00091002"} & one.keys()


def test_of_a_file_beyond_our_limits_the_index_answers(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [encode(with_bulk(number, ImageComments="x" * 60)) for number in (1, 2)]
    (address, _) = store(stage, *files)
    monkeypatch.setattr(dicom_json, "MAX_BYTES", 50)
    for one in metadata(stage, address.partition("/instances")[0]):
        assert one["00100020"] == {"vr": "LO", "Value": ["PAT77"]}
        assert "00283010" not in one
