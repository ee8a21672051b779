"""OHIF from the npm registry, made ready for an address below the root, and what its canvas shows."""

import base64
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest

from tests.peer.viewers.browser import Visit, cache

VERSION: Final = "3.12.10"  # MIT
URI: Final = "/ohif"
_CONFIGURATION: Final = """
window.config = {
  routerBasename: '/ohif', extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 2,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false, investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'dicomweb',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'this server', name: 'here', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/wado',
      qidoSupportsIncludeField: true, supportsFuzzyMatching: true, supportsWildcard: true, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, bulkDataURI: { enabled: true },
    },
  }],
};
"""
_CANVAS: Final = "canvas.cornerstone-canvas"


def ready(place: Path) -> Path:
    """Return a folder with OHIF for `/ohif`. The package is fetched once, and kept."""
    dist = _fetched() / "dist"
    folder = place / "ohif"
    shutil.copytree(dist, folder)
    page = folder / "index.html"
    text = re.sub(r'(href|src)="/(?!/)', rf'\1="{URI}/', page.read_text())
    page.write_text(text.replace("window.PUBLIC_URL = '/'", f"window.PUBLIC_URL = '{URI}/'"))
    for script in folder.glob("*.js"):
        code = script.read_text()
        script.write_text(code.replace('__webpack_require__.p = "/"', f'__webpack_require__.p = "{URI}/"'))
    for sheet in folder.glob("*.css"):
        sheet.write_text(sheet.read_text().replace("url(/", f"url({URI}/"))
    (folder / "app-config.js").write_text(_CONFIGURATION)
    return folder


def _fetched() -> Path:
    unpacked = cache() / f"ohif-{VERSION}"
    if unpacked.is_dir():
        return unpacked
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm found: install Debian's package `npm`, which fetches the viewer")
    fresh = cache() / f"ohif-{VERSION}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    done = subprocess.run(
        [npm, "pack", f"@ohif/app@{VERSION}", "--silent"], cwd=fresh, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"npm could not fetch @ohif/app: {done.stderr.strip()[-200:]}")
    with tarfile.open(fresh / done.stdout.split()[-1]) as package:
        package.extractall(fresh, filter="data")
    (fresh / "package").rename(unpacked)
    shutil.rmtree(fresh)
    return unpacked


def shown(visit: Visit) -> Any:
    """Return the gray values of the first viewport's canvas, `rows, columns`; annotations are not on it."""
    url: str = visit.page.evaluate(f"document.querySelector('{_CANVAS}').toDataURL('image/png')")
    picture = imagecodecs.png_decode(base64.b64decode(url.partition(",")[2]))
    return np.asarray(picture)[..., 0]


def differing(canvas: Any, expected: Any) -> float:
    """Return which share of an image's pixels shows another gray than expected, when the image is fitted into the canvas.

    `expected` are grays, `rows, columns`. Pixels beside others of another gray are left out: the canvas blends them.
    """
    rows, columns = expected.shape
    scale = min(canvas.shape[0] / rows, canvas.shape[1] / columns)
    down = ((np.arange(rows) + 0.5 - rows / 2) * scale + canvas.shape[0] / 2).astype(int)
    across = ((np.arange(columns) + 0.5 - columns / 2) * scale + canvas.shape[1] / 2).astype(int)
    seen = canvas[np.ix_(down, across)].astype(int)
    wanted = expected.astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(wanted, 1, mode="edge"), (3, 3))
    is_even = windows.max(axis=(2, 3)) - windows.min(axis=(2, 3)) <= 8
    assert is_even.mean() > 0.2, "too little of the image can be judged"
    return float((np.abs(seen - wanted) > 12)[is_even].mean())


def open_study(visit: Visit, base: str, study: str) -> None:
    """Open a deep link and wait until something is drawn."""
    visit.page.goto(f"{base}{URI}/viewer?StudyInstanceUIDs={study}")
    visit.page.wait_for_selector(_CANVAS)
    visit.page.get_by_text("Skip all").click()  # the tour that whoever is here for the first time is given
    visit.wait_for(lambda: shown(visit).max() > 0)
