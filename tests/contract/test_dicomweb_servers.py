"""`/dicom-web/servers` and requests below it that are answered at once, against a server of the test's own. Answers as observed on Orthanc 1.12.7."""

import json
from collections.abc import Iterator
from itertools import product

import pytest

from actors.wire.http.peer import Peer
from tests.contract.dicomweb_peer import (
    JSON,
    DicomWebPeer,
    dicomweb_peer,
)
from tests.contract.dicomweb_servers_stage import post, refusing, servers_stage
from tests.contract.rest_stage import RestStage, error_of, rest_stage, shown
from tools.server.core import Core


@pytest.fixture
def there() -> Iterator[DicomWebPeer]:
    with dicomweb_peer() as made:
        yield made


@pytest.fixture
def stage(archive: Core, there: DicomWebPeer) -> Iterator[RestStage]:
    with servers_stage(archive, there) as made:
        yield made


# -- which servers there are -------------------------------------------------------------------------------------------


def test_servers_are_listed_and_shown_without_secrets(stage: RestStage) -> None:
    assert shown(stage.ask("/dicom-web/servers")) == ["dead", "there"]
    assert shown(stage.ask("/dicom-web/servers/dead")) == ["get", "retrieve", "stow", "wado", "qido"]
    assert shown(stage.ask("/dicom-web/servers/there"))[-1] == "delete"
    expanded = stage.ask("/dicom-web/servers?expand=false")  # its value says nothing
    assert shown(expanded)["there"]["HttpHeaders"] == ["X-Token"]
    assert shown(expanded)["there"]["HasDelete"] == "1"
    assert b"secret" not in expanded.body
    assert b"word" not in expanded.body.replace(b"Password", b"")


@pytest.mark.parametrize("stored", [False, True])
def test_a_server_is_put_and_removed(archive: Core, stored: bool) -> None:
    configured = (Peer(name="a", url="http://a/"),)
    with rest_stage(archive, servers=configured, servers_in_database=stored) as stage:
        assert shown(stage.ask("/dicom-web/servers")) == ([] if stored else ["a"])
        body = {"Url": "http://x", "HasDelete": True, "Timeout": 7, "Username": "u", "Password": "p"}
        assert shown(stage.ask("/dicom-web/servers/b.c", "PUT", json.dumps(body).encode())) == {}
        assert shown(stage.ask("/dicom-web/servers?expand"))["b.c"] == {
            "HasDelete": "1", "HttpHeaders": [], "Password": None, "Pkcs11": False, "Timeout": 7, "Url": "http://x/", "Username": "u",
        }  # fmt: skip
        assert shown(stage.ask("/dicom-web/servers/b.c", "DELETE")) == {}
        gone = stage.ask("/dicom-web/servers/b.c", "DELETE")
        assert error_of(gone) == (400, 3, "Unknown DICOMweb server: b.c")
        assert error_of(stage.ask("/dicom-web/servers/b.c")) == (404, 7, "Inexistent server: b.c")


def test_a_password_that_is_null_is_kept(archive: Core) -> None:
    configured = (Peer(name="a", url="http://a/", username="u", password="p"),)
    with rest_stage(archive, servers=configured) as stage:
        body = {"Url": "http://a", "Username": "u", "Password": None, "HasDelete": True}
        assert shown(stage.ask("/dicom-web/servers/a", "PUT", json.dumps(body).encode())) == {}
        changed = stage.deps.dicomweb_servers.get("a")
        assert (changed.password, changed.properties) == ("p", {"HasDelete": "1"})
        moved = json.dumps(body | {"Url": "http://b"}).encode()
        assert error_of(stage.ask("/dicom-web/servers/a", "PUT", moved))[:2] == (400, 15)


_NO_DESCRIPTIONS = [
    (b"nojson", "A JSON file was expected"),
    (b"[]", ""),
    (b'[""]', "Empty URL"),
    (b'["ftp://x"]', "Bad URL: ftp://x"),
    (
        b'{"Url": "http://x", "Foo": [1]}',
        "User-defined properties associated with a Web service must be strings: Foo",
    ),
]  # fmt: skip


def test_descriptions_that_are_none(stage: RestStage) -> None:
    for body, details in _NO_DESCRIPTIONS:
        assert error_of(stage.ask("/dicom-web/servers/new", "PUT", body)) == (400, 15, details)


@pytest.mark.parametrize(("fits", "does_not"), [("a" * 200, "a" * 201), ("%F0%9F%A9%BB" * 50, "%F0%9F%A9%BB" * 51)])
def test_a_name_longer_than_a_key(stage: RestStage, fits: str, does_not: str) -> None:
    assert stage.ask(f"/dicom-web/servers/{fits}", "PUT", b'["http://x"]').status == 200
    assert error_of(stage.ask(f"/dicom-web/servers/{does_not}", "PUT", b'["http://x"]'))[:2] == (400, 15)


# -- requests that are answered at once --------------------------------------------------------------------------------


def test_an_answer_is_handed_on_as_it_is(stage: RestStage, there: DicomWebPeer) -> None:
    there.answer = lambda _: (203, {"Content-Type": "image/x", "X-B": "c", "Content-Encoding": "br"}, b"any" * 300_000)
    arguments = {"PatientName": "\u00e9*", "limit": "5", "a": ""}
    answer = post(stage, "there/get", {"Uri": "/studies", "Arguments": arguments, "HttpHeaders": {"x-token": "mine"}})
    assert (answer.status, answer.body) == (200, b"any" * 300_000)
    assert (answer.headers["Content-Type"], answer.headers["X-B"]) == ("image/x", "c")
    assert answer.headers["Content-Encoding"] == "br"
    (seen,) = there.seen
    assert seen.path == "/base/studies?PatientName=%C3%A9%2A&limit=5&a"
    assert seen.headers["x-token"] == "mine"
    assert "authorization" in seen.headers


def test_what_holds_between_browser_and_this_server_is_not_taken_from_another(
    stage: RestStage, there: DicomWebPeer
) -> None:
    """Else a page of any origin could read the answer that this server has with its credentials, or have a cookie of this server replaced."""
    headers = {
        "Set-Cookie": "sinogram-session=theirs",
        "Access-Control-Allow-Origin": "*",
        "Strict-Transport-Security": "max-age=9",
        "Clear-Site-Data": '"*"',
        "Content-Type": "text/html",
        "ETag": '"theirs"',
    }
    there.answer = lambda _: (200, headers, b"<script/>")
    answer = post(stage, "there/get", {"Uri": "/studies"})
    given = {name.lower(): value for name, value in answer.headers.items()}
    assert (answer.body, given["content-type"], given["etag"]) == (b"<script/>", "text/html", '"theirs"')
    assert {"set-cookie", "access-control-allow-origin", "strict-transport-security", "clear-site-data"}.isdisjoint(
        given
    )


def test_what_a_server_refuses_is_told(stage: RestStage, there: DicomWebPeer) -> None:
    for status, told in ((401, (401, 29)), (403, (401, 29)), (404, (404, 17)), (409, (500, 9)), (503, (500, 9))):
        there.answer = refusing(status, b"no")
        for operation in ("get", "qido"):
            details = f"DICOMweb server there has answered with HTTP status {status}"
            assert error_of(post(stage, f"there/{operation}", {"Uri": "studies"})) == (*told, details)


_NO_URI = (
    'A request to the DICOMweb client must provide a JSON object with the field "Uri" containing the URI of interest'
)
_NO_OBJECT = "The JSON object is not a JSON associative array as expected"


_NO_REQUESTS: list[tuple[object, str]] = [
    ({}, _NO_URI),
    ([], _NO_URI),
    (b"x", "A JSON file was expected"),
    ({"Uri": 5}, 'The field "Uri" in a JSON object should be a string'),
    ({"Uri": "/s", "Arguments": ["a"]}, _NO_OBJECT),
    ({"Uri": "/s", "Arguments": {"a": 5}}, 'Value "a" in the associative array is not a string as expected'),
    ({"Uri": "/s", "HttpHeaders": 5}, _NO_OBJECT),
    (
        {"Uri": "/s?x=1"},
        'The GET arguments must be provided in a separate field (explicit "?" is disallowed): /s?x=1',
    ),
]  # fmt: skip


def test_requests_that_are_none(stage: RestStage) -> None:
    for operation, (body, details) in product(("get", "qido", "wado"), _NO_REQUESTS):
        assert error_of(post(stage, f"there/{operation}", body)) == (400, 15, details)


def test_matches_have_names_and_first_values(stage: RestStage, there: DicomWebPeer) -> None:
    match = {
        "00080061": {"vr": "CS", "Value": ["CT", "MR"]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
        "00081140": {"vr": "SQ", "Value": [{"00080018": {"vr": "UI", "Value": ["1.2"]}}]}, "00080020": {"vr": "DA"},
        "00201206": {"vr": "IS", "Value": [3]}, "00091001": {"vr": "LO", "Value": ["x"]}, "PatientID": {"vr": "LO", "Value": ["x"]},
    }  # fmt: skip
    there.answer = lambda _: (200, {"Content-Type": JSON}, json.dumps([match]).encode())
    assert shown(post(stage, "there/qido", {"Uri": "/studies"})) == [
        {
            "00080061": {"Element": 0x61, "Group": 8, "Name": "ModalitiesInStudy", "Value": "CT", "vr": "CS"},
            "00100010": {"Element": 0x10, "Group": 0x10, "Name": "PatientName", "Value": "A^B", "vr": "PN"},
            "00081140": {"Element": 0x1140, "Group": 8, "Name": "ReferencedImageSequence", "vr": "SQ"},
            "00080020": {"Element": 0x20, "Group": 8, "Name": "StudyDate", "vr": "DA"},
            "00201206": {
                "Element": 0x1206,
                "Group": 0x20,
                "Name": "NumberOfStudyRelatedSeries",
                "Value": 3,
                "vr": "IS",
            },
            "00091001": {"Element": 0x1001, "Group": 9, "Name": "Unknown Tag & Data", "Value": "x", "vr": "LO"},
        }
    ]
    assert there.seen[0].headers["accept"] == JSON


def test_an_answer_to_a_search_that_is_no_list(stage: RestStage, there: DicomWebPeer) -> None:
    for body in (b"hello", b"{}", b"[5]"):
        there.answer = refusing(200, body)
        told = error_of(post(stage, "there/qido", {"Uri": "/studies"}))
        assert told == (500, 15, "DICOMweb server there has not answered with a list in JSON")
    there.answer = refusing(204, b"")
    assert shown(post(stage, "there/qido", {"Uri": "/studies"})) == []  # PS3.18 §10.6.3: nothing matches


def test_what_is_there_is_deleted(stage: RestStage, there: DicomWebPeer) -> None:
    there.answer = lambda _: (200, {}, b"")
    uids = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
    for level in ("Study", "series", "Instance"):
        assert shown(post(stage, "there/delete", uids | {"Level": level})) == {}
    assert [(seen.method, seen.path) for seen in there.seen] == [
        ("DELETE", "/base/studies/1.2"),
        ("DELETE", "/base/studies/1.2/series/1.3"),
        ("DELETE", "/base/studies/1.2/series/1.3/instances/1.4"),
    ]
    del uids["SOPInstanceUID"]
    wrong = error_of(post(stage, "there/delete", uids | {"Level": "Instance"}))
    assert wrong == (400, 15, 'The request body must contain the field "SOPInstanceUID"')
    assert error_of(post(stage, "there/delete", uids | {"Level": "Patient"}))[:2] == (400, 3)
    refused = error_of(post(stage, "dead/delete", uids | {"Level": "Study"}))
    assert refused == (400, 15, 'Cannot delete on DICOMweb server, check out property "HasDelete": dead')
    assert len(there.seen) == 3
