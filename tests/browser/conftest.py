"""Fixtures: a server with users, a browser, and visits whose complaints fail the test. All modules share them, as starts are what is dear.

Chromium is the system's (Debian: `chromium`), or the one that `SINOGRAM_CHROMIUM` names. Screenshots are kept in `build/screenshots`.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.stage import AXE, BASIC, LUA_PATIENT, PASSWORD, USER, Site, Visit
from tests.peer.exchange import Request, Server
from tests.peer.servers import running, sinogram_command, wait_for
from tests.ports import free_port

USERS = f'"AuthenticationEnabled": true, "RegisteredUsers": {{"{USER}": "{PASSWORD}"}},'
OPTIONS = f'{USERS} "ExecuteLuaEnabled": true, "OverwriteInstances": true, "Worklists": {{"Enable": true}},'
SCRIPT = f"function OnStoredInstance(id, tags) if tags.PatientID == '{LUA_PATIENT}' and RestApiGet('/instances/' .. id) then error('no way for ' .. id) end end"
EXPECTED_MS = 20_000  # costs nothing while all is well; a loaded machine is slow
STOP_S = 10.0
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
ARGUMENTS = [
    "--no-sandbox",  # a container has none of its own
    "--use-angle=swiftshader",  # nor a graphics card
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",  # a card that is a program costs twice the processor time, where the page needs none
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The browser, which ends before tests of other folders begin: its driver ends with its standard input, which a forked process keeps open."""
    found = os.environ.get("SINOGRAM_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no browser found: install Debian's package `chromium`, or set SINOGRAM_CHROMIUM to its path")
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make test` does that where Node.js 20.19 or later is")
    expect.set_options(timeout=EXPECTED_MS)
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=found, args=ARGUMENTS)) as made,
    ):
        yield made


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server with the user anna, whose password is "secret", a script that fails for one patient, and a worklist."""
    folder = tmp_path_factory.mktemp("site")
    script = folder / "failing.lua"
    script.write_text(SCRIPT)
    with running("Sinogram", sinogram_command(), folder, f'{OPTIONS} "LuaScripts": ["{script}"],') as started:
        yield started


@pytest.fixture(scope="module")
def site(server: Server) -> Site:
    """The server, which is empty when a module's tests begin."""
    made = Site(server)
    made.empty()
    return made


@pytest.fixture(scope="module")
def received(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """DCMTK's storescp, which is the modality "ward"; gives the folder where it writes."""
    if shutil.which("storescp") is None:
        pytest.skip("DCMTK is not installed (Debian: dcmtk)")
    folder, port = tmp_path_factory.mktemp("ward"), free_port()
    site.put("/modalities/ward", ["WARD", "127.0.0.1", port])
    echo = Request("/modalities/ward/echo", "POST", "{}", BASIC)
    process = subprocess.Popen(["storescp", "-od", str(folder), str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: site.server.ask(echo).status == 200, "storescp")
        yield folder
    finally:
        process.terminate()
        process.wait(STOP_S)


@pytest.fixture(scope="package")
def left() -> list[Page]:
    """The page that a visitor has left, if it can be used again: what the browser has compiled for one is there for the next."""
    return []


@pytest.fixture
def visit(browser: Browser, site: Site, left: list[Page]) -> Iterator[Callable[..., Visit]]:
    """Open the page as a new visitor; a message in the console, or a violation of the policy, fails the test.

    A test that closes the context of its visit gets a browser next that has never been there.
    """
    visits: list[Visit] = []

    def open_page(
        path: str = "/", *, logs_in: bool = True, width: int = 1280, height: int = 800, dark: bool = False
    ) -> Visit:
        page = left.pop() if left else browser.new_context(locale="en-US").new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if dark else "light")
        made = Visit(page, site, SCREENSHOTS)
        visits.append(made)
        if logs_in:
            made.log_in()
        made.go(path)
        return made

    yield open_page
    complaints: list[str] = []
    for made in visits:
        complaints += made.complaints
        if left or made.page.is_closed():
            made.context.close()
        else:
            made.leave()
            left.append(made.page)
    assert complaints == []
