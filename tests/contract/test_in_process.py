"""What RestApiGet() and its like call: the routes themselves, without the front."""

import json
from collections.abc import Iterator

import pytest

from api.app import create_application
from api.rest.serving.in_process import InProcess
from events.identifiers import Level, format_resource_id
from store.views.feed import get_events
from tests.contract.rest_stage import RestStage, rest_stage
from tests.data_factory import dataset, encode
from tests.scripts_stage import run_scripts
from tools.server.core import Core

CORRELATION = b"callback"


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, authentication_enabled=True, registered_users={"u": "p"}) as made:
        yield made


@pytest.fixture
def rest(stage: RestStage) -> InProcess:
    return InProcess(create_application(stage.deps))


def test_a_script_needs_no_credentials(stage: RestStage, rest: InProcess) -> None:
    assert stage.ask("/system").status == 401
    answer = rest.call("GET", "/system", b"", {})
    assert answer is not None
    assert json.loads(answer)["Name"] == "MyOrthanc"


def test_requests_of_scripts_do_not_meet_the_filter(archive: Core) -> None:
    with (
        run_scripts("function IncomingHttpRequestFilter() return false end") as scripts,
        rest_stage(archive, filters=scripts.filters) as stage,
    ):
        assert stage.ask("/system").status == 403
        assert InProcess(create_application(stage.deps)).call("GET", "/system", b"", {}) is not None


def test_what_a_script_uploads_is_of_lua_and_carries_its_correlation(
    archive: Core, stage: RestStage, rest: InProcess
) -> None:
    answer = rest.call("POST", "/instances", encode(dataset()), {}, CORRELATION)
    assert answer is not None
    assert json.loads(answer)["Status"] == "Success"
    with archive.views.snapshot() as snapshot:
        (stored,) = [entry for entry in get_events(snapshot) if entry.tag.startswith("instance-stored/")]
    assert stored.correlation == CORRELATION
    values = stored.public | (stored.personal or {})
    assert (values["origin"], values["remote_ip"], values["username"]) == ("Lua", "", "")


def test_a_script_sets_and_reads_attachments(archive: Core, stage: RestStage, rest: InProcess) -> None:
    rest.call("POST", "/instances", encode(dataset()), {})
    with archive.views.snapshot() as snapshot:
        (study,) = snapshot.list_ids(Level.STUDY)
    path = f"/studies/{format_resource_id(study)}/attachments/1024"
    data = bytes(range(256)) * 10_000
    assert rest.call("PUT", path, data, {}, CORRELATION) == b"{}"
    assert rest.call("GET", f"{path}/data", b"", {}) == data
    assert rest.call("GET", f"{path}/data", b"", {"Range": "bytes=1-3"}) == data[1:4]
    assert rest.call("DELETE", path, b"", {}, CORRELATION) == b""
    assert rest.call("GET", f"{path}/data", b"", {}) is None
    with archive.views.snapshot() as snapshot:
        told = [entry for entry in get_events(snapshot) if entry.tag.startswith("attachment-")]
    assert [entry.correlation for entry in told] == [CORRELATION, CORRELATION]


def test_a_request_without_a_correlation_gets_one(archive: Core, rest: InProcess) -> None:
    rest.call("POST", "/instances", encode(dataset()), {})
    with archive.views.snapshot() as snapshot:
        (stored,) = [entry for entry in get_events(snapshot) if entry.tag.startswith("instance-stored/")]
    assert len(stored.correlation) == 8


def test_files_come_back_whole(rest: InProcess) -> None:
    data = encode(dataset())
    identifier = json.loads(rest.call("POST", "/instances", data, {}) or b"")["ID"]
    assert rest.call("GET", f"/instances/{identifier}/file", b"", {}) == data
    assert rest.call("DELETE", f"/instances/{identifier}", b"", {}) is not None
    assert rest.call("GET", f"/instances/{identifier}/file", b"", {}) is None


@pytest.mark.parametrize(
    ("method", "uri"),
    [
        ("GET", "/nope"),
        ("POST", "/system"),
        ("GET", "/"),  # a redirection is no answer (Orthanc 1.12.7)
        ("GET", "/favicon.ico"),
        ("GET", "/tools/generate-uid?level=st+udy"),
        ("GET", "/instances/%ff"),
        ("GET", "/instances/\N{SNOWMAN}"),
        ("GET", "/instances/a\0b"),
        ("PUT", "/tools/default-encoding"),
    ],
)
def test_what_is_not_answered_well_is_nothing(rest: InProcess, method: str, uri: str) -> None:
    assert rest.call(method, uri, b"", {}) is None


@pytest.mark.parametrize(
    "uri",
    ["/system?a=b", "/system/", "//system", "/tools/../system", "/%73ystem", "/tools/generate-uid?level=study&x=\xe9"],
)
def test_paths_and_queries(rest: InProcess, uri: str) -> None:
    assert rest.call("GET", uri, b"", {})


def test_headers_count_but_for_the_length(rest: InProcess) -> None:
    answer = rest.call("GET", "/system", b"", {"Accept": "application/xml"})
    assert answer is not None
    assert answer.startswith(b"<?xml")
    assert rest.call("POST", "/tools/lookup", b"nothing", {"Content-Length": "3", "content-type": "x/y"}) == b"[]"


def test_a_defect_is_logged_and_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_environ: object, _start: object) -> list[bytes]:
        raise ZeroDivisionError

    assert InProcess(broken).call("GET", "/", b"", {}) is None
    assert "rest.in-process-failed method=GET" in caplog.text


def test_why_a_request_was_refused_is_logged(rest: InProcess, caplog: pytest.LogCaptureFixture) -> None:
    assert rest.call("GET", "/nope", b"", {}) is None
    assert rest.call("POST", "/modalities/n/echo", b"{}", {}) is None
    assert rest.call("PUT", "/instances", b"", {}) is None
    missing, unknown, method = [text for text in caplog.messages if text.startswith("rest.refused")]
    assert missing == "rest.refused method=GET path=/nope status=404 Not Found error=Unknown resource"
    assert unknown.endswith("error=Accessing an inexistent item: No modality with symbolic name: n")
    assert method == "rest.refused method=PUT path=/instances status=405 Method Not Allowed"


def test_an_answer_that_breaks_off_is_none_and_closed() -> None:
    class Parts:
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield b"half"
            raise OSError

        def close(self) -> None:
            self.is_closed = True

    parts = Parts()

    def application(_environ: object, start: object) -> Parts:
        start("200 OK", [])  # type: ignore[operator]
        return parts

    assert InProcess(application).call("GET", "/", b"", {}) is None
    assert parts.is_closed
