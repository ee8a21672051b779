"""Debian's chromium without a screen, driven by Playwright, and what a page asks of the server."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request, sync_playwright

TIMEOUT_S: Final = 60
# Pictures are drawn by a program where there is no graphics card; the sandbox needs rights that containers lack.
_ARGUMENTS: Final = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a page, and how it was answered."""

    method: str
    path: str  # with its query
    accept: str
    status: int
    content_type: str


@dataclass(slots=True)
class Visit:
    """A page that is open."""

    page: Page
    asked: list[Asked] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)  # requests without an answer, errors of scripts

    def below(self, *roots: str) -> list[Asked]:
        return [each for each in self.asked if each.path.startswith(roots)]

    def refused(self) -> list[Asked]:
        return [each for each in self.asked if each.status >= 400]

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds, while the page goes on; raises AssertionError at the deadline."""
        for _ in range(TIMEOUT_S * 10):
            if condition():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"the page has not come so far: {self.failed}, {self.refused()}, {self.asked[-3:]}")


@contextmanager
def visiting(base: str) -> Iterator[Visit]:
    """A browser with an empty page, that notes what it asks of the server at `base`."""
    executable = os.environ.get("SINOGRAM_CHROMIUM") or shutil.which("chromium")
    if executable is None:
        pytest.skip("no browser found: install Debian's package `chromium`, or set SINOGRAM_CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.set_default_timeout(TIMEOUT_S * 1000)
        visit = Visit(page)
        page.on("requestfinished", lambda request: _note(visit, base, request))
        page.on("requestfailed", lambda request: visit.failed.append(f"{request.url}: {request.failure}"))
        page.on("pageerror", lambda error: visit.failed.append(str(error)))
        yield visit
        browser.close()


def _note(visit: Visit, base: str, request: Request) -> None:
    answer = request.response()
    if answer is None or not request.url.startswith(base):
        return
    parts = urlsplit(request.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    accept = request.headers.get("accept", "")
    visit.asked.append(Asked(request.method, path, accept, answer.status, answer.headers.get("content-type", "")))


def cache() -> Path:
    """Where packages of viewers are kept between runs."""
    return Path("~/.cache/sinogram-viewers").expanduser()
