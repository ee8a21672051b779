"""`/peers/{name}/store`: requests, their answers, what arrives. Answers as observed on Orthanc 1.12.7."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.services.codecs.pool import CodecPool
from actors.wire.http.peer import Peer
from store.dicom.part10 import find_dataset, open_part10
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.contract.operations_stage import working
from tests.contract.rest_stage import Answer, RestStage, error_of, ids, rest_stage, shown
from tests.contract.retrieve_stage import fill, study
from tests.contract.test_peer_sends import WAIT_S, serving
from tests.data_factory import shipped_files
from tests.fault.servers import wait_for
from tests.transcoded import transcode
from tools.server.core import Core

UNKNOWN = "00000000-00000000-00000000-00000000-00000000"
RLE = next(sample.data for sample in shipped_files() if sample.name == "MR_small_RLE.dcm")
FILES = (*study(series=2, instances=3), RLE)


@pytest.fixture
def there() -> Iterator[Any]:
    with serving() as made:
        yield made


@pytest.fixture
def stage(archive: Core, there: Any) -> Iterator[RestStage]:
    fill(archive, *FILES)
    url = f"http://127.0.0.1:{there.server_port}/"
    peers = (Peer(name="there", url=url, username="u", password="word"), Peer(name="dead", url="http://127.0.0.1:1/"))
    with working(archive, configured=peers), rest_stage(archive, peers=peers, log_exported_resources=True) as made:
        yield made


def post(stage: RestStage, body: object, name: str = "there") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return stage.ask(f"/peers/{name}/store", "POST", data)


def bodies(there: Any) -> list[bytes]:
    return sorted(body for _, _, body in there.seen)


def test_resources_of_any_level_are_sent_as_they_are_stored(stage: RestStage, there: Any) -> None:
    named = ids(stage, "patients")
    size = sum(map(len, FILES))
    assert shown(post(stage, named)) == {
        "Compress": False,
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": len(FILES),
        "ParentResources": sorted(named),
        "Peer": [f"http://127.0.0.1:{there.server_port}/", "u", ""],
        "Size": str(size),
        "SizeMB": 0,
    }
    assert bodies(there) == sorted(FILES)
    assert "content-encoding" not in there.seen[0][1]
    for level in ("studies", "series", "instances"):
        there.seen.clear()
        first = ids(stage, level)[0]
        assert shown(post(stage, first.encode()))["InstancesCount"] == len(there.seen) > 0
    assert shown(post(stage, []))["InstancesCount"] == 0


def test_what_is_compressed_says_so(stage: RestStage, there: Any) -> None:
    told = shown(post(stage, {"Resources": ids(stage, "patients"), "Compress": True}))
    assert sorted(gzip.decompress(body) for body in bodies(there)) == sorted(FILES)
    assert {headers["content-encoding"] for _, headers, _ in there.seen} == {"gzip"}
    assert told["Compress"] is True
    assert told["Size"] == str(sum(map(len, bodies(there))))


@pytest.mark.parametrize("syntax", [EXPLICIT_LE, IMPLICIT_LE])
@pytest.mark.parametrize("compress", [False, True])
def test_what_is_transcoded_is_a_file_in_that_syntax(
    stage: RestStage, there: Any, syntax: str, *, compress: bool
) -> None:
    body = {"Resources": ids(stage, "patients"), "Transcode": syntax, "Compress": compress}
    assert shown(post(stage, body))["Transcode"] == syntax
    files = [gzip.decompress(file) if compress else file for file in bodies(there)]
    codecs = CodecPool()
    try:
        datasets = [
            file[find_dataset(file) :]
            if open_part10(file).transfer_syntax == syntax
            else bytes(transcode(file, syntax, codecs))
            for file in FILES
        ]
    finally:
        codecs.close()
    assert {open_part10(file).transfer_syntax for file in files} == {syntax}
    assert sorted(file[find_dataset(file) :] for file in files) == sorted(datasets)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, (400, 15, 'Missing field in JSON: "Resources"')),
        (b"", (400, 15, "Must provide a JSON value")),
        (12, (400, 15, "Must provide a JSON object, or a JSON array of strings")),
        (["nope"], (400, 15, "This string is not a valid Orthanc identifier: nope")),
        (UNKNOWN.encode(), (404, 17, "")),
        ({"Resources": [], "Compress": 1}, (400, 15, "Boolean value expected in field: Compress")),
        ({"Resources": [], "Permissive": "x"}, (400, 15, "Boolean value expected in field: Permissive")),
        ({"Resources": [], "Transcode": 5}, (400, 15, "String value expected in field: Transcode")),
        ({"Resources": [], "Transcode": "1.2.3"}, (400, 15, "Unknown transfer syntax UID: 1.2.3")),
    ],
)
def test_bad_requests(stage: RestStage, there: Any, body: object, error: tuple[int, int, str]) -> None:
    assert error_of(post(stage, body)) == error
    assert not there.seen


def test_a_syntax_that_cannot_be_made_is_refused_and_nothing_is_sent(stage: RestStage, there: Any) -> None:
    answer = post(stage, {"Resources": ids(stage, "instances"), "Transcode": "1.2.840.10008.1.2.4.102"})
    assert error_of(answer)[1:] == (15, "Cannot transcode from 1.2.840.10008.1.2.1 to 1.2.840.10008.1.2.4.102")
    assert not there.seen


def test_a_peer_that_is_not_known_or_not_there(stage: RestStage) -> None:
    first = ids(stage, "instances")[0]
    assert error_of(post(stage, [first], "nope")) == (404, 17, "No peer with symbolic name: nope")
    assert error_of(post(stage, [first], "dead")) == (500, 9, "Peer dead gives no answer: Connection refused")
    told = shown(post(stage, {"Resources": ids(stage, "series"), "Permissive": True}, "dead"))
    assert told["FailedInstancesCount"] == told["InstancesCount"] == len(FILES)


def test_a_peer_that_refuses_is_the_request_s_error(stage: RestStage, there: Any) -> None:
    there.content = b'{"Status": "FilteredOut"}'
    details = "Peer there does not say that the instance is stored"
    assert error_of(post(stage, ids(stage, "instances"))) == (500, 9, details)
    assert len(there.seen) == 1


def test_what_is_sent_is_logged_as_exported(stage: RestStage) -> None:
    sent = [*ids(stage, "patients"), ids(stage, "series")[0]]
    post(stage, sent)
    rows = shown(stage.ask("/exports"))["Exports"]
    assert [(row["ID"], row["RemoteModality"]) for row in rows] == [(name, "there") for name in sent]


def test_a_job_shows_no_secret_and_follows_a_peer_that_is_changed(stage: RestStage, there: Any) -> None:
    url = f"http://127.0.0.1:{there.server_port}/"
    long = {"Url": "http://127.0.0.1:1/", "Username": "u", "Password": "word", "HttpHeaders": {"T": "token-word"}}
    assert stage.ask("/peers/moved", "PUT", json.dumps(long).encode()).status == 200
    job = shown(post(stage, {"Resources": ids(stage, "instances"), "Asynchronous": True}, "moved"))
    wait_for(lambda: shown(stage.ask(job["Path"]))["State"] == "Retry", "the first attempt to fail", WAIT_S)
    assert stage.ask("/peers/moved", "PUT", json.dumps({**long, "Url": url}).encode()).status == 200
    wait_for(lambda: shown(stage.ask(job["Path"]))["State"] == "Success", "the second attempt", WAIT_S)
    told = shown(stage.ask(job["Path"]))
    assert told["Content"]["Peer"] == {
        "HttpHeaders": {"T": ""},
        "Pkcs11": False,
        "Timeout": 0,
        "Url": "http://127.0.0.1:1/",
        "Username": "u",
    }
    assert len(there.seen) == len(FILES)
    for path in (job["Path"], "/events?limit=1000"):
        assert b"word" not in stage.ask(path).body
