"""Revisions of metadata and attachments: a client that goes by its server's own tags is answered alike (without `CheckRevisions`: test_metadata.py)."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.contract import test_features_page as features_page
from tests.data_factory import dataset, encode
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

NOUNS = ("metadata", "attachments")
LEVELS = ("patients", "studies", "series", "instances")
SEEN = "<seen>"  # stands for the tag that a GET of this URI gave last, as its client keeps it
OLD = f'"0-{hashlib.md5(b"another value").hexdigest()}"'


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    options = {
        "CheckRevisions": True,
        "UserMetadata": features_page.USER_METADATA,
        "UserContentType": features_page.USER_CONTENT_TYPE,
    }
    with start_pair(oracle, tmp_path_factory.mktemp("revisions"), json.dumps(options)[1:-1] + ",") as made:
        for server in (made.ours, made.theirs):
            for patient in (72, 73, 74):
                assert server.ask(Request("/instances", "POST", encode(dataset(patient, 1, 1, 1)))).status == 200
        yield made


class Client:
    """Keeps the tags that its server gives, and sends them where a request says so."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._seen: dict[str, str] = {}

    def ask(self, request: Request) -> Answer:
        headers = {
            name: self._seen.get(request.path, OLD) if value == SEEN else value
            for name, value in request.headers.items()
        }
        answer = self._server.ask(replace(request, headers=headers))
        if request.method == "GET" and "etag" in answer.headers:  # 1.12.7 takes those of a GET alone, with SQLite
            self._seen[request.path] = answer.headers["etag"]
        return answer


def differences(pair: Pair, requests: list[Request]) -> list[Difference]:
    ours, theirs = Client(pair.ours), Client(pair.theirs)
    return [each for request in requests for each in compare(request, ours.ask(request), theirs.ask(request))]


def life(path: str) -> list[Request]:
    """What one metadata or attachment can go through, with tags that are right, wrong, empty and missing."""
    by = [{"If-Match": tag} for tag in (SEEN, OLD, "")]
    known = Request(path, headers={"If-None-Match": SEEN})
    return [
        *(Request(path, "DELETE", headers=headers) for headers in ({}, *by)),
        Request(path, "PUT", "one"),
        known,
        Request(path, headers={"If-None-Match": OLD}),
        Request(path),
        *(Request(path, "PUT", "two", headers) for headers in reversed(by)),
        Request(path),
        known,
        Request(path, "PUT", "two"),
        Request(path),
        *(Request(path, "PUT", "three", headers) for headers in by),
        Request(path),
        *(Request(path, "DELETE", headers=headers) for headers in by[1:]),
        Request(path, "DELETE"),
        Request(path, "PUT", "four", {"If-Match": OLD}),
        Request(path),
        Request(path, "DELETE", headers={"If-Match": SEEN}),
        Request(path),
        *(Request(path, "PUT", "five", headers) for headers in by),
        Request(path),
        Request(path, "DELETE", headers={"If-Match": SEEN}),
    ]


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_life_by_tags(pair: Pair, level: str, noun: str) -> None:
    identifier = pair.ids(level)[0]
    assert_same(differences(pair, life(f"/{level}/{identifier}/{noun}/1024")))


@pytest.mark.parametrize("noun", NOUNS)
def test_what_is_no_tag_of_either(pair: Pair, noun: str) -> None:
    identifier = pair.ids("studies")[0]
    path = f"/studies/{identifier}/{noun}/1025"
    requests = [Request(path, "PUT", "one")]
    for tag in ("*", '"a-x"', 'W/"0-x"', '"-1-x"', '""', "-"):
        requests += [
            Request(path, "PUT", "two", {"If-Match": tag}),
            Request(path, "DELETE", headers={"If-Match": tag}),
            Request(path, headers={"If-None-Match": tag}),
            Request(path.replace("1025", "1026"), headers={"If-None-Match": tag}),
            *(Request(path.replace("1025", own), "PUT", "x", {"If-Match": tag}) for own in ("Origin", "dicom")),
            Request(path.replace(identifier, "nope"), "PUT", "x", {"If-Match": tag}),
            Request(path.replace(identifier, "nope"), "DELETE", headers={"If-Match": tag}),
        ]
    assert_same(differences(pair, [*requests, Request(path)]))


@pytest.mark.parametrize("noun", NOUNS)
def test_the_tag_of_1_12_7_for_a_first_value(pair: Pair, noun: str) -> None:
    identifier = pair.ids("studies")[0]
    path = f"/studies/{identifier}/{noun}/1027"
    tag = f'"0-{hashlib.md5(b"one").hexdigest()}"'
    requests = [
        Request(path, "PUT", "one"),
        Request(path, headers={"If-None-Match": tag}),
        Request(path, "PUT", "two", {"If-Match": tag}),
        Request(path, "PUT", "three", {"If-Match": tag}),
        Request(path),
    ]
    assert_same(differences(pair, requests))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed (Debian: curl)")
@pytest.mark.parametrize("section", ["METADATA", "ATTACHMENTS", "REVISIONS"])
def test_the_commands_of_the_book(pair: Pair, section: str, tmp_path: Path) -> None:
    """Those on the page about advanced features with which 1.12.7 agrees; a tag is what it begins with."""
    number = ("METADATA", "ATTACHMENTS", "REVISIONS").index(section)
    identifier = pair.ids("instances")[number]
    commands: list[features_page.Command] = getattr(features_page, section)
    for command in (each for each in commands if each.is_as_in_1_12_7):
        told = [
            features_page.run(command, server.http_port, identifier, tmp_path) for server in (pair.ours, pair.theirs)
        ]
        (body, header), (right_body, right_header) = told
        assert (command.line, body, header[:1]) == (command.line, right_body, right_header[:1])
        for line in command.header:
            assert all(any(shown.startswith(line[:-1]) for shown in lines) for lines in (header, right_header))


@pytest.mark.parametrize("below", ["", "/data", "/compressed-data", "/size", "/md5", "/info", "/is-compressed"])
def test_who_has_an_attachment_is_told_so_wherever_it_is_read(pair: Pair, below: str) -> None:
    identifier = pair.ids("series")[0]
    path = f"/series/{identifier}/attachments/1028"
    read = f"{path}{below}"
    known = {"If-None-Match": SEEN}
    requests = [
        Request(path),
        Request(path, "DELETE", headers={"If-Match": SEEN}),
        Request(path, "PUT", "one"),
        Request(read),
        Request(read, headers=known),
        *(Request(read, headers={"If-None-Match": tag}) for tag in (OLD, "", "x", "*")),
        *(Request(read, headers=known | {"Range": wanted}) for wanted in ("bytes=0-1", "bytes=9-9", "nope")),
        Request(f"{path}/compress", "POST", "", {"If-Match": "x"}),
        Request(read, headers=known),
        Request(path),
        Request(path, "PUT", "two", {"If-Match": SEEN}),
        Request(read, headers=known),
    ]
    found = differences(pair, requests)
    assert_same([each for each in found if each.aspect not in {"body/CompressedMD5", "body/CompressedSize"}])
