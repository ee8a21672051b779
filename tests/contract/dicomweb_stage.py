"""Requests of DICOMweb to the stage of REST, and its answers taken apart by other code than ours."""

import re
from io import BytesIO
from typing import Final, NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.contract.rest_stage import Answer, RestStage, shown

ROOT: Final = "/dicom-web"
HOST: Final = "pacs.test:8042"


class Part(NamedTuple):
    headers: dict[str, str]
    content: bytes


def address_of(file: bytes, level: int = 3) -> str:
    """Return the address of a file's study, series or instance."""
    made = dcmread(BytesIO(file))
    uids = (made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID)
    words = ("studies", "series", "instances")
    return "".join(f"/{word}/{uid}" for word, uid in zip(words[:level], uids, strict=False))


def get(stage: RestStage, address: str, accept: str | None = None, **headers: str) -> Answer:
    given = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    return stage.ask(ROOT + address, headers=given | ({} if accept is None else {"Accept": accept}))


def store(stage: RestStage, *files: bytes) -> list[str]:
    """Store files; returns the addresses of the instances."""
    for file in files:
        shown(stage.upload(file))
    return [address_of(file) for file in files]


def related(kind: str, syntax: str | None = None) -> str:
    """An Accept for parts of a type."""
    return f'multipart/related; type="{kind}"' + (f"; transfer-syntax={syntax}" if syntax else "")


def parts_of(answer: Answer, status: int = 200) -> list[Part]:
    """Take a multipart answer apart (RFC 2046 §5.1.1)."""
    assert answer.status == status, answer
    kind = answer.headers["Content-Type"]
    found = re.fullmatch(r'multipart/related; type="[^"]+"; boundary=([0-9a-f]+)', kind)
    assert found, kind
    first, *middle, last = (b"\r\n" + answer.body).split(b"\r\n--" + found[1].encode())
    assert (first, last) == (b"", b"--\r\n")
    return [_part(each) for each in middle]


def _part(raw: bytes) -> Part:
    head, _, content = raw.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    assert headers.get("Content-Length", str(len(content))) == str(len(content))
    return Part(headers, content)


def datasets_of(answer: Answer, status: int = 200) -> list[Dataset]:
    """Return the DICOM files of an answer in parts."""
    parts = parts_of(answer, status)
    assert {part.headers["Content-Type"] for part in parts} <= {"application/dicom"}
    return [dcmread(BytesIO(part.content)) for part in parts]
