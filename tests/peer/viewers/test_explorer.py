"""Orthanc Explorer, Orthanc's own page, served by Sinogram as `/app`: it lists and opens what is there, and every call that it makes is answered."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ct_phantoms as phantoms
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running, sinogram_command
from tests.peer.viewers import explorer
from tests.peer.viewers.browser import Visit, visiting

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

DEBIAN = Path("/usr/sbin/Orthanc")


@pytest.fixture(scope="module", params=["1.12.7", "Debian's"])
def server(
    request: pytest.FixtureRequest, oracle: Oracle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("explorer")
    program = oracle.command if request.param == "1.12.7" else str(DEBIAN)
    if not Path(program).is_file():
        pytest.skip("Debian's package `orthanc` is not installed")
    with running("orthanc", [program], place, gently=False) as theirs:
        folder = explorer.fetch(theirs, place)
    options = f'"ServeFolders": {json.dumps({"/app": str(folder)})},'
    with running("sinogram", sinogram_command(), place, options) as ours:
        for file in phantoms.files("plain"):
            assert ours.ask(Request("/instances", "POST", file)).status == 200
        yield ours


@pytest.fixture
def visit(server: Server) -> Iterator[Visit]:
    with visiting(f"http://127.0.0.1:{server.http_port}") as made:
        yield made


def open_page(server: Server, visit: Visit, place: str) -> None:
    visit.page.goto(f"http://127.0.0.1:{server.http_port}/app/explorer.html{place}")
    visit.page.wait_for_load_state("networkidle")


def assert_answered(visit: Visit) -> None:
    assert visit.below("/studies", "/patients", "/series", "/instances")
    assert not visit.refused()
    assert not visit.failed


def first(server: Server, level: str) -> str:
    listed = server.get_json(f"/{level}")
    assert isinstance(listed, list)
    return str(listed[0])


def test_the_root_leads_there(server: Server, visit: Visit) -> None:
    visit.page.goto(f"http://127.0.0.1:{server.http_port}/")
    visit.page.wait_for_load_state("networkidle")
    assert visit.page.url.endswith("/app/explorer.html")
    assert visit.page.title() == "Orthanc Explorer"


def test_the_list_of_studies_opens_one(server: Server, visit: Visit) -> None:
    open_page(server, visit, "#find-studies")
    visit.page.get_by_text("Phantom^Ct - Moving bar").locator("visible=true").first.click()
    visit.page.get_by_text("Axial").locator("visible=true").first.wait_for()
    assert_answered(visit)


@pytest.mark.parametrize(
    ("place", "level", "shown"),
    [
        ("#patient?uuid=", "patients", "Moving bar"),
        ("#study?uuid=", "studies", "Axial"),
        ("#series?uuid=", "series", "Instance: 1"),
        ("#instance?uuid=", "instances", "PatientName"),
    ],
)
def test_each_resource_opens(server: Server, visit: Visit, place: str, level: str, shown: str) -> None:
    open_page(server, visit, f"{place}{first(server, level)}")
    visit.page.get_by_text(shown).locator("visible=true").first.wait_for()
    assert_answered(visit)
