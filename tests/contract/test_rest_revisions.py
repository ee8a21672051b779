"""Revisions: `ETag`, `If-Match`, `If-None-Match`, with `CheckRevisions` and without.

The book of Orthanc shows `ETag: "0"`, Orthanc 1.12.7 answers `ETag: "0-<md5>"`: clients of both are understood.
"""

import hashlib
import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.clock import Clock
from tests.contract.http_serving import DEADLINE_S, serving
from tests.contract.rest_stage import Answer, RestStage, rest_stage
from tests.dicom_bytes import dataset, encode
from tools.server.core import Core

WRITERS = 200
OTHER_MD5 = hashlib.md5(b"something else").hexdigest()


@pytest.fixture
def checked(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, check_revisions=True) as made:
        made.upload(encode(dataset(1, 1, 1, 1)))
        yield made


@pytest.fixture
def unchecked(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        made.upload(encode(dataset(1, 1, 1, 1)))
        yield made


def uri(stage: RestStage, level: str = "instances") -> str:
    (identifier,) = json.loads(stage.ask(f"/{level}").body)
    return f"/{level}/{identifier}/metadata/1024"


def put(stage: RestStage, value: bytes, if_match: str | None = None) -> Answer:
    return stage.ask(uri(stage), "PUT", value, {} if if_match is None else {"If-Match": if_match})


def delete(stage: RestStage, if_match: str | None = None) -> Answer:
    return stage.ask(uri(stage), "DELETE", b"", {} if if_match is None else {"If-Match": if_match})


def with_md5(revision: int, value: bytes) -> str:
    """The tag of Orthanc 1.12.7."""
    return f'"{revision}-{hashlib.md5(value).hexdigest()}"'


def status_and_tag(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers.get("Etag")


def test_the_exchanges_of_the_book(checked: RestStage) -> None:
    assert status_and_tag(put(checked, b"Hello")) == (200, '"0"')
    assert status_and_tag(checked.ask(uri(checked))) == (200, '"0"')
    assert status_and_tag(put(checked, b"Hello 2", '"0"')) == (200, '"1"')
    refused = put(checked, b"Hello 3", '"0"')
    assert status_and_tag(refused) == (409, None)
    assert json.loads(refused.body)["OrthancStatus"] == 43
    assert checked.ask(uri(checked)).body == b"Hello 2"
    assert delete(checked, '"1"').status == 200
    assert checked.ask(uri(checked)).status == 404
    assert status_and_tag(put(checked, b"a new life")) == (200, '"0"')


@pytest.mark.parametrize("form", ['"1"', "1", ' "1" ', '"01"', with_md5(1, b"two"), with_md5(1, b"two").strip('"')])
def test_forms_of_a_tag_that_is_right(checked: RestStage, form: str) -> None:
    put(checked, b"one")
    put(checked, b"two", '"0"')
    known = checked.ask(uri(checked), headers={"If-None-Match": form})
    assert (status_and_tag(known), known.body) == ((304, '"1"'), b"")
    assert status_and_tag(put(checked, b"three", form)) == (200, '"2"')
    assert delete(checked, form).status == 409
    assert delete(checked, form.replace("1", "2", 1) if "-" not in form else with_md5(2, b"three")).status == 200


@pytest.mark.parametrize("form", ['"0"', '"2"', "2", with_md5(0, b"two"), f'"1-{OTHER_MD5}"', '"1-"', '"1-x"'])
def test_forms_of_a_tag_that_is_another(checked: RestStage, form: str) -> None:
    put(checked, b"one")
    put(checked, b"two", '"0"')
    assert checked.ask(uri(checked), headers={"If-None-Match": form}).body == b"two"
    assert [put(checked, b"x", form).status, delete(checked, form).status] == [409, 409]
    assert status_and_tag(checked.ask(uri(checked))) == (200, '"1"')


@pytest.mark.parametrize("form", ["", "*", '"*"', '"a"', '"-1"', '""', '"', '"0", "1"', "1.0", '"0' + "0" * 20 + '"'])
def test_what_is_no_tag(checked: RestStage, form: str) -> None:
    put(checked, b"one")
    for answer in (
        put(checked, b"x", form),
        delete(checked, form),
        checked.ask(uri(checked), headers={"If-None-Match": form}),
    ):
        error = json.loads(answer.body)
        assert (answer.status, error["OrthancStatus"]) == (400, 3)
        assert "should contain the ETag" in error["Details"]
    assert checked.ask(uri(checked)).body == b"one"


def test_attachments_have_revisions_as_metadata_have(checked: RestStage) -> None:
    path = uri(checked).replace("metadata", "attachments")
    assert status_and_tag(checked.ask(path, "PUT", b"one")) == (200, '"0"')
    assert [checked.ask(path, method, b"two").status for method in ("PUT", "DELETE")] == [409, 409]
    for tag in ('"1"', f'"0-{OTHER_MD5}"'):
        assert [checked.ask(path, method, b"two", {"If-Match": tag}).status for method in ("PUT", "DELETE")] == [
            409,
            409,
        ]
    assert checked.ask(f"{path}/data").body == b"one"
    assert status_and_tag(checked.ask(path, "PUT", b"two", {"If-Match": with_md5(0, b"one")})) == (200, '"1"')
    for operation in ("/data", "/info", "/size", ""):
        for tag in ('"1"', with_md5(1, b"two")):
            assert status_and_tag(checked.ask(path + operation, headers={"If-None-Match": tag})) == (304, '"1"')
        assert checked.ask(path + operation, headers={"If-None-Match": '"0"'}).status == 200
    assert checked.ask(path, "DELETE", b"", {"If-Match": '"1"'}).status == 200
    assert status_and_tag(checked.ask(path, "PUT", b"new")) == (200, '"0"')


def test_what_must_be_said_and_is_not(checked: RestStage) -> None:
    missing = delete(checked)  # of nothing
    assert missing.status == 409
    assert 'HTTP header "If-Match" is missing' in json.loads(missing.body)["Details"]
    put(checked, b"one")
    assert [put(checked, b"x").status, delete(checked).status] == [409, 409]
    assert checked.ask(uri(checked)).body == b"one"


def test_a_first_value_needs_no_tag_and_minds_none(checked: RestStage) -> None:
    """As in Orthanc 1.12.7: what a client has seen and another has removed is set anew."""
    assert status_and_tag(put(checked, b"one", '"7"')) == (200, '"0"')
    assert delete(checked, '"0"').status == 200
    assert delete(checked, '"0"').status == 404


def test_without_the_option_only_what_is_said_is_compared(unchecked: RestStage) -> None:
    assert [status_and_tag(put(unchecked, b"x")) for _ in range(3)] == [(200, '"0"'), (200, '"1"'), (200, '"2"')]
    assert put(unchecked, b"y", '"1"').status == 409
    assert status_and_tag(put(unchecked, b"y", '"2"')) == (200, '"3"')
    assert delete(unchecked, '"2"').status == 409
    assert delete(unchecked).status == 200
    assert delete(unchecked).status == 404


def test_metadata_of_orthancs_own_have_tags_for_caches(checked: RestStage) -> None:
    base = uri(checked, "instances").removesuffix("1024")
    for name in ("ReceptionDate", "Origin", "RemoteAET", "RemoteAet", "TransferSyntax"):
        assert status_and_tag(checked.ask(base + name)) == (200, '"0"')
        assert checked.ask(base + name, headers={"If-None-Match": '"0"'}).status == 304
    # There If-Match is for nobody.
    assert checked.ask(base + "Origin", "PUT", b"x", {"If-Match": '"0"'}).status == 403


def test_the_tag_of_a_value_that_changes_changes(checked: RestStage, clock: Clock) -> None:
    path = uri(checked, "series").replace("1024", "LastUpdate")
    before = checked.ask(path)
    assert checked.ask(path, headers={"If-None-Match": before.headers["Etag"]}).status == 304
    clock.advance(5)
    checked.upload(encode(dataset(1, 1, 1, 2)))
    after = checked.ask(path, headers={"If-None-Match": before.headers["Etag"]})
    assert (after.status, after.body > before.body) == (200, True)
    assert after.headers["Etag"] != before.headers["Etag"]


def race(
    address: tuple[str, int], requests: list[tuple[str, str, bytes, dict[str, str]]]
) -> list[tuple[int, str | None]]:
    """Send all requests at the same time, each from a client of its own; gives status and tag of each answer."""
    answers: list[tuple[int, str | None]] = [(0, None)] * len(requests)
    start = threading.Barrier(len(requests))

    def ask(place: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        client = http.client.HTTPConnection(*address, timeout=DEADLINE_S)
        client.connect()
        start.wait(DEADLINE_S)
        client.request(method, path, body, headers)
        answer = client.getresponse()
        answer.read()
        answers[place] = answer.status, answer.headers.get("ETag")
        client.close()

    threads = [threading.Thread(target=ask, args=(place, *request)) for place, request in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize(("kind", "writers", "shown"), [("metadata", WRITERS, ""), ("attachments", 50, "/data")])
def test_of_many_writers_one_wins_each_revision(checked: RestStage, kind: str, writers: int, shown: str) -> None:
    path = uri(checked).replace("metadata", kind)
    with serving(checked.app, threads=16, silence_s=DEADLINE_S, is_alone=False) as address:
        for revision in range(3):
            headers = {"If-Match": f'"{revision - 1}"'} if revision else {}
            answers = race(address, [("PUT", path, f"{revision} {n}".encode(), headers) for n in range(writers)])
            assert Counter(answers) == {(200, f'"{revision}"'): 1, (409, None): writers - 1}
            (winner,) = [n for n, (status, _) in enumerate(answers) if status == 200]
            assert checked.ask(path + shown).body == f"{revision} {winner}".encode()
        answers = race(address, [("DELETE", path, b"", {"If-Match": '"2"'})] * writers)
        assert Counter(status for status, _ in answers) == {200: 1, 404: writers - 1}
    log = json.loads(checked.ask("/events?limit=1000").body)["Events"]
    assert [e["Values"].get("revision") for e in log if e["Tag"].startswith(kind.rstrip("s") + "-")] == [0, 1, 2, None]
