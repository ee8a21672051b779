"""Much at once: folders of thousands of files, thousands of events. The page answers all the while, and keeps no more than it shows. Long, so nightly; `-s` shows figures."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.browser.stage import BASIC, Site, Visit
from tests.browser.studies import make_study
from tests.peer.exchange import Request
from tools.bench.samples import Samples

pytestmark = pytest.mark.nightly
FILES = int(os.environ.get("SINOGRAM_UPLOADED_FILES", "2000"))  # of each of two folders
EVENTS = int(os.environ.get("SINOGRAM_PAGE_EVENTS", "10000"))
LONGEST_TASK_S = 1.0  # on a machine that does much else; nobody notices a tenth of it
KEPT_BYTES = 4_000_000  # of the page's memory, more after everything than before
KEPT_NODES = 3_000
_WATCH = """() => {
    window.longest = 0; window.tasks = 0; window.gap = 0;
    new PerformanceObserver(list => list.getEntries().forEach(({duration}) => {
        window.longest = Math.max(window.longest, duration); window.tasks += duration;
    })).observe({entryTypes: ['longtask']});
    let last = performance.now();
    const look = () => {
        window.gap = Math.max(window.gap, performance.now() - last);
        last = performance.now();
        requestAnimationFrame(look);
    };
    look();
}"""


class _Memory:
    """What a page keeps, once what nobody needs is gone."""

    def __init__(self, page: Page) -> None:
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("Performance.enable")
        self._cdp.send("HeapProfiler.enable")

    def look(self) -> tuple[int, int]:
        """Return the bytes of its objects, and how many nodes its documents have."""
        for _ in range(3):
            self._cdp.send("HeapProfiler.collectGarbage")
        told = {each["name"]: each["value"] for each in self._cdp.send("Performance.getMetrics")["metrics"]}
        return int(told["JSHeapUsedSize"]), int(told["Nodes"])


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[list[Path]]:
    """Two folders of images of 170 kB, and in each a file that is none."""
    made = []
    for seed in (71, 72):
        folder = tmp_path / f"disc{seed}"
        folder.mkdir()
        for number, data in enumerate(Samples(seed).stream(range(FILES))):
            (folder / f"image{number:04}").write_bytes(data)
        (folder / f"README{seed}.TXT").write_text("for patients")
        made.append(folder)
    yield made
    for folder in made:
        for path in folder.iterdir():
            path.unlink()  # hundreds of megabytes


def test_two_folders_at_once_come_whole_and_freeze_nothing(
    visit: Callable[..., Visit], site: Site, folders: list[Path]
) -> None:
    made = visit("/upload")
    page = made.page
    memory = _Memory(page)
    before = memory.look()
    page.evaluate(_WATCH)
    began_s = time.perf_counter()
    for folder in folders:
        page.get_by_label("Choose a folder").set_input_files(folder)
    count = 2 * FILES
    page.get_by_role("link", name="Archive").click()  # other views answer meanwhile
    expect(page.get_by_role("row").nth(1)).to_contain_text("BENCH")
    page.get_by_role("link", name="Upload").click()
    for place in (1, 0):  # the newest stands first
        status = page.get_by_role("region", name="Upload: ").nth(place).get_by_role("status")
        words = f"{FILES + 1:,} of {FILES + 1:,} files · {FILES:,} instances stored"
        expect(status).to_have_text(words, timeout=3_600_000)
    took_s = time.perf_counter() - began_s
    made.complaints[:] = [each for each in made.complaints if "400 (Bad Request)" not in each]  # of the text files
    longest, tasks, gap = page.evaluate("[window.longest, window.tasks, window.gap]")
    after = memory.look()
    print(
        f"\n2 × {FILES:,} files in {took_s:.0f} s ({count / took_s:.0f}/s): longest task {longest:.0f} ms, all long ones {tasks / 1000:.1f} s, longest time"
        f" without a frame {gap:.0f} ms, memory {before[0] / 1e6:.1f} → {after[0] / 1e6:.1f} MB, load {os.getloadavg()[0]:.0f}"
    )
    for seed in (71, 72):
        expect(page.get_by_role("listitem").filter(has_text=f"README{seed}.TXT").first).to_be_visible()
    assert site.ask("/statistics")["CountInstances"] == count
    assert longest < 1000 * LONGEST_TASK_S
    assert after[0] - before[0] < KEPT_BYTES + 1_000 * count  # of each file its name and what became of it


def _label(site: Site, study: str, count: int) -> None:
    """Make so many events, by a label that comes and goes."""
    for number in range(count):
        answer = site.server.ask(
            Request(f"/studies/{study}/labels/urgent", "DELETE" if number % 2 else "PUT", b"", BASIC)
        )
        assert answer.status == 200


def test_thousands_of_events_leave_nothing_behind(visit: Callable[..., Visit], site: Site) -> None:
    """The feed shows the latest 500 of them; the list of studies, and the jobs' count, hear them too."""
    study = site.upload(make_study(1))["ParentStudy"]
    views = {path: visit(path).page for path in ("/events", "/")}
    memories = {path: _Memory(page) for path, page in views.items()}
    for page in views.values():
        expect(page.get_by_text("live", exact=True)).to_be_visible()
    last = site.ask("/events/head")["Head"]

    def pass_by(count: int) -> dict[str, tuple[int, int]]:
        nonlocal last
        _label(site, study, count)
        last += count
        for page in views.values():
            page.bring_to_front()
        expect(views["/events"].locator("ol").first).to_contain_text(str(last))
        return {path: memory.look() for path, memory in memories.items()}

    before = pass_by(1_000)
    began_s = time.perf_counter()
    after = pass_by(EVENTS)
    for path in views:
        print(
            f"\n{path} over {EVENTS:,} events ({EVENTS / (time.perf_counter() - began_s):.0f}/s): memory {before[path][0] / 1e6:.1f} → {after[path][0] / 1e6:.1f} MB,"
            f" nodes {before[path][1]:,} → {after[path][1]:,}"
        )
        assert after[path][0] - before[path][0] < KEPT_BYTES
        assert after[path][1] - before[path][1] < KEPT_NODES
