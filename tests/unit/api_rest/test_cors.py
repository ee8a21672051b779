"""What pages of other origins are told. Source: the Fetch standard, §3.2 (the protocol) and §4.10 (what a browser makes of it)."""

from typing import Any

import pytest

from api.rest.serving.cors import Cors
from api.rest.serving.cors_settings import CorsSettings
from api.rest.serving.front import Front
from api.rest.settings import RestSettings

PAGE = "https://viewer.example:8443"
LOCKED = RestSettings(remote_access_allowed=True, authentication_enabled=True, registered_users={"a": "b"})


class Inner:
    """The application behind; counts its requests."""

    def __init__(self) -> None:
        self.requests = 0

    def __call__(self, _environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.requests += 1
        start_response("200 OK", [("ETag", '"1"')])
        return [b"inner"]


def ask(
    application: Any, method: str = "GET", origin: str | None = PAGE, **headers: str
) -> tuple[str, list[tuple[str, str]]]:
    """Return status and headers; keywords are headers in WSGI's form."""
    started: list[Any] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/system", "QUERY_STRING": "", "REMOTE_ADDR": "192.0.2.1"}
    environ |= {f"HTTP_{name}": value for name, value in headers.items()}
    if origin is not None:
        environ["HTTP_ORIGIN"] = origin
    list(application(environ, lambda status, given, _exc_info=None: started.extend((status, given))))
    return started[0], started[1]


def cors(inner: Any = None, **settings: Any) -> Cors:
    return Cors(inner or Inner(), CorsSettings(**{"origins": (PAGE,), **settings}))


def preflight(
    application: Any, method: str, headers: str | None = None, origin: str = PAGE
) -> tuple[str, dict[str, str]]:
    asked = {"ACCESS_CONTROL_REQUEST_METHOD": method}
    if headers is not None:
        asked["ACCESS_CONTROL_REQUEST_HEADERS"] = headers
    status, given = ask(application, "OPTIONS", origin, **asked)
    return status, dict(given)


def test_a_page_that_is_named_may_read_answers() -> None:
    _, headers = ask(cors(exposed_headers=("ETag", "Location")))
    assert dict(headers) == {
        "ETag": '"1"',
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Expose-Headers": "ETag, Location",
        "Vary": "Origin",
    }


@pytest.mark.parametrize(
    "origin",
    [None, "", "null", "*", "http://viewer.example:8443", "https://viewer.example", f"{PAGE}.evil.example", f"{PAGE}/"],
)
def test_another_page_may_not_and_a_cache_tells_them_apart(origin: str | None) -> None:
    _, headers = ask(cors(), origin=origin)
    assert headers == [("ETag", '"1"'), ("Vary", "Origin")]


def test_for_all_origins_the_answer_is_the_same() -> None:
    headers = dict(ask(cors(origins=("*",)), origin="https://any.example")[1])
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Vary" not in headers


def test_credentials_are_allowed_where_that_is_said() -> None:
    assert "Access-Control-Allow-Credentials" not in dict(ask(cors())[1])
    allowing = cors(allows_credentials=True)
    assert dict(ask(allowing)[1])["Access-Control-Allow-Credentials"] == "true"
    assert preflight(allowing, "GET")[1]["Access-Control-Allow-Credentials"] == "true"


def test_a_preflight_names_what_is_allowed_and_goes_no_further() -> None:
    inner = Inner()
    application = cors(inner, methods=("GET", "DELETE"), headers=("Accept", "X-Own"), preflight_kept_s=5)
    status, headers = preflight(application, "DELETE", "accept,x-own")
    assert (status, inner.requests) == ("204 No Content", 0)
    assert headers == {
        "Access-Control-Allow-Origin": PAGE,
        "Vary": "Origin",
        "Access-Control-Allow-Methods": "GET, DELETE",
        "Access-Control-Allow-Headers": "accept, x-own",
        "Access-Control-Max-Age": "5",
    }


@pytest.mark.parametrize(
    ("method", "headers", "origin"),
    [("DELETE", None, PAGE), ("get", None, PAGE), ("GET", "x-other", PAGE), ("GET", "accept, x-other", PAGE), ("GET", None, "https://x.example")],
)  # fmt: skip
def test_a_preflight_for_more_is_refused(method: str, headers: str | None, origin: str) -> None:
    status, given = preflight(cors(), method, headers, origin)
    assert (status, given) == ("403 Forbidden", {"Content-Length": "0"})


def test_with_a_star_every_header_is_allowed_by_its_name() -> None:
    _, headers = preflight(cors(headers=("*",)), "GET", "authorization, x-any, bad name")
    assert headers["Access-Control-Allow-Headers"] == "authorization, x-any"


def test_a_preflight_needs_no_password_and_a_request_does() -> None:
    application = cors(Front(Inner(), LOCKED))
    assert preflight(application, "GET", "authorization")[0] == "204 No Content"
    status, headers = ask(application)
    assert status == "401 Unauthorized"
    assert dict(headers)["Access-Control-Allow-Origin"] == PAGE  # the page may see why
    assert ask(application, AUTHORIZATION="Basic YTpi")[0] == "200 OK"


def test_what_is_no_preflight_goes_on() -> None:
    inner = Inner()
    ask(cors(inner), "OPTIONS")
    ask(cors(inner), "OPTIONS", None, ACCESS_CONTROL_REQUEST_METHOD="GET")
    assert inner.requests == 2
