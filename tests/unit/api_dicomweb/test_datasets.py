"""Lists of datasets leave in the form that the client takes."""

import json
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import falcon
import pytest
from falcon.testing import create_environ

from actors.wire.multipart import parse_boundary, parts
from api.dicomweb.datasets import SENT_BYTES, encode_json, send_datasets, wants_xml
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
    return response.content_type, [response.data] if response.data else list(response.stream)  # type: ignore[arg-type] # an iterator


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


def test_text_that_stands_for_no_character_is_replaced() -> None:
    assert json.loads(encode_json({"00100020": {"vr": "LO", "Value": ["a\ud800b"]}}))["00100020"]["Value"] == ["a?b"]


def test_datasets_are_made_while_they_leave() -> None:
    asked = []
    long = {"00204000": {"vr": "LT", "Value": ["x" * SENT_BYTES]}}

    def made() -> Iterator[Json]:
        for number in range(5):
            asked.append(number)
            yield long

    response = falcon.Response()
    send_datasets(response, made(), as_xml=False)
    assert len(asked) == 2  # which tell that there are several pieces
    whole = b"".join(response.stream)  # type: ignore[arg-type] # an iterator
    assert json.loads(whole) == [long] * 5
