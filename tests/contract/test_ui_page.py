"""The page's files: what stands in their headers, and which addresses are views."""

import base64
import gzip
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest

from api.rest.serving.folder_settings import SERVE_FOLDERS
from api.ui.page import BUILT
from tests.contract.rest_stage import RestStage, rest_stage, shown
from tools.server.core import Core


@pytest.fixture
def stage(archive: Core) -> Iterator[RestStage]:
    with rest_stage(archive) as made:
        yield made


@pytest.mark.parametrize("path", ["/ui", "/ui/", "/ui/studies/1234", "/ui/jobs"])
def test_views_are_the_page_itself(stage: RestStage, path: str) -> None:
    answer = stage.ask(path)
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (
        200,
        "text/html",
        "no-store",
    )
    assert re.sub(rb'(?<=<meta name="session" content=")[^"]*', b"", answer.body) == (BUILT / "index.html").read_bytes()
    # What is built has the place for that.
    (told,) = re.findall(rb'<meta name="session" content="([^"]+)"', answer.body)
    assert json.loads(html.unescape(told.decode())) == shown(stage.ask("/ui/session"))


def test_the_page_is_told_who_uses_it(archive: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text('<meta name="session" content="" /><div id="app"></div>')
    monkeypatch.setattr("api.ui.page.BUILT", tmp_path)
    user = '"><script>'
    with rest_stage(archive, authentication_enabled=True, registered_users={user: "p"}) as guarded:
        basic = {"Authorization": f"Basic {base64.b64encode(f'{user}:p'.encode()).decode()}"}
        for headers, expected in (({}, None), (basic, user)):
            answer = guarded.ask("/ui/", headers=headers)
            assert answer.headers["Cache-Control"] == "no-store"
            (told,) = re.findall(r'<meta name="session" content="([^"]*)" />', answer.body.decode())
            assert json.loads(html.unescape(told)) == shown(guarded.ask("/ui/session", headers=headers))
            assert json.loads(html.unescape(told))["User"] == expected


def test_an_update_below_a_server_that_runs_is_seen_once_a_file_is_missed(
    archive: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.ui.page.BUILT", tmp_path)
    for name in ("index.html", "first.js"):
        (tmp_path / name).write_text("first")
    with rest_stage(archive) as stage:
        assert stage.ask("/ui/").body == b"first"
        (tmp_path / "index.html").write_text("second")
        (tmp_path / "first.js").rename(tmp_path / "second.js")
        assert stage.ask("/ui/first.js").status == 404  # it was found at the start, but never read
        assert stage.ask("/ui/").body == b"second"
        assert stage.ask("/ui/second.js").body == b"first"


def test_everything_that_the_page_names_is_there(stage: RestStage) -> None:
    names = re.findall(rb'(?:src|href)="(/ui/[^"]+)"', stage.ask("/ui/").body)
    assert len(names) >= 3
    for name in names:
        answer = stage.ask(name.decode())
        assert answer.status == 200
        assert not answer.headers["Content-Type"].startswith("text/html"), name


@pytest.mark.parametrize(
    "path", ["/ui/assets/none.js", "/ui/none.css", "/ui/%2e%2e/page.py", "/ui/..%2fpage.py", "/ui/assets/../../page.py"]
)
def test_no_other_file_is_served(stage: RestStage, path: str) -> None:
    assert stage.ask(path).status == 404


def test_names_that_change_with_their_content_are_kept_for_ever(stage: RestStage) -> None:
    (script,) = (BUILT / "assets").glob("index-*.js")
    answer = stage.ask(f"/ui/assets/{script.name}", headers={"Accept-Encoding": "br, gzip"})
    assert (answer.headers["Content-Type"], "immutable" in answer.headers["Cache-Control"]) == ("text/javascript", True)
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert gzip.decompress(answer.body) == script.read_bytes()
    assert stage.ask(f"/ui/assets/{script.name}").body == script.read_bytes()


def test_the_policy_lets_nothing_in_from_elsewhere(stage: RestStage) -> None:
    policy = dict(
        part.strip().partition(" ")[::2] for part in stage.ask("/ui/").headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    sources = {source for part in policy.values() for source in part.split()}
    assert sources <= {"'none'", "'self'", "blob:", "data:", "'wasm-unsafe-eval'"}


def test_the_page_holds_no_script_or_style_of_its_own() -> None:
    page = (BUILT / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", page)


def test_the_built_page_is_small() -> None:
    files = [path for path in BUILT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    first = [
        BUILT / Path(name).relative_to("/ui")
        for name in re.findall(r'(?:src|href)="(/ui/[^"]+)"', (BUILT / "index.html").read_text())
    ]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in first) < 300_000


@pytest.mark.parametrize("path", ["/", "/app/explorer.html"])
def test_browsers_are_led_to_the_page_without_a_password(archive: Core, path: str) -> None:
    with rest_stage(archive, authentication_enabled=True, registered_users={"u": "p"}) as guarded:
        answer = guarded.ask(path, headers={"Accept": "text/html,*/*;q=0.8"})
        assert (answer.status, urljoin(f"http://host/proxied{path}", answer.headers["Location"])) == (
            307,
            "http://host/proxied/ui/",
        )
        assert guarded.ask(path).status == guarded.ask(path, headers={"Accept": "application/json"}).status == 401
        assert guarded.ask(path, "POST", headers={"Accept": "text/html"}).status == 401


def test_programs_are_led_on_as_by_orthanc(stage: RestStage) -> None:
    assert stage.ask("/").headers["Location"] == "app/explorer.html"
    assert stage.ask("/app/explorer.html").headers["Location"] == "../ui/"
    icon = urljoin("/favicon.ico", stage.ask("/favicon.ico").headers["Location"])
    icon = urljoin(icon, stage.ask(icon).headers["Location"])
    assert stage.ask(icon).headers["Content-Type"] == "image/svg+xml"


def test_a_folder_in_the_place_of_the_explorer_keeps_it(archive: Core, tmp_path: Path) -> None:
    (tmp_path / "explorer.html").write_text("<p>explorer")
    folders = SERVE_FOLDERS.read({"/app": str(tmp_path)}, tmp_path)
    html = {"Accept": "text/html"}
    with rest_stage(archive, serve_folders=folders) as running:
        assert running.ask("/", headers=html).headers["Location"] == "app/explorer.html"
        assert running.ask("/app/explorer.html", headers=html).body == b"<p>explorer"
    with rest_stage(
        archive, serve_folders=folders, authentication_enabled=True, registered_users={"u": "p"}
    ) as guarded:
        assert guarded.ask("/app/explorer.html", headers=html).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/app/explorer.html", "/favicon.ico", "/ui", "/ui/", "/ui/session", "/ui/icon.svg"]
)
def test_the_page_can_be_turned_off(archive: Core, path: str) -> None:
    with rest_stage(archive, explorer_enabled=False) as running:
        assert running.ask(path, headers={"Accept": "text/html"}).status == 404
        assert running.ask("/system").status == 200
