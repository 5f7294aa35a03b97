"""The real OHIF viewer in headless Chromium, in front of a PACS. Nothing leaves loopback.

`make ohif` fetches it. What OHIF is called by here is its own: `data-cy` names of 3.13.
"""

import contextlib
import http.client
import mimetypes
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from peers import require_peer
from service import wait_for

DIST = Path(__file__).parents[2] / ".peers" / "ohif" / "package" / "dist"
PATIENCE_S = 180  # three test processes share two cores

CONFIGURATION = Path(__file__).parents[2] / "docker" / "demo" / "app-config.js"

CHROMIUM = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--proxy-server=direct://",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # no name is looked up
]

# mean, spread, number of greys, and share of coloured pixels of each picture that is on the screen
PICTURES = """() => [...document.querySelectorAll('canvas.cornerstone-canvas')]
  .filter(canvas => canvas.width > 50 && canvas.offsetParent).map(canvas => {
    const side = 128, small = document.createElement('canvas');
    small.width = small.height = side;
    const context = small.getContext('2d');
    context.drawImage(canvas, 0, 0, side, side);
    const data = context.getImageData(0, 0, side, side).data;
    let sum = 0, squares = 0, coloured = 0;
    for (let i = 0; i < data.length; i += 4) {
      const [red, green, blue] = data.slice(i, i + 3), grey = (red + green + blue) / 3;
      sum += grey; squares += grey * grey;
      coloured += Math.max(red, green, blue) - Math.min(red, green, blue) > 30;
    }
    const n = side * side, mean = sum / n;
    return { mean: Math.round(mean), spread: Math.round(Math.sqrt(squares / n - mean * mean)),
             coloured: coloured / n };
  })"""
TEXTS = "() => [...document.querySelectorAll('svg tspan')].map(text => text.textContent)"
OUTLINES = "() => document.querySelectorAll('svg.svg-layer polyline, svg.svg-layer path').length"


class _Handler(BaseHTTPRequestHandler):
    """OHIF's files, and the PACS under the same origin."""

    protocol_version = "HTTP/1.1"
    pacs_port: int

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/dicom-web/"):
            self._ask_the_pacs()
        elif path == "/app-config.js":
            self._answer(200, CONFIGURATION.read_bytes(), "text/javascript")
        else:
            self._send_file(path)

    do_HEAD = do_GET

    def _send_file(self, path: str) -> None:
        file = (DIST / path.lstrip("/")).resolve()
        if not file.is_relative_to(DIST) or not file.is_file():
            if "." in Path(path).name:
                self._answer(404, b"", "text/plain")
                return
            file = DIST / "index.html"  # every other address is a page of the one application
        types = {".wasm": "application/wasm", ".js": "text/javascript", ".mjs": "text/javascript"}
        kind = types.get(file.suffix) or mimetypes.guess_type(file)[0] or "application/octet-stream"
        self._answer(200, file.read_bytes(), kind)

    def _ask_the_pacs(self) -> None:
        asked = {"Host": self.headers["Host"], "Accept": self.headers.get("Accept", "*/*")}
        connection = http.client.HTTPConnection("127.0.0.1", self.pacs_port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request("GET", self.path, headers=asked)
            answer = connection.getresponse()
            kind = answer.getheader("Content-Type", "application/octet-stream")
            self._answer(answer.status, answer.read(), kind)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the page has gone
                self.wfile.write(body)


@contextlib.contextmanager
def serve_ohif(pacs_port: int) -> Iterator[str]:
    """Serve OHIF in front of a PACS; yield its address."""
    handler = type("Handler", (_Handler,), {"pacs_port": pacs_port})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Viewer:
    """A browser with OHIF in it."""

    def __init__(self, page, address: str, shots: Path) -> None:
        self.page, self.address, self.shots = page, address, shots
        self.errors: list[str] = []
        self._opened = ""
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, *studies: str, **options: str) -> None:
        """Open studies, and wait until a picture is drawn."""
        asked = "&".join(f"{key}={value}" for key, value in options.items())
        self.page.goto(f"{self.address}/viewer?StudyInstanceUIDs={','.join(studies)}&{asked}")
        self.drawn()

    def open_series(self, title: str) -> None:
        """Open what the list of the study calls so."""
        self._opened = title
        thumbnail = self.page.locator('[data-cy^="study-browser-thumbnail"]', has_text=title).first
        thumbnail.scroll_into_view_if_needed()
        thumbnail.dblclick()

    def listed(self) -> str:
        """Return the text of the study's list."""
        found = self.page.locator('[data-cy^="study-browser-thumbnail"]')
        return "\n".join(found.all_inner_texts())

    def drawn(self, count: int = 1, *, coloured: bool | None = None) -> list[dict[str, float]]:
        """Wait until so many pictures are drawn and stand still; return all that are there."""
        before: list[dict[str, float]] = []

        def standing_still() -> list[dict[str, float]]:
            nonlocal before
            self.page.wait_for_timeout(300)  # lets the page go on
            now = self.page.evaluate(PICTURES)
            there = [
                one
                for one in now
                if one["spread"] > 12 and coloured in (None, one["coloured"] > 0.002)
            ]
            still, before = now == before, now
            return now if still and len(there) >= count else []

        return wait_for(standing_still, f"{count} pictures, coloured: {coloured}", PATIENCE_S)

    def texts(self, wanted: str) -> list[str]:
        """Wait until a text stands on the picture; return all."""

        def there() -> list[str]:
            self.page.wait_for_timeout(200)
            texts = [text for text in self.page.evaluate(TEXTS) if text]
            return texts if wanted in "|".join(texts) else []

        try:
            return wait_for(there, f"{wanted!r} on the picture", PATIENCE_S / 4)
        except AssertionError:  # a list that was renewed had swallowed the double click
            self.open_series(self._opened)
            return wait_for(there, f"{wanted!r} on the picture", PATIENCE_S)

    def outlines(self) -> int:
        """Return how many lines are laid over the picture."""
        return self.page.evaluate(OUTLINES)

    def answer_yes(self) -> None:
        """Say yes to what OHIF asks about an object that was opened."""
        self.page.locator("[data-cy=yes-hydrate-btn]").first.click(timeout=1000 * PATIENCE_S)

    def measurements(self, wanted: str) -> None:
        """Open the list of the reader's own measurements, and wait until it has one."""
        self.page.locator("[data-cy=trackedMeasurements-btn]").first.click()
        body = self.page.locator("body")

        def there() -> bool:
            self.page.wait_for_timeout(200)
            return wanted in body.inner_text()

        wait_for(there, f"{wanted!r} among the measurements", PATIENCE_S)

    def is_whole(self) -> bool:
        """Say whether the page stands, some time after the last thing was asked of it."""
        self.page.wait_for_timeout(2500)
        return self.page.get_by_text("Something went wrong").count() == 0

    def shot(self, name: str) -> None:
        """Keep what is on the screen."""
        self.shots.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.shots / f"{name}.png")


def require_ohif() -> None:
    """Skip where OHIF was not fetched; fail where CI=true."""
    if not DIST.is_dir():
        reason = "OHIF is not there: make ohif"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@contextlib.contextmanager
def viewer_at(address: str, shots: Path) -> Iterator[Viewer]:
    """Start Chromium for an OHIF that is served at an address."""
    from playwright.sync_api import sync_playwright

    chromium = require_peer("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        # the guided tour would lie over the film
        page.add_init_script("localStorage.setItem('shownTours', '[\"basicViewerTour\"]')")
        yield Viewer(page, address, shots)
        browser.close()


@contextlib.contextmanager
def open_viewer(pacs_port: int, shots: Path) -> Iterator[Viewer]:
    """Start Chromium with OHIF in front of a PACS."""
    require_ohif()
    with serve_ohif(pacs_port) as address, viewer_at(address, shots) as viewer:
        yield viewer


def empty(folder: Path) -> Path:
    """Return a folder without what an earlier run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
