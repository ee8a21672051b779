"""Jobs beside a real Orthanc: how they are made, shown, steered and how they end."""

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.comparison import Difference, assert_same, compare
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Answer, Request, Server
from tests.peer.servers import Oracle, wait_for
from tests.ports import free_port
from tools.cli import main

pytestmark = [
    pytest.mark.peer,
    pytest.mark.usefixtures("modern"),
    pytest.mark.skipif(shutil.which("storescp") is None, reason="DCMTK is not installed (Debian: dcmtk)"),
]

OPTIONS = '"DicomScuTimeout": 2, "ConcurrentJobs": 1, "JobsHistorySize": 100,'
INSTANCES = 3
UNKNOWN = "00000000-00000000-00000000-00000000-00000000"
NO_JOB = "00000000-0000-4000-8000-000000000000"
WORDS = ("cancel", "pause", "resume", "resubmit")
STOP_TIMEOUT_S = 10.0
VOLATILE = (  # what no two runs share
    re.compile(rb'("(?:CreationTime|CompletionTime|Timestamp|EstimatedTimeOfArrival)" : )"\d{8}T\d{6}(\.\d{6})?"'),
    re.compile(rb'("EffectiveRuntime" : )\d+(\.\d+)?(e-\d+)?'),
)


@dataclass
class Stage:
    """Both servers, and the job that each made last, for which `{job}` stands."""

    pair: Pair
    study: str
    jobs: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", body: object = None) -> list[Difference]:
        """Ask both, and return what differs."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        answers = [self._ask(server, path, method, data) for server in self._servers]
        return compare(Request(path, method, data), *answers)

    def _ask(self, server: Server, path: str, method: str, data: bytes | None) -> Answer:
        name = self.jobs.get(server.name, NO_JOB)
        answer = server.ask(Request(path.replace("{job}", name), method, data))
        text = answer.body.replace(name.encode(), b"<job>")
        if found := re.search(rb'"Path" : "/jobs/([0-9a-f-]{36})"', answer.body):
            self.jobs[server.name] = found[1].decode()
            text = text.replace(found[1], b"<job>")
        for pattern in VOLATILE:
            text = pattern.sub(rb'\1"<varies>"', text)
        return replace(answer, body=text)

    def store(self, name: str, **options: object) -> list[Difference]:
        return self.ask(f"/modalities/{name}/store", "POST", {"Resources": [self.study], **options})

    def wait(self, *states: str) -> None:
        """Wait until the last job of each server stands in one of these states."""
        for server in self._servers:
            wait_for(lambda server=server: self._state(server) in states, f"{server.name}: {states}")  # type: ignore[misc] # mypy does not see the default

    def _state(self, server: Server) -> str:
        job: Any = server.get_json(f"/jobs/{self.jobs[server.name]}")
        return str(job["State"])

    @property
    def _servers(self) -> tuple[Server, Server]:
        return self.pair.ours, self.pair.theirs


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Both with one study, and three modalities: a storescp, one that never answers, one that is not there."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "received").mkdir()
    with ExitStack() as stack:
        silent = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0), backlog=100)))
        port = free_port()
        process = subprocess.Popen(["storescp", "-od", str(folder / "received"), str(port)], stderr=subprocess.DEVNULL)
        stack.callback(process.wait, STOP_TIMEOUT_S)
        stack.callback(process.terminate)
        pair = stack.enter_context(start_pair(oracle, folder, OPTIONS))
        for server in (pair.ours, pair.theirs):
            for number in range(INSTANCES):
                assert (
                    server.ask(Request("/instances", "POST", encode(add_pixels(dataset(1, 1, 1, number + 1))))).status
                    == 200
                )
        made = Stage(pair, pair.ids("studies")[0])
        for name, there in (("sink", port), ("silent", silent.getsockname()[1]), ("dead", free_port())):
            assert_same(made.ask(f"/modalities/{name}", "PUT", [name.upper(), "127.0.0.1", there]))
        yield made


def all_of(*found: list[Difference]) -> None:
    assert_same([each for differences in found for each in differences])


def test_a_synchronous_request_is_answered_with_the_content(stage: Stage) -> None:
    all_of(
        stage.ask("/modalities/sink/store", "POST", stage.study.encode()),
        stage.ask("/modalities/sink/store", "POST", [stage.study]),
        stage.store("sink"),
        stage.store("sink", Synchronous=True),
        stage.store("sink", Synchronous=True, Asynchronous=True),
        stage.store("sink", UserData="x"),
        stage.store("sink", Permissive=True, Priority=5),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"Asynchronous": True},
        {"Asynchronous": True, "Priority": 7, "UserData": {"a": 1, "b": [1, 2]}},
        {"Synchronous": False, "Asynchronous": False},
        {"Asynchronous": True, "Resources": []},
        {"Asynchronous": True, "LocalAet": "ELSE", "MoveOriginatorAet": "MOVER", "MoveOriginatorID": 7},
    ],
)
def test_an_asynchronous_request_leads_to_the_job(stage: Stage, options: dict[str, Any]) -> None:
    assert_same(stage.store("sink", **options))
    stage.wait("Success")
    all_of(stage.ask("/jobs/{job}"), stage.ask("/jobs/{job}?x"))


def test_a_job_that_has_succeeded_is_steered_alike(stage: Stage) -> None:
    stage.store("sink", Asynchronous=True)
    stage.wait("Success")
    all_of(
        *(stage.ask(f"/jobs/{{job}}/{word}", "POST", b"") for word in WORDS),
        stage.ask("/jobs/{job}"),
        *(stage.ask(f"/jobs/{{job}}/{key}", how) for key in ("archive", "nokey", *WORDS) for how in ("GET", "DELETE")),
        stage.ask("/jobs/{job}/archive", "DELETE"),
        stage.ask("/jobs/{job}", "DELETE"),
        stage.ask("/jobs/{job}"),
        stage.ask("/jobs/{job}", "DELETE"),
    )


@pytest.mark.parametrize("name", ["nothere", NO_JOB])
def test_a_job_that_is_not_there_is_refused_alike(stage: Stage, name: str) -> None:
    all_of(
        stage.ask(f"/jobs/{name}"),
        *(stage.ask(f"/jobs/{name}/{word}", "POST", b"") for word in WORDS),
        stage.ask(f"/jobs/{name}", "DELETE"),
        stage.ask(f"/jobs/{name}/archive"),
        stage.ask("/jobs?expand=bad"),
    )


def test_what_makes_no_job_is_refused_alike(stage: Stage) -> None:
    path = "/modalities/sink/store"
    all_of(
        stage.store("sink", Asynchronous="true"),
        stage.store("sink", Priority="high", Asynchronous=True),
        stage.store("sink", Permissive=1),
        stage.store("sink", Resources=[stage.study, "nope"]),
        stage.store("sink", Resources=[UNKNOWN]),
        stage.store("nowhere"),
        *(stage.ask(path, "POST", body) for body in (b'{"Resources"', {"a": 1}, b"nope", [1])),
    )


def test_the_list_has_every_job(stage: Stage) -> None:
    for server in (stage.pair.ours, stage.pair.theirs):
        names: Any = server.get_json("/jobs")
        jobs: Any = server.get_json("/jobs?expand")
        assert names == sorted(names)
        assert [job["ID"] for job in jobs] == names == server.get_json("/jobs?expand=false")


def test_the_command_line_shows_the_jobs_of_either(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.store("sink", Asynchronous=True)
    for server in (stage.pair.ours, stage.pair.theirs):
        url = f"http://127.0.0.1:{server.http_port}"
        assert main(["jobs", "watch", "--until-done", "--interval", "0.1", "--url", url]) == 0
        assert main(["jobs", "list", "--url", url]) == 0
        assert f"{stage.jobs[server.name]}  DicomModalityStore  Success" in capsys.readouterr().out
        assert main(["jobs", "show", stage.jobs[server.name], "--url", url]) == 0
        assert "RemoteAet" in capsys.readouterr().out


def test_a_synchronous_request_is_told_why_it_failed(stage: Stage) -> None:
    all_of(stage.store("dead"), stage.store("silent"), stage.store("dead", Permissive=True))


def test_an_error_ends_the_job_or_has_it_tried_again(stage: Stage) -> None:
    assert_same(stage.store("dead", Asynchronous=True))
    stage.wait("Failure", "Retry")
    all_of(stage.ask("/jobs/{job}"), stage.ask("/jobs/{job}/resume", "POST", b""))
    stage.ask("/jobs/{job}/cancel", "POST", b"")


def test_a_job_that_waits_or_runs_is_steered_alike(stage: Stage) -> None:
    assert_same(stage.store("silent", Asynchronous=True, Priority=1))
    stage.wait("Running")
    first = dict(stage.jobs)
    assert_same(stage.store("silent", Asynchronous=True, Priority=-1))
    all_of(
        stage.ask("/jobs/{job}"),
        stage.ask("/jobs/{job}", "DELETE"),
        *(stage.ask(f"/jobs/{{job}}/{word}", "POST", b"") for word in ("resume", "resubmit", "pause")),
        stage.ask("/jobs/{job}"),
        *(stage.ask(f"/jobs/{{job}}/{word}", "POST", b"") for word in ("pause", "resubmit", "resume", "cancel")),
        stage.ask("/jobs/{job}"),
        *(stage.ask(f"/jobs/{{job}}/{word}", "POST", b"") for word in ("cancel", "resume", "pause")),
    )
    stage.jobs = first
    all_of(
        stage.ask("/jobs/{job}"),
        stage.ask("/jobs/{job}", "DELETE"),
        *(stage.ask(f"/jobs/{{job}}/{word}", "POST", b"") for word in ("resume", "resubmit", "cancel")),
    )
    stage.wait("Failure")
    all_of(stage.ask("/jobs/{job}"))


def test_a_failed_job_is_resubmitted_with_its_error(stage: Stage) -> None:
    stage.store("silent", Asynchronous=True, Priority=1)
    stage.wait("Running")
    blocking = dict(stage.jobs)
    stage.store("silent", Asynchronous=True, Priority=-1)
    all_of(
        stage.ask("/jobs/{job}/cancel", "POST", b""),
        stage.ask("/jobs/{job}/resubmit", "POST", b""),
        stage.ask("/jobs/{job}"),
        stage.ask("/jobs/{job}/cancel", "POST", b""),
        stage.ask("/jobs/{job}", "DELETE"),
    )
    stage.jobs = blocking
    stage.ask("/jobs/{job}/cancel", "POST", b"")
    stage.wait("Failure")
