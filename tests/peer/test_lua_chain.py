"""SendToModality, SendToPeer, Delete, CallSystem and their nestings: what arrives, what stays, which job is made of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.exchange import Request, Server
from tests.peer.lua_destinations import NEEDS_STORESCP, add_modality, modality, titles, web_service
from tests.peer.lua_stage import LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle, wait_for
from tests.ports import free_port

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern"), NEEDS_STORESCP]

OPTIONS = '"DicomScuTimeout": 2, "JobsHistorySize": 100,'
CALLBACK = "function OnStoredInstance(id, tags, metadata, origin) %s end"
NESTINGS = {
    "send": "SendToModality(id, 'sample')",
    "send with title": "SendToModality(id, 'sample', 'OTHER')",
    "delete": "Delete(id)",
    "send and delete": "Delete(SendToModality(id, 'sample'))",
    "one after the other": "SendToModality(id, 'sample') Delete(id)",
    "twice": "Delete(SendToModality(SendToModality(id, 'sample'), 'sample'))",
    "two branches": "local a = SendToModality(id, 'sample') SendToModality(a, 'sample') Delete(a)",
    "call": "CallSystem(id, '/bin/cp', {'-t', '{out}'})",
    "call first": "Delete(CallSystem(id, 'true', {}))",
    "without arguments": "CallSystem(id, 'true')",
    "nothing": "do return 5 end",
    "returned": "trace('returned', SendToModality(id, 'sample'), Delete(id))",
    "only read": "local a = tags.PatientName",
}
REFUSED = {
    "unknown modality": "Delete(SendToModality(id, 'nope'))",
    "unknown peer": "SendToPeer(id, 'nope') Delete(id)",
    "arguments no table": "CallSystem(id, 'true', 'x') Delete(id)",
    "error before": "error('early') Delete(id)",
    "error after": "Delete(id) error('late')",
    "no id": "Delete(nil)",
    "no id to send": "SendToModality(nil, 'sample')",
}


@pytest.fixture(scope="module")
def running(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LuaPair, dict[str, Path]]]:
    folder = tmp_path_factory.mktemp("chain")
    with start_lua_pair(oracle, folder, more=OPTIONS) as pair, modality(pair, "sample", folder) as written:
        yield pair, written


@pytest.fixture
def stage(running: tuple[LuaPair, dict[str, Path]]) -> Iterator[LuaPair]:
    pair, written = running
    pair.settle()
    pair.forget()
    for folder in written.values():
        for path in folder.iterdir():
            path.unlink()
    yield pair
    pair.execute("OnStoredInstance = nil")


_number = iter(range(60, 1000))


def store_one(stage: LuaPair, script: str) -> str:
    """Let this be done with one new instance; its SOP Instance UID."""
    stage.execute(CALLBACK % script)
    number = next(_number)
    stage.both(lambda server: upload(server, encode(add_pixels(dataset(number)))))
    stage.settle()
    return f"2.25.7305.{number}.1.1.1"


def jobs(server: Server) -> list[dict[str, Any]]:
    found: Any = server.get_json("/jobs?expand")
    assert isinstance(found, list)
    return found


def wait_for_jobs(stage: LuaPair) -> None:
    def done(server: Server) -> bool:
        found: Any = server.get_json("/jobs?expand")
        return all(job["State"] in {"Success", "Failure"} for job in found)

    for server in stage.servers:
        wait_for(lambda server=server: done(server), f"the jobs of {server.name}")  # type: ignore[misc] # mypy does not see the default


@pytest.mark.parametrize("name", NESTINGS)
def test_what_is_asked_for_is_done(
    stage: LuaPair, running: tuple[LuaPair, dict[str, Path]], name: str, tmp_path: Path
) -> None:
    """Orthanc adds what a callback asks for to a job that runs already; in Sinogram each callback has a job of its own."""
    script = NESTINGS[name].replace("{out}", str(tmp_path))
    uid = store_one(stage, script)
    wait_for_jobs(stage)
    stage.settle()
    stage.assert_said_alike(skip=("@ OnStable", "@ OnJob"))
    written = running[1]
    assert titles(written["sinogram"]) == titles(written["orthanc"]) == ([uid] if "'sample'" in script else [])
    stage.ask("/instances")
    assert len(titles(tmp_path)) == (2 if "{out}" in NESTINGS[name] else 0)
    for server in stage.servers:
        assert {(job["Type"], job["State"]) for job in jobs(server)} <= {("SequenceOfOperations", "Success")}


@pytest.fixture(scope="module")
def refusing(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    """Here all callbacks fail: what has failed is tried again with what is defined by then."""
    with start_lua_pair(oracle, tmp_path_factory.mktemp("refused"), more=OPTIONS) as pair:
        pair.ask("/modalities/sample", "PUT", '["SAMPLE", "127.0.0.1", 1104]')
        yield pair


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_is_done_if_anything_is_wrong(refusing: LuaPair, name: str) -> None:
    refusing.forget()
    uid = store_one(refusing, REFUSED[name])
    refusing.assert_said_alike(skip="@ OnStable")
    for server in refusing.servers:
        assert jobs(server) == []
        found = server.ask(Request("/tools/lookup", "POST", uid)).json()
        assert len(found) == 1  # type: ignore[arg-type]


def test_what_cannot_be_sent_is_not_deleted(stage: LuaPair) -> None:
    """Orthanc 1.12.7 deletes it all the same and calls the job a success."""
    stage.both(lambda server: add_modality(server, "dead", free_port()))
    uid = store_one(stage, "Delete(SendToModality(id, 'dead'))")
    stage.wait_until_said("@ OnJobSubmitted")

    def left(server: Server) -> int:
        return len(server.ask(Request("/tools/lookup", "POST", uid)).json())  # type: ignore[arg-type]

    wait_for(lambda: left(stage.pair.theirs) == 0, "Orthanc to delete what it has not sent")
    assert left(stage.pair.ours) == 1
    (job,) = [job for job in jobs(stage.pair.ours) if job["State"] in {"Running", "Retry", "Pending", "Failure"}]
    assert job["Type"] == "SequenceOfOperations"


def test_a_stable_study_is_sent_as_a_whole(stage: LuaPair, running: tuple[LuaPair, dict[str, Path]]) -> None:
    """Orthanc 1.12.7 can send instances only ("Unknown resource")."""
    stage.execute("function OnStableStudy(id, ...) trace('OnStableStudy', id, ...) SendToModality(id, 'sample') end")
    files = [encode(add_pixels(dataset(58, 1, series, number))) for series in (1, 2) for number in (1, 2)]
    uploaded, _ = stage.both(lambda server: upload(server, *files))
    stage.wait_until_said(f'@ OnStableStudy("{uploaded[0]["ParentStudy"]}"')
    stage.execute("OnStableStudy = nil")
    folder = running[1]["sinogram"]
    wanted = {f"2.25.7305.58.1.{series}.{number}" for series in (1, 2) for number in (1, 2)}
    wait_for(lambda: wanted <= set(titles(folder)), "the study")  # and what else has become stable meanwhile


def test_an_instance_is_given_to_a_command(stage: LuaPair, tmp_path: Path) -> None:
    """The file is the last argument, and a copy."""
    script = tmp_path / "command.sh"
    script.write_text(
        '#!/bin/sh\nfor last; do :; done\nd=$(dirname $0)\necho "$# $1 $2" > $d/$1.args\nmd5sum < $last > $d/$1.sum\nbasename $last > $d/$1.name\n'
    )
    script.chmod(0o755)
    stage.both(lambda server: server.ask(Request("/tools/execute-script", "POST", f"who = '{server.name}'")))
    store_one(stage, f"CallSystem(id, '{script}', {{who, 'two words'}})")
    for server in stage.servers:
        wait_for((tmp_path / f"{server.name}.name").exists, "the command")
    ours, theirs = (
        [(tmp_path / f"{server.name}.{end}").read_text() for end in ("args", "sum")] for server in stage.servers
    )
    assert ours[0].split()[0] == theirs[0].split()[0] == "3"
    assert ours[0].endswith("two words\n")
    assert ours[1] == theirs[1]


def test_peers_are_sent_to(oracle: Oracle, tmp_path: Path) -> None:
    with web_service() as peer:
        options = f'"OrthancPeers": {{"peer": ["http://127.0.0.1:{peer.port}/", "user", "secret"]}},'
        with start_lua_pair(oracle, tmp_path, more=options) as stage:
            stage.execute(CALLBACK % "SendToPeer(id, 'peer')")
            seen = []
            for server in stage.servers:
                upload(server, encode(dataset(59)))
                seen += peer.wait(1)
    (*ours, our_headers, our_body), (*theirs, their_headers, their_body) = seen
    assert ours == theirs == ["POST", "/instances"]
    assert our_body == their_body
    assert dict(our_headers)["authorization"] == dict(their_headers)["authorization"]
    assert dict(our_headers)["content-type"] == "application/dicom"  # Orthanc's is curl's default
