"""`GET /storage/status`, and what REST answers while the file of an instance is damaged."""

import os
from collections.abc import Iterator
from json import loads
from pathlib import Path
from typing import Any

import pytest

from events.identifiers import ResourceId
from tests.contract.rest_stage import RestStage, rest_stage
from tests.data_factory import add_pixels, dataset, encode
from tools.server.core import Core

FILES = [encode(add_pixels(dataset(instance=number))) for number in range(1, 6)]


@pytest.fixture
def rest(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as stage:
        yield stage


def upload(rest: RestStage, data: bytes) -> tuple[str, str]:
    told = json(rest.upload(data).body)
    return told["ID"], told["Status"]


def json(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = loads(body)
    return found


def path_of(archive: Core, identifier: str) -> Path:
    with archive.views.snapshot() as s:
        record = s.get_instance(ResourceId(bytes.fromhex(identifier.replace("-", ""))))
    assert record is not None
    return archive.blobs.path(record.blob)


def test_without_damage_there_is_nothing_to_see(rest: RestStage) -> None:
    upload(rest, FILES[0])
    assert json(rest.ask("/storage/status").body) == {"CountDamaged": 0, "Damaged": [], "Done": True, "Last": 0}


@pytest.mark.parametrize("what", ["file", "tags", "simplified-tags", "header", "content", "content/0010-0010"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "emptied", "altered"])
def test_a_damaged_file_is_an_error_on_every_route_until_it_is_sent_again(
    rest: RestStage, archive: Core, what: str, damage: str
) -> None:
    identifier, _ = upload(rest, FILES[0])
    whole = rest.ask(f"/instances/{identifier}/{what}").body
    path = path_of(archive, identifier)
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            os.truncate(path, 200)
        case "emptied":
            os.truncate(path, 0)
        case "altered":
            path.write_bytes(FILES[0][:-1] + b"\x7f")
    answer = rest.ask(f"/instances/{identifier}/{what}")
    told = json(answer.body)
    assert (answer.status, told["OrthancStatus"]) == (500, 20)
    assert told["Details"] == f"the file of this instance is {damage}; the same instance sent again heals it"
    assert upload(rest, FILES[0]) == (identifier, "Success")
    assert rest.ask(f"/instances/{identifier}/{what}").body == whole
    assert rest.ask(f"/instances/{identifier}/file").body == FILES[0]


def test_the_list_pages_and_names_what_is_damaged(rest: RestStage, archive: Core) -> None:
    identifiers = [upload(rest, data)[0] for data in FILES]
    for identifier in identifiers[:3]:
        os.truncate(path_of(archive, identifier), 10)
        assert rest.ask(f"/instances/{identifier}/file").status == 500
    first = json(rest.ask("/storage/status?limit=2").body)
    rest_of_it = json(rest.ask(f"/storage/status?limit=2&since={first['Last']}").body)
    shown = [*first["Damaged"], *rest_of_it["Damaged"]]
    assert (first["CountDamaged"], first["Done"], rest_of_it["Done"]) == (3, False, True)
    assert [each["ID"] for each in shown] == identifiers[:3]
    assert {(each["Damage"], each["Size"], each["FoundSize"]) for each in shown} == {("truncated", len(FILES[0]), 10)}
    for odd in ("since=-1", "since=x", "limit=0", f"since={2**70}", "limit=99999999"):
        assert rest.ask(f"/storage/status?{odd}").status == 200


def test_what_was_deleted_is_no_longer_listed(rest: RestStage, archive: Core) -> None:
    identifier, _ = upload(rest, FILES[0])
    path_of(archive, identifier).unlink()
    rest.ask(f"/instances/{identifier}/file")
    assert rest.ask(f"/instances/{identifier}", "DELETE").status == 200
    assert json(rest.ask("/storage/status").body)["CountDamaged"] == 0
    assert rest.ask(f"/instances/{identifier}/file").status == 404
    assert upload(rest, FILES[0]) == (identifier, "Success")


def test_the_event_is_in_the_log_and_in_the_history(rest: RestStage, archive: Core) -> None:
    identifier, _ = upload(rest, FILES[0])
    path_of(archive, identifier).unlink()
    rest.ask(f"/instances/{identifier}/file")
    upload(rest, FILES[0])
    for uri in ("/events", f"/instances/{identifier}/history"):
        body = rest.ask(uri).body.decode()
        assert "file-damaged/1" in body
        assert "file-healed/2" in body
