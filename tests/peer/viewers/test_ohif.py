"""OHIF, served as `/ohif` from a folder of the configuration, opens studies of the server: the pixels on its canvas are those that were stored."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests import ct_phantoms as phantoms
from tests.peer.conftest import MODERN, NO_ORACLE
from tests.peer.exchange import Request, Server
from tests.peer.servers import Oracle, running, sinogram_command
from tests.peer.viewers import ohif
from tests.peer.viewers.browser import Visit, visiting
from tests.peer.worklist_stage import find_plugin

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(600)]

FRAMES: Final = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
OF_PYDICOM: Final = "MR_small_jp2klossless.dcm"


@dataclass(frozen=True, slots=True)
class Place:
    """A server with studies, and OHIF in a folder of its."""

    server: Server
    base: str


@pytest.fixture(scope="module", params=["sinogram", "orthanc"])
def place(request: pytest.FixtureRequest, oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("viewers")
    section: dict[str, Any] = {"Folders": {ohif.URI: str(ohif.ready(folder))}, "AllowCache": True}
    if request.param == "orthanc":
        plugins = [find_plugin(oracle, f"{name}.so") for name in ("libServeFolders", "libOrthancDicomWeb")]
        if oracle.version < MODERN or None in plugins:
            pytest.skip(f"{NO_ORACLE}, with its plugins DICOMweb and ServeFolders")
        options = f'"Plugins": {json.dumps(list(map(str, plugins)))}, "ServeFolders": {json.dumps(section)},'
        command = [oracle.command]
    else:
        section["FallbackToIndex"] = [ohif.URI]
        options, command = f'"ServeFolders": {json.dumps(section)},', sinogram_command()
    with running(request.param, command, folder, options, gently=request.param == "sinogram") as server:
        for file in (file for name in phantoms.STUDIES for file in phantoms.files(name)):
            assert server.ask(Request("/instances", "POST", file)).status == 200
        file = Path(str(get_testdata_file(OF_PYDICOM))).read_bytes()
        assert server.ask(Request("/instances", "POST", file)).status == 200
        yield Place(server, f"http://127.0.0.1:{server.http_port}")


@pytest.fixture
def visit(place: Place) -> Iterator[Visit]:
    with visiting(place.base) as made:
        if place.server.name == "orthanc":  # whose plugin has nothing for pages that are no files
            page = (place.server.data.parent / "ohif" / "index.html").read_text()
            for pattern in ("**/ohif/", "**/ohif/viewer*"):
                made.page.route(pattern, lambda route: route.fulfill(body=page, content_type="text/html"))
        yield made


@pytest.mark.parametrize("name", phantoms.STUDIES)
def test_a_ct_is_shown_slice_by_slice(place: Place, visit: Visit, name: str) -> None:
    ohif.open_study(visit, place.base, phantoms.STUDIES[name])
    for number in range(3):
        if number:
            visit.page.locator("canvas.cornerstone-canvas").hover(force=True)
            visit.page.mouse.wheel(0, 100)
        wanted = phantoms.grays(number)
        visit.wait_for(lambda wanted=wanted: ohif.differing(ohif.shown(visit), wanted) < 0.01)  # type: ignore[misc] # mypy does not see the default
        assert (
            ohif.differing(ohif.shown(visit), phantoms.grays(number + 1)) > 0.02
        )  # else a wrong slice would pass, too
    frames = [each for each in visit.below("/dicom-web/") if "/frames/" in each.path]
    assert {each.accept for each in frames} == {FRAMES}
    assert not visit.refused()
    assert not visit.failed


def test_a_compressed_image_of_pydicom_is_shown(place: Place, visit: Visit) -> None:
    dataset = dcmread(str(get_testdata_file(OF_PYDICOM)))
    plain = dcmread(str(get_testdata_file("MR_small.dcm"))).pixel_array.astype(float)
    center, width = float(dataset.WindowCenter), float(dataset.WindowWidth)
    wanted = np.clip(((plain - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)  # PS3.3 §C.11.2.1.2
    ohif.open_study(visit, place.base, dataset.StudyInstanceUID)
    visit.wait_for(lambda: np.corrcoef(_sampled(ohif.shown(visit), wanted.shape), wanted.ravel())[0, 1] > 0.98)
    assert not visit.refused()


def _sampled(canvas: Any, shape: tuple[int, int]) -> Any:
    scale = min(canvas.shape[0] / shape[0], canvas.shape[1] / shape[1])
    places = [
        ((np.arange(count) + 0.5 - count / 2) * scale + size / 2).astype(int)
        for count, size in zip(shape, canvas.shape, strict=True)
    ]
    return canvas[np.ix_(*places)].astype(float).ravel()


def test_the_list_of_studies_names_them(place: Place, visit: Visit) -> None:
    visit.page.goto(f"{place.base}{ohif.URI}/")
    rows = visit.page.get_by_text("Phantom, Ct")
    visit.wait_for(lambda: rows.count() == len(phantoms.STUDIES))
    if (
        place.server.name == "sinogram"
    ):  # Orthanc 1.12.7 with its plugin 1.20 does not take the list of `includefield` apart
        assert visit.page.get_by_text("Moving bar").count() == len(phantoms.STUDIES)
    assert not visit.refused()
