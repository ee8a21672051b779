"""QIDO-RS beside Orthanc's DICOMweb plugin 1.20: a hundred random queries find the same and tell the same of it.

What is asked is what both are to understand alike; where they differ, docs/compatibility.md says why, and the last tests show it.
"""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import data_factory
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle
from tests.peer.worklist_stage import find_plugin

pytestmark = pytest.mark.peer

QUERIES = 100
UIDS = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}
# Attributes that are asked for at each level, with how.
OF_STUDIES = {
    "00100020": "text", "00100010": "text", "00080050": "text", "00081030": "text", "00080090": "text", "00080020": "date",
    "0020000D": "uid", "00080061": "code", "00100030": "date", "00100040": "code", "00200010": "text", "00080030": "time",
}  # fmt: skip
OF_SERIES = OF_STUDIES | {
    "0020000E": "uid",
    "00080060": "code",
    "0008103E": "text",
    "00080070": "text",
    "00200011": "code",
}
OF_INSTANCES = OF_SERIES | {"00080018": "uid", "00080016": "uid", "00280010": "code", "00200013": "code"}
ASKED = {"studies": OF_STUDIES, "series": OF_SERIES, "instances": OF_INSTANCES}
ADDED = "00080056"  # of studies, by the standard's table

Found = dict[str, Any]


@pytest.fixture(scope="module")
def pair(oracle: Oracle, modern: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    plugin = find_plugin(oracle, "libOrthancDicomWeb.so")
    if plugin is None:
        pytest.skip("This Orthanc has no DICOMweb plugin")
    with start_pair(oracle, tmp_path_factory.mktemp("qido"), f'"Plugins": ["{plugin}"],') as pair:
        data_factory.all_files()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_fill, (pair.ours, pair.theirs)))
        yield pair


def _fill(server: Server) -> None:
    for sample in data_factory.all_files():
        server.ask(Request("/instances", "POST", sample.data))


def ask(server: Server, query: str) -> Answer:
    return server.ask(Request(f"/dicom-web/{query}", headers={"Host": "pacs"}))


def search(server: Server, query: str) -> list[Found]:
    answer = ask(server, query)
    if answer.status == 204:
        return []
    assert answer.status == 200, (server.name, query, answer)
    found: list[Found] = json.loads(answer.body)
    return found


def told(found: Found) -> Found:
    """What an answer tells: no empty elements."""
    return {tag: element for tag, element in found.items() if element.get("Value")}


def comparable(found: list[Found], query: str) -> list[Found]:
    """Leave out, where patients are asked for, samples that share an identifier and differ: the plugin knows the first of them alone."""
    asks_patients = any(f"{mark}0010" in query for mark in "?&")
    return [
        each for each in found if not asks_patients or each.get("00100020", {}).get("Value", [""])[0].startswith("PAT")
    ]


def by_uid(found: list[Found], level: str) -> dict[str, list[Found]]:
    """Answers by UID; some samples share one below several patients."""
    grouped: dict[str, list[Found]] = {}
    for each in found:
        grouped.setdefault(each[UIDS[level]]["Value"][0], []).append(told(each))
    return {uid: sorted(each, key=lambda one: str(sorted(one.items()))) for uid, each in grouped.items()}


def texts(archive: list[Found], tag: str) -> list[str]:
    """The values of an attribute in an archive, as text that a query can hold."""
    values = [each[tag]["Value"][0] for each in archive if each.get(tag, {}).get("Value")]
    shown = [value.get("Alphabetic", "") if isinstance(value, dict) else str(value) for value in values]
    return sorted({text for text in shown if text and text.isascii() and not set(text) & set('*?,\\"+ #&%')})


def key(rng: random.Random, kind: str, values: list[str]) -> str:
    """One value of a query, such as both understand alike."""
    one = rng.choice(values)
    match kind, rng.randrange(5):
        case "date" | "time", 0:
            return f"{min(one, other := rng.choice(values))}-{max(one, other)}"
        case "date" | "time", 1:
            return f"{one}-"
        case "date" | "time", 2:
            return f"-{one}"
        case "text", 0:
            return one[: rng.randrange(1, len(one) + 1)] + "*"
        case "text", 1:
            return f"*{one[rng.randrange(len(one)) :]}"
        case "text", 2:
            place = rng.randrange(len(one))
            return f"{one[:place]}?{one[place + 1 :]}"
        case "text", 3:
            return one.swapcase()
        case "uid" | "code", 0 | 1:
            return f"{one},{rng.choice(values)}"
    return one


def random_queries(server: Server) -> Iterator[tuple[str, str]]:
    rng = random.Random(7305)
    archives = {level: search(server, f"{level}?includefield=00080070,00081030,00080080") for level in UIDS}
    for _ in range(QUERIES):
        level = rng.choice(["studies", "studies", "series", "series", "instances"])
        asked = rng.sample([*ASKED[level]], rng.choice([1, 1, 2]))
        known = {tag: values for tag in asked if (values := texts(archives[level], tag))}
        if level != "studies":
            known.pop("00080061", None)  # the plugin knows it of studies alone
            if "0020000D" in known:  # then it does not tell the patient, see `comparable`
                known = {tag: values for tag, values in known.items() if not tag.startswith("0010")}
        pairs = [f"{tag}={key(rng, ASKED[level][tag], values)}" for tag, values in known.items()]
        yield level, f"{level}?{'&'.join(pairs)}"


def test_random_queries_find_and_tell_the_same(pair: Pair) -> None:
    met = refused = 0
    for level, query in random_queries(pair.ours):
        answer = ask(pair.theirs, query)
        if answer.status == 400:
            refused += 1  # it cannot read the values of a few samples, and then answers nothing at all
            assert ask(pair.ours, query).status == 200, query
            continue
        found = search(pair.ours, query), json.loads(answer.body)
        ours, theirs = (by_uid(comparable(each, query), level) for each in found)
        assert sorted(ours) == sorted(theirs), query
        for uid, answers in theirs.items():
            assert len(ours[uid]) == len(answers), query
            for mine, other in zip(ours[uid], answers, strict=True):
                # Text beyond ASCII is read as docs/compatibility.md tells of all answers.
                shared = [tag for tag in other if str(mine.get(tag)).isascii()]
                assert {tag: mine.get(tag) for tag in shared} == {tag: other[tag] for tag in shared}, (query, uid)
                if level == "studies":
                    assert mine.keys() - other.keys() <= {ADDED}, query
        met += len(theirs)
    assert met > QUERIES  # most queries find something
    assert refused < QUERIES // 5


@pytest.mark.parametrize(
    "query",
    [
        "studies?StudyDate=2024*", "studies?StudyInstanceUID=1.2.*", "studies?limit=x", "studies?fuzzymatching=x", "studies?fuzzymatching=",
        "series?offset=x",
    ],
)  # fmt: skip
def test_both_refuse(pair: Pair, query: str) -> None:
    assert [ask(server, query).status for server in (pair.ours, pair.theirs)] == [400, 400]


@pytest.mark.parametrize(
    ("query", "ours", "theirs"),
    # The rows of docs/compatibility.md that can be counted.
    [
        ("studies?fuzzymatching=true&PatientName=Doe", 15, 0),
        ("studies?PatientName=*", 58, 52),
        ("studies?PatientName=Doe%5EJane%5E2", 5, 0),
        ("studies?PatientName=%44oe%2A", 15, 0),
        ("studies?ModalitiesInStudy=M*", 20, 0),
        ("series?ModalitiesInStudy=MR", 29, 0),
        ("series?00400275.00400009=none", 0, 67),
    ],
)
def test_differences(pair: Pair, query: str, ours: int, theirs: int) -> None:
    assert [len(search(server, query)) for server in (pair.ours, pair.theirs)] == [ours, theirs]


def test_empty_values_are_those_that_the_plugin_shows_as_empty(pair: Pair) -> None:
    empty = [each for each in search(pair.theirs, "studies") if "Value" not in each.get("00100010", {})]
    assert len(search(pair.ours, "studies?emptyvaluematching=true&PatientName=%22%22")) == len(empty) > 0


def test_nothing_and_the_unknown(pair: Pair) -> None:
    nothing, unknown = "studies?PatientID=nobody", "studies?Foo=1"
    assert [ask(server, nothing).status for server in (pair.ours, pair.theirs)] == [204, 200]
    assert [ask(server, unknown).status for server in (pair.ours, pair.theirs)] == [400, 200]


def test_addresses_follow_proxies_alike(pair: Pair) -> None:
    for headers in (
        {"Host": "pacs:1"},
        {"Forwarded": "host=f.org;proto=https"},
        {"X-Forwarded-Host": "x.org", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "x.org"},
        {"Forwarded": "host=f.org", "Host": "pacs"},
    ):
        request = Request("/dicom-web/studies?StudyInstanceUID=2.25.7305.2.1", headers=headers)
        ours, theirs = (
            json.loads(server.ask(request).body)[0]["00081190"]["Value"][0] for server in (pair.ours, pair.theirs)
        )
        for server in (pair.ours, pair.theirs):
            ours, theirs = (url.replace(f":{server.http_port}", "") for url in (ours, theirs))
        assert ours == theirs


def test_xml_tells_the_same(pair: Pair) -> None:
    query = "studies?StudyInstanceUID=2.25.7305.2.1"
    request = Request(f"/dicom-web/{query}", headers={"Accept": "application/dicom+xml", "Host": "pacs"})
    bodies = [
        server.ask(request).body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0] for server in (pair.ours, pair.theirs)
    ]
    ours, theirs = (set(body.decode().splitlines()) for body in bodies)
    assert {line for line in theirs - ours if "http" not in line} == set()
