"""`Accept: application/xml`: our writer makes of Orthanc's JSON the very XML that Orthanc gives, and our answers come from it."""

import json

import pytest

from api.rest.serving import orthanc_xml
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair
from tests.peer.exchange import Request, Server
from tests.peer.test_rest_resources import LEVELS

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

XML = "application/xml; charset=utf-8"
ROUTES = {
    "patients": ("", "/studies", "/shared-tags?simplify", "/module", "/statistics", "/metadata?expand", "/labels"),
    "studies": ("?full", "/series?short", "/module-patient", "/shared-tags", "/patient", "/metadata", "/attachments"),
    "series": ("?short", "/instances", "/instances?expand=false", "/instances-tags", "/study?full"),
    "instances": ("", "/tags", "/tags?short", "/simplified-tags", "/header", "/content", "/attachments/dicom/info"),
}
ACCEPTS = (
    "application/xml", "application/xml;q=0.5", "application/xml; q=0", "application/xml;charset=utf-8", "application/xml;;", "application/XML",
    "text/xml", "application/json", "application/*", "*/*", "text/html", "", "xml", "application/xml, application/json",
    "application/json, application/xml;q=0.5", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml,",
    "application/xml;q=0.9,*/*", 'application/xml;a=","', "application/xml ;q=1", "application/xml;application/json",
    "application/json;application/xml", "a/b;application/xml", "; application/xml", ";application/xml", "application/xml; application/json",
    "application/xml;application/JSON", "application/xml;application/json;q=1",
)  # fmt: skip


def unlike(server: Server, paths: list[str]) -> list[str]:
    """The paths of which the XML is not that of our writer for the JSON, both from this server."""
    found = []
    for path in paths:
        plain, xml = server.get(path), server.ask(Request(path, headers={"Accept": "application/xml"}))
        if (xml.headers["content-type"], xml.body) != (XML, orthanc_xml.encode(json.loads(plain.body))):
            found.append(path)
    return found


@pytest.mark.parametrize("level", LEVELS)
def test_every_answer_as_xml_is_its_json_written_by_the_same_rules(loaded: Pair, level: str) -> None:
    paths = [f"/{level}", f"/{level}?expand"]
    paths += [f"/{level}/{each}{route}" for each in loaded.ids(level)[::9] for route in ROUTES[level]]
    assert unlike(loaded.theirs, paths) == []
    assert unlike(loaded.ours, paths) == []


def test_other_nouns_are_written_by_the_same_rules(loaded: Pair) -> None:
    paths = [
        "/system",
        "/changes",
        "/changes?limit=3",
        "/exports",
        "/plugins",
        "/tools",
        "/modalities",
        "/peers",
        "/jobs",
        "/queries",
    ]
    for server in (loaded.ours, loaded.theirs):
        assert unlike(server, [*paths, "/tools/accepted-transfer-syntaxes", "/tools/accepted-sop-classes"]) == []


def test_who_gets_xml(loaded: Pair) -> None:
    paths = (f"/series/{loaded.ids('series')[0]}", "/nothing", "/tools/default-encoding")
    assert_same(loaded.differences([Request(path, headers={"Accept": each}) for each in ACCEPTS for path in paths]))


def test_answers_to_other_methods(loaded: Pair) -> None:
    study, instance = loaded.ids("studies")[0], loaded.ids("instances")[0]
    xml = {"Accept": "application/xml"}
    requests = [
        Request("/tools/find", "POST", '{"Level": "Series", "Query": {}}', xml),
        Request("/tools/find", "POST", '{"Level": "Patient", "Query": {"PatientID": "none"}, "Expand": true}', xml),
        Request("/tools/find", "POST", "{", xml),
        Request("/tools/count-resources", "POST", '{"Level": "Study", "Query": {}}', xml),
        Request("/tools/lookup", "POST", "PAT1", xml),
        Request("/tools/bulk-content", "POST", json.dumps({"Resources": [study, instance], "Metadata": False}), xml),
        Request("/tools/bulk-content", "POST", '{"Resources": []}', xml),
        Request("/instances", "POST", loaded.theirs.get(f"/instances/{instance}/file").body, xml),
        Request("/instances", "POST", "no DICOM", xml),
        Request("/changes?type=nothing", headers=xml),
        Request(f"/studies/{study}/nothing", headers=xml),
        Request("/studies/nothing", "DELETE", headers=xml),
    ]
    assert_same(loaded.differences(requests))


def test_files_as_native_model(loaded: Pair) -> None:
    """Of instances of which both have the same DICOM JSON."""
    requests = [
        [
            Request(f"/instances/{each}/file", headers={"Accept": f"application/dicom+{form}"})
            for form in ("json", "xml")
        ]
        for each in loaded.ids("instances")[::3]
    ]
    alike = [xml for plain, xml in requests if loaded.ours.ask(plain).body == loaded.theirs.ask(plain).body]
    assert len(alike) > 20
    assert_same(loaded.differences(alike))
