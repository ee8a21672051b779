"""What a caller gets for a mistake: unknown resources and routes, wrong methods, bad arguments, odd paths."""

import pytest

from tests import data_factory
from tests.peer.comparison import assert_same
from tests.peer.conftest import Pair
from tests.peer.exchange import Request
from tests.peer.test_rest_resources import LEVELS, ROUTES

pytestmark = pytest.mark.peer

NO_RESOURCE = "00000000-11111111-22222222-33333333-44444444"
BAD_IDS = (NO_RESOURCE, "nope", NO_RESOURCE.upper(), "a%20b", "..", "%2e%2e", "é".encode().hex(), "x" * 5000)
COLLECTIONS = (
    "/", "/system", "/statistics", "/patients", "/studies", "/series", "/instances", "/changes", "/exports", "/plugins", "/tools",
    "/tools/lookup", "/tools/now", "/tools/now-local", "/tools/generate-uid", "/tools/log-level", "/tools/log-level-http",
    "/tools/default-encoding", "/tools/accepted-transfer-syntaxes", "/tools/unknown-sop-class-accepted", "/tools/reset",
    "/tools/shutdown", "/plugins/explorer.js",
)  # fmt: skip
UNKNOWN = (
    "/nothing",
    "/System",
    "/tools/nothing",
    "/tools/log-level-foo",
    "/patients/a/b/c",
    "/robots.txt",
    "/%",
    "/instance",
)


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize("level", LEVELS)
def test_an_unknown_identifier(loaded: Pair, level: str) -> None:
    routes = ["", *(route for group in ROUTES[level].values() for route in group)]
    requests = [Request(f"/{level}/{NO_RESOURCE}{route}") for route in routes]
    requests += [Request(f"/{level}/{bad}{route}") for bad in BAD_IDS for route in ("", "/statistics", "/nothing")]
    requests += [Request(f"/{level}/{bad}", "DELETE") for bad in (NO_RESOURCE, "nope", NO_RESOURCE.upper())]
    requests += [Request(f"/{level}/{each}") for other in LEVELS if other != level for each in loaded.ids(other)[:2]]
    requests += [Request(f"/{level}/{each.upper()}") for each in loaded.ids(level)[:2]]
    if level == "instances":
        requests += [
            Request(f"/instances/{NO_RESOURCE}/content{path}")
            for path in ("", "/0010-0010", "/nonsense", "/0010-0010/0")
        ]
    assert_same(loaded.differences(requests))


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_an_unknown_route(loaded: Pair, method: str) -> None:
    assert_same(loaded.differences([Request(path, method) for path in UNKNOWN]))


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_a_method_that_the_route_does_not_have(loaded: Pair, method: str) -> None:
    known = {
        "POST": {"/instances", "/tools/lookup", "/tools/reset", "/tools/shutdown"},
        "PUT": {
            path for path in COLLECTIONS if path.startswith(("/tools/log", "/tools/def", "/tools/acc", "/tools/unk"))
        },
        "DELETE": {"/changes", "/exports"},
    }
    requests = [Request(path, method) for path in COLLECTIONS if path not in known.get(method, ())]
    for level in LEVELS:
        each = loaded.ids(level)[0]
        routes = {route.split("?")[0] for group in ROUTES[level].values() for route in group}
        requests += [
            Request(f"/{level}/{each}{route}", method) for route in sorted(routes) if route or method != "DELETE"
        ]
    if method not in {"DELETE", "POST"}:
        requests += [
            Request(f"/instances/{loaded.ids('instances')[0]}/content{path}", method) for path in ("", "/0010-0010")
        ]
    assert_same(loaded.differences(requests))


@pytest.mark.usefixtures("modern")
@pytest.mark.parametrize("level", LEVELS)
def test_bad_arguments_of_lists(loaded: Pair, level: str) -> None:
    queries = (
        "limit=3", "since=3", "limit=abc", "since=abc&limit=1", "since=1&limit=abc", "since=&limit=1", "since=1&limit=",
        "since=1.5&limit=1", "since=0x1&limit=1", "since=%201&limit=1", "since=1&limit=1&limit=2", "since=1&since=3&limit=2",
        "limit=99999999999&since=0", "limit=99999999999999999999999&since=0", "since=+1&limit=1", "since=1&limit=1;", "&&", "=",
        "since=01&limit=1", "expand&requested-tags=Nothing", "requested-tags=Nothing", "since=0&limit=1&requestedTags=Nothing&expand",
        "expand&response-content=Nothing", "since=-1&limit=1", "since=0&limit=-1",
    )  # fmt: skip
    assert_same(loaded.differences([Request(f"/{level}?{query}") for query in queries]))


@pytest.mark.usefixtures("modern")
def test_bad_arguments_of_one_resource(loaded: Pair) -> None:
    requests = []
    for level in LEVELS:
        each = loaded.ids(level)[0]
        requests += [
            Request(f"/{level}/{each}?{query}")
            for query in (
                "requested-tags=Nothing",
                "requested-tags=0010",
                "requested-tags=PatientName,StudyDate",
                "full=no",
                "short=no",
            )
        ]
    each = loaded.ids("instances")[0]
    queries = (
        "ignore-length=",
        "ignore-length=Nothing",
        "ignore-length=0010-0010,",
        "simplify=false",
        "short=false",
        "whole",
    )
    requests += [Request(f"/instances/{each}/tags?{query}") for query in queries]
    requests += [Request(f"/instances/{each}/simplified-tags?{query}") for query in queries]
    assert_same(loaded.differences(requests))


@pytest.mark.usefixtures("modern")
def test_odd_paths(loaded: Pair) -> None:
    each = loaded.ids("instances")[0]
    paths = (
        "//system", "/system/", "/system//", "///system", "//", "/system?", "/system?x=1&y", "/%73ystem", "/system%2f", "/system%20",
        "/app/../system", "/%2e%2e/system", "/./system", "/system/.", "/system/..", f"//instances//{each}//tags//",
        f"/instances/./{each}", f"/instances/x/../{each}/tags", "/instances/", "/patients//?since=0&limit=2", "/favicon.ico",
        "/%73%79stem?a=%zz", "/tools//now-nothing", "/SYSTEM", "/instances%2f" + each,
    )  # fmt: skip
    assert_same(loaded.differences([Request(path) for path in paths]))


@pytest.mark.usefixtures("modern")
def test_caching_and_range_headers_change_nothing(loaded: Pair) -> None:
    each = loaded.ids("instances")[0]
    headers = (
        {"Range": "bytes=0-9"},
        {"If-None-Match": '"x"'},
        {"Accept-Encoding": "gzip, deflate"},
        {"If-Modified-Since": "x"},
    )
    paths = (f"/instances/{each}/file", f"/instances/{each}/tags", f"/instances/{each}/content/0010-0010", "/instances")
    assert_same(loaded.differences([Request(path, headers=header) for header in headers for path in paths]))


def test_the_archive_is_as_it_was(loaded: Pair) -> None:
    """No mistake above stored or deleted anything."""
    accepted = len({sample.name for sample in data_factory.all_files()})
    assert 0 < len(loaded.ids("instances")) <= accepted
    assert_same(loaded.differences([Request("/statistics"), Request("/instances")]))
