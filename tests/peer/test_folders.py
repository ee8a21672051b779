"""Folders over HTTP beside Orthanc's ServeFolders plugin, from one configuration."""

import hashlib
import http.client
import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle
from tests.peer.worklist_stage import find_plugin

# Those of which both servers say the same type.
EXTENSIONS = ("bin", "css", "gif", "HTML", "html", "jpeg", "jpg", "js", "json", "nexe", "pdf", "pexe", "png", "svg", "unheard", "wasm", "woff", "woff2", "xml")  # fmt: skip
TYPES_OF_OURS = {"ico": "image/vnd.microsoft.icon", "mjs": "application/javascript", "ttf": "font/ttf", "txt": "text/plain"}  # fmt: skip


@pytest.fixture(scope="module")
def served(oracle: Oracle, modern: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    plugin = find_plugin(oracle, "libServeFolders.so")
    if plugin is None:
        pytest.skip("this Orthanc has no ServeFolders plugin")
    place = tmp_path_factory.mktemp("folders")
    for extension in (*EXTENSIONS, *TYPES_OF_OURS, "foo", "md"):
        (place / "viewer" / "sub").mkdir(parents=True, exist_ok=True)
        (place / "viewer" / f"a.{extension}").write_text("0123456789")
    for name in ("noextension", ".hidden", "ü ä.bin", "a&b<c>.bin", "sub/a.js"):
        (place / "viewer" / name).write_text("x")
    section = {
        "Folders": {"/viewer": str(place / "viewer"), "plain/deep/": str(place / "viewer")},
        "Extensions": {"foo": "application/foo", ".md": "text/markdown", "pdf": ""},
    }
    options = f'"Plugins": ["{plugin}"], "ServeFolders": {json.dumps(section)},'
    with start_pair(oracle, place, options) as pair:
        yield pair


def test_files_types_and_what_is_not_there(served: Pair) -> None:
    paths = [f"/viewer/a.{extension}" for extension in (*EXTENSIONS, "foo", "md")]
    paths += ["/viewer/noextension", "/viewer/.hidden", "/viewer/%C3%BC%20%C3%A4.bin", "/viewer/a&b%3Cc%3E.bin"]
    paths += ["/viewer/sub/a.js", "/viewer/a.bin/", "/viewer//sub/../a.bin", "/plain/deep/a.bin", "/viewer/a.bin?x=y"]
    paths += ["/viewer", "/viewer/", "/viewer/sub", "/viewer/sub/", "/viewer/missing", "/plain", "/plain/deep"]
    paths += ["/viewer/../a.bin", "/viewer/%2e%2e/viewer.json", "/viewer/..%2fa.bin", "/viewer/a.bin/b"]
    requests = [Request(path) for path in paths]
    requests += [Request("/viewer/a.bin", method, b"x") for method in ("POST", "PUT", "DELETE")]
    differences = served.differences(requests)
    assert_same([each for each in differences if each.aspect != "header etag"])
    tags = [each for each in differences if each.aspect == "header etag"]
    assert len(tags) == len(EXTENSIONS) + 2 + 9
    md5 = hashlib.md5(b"0123456789").hexdigest()
    assert {str(each.theirs) for each in tags if each.request.path == "/viewer/a.bin"} == {f'"{md5}"'}


def test_headers_about_caching_are_alike_but_for_the_form_of_the_date(served: Pair) -> None:
    ours, theirs = (server.get("/viewer/a.bin").headers for server in (served.ours, served.theirs))
    for name in ("cache-control", "pragma", "expires", "content-length"):
        assert ours[name] == theirs[name]
    date = parsedate_to_datetime(ours["last-modified"])
    assert f"{date:%Y%m%dT%H%M%S}" == theirs["last-modified"]


@pytest.mark.parametrize(("extension", "expected"), TYPES_OF_OURS.items())
def test_types_that_orthanc_does_not_know(served: Pair, extension: str, expected: str) -> None:
    path = f"/viewer/a.{extension}"
    assert served.theirs.get(path).headers["content-type"] == "application/octet-stream"
    assert served.ours.get(path).headers["content-type"] == expected


def test_head_over_a_socket_tells_the_size_and_leaves_the_connection_in_order(served: Pair) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.ours.http_port, timeout=30)
    for method, body in (("HEAD", b""), ("GET", b"0123456789"), ("HEAD", b"")):
        connection.request(method, "/viewer/a.bin")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Content-Length"), answer.read()) == (200, "10", body)
    connection.close()


def test_links_that_lead_out_are_followed_by_orthanc_alone(served: Pair, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_text("x")
    (served.theirs.data.parent / "viewer" / "link.bin").symlink_to(tmp_path / "secret.bin")
    assert served.theirs.get("/viewer/link.bin").status == 200
    assert served.ours.get("/viewer/link.bin").status == 404
