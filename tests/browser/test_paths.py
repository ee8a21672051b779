"""A day's work from logging in to logging out, by the keyboard alone: what arrives is seen, labelled, sent, taken along, anonymised, deleted."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Page, Route, expect

from tests import ct_phantoms
from tests.browser.pixels import moving_bar, shows
from tests.browser.stage import PASSWORD, USER, Site, Visit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a CT of eight slices."""
    made = tmp_path / "disc"
    made.mkdir()
    for number, data in enumerate(ct_phantoms.files("plain")):
        (made / f"IM{number:04}").write_bytes(data)
    return made


class Barrier:
    """Holds uploads up until it is lifted: what comes of them cannot be there before somebody looks."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._held: list[Route] | None = []
        page.route(re.compile(r"/instances\?"), self._meet)

    def _meet(self, route: Route) -> None:
        if self._held is None:
            route.continue_()
        else:
            self._held.append(route)

    def lift(self) -> None:
        held, self._held = self._held or [], None
        for route in held:
            route.continue_()


def test_a_days_work_by_the_keyboard_alone(
    visit: Callable[..., Visit], site: Site, received: Path, folder: Path
) -> None:
    made = visit(logs_in=False)
    page, keys = made.page, made.page.keyboard

    def press(name: str, role: str = "button") -> None:
        made.tab_to(page.get_by_role(role, name=name, exact=True).first)  # type: ignore[arg-type]
        keys.press("Enter")

    made.tab_to(page.get_by_label("User"))
    keys.type(USER)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()

    barrier = Barrier(page)
    press("Upload", "link")
    made.tab_to(page.get_by_label("Choose a folder"))
    with page.expect_file_chooser() as chooser:
        keys.press("Enter")
    chooser.value.set_files(folder)
    expect(page.get_by_text("0 of 8 files")).to_be_visible()
    press("Archive", "link")
    expect(page.get_by_text("live", exact=True)).to_be_visible()
    row = page.get_by_role("row").filter(has_text="Phantom, Ct")
    expect(row).to_have_count(0)
    barrier.lift()
    expect(row).to_contain_text("Moving bar")
    made.screenshot("path-arrived")

    made.tab_to(page.get_by_role("grid"))
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Moving bar")
    (study,) = site.ask("/studies")
    made.tab_to(page.get_by_label("Add a label"))
    keys.type("urgent")
    keys.press("Enter")
    expect(page.get_by_label("Remove the label urgent")).to_be_visible()
    assert site.ask(f"/studies/{study}/labels") == ["urgent"]

    made.tab_to(page.get_by_role("tabpanel").get_by_role("link", name="Axial").first)
    keys.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Axial")
    press("View", "link")
    pane = page.get_by_role("group", name="CT Axial")
    expect(pane).to_be_focused()
    shows(pane, *moving_bar(0))
    keys.press("ArrowDown")
    shows(pane, *moving_bar(1))
    made.screenshot("path-viewer")
    press("To the study", "link")

    press("Send")
    ward = page.get_by_role("dialog").get_by_role("radio", name="ward")
    made.tab_to(ward)
    keys.press("Space")
    keys.press("Enter")
    press("Jobs", "link")
    job = page.get_by_role("main").get_by_role("listitem").filter(has_text="WARD")
    expect(job).to_contain_text("done")
    stored = [path.read_bytes() for path in folder.iterdir()]
    sent = sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in received.iterdir())
    assert sent == sorted(str(pydicom.dcmread(path).SOPInstanceUID) for path in folder.iterdir())
    made.screenshot("path-job")

    press("Archive", "link")
    made.tab_to(page.get_by_role("grid"))
    expect(row).to_be_visible()
    keys.press("Enter")
    made.tab_to(page.get_by_role("link", name="Download ZIP"))
    with page.expect_download() as download:
        keys.press("Enter")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.read(name) for name in archive.namelist()) == sorted(stored)

    press("Anonymise")
    dialog = page.get_by_role("dialog")
    made.tab_to(dialog.get_by_label("New Patient ID"))
    keys.type("TRIAL7")
    made.tab_to(dialog.get_by_role("button", name="Anonymise", exact=True))
    keys.press("Enter")
    expect(dialog).to_have_count(0)
    press("Open", "link")
    expect(page.get_by_role("navigation", name="Path")).to_contain_text("TRIAL7")
    told = site.text(f"/studies/{page.url.rsplit('/', 1)[-1]}/instances-tags?simplify")
    assert "TRIAL7" in told
    assert "Phantom" not in told

    press("Delete")
    made.tab_to(dialog.get_by_role("button", name="Delete"))
    keys.press("Enter")
    expect(page.get_by_role("heading", name="Studies")).to_be_visible()
    assert site.ask("/studies") == [study]
    press("Log out")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
