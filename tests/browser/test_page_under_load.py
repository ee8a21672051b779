"""The page of a large archive, also while much comes in: how soon it is seen, and that its list goes to any place. Long, so nightly.

Time is the browser's own, from the navigation to the first studies in the list.
"""

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from playwright.sync_api import expect

from tests.browser.stage import Site, Visit
from tests.browser.studies import make_study
from tests.peer.servers import running, sinogram_command

pytestmark = pytest.mark.nightly
STUDIES = 100_000
SENDERS = 20
FIRST_VIEW_S = 1.0
BUSY_VIEW_S = 2.0  # senders and browser share the processors
_SEEN = """() => new Promise((resolve) => {
    const look = () => document.querySelector('[role=row] a') ? resolve(performance.now()) : requestAnimationFrame(look);
    look();
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running server with an archive of many studies."""
    folder = tmp_path_factory.mktemp("many")
    counts = ("--patients", "60000", "--studies", str(STUDIES), "--series", str(STUDIES), "--instances", str(STUDIES))
    subprocess.run(
        [sys.executable, "-m", "sinogram", "bench", "fill", "--data", str(folder / "Sinogram"), *counts], check=True
    )
    with running("Sinogram", sinogram_command(), folder, '"OverwriteInstances": true,') as server:
        yield Site(server)


def _store(site: Site, data: bytes) -> None:
    """Store an instance over a connection of its own."""
    with urllib.request.urlopen(urllib.request.Request(f"{site.url}/instances", data)) as answer:
        answer.read()


@contextmanager
def _senders(site: Site) -> Iterator[None]:
    ends = Event()

    def send(sender: int) -> int:
        number = 0
        while not ends.is_set():
            _store(site, make_study(1_000 + sender * 10_000 + number % 5_000))
            number += 1
        return number

    with ThreadPoolExecutor(SENDERS) as pool:
        sent = [pool.submit(send, sender) for sender in range(SENDERS)]
        try:
            yield
        finally:
            ends.set()
        assert all(each.result() for each in sent)


def _first_views(visit: Callable[..., Visit], rounds: int = 5) -> list[float]:
    """Return how long it took until studies were seen, each time by a browser that had never been there."""
    times = []
    for _ in range(rounds):
        made = visit(logs_in=False)
        times.append(made.page.evaluate(_SEEN) / 1000)
        made.context.close()
    return times


def test_the_first_view_comes_within_a_second(visit: Callable[..., Visit], site: Site) -> None:
    quiet = _first_views(visit)
    with _senders(site):
        busy = _first_views(visit)
    print(f"first view of {STUDIES} studies: {sorted(quiet)} s; while {SENDERS} senders store: {sorted(busy)} s")
    assert sorted(quiet)[2] < FIRST_VIEW_S
    assert sorted(busy)[2] < BUSY_VIEW_S


def test_the_list_goes_to_any_place(visit: Callable[..., Visit], site: Site) -> None:
    made = visit(logs_in=False)
    grid = made.page.get_by_role("grid")
    expect(made.page.get_by_role("row").nth(1)).to_contain_text(", ")
    for part in (0.5, 0.9, 0.1, 1.0):
        grid.evaluate("(list, part) => list.scrollTop = part * list.scrollHeight", part)
        expect(made.page.locator("[aria-busy=true]")).to_have_count(0)
    grid.press("End")
    count = site.ask("/statistics")["CountStudies"]
    expect(made.page.locator(f"[role=row][aria-rowindex='{count + 1}']")).to_be_in_viewport(ratio=0.95)
