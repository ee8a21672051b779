"""What the viewer draws is what the standard says, whatever way the pixels were compressed; what cannot be drawn is told."""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import expect
from pydicom.dataset import Dataset

from tests import ct_phantoms
from tests.browser.pixels import shows
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
    made = {}
    for place, syntax in enumerate((J2K_LOSSLESS, JPEG_XL), 1):
        made[syntax] = site.upload(compressed(syntax, place))["ParentSeries"]
    odd = {"palette": palette_file(), "cut": cut_file(), "digitized": digitized_file(), "bits": bits_file()}
    made |= {name: site.upload(data)["ParentSeries"] for name, data in odd.items()}
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
