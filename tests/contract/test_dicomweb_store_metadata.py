"""STOW-RS of metadata and bulk data: the files that are made of them (PS3.18 §10.5.1, §8.7.3, Annex F; PS3.19 Annex A)."""

import base64
import io
import itertools
import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames

from actors.wire.multipart import RELATED, parse_boundary, parts
from api.dicomweb.store import instances as store
from api.dicomweb.store import metadata as store_metadata
from tests.contract.rest_stage import Answer, RestStage, ids
from tests.contract.shared_stage import empty, shared_stage
from tests.contract.test_dicomweb_store import told
from tests.dicom_bytes import MR, uid
from tests.property.test_stored_models import compare

JPEG = "1.2.840.10008.1.2.4."
_numbers = itertools.count(1)
Model = dict[str, Any]
Bulk = tuple[Mapping[str, str], bytes]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    with shared_stage(tmp_path_factory.mktemp("archive")) as stage:
        yield stage


@pytest.fixture
def stage(shared: RestStage) -> Iterator[RestStage]:
    yield shared
    empty(shared)


def model(**elements: Any) -> Model:
    """A dataset of the DICOM JSON Model; `elements` by tags, with a `t` before each."""
    uids = (
        ("00080016", MR),
        ("00080018", uid(5, 1, 1, next(_numbers))),
        ("0020000D", uid(5, 1)),
        ("0020000E", uid(5, 1, 1)),
    )
    plain = {tag: {"vr": "UI", "Value": [value]} for tag, value in uids}
    return plain | {"00100020": {"vr": "LO", "Value": ["P5"]}} | {name[1:]: each for name, each in elements.items()}


def instance_of(made: Model) -> str:
    return str(made["00080018"]["Value"][0])


def related(metadata: bytes, *bulk: Bulk, kind: str = "application/dicom+json") -> bytes:
    parts = [({"Content-Type": kind}, metadata), *bulk]
    heads = ("".join(f"{name}: {value}\r\n" for name, value in headers.items()) for headers, _ in parts)
    return (
        b"".join(b"--XX\r\n%b\r\n%b\r\n" % (head.encode(), data) for head, (_, data) in zip(heads, parts, strict=True))
        + b"--XX--\r\n"
    )


def post(stage: RestStage, metadata: object, *bulk: Bulk, kind: str = "application/dicom+json") -> Answer:
    document = metadata if isinstance(metadata, bytes) else json.dumps(metadata).encode()
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=XX', "Host": "pacs"}
    return stage.ask("/dicom-web/studies", "POST", related(document, *bulk, kind=kind), headers)


def at(location: str, data: bytes, kind: str = "application/octet-stream") -> Bulk:
    return {"Content-Type": kind, "Content-Location": location}, data


def stored(stage: RestStage, *, of: int = 1) -> FileDataset:
    """The only instance of the archive, as pydicom reads its file."""
    identifiers = ids(stage, "instances")
    assert len(identifiers) == of
    return pydicom.dcmread(io.BytesIO(stage.ask(f"/instances/{identifiers[0]}/file").body))


def refused(stage: RestStage, metadata: Model, *bulk: Bulk, reason: int = 0xC000, status: int = 400) -> str:
    """What the client is told of an instance that is not stored."""
    answer = post(stage, metadata, *bulk)
    assert told(answer) == {"status": status, "failed": [(instance_of(metadata), reason)]}
    assert ids(stage, "instances") == []
    return answer.headers["Warning"]


# -- values -----------------------------------------------------------------------------------------------------------

VALUES: dict[str, tuple[str, list[Any], Any]] = {
    # tag: VR, values in JSON, value that pydicom reads
    "00080008": ("CS", ["ORIGINAL", "PRIMARY", None, "A"], ["ORIGINAL", "PRIMARY", "", "A"]),
    "00080020": ("DA", ["20240102"], "20240102"),
    "00081030": ("LO", ["Größe ✓"], "Größe ✓"),
    "00100010": ("PN", [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "00101001": ("PN", [{"Ideographic": "山"}, {"Alphabetic": "B"}], ["=山", "B"]),
    "00104000": ("LT", ["one\\two\r\nthree"], "one\\two\r\nthree"),
    "00101030": ("DS", [72.5], 72.5),
    "00281050": ("DS", ["1e3", 0.1, -1234567.890123456789, 4], [1000.0, 0.1, -1234567.8901235, 4.0]),
    "00200013": ("IS", [12], 12),
    "00080301": ("US", [1], 1),
    "00280106": ("SS", [-32768], -32768),
    "00189219": ("SS", [-1], -1),
    "00186020": ("SL", [-(1 << 31)], -(1 << 31)),
    "00186016": ("UL", [(1 << 32) - 1], (1 << 32) - 1),
    "00189073": ("FD", [1.5], 1.5),
    "00189076": ("FD", [1e308, "-inf"], [1e308, -float("inf")]),
    "00720076": ("FL", [0.25, 3], [0.25, 3.0]),
    "00280009": ("AT", ["00181063", "0018106A"], [0x00181063, 0x0018106A]),
    "00720082": ("SV", [-(1 << 63), "5"], [-(1 << 63), 5]),
    "00720083": ("UV", [(1 << 64) - 1], (1 << 64) - 1),
    "0020930E": ("UT", ["x" * 70_000], "x" * 70_000),
    "00080120": ("UR", ["http://a/b"], "http://a/b"),
    "00091001": ("UN", [], None),
    "00090010": ("LO", ["OWNER"], "OWNER"),
}  # fmt: skip


def test_every_kind_of_value_stands_in_the_file(stage: RestStage) -> None:
    elements = {f"t{tag}": {"vr": vr, "Value": values} for tag, (vr, values, _) in VALUES.items()}
    made = model(**elements)
    assert told(post(stage, [made])) == {"status": 200, "stored": [instance_of(made)]}
    found = stored(stage)
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert [each.tag for each in found] == sorted(each.tag for each in found)
    for tag, (vr, _, expected) in VALUES.items():
        element = found[int(tag, 16)]
        assert (tag, element.VR) == (tag, vr)
        shown = list(element.value) if isinstance(expected, list) else element.value
        assert (tag, shown) == (tag, expected)


def test_binary_values_stand_in_the_metadata_or_beside_them(stage: RestStage) -> None:
    made = model(
        t00420011={"vr": "OB", "BulkDataURI": "bulk/1"},
        t00282000={"vr": "OB", "InlineBinary": base64.b64encode(b"abc").decode()},
        t00281201={"vr": "OW", "BulkDataURI": "http://pacs/dicom-web/studies/bulk/2"},
        t00104000={"vr": "LT", "BulkDataURI": "cid:text@a"},
        t00720080={"vr": "OF", "BulkDataURI": "floats"},
        t00720078={"vr": "UL", "BulkDataURI": "floats"},
    )
    assert (
        post(
            stage,
            [made],
            ({"Content-ID": "<text@a>", "Content-Type": "text/plain"}, "Größe".encode() + b"!!"),
            at("/dicom-web/bulk/1", b"%PDF-", "application/pdf"),
            at("http://pacs/dicom-web/studies/bulk/2", b"\1\2\3\4"),
            at("floats", struct.pack("<2f", 1, 2)),
            at("unused", b"x"),
        ).status
        == 200
    )
    found = stored(stage)
    assert found[0x00420011].value == b"%PDF-\0"
    assert found[0x00282000].value == b"abc\0"
    assert found[0x00281201].value == b"\1\2\3\4"
    assert found[0x00104000].value == "Größe!!"
    assert found[0x00720080].value == struct.pack("<2f", 1, 2)
    assert found[0x00720078].value == list(struct.unpack("<2I", struct.pack("<2f", 1, 2)))


def test_sequences_and_what_is_in_them_stand_in_the_file(stage: RestStage) -> None:
    inner = {"00080100": {"vr": "SH", "Value": ["ü"]}, "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]}}
    item = {"00082228": {"vr": "SQ", "Value": [inner, {}, None]}, "00080104": {"vr": "LO", "Value": ["A"]}}
    bulk = {"00420011": {"vr": "OB", "BulkDataURI": "b"}}
    made = model(
        t00082218={"vr": "SQ", "Value": [item, bulk]}, t00081115={"vr": "SQ"}, t00091002={"vr": "SQ", "Value": [inner]}
    )
    assert post(stage, [made], at("b", b"odd")).status == 200
    found = stored(stage)
    first, second = found[0x00082218].value
    assert [list(each.keys()) for each in first[0x00082228].value] == [[0x00080005, 0x00080100], [], []]
    assert first[0x00082228].value[0].CodeValue == "ü"
    assert second[0x00420011].value == b"odd\0"
    assert list(found[0x00081115].value) == []
    assert found[0x00091002].value[0].CodeValue == "ü"


def test_the_vr_of_the_dictionary_is_taken_where_none_is_told(stage: RestStage) -> None:
    made = model(t00280010={"Value": [5]}, t00080060={"Value": ["MR"]})
    assert post(stage, [made]).status == 200
    assert (stored(stage).Rows, stored(stage).Modality) == (5, "MR")


def test_what_belongs_to_the_file_is_not_taken_from_the_metadata(stage: RestStage) -> None:
    made = model(
        t00020010={"vr": "UI", "Value": ["1.2.3"]},
        t00080000={"vr": "UL", "Value": [7]},
        t00080005={"vr": "CS", "Value": ["ISO 2022 IR 87"]},
    )
    assert post(stage, [made]).status == 200
    found = stored(stage)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert found.file_meta.MediaStorageSOPInstanceUID == instance_of(made)
    assert (0x0008, 0x0000) not in found
    assert found.SpecificCharacterSet == "ISO_IR 192"


UNFIT: dict[str, Model] = {
    "number as text": {"vr": "LO", "Value": [5]},
    "list as text": {"vr": "LO", "Value": [["a"]]},
    "boolean": {"vr": "US", "Value": [True]},
    "backslash": {"vr": "LO", "Value": ["a\\b"]},
    "backslash in a name": {"vr": "PN", "Value": [{"Alphabetic": "a\\b"}]},
    "name of numbers": {"vr": "PN", "Value": [{"Alphabetic": 5}]},
    "name as a number": {"vr": "PN", "Value": [5]},
    "US beyond": {"vr": "US", "Value": [65536]},
    "US negative": {"vr": "US", "Value": [-1]},
    "US fraction": {"vr": "US", "Value": [1.5]},
    "US words": {"vr": "US", "Value": ["five"]},
    "US underscore": {"vr": "US", "Value": ["1_0"]},
    "US null": {"vr": "US", "Value": [None]},
    "FL beyond": {"vr": "FL", "Value": [1e39]},
    "IS fraction": {"vr": "IS", "Value": [1.5]},
    "AT": {"vr": "AT", "Value": ["PatientID"]},
    "AT in C": {"vr": "AT", "Value": ["0x001020"]},
    "OB as values": {"vr": "OB", "Value": [1]},
    "base64": {"vr": "OB", "InlineBinary": "*"},
    "base64 of numbers": {"vr": "OB", "InlineBinary": 5},
    "two values": {"vr": "OB", "InlineBinary": "AA==", "BulkDataURI": "b"},
    "unknown VR": {"vr": "XX", "Value": ["a"]},
    "VR as a number": {"vr": 5, "Value": ["a"]},
    "VR as a list": {"vr": ["LO"], "Value": ["a"]},
    "no VR": {"Value": ["a"]},
    "no list": {"vr": "LO", "Value": "a"},
    "items of text": {"vr": "SQ", "Value": ["a"]},
    "items of lists": {"vr": "SQ", "Value": [[]]},
    "sequence as bulk data": {"vr": "SQ", "BulkDataURI": "b"},
    "URI of numbers": {"vr": "OB", "BulkDataURI": 5},
    "missing bulk data": {"vr": "OB", "BulkDataURI": "elsewhere"},
}


def test_a_value_that_does_not_fit_its_vr_is_a_failure_of_its_instance(stage: RestStage) -> None:
    made = {name: model(t00091010=element) for name, element in UNFIT.items()}
    for name, bad in made.items():
        words = refused(stage, bad, at("b", b"x"))
        assert "(0009,1010)" in words or "items" in name, name
    good = model()
    answer = told(post(stage, [*made.values(), good]))
    failed = [(instance_of(bad), 0xC000) for bad in made.values()]
    assert answer == {"status": 202, "stored": [instance_of(good)], "failed": failed}


def test_an_element_is_named_by_its_tag_alone(stage: RestStage) -> None:
    for name in (
        "PatientID",
        "0010,0020",
        "0010002",
        "0x100020",
        "",
        "0010002G",
        "FFFEE000",
        "fffee0dd",
    ):
        assert "eight digits" in refused(stage, model() | {name: {"vr": "LO", "Value": ["a"]}})


def test_an_element_may_not_occur_twice(stage: RestStage) -> None:
    twice = {"vr": "LO", "Value": ["a"]}
    assert "(0009,10ab) occurs twice" in refused(stage, model(t000910AB=twice, t000910ab=twice))


def test_metadata_without_an_identifier_make_no_instance(stage: RestStage) -> None:
    for tag in (
        "00080018",
        "0020000D",
        "0020000E",
    ):
        made = model()
        del made[tag]
        answer = told(post(stage, [made]))
        assert answer["status"] == 400
        assert ids(stage, "instances") == []


# -- pixels -----------------------------------------------------------------------------------------------------------


def image(frames: int = 1, **elements: Any) -> Model:
    numbers = {"00280002": 1, "00280010": 2, "00280011": 2, "00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0}
    shown = {f"t{tag}": {"vr": "US", "Value": [value]} for tag, value in numbers.items()}
    shown["t00280004"] = {"vr": "CS", "Value": ["MONOCHROME2"]}
    if frames > 1:
        shown["t00280008"] = {"vr": "IS", "Value": [frames]}
    return model(**shown | {"t7FE00010": {"vr": "OB", "BulkDataURI": "pixels"}} | elements)


def test_uncompressed_pixels_are_one_part_or_one_for_each_frame(stage: RestStage) -> None:
    assert post(stage, [image(2)], at("pixels", b"\1\2\3\4"), at("pixels", b"\5\6\7\x08")).status == 200
    found = stored(stage)
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert found.PixelData == bytes(range(1, 9))
    assert found.pixel_array.tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


@pytest.mark.parametrize(
    "locations", [("pixels", "pixels", "pixels"), ("pixels/frames/1", "pixels/frames/2", "pixels/frames/3")]
)
def test_codestreams_are_frames_in_their_order(stage: RestStage, locations: tuple[str, ...]) -> None:
    frames = [b"\xff\xd8one\xff\xd9", b"\xff\xd8two!\xff\xd9", b"\xff\xd8three\xff\xd9"]
    kind = f"image/jp2; transfer-syntax={JPEG}91"
    parts = [at(location, frame, kind) for location, frame in zip(locations, frames, strict=True)]
    assert post(stage, [image(3)], *(parts if "frames" not in locations[0] else reversed(parts))).status == 200
    found = stored(stage)
    assert found.file_meta.TransferSyntaxUID == JPEG + "91"
    assert found["PixelData"].is_undefined_length
    assert [each.rstrip(b"\0") for each in generate_frames(found.PixelData, number_of_frames=3)] == frames


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("JPEG2000.dcm", "image/jp2"),
        ("examples_jpeg2k.dcm", "image/jp2"),
        ("JPEG-lossy.dcm", "image/jpeg"),
        ("JPEG-LL.dcm", "image/jpeg"),
        ("SC_rgb_jpeg_dcmtk.dcm", "image/jpeg"),
        ("JPEGLSNearLossless_08.dcm", "image/jls"),
        ("emri_small_jpeg_ls_lossless.dcm", "image/jls"),
        ("MR_small_RLE.dcm", "image/dicom-rle"),
    ],
)
def test_the_codestream_tells_the_transfer_syntax_where_the_part_does_not(
    stage: RestStage, name: str, kind: str
) -> None:
    path = get_testdata_file(name)
    assert path is not None
    source = pydicom.dcmread(path)
    count = int(source.get("NumberOfFrames") or 1)
    frames = list(generate_frames(source.PixelData, number_of_frames=count))
    made = image(count)
    assert post(stage, [made], *(at("pixels", frame, kind) for frame in frames)).status == 200
    found = stored(stage)
    assert found.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    assert list(generate_frames(found.PixelData, number_of_frames=count)) == frames


def test_of_a_jp2_file_the_codestream_is_taken(stage: RestStage) -> None:
    path = get_testdata_file("JPEG2000.dcm")
    assert path is not None
    (codestream,) = generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)
    head = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x14ftypjp2 \0\0\0\0jp2 " + b"\0\0\0\x0ajp2h\0\0"
    sizes = (struct.pack(">I", len(codestream) + 8), struct.pack(">I", 0))
    files = [head + size + b"jp2c" + codestream for size in sizes]
    files.append(head + struct.pack(">I4sQ", 1, b"jp2c", len(codestream) + 16) + codestream)
    assert post(stage, [image(3)], *(at("pixels", each, "image/jp2") for each in files)).status == 200
    found = stored(stage)
    assert list(generate_frames(found.PixelData, number_of_frames=3)) == [codestream] * 3


def test_a_video_is_one_stream_of_many_frames(stage: RestStage) -> None:
    assert post(stage, [image(250)], at("pixels", b"\0\0\0\x18ftypmp42!", "video/mp4")).status == 200
    found = stored(stage)
    assert found.file_meta.TransferSyntaxUID == JPEG + "102"
    assert next(generate_frames(found.PixelData, number_of_frames=1)) == b"\0\0\0\x18ftypmp42!\0"


def test_pixels_of_which_no_image_can_be_made_are_refused(stage: RestStage) -> None:
    for kind in (
        "image/png",
        "text/plain",
        "image/jpeg; transfer-syntax=1.2.3",
        "image/jpeg; transfer-syntax=1.2.840.10008.1.2.1",
        "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2",
    ):
        refused(stage, image(), at("pixels", b"abcd", kind), reason=0xC122, status=409)


@pytest.mark.parametrize(("frames", "given"), [(2, 1), (1, 2), (3, 2)])
def test_an_image_has_as_many_codestreams_as_frames(stage: RestStage, frames: int, given: int) -> None:
    words = refused(stage, image(frames), *[at("pixels", b"abcd", f"image/jp2; transfer-syntax={JPEG}90")] * given)
    assert "NumberOfFrames" in words


def test_an_image_with_a_frame_left_out_is_refused(stage: RestStage) -> None:
    kind = f"image/jp2; transfer-syntax={JPEG}90"
    refused(stage, image(2), at("pixels/frames/1", b"a", kind), at("pixels/frames/3", b"c", kind))


def _uris(dataset: Model) -> Iterator[str]:
    for element in dataset.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for item in element.get("Value", ()) if element["vr"] == "SQ" else ():
            yield from _uris(item)


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "SC_rgb_rle_2frame.dcm", "JPEG-LL.dcm", "emri_small_big_endian.dcm", "waveform_ecg.dcm"]
)
def test_metadata_and_bulk_data_as_they_are_retrieved_can_be_stored_again(stage: RestStage, name: str) -> None:
    path = get_testdata_file(name)
    assert path is not None
    source = pydicom.dcmread(path)
    assert stage.upload(Path(path).read_bytes()).status == 200
    study = f"/dicom-web/studies/{source.StudyInstanceUID}"
    metadata = stage.ask(f"{study}/metadata", headers={"Host": "pacs"}).body
    bulk: list[Bulk] = []
    for uri in dict.fromkeys(_uris(json.loads(metadata)[0])):
        accept = 'multipart/related; type="*/*"; transfer-syntax=*, multipart/related; type="application/octet-stream"'
        answer = stage.ask(uri.removeprefix("http://pacs"), headers={"Accept": accept, "Host": "pacs"})
        boundary = parse_boundary(answer.headers["Content-Type"], RELATED)
        assert (answer.status, boundary is not None) == (200, True)
        for headers, content in parts([answer.body], boundary or b""):
            bulk.append(at(uri, b"".join(content), headers["content-type"]))
    assert bulk or "PixelData" not in source
    assert stage.ask(study, "DELETE").status == 204
    assert told(post(stage, metadata, *bulk)) == {"status": 200, "stored": [source.SOPInstanceUID]}
    made = stored(stage)
    assert compare(source, made) == []
    if source.file_meta.TransferSyntaxUID.is_compressed:
        assert made.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
        count = int(source.get("NumberOfFrames") or 1)
        frames = (list(generate_frames(each.PixelData, number_of_frames=count)) for each in (source, made))
        assert next(frames) == next(frames)
    elif "PixelData" in source:
        assert (made.pixel_array == source.pixel_array).all()


# -- documents --------------------------------------------------------------------------------------------------------

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM" xml:space="preserve">'


def attribute(tag: str, vr: str, content: str) -> str:
    return f'<DicomAttribute tag="{tag}" vr="{vr}" keyword="any">{content}</DicomAttribute>'


def value(*texts: str) -> str:
    return "".join(f'<Value number="{number}">{text}</Value>' for number, text in enumerate(texts, 1))


def document(number: int, *more: str, head: str = XML_HEAD) -> bytes:
    uids = (("00080016", MR), ("00080018", uid(6, 1, 1, number)), ("0020000D", uid(6, 1)), ("0020000E", uid(6, 1, 1)))
    plain = [attribute(tag, "UI", value(each)) for tag, each in uids]
    return "".join([head, *plain, *more, "</NativeDicomModel>"]).encode()


def post_xml(stage: RestStage, metadata: bytes, *bulk: Bulk) -> Answer:
    return post(stage, metadata, *bulk, kind="application/dicom+xml")


def test_metadata_may_be_xml(stage: RestStage) -> None:
    person = (
        "<Alphabetic><FamilyName>Doe</FamilyName><GivenName>Jörg</GivenName><NameSuffix>III</NameSuffix></Alphabetic>"
    )
    item = attribute("00080100", "SH", value("&lt;a&gt; "))
    made = document(
        1,
        attribute("00100010", "PN", f'<PersonName number="1">{person}<Phonetic><FamilyName>ド</FamilyName></Phonetic></PersonName>'),
        attribute("00080008", "CS", '<Value number="1">ORIGINAL</Value><Value number="3">AXIAL</Value>'),
        attribute("00280010", "US", value("512")),
        attribute("00189073", "FD", value("1.5e3")),
        attribute("00280009", "AT", value("00181063")),
        attribute("00082218", "SQ", f'<Item number="1">{item}</Item><Item number="2"/>'),
        attribute("00282000", "OB", "<InlineBinary>YWJj\n</InlineBinary>"),
        attribute("00420011", "OB", '<BulkData uri="bulk"/>'),
        attribute("00081030", "LO", '<Value number="1"/>'),
        attribute("00081115", "SQ", ""),
    )  # fmt: skip
    assert told(post_xml(stage, made, at("bulk", b"data"))) == {"status": 200, "stored": [uid(6, 1, 1, 1)]}
    found = stored(stage)
    assert found.PatientName == "Doe^Jörg^^^III==ド"
    assert list(found.ImageType) == ["ORIGINAL", "", "AXIAL"]
    assert (found.Rows, found[0x00189073].value, found[0x00280009].value) == (512, 1500.0, 0x00181063)
    assert [list(each.keys()) for each in found[0x00082218].value] == [[0x00080100], []]
    assert found[0x00082218].value[0].CodeValue == "<a>"
    assert (found[0x00282000].value, found[0x00420011].value) == (b"abc\0", b"data")
    assert (found.StudyDescription, list(found[0x00081115].value)) == ("", [])


def test_each_document_of_xml_is_an_instance(stage: RestStage) -> None:
    xml = {"Content-Type": "application/dicom+xml"}
    answer = post_xml(stage, document(1), (xml, document(2)), (xml, b"<broken"), (xml, document(3)))
    shown = told(answer)
    assert shown == {"status": 202, "stored": [uid(6, 1, 1, number) for number in (1, 2, 3)], "other": [0xC000]}


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">]><NativeDicomModel>'


def test_xml_that_is_no_native_model_is_refused(stage: RestStage) -> None:
    for bad in (
        b"",
        b"<NativeDicomModel>",
        b"<Other/>",
        document(1, "<Value number='1'>a</Value>"),
        document(1, attribute("00081030", "LO", "<Value number='2'>a</Value><Value number='1'>a</Value>")),
        document(1, attribute("00081030", "LO", "<Value number='99999999'>a</Value>")),
        document(1, attribute("00081030", "LO", "<Value number='x'>a</Value>")),
        document(1, attribute("00081030", "LO", "<Item number='1'><Item number='1'/></Item>")),
        document(1, attribute("00081030", "LO", value("a")), attribute("00081030", "LO", value("b"))),
        document(1, attribute("x", "LO", value("a"))),
        document(1, head=BOMB),
        document(1, "<DicomAttribute/>"),
    ):
        answer = post_xml(stage, bad)
        assert told(answer)["status"] == 400
        assert ids(stage, "instances") == []


def test_json_that_is_no_model_is_refused(stage: RestStage) -> None:
    for bad in (
        b"",
        b"{",
        b"5",
        b"[5]",
        b'"a"',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 5000,
    ):
        assert told(post(stage, bad)) == {"status": 400, "other": [0xC000]}


def test_metadata_may_be_all_of_a_body(stage: RestStage) -> None:
    made = model()
    answer = stage.ask(
        "/dicom-web/studies", "POST", json.dumps(made).encode(), {"Content-Type": "application/dicom+json"}
    )
    assert told(answer) == {"status": 200, "stored": [instance_of(made)]}


def test_bulk_data_may_come_before_the_metadata(stage: RestStage) -> None:
    made = model(t00420011={"vr": "OB", "BulkDataURI": "b"})
    headers = {"Content-Type": "application/dicom+json"}
    body = related(b"data", (headers, json.dumps(made).encode()), kind="application/pdf\r\nContent-Location: b")
    kind = 'multipart/related; type="application/dicom+json"; boundary=XX'
    assert stage.ask("/dicom-web/studies", "POST", body, {"Content-Type": kind}).status == 200
    assert stored(stage)[0x00420011].value == b"data"


def test_a_body_of_metadata_that_is_cut_stores_nothing(stage: RestStage) -> None:
    made = [model(), model(t00420011={"vr": "OB", "BulkDataURI": "b"})]
    body = related(json.dumps(made).encode(), at("b", b"data"))
    kind = 'multipart/related; type="application/dicom+json"; boundary=XX'
    for lost in (9, 12, 100, 600):
        answer = stage.ask("/dicom-web/studies", "POST", body[:-lost], {"Content-Type": kind})
        assert answer.status == 400
    assert ids(stage, "instances") == []


def test_sequences_may_be_nested_to_a_depth(stage: RestStage) -> None:
    def nested(depth: int) -> Model:
        inner: Model = {}
        for _ in range(depth):
            inner = {"0040A730": {"vr": "SQ", "Value": [inner]}}
        return model(**{f"t{tag}": element for tag, element in inner.items()})

    assert post(stage, [nested(100)]).status == 200
    bad = nested(101)
    assert told(post(stage, [bad])) == {"status": 400, "failed": [(instance_of(bad), 0xC000)]}
    items = "<DicomAttribute tag='0040A730' vr='SQ'><Item number='1'>" * 5000
    assert post_xml(stage, document(1, items)).status == 400


def test_metadata_have_a_most_number_of_instances(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_PARTS", 2)
    made = [model() for _ in range(3)]
    assert told(post(stage, made)) == {
        "status": 202,
        "stored": [instance_of(each) for each in made[:2]],
        "other": [0xC000],
    }


def test_addresses_of_bulk_data_count_as_metadata(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_metadata, "MOST_METADATA_BYTES", 10_000)
    given = [model()]
    assert post(stage, given, *(at("b" * 100, b"x") for _ in range(50))).status == 200
    answer = post(stage, given, *(at("b" * 1000, b"x") for _ in range(10)))
    assert answer.status == 400
    assert "addresses of its bulk data" in json.loads(answer.body)["Details"]


@pytest.mark.parametrize("tag", ["00080016", "00080018"])
def test_a_uid_that_no_header_can_hold_is_refused(stage: RestStage, tag: str) -> None:
    bad = model() | {tag: {"vr": "UI", "Value": ["1." + "2" * 70_000]}}
    assert "64 characters" in refused(stage, bad)
    assert post(stage, [model() | {tag: {"vr": "UI", "Value": ["1." + "2" * 62]}}]).status == 200


def test_metadata_have_a_most_size(stage: RestStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_metadata, "MOST_METADATA_BYTES", 1000)
    answer = post(stage, [model(t00081030={"vr": "LO", "Value": ["x" * 1000]})])
    assert answer.status == 400
    assert "send large values as bulk data" in json.loads(answer.body)["Details"]
