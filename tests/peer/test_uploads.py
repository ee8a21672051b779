"""`POST /instances` in every form, good and bad; nothing bad is stored, and the answers are Orthanc's."""

import gzip
import http.client
import io
import socket
import zipfile
import zlib
from collections.abc import Iterable

import pytest

from tests import data_factory
from tests.data_factory import dataset, encode
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair
from tests.peer.exchange import Answer, Request, Server

pytestmark = pytest.mark.peer

PATIENT = 90  # of this module's own instances


def upload(body: bytes, **headers: str) -> Request:
    return Request("/instances", "POST", body, {name.replace("_", "-"): value for name, value in headers.items()})


def instance(number: int, **values: object) -> bytes:
    return encode(dataset(PATIENT, 1, 1, number, **values))


def zipped(members: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


def multipart(*parts: tuple[str, bytes], boundary: str = "XX") -> bytes:
    body = b"".join(f"--{boundary}\r\n{headers}\r\n\r\n".encode() + data + b"\r\n" for headers, data in parts)
    return body + f"--{boundary}--\r\n".encode()


def check(pair: Pair, requests: list[Request]) -> None:
    """The same answers, and the same instances stored."""
    differences = pair.differences(requests)
    assert_same([*differences, *pair.differences([Request("/instances"), Request("/statistics")])])


def test_every_sample_gets_orthancs_verdict(loaded: Pair) -> None:
    """The archive holds them already, so what was good is `AlreadyStored`; what was bad is refused again."""
    found: list[Difference] = []
    for sample in data_factory.all_files():
        request = Request("/instances", "POST", sample.data)
        named = Request(f"/instances#{sample.name}", "POST")
        found += compare(named, loaded.ours.ask(request), loaded.theirs.ask(request))
    assert_same([*found, *loaded.differences([Request("/instances"), Request("/statistics")])])


def test_plain_files(fresh: Pair) -> None:
    good = instance(1)
    check(fresh, [
        upload(good), upload(good), upload(good, Content_Type="application/dicom"), upload(instance(2), Content_Type="text/plain"),
        upload(instance(3), Expect="100-continue"), upload(instance(4), Content_Type="application/x-www-form-urlencoded"),
        Request("/instances/", "POST", instance(5)), Request("//instances?x=y", "POST", instance(6)), upload(good[132:]),
        upload(instance(1, PatientName="Another^Name")), upload(b"\0" * 3 + good), upload(good + b"\0" * 7), upload(good + b"junk"),
    ])  # fmt: skip


def test_missing_and_empty_identifiers(fresh: Pair) -> None:
    keywords = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "SOPClassUID")
    values = (None, "", " ", "not a uid", "1." + "2" * 70)
    check(fresh, [upload(instance(20, **{keyword: value})) for keyword in keywords for value in values])


def test_what_is_not_dicom(fresh: Pair) -> None:
    good = instance(30)
    cuts = [
        good[:length]
        for length in (1, 4, 127, 128, 131, 132, 133, 140, 144, 160, 200, 300, 400, len(good) - 3, len(good) - 1)
    ]
    others = [
        b"",
        b"x",
        b"hello world",
        b"\0" * 200,
        b"\xff" * 200,
        b"{}",
        b"DICM",
        b"\0" * 128 + b"DICM",
        b"\x1f\x8b",
        b"PK",
        b"PK\x03\x04",
    ]
    check(fresh, [upload(body) for body in [*cuts, *others]])


def test_compressed_bodies(fresh: Pair) -> None:
    good = instance(40)
    packed = gzip.compress(
        good, mtime=0
    )  # cut below, but with its size at the end: Orthanc allocates what the end says
    check(fresh, [
        upload(packed, Content_Encoding="gzip"), upload(packed), upload(good, Content_Encoding="gzip"),
        upload(packed[:-40] + packed[-4:], Content_Encoding="gzip"), upload(b"", Content_Encoding="gzip"), upload(packed, Content_Encoding="GZIP"),
        upload(zlib.compress(good), Content_Encoding="deflate"), upload(good, Content_Encoding="identity"),
        upload(instance(41), Content_Encoding="br"), upload(gzip.compress(b"text", mtime=0), Content_Encoding="gzip"),
        upload(gzip.compress(zipped([("a", instance(42))]), mtime=0), Content_Encoding="gzip"), upload(packed, Content_Encoding="x-gzip"),
    ])  # fmt: skip


@pytest.mark.usefixtures("modern")
def test_zip_archives(fresh: Pair) -> None:
    inner = zipped([("a.dcm", instance(50))])
    whole = zipped(
        [("a.dcm", instance(51)), ("folder/", b""), ("folder/b.txt", b"text"), ("c", instance(51)), ("empty", b"")]
    )
    check(fresh, [
        upload(whole), upload(whole, Content_Type="application/zip"), upload(zipped([("text", b"text")])), upload(zipped([])),
        upload(inner[:-30]), upload(zipped([("inner.zip", inner)])), upload(zipped([("s", instance(52))], zipfile.ZIP_STORED)),
        upload(zipped([("é/ü.dcm", instance(53))])), upload(zipped([("../../etc/x", instance(54))])),
        upload(zipped([(f"{n}", instance(60 + n)) for n in range(5)])), upload(b"x" + inner), upload(inner + b"trailing"),
        upload(zipped([("b", instance(58))], zipfile.ZIP_BZIP2)), upload(zipped([("c", instance(59))], zipfile.ZIP_LZMA)),
        upload(zipped([("cut.dcm", instance(65)[:-9]), ("good.dcm", instance(66)), ("no-uid", instance(67, SOPInstanceUID=None))])),
    ])  # fmt: skip


def test_the_good_members_of_a_damaged_zip_are_stored(fresh: Pair) -> None:
    """Intended difference: Orthanc stops at the first member whose checksum does not fit. We store every good one."""
    damaged = bytearray(zipped([("a", instance(56)), ("b", instance(57))], zipfile.ZIP_STORED))
    damaged[300] ^= 0xFF  # inside the first member
    ours, theirs = (server.ask(upload(bytes(damaged))) for server in (fresh.ours, fresh.theirs))
    assert (ours.status, theirs.status) == (200, 400)
    stored = ours.json()
    assert isinstance(stored, list)
    assert [each["Status"] for each in stored] == ["Success"]
    fresh.ours.ask(Request(stored[0]["Path"], "DELETE"))
    assert_same(fresh.differences([Request("/instances"), Request("/statistics")]))


def test_multipart_forms(fresh: Pair) -> None:
    file = 'Content-Disposition: form-data; name="file"; filename="a.dcm"\r\nContent-Type: application/octet-stream'
    field = 'Content-Disposition: form-data; name="field"'
    kind = "multipart/form-data; boundary=XX"
    check(fresh, [
        upload(multipart((file, instance(70))), Content_Type=kind),
        upload(multipart((file, instance(71)), (file, instance(72))), Content_Type=kind),
        upload(multipart((file, b"text")), Content_Type=kind),
        upload(multipart((file, b"text"), (file, instance(73))), Content_Type=kind),
        upload(multipart((file, instance(74)), (file, b"text"), (file, instance(75))), Content_Type=kind),
        upload(multipart((field, b"value"), (file, instance(76))), Content_Type=kind),
        upload(multipart((file, zipped([("a", instance(77))]))), Content_Type=kind),
        upload(multipart((file, instance(78))), Content_Type='multipart/form-data; boundary="XX"'),
        upload(multipart((file, instance(82)), boundary="----WebKitFormBoundary7M"), Content_Type="multipart/form-data; boundary=----WebKitFormBoundary7M"),
        upload(multipart((file, instance(83))), Content_Type="multipart/form-data; charset=utf-8; boundary=XX"),
        upload(multipart((file, instance(84))), Content_Type="Multipart/Form-Data; boundary=XX"),
        upload(b"", Content_Type=kind), upload(b"junk", Content_Type=kind), upload(multipart((file, instance(79))), Content_Type="multipart/form-data"),
        upload(multipart((file, instance(79))), Content_Type="multipart/related; boundary=XX"), upload(multipart(), Content_Type=kind),
        upload(multipart((file, instance(80)))[:-10], Content_Type=kind), upload(multipart((file, instance(81)))[:200], Content_Type=kind),
    ])  # fmt: skip


def test_chunked_bodies(fresh: Pair) -> None:
    good = instance(85)
    bodies: tuple[list[bytes], ...] = (
        [good[:100], good[100:101], good[101:]],
        [good],
        [instance(86)[:50]],
        [],
        [zipped([("a", instance(87))])],
    )
    found: list[Difference] = []
    for chunks in bodies:
        ours, theirs = (_raw_chunked(server, chunks) for server in (fresh.ours, fresh.theirs))
        found += compare(Request(f"/instances#chunked {list(map(len, chunks))}", "POST"), ours, theirs)
    assert_same([*found, *fresh.differences([Request("/instances")])])


def _raw_chunked(server: Server, chunks: list[bytes]) -> Answer:
    """A chunked request written by hand: `http.client` would merge or refuse some of them."""
    with socket.create_connection(("127.0.0.1", server.http_port), timeout=20) as link:
        link.sendall(b"POST /instances HTTP/1.1\r\nHost: peer\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in chunks:
            link.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        link.sendall(b"0\r\n\r\n")
        response = http.client.HTTPResponse(link, method="POST")
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
