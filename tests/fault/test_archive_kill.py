"""A job that makes an archive begins its file again after a process was killed, and never calls one a success that is not whole."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fault.checks import check_log
from tests.fault.instances import Instance
from tests.fault.servers import ServerUnderTest, freeze, kill, server_in, wait_for

INSTANCES = 1500
DEADLINE_S = 120.0
TRIES = 20  # to meet a job on its way


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerUnderTest]:
    with server_in(tmp_path, ConcurrentJobs=1, GatewayProcesses=1) as made:
        made.start()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for number in range(INSTANCES):
                archive.writestr(str(number), _file(number))
        assert made.request("POST", "/instances", packed.getvalue()).status == 200
        yield made
        assert made.stop() == 0


@pytest.mark.nightly
def test_archives_are_whole_after_twenty_kills(server: ServerUnderTest) -> None:
    for number in range(20):
        _try(server, ("archive", "media")[number % 2], everything=number % 4 < 2)
    check_log(server)
    wait_for(lambda: len(_archives(server)) == 1, "the other outputs to be removed", DEADLINE_S)


def _archives(server: ServerUnderTest) -> list[Path]:
    files = (path for path in (server.storage / "blobs").rglob("*") if path.is_file())
    return [path for path in files if path.stat().st_size > INSTANCES * 100]


def _try(server: ServerUnderTest, word: str, *, everything: bool) -> None:
    """Kill while a job is on its way, and look at what it makes in the end."""
    for _ in range(TRIES):
        job = _begin(server, word)
        is_on_its_way = _kill(server, job, everything=everything)
        wait_for(lambda job=job: _state(server, job) in {"Success", "Failure"}, "the job to end", DEADLINE_S)  # type: ignore[misc]  # mypy does not see the default
        _check(server, job, word)
        if is_on_its_way:
            return
    raise AssertionError("each job was over before it could be killed")


def _begin(server: ServerUnderTest, word: str) -> str:
    (study,) = server.get("/studies")
    answer = server.request("POST", f"/studies/{study}/{word}", b'{"Asynchronous": true}')
    return str(answer.json["Path"])


def _kill(server: ServerUnderTest, job: str, *, everything: bool) -> bool:
    """Kill when the job has done something; tells whether it had more to do then."""
    wait_for(lambda: server.get(job)["Progress"] > 0, "a first step", DEADLINE_S)
    worker = server.named()["worker-1"]
    freeze(worker)
    is_on_its_way = _state(server, job) == "Running"
    if everything:
        server.kill_all()
        server.start()
    else:
        kill(worker)
    return is_on_its_way


def _state(server: ServerUnderTest, job: str) -> str:
    return str(server.get(job)["State"])


def _check(server: ServerUnderTest, job: str, word: str) -> None:
    told: dict[str, Any] = server.get(job)
    assert told["State"] == "Success", told
    output = server.request("GET", f"{job}/archive").body
    assert told["Content"]["ArchiveSize"] == str(len(output))
    with zipfile.ZipFile(io.BytesIO(output)) as archive:
        assert archive.testzip() is None
        names = [name for name in archive.namelist() if name != "DICOMDIR"]
        assert (len(archive.namelist()) - len(names), len(names)) == (int(word == "media"), INSTANCES)
        assert sorted(map(archive.read, names)) == sorted(map(_file, range(INSTANCES)))


def _file(number: int) -> bytes:
    return Instance(number, "P", 1, number % 3, 1000).file()
