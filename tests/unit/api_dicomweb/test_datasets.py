"""Lists of datasets leave in the form that the client takes."""

import json
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import falcon
import pytest
from falcon.testing import create_environ

from actors.wire.multipart import parse_boundary, parts
from api.dicomweb.datasets import send_datasets, wants_xml
from api.errors import NotAcceptable
from store.dicom.dicom_json import Json

DATASETS: list[Json] = [{"00100020": {"vr": "LO", "Value": ["Ä"]}}, {"00100020": {"vr": "LO"}}]


def request(accept: str | None) -> falcon.Request:
    return falcon.Request(create_environ(headers={} if accept is None else {"Accept": accept}))


@pytest.mark.parametrize(
    ("accept", "is_xml"),
    [
        (None, False),
        ("*/*", False),
        ("application/dicom+json", False),
        ("application/json", False),
        ("text/html, application/xhtml+xml, */*;q=0.8", False),
        ('multipart/related; type="application/dicom+xml"', True),
        ("multipart/related", True),
        ("application/dicom+xml", True),  # as by the plugin
        ('application/dicom+json;q=0.5, multipart/related; type="application/dicom+xml"', True),
    ],
)
def test_the_first_form_that_the_client_takes(accept: str | None, is_xml: bool) -> None:
    assert wants_xml(request(accept)) is is_xml


@pytest.mark.parametrize("accept", ["image/png", "*/*;q=0", 'multipart/related; type="application/dicom"'])
def test_what_the_client_takes_is_not_offered(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"application/dicom\+json"):
        wants_xml(request(accept))


def answer(datasets: list[Json], *, as_xml: bool) -> tuple[str, list[bytes]]:
    response = falcon.Response()
    send_datasets(response, iter(datasets), as_xml=as_xml)
    assert response.content_type is not None
    return response.content_type, list(response.stream)  # type: ignore[arg-type] # an iterator


@pytest.mark.parametrize("count", [0, 1, 2])
def test_json_is_one_list(count: int) -> None:
    content_type, pieces = answer(DATASETS[:count], as_xml=False)
    assert content_type == "application/dicom+json"
    assert json.loads(b"".join(pieces).decode()) == DATASETS[:count]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_xml_is_a_document_for_each(count: int) -> None:
    content_type, pieces = answer(DATASETS[:count], as_xml=True)
    boundary = parse_boundary(content_type, "multipart/related")
    assert boundary is not None
    read = [(headers["content-type"], b"".join(content)) for headers, content in parts(pieces, boundary)]
    assert len(read) == count
    for kind, document in read:
        assert kind == "application/dicom+xml"
        assert ET.fromstring(document).tag.endswith("NativeDicomModel")


def test_datasets_are_asked_for_when_the_one_before_has_gone() -> None:
    asked = []

    def made() -> Iterator[Json]:
        for dataset in DATASETS:
            asked.append(dataset)
            yield dataset

    response = falcon.Response()
    send_datasets(response, made(), as_xml=False)
    stream = iter(response.stream)  # type: ignore[arg-type] # an iterator
    next(stream)
    assert len(asked) == 1
