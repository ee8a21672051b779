"""IncomingHttpRequestFilter: who is asked about, with which arguments, and what the answers do."""

import base64
from collections.abc import Iterator

import pytest

from tests.data_factory import dataset, encode
from tests.peer.exchange import Request
from tests.peer.lua_stage import LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern")]

USERS = (
    '"AuthenticationEnabled": true, "RegisteredUsers": {"alice": "secret", "admin": "more:secret", "jürgen": "geheim"},'
)
ROUTES = (
    "/system", "/system?a=b&c", "//system", "/system/", "/%73ystem", "/tools/now?x=%20", "/", "/nope", "/instances?limit=1",
    "/studies/../nope", "/instances/a%2Fb", "/x%C3%A4/y", "/x%FF",
)  # fmt: skip
FILTER = """
function IncomingHttpRequestFilter(method, uri, ip, username, headers)
  if uri == '/tools/execute-script' then return true end
  headers.host, headers['accept-encoding'], headers.connection = nil, nil, nil
  trace('IncomingHttpRequestFilter', method, uri, ip, username, headers)
  %s
end
"""
ANSWERS = {
    "true": "return true", "false": "return false", "more": "return true, 1", "one": "return 1", "zero": "return 0", "text": "return 'true'",
    "table": "return {}", "nil": "return nil", "nothing": "return", "error": "error('an error of the script')", "fault": "return nothing.at.all",
    "late": "return false, true",
}  # fmt: skip


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    with start_lua_pair(oracle, tmp_path_factory.mktemp("http")) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    headers = {"Authorization": basic("alice", "secret")}
    with start_lua_pair(oracle, tmp_path_factory.mktemp("guarded"), more=USERS, headers=headers) as made:
        yield made


@pytest.fixture
def filtered(stage: LuaPair) -> Iterator[LuaPair]:
    stage.execute(FILTER % "return true")
    stage.forget()
    yield stage
    stage.execute("IncomingHttpRequestFilter = nil")


def test_every_route_is_asked_about(filtered: LuaPair) -> None:
    for route in ROUTES:
        filtered.ask(route)
    filtered.assert_said_alike()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_methods_are_named_alike(filtered: LuaPair, method: str) -> None:
    for route in ("/system", "/nope", "/tools/now"):
        filtered.ask(route, method, None if method == "HEAD" else b"{}")
    filtered.assert_said_alike()


def test_headers_are_handed_on(filtered: LuaPair) -> None:
    filtered.ask(
        "/system", **{"X-Two": "a, b", "X-MIXED-case": " padded", "Cookie": "c=1", "Authorization": basic("x", "y")}
    )
    filtered.ask("/instances", "POST", b"nope", **{"Content-Type": "text/plain", "Expect": ""})
    filtered.ask("/system", **{"X-Latin-1": "M\xfcller", "X-Utf-8": "M\xc3\xbcller", "X-Neither": "\xff\xfe"})
    filtered.assert_said_alike()


@pytest.mark.parametrize("answer", ["true", "false"])
def test_the_explorer_is_asked_about(stage: LuaPair, answer: str) -> None:
    stage.execute(FILTER % f"return {answer}")
    stage.forget()
    ours, theirs = stage.both(lambda server: server.ask(Request("/app/explorer.html")).status)
    assert (ours, theirs) in {(307, 200), (403, 403)}  # ours leads to the page
    stage.assert_said_alike()
    stage.execute("IncomingHttpRequestFilter = nil")


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_decides(stage: LuaPair, name: str) -> None:
    stage.execute(FILTER % ANSWERS[name])
    stage.forget()
    for method, route in (
        ("GET", "/system"),
        ("GET", "/nope"),
        ("POST", "/instances"),
        ("DELETE", "/patients/x"),
        ("GET", "/"),
    ):
        stage.ask(route, method, b"x" if method == "POST" else None)
    stage.assert_said_alike()
    stage.execute("IncomingHttpRequestFilter = nil")


def test_what_is_no_function_filters_nothing(stage: LuaPair) -> None:
    stage.execute("IncomingHttpRequestFilter = 5")
    stage.ask("/statistics")
    stage.execute("IncomingHttpRequestFilter = nil")


def test_scripts_are_not_asked_about(stage: LuaPair) -> None:
    stage.execute(FILTER % "return false")
    stage.execute("print(RestApiGet('/patients') ~= nil, RestApiDelete('/patients/x'))")
    stage.execute("IncomingHttpRequestFilter = nil")


def test_a_filter_may_use_the_api(stage: LuaPair) -> None:
    stage.execute(
        FILTER % "trace('within', ParseJson(RestApiGet('/system')).ApiVersion ~= nil, RestApiGet('/nope')) return true"
    )
    stage.forget()
    stage.ask("/statistics")
    stage.ask("/instances", "POST", encode(dataset(40, 1, 1, 1)))
    stage.assert_said_alike(skip="@ On")
    stage.execute("IncomingHttpRequestFilter = nil")


def test_users_are_named_and_strangers_are_not_asked_about(guarded: LuaPair) -> None:
    guarded.execute(FILTER % "return username ~= 'alice' or method == 'GET'")
    guarded.forget()
    for user, password in (
        ("alice", "secret"),
        ("admin", "more:secret"),
        ("alice", "wrong"),
        ("jürgen", "geheim"),
        ("eve", ""),
    ):
        for method in ("GET", "PUT"):
            guarded.ask(
                "/tools/log-level", method, b"default" if method == "PUT" else None, Authorization=basic(user, password)
            )
    guarded.ask("/system", Authorization="")
    guarded.ask("/system", Authorization="Bearer abc")
    guarded.assert_said_alike()
    guarded.execute("IncomingHttpRequestFilter = nil")


def test_users_stand_in_the_origin(guarded: LuaPair) -> None:
    guarded.forget()
    guarded.both(lambda server: upload(server, encode(dataset(41, 1, 1, 1))))
    request = Request(
        "/instances", "POST", encode(dataset(41, 1, 1, 2)), {"Authorization": basic("admin", "more:secret")}
    )
    guarded.both(lambda server: server.ask(request))
    guarded.settle()
    said = guarded.assert_said_alike(skip="@ OnStable")
    assert sum('"Username"="alice"' in line for line in said) == sum('"Username"="admin"' in line for line in said) == 2
