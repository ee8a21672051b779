"""Metadata of clients: every request is answered as Orthanc answers it, and `/changes` tells of the same."""

import json
from collections.abc import Iterator

import pytest

from tests.data_factory import dataset, encode
from tests.peer import test_revisions
from tests.peer.changes import ChangeLog
from tests.peer.comparison import Difference, assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

OPTIONS = '"UserMetadata": {"note": 1024, "two words": 1030, "x.y": 2000, "last": 65535},'
LEVELS = ("patients", "studies", "series", "instances")
NOTE = "note"


@pytest.fixture(scope="module")
def pair(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("metadata"), OPTIONS) as made:
        for server in (made.ours, made.theirs):
            assert server.ask(Request("/instances", "POST", encode(dataset(71, 1, 1, 1)))).status == 200
        made.wait_until_stable()
        yield made


def changes(pair: Pair) -> tuple[list[tuple[str, str, str, str]], ...]:
    """What both tell of metadata."""
    logs = (ChangeLog.of(server).rows() for server in (pair.ours, pair.theirs))
    return tuple([row for row in log if row[0] == "UpdatedMetadata"] for log in logs)


def names() -> list[str]:
    """Names and numbers that are there, could be, are Orthanc's own, and are none."""
    good = [NOTE, "1024", "01024", "two%20words", "two+words", "1030", "x.y", "last", "65535", "5000"]
    own = ["LastUpdate", "7", "RemoteAET", "3", "ModifiedFrom", "1023", "0", "-1"]
    none = [
        "65536",
        "99999",
        "2147483648",
        "Note",
        "nope",
        "1024.0",
        "1024x",
        "0x400",
        "%201024",
        "1024%20",
        "two%2Bwords",
        "a%5Cb",
    ]
    return good + own + none


def _is_date(found: Difference) -> bool:
    """Both servers have the instance, but not of the same second."""
    path, aspect = found.request.path, found.aspect
    is_value = path.endswith(("/LastUpdate", "/7")) and aspect == "body"
    is_numbered = path.endswith("?expand&numeric") and aspect in {"body/2", "body/7"}
    return is_value or is_numbered or aspect.endswith(("/ReceptionDate", "/LastUpdate"))


@pytest.mark.parametrize("level", LEVELS)
def test_a_life_of_metadata(pair: Pair, level: str) -> None:
    (identifier,) = pair.ids(level)
    path = f"/{level}/{identifier}/metadata"
    shown = [
        Request(f"{path}{query}")
        for query in ("", "?expand", "?numeric", "?expand&numeric", "?expand=0", "?numeric=false", "?expand=x")
    ] + [Request(f"/{level}?response-content=Metadata"), Request(f"/{level}/{identifier}")]
    values = ("hello", "hello", "", "ä\n b \r\n", b"\xff\xfea\0b", "x" * 100_000)
    requests = [
        *(Request(f"{path}/{name}") for name in names()),
        *(Request(f"{path}/{NOTE}", "PUT", value) for value in values),
        Request(f"{path}/{NOTE}"),
        *(Request(f"{path}/{name}", "PUT", f"of {name}") for name in names()),
        *(Request(f"{path}/{name}") for name in names()),
        Request(path, "DELETE"),
        Request(path, "PUT", "x"),
        Request(f"{path}/{NOTE}", "POST", "x"),
        Request(f"{path}/x.y", "PUT", b"\xff\xfea\x01b"),
        *(Request(f"{path}/{name}", "DELETE") for name in names() if name not in {"x.y", "last"}),
        Request(f"{path}/{NOTE}", "DELETE"),
        Request(f"{path}/{NOTE}"),
        Request(f"{path}/last", "PUT", "once more"),
    ]
    before = [len(rows) for rows in changes(pair)]
    found = pair.differences([*requests, Request(f"{path}?expand"), *shown])
    assert_same([each for each in found if not _is_date(each)])
    ours, theirs = (rows[start:] for rows, start in zip(changes(pair), before, strict=True))
    assert ours == theirs
    assert len(ours) > len(values)


@pytest.mark.parametrize("level", LEVELS)
def test_tags_are_compared_without_the_option_too(pair: Pair, level: str) -> None:
    (identifier,) = pair.ids(level)
    assert_same(test_revisions.differences(pair, test_revisions.life(f"/{level}/{identifier}/metadata/1100")))


@pytest.mark.parametrize("level", LEVELS)
def test_metadata_of_nothing(pair: Pair, level: str) -> None:
    before = changes(pair)
    for identifier in ("nope", "00000000-00000000-00000000-00000000-00000000"):
        path = f"/{level}/{identifier}/metadata"
        requests = [Request(path), Request(f"{path}?expand")]
        for name in names():
            requests += [Request(f"{path}/{name}", method, body) for method, body in
                         (("GET", None), ("PUT", "x"), ("DELETE", None))]  # fmt: skip
        assert_same(pair.differences(requests))
    assert changes(pair) == before


def test_metadata_by_another_level(pair: Pair) -> None:
    """A value is set whatever level the URI names, and read by that of the resource alone."""
    (study,) = pair.ids("studies")
    requests = [
        Request(f"/series/{study}/metadata/{NOTE}", "PUT", "by series"),
        *(Request(f"/{level}/{study}/metadata/{NOTE}") for level in LEVELS),
        Request(f"/instances/{study}/metadata"),
        Request(f"/patients/{study}/metadata/{NOTE}", "DELETE"),
        Request(f"/studies/{study}/metadata/{NOTE}"),
    ]
    assert_same(pair.differences(requests))
    ours, theirs = changes(pair)
    assert ours[-2:] == theirs[-2:]
    assert {row[1] for row in ours[-2:]} == {"Study"}


def test_texts_and_names_as_xml(pair: Pair) -> None:
    """Control characters have numbers, a NUL ends a text, and names stay as they are."""
    (series,) = pair.ids("series")
    path, xml = f"/series/{series}/metadata", {"Accept": "application/xml"}
    texts = ("a<b>&\"'c]]>", "".join(map(chr, range(1, 161))), " a\tb\r\n", "", "日本 \U0001f600 \ufffe", "a\0b")
    requests = [Request(f"{path}/{3000 + number}", "PUT", text.encode()) for number, text in enumerate(texts)]
    peer = {"Url": "http://127.0.0.1:1/", "Username": "<u>&", "Password": "p", "HttpHeaders": {" <&>\x01/": "x"}}
    requests += [Request("/peers/q", "PUT", json.dumps(peer)), Request("/peers/q/configuration", headers=xml)]
    assert_same(pair.differences(requests))
    shown = [server.ask(Request(f"{path}?expand", headers=xml)).body for server in (pair.ours, pair.theirs)]
    ours, theirs = (body[body.index(b"<3000>") : body.index(b"</3005>")] for body in shown)
    assert ours == theirs
    assert b"<3001>&#01;&#02;" in ours
