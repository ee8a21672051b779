"""A visitor of the page, and what stands behind it."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.peer.exchange import Request, Server

AXE = Path(__file__).parents[2] / "api" / "ui" / "source" / "node_modules" / "axe-core" / "axe.min.js"
USER, PASSWORD = "anna", "secret"
BASIC = {"Authorization": "Basic YW5uYTpzZWNyZXQ="}


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

    def upload(self, data: bytes) -> dict[str, str]:
        stored: dict[str, str] = self.ask("/instances", "POST", data)
        return stored


class Visit:
    """One visitor. `complaints` are what the browser says to programmers: messages, errors, violations of the policy."""

    def __init__(self, context: BrowserContext, site: Site, screenshots: Path) -> None:
        self.context = context
        self.site = site
        self.complaints: list[str] = []
        self._screenshots = screenshots
        self.page: Page = context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self._fail(request.url, request.failure or ""))

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

    def shows(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def screenshot(self, name: str) -> None:
        self._screenshots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._screenshots / f"{name}.png")

    def find_barriers(self) -> list[str]:
        """Return what axe finds: what keeps people with a keyboard or a reader of the screen out."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [f"{each['id']}: {[node['html'][:200] for node in each['nodes']]}" for each in found["violations"]]
