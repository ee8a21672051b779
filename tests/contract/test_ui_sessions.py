"""Sessions of the page: who has logged in, for how long, and that pages of other hosts cannot use them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookies import SimpleCookie

import pytest

from api.rest.serving.sessions import LIFE_S, MOST, Sessions
from tests.contract.rest_stage import Answer, RestStage, rest_stage, shown
from tools.server.core import Core

PAGE = {"X-Sinogram-Page": "1"}
BASIC = {"Authorization": "Basic dTpw"}


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive, authentication_enabled=True, registered_users={"u": "p"}) as made:
        yield made


def login(stage: RestStage, user: str = "u", password: str = "p") -> Answer:
    return stage.ask("/ui/session", "POST", json.dumps({"User": user, "Password": password}).encode(), PAGE)


def session(stage: RestStage) -> dict[str, str]:
    """Return the headers of a request of a page that has logged in."""
    answer = login(stage)
    assert answer.status == 200
    return PAGE | {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


def test_a_login_lets_the_page_ask(stage: RestStage) -> None:
    headers = session(stage)
    assert shown(stage.ask("/studies", headers=headers)) == []
    assert shown(stage.ask("/tools/find", "POST", b'{"Level": "Study", "Query": {}}', headers)) == []
    assert shown(stage.ask("/ui/session", headers=headers)) == {
        "User": "u",
        "AuthenticationEnabled": True,
        "DicomWebRoot": "/dicom-web/",
    }


def test_the_cookie_is_out_of_reach_of_scripts_and_other_hosts(stage: RestStage) -> None:
    (morsel,) = SimpleCookie(login(stage).headers["Set-Cookie"]).values()
    assert (morsel["httponly"], morsel["samesite"], morsel["path"], morsel["max-age"], morsel["secure"]) == (
        True,
        "Strict",
        "/",
        str(LIFE_S),
        "",
    )


def test_it_is_for_https_alone_where_the_client_uses_it(stage: RestStage) -> None:
    answer = stage.ask("/ui/session", "POST", b'{"User": "u", "Password": "p"}', PAGE | {"X-Forwarded-Proto": "https"})
    assert "; Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(("user", "password"), [("u", "x"), ("x", "p"), ("", ""), ("u", ""), ("u", "p ")])
def test_a_wrong_password_begins_nothing_and_opens_no_window(stage: RestStage, user: str, password: str) -> None:
    answer = login(stage, user, password)
    assert (answer.status, "Set-Cookie" in answer.headers, "Www-Authenticate" in answer.headers) == (401, False, False)


def test_who_has_not_logged_in_sees_the_page_and_nothing_else(stage: RestStage) -> None:
    assert shown(stage.ask("/ui/session")) == {
        "User": None,
        "AuthenticationEnabled": True,
        "DicomWebRoot": "/dicom-web/",
    }
    assert stage.ask("/ui/").status == 200
    for path in ("/studies", "/system", "/uix", "/ui/../system", "/ui/%2e%2e/system", "/UI/"):
        assert stage.ask(path).status == 401, path
    assert "Www-Authenticate" in stage.ask("/studies").headers
    assert "Www-Authenticate" not in stage.ask("/studies", headers=PAGE).headers


@pytest.mark.parametrize(
    "lost",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Cookie": "sinogram-session=x"},
        {"Cookie": ""},
    ],
)
def test_a_session_is_of_no_use_to_others(stage: RestStage, lost: dict[str, str]) -> None:
    assert stage.ask("/studies", headers=session(stage) | lost).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_changes_something_needs_the_header_of_the_page(stage: RestStage, method: str) -> None:
    headers = session(stage)
    del headers["X-Sinogram-Page"]
    assert stage.ask("/studies").status == 401
    assert (
        stage.ask("/studies", headers=headers).status == 200
    )  # a picture, or the feed: browsers let no header be set for these
    assert stage.ask("/modalities/a", method, b"{}", headers).status == 401


@pytest.mark.parametrize(
    "disguise",
    [{"path": "/modalities/a?_method=DELETE"}, {"path": "/modalities/a", "X-HTTP-Method-Override": "DELETE"}],
)
def test_a_change_in_the_guise_of_a_get_needs_it_too(stage: RestStage, disguise: dict[str, str]) -> None:
    headers = session(stage) | disguise
    del headers["X-Sinogram-Page"]
    assert stage.ask(headers.pop("path"), headers=headers).status == 401


def test_a_logout_ends_the_session_and_no_other(stage: RestStage) -> None:
    first, second = session(stage), session(stage)
    answer = stage.ask("/ui/session", "DELETE", headers=first)
    (morsel,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (morsel.value, parsedate_to_datetime(morsel["expires"]) < datetime.now(UTC)) == ("", True)
    assert stage.ask("/studies", headers=first).status == 401
    assert stage.ask("/studies", headers=second).status == 200


def test_programs_go_on_with_basic_authentication(stage: RestStage) -> None:
    assert stage.ask("/studies", headers=BASIC).status == 200
    assert (
        stage.ask("/studies", headers=session(stage) | {"Authorization": "Basic dTp4"}).status == 401
    )  # a wrong password is one


def test_without_users_nobody_logs_in(archive: Core) -> None:
    with rest_stage(archive) as stage:
        assert shown(stage.ask("/ui/session")) == {
            "User": "",
            "AuthenticationEnabled": False,
            "DicomWebRoot": "/dicom-web/",
        }
        answer = login(stage)
        assert (answer.status, "AuthenticationEnabled" in json.loads(answer.body)["Details"]) == (400, True)


def test_a_session_ends_by_itself(stage: RestStage) -> None:
    now_s = 1e9
    sessions = Sessions(stage.deps.views, stage.deps.index, lambda: now_s)
    token = sessions.begin("u")
    now_s += LIFE_S - 1
    assert sessions.find(token) == "u"
    now_s += 1
    assert sessions.find(token) is None


def test_there_are_only_so_many_and_none_is_left_behind(stage: RestStage) -> None:
    now_s = 2e9
    sessions = Sessions(stage.deps.views, stage.deps.index, lambda: now_s)
    oldest = sessions.begin("u")
    for place in range(MOST):
        now_s = 2e9 + 1 + place / 1e3
        newest = sessions.begin("u")
    assert (sessions.find(oldest), sessions.find(newest)) == (None, "u")
    with stage.deps.views.snapshot() as s:
        assert len(s.settings("Session-")) == MOST
    now_s += LIFE_S + 1
    sessions.begin("u")
    with stage.deps.views.snapshot() as s:
        assert len(s.settings("Session-")) == 1


def test_the_index_holds_no_token(stage: RestStage) -> None:
    token = session(stage)["Cookie"].partition("=")[2]
    with stage.deps.views.snapshot() as s:
        assert token not in str(s.settings("Session-"))
