"""The viewer: what it draws is what the standard says, whatever way the pixels were compressed, by mouse, finger and keyboard."""

import re
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import expect
from pydicom.dataset import Dataset

from tests import ct_phantoms
from tests.browser.pixels import moving_bar, shows
from tests.browser.stage import Site, Visit
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.pixel_files import ENCODERS, J2K_LOSSLESS, JPEG_XL, pixel_file

FRAMES: Final = 6


def frame(number: int) -> Any:
    """A frame whose upper half says its number, and whose left half of the lower is white."""
    made = np.zeros((ct_phantoms.SIZE, ct_phantoms.SIZE), "u1")
    made[:64] = 40 * (number + 1)
    made[64:, :64] = 255
    return made


def compressed(syntax: str, instance: int) -> bytes:
    frames = [ENCODERS[syntax](frame(number)) for number in range(FRAMES)]
    return pixel_file(syntax, frame(0), frames, instance=instance, series=instance, FrameTime="50", Modality="US")


def palette_file() -> bytes:
    """Halves that a table makes of the reds 200 and 10; the table is long, so DICOMweb names only where it is."""
    made = add_pixels(dataset(9, series=3, Modality="US"), rows=ct_phantoms.SIZE, columns=ct_phantoms.SIZE, bits=8)
    made.PhotometricInterpretation = "PALETTE COLOR"
    made.PixelData = bytes(64 * ct_phantoms.SIZE) + b"\1" * (64 * ct_phantoms.SIZE)
    table = np.zeros(256, "<u2")
    table[:2] = (200 * 257, 10 * 257)
    for color in ("Red", "Green", "Blue"):
        setattr(made, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{color}PaletteColorLookupTableData", table.tobytes())
    return encode(made)


@pytest.fixture(scope="module")
def series(site: Site) -> dict[str, str]:
    """Return the series of the tests by name."""
    for data in ct_phantoms.files("plain"):
        ct = site.upload(data)["ParentSeries"]
    made = {"ct": ct}
    for place, syntax in enumerate((J2K_LOSSLESS, JPEG_XL), 1):
        made[syntax] = site.upload(compressed(syntax, place))["ParentSeries"]
    made["palette"] = site.upload(palette_file())["ParentSeries"]
    report = dataset(9, series=7, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    item = dataset_item("TEXT", "Finding")
    item.TextValue = "No fracture"
    report.ContentSequence = [item]
    made["report"] = site.upload(encode(report))["ParentSeries"]
    return made


def dataset_item(kind: str, name: str) -> Dataset:
    """An item of a structured report."""
    concept, made = Dataset(), Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = "1", "99TEST", name
    made.RelationshipType, made.ValueType, made.ConceptNameCodeSequence = "CONTAINS", kind, [concept]
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
    page.mouse.wheel(0, 120)
    shows(pane, *moving_bar(2))
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

    page.get_by_label("Window", exact=True).last.select_option(label="Lung (2)")
    expect(pane).to_contain_text("W 1,500 · L -600")
    made.screenshot("viewer")
    values = [-1024, 40, 976]
    shows(pane, [(64, 64), (40, 96), (24, 32)], [windowed(value, -600, 1500) for value in values])
    page.get_by_role("button", name="Invert").click()
    shows(pane, [(64, 64), (40, 96), (24, 32)], [255 - windowed(value, -600, 1500) for value in values])
    assert made.find_barriers() == []


@pytest.mark.parametrize(
    ("syntax", "name"),
    [(J2K_LOSSLESS, "US Series 1"), pytest.param(JPEG_XL, "US Series 2", marks=pytest.mark.nightly)],
)
def test_frames_are_decoded_and_played(
    visit: Callable[..., Visit], series: dict[str, str], syntax: str, name: str
) -> None:
    made = visit(f"/series/{series[syntax]}/viewer", dark=True)
    page = made.page
    pane = page.get_by_role("group", name=name)
    points = [(64, 32), (32, 96), (96, 96)]
    shows(pane, points, [40, 255, 0])
    expect(page.get_by_label("Speed")).to_have_value("20")  # FrameTime of 50 ms
    page.get_by_role("button", name="Play").click()
    seen = "pane => (pane.seen ??= new Set()).add(pane.querySelector('[data-drawn]').dataset.drawn).size === %d"
    page.wait_for_function(seen % FRAMES, arg=pane.element_handle())
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="Image").fill("5")
    shows(pane, points, [200, 255, 0])
    made.screenshot("viewer-dark")
    page.get_by_role("link", name="To the study").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Study")
    page.wait_for_function("document.querySelector('canvas') === null")
    ends = time.monotonic() + 20
    while page.workers and time.monotonic() < ends:  # what decodes ends as well
        page.evaluate("new Promise(requestAnimationFrame)")
    assert page.workers == []


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


def test_a_table_of_colours_is_fetched(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['palette']}/viewer")
    shows(made.page.get_by_role("group", name="US Series 3"), [(64, 32), (64, 96)], [200, 10])


def test_what_is_no_image_is_text(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['report']}/viewer")
    pane = made.page.get_by_role("group", name="SR Series 7")
    expect(pane).to_contain_text("Finding: No fracture")
    pane.get_by_role("link", name="All its tags").click()
    expect(made.page.get_by_role("tabpanel")).to_contain_text("SOPInstanceUID")
