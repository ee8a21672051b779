"""A visitor of the page, and what stands behind it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

from tests.peer.exchange import Request, Server
from tests.peer.servers import wait_for

AXE = Path(__file__).parents[2] / "api" / "ui" / "source" / "node_modules" / "axe-core" / "axe.min.js"
USER, PASSWORD = "anna", "secret"
MOST_STEPS = 60  # of the key Tab, until what is looked for has the focus
LUA_PATIENT = "LUA"  # for whom the server's script fails
BASIC = {"Authorization": "Basic YW5uYTpzZWNyZXQ="}

_KEY = """element => {
    const now = document.activeElement;
    if (now === element) return 'none';
    if (!element.isConnected) return 'gone';
    return now.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_PRECEDING ? 'Shift+Tab' : 'Tab';
}"""


def fill_archive(folder: Path, studies: int) -> None:
    """Make the archive of the server that will run in a folder: studies of one instance each, without files."""
    count = str(studies)
    counts = ("--patients", str(studies * 6 // 10), "--studies", count, "--series", count, "--instances", count)
    command = [sys.executable, "-m", "sinogram", "bench", "fill", "--data", str(folder / "Sinogram"), *counts]
    subprocess.run(command, check=True)


class Site:
    """The server, as programs see it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.http_port}"

    def ask(self, path: str, method: str = "GET", body: bytes = b"") -> Any:
        """Return the JSON of an answer, which must be a success."""
        answer = self.server.ask(Request(path, method, body, BASIC))
        assert answer.status == 200, (path, answer)
        return json.loads(answer.body) if answer.body else None

    def text(self, path: str) -> str:
        """Return an answer as text."""
        return self.server.ask(Request(path, headers=BASIC)).body.decode()

    def empty(self) -> None:
        """Remove what other tests have left: patients, jobs, remotes, worklists."""
        wait_for(self._has_no_jobs, "jobs to end")
        if patients := self.ask("/patients"):
            self.ask("/tools/bulk-delete", "POST", json.dumps({"Resources": patients}).encode())
        for kind in ("/modalities", "/peers", "/dicom-web/servers"):
            for name in self.ask(kind):
                self.ask(f"{kind}/{name}", "DELETE")
        for entry in self.ask("/worklists"):
            self.ask(f"/worklists/{entry['ID']}", "DELETE")

    def _has_no_jobs(self) -> bool:
        """Cancel the jobs that go on, and remove those that have ended."""
        for job in self.ask("/jobs"):
            for method, path in (("POST", f"/jobs/{job}/cancel"), ("DELETE", f"/jobs/{job}")):
                self.server.ask(Request(path, method, b"", BASIC))
        return not self.ask("/jobs")

    def put(self, path: str, value: object) -> None:
        assert self.server.ask(Request(path, "PUT", json.dumps(value), BASIC)).status == 200

    def upload(self, data: bytes) -> dict[str, str]:
        stored: dict[str, str] = self.ask("/instances", "POST", data)
        return stored


class Visit:
    """One visitor. `complaints` are what the browser says to programmers: messages, errors, violations of the policy."""

    def __init__(self, page: Page, site: Site, screenshots: Path) -> None:
        self.page = page
        self.context = page.context
        self.site = site
        self.complaints: list[str] = []
        self._screenshots = screenshots
        self._ears: dict[Any, Callable[[Any], None]] = {
            "console": self._hear,
            "pageerror": lambda error: self.complaints.append(str(error)),
            "requestfailed": lambda request: self._fail(request.url, request.failure or ""),
        }
        for event, ear in self._ears.items():
            page.on(event, ear)

    def leave(self) -> None:
        """Leave the page, for another visitor in the same window who must not know of this one."""
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.mouse.move(0, 0)
        # By the page itself, so that the process of the browser stays, and what it has compiled.
        self.page.evaluate("location.replace('about:blank')")
        self.page.wait_for_url("about:blank")
        self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        self.context.clear_cookies()
        for event, ear in self._ears.items():
            self.page.remove_listener(event, ear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _fail(self, url: str, failure: str) -> None:
        if "ERR_ABORTED" not in failure:  # the page has lost interest, as in a row that has gone out of sight
            self.complaints.append(f"{url}: {failure}")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.site.url}/ui{path}")

    def log_in(self) -> None:
        """Log in without the form, as what is tested is what comes behind it."""
        answer = self.context.request.post(
            f"{self.site.url}/ui/session", data={"User": USER, "Password": PASSWORD}, headers={"X-Sinogram-Page": "1"}
        )
        assert answer.ok, answer.status

    def tab_to(self, target: Locator) -> None:
        """Press Tab, or Shift and Tab where it lies before, until this has the focus."""
        element = target.element_handle()
        for _ in range(MOST_STEPS):
            key = element.evaluate(_KEY)
            if key == "none":
                return
            if key == "gone":
                element = target.element_handle()
            else:
                self.page.keyboard.press(key)
        pytest.fail(f"the keyboard does not get to {target}")

    def shows(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def screenshot(self, name: str) -> None:
        self._screenshots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._screenshots / f"{name}.png")

    def find_barriers(self) -> list[str]:
        """Return what axe finds: what keeps people with a keyboard or a reader of the screen out.

        Of an open dialog alone where there is one: nothing else can be reached, and half of the work is saved.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "axe.run(document.querySelector('dialog[open]') ?? document, {resultTypes: ['violations']}).then(found => found.violations)"
        )
        return [f"{each['id']}: {[node['html'][:200] for node in each['nodes']]}" for each in found]
