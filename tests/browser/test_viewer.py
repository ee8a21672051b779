"""The viewer at work: scrolled, windowed, measured, several series side by side, by mouse and keyboard."""

import io
import re
from collections.abc import Callable

import imagecodecs
import pytest
from playwright.sync_api import expect
from pydicom import dcmread

from tests import ct_phantoms
from tests.browser.pixels import TOLERANCE, moving_bar, shows
from tests.browser.stage import Site, Visit


def every_second_slice() -> list[bytes]:
    """Another series of the same study and in the same coordinates, with half of the slices."""
    made = []
    for data in list(ct_phantoms.files("JPEG-LS"))[::2]:
        image = dcmread(io.BytesIO(data))
        image.SeriesInstanceUID += ".2"
        image.SOPInstanceUID += ".2"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.SeriesNumber, image.SeriesDescription = 2, "Thick"
        with io.BytesIO() as file:
            image.save_as(file, enforce_file_format=True)
            made.append(file.getvalue())
    return made


@pytest.fixture(scope="module")
def series(site: Site) -> dict[str, str]:
    """Return the series of the tests by name."""
    made = {}
    for data in ct_phantoms.files("plain"):
        made["ct"] = site.upload(data)["ParentSeries"]
    for data in [*every_second_slice(), *ct_phantoms.files("JPEG-LS")]:
        made["beside"] = site.upload(data)["ParentSeries"]
    return made


def windowed(value: float, center: float, width: float) -> float:
    """PS3.3 §C.11.2.1.2.1, of a linear window."""
    return min(255, max(0, ((value - (center - 0.5)) / (width - 1) + 0.5) * 255))


def test_a_ct_is_drawn_scrolled_windowed_and_measured(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['ct']}")
    page = made.page
    page.get_by_role("link", name="View").click()
    pane = page.get_by_role("group", name="CT Axial")
    shows(pane, *moving_bar(0))
    expect(pane).to_contain_text("Phantom, Ct")
    expect(pane).to_contain_text("W 400 · L 40")
    pane.hover()
    for notch in (1, 2):
        page.mouse.wheel(0, 100)
        shows(pane, *moving_bar(notch))
    expect(pane).to_contain_text("Image 3 of 8")

    page.get_by_role("button", name="Length").click()
    box = pane.locator("canvas").first.bounding_box()
    assert box is not None
    scale = min(box["width"], box["height"]) / ct_phantoms.SIZE
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 30 * scale, y)
    page.mouse.down()
    page.mouse.move(x, y + 20 * scale)
    page.mouse.move(x + 30 * scale, y + 45 * scale, steps=3)
    page.mouse.up()
    found = page.get_by_role("region", name="Measurements").get_by_role("listitem")
    # A millimetre a pixel of the image: 60 and 45 across are 75; a pixel of the screen is a fifth of one.
    expect(found).to_contain_text(re.compile(r"\b(74\.[789]|75|75\.[123]) mm"))

    page.get_by_label("Window", exact=True).last.select_option(label="Lung – key 2")
    expect(pane).to_contain_text("W 1,500 · L -600")
    made.screenshot("viewer")
    values = [-1024, 40, 976]
    shows(pane, [(64, 64), (40, 96), (24, 32)], [windowed(value, -600, 1500) for value in values])
    page.get_by_role("button", name="Invert").click()
    shows(pane, [(64, 64), (40, 96), (24, 32)], [255 - windowed(value, -600, 1500) for value in values])
    assert made.find_barriers() == []


@pytest.mark.nightly
def test_series_side_by_side(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['beside']}/viewer", width=1150, height=600)
    page = made.page
    shows(page.get_by_role("group", name="CT Axial"), *moving_bar(0))
    page.get_by_role("button", name="Layout").click()
    page.get_by_role("button", name="Four series").click()
    axial, thick = page.get_by_role("group", name="CT Axial"), page.get_by_role("group", name="CT Thick")
    shows(thick, *moving_bar(0))
    expect(page.get_by_text("drag one here")).to_have_count(2)

    # Together: the slice that lies where the other one is, not that of the same number.
    page.get_by_role("button", name="Scroll all series together").click()
    axial.focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    shows(axial, *moving_bar(4))
    shows(thick, *moving_bar(4))
    expect(thick).to_contain_text("Image 3 of 4")

    page.get_by_role("button", name="Thick").drag_to(page.get_by_role("group", name="Series").nth(1))
    expect(thick).to_have_count(2)
    shows(thick.last, *moving_bar(0))
    thick.last.locator("canvas").first.dblclick()
    expect(axial).to_have_count(0)
    expect(thick).to_have_count(1)
    thick.locator("canvas").first.dblclick()
    shows(axial, *moving_bar(4))

    # A picture is what is seen, with the texts.
    axial.focus()
    page.keyboard.press("2")
    expect(axial).to_contain_text("W 1,500 · L -600")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "CT-1-Axial-5.png"
    picture = imagecodecs.png_decode(download.value.path().read_bytes())
    height, width = picture.shape[:2]
    scale = min(height, width) / ct_phantoms.SIZE
    x, y = (round(size / 2 + (place - 64) * scale) for size, place in ((width, 40), (height, 36)))
    assert picture[y, x, 0] == pytest.approx(windowed(976, -600, 1500), abs=TOLERANCE)
    assert picture[:30, :100].max() > 150  # the patient's name

    page.get_by_role("button", name="Tags of the image").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{ct_phantoms.STUDIES['JPEG-LS']}.1.5")
    page.keyboard.press("Escape")
    made.screenshot("viewer-four")
    assert made.find_barriers() == []
    axial.focus()
    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "true")


@pytest.mark.nightly
def test_what_is_marked_is_listed_found_again_and_undone(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['ct']}/viewer", width=900, height=600)
    page = made.page
    pane = page.get_by_role("group", name="CT Axial")
    shows(pane, *moving_bar(0))
    box = pane.locator("canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def draw(across: int, down: int) -> None:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + across, y + down, steps=4)
        page.mouse.up()

    page.get_by_role("button", name="Measure and mark").click()
    page.get_by_role("button", name="Arrow with text").click()
    draw(60, 40)
    page.get_by_role("textbox").fill("Lesion?")
    page.keyboard.press("Enter")
    found = page.get_by_role("region", name="Measurements").get_by_role("listitem")
    expect(found).to_contain_text("Lesion?")
    page.get_by_role("button", name="Measure and mark").click()
    page.get_by_role("button", name="Circle").click()
    pane.focus()
    page.keyboard.press("End")
    shows(pane, *moving_bar(7))
    draw(-40, 40)
    expect(found).to_have_count(2)
    expect(found.last).to_contain_text("mm²")
    found.first.get_by_role("button", name="Lesion?").click()
    shows(pane, *moving_bar(0))
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    rows = download.value.path().read_text("utf-8-sig").splitlines()
    assert rows[1] == f'"arrow","Lesion?","{ct_phantoms.STUDIES["plain"]}.1.1","1"'
    assert len(rows) == 3
    pane.focus()
    page.keyboard.press("Control+z")
    expect(found).to_have_count(1)
    expect(found).to_contain_text("1 · Axial, image 1")
    # Who goes away and comes back finds it again.
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.go_back()
    expect(found).to_contain_text("Lesion?")


def test_by_the_keyboard_alone(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['ct']}/viewer", width=1000, height=700)
    page = made.page
    pane = page.get_by_role("group", name="CT Axial").first
    shows(pane, *moving_bar(0))
    expect(pane).to_be_focused()
    page.keyboard.press("End")
    shows(pane, *moving_bar(7))
    page.keyboard.press("ArrowUp")
    shows(pane, *moving_bar(6))
    page.keyboard.press("5")
    shows(pane, [(48, 32), (64, 64), (88, 96)], [255, 0, windowed(40, 40, 80)])
    page.keyboard.press("0")
    page.keyboard.press("e")
    expect(page.get_by_role("button", name="Ellipse")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("m")
    page.keyboard.press("Shift+ArrowRight")
    found = page.get_by_role("region", name="Measurements").get_by_role("listitem")
    expect(found).to_contain_text("⌀")
    page.keyboard.press("h")
    points, grays = moving_bar(6)
    shows(pane, [(127 - x, y) for x, y in points], grays)
    page.keyboard.press("x")
    page.keyboard.press("c")
    expect(page.get_by_role("group", name="CT Axial")).to_have_count(2)
    shows(page.get_by_role("group", name="CT Axial").last, [(48, 32), (64, 64)], [255, 0])
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next and previous image")
    assert made.find_barriers() == []
    made.screenshot("viewer-help")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.set_viewport_size({"width": 2560, "height": 1440})
    shows(page.get_by_role("group", name="CT Axial").last, [(48, 32), (64, 64)], [255, 0])
    made.screenshot("viewer-wall")
    page.keyboard.press("Delete")
    expect(found).to_have_count(0)


def test_one_image_that_fails_leaves_the_others(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(width=390, height=844)
    page = made.page
    second = f"**/instances/{ct_phantoms.STUDIES['plain']}.1.2/frames/1"
    page.route(second, lambda route: route.fulfill(status=500, json={"Message": "Disk is broken"}))
    made.go(f"/series/{series['ct']}/viewer")
    pane = page.get_by_role("group", name="CT Axial")
    shows(pane, *moving_bar(0))
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("alert")).to_contain_text("Image 2 cannot be shown")
    expect(page.get_by_role("alert")).to_contain_text("Disk is broken")
    page.keyboard.press("ArrowDown")
    shows(pane, *moving_bar(2))
    page.unroute(second)
    page.keyboard.press("ArrowUp")
    shows(pane, *moving_bar(1))
    made.screenshot("viewer-phone")
    assert made.find_barriers() == []
    assert all("500" in complaint for complaint in made.complaints)  # what the browser itself says of an error
    made.complaints.clear()
