"""The first view of a large archive, also while much comes in. Long, so nightly; `-s` shows the figures.

Time is the browser's own, from the navigation to the first studies in the list. Beside it stands what a page without anything takes in the
same minute, which is the browser's part: on a busy machine it waits for processors as all do.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.stage import Site, fill_archive
from tests.peer.servers import running

pytestmark = pytest.mark.nightly
STUDIES = 100_000
ARCHIVE = os.environ.get(
    "SINOGRAM_LARGE_ARCHIVE"
)  # one that is there already, in a folder `Sinogram` of this one; it grows
SENDERS = 20
ROUNDS = 7
FIRST_VIEW_S = 1.0
BUSY_VIEW_S = 2.0  # on a machine that does something else, too
_SEEN = """() => new Promise((resolve) => {
    const look = () => document.querySelector('[role=row] a') ? resolve(performance.now()) : requestAnimationFrame(look);
    look();
})"""
_DRAWN = "() => new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now())))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server of as many processes as it has by itself, with an archive of many studies."""
    folder = Path(ARCHIVE) if ARCHIVE else tmp_path_factory.mktemp("many")
    if not ARCHIVE:
        fill_archive(folder, STUDIES)
    with running("Sinogram", [sys.executable, "-m", "sinogram", "serve"], folder, '"GatewayProcesses": 0,') as server:
        yield Site(server)


@contextmanager
def _senders(site: Site) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.browser.senders", str(site.server.dicom_port), str(SENDERS)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "sending\n"
        try:
            yield
        finally:
            process.terminate()
            told = process.stdout.read()
    assert process.returncode == 0
    print(f"  {SENDERS} senders: {told.strip()}")


def _empty(page: Page, site: Site) -> float:
    page.goto(f"{site.url}/ui/icon.svg")
    drawn: float = page.evaluate(_DRAWN)
    return drawn / 1000


def _first_view(page: Page, site: Site) -> float:
    page.goto(f"{site.url}/ui/", wait_until="commit")
    seen: float = page.evaluate(_SEEN)
    return seen / 1000


def _measure(browser: Browser, site: Site, look: Callable[[Page, Site], float], *, is_new: bool) -> list[float]:
    """Return some times: of browsers that had never been there, or of one that has."""
    times = []
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    look(context.new_page(), site)
    for _ in range(ROUNDS):
        if is_new:
            context.close()
            context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        times.append(look(page, site))
        page.close()
    context.close()
    return sorted(times)


def _show(what: str, times: list[float]) -> float:
    print(f"  {what}: {statistics.median(times):.2f} s ({times[0]:.2f}–{times[-1]:.2f}), load {os.getloadavg()[0]:.0f}")
    return statistics.median(times)


def _views(browser: Browser, site: Site) -> tuple[float, float]:
    _show("nothing but a picture", _measure(browser, site, _empty, is_new=False))
    return (
        _show("first view, nothing kept by the browser", _measure(browser, site, _first_view, is_new=True)),
        _show("first view, with what it has kept", _measure(browser, site, _first_view, is_new=False)),
    )


def test_the_first_view_comes_within_a_second(browser: Browser, site: Site) -> None:
    print(f"\n{STUDIES:,} studies")
    quiet = _views(browser, site)
    print(f"while {SENDERS} senders store")
    with _senders(site):
        busy = _views(browser, site)
    assert max(quiet) < FIRST_VIEW_S
    assert max(busy) < BUSY_VIEW_S
