"""The page's files: what stands in their headers, and which addresses are views."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.ui.page import BUILT
from tests.contract.rest_stage import RestStage, rest_stage
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
        "no-cache",
    )
    assert answer.body == (BUILT / "index.html").read_bytes()


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
    html = (BUILT / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son[a-z]+=|\sstyle=", html)


def test_the_built_page_is_small() -> None:
    files = [path for path in BUILT.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    first = [
        BUILT / Path(name).relative_to("/ui")
        for name in re.findall(r'(?:src|href)="(/ui/[^"]+)"', (BUILT / "index.html").read_text())
    ]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in first) < 300_000
