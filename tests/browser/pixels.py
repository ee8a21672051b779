"""What a pane of the viewer has drawn, and what it should have."""

from collections.abc import Sequence
from typing import Final

import pytest
from playwright.sync_api import Error, Locator

from tests import ct_phantoms

TOLERANCE: Final = 3  # of 255: the image is scaled, and its window is of floating point
# Of a copy: the browser complains where what is drawn by a graphics card is read again and again.
_READ: Final = """(pane, points) => {
    const drawn = pane.querySelector("canvas");
    const copy = new OffscreenCanvas(drawn.width, drawn.height).getContext("2d", {willReadFrequently: true});
    copy.drawImage(drawn, 0, 0);
    const scale = Math.min(drawn.width, drawn.height) / SIZE;
    return points.map(([column, row]) => {
        const [x, y] = [drawn.width / 2 + (column - SIZE / 2) * scale, drawn.height / 2 + (row - SIZE / 2) * scale];
        return copy.getImageData(Math.round(x), Math.round(y), 1, 1).data[0];
    });
}""".replace("SIZE", str(ct_phantoms.SIZE))


def shows(pane: Locator, points: Sequence[tuple[int, int]], wanted: Sequence[float]) -> None:
    """Wait until the pane is so bright at points of the image (column, row)."""
    near = f"read.every((value, place) => Math.abs(value - wanted[place]) <= {TOLERANCE})"
    script = f"([pane, points, wanted]) => {{ const read = ({_READ})(pane, points); return {near}; }}"
    element = pane.element_handle()
    try:
        pane.page.wait_for_function(script, arg=[element, list(points), list(wanted)], timeout=15_000)
    except Error:
        assert pane.evaluate(_READ, list(points)) == pytest.approx(list(wanted), abs=TOLERANCE)


def moving_bar(number: int) -> tuple[list[tuple[int, int]], list[float]]:
    """Points within the bars of a slice and beside them, and how bright they are by the window that is stored."""
    points = [(16 + 12 * number, 96), (36 + 12 * number, 96), (2 + 12 * number, 96), (48, 32), (100, 32), (64, 64)]
    grays = ct_phantoms.grays(number)
    return [(x % 128, y) for x, y in points], [float(grays[y, x % 128]) for x, y in points]
