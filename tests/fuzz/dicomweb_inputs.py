"""Good requests of DICOMweb of every kind, as bytes to be mutated, and how they are read again: the first line says method and target, headers follow, and after an empty line the body."""

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from store.dicom.native_model import render_native_model
from tests.dicom_bytes import MR, SECONDARY_CAPTURE, dataset, encode, uid
from tests.native_pixels import EXPLICIT, Native, ramp

STUDY, SERIES, INSTANCE = uid(9, 1), uid(9, 1, 1), uid(9, 1, 1, 1)
FRAMES: Final = 3
INSTANCE_PATH: Final = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1"
_ROOT: Final = "/dicom-web"
_ONE: Final = INSTANCE_PATH.removesuffix("/frames/1")
_LEVELS: Final = (f"{_ROOT}/studies/{STUDY}", f"{_ROOT}/studies/{STUDY}/series/{SERIES}", _ONE)
_RELATED: Final = 'Content-Type: multipart/related; type="{}"; boundary=XX'


class Fuzzed(NamedTuple):
    """What is sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def image() -> bytes:
    """The instance that good requests ask for."""
    return Native(samples=ramp("<u2", FRAMES, 9, 8), bits=16).file(EXPLICIT, 1, SOPClassUID=SECONDARY_CAPTURE)


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    return "\n".join((f"{method} {target}", *headers, "", "")).encode("latin-1") + body


def read(data: bytes) -> Fuzzed | None:
    """Read what is left of a request; None for what no server of HTTP would hand on."""
    head, _, body = data.partition(b"\n\n")
    line, *lines = head.decode("latin-1").split("\n")
    method, _, target = line.partition(" ")
    if method not in {"GET", "POST", "DELETE", "OPTIONS", "HEAD"} or not target.startswith("/") or " " in target:
        return None
    named = (each.partition(": ") for each in lines)
    return Fuzzed(
        method, target.partition("#")[0], {name: value for name, _, value in named if name.isascii() and name}, body
    )


def requests() -> list[bytes]:
    return [*_pictures(), *_retrieved(), *_found(), *_uri(), *_stored()]


def _pictures() -> Iterator[bytes]:
    queries = (
        "",
        "?viewport=16,16,1,2,-4,5",
        "?window=40,400,linear-exact&quality=50",
        "?accept=image/png&annotation=patient,technique&iccprofile=no",
        "?window=1e2,3.5,sigmoid&viewport=8,8,,,4",
    )
    accepts = ("image/png;q=0.5, image/gif", "image/*;q=0.1", 'multipart/related; type="image/jpeg"; boundary="a;b"')
    for place, level in enumerate((*_LEVELS, f"{_ONE}/frames/1", f"{_ONE}/frames/1,3")):
        yield request("GET", f"{level}/rendered{queries[place]}", f"Accept: {accepts[place % 3]}")
        yield request("GET", f"{level}/thumbnail?viewport={place + 1},8", f"Accept: {accepts[place % 3]}")
    yield request("GET", f"{_ONE}/rendered", 'If-None-Match: W/"abc", "def"', "Accept: */*")


def _retrieved() -> Iterator[bytes]:
    accept = 'Accept: multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5, application/dicom;q=0.3'
    octets = 'Accept: multipart/related; type="application/octet-stream"; transfer-syntax=*'
    for level in _LEVELS:
        yield request("GET", level, accept)
        yield request("GET", f"{level}/metadata", "Accept: application/dicom+json", 'If-None-Match: "x"')
        yield request("GET", f"{level}/metadata", 'Accept: multipart/related; type="application/dicom+xml"')
    yield request("GET", f"{_ONE}/frames/1,2", octets)
    yield request("GET", f"{_ONE}/frames/2", "Accept: image/jls", "Range: bytes=0-9, 20-")
    yield request("GET", f"{_ONE}/bulk/7FE00010", octets, "Range: bytes=5-")
    yield request("GET", _LEVELS[1], "Accept: application/zip")


def _found() -> Iterator[bytes]:
    json_, xml = "Accept: application/dicom+json", 'Accept: multipart/related; type="application/dicom+xml"'
    yield request("GET", f"{_ROOT}/studies?PatientName=D*&fuzzymatching=true&limit=3&offset=1&includefield=all", json_)
    yield request("GET", f"{_ROOT}/studies?StudyDate=20240101-20240303&ModalitiesInStudy=MR,OT&00100010=*^J?ne*", xml)
    yield request(
        "GET", f"{_ROOT}/series?StudyInstanceUID={STUDY},1.2&Modality=MR&includefield=00081030,SeriesDate", json_
    )
    yield request("GET", f"{_ROOT}/studies/{STUDY}/instances?00400275.00400009=x&includefield=00400275.00400009", json_)
    yield request(
        "GET", f"{_ROOT}/instances?SOPInstanceUID={INSTANCE}%5C1.2&limit=10&StudyTime=1011-1213&Rows=9", json_
    )
    yield request("OPTIONS", f"{_ROOT}/studies", "Accept: application/json")


def _uri() -> Iterator[bytes]:
    one = f"/wado?requestType=WADO&studyUID={STUDY}&seriesUID={SERIES}&objectUID={INSTANCE}"
    yield request("GET", f"{one}&contentType=image/png,image/jpeg&frameNumber=2&rows=4&columns=5&region=0,0,0.5,1")
    yield request("GET", f"{one}&windowCenter=40&windowWidth=1e3&imageQuality=10&annotation=patient", "Accept: image/*")
    yield request(
        "GET", f"{one}&contentType=application/dicom&anonymize=yes&transferSyntax=1.2.840.10008.1.2&charset=UTF-8"
    )


def _stored() -> Iterator[bytes]:
    plain = encode(dataset(9, 1, 1, 2))
    yield request("POST", f"{_ROOT}/studies", _RELATED.format("application/dicom"), body=_parts(("application/dicom", plain), ("", image())))  # fmt: skip
    yield request("POST", f"{_ROOT}/studies/{STUDY}", "Content-Type: application/dicom", "Accept: application/dicom+xml", body=plain)  # fmt: skip
    described = _described()
    bulk = ("application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1\r\nContent-Location: bulk/1", bytes(range(72)))  # fmt: skip
    for kind, document in (
        ("application/dicom+json", json.dumps([described]).encode()),
        ("application/dicom+xml", render_native_model(described)),
    ):
        yield request("POST", f"{_ROOT}/studies", _RELATED.format(kind), "Accept: application/dicom+json", body=_parts((kind, document), bulk))  # fmt: skip
    yield request("DELETE", f"{_ROOT}/studies/{uid(9, 2)}")


def _described() -> Any:
    numbers = {"00280002": 1, "00280010": 9, "00280011": 8, "00280100": 8, "00280101": 8, "00280102": 7, "00280103": 0}
    texts = {
        "00080016": ("UI", MR),
        "00080018": ("UI", uid(9, 1, 1, 3)),
        "0020000D": ("UI", STUDY),
        "0020000E": ("UI", SERIES),
        "00100020": ("LO", "PAT9"),
        "00280004": ("CS", "MONOCHROME2"),
    }
    return (
        {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in texts.items()}
        | {tag: {"vr": "US", "Value": [value]} for tag, value in numbers.items()}
        | {
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^J", "Ideographic": "山田"}]},
            "00181151": {"vr": "IS", "Value": [None, 5]},
            "00281050": {"vr": "DS", "Value": [40.5, "1e3"]},
            "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["x"]}}, {}]},
            "00420011": {"vr": "OB", "InlineBinary": "QUJDRA=="},
            "7FE00010": {"vr": "OW", "BulkDataURI": "bulk/1"},
        }
    )


def _parts(*parts: tuple[str, bytes]) -> bytes:
    written = (
        b"--XX\r\n" + (f"Content-Type: {kind}\r\n".encode() if kind else b"") + b"\r\n" + data for kind, data in parts
    )
    return b"\r\n".join((*written, b"--XX--\r\n"))


TOKENS: tuple[bytes, ...] = (
    *(b",", b";", b"/", b"\\", b"%5C", b"*", b"?", b"-", b"&", b"=", b'"', b"\n", b"\n\n", b"\r\n", b"\r\n\r\n", b"\0", b"%00", b"%ff", b"\xff", b"%2B", b"+", b"^"),
    *(b"--XX\r\n", b"--XX--", b"--XX--\r\n", b"Content-Type: application/dicom\r\n", b"Content-Location: bulk/1\r\n", b"Content-Length: 5\r\n"),
    *(b"Accept: */*\n", b"Accept: multipart/related\n", b"Content-Encoding: gzip\n", b"Range: bytes=-1\n", b"If-None-Match: *\n", b"Content-Type: multipart/related\n"),
    *(b"; transfer-syntax=*", b'; type="image/*"', b"; q=0.5", b";q=0", b";q=1e9", b"image/png", b"image/gif", b"text/html", b"application/dicom+json", b"application/dicom+xml"),
    *(b"1e999", b"nan", b"-1", b"0", b"0.5", b"99999999999", b"65535", b"1e-300", b"1,2,3", b"9" * 400, b"A" * 20_000, b"1.2." * 300),
    *(b"limit=", b"offset=", b"includefield=all", b"fuzzymatching=true", b"00100010=", b"PatientName=", b"StudyDate=", b"00400275.", b"viewport=", b"window="),
    *(b"anonymize=yes", b"region=", b"frameNumber=", b"transferSyntax=*", b"contentType=", b"presentationUID=1", b"/metadata", b"/rendered", b"/frames/1", b"/bulk/"),
    *(b"[" * 3000, b'{"00080018":' * 2000, b"<a>" * 3000, b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"<![CDATA[", b"]]>", b'encoding="x"', b'encoding="utf-16"', b"null", b"true", b"[]", b"{}", b'"vr":"SQ"', b'"vr":"OB"'),
    *(b'"InlineBinary":"', b'"BulkDataURI":"', b'"BulkDataURI":"file:///etc/passwd"', b'"Value":', b"\\ud800", b"NaN", b"-Infinity", b"1" + b"0" * 400, b"\xf0\x9f\x98\x80"),
)  # fmt: skip
