"""Bodies of STOW-RS that are nearly right: files, metadata as JSON and XML, bulk data, and the multipart around them. Each is answered, none with 500."""

import base64
import json
import logging
from pathlib import Path

import pytest

from tests.contract.rest_stage import RestStage, rest_stage
from tests.dicom_bytes import MR, dataset, encode, uid
from tests.fuzz.mutation import inputs, nothing_left, told
from tools.server.core import Core

KINDS = ("application/dicom", "application/dicom+json", "application/dicom+xml")
TOKENS = (
    *(b"--XX", b"--XX--", b"\r\n", b"\r\n\r\n", b"Content-Type: ", b"Content-Location: ", b"Content-ID: <a>"),
    *(b"application/dicom", b"application/dicom+json", b"application/dicom+xml", b"image/jpeg", b"image/dicom-rle", b"video/mp4"),
    *(b"; transfer-syntax=1.2.840.10008.1.2.4.50", b"/frames/1", b"bulk/1", b"cid:a"),
    *(b'{"vr":"', b'"Value":[', b'"BulkDataURI":"bulk/1"', b'"InlineBinary":"AAAA"', b"null", b"[", b"]", b"{", b"}", b"-1", b"1e999", b"NaN"),
    *(b'"7FE00010"', b'"00280008"', b'"00080005"', b'"00020010"', b'"SQ"', b'"PN"', b'"AT"', b'"FD"', b'"OB"', b"\\ud800", b"\\u0000"),
    *(b"<Item number='1'>", b"</Item>", b"<Value number='1'>", b"</Value>", b"<!DOCTYPE a>", b"&amp;", b"&a;", b"<![CDATA[", b"<BulkData uri='bulk/1'/>"),
)  # fmt: skip


def part(content: bytes, kind: str, *headers: str) -> bytes:
    lines = "\r\n".join([f"Content-Type: {kind}", *headers, "", ""])
    return b"--XX\r\n" + lines.encode() + content + b"\r\n"


def metadata() -> bytes:
    item = {"00080100": {"vr": "SH", "Value": ["A"]}}
    return json.dumps([{
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}, "00080016": {"vr": "UI", "Value": [MR]},
        "00080018": {"vr": "UI", "Value": [uid(9, 1, 1, 1)]}, "00081115": {"vr": "SQ", "Value": [item, {"00081199": {"vr": "SQ", "Value": [item]}}]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Ä^B"}]}, "00189073": {"vr": "FD", "Value": [1.5, "NaN"]},
        "0020000D": {"vr": "UI", "Value": [uid(9, 1)]}, "0020000E": {"vr": "UI", "Value": [uid(9, 1, 1)]},
        "00280009": {"vr": "AT", "Value": ["00181063"]}, "00280010": {"vr": "US", "Value": [1]}, "00280008": {"vr": "IS", "Value": [1]},
        "00282000": {"vr": "OB", "InlineBinary": base64.b64encode(b"profile").decode()}, "7FE00010": {"vr": "OB", "BulkDataURI": "bulk/1"},
    }]).encode()  # fmt: skip


def document() -> bytes:
    elements = "".join(
        f'<DicomAttribute tag="{tag}" vr="{vr}">{content}</DicomAttribute>'
        for tag, vr, content in (
            ("00080016", "UI", f'<Value number="1">{MR}</Value>'),
            ("00080018", "UI", f'<Value number="1">{uid(9, 1, 1, 2)}</Value>'),
            ("00081115", "SQ", '<Item number="1"><DicomAttribute tag="00080100" vr="SH"><Value number="1">A</Value></DicomAttribute></Item>'),
            ("00100010", "PN", '<PersonName number="1"><Alphabetic><FamilyName>Ä</FamilyName></Alphabetic></PersonName>'),
            ("0020000D", "UI", f'<Value number="1">{uid(9, 1)}</Value>'),
            ("0020000E", "UI", f'<Value number="1">{uid(9, 1, 1)}</Value>'),
            ("00282000", "OB", "<InlineBinary>AAAA</InlineBinary>"),
            ("7FE00010", "OB", '<BulkData uri="bulk/1"/>'),
        )
    )  # fmt: skip
    return f'<?xml version="1.0" encoding="utf-8"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">{elements}</NativeDicomModel>'.encode()


def bodies() -> list[bytes]:
    jpeg = b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00\xff\xd9"
    pixels = part(jpeg, "image/jpeg", "Content-Location: bulk/1")
    raw = part(b"abcd", "application/octet-stream", "Content-ID: <a>", "Content-Location: bulk/1/frames/1")
    file = encode(dataset(9, 1, 1, 3))
    return [
        part(file, KINDS[0]) + part(file, KINDS[0]) + b"--XX--",
        part(metadata(), KINDS[1]) + pixels + b"--XX--",
        part(metadata(), KINDS[1]) + raw + b"--XX--",
        part(document(), KINDS[2]) + pixels + part(metadata(), KINDS[1]) + b"--XX--",
    ]


def check(stage: RestStage, body: bytes, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with told(body):
        headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=XX'}
        answer = stage.ask("/dicom-web/studies", "POST", body, headers)
        assert answer.status in {200, 202, 400, 409}, answer
        failures = [each for each in caplog.get_records("call") if each.exc_info or each.levelno >= logging.ERROR]
        assert not failures, [(record.getMessage(), record.exc_info) for record in failures]


def test_whatever_a_body_holds_it_is_answered(archive: Core, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with rest_stage(archive, temporary_directory=tmp_path) as stage:
        for body in bodies():
            check(stage, body, KINDS[0] if KINDS[0].encode() + b"\r\n" in body else KINDS[1], caplog)
    with nothing_left(), rest_stage(archive, temporary_directory=tmp_path) as stage:
        for number, body in enumerate(inputs(bodies(), TOKENS, short=1_200)):
            check(stage, body, KINDS[number % 3], caplog)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
