"""CORS, judged by a browser: a page of another origin asks as OHIF does, with a password and an Accept that browsers ask about first."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests import ct_phantoms as phantoms
from tests.peer.exchange import Request, Server
from tests.peer.servers import running, sinogram_command
from tests.peer.viewers.browser import Visit, visiting

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

BASIC: Final = "Basic YW5uYTpzZWNyZXQ="
STUDY: Final = phantoms.STUDIES["plain"]
FRAME: Final = f"/dicom-web/studies/{STUDY}/series/{STUDY}.1/instances/{STUDY}.1.1/frames/1"
ACCEPT: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
# What a page gets to see: status, length and one header of an answer, or that the browser keeps it from the page.
_ASK: Final = """async ([url, method, headers]) => {
  try {
    const answer = await fetch(url, { method, headers });
    return [answer.status, (await answer.arrayBuffer()).byteLength, answer.headers.get('Content-Location') ?? answer.headers.get('ETag')];
  } catch (error) { return String(error); }
}"""


@dataclass(frozen=True, slots=True)
class Sites:
    pages: str  # where the page lies
    archive: Server  # what it asks


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    place = tmp_path_factory.mktemp("origins")
    (place / "page").mkdir()
    (place / "page" / "index.html").write_text("<!DOCTYPE html><title>page</title>")
    options = f'"ServeFolders": {json.dumps({"/page": str(place / "page")})},'
    with running("pages", sinogram_command(), place, options) as pages:
        origin = f"http://127.0.0.1:{pages.http_port}"
        users = '"AuthenticationEnabled": true, "RegisteredUsers": {"anna": "secret"},'
        options = f'{users} "CorsAllowedOrigins": ["{origin}"], {options}'
        with running("archive", sinogram_command(), place, options, {"Authorization": BASIC}) as archive:
            for file in phantoms.files("plain"):
                assert archive.ask(Request("/instances", "POST", file)).status == 200
            yield Sites(origin, archive)


@pytest.fixture
def visit(sites: Sites) -> Iterator[Visit]:
    with visiting(sites.pages) as made:
        made.page.goto(f"{sites.pages}/page/")
        yield made


def ask(visit: Visit, sites: Sites, path: str, method: str = "GET", **headers: str) -> Any:
    url = f"http://127.0.0.1:{sites.archive.http_port}{path}"
    return visit.page.evaluate(_ASK, [url, method, {"Authorization": BASIC, **headers}])


def test_a_page_that_is_named_reads_frames_with_a_password(sites: Sites, visit: Visit) -> None:
    status, length, _ = ask(visit, sites, FRAME, Accept=ACCEPT)
    assert (status, length > phantoms.stored(0).nbytes) == (200, True)


def test_it_sees_errors_and_headers_that_are_exposed(sites: Sites, visit: Visit) -> None:
    assert ask(visit, sites, "/instances/nothing")[0] == 404
    assert ask(visit, sites, "/system", Authorization="Basic YTpi")[0] == 401
    assert ask(visit, sites, "/page/index.html")[2].startswith('"')


@pytest.mark.parametrize(("method", "headers"), [("DELETE", {}), ("PUT", {}), ("GET", {"X-Other": "1"})])
def test_what_is_not_allowed_is_not_even_sent(sites: Sites, visit: Visit, method: str, headers: dict[str, str]) -> None:
    study = json.loads(sites.archive.get("/studies").body)[0]
    assert ask(visit, sites, f"/studies/{study}", method, **headers).startswith("TypeError")
    assert sites.archive.get(f"/studies/{study}").status == 200


def test_a_page_of_another_origin_reads_nothing(sites: Sites, visit: Visit) -> None:
    # The same server by another name is another origin.
    visit.page.goto(f"{sites.pages.replace('127.0.0.1', 'localhost')}/page/")
    assert ask(visit, sites, "/system").startswith("TypeError")
    assert ask(visit, sites, "/system", "POST").startswith("TypeError")
