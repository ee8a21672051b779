"""What happens to a request before it is routed: who may ask, with which method, for which path."""

import ctypes
import json
import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.scripts import ScriptRequest
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from api.rest.serving.admission import MOST_WAITING, PATIENCE_S, PROBE_S, SLOW_S, Admission
from api.rest.serving.auth import USERNAME
from api.rest.serving.folder_settings import FolderSettings
from api.rest.serving.front import Front
from api.rest.serving.paths import normalize_path
from api.rest.settings import RestSettings
from events.errors import Busy
from tests.scripts_stage import Scripts, run_scripts

PLAIN = RestSettings()


class Inner:
    """The application behind the front; keeps the last request."""

    def __init__(self) -> None:
        self.environ: dict[str, Any] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environ = environ
        start_response("200 OK", [])
        return [b"inner"]


def ask(
    environ: dict[str, str], settings: RestSettings = PLAIN, filters: ScriptFilters = NO_FILTERS
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return the status line, the headers, and what reached the application."""
    status, headers, _, inner = ask_in_full(environ, settings, filters)
    return status, headers, inner


def ask_in_full(
    environ: dict[str, str], settings: RestSettings, filters: ScriptFilters
) -> tuple[str, dict[str, str], bytes, dict[str, Any]]:
    """Return the body, too."""
    inner = Inner()
    front = Front(inner, settings, filters)
    answer: list[Any] = []
    body = front(request("/") | environ, lambda status, headers, exc_info=None: answer.extend([status, dict(headers)]))
    return answer[0], answer[1], b"".join(body), inner.environ


def request(path: str) -> dict[str, str]:
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1"}


def policy_of(path: str, headers: list[tuple[str, str]], settings: RestSettings = PLAIN) -> str | None:
    """Return the policy in the answer of an application with these headers."""

    def application(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", headers)
        return [b""]

    answered: list[Any] = []
    Front(application, settings)(request(path), lambda *args: answered.extend(args))
    return dict(answered[1]).get("Content-Security-Policy")


def basic(credentials: str, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(credentials.encode()).decode()}"


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("", "/"),
        ("/", "/"),
        ("/instances", "/instances"),
        ("/instances/", "/instances/"),
        ("//patients//a", "/patients/a"),
        ("/nope//x/", "/nope/x/"),
        ("/instances/..", "/"),
        ("/instances/../tools/now", "/tools/now"),
        ("/./tools/now", "/tools/now"),
        ("/..", "/"),
        ("/patients/\0/statistics", "/patients/"),
    ],
)
def test_paths_are_read_as_orthanc_reads_them(path: str, normal: str) -> None:
    assert normalize_path(path) == normal


@given(st.text(alphabet="/.a%\0", max_size=12))
def test_a_normal_path_stays_and_never_leaves_the_root(path: str) -> None:
    normal = normalize_path("/" + path)
    assert normal.startswith("/")
    assert "//" not in normal
    assert ".." not in normal.split("/")
    assert normalize_path(normal) == normal


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("GET", "200 OK"),
        ("POST", "200 OK"),
        ("PUT", "200 OK"),
        ("DELETE", "200 OK"),
        ("HEAD", "404 Not Found"),
        ("OPTIONS", "404 Not Found"),
        ("PATCH", "400 Bad Request"),
        ("FOO", "400 Bad Request"),
    ],
)
def test_methods_orthanc_does_not_have_get_its_answers(method: str, status: str) -> None:
    assert ask({"REQUEST_METHOD": method})[0] == status


@pytest.mark.parametrize(
    ("environ", "method"),
    [
        ({"HTTP_X_HTTP_METHOD_OVERRIDE": "PUT"}, "PUT"),
        ({"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE", "REQUEST_METHOD": "POST"}, "DELETE"),
        ({"HTTP_X_HTTP_METHOD_OVERRIDE": "GET"}, None),
        ({"HTTP_X_HTTP_METHOD_OVERRIDE": "FOO"}, None),
        ({"QUERY_STRING": "_method=put"}, "PUT"),
        ({"QUERY_STRING": "a=b&_method=DELETE"}, "DELETE"),
        ({"QUERY_STRING": "_method=POST"}, None),
        ({"QUERY_STRING": "_method="}, "GET"),
        ({"QUERY_STRING": "_method=PUT", "REQUEST_METHOD": "POST"}, "POST"),
    ],
)
def test_overrides_change_the_method_to_put_and_delete_alone(environ: dict[str, str], method: str | None) -> None:
    status, _, inner = ask(environ)
    assert inner.get("REQUEST_METHOD") == method
    assert status == ("200 OK" if method else "400 Bad Request")


def test_every_answer_forbids_guessing_its_type() -> None:
    for environ in ({}, {"REQUEST_METHOD": "HEAD"}, {"REMOTE_ADDR": "192.0.2.1"}):
        assert ask(environ)[1]["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "policy"),
    [
        ([("Content-Type", "text/html; charset=utf-8")], "sandbox"),
        ([("content-type", "Text/XML")], "sandbox"),  # a CDA document
        ([("Content-Type", "image/svg+xml")], "sandbox"),  # an attachment
        ([("Content-Type", "application/dicom+xml")], "sandbox"),
        ([("Content-Type", "application/json")], None),
        ([("Content-Type", "application/pdf")], None),  # a browser shows no PDF in a sandbox
        ([("Content-Type", "text/html"), ("content-security-policy", "default-src 'self'")], None),  # the page's own
        ([], None),
    ],
)
def test_what_comes_from_others_runs_no_script_in_the_name_of_who_has_logged_in(
    headers: list[tuple[str, str]], policy: str | None
) -> None:
    assert policy_of("/instances/x/attachments/1024/data", headers) == policy


def test_pages_in_a_folder_that_is_served_run_their_scripts(tmp_path: Path) -> None:
    settings = RestSettings(serve_folders=FolderSettings(folders={"/viewer": tmp_path}))
    page = [("Content-Type", "text/html")]
    assert policy_of("/viewer/index.html", page, settings) is None
    assert policy_of("/viewers/index.html", page, settings) == "sandbox"


@pytest.mark.parametrize(
    ("address", "allowed", "status"),
    [
        ("127.0.0.1", False, "200 OK"),
        ("::1", False, "200 OK"),
        ("::ffff:127.0.0.1", False, "200 OK"),
        ("::ffff:192.0.2.1", False, "401 Unauthorized"),
        ("192.0.2.1", False, "401 Unauthorized"),
        ("", False, "401 Unauthorized"),
        ("192.0.2.1", True, "200 OK"),
    ],
)
def test_other_hosts_enter_only_where_that_is_allowed(address: str, allowed: bool, status: str) -> None:
    assert ask({"REMOTE_ADDR": address}, RestSettings(remote_access_allowed=allowed))[0] == status


SECURED = RestSettings(authentication_enabled=True, registered_users={"alice": "secret", "bob": "p:w", "zoë": "ü"})


@pytest.mark.parametrize("credentials", ["alice:secret", "bob:p:w", "zoë:ü"])
def test_who_knows_the_password_enters_by_name(credentials: str) -> None:
    status, _, inner = ask({"HTTP_AUTHORIZATION": basic(credentials)}, SECURED)
    assert status == "200 OK"
    assert inner[USERNAME] == credentials.partition(":")[0]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic !!!",
        "Bearer token",
        basic("alice"),
        basic("alice:"),
        basic("alice:wrong"),
        basic("nobody:secret"),
        basic("nobody:\0"),
        basic("Alice:secret"),
        basic("alice:secret", "basic"),
    ],
)
def test_others_are_asked_who_they_are(header: str) -> None:
    status, headers, inner = ask({"HTTP_AUTHORIZATION": header, "PATH_INFO": "/studies"}, SECURED)
    assert status == "401 Unauthorized"
    assert headers["WWW-Authenticate"] == 'Basic realm="Orthanc Secure Area"'
    assert inner == {}


@pytest.mark.parametrize(
    ("header", "user"),
    [(basic("alice:wrong"), "alice"), (basic("alice"), None), (basic("alice:x", "basic"), None), ("Basic !", None)],
)
def test_without_authentication_users_are_who_they_say_they_are(header: str, user: str | None) -> None:
    status, _, inner = ask({"HTTP_AUTHORIZATION": header})
    assert status == "200 OK"
    assert inner.get(USERNAME) == user


def test_a_plus_in_an_argument_is_a_plus() -> None:
    assert ask({"QUERY_STRING": "since=+1"})[2]["QUERY_STRING"] == "since=%2B1"


# -- the filter of scripts --------------------------------------------------------------------------------------------

SCRIPT = """
function IncomingHttpRequestFilter(method, uri, ip, username, httpHeaders)
  local names = {}
  for name, value in pairs(httpHeaders) do table.insert(names, name .. '=' .. value) end
  table.sort(names)
  print(method, uri, ip, username, table.concat(names, ' '))
  if uri == '/boom' then error('boom') end
  if uri == '/nothing' then return nil end
  return uri ~= '/forbidden'
end
"""


@pytest.fixture
def scripts() -> Iterator[Scripts]:
    with run_scripts(SCRIPT) as running:
        yield running


def test_a_script_sees_the_request_as_it_came(scripts: Scripts) -> None:
    environ = {
        "HTTP_AUTHORIZATION": basic("alice:secret"),
        "HTTP_X_TWO_WORDS": "Gr\u00c3\u00bcn",  # UTF-8, as WSGI gives it
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "",
        "PATH_INFO": "//a/../b\u00c3\u00bc/",
        "QUERY_STRING": "x=y",
        "REMOTE_ADDR": "::ffff:127.0.0.1",
    }
    status, _, inner = ask(environ, SECURED, scripts.filters)
    assert status == "200 OK"
    authorization = f"authorization={basic('alice:secret')}"
    assert scripts.printed == [f"GET, /bü/, 127.0.0.1, alice, {authorization} content-type=text/x x-two-words=Grün"]
    assert (
        inner["sinogram.correlation"] == scripts.asked[0].correlation
    )  # what the request causes is known to be caused by it


@pytest.mark.parametrize(
    ("environ", "status", "seen"),
    [
        ({"PATH_INFO": "/forbidden"}, "403 Forbidden", "GET"),
        ({"PATH_INFO": "/forbidden", "REQUEST_METHOD": "HEAD"}, "403 Forbidden", "GET"),
        ({"PATH_INFO": "/forbidden", "REQUEST_METHOD": "POST"}, "403 Forbidden", "POST"),
        ({"PATH_INFO": "/app/explorer.html", "REQUEST_METHOD": "HEAD"}, "404 Not Found", "GET"),
        ({"REQUEST_METHOD": "OPTIONS"}, "404 Not Found", "GET"),
        ({"REQUEST_METHOD": "PATCH"}, "400 Bad Request", None),
        ({"QUERY_STRING": "_method=DELETE"}, "200 OK", "DELETE"),
        ({"QUERY_STRING": "_method=FOO"}, "400 Bad Request", None),
        ({"REMOTE_ADDR": "192.0.2.1"}, "401 Unauthorized", None),
    ],
)
def test_a_script_is_asked_about_what_orthanc_asks_about(
    scripts: Scripts, environ: dict[str, str], status: str, seen: str | None
) -> None:
    answered, headers, body, inner = ask_in_full(environ, PLAIN, scripts.filters)
    assert answered == status
    assert [line.split(",")[0] for line in scripts.printed] == ([seen] if seen else [])
    if status != "200 OK":
        assert inner == {}
        assert body == b""
        assert "Content-Type" not in headers


@pytest.mark.parametrize(
    ("path", "code", "details"),
    [("/boom", 2031, "test.lua:7: boom"), ("/nothing", 2034, None)],
)
def test_a_filter_that_fails_refuses_and_is_described(
    scripts: Scripts, path: str, code: int, details: str | None
) -> None:
    status, headers, body, inner = ask_in_full({"PATH_INFO": path, "REQUEST_METHOD": "HEAD"}, PLAIN, scripts.filters)
    assert status == "500 Internal Server Error"
    assert headers["Content-Type"] == "text/plain"
    assert int(headers["Content-Length"]) == len(body)
    described = json.loads(body)
    assert (described["OrthancStatus"], described.get("Details")) == (code, details)
    assert (described["Method"], described["Uri"]) == ("GET", path)
    assert inner == {}


class Silent:
    """An interpreter that is not there, or does not answer."""

    def __init__(self) -> None:
        self.board = Board()
        self.board.publish({"IncomingHttpRequestFilter"})
        self.asked: list[float] = []  # how long somebody would have waited
        self.filters = ScriptFilters(main=ScriptsClient(self.board, self._ask))

    def _ask(self, _request: ScriptRequest, timeout_s: float) -> Any:
        self.asked.append(timeout_s)
        raise Busy("the Lua interpreter is busy")


def test_a_filter_that_has_no_time_is_answered_503() -> None:
    silent = Silent()
    assert ask({}, PLAIN, silent.filters)[0] == "503 Service Unavailable"
    assert silent.asked == [PATIENCE_S]


# -- while the filter cannot be asked: who administers the server goes on ---------------------------------------------

SHUTDOWN = {"REQUEST_METHOD": "POST", "PATH_INFO": "/tools/shutdown"}
ALICE = {"HTTP_AUTHORIZATION": basic("alice:secret"), "REMOTE_ADDR": "192.0.2.1"}
ANYWHERE = RestSettings(authentication_enabled=True, registered_users={"alice": "secret"}, remote_access_allowed=True)


@pytest.fixture
def connected() -> Iterator[str]:
    """A port to which this user has a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        yield str(server.getsockname()[1])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/tools/shutdown", "200 OK"),
        ("POST", "//tools/./reset/", "200 OK"),
        ("GET", "/lua/status", "200 OK"),
        ("GET", "/tools/shutdown", "503 Service Unavailable"),
        ("GET", "/system", "503 Service Unavailable"),
        ("POST", "/tools/execute-script", "503 Service Unavailable"),
        ("DELETE", "/lua/status", "503 Service Unavailable"),
        ("HEAD", "/lua/status", "503 Service Unavailable"),
    ],
)
def test_an_administrator_can_stop_the_server_and_see_what_is_wrong(
    method: str, path: str, status: str, connected: str
) -> None:
    request = {"REQUEST_METHOD": method, "PATH_INFO": path}
    assert ask(request | ALICE, ANYWHERE, Silent().filters)[0] == status
    assert ask(request | {"SERVER_PORT": connected}, PLAIN, Silent().filters)[0] == status


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "192.0.2.1"},
        {"HTTP_X_FORWARDED_FOR": "192.0.2.1"},
        {"HTTP_FORWARDED": "for=192.0.2.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_ORIGIN": "https://example.org"},
        {"HTTP_AUTHORIZATION": basic("alice:secret")},  # says who it is, and proves nothing
        {"SERVER_PORT": "1"},
    ],
)
def test_nobody_else_is_an_administrator(environ: dict[str, str], connected: str) -> None:
    unchecked = RestSettings(remote_access_allowed=True)
    port = "1" if "HTTP_AUTHORIZATION" in environ else connected
    request = SHUTDOWN | {"SERVER_PORT": port} | environ
    assert ask(request, unchecked, Silent().filters)[0] == "503 Service Unavailable"


def test_who_does_not_know_the_password_is_no_administrator(connected: str) -> None:
    request = SHUTDOWN | {"SERVER_PORT": connected, "HTTP_AUTHORIZATION": basic("alice:wrong")}
    assert ask(request, ANYWHERE, Silent().filters)[0] == "401 Unauthorized"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_of_this_machine_among_the_clients_lets_nobody_in(connected: str) -> None:
    set_user = ctypes.CDLL(None).setfsuid  # of what this thread makes: its sockets, too
    set_user(65534)
    try:
        proxy = socket.create_connection(("127.0.0.1", int(connected)))
    finally:
        set_user(0)
    with proxy:
        assert ask(SHUTDOWN | {"SERVER_PORT": connected}, PLAIN, Silent().filters)[0] == "503 Service Unavailable"
    assert ask(SHUTDOWN | {"SERVER_PORT": connected}, PLAIN, Silent().filters)[0] == "200 OK"


def test_a_filter_that_was_asked_and_refuses_or_fails_is_not_passed_by(connected: str) -> None:
    for verdict, status in (("return false", "403 Forbidden"), ("error('x')", "500 Internal Server Error")):
        with run_scripts(f"function IncomingHttpRequestFilter() {verdict} end") as running:
            assert ask(SHUTDOWN | ALICE, ANYWHERE, running.filters)[0] == status
            assert ask(SHUTDOWN | {"SERVER_PORT": connected}, PLAIN, running.filters)[0] == status


# -- while the filter cannot be asked: everybody else is told soon ----------------------------------------------------


def test_once_a_request_was_not_answered_others_do_not_wait_until_something_changes() -> None:
    silent, now = Silent(), [100.0]
    silent.board.heartbeat.tick()
    silent.board.heartbeat.started("OnStoredInstance", float("inf"))
    admission = Admission(silent.filters, lambda: now[0])

    def ask_once() -> None:
        with pytest.raises(Busy):
            admission.ask("GET", "/", "", "", {})

    for _ in range(5):
        ask_once()
    assert len(silent.asked) == 1
    now[0] += PROBE_S  # one tries again
    ask_once()
    ask_once()
    assert len(silent.asked) == 2
    silent.board.heartbeat.ended()
    silent.board.heartbeat.started("OnStableStudy", float("inf"))  # another callback
    ask_once()
    assert len(silent.asked) == 3


def test_an_interpreter_that_is_there_again_is_asked_at_once() -> None:
    silent = Silent()
    admission = Admission(silent.filters, lambda: 0.0)
    for _ in range(3):
        with pytest.raises(Busy):
            admission.ask("GET", "/", "", "", {})
    assert len(silent.asked) == 1
    silent.board.heartbeat.tick()
    for _ in range(3):  # it lives, and does nothing now: each may find it free
        with pytest.raises(Busy):
            admission.ask("GET", "/", "", "", {})
    assert len(silent.asked) == 4


def test_a_callback_that_takes_long_has_few_requests_waiting() -> None:
    silent = Silent()
    silent.board.heartbeat.tick()
    silent.board.heartbeat.started("OnStoredInstance", float("inf"))
    started_s = silent.board.heartbeat.read().started_s
    waiting: list[int] = []
    admission: Admission

    def nest(_request: ScriptRequest, _timeout_s: float) -> Any:  # each asks while those before it wait
        waiting.append(1)
        with suppress(Busy):
            admission.ask("GET", "/", "", "", {})
        raise Busy("too late")

    filters = ScriptFilters(main=ScriptsClient(silent.board, nest))
    admission = Admission(filters, lambda: started_s + 2 * SLOW_S)
    with pytest.raises(Busy):
        admission.ask("GET", "/", "", "", {})
    assert len(waiting) == MOST_WAITING
