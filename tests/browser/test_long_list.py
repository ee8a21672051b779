"""A list of a million studies: taller than browsers let an element be, and yet each row is where it belongs. Long, so nightly; `-s` shows figures."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stage import Site, Visit, fill_archive
from tests.peer.servers import running, sinogram_command

pytestmark = pytest.mark.nightly
STUDIES = int(os.environ.get("SINOGRAM_LONG_LIST", "1000000"))
ARCHIVE = os.environ.get("SINOGRAM_LONG_LIST_ARCHIVE")  # one that is there already, in a folder `Sinogram` of this one
WALKED = 400  # rows at each of the walked places, one after the other
ORDER = [{"Type": "DicomTag", "Key": "StudyDate", "Direction": "DESC"}]
# What is in sight: the number of each row, its study, and how far the rows are from covering the list.
_SIGHT = """grid => {
    const {bottom} = grid.getBoundingClientRect(), top = grid.querySelector('.head').getBoundingClientRect().bottom;
    const rows = [...grid.querySelectorAll('.row')].map(row => [row, row.getBoundingClientRect()])
        .filter(([, box]) => box.bottom > top + 1 && box.top < bottom - 2);
    return {
        rows: rows.map(([row]) => [row.ariaRowIndex - 2, row.querySelector('a')?.href.split('/').at(-1) ?? null]),
        first: rows[0][0].ariaRowIndex - 2 + (top - rows[0][1].top) / rows[0][1].height,
        gap: Math.max(rows[0][1].top - top, bottom - rows.at(-1)[1].bottom),
    };
}"""

# Whether the list has moved and rests; a step of the wheel that comes while the list is being set somewhere is lost.
_RESTS = """(grid, before) => new Promise(done => {
    let last = before, still = 0;
    const timer = setInterval(() => {
        still = grid.scrollTop === last ? still + 1 : 0;
        last = grid.scrollTop;
        if (still < (last === before ? 100 : 10)) return;
        clearInterval(timer);
        done(last !== before);
    }, 30);
})"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = Path(ARCHIVE) if ARCHIVE else tmp_path_factory.mktemp("million")
    if not ARCHIVE:
        fill_archive(folder, STUDIES)
    with running("Sinogram", sinogram_command(), folder) as server:
        yield Site(server)


def _find(site: Site, since: int, limit: int, *, expand: bool = True) -> list[Any]:
    body = {"Level": "Study", "Query": {}, "OrderBy": ORDER, "Since": since, "Limit": limit, "Expand": expand}
    found: list[Any] = site.ask("/tools/find", "POST", json.dumps(body).encode())
    return found


def _see(page: Page) -> dict[str, Any]:
    """Return what is in sight once all of it is there."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    seen: dict[str, Any] = page.get_by_role("grid").evaluate(_SIGHT)
    assert seen["gap"] < 2, seen
    numbers = [number for number, _ in seen["rows"]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert None not in dict(seen["rows"]).values()
    return seen


def _check(site: Site, seen: dict[str, Any]) -> None:
    """Compare what is in sight with what the server says stands there."""
    first, _ = seen["rows"][0]
    expected = [each["ID"] for each in _find(site, first, len(seen["rows"]))]
    assert [study for _, study in seen["rows"]] == expected


def _wheel(page: Page, rows: int) -> None:
    """Turn the wheel over the list by the height of so many rows, and wait until the list has moved and rests."""
    pixels = rows * page.locator(".row").first.evaluate("row => row.getBoundingClientRect().height")
    before = page.get_by_role("grid").evaluate("grid => grid.scrollTop")
    page.mouse.wheel(0, pixels)
    while not page.get_by_role("grid").evaluate(_RESTS, before):
        page.mouse.wheel(0, pixels)


@pytest.fixture
def page(visit: Callable[..., Visit], site: Site) -> Page:
    made = visit("/upload", logs_in=False)
    page = made.page
    # Studies of such an archive have no files, and so no pictures.
    page.route("**/thumbnail?*", lambda route: route.fulfill(status=204))
    made.go("/")
    expect(page.get_by_role("grid")).to_have_attribute(
        "aria-rowcount", f"{site.ask('/statistics')['CountStudies'] + 1}"
    )
    page.get_by_role("grid").hover()
    return page


def test_any_place_is_filled_and_right(page: Page, site: Site) -> None:
    times = []
    for part in (0, 0.5, 0.25, 0.9, 0.1, 0.999, 0.75, 0.0001, 1.0):
        began_s = time.perf_counter()
        page.get_by_role("grid").evaluate("(list, part) => list.scrollTop = part * list.scrollHeight", part)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        seen = _see(page)
        times.append(time.perf_counter() - began_s)
        assert seen["rows"][0][0] == pytest.approx(part * STUDIES, abs=0.02 * STUDIES)
        _check(site, seen)
    print(f"\na far place of {STUDIES:,} studies is filled within {max(times):.2f} s, load {os.getloadavg()[0]:.0f}")


def test_the_wheel_passes_as_many_rows_anywhere(page: Page, site: Site) -> None:
    for part in (0.0, 0.4, 0.8, 0.99):
        page.get_by_role("grid").evaluate("(list, part) => list.scrollTop = part * list.scrollHeight", part)
        before = _see(page)["first"]
        for rows in (10, 25, -5):
            _wheel(page, rows)
            after = _see(page)["first"]
            assert after - before == pytest.approx(rows, abs=0.05), part
            before = after


def test_rows_follow_each_other_without_a_gap(page: Page, site: Site) -> None:
    """At the top and at the end by the keyboard, between them by the wheel."""
    grid = page.get_by_role("grid")
    last = site.ask("/statistics")["CountStudies"] - 1
    for part, key in ((0.0, "PageDown"), (0.5, "wheel"), (1.0, "PageUp")):
        grid.evaluate("(list, part) => list.scrollTop = part * list.scrollHeight", part)
        if key != "wheel":
            grid.press("End" if part else "Home")
        seen: dict[int, str] = {}
        while len(seen) < WALKED:
            seen.update(_see(page)["rows"])
            if key == "wheel":
                _wheel(page, 5)
            else:
                grid.press(key)
        assert len(set(seen.values())) == len(seen)
        assert sorted(seen) == list(range(min(seen), max(seen) + 1))
        if key != "wheel":
            assert (max(seen) == last) if part else (min(seen) == 0)
        expected = [each["ID"] for each in _find(site, min(seen), len(seen))]
        assert [seen[number] for number in sorted(seen)] == expected
    grid.press("End")
    expect(page.locator(f"[role=row][aria-rowindex='{last + 2}']")).to_be_in_viewport(ratio=0.95)
    grid.press("Home")
    expect(page.locator("[role=row][aria-rowindex='2']")).to_be_in_viewport(ratio=0.95)


def test_the_server_lists_every_study_once(site: Site) -> None:
    count, found = site.ask("/statistics")["CountStudies"], set()
    for since in range(0, count, 20_000):
        page = _find(site, since, 20_000, expand=False)
        assert len(page) == min(20_000, count - since)
        found.update(page)
    assert len(found) == count
