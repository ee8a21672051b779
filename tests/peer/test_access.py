"""HTTP Basic with `RegisteredUsers`, and errors without a description (`HttpDescribeErrors`)."""

from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair, start_pair
from tests.peer.exchange import Request
from tests.peer.servers import Oracle

pytestmark = pytest.mark.peer

OPTIONS = '"AuthenticationEnabled" : true, "RegisteredUsers" : { "alice" : "secret", "bob" : "p:w", "zoë" : "ü" }, "HttpDescribeErrors" : false,'


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture(scope="module")
def guarded(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with start_pair(oracle, tmp_path_factory.mktemp("guarded"), OPTIONS) as pair:
        yield pair


def test_who_may_enter(guarded: Pair) -> None:
    credentials = (
        basic("alice", "secret"), basic("alice", "wrong"), basic("alice", ""), basic("bob", "p:w"), basic("nobody", "secret"), basic("", ""),
        basic("Alice", "secret"), basic("alice", "secret", "basic"), basic("alice", "secret", "BASIC"), "Bearer abc", "Basic", "Basic ",
        "Basic %%%", "Basic " + b64encode(b"alice").decode(), basic("zo\u00eb", "ü"),
    )  # fmt: skip
    assert_same(guarded.differences([Request("/exports", headers={"Authorization": each}) for each in credentials]))


def test_every_path_is_closed_without_a_user(guarded: Pair) -> None:
    paths = (
        "/system",
        "/exports",
        "/nothing",
        "/",
        "/app/explorer.html",
        "/instances/nope",
        "/tools/now",
        "/favicon.ico",
        "//system",
    )
    methods = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
    assert_same(guarded.differences([Request(path, method) for path in paths for method in methods]))


@pytest.mark.usefixtures("modern")
def test_errors_have_no_body_when_they_are_not_described(guarded: Pair) -> None:
    user = {"Authorization": basic("alice", "secret")}
    requests = [
        Request(path, headers=user)
        for path in ("/nothing", "/instances/nope", "/instances/nope/tags", "/patients?since=1")
    ]
    requests += [Request("/instances", "POST", body, user) for body in (b"", b"text")]
    requests += [Request("/system", method, headers=user) for method in ("PUT", "DELETE")]
    requests += [Request("/changes?type=Nothing", headers=user), Request("/tools/log-level", "PUT", "nothing", user)]
    assert_same(guarded.differences(requests))
