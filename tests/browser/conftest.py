"""Fixtures: a server with users, a browser, and pages whose complaints fail the test.

Chromium is the system's (Debian: `chromium`), or the one that `SINOGRAM_CHROMIUM` names. Screenshots are kept in `build/screenshots`.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.stage import AXE, Site, Visit
from tests.peer.servers import running, sinogram_command

USERS = '"AuthenticationEnabled": true, "RegisteredUsers": {"anna": "secret"}, "ExecuteLuaEnabled": true, "OverwriteInstances": true,'
EXPECTED_MS = 20_000  # costs nothing while all is well; a loaded machine is slow
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for each module: one that was kept until the end of a long run did not end by itself."""
    found = os.environ.get("SINOGRAM_CHROMIUM") or shutil.which("chromium")
    if found is None:
        pytest.skip("no browser found: install Debian's package `chromium`, or set SINOGRAM_CHROMIUM to its path")
    if not AXE.exists():
        pytest.skip("axe-core is not installed: `make test` does that where Node.js 20.19 or later is")
    expect.set_options(timeout=EXPECTED_MS)
    # A container has no sandbox of its own and no graphics card.
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=found, args=arguments)) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server that is empty, with the user anna, whose password is "secret"."""
    with running("Sinogram", sinogram_command(), tmp_path_factory.mktemp("site"), USERS) as server:
        yield Site(server)


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Visit]]:
    """Open the page as a new visitor; a message in the console, or a violation of the policy, fails the test."""
    visits: list[Visit] = []

    def open_page(
        path: str = "/", *, logs_in: bool = True, width: int = 1280, height: int = 800, dark: bool = False
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale="en-US",
            accept_downloads=True,
        )
        visits.append(Visit(context, site, SCREENSHOTS))
        if logs_in:
            visits[-1].log_in()
        visits[-1].go(path)
        return visits[-1]

    yield open_page
    for made in visits:
        made.context.close()
    assert [complaint for made in visits for complaint in made.complaints] == []
