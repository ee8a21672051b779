"""The viewer: what it draws is what the standard says, whatever way the pixels were compressed, by mouse, finger and keyboard."""

import io
import re
import time
from collections.abc import Callable
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest
from playwright.sync_api import expect
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests import ct_phantoms
from tests.browser.pixels import TOLERANCE, moving_bar, shows
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


def cut_file() -> bytes:
    """Two frames, of which the second ends within its pixels."""
    frames = [ENCODERS[J2K_LOSSLESS](frame(number)) for number in range(2)]
    frames[1] = frames[1][: len(frames[1]) // 2]
    return pixel_file(J2K_LOSSLESS, frame(0), frames, instance=4, series=4, Modality="US")


def digitized_file() -> bytes:
    """A film without a window, whose pixels are said to have no size; one pixel is far brighter than all others."""
    values = np.full((ct_phantoms.SIZE, ct_phantoms.SIZE), 100, "<u2")
    values[64:] = 300
    values[0, 0] = 60_000
    made = add_pixels(dataset(9, series=5, Modality="CR"), rows=ct_phantoms.SIZE, columns=ct_phantoms.SIZE)
    made.PixelData = values.tobytes()
    made.PixelSpacing = [0, 0]
    return encode(made)


def bits_file() -> bytes:
    """A segmentation: the upper half is of it, a bit a pixel."""
    made = add_pixels(dataset(9, series=6, Modality="SEG"), rows=ct_phantoms.SIZE, columns=ct_phantoms.SIZE, bits=8)
    made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 0
    made.PixelData = b"\xff" * (64 * 16) + bytes(64 * 16)
    return encode(made)


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
    odd = {"palette": palette_file(), "cut": cut_file(), "digitized": digitized_file(), "bits": bits_file()}
    made |= {name: site.upload(data)["ParentSeries"] for name, data in odd.items()}
    for data in [*every_second_slice(), *ct_phantoms.files("JPEG-LS")]:
        made["beside"] = site.upload(data)["ParentSeries"]
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


@pytest.mark.nightly
def test_damaged_pixels_are_told_and_not_drawn(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    """The decoder of JPEG 2000 keeps the image before where it gives up, which must not be taken for this one."""
    made = visit(f"/series/{series['cut']}/viewer", width=600, height=400)
    pane = made.page.get_by_role("group", name="US Series 4")
    shows(pane, [(64, 32), (32, 96)], [40, 255])
    made.page.keyboard.press("ArrowDown")
    told = pane.get_by_role("alert")
    expect(told).to_contain_text("Image 2 cannot be shown")
    expect(told).to_contain_text("end before they should")
    expect(pane.locator("canvas")).not_to_be_visible()
    made.page.keyboard.press("ArrowUp")
    shows(pane, [(64, 32), (32, 96)], [40, 255])
    # Not many films have a size, or a window; one that has neither is seen for all that, and its outlier leaves it bright.
    made.go(f"/series/{series['digitized']}/viewer")
    pane = made.page.get_by_role("group", name="CR Series 5")
    shows(pane, [(64, 32), (64, 96)], [0, 255])
    expect(made.page.get_by_label("Window", exact=True).last).to_have_value("stored")
    expect(pane).to_contain_text("W 201 · L 201")


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


@pytest.mark.nightly
def test_colours_of_a_table_and_bits_are_drawn(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['palette']}/viewer")
    shows(made.page.get_by_role("group", name="US Series 3"), [(64, 32), (64, 96)], [200, 10])
    # Bits, which the library takes for bytes.
    made.go(f"/series/{series['bits']}/viewer")
    shows(made.page.get_by_role("group", name="SEG Series 6"), [(64, 32), (64, 96)], [255, 0])


def test_what_is_no_image_is_text(visit: Callable[..., Visit], series: dict[str, str]) -> None:
    made = visit(f"/series/{series['report']}/viewer")
    pane = made.page.get_by_role("group", name="SR Series 7")
    expect(pane).to_contain_text("Doe, Jane")  # whose it is
    expect(pane).to_contain_text("Finding: No fracture")
    pane.get_by_role("link", name="All its tags").click()
    expect(made.page.get_by_role("tabpanel")).to_contain_text("SOP Instance UID")
