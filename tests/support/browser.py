"""hilum's own pages in headless Chromium: what they draw, and what they must never do."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from peers import require_peer
from PIL import Image
from playwright.sync_api import Error, sync_playwright
from service import wait_for

AXE = Path(__file__).parents[2] / ".peers" / "axe" / "package" / "axe.min.js"
PATIENCE_S = 60
# no name is looked up, and whatever would leave this machine fails
CHROMIUM = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--proxy-server=direct://",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]
VIOLATIONS = """async () =>
  (await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] })).violations
  .filter(found => ["serious", "critical"].includes(found.impact))
  .map(found => `${found.id}: ${found.nodes.map(node => node.html.slice(0, 160)).join(" | ")}`)"""
# the greys of the canvas at points given as shares of its width and height
GREYS = """(canvas, points) => {
  const context = canvas.getContext("2d");
  return points.map(([x, y]) => [...context.getImageData(
    Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data]);
}"""


def require_axe() -> str:
    """Return axe-core's source; without it the test is skipped, and fails where CI=true."""
    if AXE.is_file():
        return AXE.read_text(encoding="utf-8")
    reason = "axe-core is not there: make axe"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Tab:
    """One page of hilum in Chromium."""

    def __init__(self, page, address: str, shots: Path | None = None) -> None:
        self.page, self.address, self.shots = page, address, shots
        self.errors: list[str] = []
        page.set_default_timeout(1000 * PATIENCE_S)
        page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        page.on("console", self._said)
        page.on("request", self._asked)
        page.on("response", self._answered)

    def _said(self, message) -> None:
        # that the canvas is read often is these tests' own doing
        if message.type in ("error", "warning") and "willReadFrequently" not in message.text:
            self.errors.append(f"console: {message.text}")

    def _asked(self, request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.errors.append(f"left the host: {request.url}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status}: {response.url}")

    def open(self, path: str) -> None:
        """Open a page; films on it are on the screen when this returns."""
        self.page.goto(self.address + path)
        self.films_shown()

    def films_shown(self) -> None:
        """Wait until every film of the page is drawn."""
        self.until("[...document.querySelectorAll('.stage')].every(s => s.dataset.shown === 'yes')")

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as a reader does, with nothing focused."""
        for key in keys:
            self.page.keyboard.press(key)

    def until(self, condition: str) -> None:
        """Wait for a condition in JavaScript; Playwright's own wait is what the CSP forbids."""

        def holds() -> bool:
            self.page.wait_for_timeout(30)  # lets the page go on
            try:
                return self.page.evaluate(condition)
            except Error:  # the page is being left for its successor
                return False

        wait_for(holds, condition, PATIENCE_S)

    def picture(self, what: str) -> np.ndarray:
        """Return what is on the screen of an element, (rows, columns, 3)."""
        shot = self.page.locator(what).first.screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB")).astype(int)

    def greys(self, stage: str, points) -> np.ndarray:
        """Return what a stage's canvas holds at points (x, y) in [0, 1]: (n, 4)."""
        canvas = self.page.locator(f"{stage} canvas")
        return np.array(canvas.evaluate(GREYS, points))

    def violations(self) -> list[str]:
        """Return what axe-core calls serious or critical."""
        self.page.evaluate(require_axe())
        return self.page.evaluate(VIOLATIONS)

    def shot(self, name: str) -> None:
        """Keep what is on the screen."""
        if self.shots is not None:
            self.shots.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=self.shots / f"{name}.png")


@contextlib.contextmanager
def open_tab(address: str, shots: Path | None = None, **options) -> Iterator[Tab]:
    """Start Chromium with an empty page for this address."""
    chromium = require_peer("chromium")
    options.setdefault("viewport", {"width": 1600, "height": 1000})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        yield Tab(browser.new_context(**options).new_page(), address, shots)
        browser.close()
