"""What DICOMweb says of itself: the Capabilities Description (PS3.18 §8.9, Annex H), and what Orthanc's plugin tells."""

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from actors.messages.dicomweb_settings import DicomWebSettings
from tests.contract.rest_stage import Answer, RestStage, rest_stage, shown
from tools.server.core import Core

WADL = "application/vnd.sun.wadl+xml"
NAMES = {"w": "http://wadl.dev.java.net/2009/02"}


@pytest.fixture
def stage(archive: Core) -> Any:
    with rest_stage(archive) as made:
        yield made


def options(stage: RestStage, path: str = "/dicom-web/", accept: str = "*/*") -> Answer:
    return stage.ask(path, "OPTIONS", headers={"Accept": accept, "Host": "pacs.test"})


def addresses(resource: ET.Element, above: str = "") -> dict[str, set[str]]:
    """Return the methods of each address that a description names."""
    found: dict[str, set[str]] = {}
    for each in resource.findall("w:resource", NAMES):
        path = f"{above}/{each.get('path')}"
        found[path] = {str(method.get("name")) for method in each.findall("w:method", NAMES)}
        found |= addresses(each, path)
    return found


@pytest.mark.parametrize("path", ["/dicom-web", "/dicom-web/"])
def test_the_description_is_a_wadl_document(stage: RestStage, path: str) -> None:
    answer = options(stage, path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, WADL)
    document = ET.fromstring(answer.body)
    assert document.tag == f"{{{NAMES['w']}}}application"
    (resources,) = document
    assert resources.get("base") == "http://pacs.test/dicom-web"
    offered = addresses(resources)
    assert {"GET", "POST"} <= offered["/studies"]
    assert {"GET", "POST", "DELETE"} <= offered["/studies/{study}"]
    for search in ("/series", "/instances", "/studies/{study}/series", "/studies/{study}/instances"):
        assert "GET" in offered[search]
    assert not [address for address in offered if address.startswith(("/servers", "/info"))]


def test_parameters_of_searches_are_named(stage: RestStage) -> None:
    document = ET.fromstring(options(stage).body)
    (search,) = document.findall("w:resources/w:resource[@path='studies']/w:method[@name='GET']", NAMES)
    named = {param.get("name") for param in search.findall("w:request/w:param", NAMES)}
    assert {"includefield", "limit", "offset", "fuzzymatching"} <= named


def test_every_address_that_is_described_answers(stage: RestStage) -> None:
    for address, methods in addresses(ET.fromstring(options(stage).body)[0]).items():
        path = "/dicom-web" + re.sub(r"\{\w+\}", "1", address)
        allowed = options(stage, path).headers.get("Allow", "") if methods else ""
        assert methods <= set(allowed.split(", ")), (address, allowed)


def test_the_same_as_json(stage: RestStage) -> None:
    answer = options(stage, accept="application/json")
    resources = json.loads(answer.body)["application"]["resources"]
    assert resources["base"] == "http://pacs.test/dicom-web"
    assert {each["path"] for each in resources["resource"]} >= {"studies", "series", "instances"}


def test_other_forms_and_methods_are_refused(stage: RestStage) -> None:
    assert options(stage, accept="image/png").status == 406
    assert stage.ask("/dicom-web").status == 404  # as by the plugin
    assert stage.ask("/dicom-web", "POST").status == 405
    assert options(stage, "/studies").status == 404  # nothing else of the API has OPTIONS
    assert options(stage, "/dicom-webs").status == 404
    assert options(stage, "/dicom-web/nothing").status == 404


def test_info_leads_to_the_rest_api(archive: Core, stage: RestStage) -> None:
    assert shown(stage.ask("/dicom-web/info")) == {"DicomWebRoot": "/dicom-web/", "OrthancApiRoot": "./../"}
    with rest_stage(archive, dicom_web=DicomWebSettings(root="/dw/a/")) as deeper:
        assert shown(deeper.ask("/dw/a/info")) == {"DicomWebRoot": "/dw/a/", "OrthancApiRoot": "./../../"}


def test_it_is_shown_among_the_plugins(archive: Core, stage: RestStage) -> None:
    assert shown(stage.ask("/plugins")) == ["explorer.js", "dicom-web"]
    assert shown(stage.ask("/plugins/dicom-web"))["ID"] == "dicom-web"
    assert shown(stage.ask("/system"))["PluginsEnabled"] is True
    with rest_stage(archive, dicom_web=DicomWebSettings(is_enabled=False)) as without:
        assert shown(without.ask("/plugins")) == ["explorer.js"]
        assert shown(without.ask("/system"))["PluginsEnabled"] is False
        for path in ("/plugins/dicom-web", "/dicom-web/studies", "/dicom-web/info"):
            assert without.ask(path).status == 404
        assert options(without).status == 404
