"""Good HTTP requests of every kind that the server takes, and pieces that mean something to whoever parses them."""

import gzip
import io
import json
import zipfile

from tests.dicom_bytes import dataset, encode

PATIENT = 64


def instance(number: int) -> bytes:
    return encode(dataset(PATIENT, 1, 1, number))


def request(method: str, target: str, *headers: str, body: bytes = b"", length: bool = True) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: x", *headers]
    if body and length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(body: bytes, size: int = 300) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def form(*parts: bytes) -> bytes:
    head = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
    return b"".join(head + part + b"\r\n" for part in parts) + b"--XX--\r\n"


def related(*parts: bytes) -> bytes:
    return (
        b"".join(b"--XX\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--XX--\r\n"
    )


def requests(identifier: str) -> list[bytes]:
    """Every kind of request; `identifier` is that of a stored instance."""
    return [*reads(identifier), *uploads(), *arguments()]


def reads(identifier: str) -> list[bytes]:
    here = f"/instances/{identifier}"
    targets = (
        "/system",
        "/patients?since=0&limit=10&expand",
        "/changes?since=0&limit=100",
        "/events?since=0&limit=10",
        f"{here}?short&requestedTags=PatientName;0010,0020",
        f"{here}/file?filename=a.dcm",
        f"{here}/tags?simplify&ignore-length=0010-0010",
        f"{here}/content/0010-0010",
        f"{here}/content/0008-1140/0/0008-1150",
        f"{here}/patient",
        f"{here}/history",
        "/studies?expand=false&response-content=MainDicomTags",
        "/a/../b/./%2e%2e//c/%00?x=%ff",
        "http://host/system?_method=PUT",
        "/statistics",
        "/jobs?expand",
        "/modalities?expand",
        "/dicom-web/studies?limit=2&includefield=all",
        "/dicom-web/studies/1.2/rendered?viewport=4,4",
        "/wado?requestType=WADO&objectUID=1.2&contentType=image/png",
    )
    headers = ("Accept: application/xml", "Range: bytes=0-9,20-", "Connection: keep-alive")
    return [
        *(request("GET", target) for target in targets),
        request("GET", "/statistics", *headers),
        request("GET", f"{here}/file", *headers),
        request("HEAD", "/system") + request("GET", "/system", "Connection: close"),
        request("DELETE", "/instances/00000000-00000000-00000000-00000000-00000000"),
        request("GET", "/system", "Expect: 100-continue", "Upgrade: h2c", "X-HTTP-Method-Override: PUT"),
    ]


def uploads() -> list[bytes]:
    plain, other = instance(1), instance(2)
    kind = "Content-Type: multipart/form-data; boundary=XX"
    stow = 'Content-Type: multipart/related; type="application/dicom"; boundary=XX'
    te = "Transfer-Encoding: chunked"
    return [
        request("POST", "/instances", body=plain),
        request("POST", "/instances", te, body=chunked(plain), length=False),
        request("POST", "/instances", "Content-Encoding: gzip", body=gzip.compress(plain, mtime=0)),
        request("POST", "/instances", "Content-Encoding: gzip", te, body=chunked(gzip.compress(plain, mtime=0)), length=False),
        request("POST", "/instances", kind, body=form(plain, other)),
        request("POST", "/instances", kind, te, body=chunked(form(plain)), length=False),
        request("POST", "/instances", kind, "X-File-Name: a", f"X-File-Size: {len(plain)}", body=form(plain)),
        request("POST", "/dicom-web/studies", stow, body=related(plain, other)),
        request("POST", "/dicom-web/studies", stow, te, body=chunked(related(plain)), length=False),
        request("POST", "/dicom-web/studies", stow, "Content-Encoding: gzip", body=gzip.compress(related(plain), mtime=0)),
        request("POST", "/instances", body=zipped(("a", plain), ("folder/", b""), ("b", b"text"), ("c", other))),
    ]  # fmt: skip


def arguments() -> list[bytes]:
    bodies = {
        "/tools/lookup": b"PAT64",
        "/tools/execute-script": b"print(1)",
        "/modalities/unknown/echo": b'{"Timeout": 1}',
        "/modalities/unknown/find-patient": b'{"PatientName": "*"}',
        "/modalities/unknown/query": json.dumps({"Level": "Study", "Query": {"PatientID": "*"}}).encode(),
        "/modalities/unknown/store": json.dumps({"Resources": ["x"], "Synchronous": True}).encode(),
        "/tools/dicom-echo": b'{"AET": "A", "Host": "127.0.0.1", "Port": 1, "Timeout": 1}',
        "/tools/generate-uid?level=study": b"",
    }
    nested = b'{"a": [[[[{"b": 1e999}]]]], "c": "\\ud800", "d": -0, "e": 123456789012345678901234567890}'
    return [
        *(request("POST", target, body=body) for target, body in bodies.items()),
        *(request("POST", target, body=nested) for target in bodies),
        request("PUT", "/modalities/fuzz", body=b'{"AET": "A", "Host": "127.0.0.1", "Port": 104}'),
        request("PUT", "/modalities/fuzz", body=b'["A", "127.0.0.1", 104, "Generic"]'),
        request("PUT", "/tools/default-encoding", body=b"Latin1"),
        request("PUT", "/tools/accepted-transfer-syntaxes", body=b'["1.2.840.10008.1.*"]'),
    ]


TOKENS: tuple[bytes, ...] = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b"\t", b"\r\n ", b":", b"%", b"%00", b"%2e%2e/", b"../", b"//", b"?", b"&", b"#", b";", b"=", b'"',
    b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: +5\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Expect: 100-continue\r\n", b"Content-Encoding: gzip\r\n", b"Accept: application/xml\r\n", b"Accept: application/dicom+json\r\n", b"Accept: application/dicom+xml\r\n", b"Connection: close\r\n",
    b"Range: bytes=0-\r\n", b"X-HTTP-Method-Override: DELETE\r\n", b"X-File-Name: \xff\r\n", b"X-File-Size: 10\r\n", b"Host: y\r\n", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80",
    b"0\r\n\r\n", b"5;a=b\r\n", b"ffffffffffffffff\r\n", b"HTTP/1.0", b"HTTP/9.9", b"GET /system HTTP/1.1\r\nHost: x\r\n\r\n", b"--XX\r\n", b"--XX--", b"boundary = ",
    b"[" * 2000, b'{"a":' * 2000, b"{" * 50, b"]", b"}", b"null", b"1e999", b"NaN", b"-", b"\\u0000", b"\\ud800", b"9" * 400, b"A" * 40_000, b"PK\x03\x04",
    b"\x1f\x8b\x08", b"since=", b"limit=", b"limit=0", b"expand", b"full", b"short", b"requestedTags=", b"_method=DELETE", b"filename=", b"ignore-length=",
)  # fmt: skip
