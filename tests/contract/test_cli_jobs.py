"""`sinogram jobs` against a small HTTP server that answers as it is told."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tools import jobs_cli
from tools.cli import main
from tools.rest_reader import RestReader
from tools.server_address import ServerAddress

Answer = Callable[[str, dict[str, str]], tuple[int, object]]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Run a server that answers GET with what `answer` says of path and headers; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, value = answer(self.path, dict(self.headers))
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}"
        finally:
            listening.shutdown()
            thread.join()


def job(number: int = 1, state: str = "Running", progress: int = 50, **more: Any) -> dict[str, Any]:
    return {
        "Content": {"Description": "REST API", "RemoteAet": "PACS"},
        "CreationTime": f"2026112{number}T061200.5",
        "ErrorCode": 0,
        "ErrorDescription": "Success",
        "ErrorDetails": "",
        "ID": f"00000000-0000-4000-8000-{number:012}",
        "Priority": 7,
        "Progress": progress,
        "State": state,
        "Timestamp": f"2026112{number}T061500",
        "Type": "DicomModalityStore",
        **more,
    }


def event(seq: int, tag: str, **values: Any) -> dict[str, Any]:
    return {"AtMicroseconds": 1_700_000_000_000_000 + seq, "Seq": seq, "Tag": tag, "Values": values}


def told(*looks: list[dict[str, Any]]) -> Answer:
    """The list of jobs at each look, the last for ever; single ones as they stand in any."""
    waiting = list(looks)

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, object]:
        if path.startswith("/jobs?"):
            return 200, waiting.pop(0) if len(waiting) > 1 else waiting[0]
        found = [each for look in looks for each in look if path == f"/jobs/{each['ID']}"]
        return (200, found[-1]) if found else (404, b"")

    return answer


def test_jobs_are_listed_as_a_table_the_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    with server(told([job(2, "Success", 100), job(1, Priority=-1)])) as url:
        assert main(["jobs", "list", "--url", url]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    kind = "DicomModalityStore"
    assert lines == [
        ["ID", "Type", "State", "Progress", "Priority", "Age", "To"],
        [job(1)["ID"], kind, "Running", "50", "%", "-1", "3", "min", "PACS"],
        [job(2)["ID"], kind, "Success", "100", "%", "7", "3", "min", "PACS"],
    ]


@pytest.mark.parametrize("peer", [["http://other/", "user", ""], {"Url": "http://other/", "Timeout": 7}])
def test_a_job_for_a_peer_shows_its_address(capsys: pytest.CaptureFixture[str], peer: object) -> None:
    with server(told([job(Content={"Description": "REST API", "Peer": peer})])) as url:
        assert main(["jobs", "list", "--url", url]) == 0
    assert capsys.readouterr().out.split()[-1] == "http://other/"


def test_json_is_what_the_server_said(capsys: pytest.CaptureFixture[str]) -> None:
    with server(told([job(2), job(1)])) as url:
        assert main(["jobs", "list", "--json", "--url", url]) == 0
    assert json.loads(capsys.readouterr().out) == [job(1), job(2)]


def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with server(told([job(Content={"RemoteAet": "\x1b[2J[red]x"})])) as url:
        assert main(["jobs", "list", "--url", url]) == 0
    assert "\ufffd[2J[red]x" in capsys.readouterr().out


def test_a_job_is_shown_with_its_events_steps_in_a_row_as_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    step = "job-step-finished/1"
    pages = {
        0: [event(1, "job-submitted/1", steps=3, plan={}), event(2, step, code=0), event(3, step, code=0)],
        3: [event(4, step, code=9), event(5, "job-failed/1", code=9, details="no")],
    }

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, object]:
        if "events" not in path:
            return 200, job()
        since = int(path.partition("since=")[2].partition("&")[0])
        return 200, {"Done": since > 0, "Events": pages[since], "Last": 3 if since == 0 else 5}

    with server(answer) as url:
        assert main(["jobs", "show", job()["ID"], "--url", url]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert main(["jobs", "show", job()["ID"], "--json", "--url", url]) == 0
        assert json.loads(capsys.readouterr().out) == {"Job": job(), "Events": pages[0] + pages[3]}
    assert "State                  Running" in shown
    assert [line.split("Z  ", 1)[1] for line in shown[shown.index("") + 1 :]] == [
        'job-submitted/1  {"steps": 3}',
        f"{step}  2 steps",
        f'{step}  {{"code": 9}}',
        'job-failed/1  {"code": 9, "details": "no"}',
    ]


def test_a_server_without_events_shows_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    with server(told([job()])) as url:
        assert main(["jobs", "show", job()["ID"], "--url", url]) == 0
    assert "PACS" in capsys.readouterr().out


def watching(url: str, *options: str) -> int:
    return main(["jobs", "watch", "--until-done", "--interval", "0.01", "--url", url, *options])


def test_changes_are_told_until_no_job_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    looks = [job(1, progress=0), job(2, "Paused", 0)], [job(1, progress=0)], [job(1)], [job(1, "Success", 100)]
    with server(told(*looks)) as url:
        assert watching(url) == 0
    name, other = job(1)["ID"], job(2)["ID"]
    words = "DicomModalityStore to PACS"
    assert capsys.readouterr().out.splitlines() == [
        f"{name}  {words} Running  0%",
        f"{other}  {words} Paused  0%",
        f"{other}  {words} Paused  0%",
        f"{name}  {words} Running  50%",
        f"{name}  {words} Success  100%",
    ]


def test_a_failure_is_told_and_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with server(told([job()], [job(1, "Failure", 50, ErrorDetails="no route")])) as url:
        assert watching(url, "--json") == 1
    assert [json.loads(line)["State"] for line in capsys.readouterr().out.splitlines()] == ["Running", "Failure"]


def test_a_job_whose_end_nobody_saw_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    looks: list[list[dict[str, Any]]] = [[job()], []]

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, object]:
        return (200, looks.pop(0)) if path.startswith("/jobs?") else (404, b"")

    with server(answer) as url:
        assert watching(url) == 1
    assert "Forgotten" in capsys.readouterr().out


def test_on_a_terminal_jobs_are_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with server(told([job()], [job(1, "Success", 100)])) as url:
        assert watching(url) == 0
    shown = capsys.readouterr().out
    assert "DicomModalityStore to PACS Success" in shown
    assert "100%" in shown


def test_watching_goes_on_until_it_is_interrupted() -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    with server(told([])) as url, pytest.raises(KeyboardInterrupt):
        jobs_cli.watch(RestReader(ServerAddress(url)), as_json=False, until_done=False, interval_s=2.0, pause=pause)
    assert pauses == [2.0] * 3


def test_a_password_is_sent_and_its_refusal_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def answer(_path: str, headers: dict[str, str]) -> tuple[int, object]:
        return (200, []) if headers.get("Authorization") == "Basic YWRhOmI6Yw==" else (401, b"")

    with server(answer) as url:
        assert main(["jobs", "list", "--url", url, "--user", "ada:b:c"]) == 0
        assert main(["jobs", "list", "--url", url, "--user", "ada:x"]) == 1
        assert main(["jobs", "list", "--url", url]) == 1
    assert capsys.readouterr().err.count(f"sinogram: {url} wants a user and a password (--user)") == 2


def test_what_is_wrong_with_the_server_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def said(status: int, value: object, *arguments: str) -> str:
        with server(lambda _path, _headers: (status, value)) as url:
            assert main(["jobs", *arguments, "--url", url]) == 1
        return capsys.readouterr().err

    assert "was not answered with JSON" in said(200, b"<html>", "list")
    assert "status 500" in said(500, b"", "list")
    assert "there is no job x/y" in said(404, b"", "show", "x/y")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        assert main(["jobs", "list", "--url", f"http://127.0.0.1:{taken.getsockname()[1]}"]) == 1
    assert "does not answer" in capsys.readouterr().err
    assert main(["jobs", "list", "--url", "localhost:8042"]) == 1
    assert "is not the address of a server" in capsys.readouterr().err
